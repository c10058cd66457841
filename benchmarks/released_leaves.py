"""Dead leaves leaf by leaf, as the released scripts throw them, with OpenCV.

From the description of Baradad et al. (2021): leaves are painted over earlier ones until no
pixel is black, or 5,000 were thrown; after each, all pixels are looked at.
"""

from collections.abc import Callable

import numpy as np

MOST = 5_000
SIGMA, LEAST, GREATEST, RADII = 3.0, 0.03, 1.0, 200

Corners = Callable[[np.random.Generator], np.ndarray]


def _square(rng: np.random.Generator) -> np.ndarray:
    return np.pi / 4 + np.pi / 2 * np.arange(4)


def _oriented(rng: np.random.Generator) -> np.ndarray:
    return rng.uniform(0, 2 * np.pi) + np.pi / 2 * np.arange(4)


def _rectangle(rng: np.random.Generator) -> np.ndarray:
    slope = rng.uniform(0, np.pi / 2)
    return np.array([slope, np.pi - slope, np.pi + slope, 2 * np.pi - slope])


def _polygon(count: int) -> Corners:
    return lambda rng: np.sort(rng.uniform(0, 2 * np.pi, count))


KINDS: dict[str, tuple[Corners | None, ...]] = {
    "squares": (_square,),
    "oriented": (_oriented,),
    "mixed": (None, _square, _oriented, _rectangle, _polygon(3), _polygon(4)),
}
"""What leaves of a set may be; None is a circle."""


def image(rng: np.random.Generator, size: int, kind: str = "mixed") -> np.ndarray:
    """One image, uint8, (size, size, 3)."""
    import cv2

    radii = np.linspace(LEAST, GREATEST, RADII)
    weights = radii**-SIGMA - GREATEST**-SIGMA
    shares = np.cumsum(weights) / weights.sum()
    found = np.zeros((size, size, 3), np.uint8)
    for _ in range(MOST):
        nearest = np.argmin(np.abs(shares - rng.uniform()))
        radius = max(int(radii[nearest] * size), 1)
        centre = rng.integers(0, size, 2)
        colour = rng.integers(0, 256, 3).tolist()
        corners = KINDS[kind][rng.integers(len(KINDS[kind]))]
        if corners is None:
            cv2.circle(found, centre.tolist(), radius, colour, thickness=-1)
        else:
            angles = corners(rng)
            points = centre + radius * np.stack([np.cos(angles), np.sin(angles)], 1)
            cv2.fillPoly(found, [np.round(points).astype(np.int32)], colour)
        if found.sum(2).all():
            break
    return found
