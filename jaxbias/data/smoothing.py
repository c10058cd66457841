"""Smoothing of an image's views: all over (Gaussian), or not across edges (bilateral)."""

from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxbias.arrays import RandomKey

Image = Float[Array, "height width channel"]

Smoothing = Literal["none", "blur", "bilateral"]
"""none; blur: Gaussian, of a deviation that is drawn; bilateral: edges stay."""

REACH = 4
"""Pixels to each side: kernels have nine by nine."""

BLUR = (0.1, 2.0)
"""Range of the Gaussian's standard deviation, in pixels (Chen et al. 2020)."""

COLOUR = 125 / 255
"""Standard deviation over colours, on the scale 0 to 1."""

SPACE = 125.0
"""Over pixels: nearly a disk (Benarous et al. 2023, released code: 9, 125, 125)."""


def _wide(image: Image) -> Array:
    """With mirrored margins, as OpenCV and torchvision have them."""
    return jnp.pad(image, ((REACH, REACH), (REACH, REACH), (0, 0)), mode="reflect")


def gaussian(image: Image, deviation: Float[Array, ""] | float) -> Image:
    """Blur by a Gaussian on nine by nine pixels; the deviation may be traced.

    torchvision's `GaussianBlur(9)`.

    Args:
        image: At least five pixels along each side.
        deviation: Of the Gaussian, in pixels, above 0.
    """
    steps = jnp.arange(-REACH, REACH + 1, dtype=jnp.float32)
    weights = jnp.exp(-((steps / deviation) ** 2) / 2)
    weights = weights / jnp.sum(weights)
    height, width, _ = image.shape
    found = _wide(image)
    found = jnp.sum(
        jnp.stack([w * found[i : i + height] for i, w in enumerate(weights)]), axis=0
    )
    return jnp.sum(
        jnp.stack([w * found[:, i : i + width] for i, w in enumerate(weights)]), axis=0
    )


def bilateral(image: Image, *, colour: float = COLOUR, space: float = SPACE) -> Image:
    """Mean over near pixels of like colour: textures go, edges stay.

    OpenCV's `bilateralFilter(9)`: pixels within a disk; colours are apart by the sum over
    channels of their differences.

    Args:
        image: On the scale 0 to 1, at least five pixels along each side.
        colour: Standard deviation over differences of colour.
        space: Over distances, in pixels.
    """
    wide = _wide(image)
    height, width, _ = image.shape
    reach = range(-REACH, REACH + 1)
    offsets = [(y, x) for y in reach for x in reach if y * y + x * x <= REACH**2]

    def added(
        sums: tuple[Array, Array], offset: Array
    ) -> tuple[tuple[Array, Array], None]:
        place = offset + REACH
        near = jax.lax.dynamic_slice(
            wide, (place[0], place[1], 0), (height, width, image.shape[2])
        )
        apart = jnp.sum(jnp.abs(near - image), axis=-1, keepdims=True) / colour
        away = jnp.sum(offset.astype(jnp.float32) ** 2) / space**2
        weight = jnp.exp(-(apart**2 + away) / 2)
        return (sums[0] + weight * near, sums[1] + weight), None

    start = jnp.zeros_like(image), jnp.zeros_like(image[..., :1])
    (found, weight), _ = jax.lax.scan(added, start, jnp.asarray(np.asarray(offsets)))
    return found / weight


def smooth(key: RandomKey, image: Image, how: Smoothing) -> Image:
    """Smooth an image in one of the ways.

    Args:
        key: Of the blur's deviation, uniform in `BLUR`.
        image: On the scale 0 to 1.
        how: Static.
    """
    if how == "blur":
        low, high = BLUR
        return gaussian(image, jax.random.uniform(key, minval=low, maxval=high))
    return bilateral(image) if how == "bilateral" else image
