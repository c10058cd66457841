"""What is known of the sensitivity of random sequence models. Rules precede results."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from jaxbias.ledger import (
    Entry,
    Judgement,
    MissingError,
    held,
    judge_all,
    where_possible,
)
from jaxbias.studies.neural_redshift.sensitivity.config import Config
from jaxbias.studies.neural_redshift.sensitivity.networks import RANDOM
from jaxbias.sweeps import Columns

FEW = 50
"""Networks below which nothing is judged."""

ERRORS = 3
"""Standard errors that a difference must have."""

LOW = 0.25
"""Half of a random function's sensitivity."""


class Mean(NamedTuple):
    """Over networks, with its standard error."""

    value: float
    se: float

    def below(self, other: "Mean") -> bool:
        return other.value - self.value > ERRORS * math.hypot(self.se, other.se)

    def __str__(self) -> str:
        return f"{self.value:.3f}"


@dataclass(frozen=True)
class Evidence:
    """A run's table and configuration."""

    columns: Columns
    config: Config

    def rows(
        self,
        model: str,
        *,
        length: int | None = None,
        prior: str = "uniform",
        weight_range: float | None = None,
    ) -> np.ndarray:
        """Which rows are a condition's, those not finite left out.

        Args:
            model: Name.
            length: None takes that of the configuration.
            prior: Name; empty for random functions.
            weight_range: None takes the published one, where the prior is uniform.
        """
        columns = self.columns
        chosen = (columns["model"] == model) & (columns["prior"] == prior)
        chosen &= columns["length"] == (length or self.config.length)
        if prior == "uniform":
            chosen &= columns["weight_range"] == (
                weight_range or self.config.weight_range
            )
        return np.flatnonzero(chosen & ~columns["degenerate"])

    def mean(self, model: str, **where: str | int | float) -> Mean:
        """Mean sensitivity of a condition.

        Raises:
            MissingError: If it has too few networks, or none.
        """
        rows = self.rows(model, **where)  # type: ignore[arg-type]
        if len(rows) < FEW:
            raise MissingError(f"{model}: {len(rows)} networks, {FEW} are needed")
        values = self.columns["sensitivity"][rows].astype(np.float64)
        error = values.std(ddof=1) / math.sqrt(len(values))
        return Mean(float(values.mean()), float(error))


def _published(evidence: Evidence) -> None:
    if evidence.config.weight_range != 10:
        raise MissingError("the published prior is U(-10, 10)")


@where_possible
def transformers_below(evidence: Evidence) -> Judgement:
    """U(-10, 10): transformers below LSTMs at every length."""
    _published(evidence)
    shown, fine = [], []
    for length in sorted({*evidence.config.lengths, evidence.config.length}):
        ours, theirs = (
            evidence.mean(model, length=length) for model in ("transformer", "lstm")
        )
        fine.append(ours.below(theirs))
        shown.append(f"{length}: {ours} against {theirs}")
    return held(all(fine), "mean sensitivity by length " + ", ".join(shown))


def below_under(prior: str):
    """The same under another prior, at one length."""

    @where_possible
    def judge(evidence: Evidence) -> Judgement:
        ours, theirs = (
            evidence.mean(model, prior=prior) for model in ("transformer", "lstm")
        )
        return held(
            ours.below(theirs),
            f"{ours} ± {ours.se:.3f} against {theirs} ± {theirs.se:.3f}",
        )

    return judge


@where_possible
def transformers_low(evidence: Evidence) -> Judgement:
    """U(-10, 10): far below random functions."""
    _published(evidence)
    ours = evidence.mean("transformer")
    return held(ours.value <= LOW, f"mean sensitivity {ours} ± {ours.se:.3f}")


@where_possible
def falls_with_length(evidence: Evidence) -> Judgement:
    """Transformers: longer strings, lower sensitivity."""
    _published(evidence)
    lengths = sorted({*evidence.config.lengths, evidence.config.length})
    if lengths[-1] < 2 * lengths[0]:
        raise MissingError("the longest strings are not twice as long as the shortest")
    means = [evidence.mean("transformer", length=length) for length in lengths]
    shown = ", ".join(f"{n}: {one}" for n, one in zip(lengths, means, strict=True))
    return held(means[-1].below(means[0]), f"mean sensitivity by length {shown}")


@where_possible
def random_half(evidence: Evidence) -> Judgement:
    """Random labels: half of all flips change the label."""
    shown, fine = [], []
    for length in sorted({*evidence.config.lengths, evidence.config.length}):
        found = evidence.mean(RANDOM, length=length, prior="")
        fine.append(abs(found.value - 0.5) <= 5 * found.se)
        shown.append(f"{length}: {found.value:.4f}")
    return held(all(fine), "mean sensitivity by length " + ", ".join(shown))


PAPER = "Bhattamishra et al., ACL 2023"

ENTRIES: tuple[Entry, ...] = (
    Entry(
        id="transformers-below-lstms",
        source=PAPER,
        claim="weights U(-10, 10): random transformers are less sensitive than LSTMs",
        expected="lower mean sensitivity at every length",
        tolerance=f"{ERRORS} standard errors of the difference",
        certainty="read",
        judge=transformers_below,
    ),
    Entry(
        id="below-normal",
        source=PAPER,
        claim="the same with Gaussian weights",
        expected="lower mean sensitivity",
        tolerance=f"{ERRORS} standard errors; N(0, 1), the published width is not known",
        certainty="remembered",
        judge=below_under("normal"),
    ),
    Entry(
        id="below-xavier",
        source=PAPER,
        claim="the same with Xavier initialisation",
        expected="lower mean sensitivity",
        tolerance=f"{ERRORS} standard errors",
        certainty="remembered",
        judge=below_under("xavier"),
    ),
    Entry(
        id="transformers-low",
        source=PAPER,
        claim="random transformers are biased towards functions of low sensitivity",
        expected=f"mean up to {LOW:g}, half of a random function's",
        tolerance="a direction; the published figure is not at hand",
        certainty="remembered",
        judge=transformers_low,
    ),
    Entry(
        id="falls-with-length",
        source=PAPER,
        claim="transformers' sensitivity falls as strings grow",
        expected="lower at the longest than at the shortest",
        tolerance=f"{ERRORS} standard errors of the difference",
        certainty="remembered",
        judge=falls_with_length,
    ),
    Entry(
        id="random-half",
        source="closed form",
        claim="labels drawn at random: sensitivity 1/2",
        expected="0.5 at every length",
        tolerance="5 standard errors",
        certainty="computed",
        judge=random_half,
    ),
)


def judge(evidence: Evidence) -> list[dict[str, str]]:
    """Judge every entry."""
    return judge_all(ENTRIES, evidence)
