"""Pseudo-datasets: can a network tell samples of one data set apart?

Disjoint samples of one source take the place of data sets. A network may learn by heart
which sample a training image is in, but nothing of it carries over: on new images it
stays at chance. Published of YFCC: training accuracy 100 % up to 10K images a set (1K
with augmentation), beyond that training fails; validation 33 % throughout. smoke takes
a minute or two and quick two to ten minutes on two cores; paper wants GPUs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from jaxbias.files import UsageError
from jaxbias.runs import RunDirectory
from jaxbias.settings import at_least, at_most, one_or_more
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

Augmentation = Literal["none", "all"]

AUGMENTATIONS: Mapping[Augmentation, tuple[Change, ...]] = {
    "none": (),
    "all": PAPER_CHANGES,
}
"""Table 6's without and with; the paper does not say with what."""

__all__ = ["PRESETS", "Config", "check", "check_values", "run"]


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Which source, and how many samples of it."""

    source: str | None = None
    """The one that is sampled, by its name; None: the first."""
    sets: int = 3
    """Disjoint samples."""
    images: tuple[int, ...] = (30, 100, 300, 1000)
    """Training images of each sample; what the source cannot give is left out."""
    augmentations: tuple[Augmentation, ...] = ("none", "all")
    """none, or the paper's whole stack; they take the place of --augment."""


PRESETS: Mapping[str, Config] = {
    "smoke": Config(
        images=(20,),
        augmentations=("none",),
        samples_seen=4_000,
        batch=60,
        model="cnn4_narrow",
    ),
    "quick": Config(samples_seen=60_000, model="cnn4_narrow"),
    "paper": replace(
        Config(),
        **{**PAPER, "per_source": 300_000},  # type: ignore[arg-type]
        images=(100, 1_000, 10_000, 100_000),
    ),
}
"""Defaults by preset; "paper" is the published scale."""


def check_values(config: Config) -> None:
    """Raise `UsageError`, in one line, for what can be told without JAX."""
    check_common(config)
    at_least(config, sets=2, images=LEAST)
    at_most(config, sets=1000)
    one_or_more(config, "images", "augmentations")


def check(config: Config) -> None:
    """Raise `UsageError`, in one line, if a run could not succeed."""
    check_values(config)
    check_models(config.model)


def plan(config: Config, pool) -> list:
    """A case for each number of images and augmentation."""
    from jaxbias.studies.dataset_classification.cases import Case
    from jaxbias.studies.dataset_classification.images import samples_of

    source = config.source or pool.sample.names[0]
    if source not in pool.sample.names:
        raise UsageError(
            f"--source: one of {', '.join(pool.sample.names)}; got {source!r}"
        )
    counts = [n for n in sorted(config.images) if n * config.sets <= pool.per_source]
    if not counts:
        raise UsageError(
            f"--images: {source} has {pool.per_source}, for {config.sets} samples of "
            f"{min(config.images)} or more"
        )
    return [
        Case(
            name=f"{count}-{name}",
            labels={"images": count, "augmentation": name},
            split=samples_of(source, config.sets, count, pool),
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
            "samples of one source (dashed: training images)",
            training=True,
        )
        figures.draw(make, "pseudo-datasets", directory)

    runner.run(
        *(config, directory, reporter),
        plan=plan,
        name="pseudo-datasets",
        draw=draw,
    )
