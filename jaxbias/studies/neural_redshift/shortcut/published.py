"""The published outcomes of the shortcut experiment (Figure 9), and their rules."""

import numpy as np

from jaxbias.ledger import (
    Entry,
    Judgement,
    held,
    judge_all,
    where_possible,
)
from jaxbias.numerics.statistics import spearman
from jaxbias.studies.neural_redshift.shortcut.config import Config
from jaxbias.studies.neural_redshift.shortcut.evidence import Evidence
from jaxbias.sweeps import Columns

TUNABLE = ("tanh", "gaussian", "sine")


@where_possible
def complexity_rises(evidence: Evidence) -> Judgement:
    """At random weights, from the smallest prefactor to the largest."""
    evidence.enough()
    shown, met = [], []
    for name in TUNABLE:
        means = evidence.curve("lz78", name, 0).mean(axis=1)
        rank = spearman(evidence.prefactors, means)
        shown.append(f"{name} {means[0]:.0f} to {means[-1]:.0f} (rank {rank:.2f})")
        met.append(bool(rank > 0.7 and means[-1] > means[0]))
    return held(all(met), "LZ78: " + ", ".join(shown))


@where_possible
def colour_at_small_prefactors(evidence: Evidence) -> Judgement:
    """Colour is learned best at a smaller prefactor than the digit."""
    evidence.enough()
    shown, met = [], []
    for name in TUNABLE:
        best = [
            float(evidence.prefactors[evidence.curve(kind, name).mean(axis=1).argmax()])
            for kind in ("colour_accuracy", "digit_accuracy")
        ]
        shown.append(f"{name} {best[0]:g} and {best[1]:g}")
        met.append(best[0] < best[1])
    return held(all(met), "best for colour and digit: " + ", ".join(shown))


def _falls(evidence: Evidence, name: str) -> tuple[float, float, int]:
    """The digit's peak, how far it falls to the largest prefactor, and its place."""
    means = evidence.curve("digit_accuracy", name).mean(axis=1)
    place = int(means.argmax())
    return float(means[place]), float(means[place] - means[-1]), place


@where_possible
def digit_peaks_between(evidence: Evidence) -> Judgement:
    """Digit accuracy is best at a prefactor in between, and falls beyond it."""
    evidence.enough()
    shown, met = [], []
    for name in TUNABLE:
        peak, fall, place = _falls(evidence, name)
        shown.append(
            f"{name} {peak:.3f} at {evidence.prefactors[place]:g}, -{fall:.3f}"
        )
        met.append(0 < place < len(evidence.prefactors) - 1 and fall > 0.01)
    return held(all(met), "; ".join(shown))


@where_possible
def sine_falls_fastest(evidence: Evidence) -> Judgement:
    """Beyond the peak sine loses most."""
    evidence.enough()
    falls = {name: _falls(evidence, name)[1] for name in TUNABLE}
    here = ", ".join(f"{name} -{fall:.3f}" for name, fall in falls.items())
    return held(max(falls, key=lambda name: falls[name]) == "sine", here)


@where_possible
def simple_networks_take_the_colour(evidence: Evidence) -> Judgement:
    """The less complex at random weights, the more colour counts against the digit."""
    evidence.enough()
    x, y = [], []
    for name in evidence.config.activations:
        x.append(evidence.curve("lz78", name, 0).ravel())
        colour = evidence.curve("colour_accuracy", name)
        y.append((colour - evidence.curve("digit_accuracy", name)).ravel())
    rank = spearman(np.concatenate(x), np.concatenate(y))
    return held(rank < -0.3, f"rank correlation {rank:.2f} over {sum(map(len, x))}")


def _entry(id: str, claim: str, expected: str, judge) -> Entry:
    return Entry(
        id=id,
        source="section 4.2, Figure 9",
        claim=claim,
        expected=expected,
        tolerance="a direction: no numbers are printed; optimiser and steps are remembered",
        certainty="read",
        judge=judge,
    )


ENTRIES = (
    _entry(
        "shortcut-complexity",
        "complexity at random weights rises with the prefactor of tanh, Gaussian, sine",
        "rank correlation above 0.7 for each",
        complexity_rises,
    ),
    _entry(
        "shortcut-colour",
        "the colour is learned best at small prefactors",
        "at a smaller one than the digit, for each",
        colour_at_small_prefactors,
    ),
    _entry(
        "shortcut-digit",
        "digit accuracy peaks at an intermediate prefactor and then falls",
        "a peak inside, and 0.01 less at the largest prefactor, for each",
        digit_peaks_between,
    ),
    _entry(
        "shortcut-sine",
        "it falls fastest for sine",
        "the largest fall from the peak",
        sine_falls_fastest,
    ),
    _entry(
        "shortcut-simple",
        "networks of low complexity rely on the colour",
        "rank correlation of complexity with colour minus digit accuracy below -0.3",
        simple_networks_take_the_colour,
    ),
)


def judge(columns: Columns, config: Config) -> list[dict[str, str]]:
    """Judge every entry."""
    return judge_all(ENTRIES, Evidence(columns, config))
