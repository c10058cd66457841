"""Corruptions of "A Decade's Battle on Dataset Bias" (Liu and He 2024), on the device.

Images are float, NHWC, on the scale 0 to 1; so are results. The paper gives a strength for
each and no operator, and no code was released: what is chosen here is said at each.
"""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxbias.arrays import RandomKey
from jaxbias.data import augmentation
from jaxbias.data.augmentation import Images

Matrix = Float[np.ndarray, "_ _"]
Resized = Float[Array, "image row column channel"]

BAND = 48
"""Rows of a matrix that are multiplied at once: many bands compile slowly."""


def jitter(key: RandomKey, images: Images, strength: float) -> Images:
    """Change brightness, contrast and saturation by factors within `strength` of 1."""
    # Paper: which colours, and by how much, is not said. This is what the number means in
    # timm, on which the authors' training code builds; the hue stays.
    return augmentation.colour_jitter(
        *(key, images),
        brightness_range=strength,
        contrast_range=strength,
        saturation_range=strength,
    )


def gaussian_noise(key: RandomKey, images: Images, sd: float) -> Images:
    """Add normal noise, and cut to 0 to 1."""
    # Paper: the scale is not said; 0.2 and 0.3 of 255 levels could not be seen.
    # Drawn flat: the same numbers, but with channels last twice as slow on a CPU.
    noise = jax.random.normal(key, (images.size,)).reshape(images.shape)
    return jnp.clip(images + sd * noise, 0.0, 1.0)


@partial(jax.jit, static_argnames="radius")
def gaussian_blur(images: Images, radius: float) -> Images:
    """Blur as Pillow's `GaussianBlur`: three boxes whose variances sum to radius^2.

    Pillow rounds to 8 bits six times on the way; results are within three levels of it.
    """
    # Paper: the operator is not said; a radius is what Pillow's takes.
    _, height, width, _ = images.shape
    return _along(images, _blurring(height, radius), _blurring(width, radius))


def _along(images: Images, rows: Matrix, columns: Matrix) -> Resized:
    """Multiply the columns of each image by one matrix, and its rows by another."""
    tall = _banded("Hh,nhwc->nHwc", rows, images, axis=1)
    return _banded("Ww,nhwc->nhWc", columns, tall, axis=2)


def _banded(product: str, matrix: Matrix, images: Array, *, axis: int) -> Array:
    """A product with a matrix that is 0 far from its diagonal, which is left out."""
    parts = []
    for band in np.array_split(matrix, max(1, round(len(matrix) / BAND))):
        used = np.flatnonzero(band.any(0))
        first, last = int(used[0]), int(used[-1]) + 1
        near = jax.lax.slice_in_dim(images, first, last, axis=axis)
        weights = jnp.asarray(band[:, first:last], images.dtype)
        parts.append(jnp.einsum(product, weights, near, precision="highest"))
    return jnp.concatenate(parts, axis=axis)


def _blurring(side: int, radius: float) -> Matrix:
    """Pillow's three boxes along a side; the outermost pixels are repeated."""
    # Gwosdek et al. 2011: a box of whole pixels, and a share of one more at each end.
    variance = radius**2 / 3
    whole = math.floor((math.sqrt(12 * variance + 1) - 1) / 2)
    share = (2 * whole + 1) * (whole * (whole + 1) - 3 * variance)
    share /= 6 * (variance - (whole + 1) ** 2)
    width = 2 * (whole + share) + 1
    box = np.zeros((side, side))
    for offset in range(-whole - 1, whole + 2):
        source = np.clip(np.arange(side) + offset, 0, side - 1)
        weight = share if abs(offset) > whole else 1.0
        np.add.at(box, (np.arange(side), source), weight / width)
    return np.linalg.matrix_power(box, 3)


@partial(jax.jit, static_argnames="side")
def low_resolution(images: Images, side: int) -> Images:
    """Shrink to `side` by `side` and enlarge again, bilinearly.

    The kernel is widened where the image shrinks, as Pillow and torchvision do.

    Raises:
        ValueError: If images are smaller than that.
    """
    # Paper: neither kernel is said, nor whether small images are enlarged again.
    _, height, width, _ = images.shape
    check_resolution(min(height, width), side)
    small = _along(images, _resizing(height, side), _resizing(width, side))
    return _along(small, _resizing(side, height), _resizing(side, width))


def _resizing(old: int, new: int) -> Matrix:
    """Bilinear weights of each old pixel in each new one; those outside count nothing."""
    places = (np.arange(new)[:, None] + 0.5) * old / new - 0.5
    distance = np.abs(np.arange(old)[None] - places) / max(1, old / new)
    weights = np.maximum(0, 1 - distance)
    return weights / weights.sum(1, keepdims=True)


def check_resolution(size: int, side: int) -> None:
    """Raise `ValueError` if images of this size have no more than `side` pixels."""
    if not 1 <= side <= size:
        raise ValueError(f"a resolution of {side} for images of {size} pixels")
