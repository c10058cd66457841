"""Recursive fitting of the Gaussian mixture: generators of generated data."""
