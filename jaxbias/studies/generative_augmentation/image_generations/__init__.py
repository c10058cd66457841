"""Generators of images that are trained on what generators drew."""
