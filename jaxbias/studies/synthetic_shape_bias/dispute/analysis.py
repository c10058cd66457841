"""Measures of shape bias side by side, and where they agree about networks.

All of them go from 0, texture, to 1, shape.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from jaxbias import tables
from jaxbias.numerics.statistics import bootstrap_correlation, spearman
from jaxbias.studies.synthetic_shape_bias.cases import (
    BIAS,
    WORDS,
    ends,
    kind_of,
    within,
)
from jaxbias.studies.synthetic_shape_bias.dispute.config import Config
from jaxbias.sweeps import Columns

MEASURES = {
    "neighbours": "nearest neighbours",
    "decision": "decisions",
    "triplet": "triplets",
    "dimensions": "dimensions",
    "decoded": "linear decoding",
}
"""neighbours: the published one, of shape found among neighbours and of texture; decision:
of a classifier that could have learnt either; triplet: how often shape is nearer;
dimensions: what follows shape, of what follows either (Islam et al. 2021); decoded: how
well shape can be read, of how well either can. 0.5 prefers neither in all of them."""

TRANSFER = "transfer"
"""Stands beside the measures in tables of agreement."""

NEUTRAL = 0.5


@dataclass(frozen=True, order=True)
class Measure:
    """One measure on one kind of stimuli."""

    stimuli: str
    how: str

    @property
    def name(self) -> str:
        """In tables."""
        return f"{self.stimuli}: {self.how}"

    @property
    def words(self) -> str:
        """In figures."""
        return f"{MEASURES[self.how]}, {WORDS[self.stimuli]}"


def read(rows: Columns) -> dict[Measure, np.ndarray]:
    """Every measure of every row; NaN where a network has none."""
    found: dict[Measure, np.ndarray] = {}
    for stimuli in WORDS:
        if f"{stimuli}{BIAS}" not in rows:
            continue
        found[Measure(stimuli, "neighbours")] = rows[f"{stimuli}{BIAS}"]
        if f"{stimuli}_decision{BIAS}" in rows:
            found[Measure(stimuli, "decision")] = rows[f"{stimuli}_decision{BIAS}"]
        if f"{stimuli}_triplet" not in rows:
            continue
        found[Measure(stimuli, "triplet")] = rows[f"{stimuli}_triplet"]
        shape, texture = (
            rows[f"{stimuli}_{cue}_score"] for cue in ("shape", "texture")
        )
        # Softmax of both, and of nothing else.
        found[Measure(stimuli, "dimensions")] = expit(shape - texture)
        shape, texture = (
            rows[f"{stimuli}_{cue}_decoded"] for cue in ("shape", "texture")
        )
        found[Measure(stimuli, "decoded")] = shape / (shape + texture)
    return found


def readings(rows: Columns) -> Columns:
    """A row for each measure and network, before and after training.

    Columns: the networks' `data`, `model`, `supervision`, `seed` and `step`; `stimuli`,
    `measure`, `value`.
    """
    labels = ("data", "model", "supervision", "seed", "step")
    parts = []
    for measure, values in read(rows).items():
        columns = {name: rows[name] for name in labels}
        parts.append(
            (
                columns | {"value": values},
                dict(stimuli=measure.stimuli, how=measure.how),
            )
        )
    found = tables.stacked(parts)
    return {("measure" if name == "how" else name): found[name] for name in found}


def agreement(rows: Columns, config: Config) -> Columns:
    """How two measures order networks after training: a row for each pair.

    Columns: `first` and `second` (names of measures, or `transfer`); `same_stimuli`;
    `networks` that have both; `spearman` over all of them, with `low` and `high`
    (resamples of whole sets of images, 95 %); `within`: of readings less their mean over
    networks of one kind, where sets of images alone differ.
    """
    last = ends(rows)[1]
    found = read(last)
    named = {measure.name: values for measure, values in found.items()}
    named[TRANSFER] = last["transfer"]
    stimuli = {measure.name: measure.stimuli for measure in found}
    kind = kind_of(last)
    names, table = list(named), []
    for place, first in enumerate(names):
        for second in names[place + 1 :]:
            x, y = named[first], named[second]
            both = np.isfinite(x) & np.isfinite(y)
            if both.sum() < 3:
                continue
            x, y, own = x[both], y[both], kind[both]
            drawn = bootstrap_correlation(
                *(x, y, last["data"][both]),
                ranks=True,
                resamples=max(1_000, config.resamples),
                seed=config.seed,
            )
            table.append(
                {
                    "first": first,
                    "second": second,
                    "same_stimuli": int(
                        second in stimuli and stimuli[first] == stimuli[second]
                    ),
                    "networks": int(both.sum()),
                    "spearman": drawn.value,
                    "low": drawn.low,
                    "high": drawn.high,
                    "within": spearman(within(x, own), within(y, own)),
                }
            )
    return tables.columns_of(table)


def contradicted(rows: Columns) -> dict[str, float]:
    """Share of trained networks that measures put on both sides of 0.5, by stimuli."""
    last = ends(rows)[1]
    found = read(last)
    shares = {}
    for stimuli in dict.fromkeys(measure.stimuli for measure in found):
        values = [v for measure, v in found.items() if measure.stimuli == stimuli]
        if len(values) < 2:
            continue
        above = np.any([v > NEUTRAL for v in values], axis=0)
        below = np.any([v < NEUTRAL for v in values], axis=0)
        shares[stimuli] = float(np.mean(above & below))
    return shares
