"""Noise of StyleGAN2's layers: fields with a power law, and such under an envelope."""

from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from jaxbias.arrays import RandomKey
from jaxbias.data.generators.layer_filters import both

Map = Float[Array, "row column"]


def power_law(
    key: RandomKey, exponents: Float[Array, " layer"], sides: list[int]
) -> list[Map]:
    """Normal fields of variance 1 with amplitude 1 / frequency^a and mean 0."""
    # Paper: theirs are looked up among a hundred for each layer.
    found = []
    counts = [2 * side * (side // 2 + 1) for side in sides]
    parts = jnp.split(
        jax.random.normal(key, (sum(counts),)), np.cumsum(counts)[:-1].tolist()
    )
    for i, (part, side) in enumerate(zip(parts, sides, strict=True)):
        logarithm, own = _frequencies(side)
        amplitude = own * jnp.exp(-exponents[i] * logarithm)
        # Columns that are their own mirror images lose half their power, and count once.
        once = np.full((1, side // 2 + 1), 2.0, np.float32)
        once[:, [0, -1]] = 1.0
        power = (once * jnp.square(amplitude)).sum()
        real, imaginary = part.reshape(2, side, side // 2 + 1)
        scale = amplitude * (np.sqrt(2 / once) * side**2 * np.sqrt(0.5))
        spectrum = lax.complex(real, imaginary) * scale.astype(real.dtype)
        field = jnp.fft.irfft2(spectrum, (side, side))
        found.append(field * lax.rsqrt(power))
    return found


@lru_cache(maxsize=16)
def _frequencies(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Logarithms of the frequencies of `rfft2`, and where they are not the mean's."""
    across = np.fft.rfftfreq(side)
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], across)
    own = frequency > 0
    frequency[0, 0] = 1.0
    return np.log(frequency).astype(np.float32), own.astype(np.float32)


def enveloped(
    keys: Array, exponents: Float[Array, " layer"], sides: list[int]
) -> list[Map]:
    """Noise times an envelope: 4 x 4 Laplace numbers, enlarged by Lanczos' filter."""
    envelopes = jax.random.laplace(keys[1], (16 * len(sides),)).reshape(-1, 4, 4)
    found = []
    fields = power_law(keys[0], exponents, sides)
    for field, envelope, side in zip(fields, envelopes, sides, strict=True):
        grow = jnp.asarray(lanczos(side), field.dtype)
        found.append(field * both(grow, envelope, grow))
    return found


@lru_cache(maxsize=16)
def lanczos(side: int) -> Float[np.ndarray, "side 4"]:
    """Enlargement of four pixels with three lobes; weights within the image add up to 1."""
    place = (np.arange(side) + 0.5) * 4 / side - 0.5
    distance = place[:, None] - np.arange(4)
    weight = np.sinc(distance) * np.sinc(distance / 3) * (np.abs(distance) < 3)
    return (weight / weight.sum(1, keepdims=True)).astype(np.float32)
