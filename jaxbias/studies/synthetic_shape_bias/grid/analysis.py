"""What explains a shape bias, and what a shape bias predicts.

What is called within kinds is of readings less their mean over networks of one kind (see
`cases.kind_of`), and ranks of these: there, sets of images alone differ.
"""

from typing import Any

import numpy as np
from scipy import stats

from jaxbias import tables
from jaxbias.numerics.factors import effects
from jaxbias.numerics.ridge import out_of_sample, saved
from jaxbias.numerics.statistics import (
    bootstrap_correlation,
    partial_spearman,
    spearman,
)
from jaxbias.studies.synthetic_shape_bias import measures
from jaxbias.studies.synthetic_shape_bias.cases import (
    biases,
    ends,
    kind_of,
    kinds,
    within,
)
from jaxbias.studies.synthetic_shape_bias.grid.config import Config
from jaxbias.sweeps import Columns

FACTORS = ("data", "model", "supervision", "programs")


def shares(rows: Columns, config: Config) -> Columns:
    """What explains the shape bias: a row for each kind of stimuli, reading and factor.

    Readings are `last`, and `moved`: the last less the untrained network's. Columns:
    `stimuli`, `reading`, `factor` (of two "first:second"), `share` of the variance, `p`.
    """
    first, last = ends(rows)
    found: list[dict[str, Any]] = []
    factors = {n: last[n] for n in FACTORS if len(np.unique(last[n])) > 1}
    options = {"permutations": config.permutations, "seed": config.seed}
    for stimuli in kinds(rows):
        before, after = (one[f"{stimuli}_bias"] for one in (first, last))
        for reading, values in (("last", after), ("moved", after - before)):
            if not np.isfinite(values).all():
                continue
            found += [
                {"stimuli": stimuli, "reading": reading, "factor": factor}
                | {"share": effect.share, "p": effect.p}
                for factor, effect in effects(values, factors, **options).items()
            ]
    return tables.columns_of(found)


def correlations(rows: Columns, sets: Columns, config: Config) -> Columns:
    """Rank correlations of the shape bias within kinds of networks.

    A row for each kind of stimuli and what it is held against: `transfer`, `variety` (the
    logarithm of the Vendi score), `distance` (to the transfer images). `low` and `high`
    resample whole generators; `p` shuffles what belongs to a set among sets, and transfer
    among the networks of a kind. `partial` is with variety and distance held fixed, and
    `across` the correlation without regard to kinds.
    """
    _, last = ends(rows)
    kind = kind_of(last)
    others = {
        "variety": np.log(measures.at(sets, last, measures.VARIETY)),
        "distance": measures.at(sets, last, "kid"),
    }
    found = []
    for stimuli, bias in biases(last).items():
        own = within(bias, kind)
        for target, values in {"transfer": last["transfer"], **others}.items():
            theirs = within(values, kind)
            drawn = bootstrap_correlation(
                *(own, theirs, last["data"]),
                ranks=True,
                resamples=max(1_000, config.resamples),
                seed=config.seed,
            )
            held = [within(other, kind) for other in others.values()]
            partial = (
                partial_spearman(own, theirs, held)[0]
                if target == "transfer"
                else float("nan")
            )
            groups = kind if target == "transfer" else None
            found.append(
                {
                    "stimuli": stimuli,
                    "target": target,
                    "spearman": drawn.value,
                    "low": drawn.low,
                    "high": drawn.high,
                    "p": _chance(own, theirs, groups, last["set"], config),
                    "partial": partial,
                    "across": spearman(bias, values),
                }
            )
    return tables.columns_of(found)


def _chance(
    own: np.ndarray,
    theirs: np.ndarray,
    groups: np.ndarray | None,
    sets: np.ndarray,
    config: Config,
) -> float:
    """Two-sided p of a rank correlation: within groups, or of sets among each other."""
    x, y = (stats.rankdata(one) for one in (own, theirs))
    x, y = x - x.mean(), y - y.mean()
    if not x.any() or not y.any():
        return float("nan")
    generator = np.random.default_rng(config.seed)
    here, beyond = abs(x @ y), 0
    names, number = np.unique(sets, return_inverse=True)
    sums = np.bincount(number, x)
    of_set = np.bincount(number, y) / np.bincount(number)
    for _ in range(config.permutations):
        if groups is None:
            there = sums @ of_set[generator.permutation(len(names))]
        else:
            there = x @ _shuffled(y, groups, generator)
        beyond += abs(there) >= here - 1e-9 * abs(here)
    return (1 + beyond) / (1 + config.permutations)


def _shuffled(
    values: np.ndarray, groups: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """Values exchanged within their groups."""
    into = np.argsort(groups, kind="stable")
    order = np.lexsort((generator.random(len(values)), groups))
    found = np.empty_like(values)
    found[into] = values[order]
    return found


def predictions(rows: Columns, sets: Columns) -> Columns:
    """How well transfer is predicted for generators that were left out.

    All predictors stand beside the mean of the network's own kind among the generators
    that were not left out; `r2` is the share of its squared error that is saved.
    """
    _, last = ends(rows)
    kind = kind_of(last)
    readings = {
        f"shape bias, {stimuli}": values for stimuli, values in biases(last).items()
    }
    readings |= {
        "variety": np.log(measures.at(sets, last, measures.VARIETY)),
        "distance": measures.at(sets, last, "kid"),
        "programs": np.log(last["programs"].astype(np.float64)),
    }
    both = ["variety", "distance"]
    predictors = {name: [name] for name in readings} | {" and ".join(both): both}
    found = []
    for name, members in predictors.items():
        x = np.stack([readings[member] for member in members], axis=1)
        r2 = _left_out(x, last["transfer"], kind, last["data"])
        found.append({"predictors": name, "r2": r2})
    return tables.columns_of(found)


def _left_out(
    x: np.ndarray, y: np.ndarray, kind: np.ndarray, data: np.ndarray
) -> float:
    """Share of the squared error saved; means of kinds are of those that are left in."""
    predicted, plain = np.empty(len(y)), np.empty(len(y))
    for fold in np.unique(data):
        out = data == fold
        mean_x, mean_y = (_means(values, kind, ~out) for values in (x, y))
        own = x - mean_x
        # Two folds: the one that is out, and the one to learn from.
        found, _ = out_of_sample(own, y - mean_y, np.where(out, 1, 0))
        predicted[out] = (mean_y + found)[out]
        plain[out] = mean_y[out]
    return saved(y, predicted, plain)


def _means(values: np.ndarray, kind: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """The mean of a network's kind among some, for every network."""
    found = np.empty_like(values, np.float64)
    for one in np.unique(kind):
        found[kind == one] = values[(kind == one) & chosen].mean(axis=0)
    return found
