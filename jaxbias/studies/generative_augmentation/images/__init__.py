"""Classifiers on real and generated images: whether these help, and when."""
