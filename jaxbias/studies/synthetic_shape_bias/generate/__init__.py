"""Images of a generator, written for others to read."""
