"""Runs jobs. Only the runner and the sampler import torch."""
