"""Model size: how large must a ConvNeXt be to tell the sources apart?

Published: one of 7,000 weights reaches 72.4 %, one of 27 million 84.7 %; larger is
better, by less and less. smoke takes a minute or two and quick up to ten minutes on two
cores; paper wants GPUs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

from jaxbias.runs import RunDirectory
from jaxbias.studies.dataset_classification import architectures
from jaxbias.studies.dataset_classification.architectures import (
    check,
    check_values,
    plan,
)
from jaxbias.studies.dataset_classification.config import PAPER
from jaxbias.terminal import Reporter

SIZES = ("convnext_toy", "convnext_femto", "convnext_nano", "convnext_tiny")

__all__ = ["PRESETS", "Config", "check", "check_values", "run"]


@dataclass(frozen=True, kw_only=True)
class Config(architectures.Config):
    """Which sizes are compared."""

    models: tuple[str, ...] = SIZES[:3]
    """Of the catalogue; they take the place of --model."""


PRESETS: Mapping[str, Config] = {
    "smoke": Config(
        per_source=300, samples_seen=2_000, batch=50, models=("cnn4_narrow", "mlp")
    ),
    "quick": Config(models=SIZES[:2], samples_seen=40_000),
    "paper": replace(Config(models=SIZES), **PAPER),  # type: ignore[arg-type]
}
"""Defaults by preset; "paper" is the published scale."""


def run(config: Config, directory: RunDirectory, reporter: Reporter) -> None:
    """Audit, train every case, judge and draw; resumes what is already there."""
    from jaxbias.studies.dataset_classification import figures, published, runner

    def draw(config: Config, outcomes: list, pool, directory: RunDirectory) -> None:
        make = partial(
            *(figures.bars, outcomes, figures.with_size),
            published=published.SIZES,
            title="told apart by networks of every size",
        )
        figures.draw(make, "model_size", directory)

    runner.run(
        *(config, directory, reporter),
        plan=plan,
        name="model-size",
        draw=draw,
    )
