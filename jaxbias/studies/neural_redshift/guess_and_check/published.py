"""The published outcomes of guess and check, and the rules that judge them."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from jaxbias.ledger import (
    Entry,
    Judgement,
    MissingError,
    held,
    judge_all,
    where_possible,
)
from jaxbias.studies.neural_redshift.guess_and_check.config import Config, Criterion
from jaxbias.sweeps import Columns

FEW = 100
"""Networks that fit below which their mean is not judged, over all splits."""

FEW_SPLITS = 8

FEW_POINTS = 6
"""Points to fit below which there is little to generalise from."""


@dataclass(frozen=True)
class Evidence:
    """A run's table and configuration."""

    columns: Columns
    config: Config

    def means(
        self,
        model: str,
        target: str,
        points: int,
        *,
        weight_scale: float = 1.0,
        criterion: Criterion = "signs",
    ) -> np.ndarray:
        """Mean accuracy on other points of the networks that fit, by split.

        Raises:
            MissingError: If the run has no such networks, or too few that fit.
        """
        columns = self.columns
        chosen = (columns["model"] == model) & (columns["target"] == target)
        chosen &= columns["criterion"] == criterion
        chosen &= columns["train_points"] == points
        chosen &= columns["weight_scale"] == weight_scale
        if not chosen.any():
            raise MissingError(f"{model} on {target} was not guessed")
        if self.config.n_splits < FEW_SPLITS:
            raise MissingError(
                f"{self.config.n_splits} splits, {FEW_SPLITS} are needed"
            )
        count = int(columns["fits"][chosen].sum())
        if count < FEW:
            raise MissingError(f"{count} networks fit, {FEW} are needed")
        values = columns["accuracy"][chosen]
        return values[np.isfinite(values)]

    @property
    def most_points(self) -> int:
        """The largest number of points to fit.

        Raises:
            MissingError: If it is too small to generalise from.
        """
        most = max(self.config.train_points)
        if most < FEW_POINTS:
            raise MissingError(f"{most} points to fit, {FEW_POINTS} are needed")
        return most


def _stated(values: np.ndarray) -> tuple[float, float]:
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))


def perceptrons_generalise(criterion: Criterion):
    """ReLU networks that fit get most of the other points right, the more they fit."""

    @where_possible
    def judge(evidence: Evidence) -> Judgement:
        most, least = evidence.most_points, min(evidence.config.train_points)
        means = partial(evidence.means, "relu", "half_plane", criterion=criterion)
        many, error = _stated(means(most))
        few, _ = _stated(means(least))
        here = (
            f"relu on half-planes: {100 * few:.1f} % with {least} points, "
            f"{100 * many:.1f} % (se {100 * error:.1f}) with {most}"
        )
        # Far above a coin: half of the way to all right.
        return held(many - 2 * error > 0.75 and many > few, here)

    return judge


@where_possible
def unbiased_does_not(evidence: Evidence) -> Judgement:
    """The unbiased model that fits is a coin on other points."""
    most, shown, met = evidence.most_points, [], []
    for target in evidence.config.targets:
        mean, error = _stated(evidence.means("unbiased", target, most))
        shown.append(f"{target} {100 * mean:.1f} % (se {100 * error:.1f})")
        met.append(abs(mean - 0.5) <= 0.05)
    return held(all(met), f"{most} points: " + ", ".join(shown))


@where_possible
def complex_priors_do_worse(evidence: Evidence) -> Judgement:
    """Sine networks with large weights, which prefer complex functions, do worse."""
    most, large = evidence.most_points, max(evidence.config.weight_scales)
    if large < 4:
        raise MissingError(f"the largest weight scale is {large:g}, 4 is needed")
    simple, _ = _stated(evidence.means("relu", "half_plane", most))
    wild, error = _stated(
        evidence.means("sine", "half_plane", most, weight_scale=large)
    )
    here = (
        f"{most} points of half-planes: relu {100 * simple:.1f} %, sine at scale "
        f"{large:g} {100 * wild:.1f} % (se {100 * error:.1f})"
    )
    return held(wild + 2 * error < simple, here)


_BOX = "section 4, box on Chiang et al. 2023"

ENTRIES = (
    Entry(
        id="guess-relu",
        source=_BOX,
        claim="random perceptrons that fit generalise, without any gradient",
        expected="more than 75 % of half-planes, and more with more points",
        tolerance="no number is printed; the task is ours; two standard errors over splits",
        certainty="read",
        judge=perceptrons_generalise("signs"),
    ),
    Entry(
        id="guess-relu-mse",
        source=_BOX,
        claim="so they do where squared error is what must be small",
        expected="the same, by squared error",
        tolerance="as above; the threshold of the error is ours",
        certainty="read",
        judge=perceptrons_generalise("mse"),
    ),
    Entry(
        id="guess-unbiased",
        source=_BOX,
        claim="the unbiased model that fits does not generalise",
        expected="within 5 % of a coin on every target",
        tolerance="labels of modulo addition are not balanced, its signs are",
        certainty="read",
        judge=unbiased_does_not,
    ),
    Entry(
        id="guess-sine",
        source="a consequence of section 3, not published",
        claim="networks that prefer complex functions generalise less",
        expected="sine networks of the largest weights below ReLU networks",
        tolerance="two standard errors over splits",
        certainty="computed",
        judge=complex_priors_do_worse,
    ),
)


def judge(columns: Columns, config: Config) -> list[dict[str, str]]:
    """Judge every entry."""
    return judge_all(ENTRIES, Evidence(columns, config))
