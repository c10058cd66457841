"""Filters of StyleGAN2's layers: 3 x 3 taps, doubling by [1, 3, 3, 1], averaging areas."""

from functools import lru_cache

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


def both(down: Array, image: Array, across: Array) -> Array:
    """Multiply the columns of images by one matrix and their rows by another."""
    tall = jnp.einsum("Hh,...hw->...Hw", down, image, precision="highest")
    return jnp.einsum("Ww,...hw->...hW", across, tall, precision="highest")


def filtered(taps: Float[Array, "9 *out row column"]) -> Array:
    """Add up what the taps of 3 x 3 kernels give, beyond whose input are zeros."""
    side = taps.shape[-1]
    pad = [(0, 0)] * (taps.ndim - 2) + [(1, 1)] * 2
    wide = jnp.pad(taps, pad)
    total = jnp.zeros_like(taps[0])
    for tap in range(9):
        i, j = divmod(tap, 3)
        total += wide[tap, ..., i : i + side, j : j + side]
    return total


def doubled(taps: Float[Array, "9 *out row column"]) -> Array:
    """The same, of inputs at twice their size."""
    side = taps.shape[-1]
    grow = jnp.asarray(_growth(side)[1], taps.dtype)
    taps = taps.reshape(3, 3, *taps.shape[1:])
    across = jnp.einsum("jWw,ij...hw->i...hW", grow, taps, precision="highest")
    return jnp.einsum("iHh,i...hW->...HW", grow, across, precision="highest")


def grown(picture: Array) -> tuple[Array, Array, Array]:
    grow = jnp.asarray(_growth(picture.shape[-1])[0], picture.dtype)
    return grow, picture, grow


@lru_cache(maxsize=16)
def _growth(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Doubling of a side: zeros between pixels, and [1, 3, 3, 1] / 4.

    Returns:
        The matrix of it, and those for the three taps of a filter that comes after.
    """
    new, old = np.arange(-1, 2 * side + 1)[:, None], np.arange(side)
    # Pixel m counts at 2m - 1 to 2m + 2 of the new ones.
    place = new - 2 * old + 1
    weight = np.array([1, 3, 3, 1]) / 4
    whole = np.where((place >= 0) & (place < 4), weight[np.clip(place, 0, 3)], 0.0)
    taps = np.stack([whole[i : i + 2 * side] for i in range(3)])
    return taps[1].astype(np.float32), taps.astype(np.float32)


@lru_cache(maxsize=16)
def area(old: int, new: int) -> Float[np.ndarray, "new old"]:
    """Mean over the part of the old pixels that each new one covers."""
    edges = np.arange(new + 1) * old / new
    pixels = np.arange(old)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(
        edges[:-1, None], pixels
    )
    return (np.clip(overlap, 0, None) * new / old).astype(np.float32)
