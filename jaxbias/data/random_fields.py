"""Random textures: plasma by diamond-square, gradient noise, noise of a given spectrum."""

from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from jaxbias.arrays import RandomKey

Field = Float[Array, "row column"]


def diamond_square(key: RandomKey, size: int, decay: Float[Array, ""] | float) -> Field:
    """A plasma fractal on a torus, stretched to 0 to 1 (Fournier et al. 1982).

    The grid starts with one point and doubles until it has `size` points each way, rounded
    up to a power of two; of a larger one the upper left corner is returned, so that its
    range may be smaller. New points are means of the four around them plus uniform noise,
    whose amplitude falls by `decay`^2 each time.
    """
    levels = (size - 1).bit_length()
    draws = jax.random.uniform(key, (4**levels - 1,), minval=-1.0)
    grid = jnp.zeros((1, 1))
    for level in range(levels):
        count = len(grid)
        first, last = count**2 - 1, 4 * count**2 - 1
        # Of whatever size at first: the field is stretched.
        noise = draws[first:last].reshape(3, count, count) * decay ** (-2.0 * level)
        below, right = jnp.roll(grid, -1, 0), jnp.roll(grid, -1, 1)
        middle = (grid + below + right + jnp.roll(below, -1, 1)) / 4 + noise[0]
        across = (grid + right + middle + jnp.roll(middle, 1, 0)) / 4 + noise[1]
        down = (grid + below + middle + jnp.roll(middle, 1, 1)) / 4 + noise[2]
        upper = jnp.stack([grid, across], axis=-1).reshape(count, 2 * count)
        lower = jnp.stack([down, middle], axis=-1).reshape(count, 2 * count)
        grid = jnp.stack([upper, lower], axis=1).reshape(2 * count, 2 * count)
        # XLA would compute each level again within the next, and compile for seconds.
        grid = lax.optimization_barrier(grid)
    low, high = grid.min(), grid.max()
    return ((grid - low) / (high - low))[:size, :size]


@lru_cache(maxsize=32)
def _lattice(
    size: int, cell: float
) -> tuple[Float[np.ndarray, "size node"], Float[np.ndarray, "size node"]]:
    """Weight of each node in each pixel along one side, and that times the distance."""
    places = np.arange(size) / cell
    nodes = np.arange(int(places[-1]) + 2)
    distance = places[:, None] - nodes
    near = np.clip(1 - np.abs(distance), 0, None)
    weight = near**2 * (3 - 2 * near)
    return weight.astype(np.float32), (weight * distance).astype(np.float32)


def gradient_noise(key: RandomKey, size: int, cell: float) -> Field:
    """Perlin's noise (1985), times 1.5: 0 at the nodes of a lattice, with random slopes.

    Slopes are unit vectors towards uniform points of a square, as in his first code. They
    are drawn for each node, where he looks up 256 of them by a hash.

    Args:
        key: Random key.
        size: Side in pixels.
        cell: Pixels from node to node.
    """
    weight, distance = (jnp.asarray(x) for x in _lattice(size, cell))
    nodes = weight.shape[1]
    slopes = jax.random.uniform(key, (2 * nodes**2,), minval=-1.0)
    slopes = slopes.reshape(2, nodes, nodes)
    down, across = slopes / jnp.sqrt(jnp.sum(slopes**2, axis=0, keepdims=True))
    product = lambda a, b, c: jnp.linalg.multi_dot(  # noqa: E731
        [a, b, c.T], precision=lax.Precision.HIGHEST
    )
    return 1.5 * (product(distance, down, weight) + product(weight, across, distance))


def turbulence(key: RandomKey, size: int, cell: float, octaves: int) -> Field:
    """Sum of |gradient noise| over octaves f = 1, 2, 4, ...: cells and sizes are over f."""
    total = jnp.zeros((size, size))
    for octave, one in enumerate(jax.random.split(key, octaves)):
        noise = gradient_noise(one, size, cell / 2**octave)
        total += jnp.abs(noise) / 2**octave
    return total


def spectral_noise(
    key: RandomKey, amplitude: Float[np.ndarray, "row column"], count: int
) -> Float[Array, "row column field"]:
    """Real parts of inverse transforms with random phases, at standard deviation 1.

    Args:
        key: Random key.
        amplitude: Of each coefficient of a square, the frequency 0 in the middle.
        count: Fields to draw.
    """
    # As ImageNet-C-bar has it, phases are the same upside down about the square's centre,
    # half a coefficient beside frequency 0. The spectrum is not Hermitian.
    size = amplitude.shape[0]
    half = jax.random.uniform(key, (count * (size**2 // 2),), maxval=2 * np.pi)
    half = half.reshape(count, -1)
    middle = jnp.zeros((count, size % 2))
    phases = jnp.concatenate([half, middle, half[:, ::-1]], axis=1)
    phases = phases.reshape(count, size, size)
    spectrum = amplitude[None] * lax.complex(jnp.cos(phases), jnp.sin(phases))
    spectrum = jnp.roll(spectrum, (size // 2, size // 2), axis=(1, 2))
    fields = jnp.fft.ifft2(spectrum).real
    fields = fields / jnp.std(fields, axis=(1, 2), keepdims=True)
    return jnp.moveaxis(fields, 0, -1)


def from_centre(size: int) -> Float[np.ndarray, "size size"]:
    """Distance of each coefficient from the middle of a centred spectrum."""
    line = np.arange(size) - size / 2
    return np.hypot(line[:, None], line[None]).astype(np.float32)
