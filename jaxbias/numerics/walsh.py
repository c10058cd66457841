"""Fourier analysis on the Boolean cube: the Walsh-Hadamard transform and its degrees."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Integer, Shaped


def inputs_of(points: int) -> int:
    """The number of bits n of 2^n points.

    Raises:
        ValueError: If `points` is no power of two, or below 2.
    """
    bits = points.bit_length() - 1
    if bits < 1 or points != 1 << bits:
        raise ValueError(f"a function of n bits has 2^n values, n >= 1; got {points}")
    return bits


def degrees(bits: int) -> Int[np.ndarray, " subset"]:
    """How many of the n bits each of the 2^n subsets holds, in the transform's order."""
    subset = np.arange(1 << bits)
    return sum(((subset >> bit) & 1 for bit in range(bits)), np.zeros_like(subset))


def transform(values: Shaped[Array, " point"]) -> Shaped[Array, " subset"]:
    """Sums of a function against every parity, the fast Walsh-Hadamard transform.

    Entry S is the sum over x of values[x] (-1)^(number of bits in x and S), S being a
    bit mask as x is; divided by 2^n it is the Fourier coefficient of subset S. Takes
    n 2^n additions, and is exact for integers.

    Args:
        values: 2^n numbers, n >= 1, of any type that adds; x is the index in binary.

    Raises:
        ValueError: If their number is no power of two.
    """
    size = values.shape[0]
    for bit in range(inputs_of(size)):
        pairs = values.reshape(-1, 2, 1 << bit)
        first, second = pairs[:, 0], pairs[:, 1]
        values = jnp.stack([first + second, first - second], axis=1)
    return values.reshape(size)


def weights(labels: Integer[Array, " point"]) -> Int[Array, " degree"]:
    """Fourier weight of a Boolean function at each degree 0 to n, times 4^n.

    Args:
        labels: 2^n values 0 or 1, n at most 15; they are read as +1 and -1.

    Returns:
        int32, exact; the sum is 4^n (Parseval). A constant has all of it at degree 0,
        the parity of all bits at degree n. The mean degree under these weights is the
        total influence, n times `boolean.sensitivity`.

    Raises:
        ValueError: If their number is no power of two, or over 2^15.
    """
    bits = inputs_of(labels.shape[0])
    if bits > 15:
        raise ValueError(f"4^n must fit 31 bits, got n = {bits}")
    signs = 1 - 2 * labels.astype(jnp.int32)
    members = degrees(bits)[None, :] == np.arange(bits + 1)[:, None]
    squares = transform(signs) ** 2
    return jnp.sum(jnp.where(members, squares[None, :], 0), axis=1)


def mean_degree(values: Float[Array, " point"]) -> Float[Array, ""]:
    """Mean degree of a function on the Boolean cube, weighted by squared coefficients.

    The mean is left out, so that shift and scale do not count. A sum of single bits reads
    1 (so does a linear function of the number that bits are the digits of), a parity of k
    bits k, white noise half the bits. It is the total influence over the variance:
    how much single bits decide, as `boolean.sensitivity` is for labels.

    Args:
        values: 2^n numbers, n >= 1; x is the index in binary. NaN for a constant.

    Raises:
        ValueError: If their number is no power of two.
    """
    degree = degrees(inputs_of(values.shape[0])).astype(np.float32)
    power = transform(values - jnp.mean(values)) ** 2
    return jnp.sum(degree * power) / jnp.sum(jnp.where(degree > 0, power, 0.0))
