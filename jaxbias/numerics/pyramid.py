"""Laplacian pyramids of images as products of matrices: what each level alone adds.

A pyramid (Burt and Adelson 1983) halves an image again and again and keeps, of each size,
what the next smaller one cannot give back. Halving is a matrix D along each side, giving
back a matrix U, so that a level which is brought to full size by itself is
A N A^T - B N B^T of the image N, where A shrinks l times and grows back and B does so once
more. A has few columns to go through, which makes all levels cost a few small products.

Filters, borders and the number of levels are those of `pyrtools.pyramids.LaplacianPyramid`:
binomial of five taps, mirrored at the pixel on the edge.
"""

from functools import lru_cache
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

FILTER = np.array([1, 4, 6, 4, 1]) / 16 * np.sqrt(2)
"""Of halving and of giving back; a constant grows by sqrt(2) and shrinks again."""

SMALLEST_SIDE = 4


class Factors(NamedTuple):
    """A_l = grow @ shrink, which takes an image l levels down and back to its size.

    Attributes:
        shrink: From pixels of the image to those of the level.
        grow: And back.
    """

    shrink: Float[np.ndarray, "small size"]
    grow: Float[np.ndarray, "size small"]


def levels(size: int) -> int:
    """How many levels the pyramid of an image has, by its shorter side in pixels.

    An image is halved as long as five pixels are left: 224 gives 7 levels, 32 gives 4. An
    image of 4 pixels, which pyrtools refuses, is a single level.

    Raises:
        ValueError: If it is shorter than 4 pixels.
    """
    if size < SMALLEST_SIDE:
        raise ValueError(f"a pyramid takes {SMALLEST_SIDE} pixels a side, got {size}")
    count = 1
    while size >= len(FILTER):
        # Rounded down to count, although a level of odd size is rounded up.
        size, count = size // 2, count + 1
    return count


def analysis(size: int) -> Float[np.ndarray, "half size"]:
    """D: blur along a side of 3 pixels or more, and keep every other from the first."""
    weights = np.zeros((-(-size // 2), size))
    for offset, weight in enumerate(FILTER, -(len(FILTER) // 2)):
        rows = np.arange(len(weights))
        np.add.at(weights, (rows, _mirrored(2 * rows + offset, size)), weight)
    return weights


def synthesis(size: int) -> Float[np.ndarray, "size half"]:
    """U: put zeros between the pixels of a level, up to the given size, and blur."""
    # pyrtools forgets to mirror the last of five pixels, which images of 5 * 2^k come to.
    weights = np.zeros((size, -(-size // 2)))
    for offset, weight in enumerate(FILTER, -(len(FILTER) // 2)):
        rows = np.arange(size)
        source = _mirrored(rows + offset, size)
        rows, source = rows[source % 2 == 0], source[source % 2 == 0]
        np.add.at(weights, (rows, source // 2), weight)
    return weights


def _mirrored(places: np.ndarray, size: int) -> np.ndarray:
    places = np.abs(places)
    return np.where(places < size, places, 2 * (size - 1) - places)


@lru_cache(maxsize=32)
def factors(size: int, count: int | None = None) -> tuple[Factors, ...]:
    """The factors of A_l for every level along one side, A_0 being the identity.

    Args:
        size: Pixels of the side.
        count: Levels; None takes `levels(size)`.

    Raises:
        ValueError: If the side is shorter than 4 pixels.
    """
    shrink = grow = np.eye(size)
    found = [Factors(shrink, grow)]
    for _ in range(1, levels(size) if count is None else count):
        small = len(shrink)
        shrink, grow = analysis(small) @ shrink, grow @ synthesis(small)
        found.append(Factors(shrink, grow))
    return tuple(found)


def bands(image: Float[Array, "height width"]) -> Float[Array, "level height width"]:
    """Split an image into the levels of its pyramid, each at full size.

    Args:
        image: Any values, at least 4 pixels each way.

    Returns:
        Level 0, the finest, first; the last is what is left, a blurred image. They add up
        to the image.

    Raises:
        ValueError: If a side is shorter than that.
    """
    height, width = image.shape
    count = levels(min(height, width))
    sides = zip(factors(height, count), factors(width, count), strict=True)
    small, blurred = image, [image]
    for down, across in list(sides)[1:]:
        # Level by level: from the whole image each would take more products.
        small = _both(analysis(small.shape[0]), small, analysis(small.shape[1]))
        blurred.append(_both(down.grow, small, across.grow))
    differences = [a - b for a, b in zip(blurred[:-1], blurred[1:], strict=True)]
    return jnp.stack([*differences, blurred[-1]])


def _both(down: np.ndarray, image: Array, across: np.ndarray) -> Array:
    """Multiply the columns of an image by one matrix and its rows by another."""
    # TF32 would leave in each band a thousandth of all others.
    highest = lax.Precision.HIGHEST
    tall = jnp.dot(down.astype(image.dtype), image, precision=highest)
    return jnp.dot(tall, across.T.astype(image.dtype), precision=highest)


@lru_cache(maxsize=8)
def noise_power(size: int) -> Float[np.ndarray, "level row column"]:
    """Expected power of each level of white noise, by frequency; exact.

    Args:
        size: Side of a square of noise with unit variance.

    Returns:
        Of each coefficient of `fft2`, in its order; sums over a level are mean squares.

    Raises:
        ValueError: If the side is shorter than 4 pixels.
    """
    spectra = [np.fft.fft(grow @ shrink, axis=0) for shrink, grow in factors(size)]
    found = []
    # Coefficient (u, v) of a level is a_u N a_v - b_u N b_v, rows of two of these.
    for a, b in zip(spectra, [*spectra[1:], np.zeros_like(spectra[0])], strict=True):
        own, next_, both = (
            np.sum(x * y.conj(), 1) for x, y in ((a, a), (b, b), (a, b))
        )
        power = np.outer(own, own) + np.outer(next_, next_) - 2 * np.outer(both, both)
        found.append(np.real(power))
    return np.stack(found) / size**4
