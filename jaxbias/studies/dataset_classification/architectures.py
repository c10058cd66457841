"""Architectures: do all kinds of networks tell the sources apart?

Published of AlexNet, VGG-16, ResNet-50, ViT-S and ConvNeXt-T: all do, within seven
points of one another. The quick preset's models are small ones for two CPU cores;
ConvNeXts and ViTs are trained by AdamW there, the others by SGD. smoke takes a minute
or two and quick two to ten minutes on two cores; paper wants GPUs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

from jaxbias.runs import RunDirectory
from jaxbias.settings import one_or_more
from jaxbias.studies.dataset_classification.config import (
    PAPER,
    Common,
    check_common,
    check_models,
)
from jaxbias.terminal import Reporter

__all__ = ["PRESETS", "Config", "check", "check_values", "run"]


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Which models are compared."""

    models: tuple[str, ...] = ("mlp", "cnn4_narrow", "cnn4", "convnext_toy")
    """Of the catalogue; they take the place of --model."""


PRESETS: Mapping[str, Config] = {
    "smoke": Config(
        per_source=300, samples_seen=2_000, batch=50, models=("cnn4_narrow", "mlp")
    ),
    "quick": Config(samples_seen=40_000),
    "paper": replace(
        Config(models=("alexnet", "vgg16", "resnet50", "vit_small", "convnext_tiny")),
        **PAPER,  # type: ignore[arg-type]
    ),
}
"""Defaults by preset; "paper" is the published scale."""


def check_values(config: Config) -> None:
    """Raise `UsageError`, in one line, for what can be told without JAX."""
    check_common(config)
    one_or_more(config, "models")


def check(config: Config) -> None:
    """Raise `UsageError`, in one line, if a run could not succeed."""
    check_values(config)
    check_models(*config.models, option="--models")


def plan(config: Config, pool) -> list:
    """A case for each model."""
    from jaxbias.studies.dataset_classification.cases import Case
    from jaxbias.studies.dataset_classification.images import whole_sources

    split = whole_sources(pool.sample.names, pool.per_source)
    return [
        Case(name=name, labels={"model": name}, split=split, changes={"model": name})
        for name in config.models
    ]


def run(config: Config, directory: RunDirectory, reporter: Reporter) -> None:
    """Audit, train every case, judge and draw; resumes what is already there."""
    from jaxbias.studies.dataset_classification import figures, published, runner

    def draw(config: Config, outcomes: list, pool, directory: RunDirectory) -> None:
        make = partial(
            *(figures.bars, outcomes, figures.with_size),
            published=published.ARCHITECTURES,
            title="told apart by every architecture",
        )
        figures.draw(make, "architectures", directory)

    runner.run(
        *(config, directory, reporter),
        plan=plan,
        name="architectures",
        draw=draw,
    )
