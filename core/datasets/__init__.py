"""Datasets: reading and checking JSON Lines files of hostile origin."""
