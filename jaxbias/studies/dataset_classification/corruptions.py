"""Corruptions: are the sources told apart where every image is spoiled?

Training and validation images get colour jitter, noise, blur or a low resolution, and a
network is trained anew for each. Published of images of 224 x 224: 68.4 to 81.1 %
remain of 84.7 %. Lengths (blur, resolution) are scaled with the size of the images.
smoke takes a minute or two and quick two to ten minutes on two cores; paper wants GPUs.
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
    *("none", "jitter-1.0", "jitter-2.0", "noise-0.2", "noise-0.3"),
    *("blur-3", "blur-5", "low-resolution-64", "low-resolution-32"),
)
"""Table 5, for images of 224 x 224."""

__all__ = ["PRESETS", "Config", "check", "check_values", "run"]


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Which corruptions."""

    corruptions: tuple[str, ...] = ()
    """Transforms by name, such as noise-0.2; nothing: the paper's eight and none."""


PRESETS: Mapping[str, Config] = {
    "smoke": Config(
        corruptions=("none", "noise-0.3"),
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
    """A case for each corruption."""
    from jaxbias.studies.dataset_classification.cases import of_views

    return of_views("--corruptions", config.corruptions, PAPERS, pool)


def run(config: Config, directory: RunDirectory, reporter: Reporter) -> None:
    """Audit, train every case, judge and draw; resumes what is already there."""
    from jaxbias.studies.dataset_classification import figures, published, runner

    def draw(config: Config, outcomes: list, pool, directory: RunDirectory) -> None:
        make = partial(
            *(figures.bars, outcomes, lambda o: o.case.labels["step"]),
            published=published.at_size(published.CORRUPTIONS, outcomes),
            title="every image spoiled, in training and validation",
        )
        figures.draw(make, "corruptions", directory)

    runner.run(
        *(config, directory, reporter),
        plan=plan,
        name="corruptions",
        draw=draw,
    )
