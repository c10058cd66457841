"""How readings go with one setting, all else alike."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from scipy import stats

from jaxbias import tables
from jaxbias.ledger import Judgement, MissingError, held
from jaxbias.numerics.statistics import SignFlips, sign_flips
from jaxbias.studies.synthetic_shape_bias.cases import ends, kinds
from jaxbias.studies.synthetic_shape_bias.many_trainings import Common
from jaxbias.sweeps import Columns

BIAS = "_bias"
"""What the names of shape biases end with."""


def readings(rows: Columns) -> tuple[str, ...]:
    """What is followed: every shape bias, and transfer."""
    return (*(f"{stimuli}{BIAS}" for stimuli in kinds(rows)), "transfer")


def trends(
    rows: Columns,
    position: np.ndarray,
    groups: Sequence[str],
    config: Common,
) -> Columns:
    """Slopes of readings over a setting: a row for each reading that is finite.

    The slope is that of least squares within each group, over all of its networks; groups
    are what may as well have had the other sign. Columns: `reading`, `groups` (their
    number), `slope`, the mean over groups, with `low` and `high` (Student's t, 95 %, NaN of
    one group), `p_rising` and `p_falling`, one-sided, of flips of the groups' signs; and
    `p_any_rising`, `p_any_falling`, `p_any`, that any shape bias does so, corrected for
    their number, the same in all of their rows.

    Args:
        rows: See `cases.Reading`; those after the last step count.
        position: Where each row stands on the setting's axis.
        groups: Columns whose values together name a group.
        config: Says how many flips, where there are too many to try all.
    """
    last = ends(rows)[1]
    position = position[rows["step"] > 0]
    keys = list(zip(*(last[name].tolist() for name in groups), strict=True))
    found, biases = [], []
    for name in readings(rows):
        slopes = np.asarray(list(_slopes(last[name], position, keys)))
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
    values: np.ndarray, position: np.ndarray, keys: Sequence[tuple]
) -> Iterator[float]:
    """Of each group in which the setting varies."""
    for key in dict.fromkeys(keys):
        own = np.asarray([one == key for one in keys])
        x = position[own] - position[own].mean()
        if np.ptp(x) > 0:
            y = values[own]
            yield float(x @ (y - y.mean()) / (x @ x))


LEVEL = 0.05
"""p below which a sign is taken for found."""


def rows_of(found: Columns, *, biases: bool) -> list[dict[str, Any]]:
    """Rows of trends: those of shape biases, or that of transfer.

    Raises:
        MissingError: If there are none.
    """
    rows = [
        {name: values[place].item() for name, values in found.items()}
        for place in range(len(found.get("reading", ())))
    ]
    rows = [row for row in rows if row["reading"].endswith(BIAS) is biases]
    if not rows:
        raise MissingError("nothing was varied")
    return rows


def words_of(row: dict[str, Any], scale: float | int = 1, unit: str = "") -> str:
    """A trend, with its interval."""
    low, high = (f"{scale * row[end]:+.3g}" for end in ("low", "high"))
    name = row["reading"].removesuffix(BIAS)
    return f"{name} {scale * row['slope']:+.3g}{unit} ({low} to {high})"


def judged_signs(found: Columns, column: str) -> Judgement:
    """Whether any shape bias has a sign, by one of the columns `p_any`.

    Raises:
        MissingError: If nothing was varied.
    """
    rows = rows_of(found, biases=True)
    text = "; ".join(words_of(row) for row in rows)
    return held(rows[0][column] <= LEVEL, f"{text}; p {rows[0][column]:.2g}")


def judged_transfer(found: Columns, unit: str) -> Judgement:
    """Whether transfer rises.

    Raises:
        MissingError: If nothing was varied.
    """
    (row,) = rows_of(found, biases=False)
    text = f"{words_of(row, 100, unit)}; p {row['p_rising']:.2g}"
    return held(row["p_rising"] <= LEVEL, text)
