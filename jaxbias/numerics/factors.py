"""How much of a reading each factor of a balanced design explains.

An analysis of variance: each combination of levels is measured equally often, and the
share of the variance that lies between a factor's levels is held against that of
shuffled readings.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

AT_ONCE = 500
"""Shuffles that are in memory at once."""


@dataclass(frozen=True, kw_only=True)
class Effect:
    """Of one factor, or of two together beyond each alone.

    Attributes:
        share: Of the variance, 0 to 1 (eta squared); NaN where nothing varies.
        p: How often shuffles of the factor's levels, within all others as they are, reach
            that share; NaN of two factors.
    """

    share: float
    p: float


def effects(
    values: np.ndarray,
    factors: Mapping[str, Sequence | np.ndarray],
    *,
    permutations: int,
    seed: int,
) -> dict[str, Effect]:
    """Main effects of all factors, and interactions of any two of them.

    Args:
        values: One reading a cell and repetition.
        factors: The level of each, by the factor's name.
        permutations: Shuffles for each p.
        seed: Of the shuffles.

    Returns:
        By name, of two factors "first:second", and "rest": interactions of more, and what
        differs between repetitions. Shares add up to 1.

    Raises:
        ValueError: If levels are not combined equally often.
    """
    values = np.asarray(values, np.float64)
    names = list(factors)
    codes = [np.unique(np.asarray(factors[n]), return_inverse=True)[1] for n in names]
    _, counts = np.unique(np.stack(codes), axis=1, return_counts=True)
    levels = [int(code.max()) + 1 for code in codes]
    if len(counts) != np.prod(levels) or len(set(counts.tolist())) > 1:
        raise ValueError("levels are not combined equally often")
    centred = values - values.mean()
    total = float(centred @ centred)
    if np.ptp(values) == 0:
        total = float("nan")
    found = {}
    generator = np.random.default_rng(seed)
    for name, code, count in zip(names, codes, levels, strict=True):
        others = [other for other in codes if other is not code]
        p = _chance(centred, code, others, count, permutations, generator)
        found[name] = Effect(share=_between(centred, code) / total, p=p)
    for (i, first), (j, second) in combinations(enumerate(codes), 2):
        both = _between(centred, first * levels[j] + second)
        alone = found[names[i]].share + found[names[j]].share
        share = max(0.0, both / total - alone) if total == total else total
        found[f"{names[i]}:{names[j]}"] = Effect(share=share, p=float("nan"))
    rest = 1 - sum(effect.share for effect in found.values())
    return found | {"rest": Effect(share=max(0.0, rest), p=float("nan"))}


def _between(centred: np.ndarray, code: np.ndarray) -> float:
    """Sum of squares between levels, of values without their mean."""
    sums = np.bincount(code, centred)
    return float(np.sum(sums**2 / np.bincount(code)))


def _chance(
    centred: np.ndarray,
    code: np.ndarray,
    others: list[np.ndarray],
    levels: int,
    permutations: int,
    generator: np.random.Generator,
) -> float:
    """p of a factor's share among shuffles within blocks of equal other factors."""
    block = np.zeros(len(centred), int)
    for other in others:
        block = block * (int(other.max()) + 1) + other
    order = np.lexsort((code, block))
    blocks = len(np.unique(block))
    # A row for each block, its values in the order of their levels.
    table = centred[order].reshape(blocks, -1)
    here = _spread(table, levels)
    beyond, done = 0, 0
    while done < permutations:
        number = min(AT_ONCE, permutations - done)
        shuffled = generator.permuted(
            np.broadcast_to(table, (number, *table.shape)), axis=2
        )
        beyond += int(np.sum(_spread(shuffled, levels) >= here * (1 - 1e-9)))
        done += number
    return (1 + beyond) / (1 + permutations)


def _spread(table: np.ndarray, levels: int) -> np.ndarray:
    """Sum over levels of squared sums, which rises with the sum of squares between."""
    by_level = table.reshape(*table.shape[:-1], levels, -1)
    return np.asarray(np.sum(by_level.sum(axis=(-3, -1)) ** 2, axis=-1))
