"""Steerable pyramids: an image by scale and orientation, through its Fourier transform.

Filters are those of Simoncelli and Freeman (1995) as Portilla and Simoncelli (2000) have
them: each scale is two octaves wide with a raised cosine over the logarithm of frequency,
each orientation a power of a cosine. The squares of all filters add up to 1, so that the
filters that split an image also put it together again, and nothing wraps around within a
band that has fewer pixels than the image.

A band that has half of the image's pixels each way has twice the values that filtering
alone would give: squares over all bands add up to those of the image.
"""

from functools import lru_cache
from math import factorial
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

ORIENTATIONS = 4

Maps = Float[Array, "map size size"]
Spectra = Complex[Array, "map size half"]
"""Of square maps, as `jnp.fft.rfft2(maps, norm="ortho")` gives them."""


class Pyramid(NamedTuple):
    """What each filter lets pass. All of it is real.

    Attributes:
        high: Beyond the finest bands, mostly the corners of the spectrum.
        bands: Of each scale, the finest first; orientation k of n answers most to waves
            that run at k / n of half a turn from rightwards to downwards, and is odd under
            half a turn where n is even.
        low: What is coarser than all bands.
    """

    high: Maps
    bands: tuple[Float[Array, "map orientation side side"], ...]
    low: Float[Array, "map small small"]


class _Filters(NamedTuple):
    high: Float[np.ndarray, "size half"]
    bands: tuple[Complex[np.ndarray, "orientation side part"], ...]
    low: Float[np.ndarray, "small part"]


def split(maps: Maps, scales: int, orientations: int = ORIENTATIONS) -> Pyramid:
    """The pyramid of each map.

    Args:
        maps: Square, of any size.
        scales: How many; band s has size / 2^s pixels a side, rounded up, and so has the
            low-pass rest at s = scales.
        orientations: How many, 2 or more.

    Raises:
        ValueError: If there is no scale or less than two orientations, or the low-pass
            rest has less than two pixels a side.
    """
    return split_spectra(jnp.fft.rfft2(maps, norm="ortho"), scales, orientations)


def join(pyramid: Pyramid) -> Maps:
    """Put maps together again; errors are as in `split`."""
    size = pyramid.high.shape[-1]
    return jnp.fft.irfft2(join_spectra(pyramid), (size, size), norm="ortho")


def split_spectra(
    spectra: Spectra, scales: int, orientations: int = ORIENTATIONS
) -> Pyramid:
    """The same as `split`, from transforms."""
    size = spectra.shape[1]
    found = _filters(size, scales, orientations)
    back = lambda one, side: jnp.fft.irfft2(one, (side, side), norm="ortho")  # noqa: E731
    bands = []
    for band in found.bands:
        part = _cut(spectra, band.shape[1])[:, None]
        bands.append(back(part * jnp.asarray(band)[None], band.shape[1]))
    low = _cut(spectra, len(found.low)) * jnp.asarray(found.low)[None]
    high = back(spectra * jnp.asarray(found.high)[None], size)
    return Pyramid(high, tuple(bands), back(low, len(found.low)))


def join_spectra(pyramid: Pyramid) -> Spectra:
    """The same as `join`, to transforms."""
    size = pyramid.high.shape[-1]
    orientations = pyramid.bands[0].shape[1]
    found = _filters(size, len(pyramid.bands), orientations)
    ahead = lambda one: jnp.fft.rfft2(one, norm="ortho")  # noqa: E731
    total = _laid(ahead(pyramid.low) * jnp.asarray(found.low)[None], size)
    # From the smallest on, so that each is added to no more than it has to be.
    for band, values in zip(found.bands[::-1], pyramid.bands[::-1], strict=True):
        part = jnp.sum(ahead(values) * jnp.asarray(band.conj())[None], axis=1)
        total = total + _laid(part, size)
    return total + ahead(pyramid.high) * jnp.asarray(found.high)[None]


def _cut(spectra: Spectra, side: int) -> Complex[Array, "map side part"]:
    """Coefficients that a map of fewer pixels a side has."""
    size = spectra.shape[1]
    columns = spectra[:, :, : side // 2 + 1]
    if side == size:
        return columns
    above, below = columns[:, : (side + 1) // 2], columns[:, size - side // 2 :]
    return jnp.concatenate([above, below], axis=1)


def _laid(part: Complex[Array, "map side part"], size: int) -> Spectra:
    """Its inverse, with zeros around."""
    side = part.shape[1]
    if side == size:
        return part
    upper = (side + 1) // 2
    zeros = jnp.zeros((len(part), size - side, part.shape[2]), part.dtype)
    tall = jnp.concatenate([part[:, :upper], zeros, part[:, upper:]], axis=1)
    wide = size // 2 - side // 2
    return jnp.pad(tall, ((0, 0), (0, 0), (0, wide)))


@lru_cache(maxsize=16)
def _filters(size: int, scales: int, orientations: int) -> _Filters:
    """Filters over the coefficients that are not zero, in the order of `rfft2`."""
    sides = [-(-size // 2**scale) for scale in range(scales + 1)]
    if scales < 1 or orientations < 2 or sides[-1] < 2:
        raise ValueError(
            f"{scales} scales and {orientations} orientations of {size} pixels: at least "
            "one and two are needed, and two pixels a side in the low-pass rest"
        )
    bands = []
    for scale, side in enumerate(sides[:-1]):
        octave, angle = _polar(size, side)
        radial = _below(octave + scale) * _above(octave + scale + 1)
        bands.append((radial * _angular(angle, orientations)).astype(np.complex64))
    high = _above(_polar(size, size)[0])
    low = _below(_polar(size, sides[-1])[0] + scales)
    return _Filters(high.astype(np.float32), tuple(bands), low.astype(np.float32))


def _polar(size: int, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Octaves of the first coefficients against half the size, and their directions."""
    down = np.fft.fftfreq(side, 1 / side)[:, None]
    across = np.arange(side // 2 + 1)[None]
    radius = 2 * np.hypot(down, across) / size
    # Frequency 0 is far below all scales.
    return np.log2(np.maximum(radius, 1e-9)), np.arctan2(down, across)


def _above(octave: np.ndarray) -> np.ndarray:
    """From 0 at an octave of -1 and below to 1 at 0 and above."""
    return np.cos(np.pi / 2 * np.clip(octave, -1, 0))


def _below(octave: np.ndarray) -> np.ndarray:
    """The rest: squares of both add up to 1. Exactly 0 at 0, where a small map ends."""
    return -np.sin(np.pi / 2 * np.clip(octave, -1, 0))


def _angular(angle: np.ndarray, count: int) -> np.ndarray:
    """One filter after the other; their squares add up to 1."""
    order = count - 1
    scale = 2**order * factorial(order) / np.sqrt(count * factorial(2 * order))
    turns = np.pi * np.arange(count)[:, None, None] / count
    # An odd power changes its sign from a wave to its mirror image: its map is real if the
    # filter is imaginary.
    return scale * (-1j) ** order * np.cos(angle - turns) ** order
