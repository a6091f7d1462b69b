"""Benchmarks: each pairs us with a named peer on the same work in one run. `make bench`, `make bench NAME=x`."""
