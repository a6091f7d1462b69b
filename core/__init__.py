"""Shared kernel: settings, errors, tables and stores. Imports nothing of ours."""
