"""`code`: a completion's Python program, run against tests in a sandbox of its own."""
