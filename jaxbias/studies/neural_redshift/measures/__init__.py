"""Measures of complexity, old and new, beside one another on random networks."""
