"""Regular grids on the cube [-1, 1]^d, and random planes through it."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxbias.arrays import RandomKey

NODES = ("equispaced", "chebyshev")


def axis(resolution: int, nodes: str = "equispaced") -> np.ndarray:
    """Coordinates along one axis of a grid, in [-1, 1], ascending, in float64.

    Args:
        resolution: Number of points, at least 2.
        nodes: "equispaced" (end points included, as in the paper) or "chebyshev" (the
            zeros of T_resolution, on which polynomials of any degree are well
            conditioned).

    Raises:
        ValueError: If the resolution is below 2 or the nodes are unknown.
    """
    if resolution < 2:
        raise ValueError(f"resolution must be at least 2, got {resolution}")
    if nodes == "equispaced":
        return np.linspace(-1.0, 1.0, resolution)
    if nodes == "chebyshev":
        return -np.cos(np.pi * (np.arange(resolution) + 0.5) / resolution)
    raise ValueError(f"nodes must be one of {NODES}, got {nodes!r}")


def grid(
    resolution: int, dimension: int = 2, nodes: str = "equispaced"
) -> Float[Array, "*axes dimension"]:
    """All points of a regular grid: axis i of the result runs along coordinate i."""
    line = axis(resolution, nodes)
    points = np.stack(np.meshgrid(*[line] * dimension, indexing="ij"), axis=-1)
    return jnp.asarray(points, jnp.float32)


def random_planes(
    key: RandomKey,
    count: int,
    resolution: int,
    dimension: int,
    nodes: str = "equispaced",
) -> Float[Array, "plane row column dimension"]:
    """Square grids in random planes through the centre of [-1, 1]^d.

    Each plane is spanned by two random orthonormal directions. A plane's square is the
    largest that stays within the cube whatever the directions, |u| and |v| <= 1 in units
    of 1/sqrt(2) of the cube's inner radius, so no point leaves the ball of radius 1.

    Raises:
        ValueError: If the dimension is below 2.
    """
    if dimension < 2:
        raise ValueError(f"a plane needs a dimension of at least 2, got {dimension}")
    normal = jax.random.normal(key, (count, dimension, 2))
    directions, _ = jnp.linalg.qr(normal)
    line = jnp.asarray(axis(resolution, nodes) / math.sqrt(2), jnp.float32)
    first = line[None, :, None, None] * directions[:, None, None, :, 0]
    second = line[None, None, :, None] * directions[:, None, None, :, 1]
    return first + second
