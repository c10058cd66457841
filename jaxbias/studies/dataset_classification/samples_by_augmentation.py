"""Samples by augmentation: accuracy over the number of training images.

Published for 10K, 100K and 1M images a source under four stacks of augmentation:
accuracy on new images rises with both (43.2 to 85.0 %), so what is learned generalises.
The images that a network sees in its training are as many in every case. smoke takes a
minute or two and quick two to ten minutes on two cores; paper wants GPUs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from jaxbias.runs import RunDirectory
from jaxbias.settings import at_least, one_or_more
from jaxbias.studies.dataset_classification.config import (
    LEAST,
    PAPER,
    PAPER_CHANGES,
    Common,
    check_common,
    check_models,
)
from jaxbias.terminal import Reporter
from jaxbias.training.recipes import Change

Augmentation = Literal["none", "crop", "randaugment", "all"]

AUGMENTATIONS: Mapping[Augmentation, tuple[Change, ...]] = {
    "none": (),
    "crop": ("resized-crop", "flip"),
    "randaugment": ("resized-crop", "flip", "timm-randaugment"),
    "all": PAPER_CHANGES,
}
"""Table 4's stacks; flips, which are timm's default, come with the crops."""

__all__ = ["PRESETS", "Config", "check", "check_values", "run"]


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """How many images, augmented how."""

    images: tuple[int, ...] = (100, 300, 1000, 3000)
    """Training images of each source; more than there are become all there are."""
    augmentations: tuple[Augmentation, ...] = ("none", "crop", "all")
    """none; crop: resized crops, mirrored; randaugment: RandAugment as well; all: mixup and
    cutmix as well. They take the place of --augment."""


PRESETS: Mapping[str, Config] = {
    "smoke": Config(
        images=(50, 200),
        augmentations=("none", "all"),
        samples_seen=2_000,
        batch=50,
        model="cnn4_narrow",
    ),
    "quick": Config(samples_seen=25_000, model="cnn4_narrow"),
    "paper": replace(
        Config(),
        **PAPER,  # type: ignore[arg-type]
        images=(10_000, 100_000, 1_000_000),
        augmentations=("none", "crop", "randaugment", "all"),
    ),
}
"""Defaults by preset; "paper" is the published scale."""


def check_values(config: Config) -> None:
    """Raise `UsageError`, in one line, for what can be told without JAX."""
    check_common(config)
    at_least(config, images=LEAST)
    one_or_more(config, "images", "augmentations")


def check(config: Config) -> None:
    """Raise `UsageError`, in one line, if a run could not succeed."""
    check_values(config)
    check_models(config.model)


def plan(config: Config, pool) -> list:
    """A case for each number of images and augmentation."""
    from jaxbias.studies.dataset_classification.cases import Case
    from jaxbias.studies.dataset_classification.images import whole_sources

    counts = dict.fromkeys(min(n, pool.per_source) for n in sorted(config.images))
    return [
        Case(
            name=f"{count}-{name}",
            labels={"images": count, "augmentation": name},
            split=whole_sources(pool.sample.names, count),
            changes={"augment": AUGMENTATIONS[name]},
            judge_training=True,
        )
        for name in config.augmentations
        for count in counts
    ]


def run(config: Config, directory: RunDirectory, reporter: Reporter) -> None:
    """Audit, train every case, judge and draw; resumes what is already there."""
    from jaxbias.studies.dataset_classification import figures, runner

    def draw(config: Config, outcomes: list, pool, directory: RunDirectory) -> None:
        make = partial(
            *(figures.lines, outcomes, "images", "augmentation"),
            "more images, and more augmentation (dashed: training images)",
            training=True,
        )
        figures.draw(make, "samples", directory)

    runner.run(
        *(config, directory, reporter),
        plan=plan,
        name="samples-by-augmentation",
        draw=draw,
    )
