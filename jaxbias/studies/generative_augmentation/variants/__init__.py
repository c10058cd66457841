"""The Gaussian mixture beyond the paper: other classes, covariances, classifiers, weights."""
