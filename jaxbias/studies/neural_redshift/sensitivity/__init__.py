"""The sensitivity experiment: random sequence models on strings of bits."""
