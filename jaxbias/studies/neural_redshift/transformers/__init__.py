"""The transformers experiment: what untrained GPT-2 writes, and how complex it is."""
