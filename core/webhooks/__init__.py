"""Webhooks: endpoints of a project that are told of events, signed as Standard Webhooks (https://www.standardwebhooks.com)."""
