"""Measure what neural networks are biased towards, before and after training."""

__version__ = "0.1.0"
