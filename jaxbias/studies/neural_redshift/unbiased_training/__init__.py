"""The unbiased-training experiment: gradient descent on the model without a bias."""
