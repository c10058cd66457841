"""Noise in colour: Perlin's, and that of a power law of frequency.

A class is a law of three fields, which colours they stand for and how bright they are;
images of a class are other draws of the fields. On one core an image of 32, 64 and 128
pixels takes 0.4, 0.7 and 1.7 ms as Perlin's noise, and 0.1, 0.3 and 0.8 ms as
coloured noise.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from jaxbias.arrays import RandomKey

Field = Float[Array, "row column"]
Scalar = Float[Array, ""]


@dataclass(frozen=True, kw_only=True)
class Config:
    """What noise is drawn with. Pairs are the least and the greatest value.

    Attributes:
        size: Side in pixels.
        kind: "perlin" or "coloured".
        cells: Of the coarsest octave of Perlin's noise, along a side; the logarithm is
            uniform, and that across is not that down.
        octaves: Each has twice as many cells as the one before it. From the second on,
            those are left out whose cells have less than two pixels.
        persistence: Ratio of an octave's amplitude to that of the one before it.
        exponent: a of the amplitude 1 / frequency^a of coloured noise: white at 0, and
            like that of photographs at 1.
    """

    size: int
    kind: Literal["perlin", "coloured"] = "perlin"
    cells: tuple[float, float] = (2.0, 12.0)
    octaves: int = 4
    persistence: tuple[float, float] = (0.3, 0.8)
    exponent: tuple[float, float] = (0.0, 2.0)


class Code(NamedTuple):
    """A law of images.

    Attributes:
        law: Of Perlin's noise, cells across and down, and persistence; of coloured noise,
            the exponent.
        mean: Red, green and blue.
        axes: What each of the three fields, of standard deviation 1, adds to them.
    """

    law: Float[Array, " number"]
    mean: Float[Array, "3"]
    axes: Float[Array, "field 3"]


def code(key: RandomKey, config: Config) -> Code:
    """Draw a law: much of one random colour, little of two more."""
    law_key, mean_key, axis_key, size_key = jax.random.split(key, 4)
    low, high = _limits(config)
    law = jax.random.uniform(law_key, low.shape, minval=low, maxval=high)
    if config.kind == "perlin":
        law = law.at[:2].set(jnp.exp(law[:2]))
    axes = jax.random.normal(axis_key, (9,)).reshape(3, 3)
    axes = axes / jnp.sqrt(jnp.sum(axes**2, axis=1, keepdims=True))
    spread = jax.random.uniform(size_key, (3,), minval=0.5)[:, None]
    spread = spread * np.asarray([[0.35], [0.15], [0.08]], np.float32)
    mean = jax.random.uniform(mean_key, (3,), minval=0.3, maxval=0.7)
    return Code(law, mean, spread * axes)


def draw(
    key: RandomKey, code: Code, config: Config
) -> Float[Array, "{config.size} {config.size} 3"]:
    """Draw one image, cut to 0 to 1."""
    if config.kind == "perlin":
        law = code.law[:2], code.law[2], config
        one = lambda n: perlin(jax.random.fold_in(key, n), config.size, *law)  # noqa: E731
        fields = lax.map(one, jnp.arange(3))
    else:
        fields = coloured(key, config.size, code.law[0], 3)
    image = jnp.einsum("fyx,fc->yxc", fields, code.axes, precision="highest")
    return jnp.clip(code.mean[None, None] + image, 0, 1)


def parameters(code: Code, config: Config) -> Float[Array, " parameter"]:
    """The law from 0 to 1 within its limits, the colours."""
    low, high = _limits(config)
    law = code.law
    if config.kind == "perlin":
        law = law.at[:2].set(jnp.log(law[:2]))
    share = (law - low) / jnp.maximum(high - low, 1e-6)
    return jnp.concatenate([share, code.mean, code.axes.ravel()])


def _limits(config: Config) -> Float[np.ndarray, "2 number"]:
    """Least and greatest numbers of a law, of cells the logarithms."""
    if config.kind == "coloured":
        return np.asarray(config.exponent, np.float32)[:, None]
    cells = np.log(config.cells)
    return np.stack([cells, cells, config.persistence], axis=1).astype(np.float32)


def perlin(
    key: RandomKey,
    size: int,
    cells: Float[Array, "2"],
    persistence: Scalar,
    config: Config,
) -> Field:
    """Octaves of Perlin's noise (1985), at mean 0 and standard deviation 1.

    `random_fields.gradient_noise` has cells that are known when it is compiled.

    Args:
        key: Random key.
        size: Side in pixels.
        cells: Across and down, along a side, of the first octave.
        persistence: Ratio of each octave's amplitude to that of the one before it.
        config: Of which the octaves and the most cells count.
    """
    total = jnp.zeros((size, size))
    for octave, one in enumerate(jax.random.split(key, config.octaves)):
        finer = 2.0**octave
        # Cells of less than two pixels are not seen.
        most = max(config.cells[1], min(config.cells[1] * finer, size / 2))
        noise = _gradient_noise(one, size, cells * finer, int(most) + 3)
        seen = (octave == 0) | ((cells * finer).max() <= size / 2)
        total += jnp.where(seen, persistence**octave, 0.0) * noise
    return _standard(total[None])[0]


def _gradient_noise(
    key: RandomKey, size: int, cells: Float[Array, "2"], nodes: int
) -> Field:
    """0 at the nodes of a lattice, with random slopes; from a random place in a cell."""
    place_key, slope_key = jax.random.split(key)
    begin = jax.random.uniform(place_key, (2, 1))
    pixels = (np.arange(size, dtype=np.float32) / size)[None]
    places = (begin + cells[:, None] * pixels)[..., None]
    distance = places - np.arange(nodes, dtype=np.float32)[None, None]
    near = jnp.clip(1 - jnp.abs(distance), 0, None)
    weight = near**2 * (3 - 2 * near)
    angle = jax.random.uniform(slope_key, (nodes**2,), maxval=2 * np.pi)
    angle = angle.reshape(nodes, nodes)
    across, down = jnp.cos(angle), jnp.sin(angle)
    (right, below), (far_right, far_below) = weight, weight * distance
    product = lambda a, b, c: jnp.linalg.multi_dot(  # noqa: E731
        [a, b, c.T], precision=lax.Precision.HIGHEST
    )
    return product(below, across, far_right) + product(far_below, down, right)


def coloured(
    key: RandomKey, size: int, exponent: Scalar, count: int
) -> Float[Array, "{count} {size} {size}"]:
    """Noise of amplitude 1 / frequency^exponent on a torus, at mean 0 and deviation 1."""
    down = np.fft.fftfreq(size, 1 / size)[:, None]
    across = np.fft.rfftfreq(size, 1 / size)[None]
    frequency = np.hypot(down, across)
    frequency[0, 0] = 1.0
    octaves = np.log(frequency).astype(np.float32)
    amplitude = jnp.exp(-exponent * octaves).at[0, 0].set(0.0)
    white = jax.random.normal(key, (count * size**2,)).reshape(count, size, size)
    spectrum = amplitude[None] * jnp.fft.rfft2(white)
    return _standard(jnp.fft.irfft2(spectrum, (size, size)))


def _standard(
    fields: Float[Array, "field row column"],
) -> Float[Array, "field row column"]:
    fields = fields - fields.mean((1, 2), keepdims=True)
    return fields / jnp.std(fields, axis=(1, 2), keepdims=True)
