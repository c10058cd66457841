"""Rank correlations of many columns at once, under `jit`: resampled and permuted.

Resamples give intervals, permutations how often luck alone gives a correlation as
large.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from jaxbias.arrays import RandomKey

ROUNDING = 1e-5
"""Correlations that are nearer than this are one."""

AT_ONCE = 64
"""Resamples that are ranked at once: their comparisons stay in cache."""


def ranks(values: Float[Array, "sample column"]) -> Float[Array, "sample column"]:
    """Ranks from 1 within each column, ties at their mean rank."""
    below = values[:, None] > values[None, :]
    same = values[:, None] == values[None, :]
    counted = jnp.sum(below, axis=1) + 0.5 * (jnp.sum(same, axis=1) + 1)
    return counted.astype(jnp.float32)


def _units(values: Float[Array, "sample column"]) -> Float[Array, "sample column"]:
    """Ranks less their mean, of length 1; NaN for a column of one value."""
    found = ranks(values)
    found = found - jnp.mean(found, axis=0, keepdims=True)
    return found / jnp.linalg.norm(found, axis=0, keepdims=True)


def _products(x: Array, y: Array) -> Float[Array, "first second"]:
    return jnp.matmul(x.T, y, precision=lax.Precision.HIGHEST)


def spearman(
    x: Float[Array, "sample first"], y: Float[Array, "sample second"]
) -> Float[Array, "first second"]:
    """Spearman's rank correlation of every column of x with every column of y.

    NaN where a column has one value alone.
    """
    return _products(_units(x), _units(y))


@partial(jax.jit, static_argnames="resamples")
def bootstrapped(
    x: Float[Array, "sample first"],
    y: Float[Array, "sample second"],
    key: RandomKey,
    *,
    resamples: int,
) -> Float[Array, "resample first second"]:
    """Rank correlations of resamples of whole rows, drawn with replacement.

    Ranks are those within each resample; all columns share its rows. NaN where a resample
    has one value alone.
    """
    count = x.shape[0]

    def one(key: RandomKey) -> Array:
        rows = jax.random.randint(key, (count,), 0, count)
        return spearman(x[rows], y[rows])

    return lax.map(one, jax.random.split(key, resamples), batch_size=AT_ONCE)


class Chance(NamedTuple):
    """How often shuffles are correlated as much as what is there; NaN of a constant.

    Attributes:
        either: So far from 0.
        rising: So high.
    """

    either: Float[np.ndarray, "first second"]
    rising: Float[np.ndarray, "first second"]


def chance(
    x: Float[Array, "sample first"],
    y: Float[Array, "sample second"],
    key: RandomKey,
    *,
    permutations: int,
) -> Chance:
    """Permutation tests of every column of x with every column of y; see `permuted`."""
    found = np.asarray(permuted(x, y, key, permutations=permutations))
    here = np.asarray(spearman(x, y))

    def p(found: np.ndarray, here: np.ndarray) -> np.ndarray:
        # Ties of rounding count as equal: the test then never promises too much.
        beyond = (found >= here - ROUNDING).sum(axis=0)
        return np.where(np.isnan(here), np.nan, (beyond + 1) / (permutations + 1))

    return Chance(p(np.abs(found), np.abs(here)), p(found, here))


@partial(jax.jit, static_argnames="permutations")
def permuted(
    x: Float[Array, "sample first"],
    y: Float[Array, "sample second"],
    key: RandomKey,
    *,
    permutations: int,
) -> Float[Array, "permutation first second"]:
    """Rank correlations where the rows of x are shuffled: what chance alone gives."""
    first, second = _units(x), _units(y)

    def one(key: RandomKey) -> Array:
        return _products(first[jax.random.permutation(key, x.shape[0])], second)

    return lax.map(one, jax.random.split(key, permutations), batch_size=AT_ONCE)
