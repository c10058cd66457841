"""What the corruptions of ImageNet-C and ImageNet-C-bar have in common.

A corruption is a pure function of a key, one square image and a severity of 1 to 5, which
may be traced: its constants are looked up, and its shapes do not depend on it. Images are
float, on the scale 0 to 1; so are results. Any other severity gives NaN.

Images of up to 48 pixels take the constants that were published for CIFAR-10 (32 pixels),
larger ones those for ImageNet (224). Lengths are in pixels as published and not scaled,
save those of which it is said.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxbias.arrays import RandomKey

Image: TypeAlias = Float[Array, "height width 3"]
Severity: TypeAlias = Int[Array, ""] | int
Corruption: TypeAlias = Callable[[RandomKey, Image, Severity], Image]

SMALL = 48
"""Images of up to so many pixels take the constants of CIFAR-10."""

SMALLEST = 16
"""Sides below this are refused: kernels would be longer than the image."""


def side_of(image: Image) -> int:
    """The side of an image in pixels.

    Raises:
        ValueError: If it is not square, or has fewer than 16 pixels.
    """
    height, width, _ = image.shape
    if height != width or height < SMALLEST:
        raise ValueError(
            f"corruptions take squares of at least {SMALLEST} pixels, "
            f"got {height} x {width}"
        )
    return height


def published(
    image: Image, imagenet: Sequence[Any], cifar: Sequence[Any]
) -> Float[np.ndarray, "severity *constant"]:
    """The constants that suit the side of an image, one row a severity."""
    return np.asarray(cifar if side_of(image) <= SMALL else imagenet, np.float64)


def at(severity: Severity, table: np.ndarray) -> Array:
    """The row of a table for a severity of 1 to 5; float32 or whole numbers."""
    index = jnp.clip(jnp.asarray(severity) - 1, 0, len(table) - 1)
    floats = np.issubdtype(table.dtype, np.floating)
    return jnp.asarray(table, jnp.float32 if floats else jnp.int32)[index]


def finished(image: Image, severity: Severity) -> Image:
    """Cut to 0 to 1; NaN where the severity is not 1 to 5."""
    severity = jnp.asarray(severity)
    known = (severity >= 1) & (severity <= 5)
    return jnp.where(known, jnp.clip(image, 0.0, 1.0), jnp.nan)
