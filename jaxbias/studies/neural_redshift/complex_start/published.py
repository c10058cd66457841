"""The published outcome: a complex start is no way to keep a complex function."""

from dataclasses import dataclass

import numpy as np

from jaxbias.ledger import (
    Entry,
    Judgement,
    MissingError,
    held,
    judge_all,
    where_possible,
)
from jaxbias.studies.neural_redshift.complex_start.config import Config, Start
from jaxbias.sweeps import Columns

FEW = 4
"""Networks below which nothing is judged."""

MEASURE = "dct"

SOLVED = 0.99
"""Accuracy on training points that counts as all right."""


@dataclass(frozen=True)
class Evidence:
    """A run's table and configuration."""

    columns: Columns
    config: Config

    def values(
        self, name: str, activation: str, start: Start, steps: int
    ) -> np.ndarray:
        """A column of all networks at one look, on the first target and prefactor.

        Raises:
            MissingError: If the run has too few.
        """
        if name not in self.columns:
            raise MissingError(f"{name} was not measured")
        columns, config = self.columns, self.config
        chosen = (columns["activation"] == activation) & (columns["start"] == start)
        chosen &= (columns["steps"] == steps) & (columns["modulus"] == config.moduli[0])
        chosen &= columns["prefactor"] == config.prefactors[0]
        values = columns[name][chosen]
        if len(values) < FEW:
            raise MissingError(f"{len(values)} networks, {FEW} are needed")
        return values

    def mean(self, name: str, activation: str, start: Start, steps: int) -> float:
        """The mean of `values`."""
        return float(np.nanmean(self.values(name, activation, start, steps)))


def does_not_stay(kind: Start):
    """Of the complexity that it has in excess, training takes off more than half."""

    @where_possible
    def judge(evidence: Evidence) -> Judgement:
        if not {"random", kind} <= set(evidence.config.starts):
            raise MissingError("the starts that it needs were not trained from")
        last, shown, met = evidence.config.iterations[-1], [], []
        if last < 1000:
            raise MissingError(f"{last} steps, 1,000 are needed")
        for name in evidence.config.activations:
            began = evidence.mean(MEASURE, name, kind, 0)
            ended = evidence.mean(MEASURE, name, kind, last)
            usual = evidence.mean(MEASURE, name, "random", last)
            if began <= usual:
                raise MissingError(f"{name}: the start is not complex")
            kept = (ended - usual) / (began - usual)
            shown.append(
                f"{name} {began:.3f} to {ended:.3f}, from random weights {usual:.3f} "
                f"({100 * kept:.0f} % kept)"
            )
            met.append(kept < 0.5)
        return held(all(met), "mean DCT frequency: " + "; ".join(shown))

    return judge


@where_possible
def does_not_generalise(evidence: Evidence) -> Judgement:
    """Where the complex function does stay, held-out points are got wrong."""
    last, shown, met = evidence.config.iterations[-1], [], []
    if last < 1000:
        raise MissingError(f"{last} steps, 1,000 are needed")
    if not {"random", "trained"} <= set(evidence.config.starts):
        raise MissingError("the starts that it needs were not trained from")
    for name in evidence.config.activations:
        fitted = evidence.mean("train_accuracy", name, "trained", last)
        ours = evidence.values("relative_accuracy", name, "trained", last)
        usual = evidence.values("relative_accuracy", name, "random", last)
        apart = usual - ours
        error = float(apart.std(ddof=1) / np.sqrt(len(apart)))
        shown.append(
            f"{name} {ours.mean():.2f} against {usual.mean():.2f} (training points "
            f"{fitted:.3f})"
        )
        met.append(bool(fitted >= SOLVED and apart.mean() > 2 * error))
    return held(all(met), "relative accuracy: " + "; ".join(shown))


_SOURCE = "Appendix E.3"
_NOT_KNOWN = "the task, the starts and the share that counts as kept are ours"

ENTRIES = (
    Entry(
        id="complex-start-trained",
        source=_SOURCE,
        claim="from the weights of a complex solution gradient descent does not end with "
        "complex ones",
        expected="less than half of the excess complexity is left",
        tolerance=_NOT_KNOWN,
        certainty="read",
        judge=does_not_stay("trained"),
    ),
    Entry(
        id="complex-start-large",
        source=_SOURCE,
        claim="nor does it from large weights",
        expected="less than half of the excess complexity is left",
        tolerance=_NOT_KNOWN,
        certainty="read",
        judge=does_not_stay("large"),
    ),
    Entry(
        id="complex-start-accuracy",
        source="a consequence, not published",
        claim="a complex start costs accuracy on held-out points of a simple target",
        expected="below that from random weights, all training points right",
        tolerance="two standard errors, networks in pairs",
        certainty="computed",
        judge=does_not_generalise,
    ),
)


def judge(columns: Columns, config: Config) -> list[dict[str, str]]:
    """Judge every entry."""
    return judge_all(ENTRIES, Evidence(columns, config))
