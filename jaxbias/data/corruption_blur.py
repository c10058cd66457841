"""The blurs of ImageNet-C (Hendrycks and Dietterich 2019), on the device.

See `severities` for what all corruptions share. The stored sets were cut off to whole
levels and saved as JPEG of quality 85, which adds marks of blocks; nothing of that is done
here, so accuracies are not those on the stored sets.
"""

from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int
from scipy.fft import next_fast_len

from jaxbias.arrays import RandomKey
from jaxbias.data.resampling import (
    gaussian_matrices,
    separable,
    streaked,
    zoom_places,
    zoomed,
)
from jaxbias.data.severities import (
    SMALL,
    Image,
    Severity,
    at,
    finished,
    published,
    side_of,
)

REACH = 10
"""Largest radius of a disk."""


def gaussian_blur(key: RandomKey, image: Image, severity: Severity) -> Image:
    """Gaussian of sigma 1, 2, 3, 4, 6 pixels to 4 sigma (CIFAR: 0.4 to 1); edges repeat."""
    sigmas = published(image, (1, 2, 3, 4, 6), (0.4, 0.6, 0.7, 0.8, 1))
    blur = at(severity, gaussian_matrices(side_of(image), sigmas))
    return finished(separable(image, blur, blur), severity)


def defocus_blur(key: RandomKey, image: Image, severity: Severity) -> Image:
    """Mean over a disk of radius 3, 4, 6, 8, 10 pixels; edges are mirrored.

    Its rim is softened by Gaussians of sigma 0.1, then 0.5, on 3 x 3 pixels, the last on
    5 x 5. CIFAR: radius 0.3 to 1.5, of which those below 1 are a single pixel, softened.
    """
    imagenet = ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5))
    cifar = ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1))
    kernels = np.stack([_disk(*row) for row in published(image, imagenet, cifar)])
    side = side_of(image)
    margin = (REACH, REACH)
    wide = jnp.pad(image, (margin, margin, (0, 0)), mode="reflect")
    # 441 weights a pixel: by Fourier transforms ten times as fast as one by one.
    length: int = next_fast_len(side + 2 * REACH, real=True)  # type: ignore[assignment]
    spectrum = jnp.fft.rfft2(jnp.moveaxis(wide, -1, 0), (length, length))
    spectrum *= jnp.fft.rfft2(at(severity, kernels), (length, length))[None]
    blurred = jnp.fft.irfft2(spectrum, (length, length))
    blurred = blurred[:, 2 * REACH :, 2 * REACH :][:, :side, :side]
    return finished(jnp.moveaxis(blurred, 0, -1), severity)


@lru_cache(maxsize=32)
def _disk(radius: float, sigma: float) -> Float[np.ndarray, "row column"]:
    """Weights on 21 x 21 pixels; up to radius 8 the softened rim is cut to 17 x 17."""
    grid = np.arange(-REACH, REACH + 1)
    disk = (grid[:, None] ** 2 + grid[None] ** 2 <= radius**2).astype(np.float64)
    disk /= disk.sum()
    reach, taps = (8, 1) if radius <= 8 else (10, 2)
    offsets = np.arange(-taps, taps + 1)
    weights = np.exp(-0.5 * (offsets / sigma) ** 2)
    weights /= weights.sum()
    inner = slice(REACH - reach, REACH + reach + 1)
    # OpenCV mirrors the disk's own square at its outermost pixels.
    wide = np.pad(disk[inner, inner], taps, mode="reflect")
    side = 2 * reach + 1
    for axis in (0, 1):
        parts = [
            weight * np.take(wide, np.arange(side) + i, axis=axis)
            for i, weight in enumerate(weights)
        ]
        wide = np.sum(parts, axis=0)
    return np.pad(wide, REACH - reach).astype(np.float32)


