"""Runs user code away from the service."""
