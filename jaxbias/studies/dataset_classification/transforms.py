"""Transforms: what of an image tells its source?

Each transform keeps one thing (mean colour, pixels without places, patches, low or high
frequencies, contours) in training and validation, and a network is trained anew.
Published of YFCC, CC and DataComp: mean colour 48.5 %, shuffled pixels 52.2 and 58.5,
low-pass 70.4, Canny 71.0, high-pass 79.2, HOG 79.9, shuffled patches 80.1 and 81.2, the
image 82.0. What needs another network (segmentation, depth, captions, ...) is done
beforehand: give its folders as --sources. NAME+NAME lays two transforms on one
another's channels. smoke takes a minute or two and quick two to ten minutes on two
cores; paper wants GPUs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

from jaxbias.runs import RunDirectory
from jaxbias.studies.dataset_classification.config import (
    PAPER,
    Common,
    check_common,
    check_models,
)
from jaxbias.terminal import Reporter

PAPERS = (
    *("mean-rgb", "pixel-shuffle-random", "pixel-shuffle-fixed", "low-pass", "canny"),
    *("high-pass", "hog", "patch-shuffle-random-16", "patch-shuffle-fixed-16", "none"),
)
"""Understanding Bias, section 3, in the order of its accuracies; for 224 x 224."""

__all__ = ["PRESETS", "Config", "check", "check_values", "run"]


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Which transforms."""

    transforms: tuple[str, ...] = ()
    """By name, such as low-pass or canny+grey; nothing: the paper's."""


PRESETS: Mapping[str, Config] = {
    "smoke": Config(
        transforms=("none", "mean-rgb"),
        per_source=300,
        samples_seen=2_000,
        batch=50,
        model="cnn4_narrow",
    ),
    "quick": Config(samples_seen=25_000, model="cnn4_narrow"),
    "paper": replace(Config(), **PAPER),  # type: ignore[arg-type]
}
"""Defaults by preset; "paper" is the published scale."""


def check_values(config: Config) -> None:
    """Raise `UsageError`, in one line, for what can be told without JAX."""
    check_common(config)


def check(config: Config) -> None:
    """Raise `UsageError`, in one line, if a run could not succeed."""
    check_values(config)
    check_models(config.model)


def plan(config: Config, pool) -> list:
    """A case for each transform."""
    from jaxbias.studies.dataset_classification.cases import of_views

    return of_views("--transforms", config.transforms, PAPERS, pool)


def run(config: Config, directory: RunDirectory, reporter: Reporter) -> None:
    """Audit, train every case, judge and draw; resumes what is already there."""
    from jaxbias.studies.dataset_classification import figures, published, runner

    def draw(config: Config, outcomes: list, pool, directory: RunDirectory) -> None:
        make = partial(
            *(figures.bars, outcomes, lambda o: o.case.labels["view"]),
            published=published.at_size(published.TRANSFORMS, outcomes),
            title="what is left of an image, in training and validation",
        )
        more = {"views": partial(figures.views, outcomes, pool)}
        figures.draw(make, "transforms", directory, **more)

    runner.run(
        *(config, directory, reporter),
        plan=plan,
        name="transforms",
        draw=draw,
    )
