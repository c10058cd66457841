"""The Gaussian mixture beyond the paper: other data, generators and classifiers."""
