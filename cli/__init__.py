"""`rft`, the command line."""
