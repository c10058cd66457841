"""The task: integers in [0, N), and whether their sum is small modulo M."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxbias.arrays import RandomKey


def place(key: RandomKey, count: int, most: int) -> Int[Array, " point"]:
    """Numbers of at most so many of `count` points, in random order."""
    return jax.random.permutation(key, count)[:most]


def digits(number: Int[Array, " point"], base: int, dimension: int) -> Array:
    """The integer vectors of numbered points of [0, base)^dimension."""
    powers = jnp.asarray([base**axis for axis in range(dimension)], jnp.int32)
    return number[:, None] // powers[None] % base


def labels(
    integers: Int[Array, "point dimension"], modulus: Int[Array, ""] | int
) -> Bool[Array, " point"]:
    """Whether (sum of a point's entries) mod M <= M / 2 (section 4.1)."""
    return 2 * (jnp.sum(integers, axis=1) % modulus) <= modulus


def inputs(
    integers: Int[Array, "point dimension"], base: int, scale: Array | float
) -> Float[Array, "point dimension"]:
    """Integers as a network sees them: [0, base - 1] mapped to [-scale, scale]."""
    return (2 * integers.astype(jnp.float32) / (base - 1) - 1) * scale


def majority(labels: Bool[Array, " point"]) -> Float[Array, ""]:
    """Share of the more frequent label: what a constant guess gets right."""
    share = jnp.mean(labels.astype(jnp.float32))
    return jnp.maximum(share, 1 - share)
