"""Self-supervised: are data sets told apart by features that were learned without labels?

A masked autoencoder is trained on the images of all sources, without being told which
is from where, and frozen; logistic regression then names the sources from its features.
Beside it stand the same network with random weights, and one of the encoder's shape
that was trained on the sources' names. Published of ViT-B: 78.4 % by MAE on the three
data sets, 82.9 % with supervision. smoke takes a minute or two and quick up to ten
minutes on two cores; paper wants GPUs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

from jaxbias.files import UsageError
from jaxbias.runs import RunDirectory
from jaxbias.settings import at_least
from jaxbias.studies.dataset_classification.config import (
    PAPER,
    Common,
    check_common,
    check_models,
)
from jaxbias.terminal import Reporter
from jaxbias.training.recipes import Change

AUGMENT: tuple[Change, ...] = ("resized-crop", "flip")
"""Of the autoencoder's images, as in its paper."""

__all__ = ["PRESETS", "Config", "check", "check_values", "run"]


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Which networks; --model is the supervised one."""

    model: str = "vit_32_small"
    """A model of the catalogue, trained on the sources' names."""
    autoencoder: str = "mae_32"
    """mae_32, or mae_base as published."""
    autoencoder_samples_seen: int = 300_000
    """Images that the autoencoder sees in its training."""
    layer: str = "mean_features"
    """What is read of the autoencoder: mean_features, features (of the class token),
    block1 and so on."""


PRESETS: Mapping[str, Config] = {
    "smoke": Config(
        **{"per_source": 200, "samples_seen": 1_000, "batch": 50},  # type: ignore[arg-type]
        validation_per_source=200,
        autoencoder_samples_seen=1_000,
    ),
    "quick": Config(samples_seen=18_000, autoencoder_samples_seen=56_000),
    "paper": replace(
        Config(),
        **{**PAPER, "model": "vit_base"},  # type: ignore[arg-type]
        autoencoder="mae_base",
        # Paper: of MAE's training only its data are named; its own is 1,600 epochs.
        autoencoder_samples_seen=1_600 * 1_281_167,
    ),
}
"""Defaults by preset; "paper" is the published scale."""


def check_values(config: Config) -> None:
    """Raise `UsageError`, in one line, for what can be told without JAX."""
    check_common(config)
    at_least(config, autoencoder_samples_seen=1)


def check(config: Config) -> None:
    """Raise `UsageError`, in one line, if a run could not succeed."""
    check_values(config)
    check_models(config.model)
    from jaxbias.models import mae

    if config.autoencoder not in mae.MODELS:
        known = ", ".join(mae.MODELS)
        raise UsageError(f"--autoencoder: one of {known}; got {config.autoencoder!r}")


def plan(config: Config, pool) -> list:
    """The autoencoder as it was drawn, the same trained, and the supervised network."""
    from jaxbias.studies.dataset_classification.cases import Case
    from jaxbias.studies.dataset_classification.images import whole_sources

    split = whole_sources(pool.sample.names, pool.per_source)
    changes = {
        "model": config.autoencoder,
        "augment": AUGMENT,
        "samples_seen": config.autoencoder_samples_seen,
    }
    masked = partial(Case, split=split, changes=changes, autoencoder=True)
    return [
        masked(name="random-weights", labels={"trained by": "nothing"}, untrained=True),
        masked(name="autoencoder", labels={"trained by": "filling in"}),
        Case(name="supervised", labels={"trained by": "names"}, split=split),
    ]


def run(config: Config, directory: RunDirectory, reporter: Reporter) -> None:
    """Audit, train, probe, judge and draw; resumes what is already there."""
    from jaxbias.studies.dataset_classification import (
        figures,
        probing,
        published,
        runner,
    )

    def measure(case, fitted, training, validation):
        layer = config.layer if case.autoencoder else "features"
        classes = len(case.split.names)
        return probing.probed(fitted, training, validation, classes, layer=layer)

    def draw(config: Config, outcomes: list, pool, directory: RunDirectory) -> None:
        make = partial(
            *(figures.probes, outcomes, lambda o: o.case.name),
            published=published.SELF_SUPERVISED,
            title="the sources, by a linear classifier on frozen features",
        )
        figures.draw(make, "self-supervised", directory)

    runner.run(
        *(config, directory, reporter),
        plan=plan,
        name="self-supervised",
        draw=draw,
        measure=measure,
    )
