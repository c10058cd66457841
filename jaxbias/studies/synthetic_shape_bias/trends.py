"""How readings go with one setting where all else is alike, and how surely.

A slope is taken within each set that was learnt from; their mean is held against what
flips of their signs give.
"""

from collections.abc import Iterator

import numpy as np
from scipy import stats

from jaxbias import tables
from jaxbias.numerics.statistics import SignFlips, sign_flips
from jaxbias.studies.synthetic_shape_bias.cases import BIAS, ends, kinds
from jaxbias.studies.synthetic_shape_bias.many_trainings import Common
from jaxbias.sweeps import Columns


def readings(rows: Columns) -> tuple[str, ...]:
    """What is followed: every shape bias, and transfer."""
    return (*(f"{stimuli}{BIAS}" for stimuli in kinds(rows)), "transfer")


def trends(rows: Columns, position: np.ndarray, config: Common) -> Columns:
    """Slopes of readings over a setting: a row for each reading that is finite.

    The slope is that of least squares within what was learnt from (the column `data`),
    over all of its networks. Columns: `reading`, `groups` (how many there are), `slope`,
    the mean over these, with `low` and `high` (Student's t, 95 %, NaN of one),
    `p_rising` and `p_falling`, one-sided, of flips of their signs; and
    `p_any_rising`, `p_any_falling`, `p_any`, that any shape bias does so, corrected for
    their number, the same in all of their rows.

    Args:
        rows: See `cases.Reading`; those after the last step count.
        position: Where each row stands on the setting's axis.
        config: Says how many flips, where there are too many to try all.
    """
    last = ends(rows)[1]
    position = position[rows["step"] > 0]
    found, biases = [], []
    for name in readings(rows):
        slopes = np.asarray(list(_slopes(last[name], position, last["data"])))
        if not len(slopes) or not np.isfinite(slopes).all():
            continue
        p = _flips(slopes, config)
        half = np.nan
        if len(slopes) > 1:
            half = stats.t.ppf(0.975, len(slopes) - 1) * stats.sem(slopes)
        if name.endswith(BIAS):
            biases.append(slopes)
        found.append(
            {
                "reading": name,
                "groups": len(slopes),
                "slope": float(slopes.mean()),
                "low": float(slopes.mean() - half),
                "high": float(slopes.mean() + half),
                "p_rising": p.rising,
                "p_falling": p.falling,
            }
        )
    any_of = _flips(np.stack(biases, axis=1), config) if biases else None
    for row in found:
        known = any_of if row["reading"].endswith(BIAS) else None
        row["p_any_rising"] = known.rising if known else np.nan
        row["p_any_falling"] = known.falling if known else np.nan
        row["p_any"] = known.either if known else np.nan
    return tables.columns_of(found) if found else {}


def _flips(slopes: np.ndarray, config: Common) -> SignFlips:
    return sign_flips(slopes, resamples=config.permutations, seed=config.seed)


def _slopes(
    values: np.ndarray, position: np.ndarray, groups: np.ndarray
) -> Iterator[float]:
    """Of each group in which the setting varies."""
    for group in dict.fromkeys(groups.tolist()):
        own = groups == group
        x = position[own] - position[own].mean()
        if np.ptp(x) > 0:
            y = values[own]
            yield float(x @ (y - y.mean()) / (x @ x))


def doublings(rows: Columns) -> np.ndarray:
    """Where each row stands on the axis of programs, in doublings of their number."""
    return np.log2(rows["programs"].astype(np.float64))
