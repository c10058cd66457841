"""Generators of small images, trained here."""
