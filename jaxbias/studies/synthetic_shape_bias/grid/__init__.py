"""Networks by what they learn from, how they are built and what they are trained for."""
