"""What is known of the measure on features that nobody trained, and the rules that judge.

The numbers on official images were computed by programs written apart from these, from the
official PNG files. The study itself does not print any.
"""

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
from jaxbias.studies.synthetic_shape_bias.calibration.evidence import Evidence
from jaxbias.studies.synthetic_shape_bias.calibration.stimuli import OFFICIAL

IMAGES = 1_200
WITHIN = 0.02
"""For copies of the images that were compressed again."""

TABLE = {
    "pixels": (0.935, 0.105, 0.900),
    "pixels-64": (0.940, 0.095, 0.908),
    "grey-pixels": (0.998, 0.005, 0.995),
    "thumbnail": (0.999, 0.005, 0.995),
    "mean-colour": (0.087, 0.711, 0.109),
    "colour-histogram": (0.130, 0.943, 0.121),
    "hog-1": (0.123, 0.904, 0.12),
    "hog-2": (0.339, 0.654, 0.34),
    "hog-4": (0.775, 0.312, 0.71),
    "hog-8": (0.921, 0.150, 0.86),
    "power-spectrum": (0.221, 0.631, 0.259),
}
"""Shares of 1,200 official images whose shape and texture is found, and shape bias."""

WORDS = {
    "pixels": "pixels at 32 x 32",
    "pixels-64": "pixels at 64 x 64",
    "grey-pixels": "grey pixels at 32 x 32, less their mean",
    "thumbnail": "a grey thumbnail of 8 x 8",
    "mean-colour": "the mean colour",
    "colour-histogram": "a histogram of 512 colours",
    "hog-1": "one histogram of oriented gradients",
    "hog-2": "histograms of oriented gradients in 2 x 2 cells",
    "hog-4": "histograms of oriented gradients in 4 x 4 cells",
    "hog-8": "histograms of oriented gradients in 8 x 8 cells",
    "power-spectrum": "the power spectrum in 4 bands and 8 orientations",
}

UNTRAINED = ("random-map", "random-pooled", "random-pooled-64")

APART = 0.4
"""By how much readings of untrained networks are apart, at least."""

HALF = 0.5
GROUND = 0.2
CHANCE = 0.03
"""How far accuracies of 16 classes and 1,200 images may be from 1/16 by chance."""


def _mean(evidence: Evidence, name: str, feature: str, column: str, **at) -> float:
    """The mean over networks of what a feature reads.

    Raises:
        MissingError: If the set was not read.
    """
    rows = evidence.at(name, feature, **at)
    if rows is None:
        given = "not given" if name == OFFICIAL else "not drawn"
        raise MissingError(f"{name} images are {given}")
    return float(np.mean(rows[column]))


def _row(evidence: Evidence, feature: str) -> Judgement:
    here = [
        _mean(evidence, OFFICIAL, feature, column)
        for column in ("shape", "texture", "shape_bias")
    ]
    near = np.abs(np.asarray(here) - TABLE[feature]).max() <= WITHIN
    return held(
        bool(near),
        f"shape {here[0]:.3f}, texture {here[1]:.3f}, shape bias {here[2]:.3f}",
    )


def _untrained(evidence: Evidence) -> Judgement:
    here = [_mean(evidence, OFFICIAL, name, "shape_bias") for name in UNTRAINED]
    text = "; ".join(
        f"{words} {value:.2f}"
        for words, value in zip(
            ("map of 32 px", "its mean", "mean at 64 px"), here, strict=True
        )
    )
    return held(max(here) - min(here) > APART, text)


def _siblings(evidence: Evidence) -> Judgement:
    whole = _mean(evidence, OFFICIAL, "pixels", "shape")
    apart = _mean(evidence, OFFICIAL, "pixels", "shape", exclusion="either")
    return held(
        apart < whole * HALF,
        f"{whole:.3f} with them, {apart:.3f} without those of either cue",
    )


def _colour(evidence: Evidence) -> Judgement:
    here = [
        _mean(evidence, "solid", "mean-colour", column)
        for column in ("shape", "texture")
    ]
    near = max(abs(one - 1 / 16) for one in here) <= CHANCE
    return held(near, f"shape {here[0]:.3f}, texture {here[1]:.3f}, chance 0.062")


def _pixels(evidence: Evidence) -> Judgement:
    here = [_mean(evidence, "solid", "thumbnail", "shape_bias")]
    here.append(_mean(evidence, "textured", "thumbnail", "shape_bias"))
    return held(
        min(here) > 0.7, f"{here[0]:.2f} on a colour, {here[1]:.2f} on a texture"
    )


def _ground(evidence: Evidence) -> Judgement:
    solid, textured = (
        _mean(evidence, name, "hog-4", "shape_bias") for name in ("solid", "textured")
    )
    return held(
        solid - textured > GROUND,
        f"{solid:.2f} on a colour, {textured:.2f} on a texture",
    )


def _entry(id: str, claim: str, expected: str, rule, tolerance: str) -> Entry:
    return Entry(
        id=id,
        source="an independent program",
        claim=claim,
        expected=expected,
        tolerance=tolerance,
        certainty="computed",
        judge=where_possible(rule),
    )


ENTRIES: tuple[Entry, ...] = (
    *(
        _entry(
            f"official-{name}",
            f"{WORDS[name]} read a shape bias of {bias:g}: shape {shape:.3f}, "
            f"texture {texture:.3f}",
            f"each within {WITHIN} on the {IMAGES:,} official images",
            partial(_row, feature=name),
            "copies of the images may have been compressed again",
        )
        for name, (shape, texture, bias) in TABLE.items()
    ),
    _entry(
        "untrained-networks",
        "an untrained network reads anything from .23 to .92, by pooling and size alone",
        f"readings more than {APART} apart",
        _untrained,
        "the network is another one",
    ),
    _entry(
        "siblings",
        "most of what pixels find is siblings: shape .935, without siblings .324",
        "less than half without siblings of either cue",
        _siblings,
        "the numbers leave out siblings of the shape alone",
    ),
    _entry(
        "colour-says-nothing",
        "of stimuli drawn here, colour tells neither shape nor texture",
        f"both accuracies within {CHANCE} of 1/16",
        _colour,
        "four standard errors of 1,200 images",
    ),
    _entry(
        "thumbnails-read-shape",
        "a thumbnail reads shape on either ground: .92 and .88",
        "above 0.7 on both",
        _pixels,
        "other draws of the same kind of stimuli",
    ),
    _entry(
        "grounds-decide",
        "on a ground of the same texture, gradients read texture: .65 and .27",
        f"lower by more than {GROUND}",
        _ground,
        "other draws, and another recipe of the gradients",
    ),
)


def judge(evidence: Evidence) -> list[dict[str, str]]:
    """Rows for `verdicts.json`."""
    return judge_all(ENTRIES, evidence)