def glass_blur(key: RandomKey, image: Image, severity: Severity) -> Image:
    """Blur, move pixels about, blur again.

    Gaussians of sigma 0.7, 0.9, 1, 1.1, 1.5; moves of -d to d - 1 pixels each way with d of
    1, 2, 2, 3, 4; 2, 1, 3, 2, 2 times over. CIFAR: sigma 0.05 to 0.4, d 1, once or twice.
    From the last pixel to the first each takes the value of a random neighbour, which may
    have been replaced before; here the chains of these are followed, with the same result.
    Between the blurs the published code cuts to whole levels; this does not.
    """
    # Paper: pixels are swapped. In the code that made the stored sets the second half of
    # the swap reads what the first has written, so that values are copied.
    imagenet = ((0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2))
    cifar = ((0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2))
    table = published(image, imagenet, cifar)
    side = side_of(image)
    blur = at(severity, gaussian_matrices(side, table[:, 0]))
    _, reach, rounds = at(severity, table).astype(jnp.int32)

    def once(i: Array, source: Array) -> Array:
        bits = jax.random.bits(jax.random.fold_in(key, i), (side**2,))
        span = 2 * reach.astype(jnp.uint32)
        down, right = (
            (part * span >> 16).astype(jnp.int32).reshape(side, side) - reach
            for part in (bits >> 16, bits & 0xFFFF)
        )
        return source[copied(down, right, reach)]

    source = lax.fori_loop(0, rounds, once, jnp.arange(side**2))
    soft = separable(image, blur, blur).reshape(-1, 3)
    moved = soft.at[source].get(mode="promise_in_bounds").reshape(image.shape)
    return finished(separable(moved, blur, blur), severity)


def copied(
    down: Int[Array, "side side"], right: Int[Array, "side side"], reach: Int[Array, ""]
) -> Int[Array, " pixel"]:
    """Which pixel each one's value comes from when all copy, from the last to the first.

    Args:
        down: Row of the pixel that is copied, from the copying one.
        right: Its column.
        reach: Rows and columns up to this one stay, and the last `reach` - 1.

    Returns:
        Numbers of pixels, row by row.
    """
    side = len(down)
    place = jnp.arange(side**2)
    row, column = jnp.divmod(place, side)
    least, most = jnp.minimum(row, column), jnp.maximum(row, column)
    moves = (least > reach) & (most <= side - reach)
    link = jnp.where(moves, place + (side * down + right).reshape(-1), place)
    # A pixel further on has been replaced already: then its own source counts. The last
    # bit says so, and every look doubles the length of the chain that is followed.
    follows = (link > place) & moves.at[link].get(mode="promise_in_bounds")

    def further(links: Array) -> Array:
        there = links.at[links >> 1].get(mode="promise_in_bounds")
        return jnp.where(links & 1 == 1, there, links)

    start = 2 * link + follows
    links = lax.while_loop(lambda links: jnp.any(links & 1 == 1), further, start)
    return links >> 1


def motion_blur(key: RandomKey, image: Image, severity: Severity) -> Image:
    """A one-sided Gaussian along a line at -45 to 45 degrees; see `resampling.streaked`.

    Radius 10, 15, 15, 15, 20 and sigma 3, 5, 8, 12, 15 pixels. CIFAR: 6, 6, 6, 8, 9 and 1
    to 2.5. ImageMagick rounds to whole levels; this does not.
    """
    imagenet = ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15))
    cifar = ((6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5))
    table = published(image, imagenet, cifar)
    radius, sigma = at(severity, table)
    angle = jax.random.uniform(key, minval=-45.0, maxval=45.0)
    longest = int(table[:, 0].max())
    moved = streaked(image, radius, sigma, angle, longest=longest)
    return finished(moved, severity)


IMAGENET_ZOOMS = ((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03))
CIFAR_ZOOMS = ((1.06, 0.01), (1.11, 0.01), (1.16, 0.01), (1.21, 0.01), (1.26, 0.01))


@lru_cache(maxsize=8)
def _zooms(
    size: int, zooms: tuple[tuple[float, float], ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places and shares of every factor of each severity, filled up, and their number."""
    factors = [np.arange(1, stop, step) for stop, step in zooms]
    counts = np.asarray([len(row) for row in factors])
    low = np.zeros((len(zooms), counts.max(), size), np.int32)
    share = np.zeros(low.shape, np.float32)
    for i, row in enumerate(factors):
        for j, factor in enumerate(row):
            low[i, j], share[i, j] = zoom_places(size, float(factor))
    return low, share, counts


def zoom_blur(key: RandomKey, image: Image, severity: Severity) -> Image:
    """Mean of the image and its magnifications from 1 to 1.1, 1.15, 1.2, 1.25, 1.3.

    Steps are 0.01, 0.01, 0.02, 0.02, 0.03. CIFAR: to 1.05, ..., 1.25 by 0.01. Ends are as
    `numpy.arange` rounds them.
    """
    side = side_of(image)
    tables = _zooms(side, CIFAR_ZOOMS if side <= SMALL else IMAGENET_ZOOMS)
    low, share, count = (at(severity, table) for table in tables)

    def add(i: Array, total: Array) -> Array:
        return total + zoomed(image, low[i], share[i])

    # Factor 1 is among the magnifications: the image counts twice.
    total = lax.fori_loop(0, count, add, image)
    return finished(total / (count + 1), severity)
