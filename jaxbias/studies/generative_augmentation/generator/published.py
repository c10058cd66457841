"""What is published of generators of small images, and the rules that judge one."""

from dataclasses import dataclass

import numpy as np

from jaxbias.data.geometric_augmentation import NUMBERS
from jaxbias.ledger import (
    Entry,
    Judgement,
    MissingError,
    held,
    judge_all,
    where_possible,
)
from jaxbias.studies.generative_augmentation.generator.config import Config
from jaxbias.sweeps import Columns

PARAMETERS = {
    "cdcgan": 3_079_936 + 2_644_480,
    "edm": 55_735_299,
    "stylegan2": 20_215_315 + 23_089_664,
}
"""Weights of the published networks for ten classes; of stylegan2 as computed from the
description, which leaves the depth of the discriminator's layers from the class open."""

PUBLISHED_WIDTHS, TEN = {"cdcgan": 128, "edm": 128, "stylegan2": 512}, 10


@dataclass(frozen=True)
class Evidence:
    """What there is to judge.

    Attributes:
        config: What was asked.
        parameters: Number of weights that were trained.
        classes: Of the images.
        quality: See `samples.quality`.
        nearest: See `samples.nearest`.
    """

    config: Config
    parameters: int
    classes: int
    quality: Columns
    nearest: Columns


def _at(evidence: Evidence, images: str, feature: str, name: str) -> float:
    columns = evidence.quality
    own = (columns["images"] == images) & (columns["feature"] == feature)
    return float(columns[name][own][0])


def _not_noise(evidence: Evidence) -> Judgement:
    shares = []
    for feature in dict.fromkeys(evidence.quality["feature"].tolist()):
        made, noise = (
            _at(evidence, images, feature, "kid") for images in ("samples", "noise")
        )
        shares.append((feature, made, noise))
    text = "; ".join(f"{f} {made:.3g} (noise {noise:.3g})" for f, made, noise in shares)
    return held(all(made < noise / 4 for _, made, noise in shares), text)


def _not_copied(evidence: Evidence) -> Judgement:
    columns = evidence.nearest
    made, real = (
        float(np.median(columns["distance"][columns["images"] == name]))
        for name in ("samples", "held-out")
    )
    copied = np.mean(columns["distance"][columns["images"] == "samples"] < 0.25 * real)
    text = f"median distance {made:.3f}, of images not trained on {real:.3f}; "
    return held(bool(copied < 0.01), text + f"{copied:.1%} nearer than a quarter")


def _as_large(evidence: Evidence) -> Judgement:
    found = PARAMETERS[evidence.config.kind]
    width = PUBLISHED_WIDTHS[evidence.config.kind]
    if evidence.config.width != width or evidence.classes != TEN:
        raise MissingError(
            f"another network: {evidence.parameters:,} weights, {evidence.classes} classes"
        )
    if evidence.config.kind == "edm" and not evidence.config.augmented:
        # It is not told what was done to an image.
        found -= NUMBERS * width
    return held(evidence.parameters == found, f"{evidence.parameters:,} weights")


ENTRIES: tuple[Entry, ...] = (
    Entry(
        id="not-noise",
        source="this project: what a person would see",
        claim="samples are like real images, and not like noise",
        expected="a kernel distance to images that were not trained on below a quarter of "
        "that of white noise, on every feature",
        tolerance="a quarter was chosen before any run",
        certainty="computed",
        judge=where_possible(_not_noise),
    ),
    Entry(
        id="not-copied",
        source="this project: a generator that copies its data adds nothing",
        claim="samples are not copies of training images",
        expected="fewer than one in a hundred is nearer to a training image than a quarter "
        "of the median distance of images that were not trained on",
        tolerance="none",
        certainty="computed",
        judge=where_possible(_not_copied),
    ),
    Entry(
        id="as-large",
        source="the authors' code of cDCGAN (3.08 M + 2.64 M); EDM's DDPM++, for ten "
        "classes (55.7 M; fewer where it is not told of augmentation); StyleGAN2-ADA's "
        "CIFAR-10 configuration, counted here",
        claim="the networks have as many weights as the published ones",
        expected="to the last one, at the published width",
        tolerance="none",
        certainty="computed",
        judge=where_possible(_as_large),
    ),
)


def judge(evidence: Evidence) -> list[dict[str, str]]:
    """Rows for `verdicts.json`."""
    return judge_all(ENTRIES, evidence)
