"""The whole bias and robustness profile of networks that a user has."""
