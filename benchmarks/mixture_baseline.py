"""The Gaussian-mixture trial as the released functions do it: NumPy and scikit-learn.

One trial at a time; for every gamma the generated points are drawn anew and the losses are
taken over all points. Faster than the original in one thing: class means and variances come
from NumPy, not from a data frame's groups.
"""

from collections.abc import Sequence

import numpy as np
from sklearn.datasets import make_blobs


def _blobs(
    count: int, dim: int, centres: np.ndarray, deviation: float
) -> tuple[np.ndarray, np.ndarray]:
    drawn = make_blobs(count, dim, centers=centres, cluster_std=deviation)
    return np.asarray(drawn[0]), np.asarray(drawn[1])


def _labels(y: np.ndarray) -> np.ndarray:
    return (2 * y - 1)[:, None]


def _losses(
    x: np.ndarray, y: np.ndarray, theta: np.ndarray, sigma: float
) -> tuple[float, float]:
    """Mean negative log-likelihood (quadratic part) and error rate."""
    residual = x - _labels(y) * theta
    nll = np.mean(np.sum(residual**2, axis=1)) / (2 * sigma**2)
    wrong = np.mean((x @ theta > 0) != (y == 1))
    return float(nll), float(wrong)


def trial(
    m_real: int, dim: int, gammas: Sequence[float], sigma: float, n_test: int
) -> np.ndarray:
    """|NLL gap| and |0-1 gap| for each gamma: shape (gamma, 2)."""
    centre = np.full(dim, 1 / np.sqrt(dim))
    centres = np.stack([-centre, centre])
    real, y = _blobs(m_real, dim, centres, sigma)
    test, y_test = _blobs(n_test, dim, centres, sigma)
    classes = [real[y == c] for c in (0, 1)]
    means = np.stack([c.mean(0) for c in classes])
    variance = sum(len(c) / m_real * c.var(0, ddof=1) for c in classes)
    found = []
    for gamma in gammas:
        x, labels = real, y
        if gamma:
            drawn, more = _blobs(int(gamma * m_real), dim, np.zeros((2, dim)), 1.0)
            # make_blobs takes one deviation a class, not one a coordinate.
            drawn = means[more] + np.sqrt(variance) * drawn
            x, labels = np.concatenate([real, drawn]), np.concatenate([y, more])
        theta = np.mean(_labels(labels) * x, axis=0)
        train_losses = _losses(x, labels, theta, sigma)
        test_losses = _losses(test, y_test, theta, sigma)
        found.append(np.abs(np.subtract(test_losses, train_losses)))
    return np.asarray(found)
