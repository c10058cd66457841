"""The noises of ImageNet-C (Hendrycks and Dietterich 2019), on the device.

See `severities` for what all corruptions share. The stored sets were cut off to whole
levels and saved as JPEG of quality 85, which takes much of the finest noise away; nothing
of that is done here, so accuracies are not those on the stored sets.
"""

import math

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxbias.arrays import RandomKey
from jaxbias.data.severities import Image, Severity, at, finished, published

LARGEST_RATE = 64.0
"""exp(-87) is the smallest number of float32: larger rates are split up."""

UNROLLED = 8
"""Counts that are looked at between two looks whether all pixels are done."""


def gaussian_noise(key: RandomKey, image: Image, severity: Severity) -> Image:
    """Add normal noise of deviation 0.08, 0.12, 0.18, 0.26, 0.38 (CIFAR: 0.04 to 0.1)."""
    table = published(
        image, (0.08, 0.12, 0.18, 0.26, 0.38), (0.04, 0.06, 0.08, 0.09, 0.1)
    )
    return finished(image + at(severity, table) * _normal(key, image), severity)


def speckle_noise(key: RandomKey, image: Image, severity: Severity) -> Image:
    """Add normal noise of deviation 0.15, 0.2, 0.35, 0.45, 0.6 times the pixel itself.

    CIFAR: 0.06 to 0.2.
    """
    table = published(image, (0.15, 0.2, 0.35, 0.45, 0.6), (0.06, 0.1, 0.12, 0.16, 0.2))
    return finished(image * (1 + at(severity, table) * _normal(key, image)), severity)


def _normal(key: RandomKey, image: Image) -> Image:
    # Drawn flat: on a CPU channels last would be twice as slow.
    return jax.random.normal(key, (image.size,)).reshape(image.shape)


def shot_noise(key: RandomKey, image: Image, severity: Severity) -> Image:
    """Count photons: Poisson of 60, 25, 12, 5, 3 at white, over that (CIFAR: 500 to 50).

    Drawn by inversion from uniform numbers of 23 bits.
    """
    table = published(image, (60, 25, 12, 5, 3), (500, 250, 100, 75, 50))
    most = at(severity, table)
    # A sum of Poisson numbers is one.
    parts = math.ceil(table.max() / LARGEST_RATE)
    rates = jnp.tile(image.reshape(-1) * most / parts, parts)
    counts = poisson(key, rates).reshape(parts, -1).sum(0)
    return finished(counts.reshape(image.shape) / most, severity)


def poisson(key: RandomKey, rates: Float[Array, " draw"]) -> Float[Array, " draw"]:
    """Draw Poisson numbers of rates up to 64: the first count whose CDF passes a uniform.

    Ten times as fast on a CPU as `jax.random.poisson`, which rejects until all are done.
    """
    uniform = jax.random.uniform(key, rates.shape)

    def look(state: tuple[Array, ...]) -> tuple[Array, ...]:
        count, chance, below, found = state
        for _ in range(UNROLLED):
            count = count + 1.0
            found = found + (uniform >= below)
            chance = chance * rates / count
            below = below + chance
        return count, chance, below, found

    def unsure(state: tuple[Array, ...]) -> Array:
        count, _, below, _ = state
        # Rounding may leave a CDF below the largest uniform for ever.
        return jnp.any(uniform >= below) & (count < 4 * LARGEST_RATE)

    none = jnp.exp(-rates)
    start = (jnp.float32(0), none, none, jnp.zeros_like(rates))
    return lax.while_loop(unsure, look, start)[-1]


def impulse_noise(key: RandomKey, image: Image, severity: Severity) -> Image:
    """Turn a share of 0.03, 0.06, 0.09, 0.17, 0.27 of all values to 0 or 1, either alike.

    CIFAR: 0.01 to 0.07. Channels are drawn apart.
    """
    table = published(
        image, (0.03, 0.06, 0.09, 0.17, 0.27), (0.01, 0.02, 0.03, 0.05, 0.07)
    )
    share = at(severity, table)
    draw = jax.random.uniform(key, (image.size,)).reshape(image.shape)
    spoilt = jnp.where(draw < share / 2, 0.0, 1.0)
    return finished(jnp.where(draw < share, spoilt, image), severity)
