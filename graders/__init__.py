"""Rewards: grader configurations, and what computes them."""
