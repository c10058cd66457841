"""The published outcome: the unbiased model fits by gradient descent, and is useless."""

import numpy as np

from jaxbias.ledger import (
    Entry,
    Judgement,
    MissingError,
    held,
    judge_all,
    where_possible,
)
from jaxbias.studies.neural_redshift.modulo.published import FITTED, LEARNED
from jaxbias.sweeps import Columns

FEW = 4
"""Networks below which nothing is judged."""

USELESS = 0.25
"""Relative accuracy on held-out points up to which a model is of no use."""


def at_the_end(columns: Columns, name: str, model: str, modulus: int) -> np.ndarray:
    """A column of one model's networks after the last step, all prefactors.

    Raises:
        MissingError: If there are too few.
    """
    chosen = (columns["model"] == model) & (columns["modulus"] == modulus)
    chosen &= columns["steps"] == columns["steps"].max()
    values = columns[name][chosen]
    if len(values) < FEW:
        raise MissingError(f"{len(values)} networks of {model}, {FEW} are needed")
    return values


def _models(columns: Columns, *, unbiased: bool) -> list[str]:
    chosen = (columns["max_frequency"] > 0) == unbiased
    found = list(dict.fromkeys(columns["model"][chosen].tolist()))
    if not found:
        raise MissingError("the models that it needs were not trained")
    return found


@where_possible
def fits_and_is_useless(columns: Columns) -> Judgement:
    """Perfect on the points trained on, and as good as guessing on others."""
    shown, met = [], []
    for model in _models(columns, unbiased=True):
        for modulus in dict.fromkeys(columns["modulus"].tolist()):
            fitted = float(at_the_end(columns, "train_accuracy", model, modulus).mean())
            new = float(at_the_end(columns, "relative_accuracy", model, modulus).mean())
            shown.append(f"{model}, M = {modulus}: {fitted:.3f} and {new:.2f}")
            met.append(fitted >= FITTED and new <= USELESS)
    return held(
        all(met), "training points right, relative accuracy: " + "; ".join(shown)
    )


@where_possible
def a_bias_is_needed(columns: Columns) -> Judgement:
    """On the same points a ReLU network learns the easiest target."""
    easiest = int(columns["modulus"].max())
    value = float(at_the_end(columns, "relative_accuracy", "relu", easiest).mean())
    others = [
        float(at_the_end(columns, "relative_accuracy", model, easiest).mean())
        for model in _models(columns, unbiased=True)
    ]
    here = f"M = {easiest}: relu {value:.2f}, unbiased at most {max(others):.2f}"
    return held(value >= LEARNED > max(others), here)


@where_possible
def stays_complex(columns: Columns) -> Judgement:
    """What it learns is as complex as what it began with: more than a perceptron's."""
    if "dct" not in columns:
        raise MissingError("dct was not measured")
    shown, met = [], []
    for modulus in dict.fromkeys(columns["modulus"].tolist()):
        ours = [
            float(np.nanmean(at_the_end(columns, "dct", model, modulus)))
            for model in _models(columns, unbiased=True)
        ]
        theirs = [
            float(np.nanmean(at_the_end(columns, "dct", model, modulus)))
            for model in _models(columns, unbiased=False)
        ]
        shown.append(
            f"M = {modulus}: unbiased {min(ours):.2f} and more, "
            f"perceptrons {max(theirs):.2f} and less"
        )
        met.append(min(ours) > max(theirs))
    return held(all(met), "mean DCT frequency: " + "; ".join(shown))


ENTRIES = (
    Entry(
        id="unbiased-useless",
        source="Appendix E, Box on the unbiased model",
        claim="trained by gradient descent the unbiased model does not generalise",
        expected=f"training points {FITTED}, relative accuracy at most {USELESS}",
        tolerance="the paper prints no number; the task and its width are ours",
        certainty="read",
        judge=fits_and_is_useless,
    ),
    Entry(
        id="unbiased-relu-learns",
        source="Appendix E, section 4.1",
        claim="on the same points a ReLU network does",
        expected=f"relative accuracy {LEARNED} on the target of lowest frequency",
        tolerance="as for modulo-addition",
        certainty="read",
        judge=a_bias_is_needed,
    ),
    Entry(
        id="unbiased-stays-complex",
        source="a consequence, not published",
        claim="its functions stay more complex than those of trained perceptrons",
        expected="the least of its mean DCT frequencies above the largest of theirs",
        tolerance="a direction",
        certainty="computed",
        judge=stays_complex,
    ),
)


def judge(columns: Columns) -> list[dict[str, str]]:
    """Judge every entry."""
    return judge_all(ENTRIES, columns)
