"""Distinct functions, how often each was found, and what they are like."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int, UInt32

from jaxbias import sweeps
from jaxbias.numerics import boolean, walsh
from jaxbias.terminal import Progress

PIECE = 4096
"""Functions to measure at once on each device."""

EXACT = ("factors", "flips", "ones")
"""The integers measured of a function, before its Fourier weights by degree."""


@dataclass(frozen=True)
class Tally:
    """Distinct functions, the most frequent first, ties in the order of their strings.

    Attributes:
        functions: Packed truth tables.
        counts: Networks that computed each.
    """

    functions: UInt32[np.ndarray, "function word"]
    counts: Int[np.ndarray, " function"]


def tally(packed: UInt32[np.ndarray, "network word"]) -> Tally:
    """Count equal truth tables, exactly."""
    if not len(packed):
        return Tally(packed, np.zeros(0, np.int64))
    if packed.shape[1] % 2:
        keys = packed.astype(np.uint64)
    else:
        # Half as many keys to sort by.
        keys = packed[:, ::2].astype(np.uint64) << np.uint64(32) | packed[:, 1::2]
    # The last key is the first to sort by.
    order = np.lexsort(keys.T[::-1])
    new = np.ones(len(order), bool)
    new[1:] = (keys[order[1:]] != keys[order[:-1]]).any(axis=1)
    first = np.flatnonzero(new)
    counts = np.diff(np.append(first, len(order)))
    ranked = np.argsort(-counts, kind="stable")
    return Tally(packed[order[first[ranked]]], counts[ranked])


@dataclass(frozen=True)
class Measured:
    """What the functions of a tally are like, an entry each; integers are exact.

    Attributes:
        complexity: K by LZ76, see `boolean.lz_complexity`.
        sensitivity: Share of single-bit flips that change the label.
        ones: Inputs with label 1.
        weights: Fourier weight at each degree, of 1 in all.
    """

    complexity: Float[np.ndarray, " function"]
    sensitivity: Float[np.ndarray, " function"]
    ones: Int[np.ndarray, " function"]
    weights: Float[np.ndarray, "function degree"]

    @property
    def constant(self) -> np.ndarray:
        return self.sensitivity == 0


@lru_cache(maxsize=4)
def _programs(bits: int, mesh: Mesh) -> tuple[Callable, Callable]:
    """From packed tables to the integers of `EXACT` and the weights; and to a column."""

    def one(packed: Array) -> Array:
        labels = boolean.unpack(packed, 1 << bits)
        found = (boolean.factors(labels), boolean.flips(labels), jnp.sum(labels))
        return jnp.concatenate([jnp.stack(found), walsh.weights(labels)])

    measured = sweeps.spread(lambda packed: jax.vmap(one)(packed), mesh)
    return measured, sweeps.spread(lambda found: {"exact": found}, mesh)


def measure(
    tallies: list[Tally],
    bits: int,
    mesh: Mesh,
    *,
    progress: Progress | None = None,
) -> list[Measured]:
    """Measure every distinct function, on the device."""
    program, finish = _programs(bits, mesh)
    blocks = [
        sweeps.Block(
            name="functions",
            evaluate=lambda inputs: program(inputs["packed"]),
            finish=finish,
            inputs={"packed": one.functions},
            piece=PIECE * mesh.size,
        )
        for one in tallies
    ]
    exact = sweeps.sweep(blocks, mesh, progress=progress)["exact"]
    sizes = np.cumsum([len(one.counts) for one in tallies])[:-1]
    return [_measured(part, bits) for part in np.split(exact, sizes)]


def _measured(exact: np.ndarray, bits: int) -> Measured:
    both, flips, ones = exact[:, : len(EXACT)].T
    points = 1 << bits
    return Measured(
        complexity=boolean.lz_complexity(both, flips == 0, points),
        sensitivity=flips / (bits * points),
        ones=ones,
        weights=exact[:, len(EXACT) :] / points**2,
    )


def hexadecimal(functions: UInt32[np.ndarray, "function word"], bits: int) -> list[str]:
    """Truth tables as hexadecimal strings, the first label in the highest bit."""
    digits = max(1, (1 << bits) // 4)
    rows = functions.astype(">u4")
    return [row.tobytes().hex()[:digits] for row in rows]
