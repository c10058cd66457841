"""Banks of forty 3 x 3 filters that stand in for the weights of untrained StyleGANs."""

from functools import lru_cache

import numpy as np
from jaxtyping import Float

Bank = Float[np.ndarray, "wavelet 3 3"]

ROWS, COLUMNS = np.mgrid[-1:2, -1:2].astype(np.float64)

NEAR, FAR = 0.3, 0.6
"""Pixels nearer to a line are on it, those farther away are beside it."""

# Paper: the number of edges, lines and others is published, their values are not. Ours are
# the signs of a step and of a bar over nine pixels, and a Gaussian's derivatives.


@lru_cache(maxsize=1)
def signed() -> Bank:
    """Values of -1, 0 and 1: 16 edges around the circle, 8 lines and 4 others, both signs.

    The others are a dot, a dot against its surround, a plus, and a plus against the
    corners. Only the dot and the plus let the mean of an image pass, and some lines a part.
    """
    edges = [np.sign(np.round(_across(turn / 16), 6)) for turn in range(16)]
    lines = []
    for turn in range(8):
        distance = np.abs(_across(turn / 16))
        lines.append((distance < NEAR) * 1.0 - (distance > FAR))
    others = [*lines, *_others()]
    return np.stack([*edges, *others, *(-x for x in others)])


@lru_cache(maxsize=1)
def oriented() -> Bank:
    """Real values: 8 edges and 8 lines over half the circle, 4 others, and their negatives.

    Edges and lines are first and second derivatives of a Gaussian with a standard deviation
    of one pixel, less their means, as large as the signed ones on average: squares add up
    to six. The others are those of the signed bank.
    """
    window = np.exp(-(ROWS**2 + COLUMNS**2) / 2)
    found = []
    for turn in range(8):
        found.append(_across(turn / 16) * window)
    for turn in range(8):
        found.append((1 - _across(turn / 16) ** 2) * window)
    found = [x - x.mean() for x in found]
    found = [x * np.sqrt(6 / (x**2).sum()) for x in found]
    found += _others()
    return np.stack([*found, *(-x for x in found)])


def _across(turn: float) -> Float[np.ndarray, "3 3"]:
    """Signed distance from a line through the middle; `turn` 1 is the whole circle."""
    angle = 2 * np.pi * turn
    return np.cos(angle) * COLUMNS + np.sin(angle) * ROWS


def _others() -> list[Float[np.ndarray, "3 3"]]:
    dot = np.zeros((3, 3))
    dot[1, 1] = 1
    surround = np.full((3, 3), -1 / 8)
    surround[1, 1] = 1
    plus = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.float64)
    corners = np.array([[1, 0, 1], [0, 0, 0], [1, 0, 1]], np.float64)
    return [dot, surround, plus, plus - corners * 5 / 4]
