"""The complex-start experiment: gradient descent from weights of a complex function."""
