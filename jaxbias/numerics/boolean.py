"""Boolean functions of n bits as truth tables: inputs, packing, sensitivity, complexity.

A truth table lists the 2^n labels by input, read as a binary number whose first bit is
the most significant: f(0...00), f(0...01), and so on.
"""

import math
from typing import Literal

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Integer, UInt, UInt32

from jaxbias.numerics.lempel_ziv import lz76
from jaxbias.numerics.walsh import inputs_of

Encoding = Literal["zero_one", "signs"]

WORD = 32
"""Bits of a word of a packed truth table."""


def cube(
    bits: int, encoding: Encoding = "zero_one"
) -> Float[np.ndarray, "point position"]:
    """All inputs of n bits, in the order of a truth table.

    Args:
        bits: n, at least 1.
        encoding: Bits as 0 and 1, or as -1 and 1.

    Returns:
        float32 [2^n, n].
    """
    number = np.arange(1 << bits)[:, None]
    values = (number >> np.arange(bits)[None, ::-1]) & 1
    return (values if encoding == "zero_one" else 2 * values - 1).astype(np.float32)


def words(bits: int) -> int:
    """Words of a packed truth table of n bits."""
    return -(-(1 << bits) // WORD)


def pack(labels: Bool[Array, " point"]) -> UInt32[Array, " word"]:
    """A truth table in words of 32 labels, the first in the highest bit.

    Tables of fewer than 32 labels fill a word from the top. Words compare as the
    strings of labels do.
    """
    short = -labels.shape[0] % WORD
    strips = jnp.pad(labels, (0, short)).reshape(-1, WORD).astype(jnp.uint32)
    place = np.arange(WORD, dtype=np.uint32)[::-1]
    return jnp.sum(strips << place[None, :], axis=1, dtype=jnp.uint32)


def unpack(packed: UInt[Array, " word"], points: int) -> Int[Array, " point"]:
    """The labels, int32 0 and 1, that `pack` packed."""
    place = np.arange(WORD, dtype=np.uint32)[::-1]
    strips = (packed[:, None] >> place[None, :]) & 1
    return strips.reshape(-1)[:points].astype(jnp.int32)


def flips(labels: Integer[Array, " point"]) -> Int[Array, ""]:
    """Pairs (input, bit) whose label changes when the bit is flipped, 0 to n 2^n.

    Raises:
        ValueError: If the number of labels is no power of two.
    """
    total = jnp.zeros((), jnp.int32)
    for bit in range(inputs_of(labels.shape[0])):
        pairs = labels.reshape(-1, 2, 1 << bit)
        # Each pair of neighbours is seen from either side.
        changed = jnp.sum(pairs[:, 0] != pairs[:, 1], dtype=jnp.int32)
        total = total + 2 * changed
    return total


def sensitivity(labels: Integer[Array, " point"]) -> Float[Array, ""]:
    """Share of single-bit flips, over all inputs and bits, that change the label.

    0 for a constant, 1/n for one bit's value, 1 for the parity of all, 1/2 on average
    for labels drawn at random. This is the average sensitivity over n.

    Args:
        labels: A truth table of 2^n values 0 or 1.

    Raises:
        ValueError: If the number of labels is no power of two.

    References:
        Bhattamishra et al., Simplicity Bias in Transformers and their Ability to Learn
        Sparse Boolean Functions (ACL 2023).
    """
    size = labels.shape[0]
    return flips(labels).astype(jnp.float32) / (size * inputs_of(size))


def factors(labels: Integer[Array, " symbol"]) -> Int[Array, ""]:
    """LZ76 factors of a string of 0 and 1 plus those of the string reversed.

    A constant gives 2 + 2; `lz_complexity` turns the sum into the complexity.
    """
    return lz76(labels, 2) + lz76(labels[::-1], 2)


def lz_complexity(
    both: Integer[np.ndarray, "*shape"],
    constant: Bool[np.ndarray, "*shape"],
    length: int,
) -> Float[np.ndarray, "*shape"]:
    """The complexity K of binary strings, in bits, from their `factors`.

    K is log2(length) for a constant, else log2(length) times the mean of the factors
    forwards and backwards.

    Args:
        both: `factors` of each string.
        constant: Whether it is all 0 or all 1.
        length: Of the strings, at least 2.

    References:
        Dingle, Camargo and Louis, Input-output maps are strongly biased towards simple
        outputs (2018), read in the code of Valle-Perez et al. (2018).
    """
    return np.where(constant, 1.0, both / 2) * math.log2(length)
