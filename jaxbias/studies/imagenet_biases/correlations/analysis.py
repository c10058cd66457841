"""Rank correlations of biases with benchmarks, and how far each can be trusted."""

from collections.abc import Iterator
from itertools import combinations

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from jaxbias import rng, tables
from jaxbias.numerics import ranks
from jaxbias.numerics.bootstrap import interval
from jaxbias.numerics.statistics import partial_spearman
from jaxbias.studies.imagenet_biases.correlations.config import Config
from jaxbias.studies.imagenet_biases.correlations.table import SUBSETS, Table
from jaxbias.sweeps import Columns

FEWEST = 5
"""Models below which a subset is left out."""


def tested(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Spearman's correlation and its p (Student's t, SciPy's); NaN for a constant."""
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan"), float("nan")
    value, p = stats.spearmanr(x, y)
    return float(value), float(p)  # type: ignore[arg-type]


def _without(x: np.ndarray, y: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Least and largest correlation with one label's samples left out."""
    names, sizes = np.unique(labels, return_counts=True)
    found = []
    for size in np.unique(sizes):
        left = len(labels) - size
        if left < FEWEST:
            continue
        # Labels with as many samples at once: what is left has one shape.
        kept = labels[None] != names[sizes == size][:, None]
        both = (np.broadcast_to(one, kept.shape)[kept] for one in (x, y))
        first, second = (stats.rankdata(one.reshape(-1, left), axis=1) for one in both)
        found.append(_correlations(first, second))
    values = np.concatenate(found) if found else np.empty(0)
    values = values[np.isfinite(values)]
    if not len(values):
        return float("nan"), float("nan")
    return float(values.min()), float(values.max())


def _correlations(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Of each row with its counterpart; NaN where one does not vary."""
    x, y = (one - one.mean(axis=1, keepdims=True) for one in (x, y))
    scale = np.sqrt(np.sum(x**2, axis=1) * np.sum(y**2, axis=1))
    products = np.sum(x * y, axis=1)
    return np.where(scale > 0, products / np.where(scale > 0, scale, 1), np.nan)


Drawn = dict[str, dict[tuple[str, str], dict[str, float]]]
"""By subset, then bias and what it is correlated with: an interval and a p."""


def drawn(table: Table, config: Config) -> Drawn:
    """Bootstrap intervals and permutation tests of biases with all that there is."""
    return {
        subset: _drawn(table, chosen, config, subset)
        for subset, chosen in subsets(table)
    }


def _drawn(
    table: Table, chosen: np.ndarray, config: Config, words: str
) -> dict[tuple[str, str], dict[str, float]]:
    """The same for one subset: one program for all pairs."""
    first = table.biases
    second = first | table.groups | table.benchmarks
    x, y = (
        jnp.asarray(np.stack([v[chosen] for v in named.values()], axis=1), jnp.float32)
        for named in (first, second)
    )
    key = jax.random.key(config.seed)
    resampled = ranks.bootstrapped(
        *(x, y, rng.stream(key, "bootstrap", words)), resamples=config.resamples
    )
    chance = ranks.chance(
        *(x, y, rng.stream(key, "permutations", words)),
        permutations=config.permutations,
    )
    low, high = interval(np.asarray(resampled))
    return {
        (bias, target): {
            "low": float(low[i, j]),
            "high": float(high[i, j]),
            "p_permutation": float(chance.either[i, j]),
        }
        for i, bias in enumerate(first)
        for j, target in enumerate(second)
    }


def _corrected(rows: list[dict]) -> None:
    """Add p corrected for the number of rows: Bonferroni's, Benjamini and Hochberg's."""
    known = [row for row in rows if np.isfinite(row["p"])]
    for row in rows:
        row["p_bonferroni"] = min(1.0, row["p"] * len(known))
        row["p_bh"] = float("nan")
    if known:
        adjusted = stats.false_discovery_control([row["p"] for row in known])
        for row, value in zip(known, adjusted, strict=True):
            row["p_bh"] = float(value)


def subsets(table: Table) -> Iterator[tuple[str, np.ndarray]]:
    """Subsets with models enough, and which models they have."""
    for name in SUBSETS:
        chosen = table.subset(name)
        if chosen.sum() >= FEWEST and not (name == "Other" and chosen.all()):
            yield name, chosen


def cells(table: Table, intervals: Drawn) -> Columns:
    """A row for each subset, bias and target: groups first, then single benchmarks.

    Corrections are for all rows of one kind: those of the paper's table are the 72 of
    groups. `one_out` and `category_out` are ranges over what is left out.
    """
    rows: list[dict] = []
    for kind, targets in (("group", table.groups), ("benchmark", table.benchmarks)):
        family = [
            {"kind": kind, "subset": subset, "bias": bias, "target": target}
            | _cell(table, chosen, bias, scores[chosen])
            | intervals[subset][bias, target]
            for subset, chosen in subsets(table)
            for bias in table.biases
            for target, scores in targets.items()
        ]
        _corrected(family)
        rows += family
    return tables.columns_of(rows) if rows else {}


def _cell(
    table: Table, chosen: np.ndarray, bias: str, y: np.ndarray
) -> dict[str, float | int]:
    """One bias and one target, over a subset."""
    biases = {name: value[chosen] for name, value in table.biases.items()}
    x = biases.pop(bias)
    value, p = tested(x, y)
    held, held_p = partial_spearman(x, y, list(biases.values()))
    one_out = _without(x, y, np.arange(len(x)))
    category_out = _without(x, y, table.categories[chosen])
    return {
        "models": len(x),
        "spearman": value,
        "p": p,
        "partial": held,
        "partial_p": held_p,
        "one_out_low": one_out[0],
        "one_out_high": one_out[1],
        "category_out_low": category_out[0],
        "category_out_high": category_out[1],
    }


def pairs(table: Table, intervals: Drawn) -> Columns:
    """A row for each subset and pair of biases."""
    rows: list[dict] = []
    for subset, chosen in subsets(table):
        for first, second in combinations(table.biases, 2):
            both = (table.biases[name][chosen] for name in (first, second))
            value, p = tested(*both)
            rows.append(
                {"subset": subset, "first": first, "second": second}
                | {"models": int(chosen.sum()), "spearman": value, "p": p}
                | intervals[subset][first, second]
            )
    return tables.columns_of(rows) if rows else {}
