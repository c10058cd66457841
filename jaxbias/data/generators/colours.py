"""Random colours of images: those of a picture with a few flat ones (Baradad 2021)."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from jaxbias.arrays import RandomKey
from jaxbias.numerics import histograms

COLOURS = 3, 22
"""Least and most of a picture."""

GREATEST = 256.0
"""Of the values of pixels."""

BINS = 256
"""Of the histograms."""

Fields = Float[Array, "field size size"]


class Palette(NamedTuple):
    """Which colours there are, as three fields that are not correlated.

    Attributes:
        mean: Red, green and blue.
        axes: What each field adds to them: principal components, of length 1, from that of
            most variance to that of least.
        quantiles: Of each field, at `histograms.probabilities()`.
    """

    mean: Float[Array, "3"]
    axes: Float[Array, "3 3"]
    quantiles: Float[Array, "3 knot"]


def palette(key: RandomKey, size: int) -> Palette:
    """Draw that of a picture.

    Args:
        key: Random key.
        size: Side of the picture; a smaller one is blurred as many pixels wide.
    """
    picture_key, sign_key = jax.random.split(key)
    drawn = picture(picture_key, size)
    mean = drawn.mean(1)
    centred = drawn - mean[:, None]
    products = jnp.dot(centred, centred.T, precision=lax.Precision.HIGHEST)
    _, vectors = jnp.linalg.eigh(products)
    axes = vectors.T[::-1]
    # Which way they point is left to chance, not to the library.
    signs = jax.random.rademacher(sign_key, (3, 1), jnp.float32)
    axes = axes * signs * jnp.where(axes[:, :1] < 0, -1, 1)
    fields = jnp.dot(axes, centred, precision=lax.Precision.HIGHEST)
    return Palette(mean, axes, histograms.quantiles(fields, BINS))


def picture(key: RandomKey, size: int) -> Float[Array, "3 pixel"]:
    """Draw colours one below the other, blurred, with a little noise; from 0 to 256."""
    keys = jax.random.split(key, 5)
    least, most = COLOURS
    count = jax.random.randint(keys[0], (), least, most + 1)
    share = 0.001 + jax.random.uniform(keys[1], (most,))
    edges = jnp.cumsum(jnp.where(jnp.arange(most) < count, share, 0))
    # Paper: pixels of each colour are multinomial; these are their expected numbers.
    place = (jnp.arange(size**2) + 0.5)[:, None] * (edges[-1] / size**2)
    number = jnp.sum(place > edges[None, :-1], axis=1)
    known = jax.random.uniform(keys[2], (3 * most,), maxval=GREATEST)
    flat = known.reshape(3, most)[:, number].reshape(3, size, size)
    width = jax.random.randint(keys[3], (), 1, 11)
    smooth = blurred(flat, width).reshape(3, -1)
    noise = jax.random.uniform(keys[4], (3 * size**2,), maxval=10.0)
    noisy = smooth + noise.reshape(3, -1)
    low, high = noisy.min(), noisy.max()
    return GREATEST * (noisy - low) / (high - low)


def blurred(fields: Fields, width: Int[Array, ""]) -> Fields:
    """Mean over squares so many pixels wide; what is outside of the image is 0."""
    size = fields.shape[1]
    places = jnp.arange(size)
    away = places[None] - places[:, None] + (width - 1) // 2
    weights = jnp.where((away >= 0) & (away < width), 1 / width, 0)
    across = jnp.einsum("fyx,ox->fyo", fields, weights, precision="highest")
    return jnp.einsum("fyx,oy->fox", across, weights, precision="highest")
