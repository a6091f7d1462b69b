"""HTTP for clients. Imports no torch."""
