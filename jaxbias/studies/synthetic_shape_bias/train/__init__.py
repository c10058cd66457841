"""A network trained on made images, and looked at in the course of its training."""
