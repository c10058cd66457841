"""Flax modules and the distributions that their weights are drawn from."""
