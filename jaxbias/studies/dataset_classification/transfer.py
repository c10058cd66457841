"""Transfer: are the features of a dataset classifier of use for something else?

A network is trained to tell sources apart, frozen, and its features are classified by
logistic regression on the labels of another set. Published of ViT-B and ImageNet-1K:
random weights give 6.7 %, three data sets 27.7, four 34.2, six 34.8 %. smoke takes a
minute or two and quick two to ten minutes on two cores; paper wants GPUs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

from jaxbias.runs import RunDirectory
from jaxbias.settings import at_least
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
    """What features are asked for."""

    target: str = "shapes"
    """A SOURCE with classes, as experiments.train takes it: its labels are what the
    features must tell."""
    target_images: int = 4_000
    """Training images of the target, at most; as many of each class as can be."""
    layer: str = "features"
    """The intermediate that is read; maps are averaged over places."""


PRESETS: Mapping[str, Config] = {
    "smoke": Config(
        **{"per_source": 300, "samples_seen": 2_000, "batch": 50},  # type: ignore[arg-type]
        model="cnn4_narrow",
        target_images=300,
    ),
    "quick": Config(samples_seen=60_000),
    # Paper: ViT-B, layer and learning rate of the probe chosen among three each.
    "paper": replace(
        Config(target="tfds:imagenet2012", target_images=1_281_167),
        **{**PAPER, "model": "vit_base"},  # type: ignore[arg-type]
    ),
}
"""Defaults by preset; "paper" is the published scale."""


def check_values(config: Config) -> None:
    """Raise `UsageError`, in one line, for what can be told without JAX."""
    check_common(config)
    at_least(config, target_images=20)


def check(config: Config) -> None:
    """Raise `UsageError`, in one line, if a run could not succeed."""
    check_values(config)
    check_models(config.model)


def plan(config: Config, pool) -> list:
    """A case without training, and one for the first two sources, three, and so on."""
    from jaxbias.studies.dataset_classification.cases import Case
    from jaxbias.studies.dataset_classification.images import whole_sources

    names = pool.sample.names
    found = [
        Case(
            name="random-weights",
            labels={"sources": 0, "trained on": "nothing"},
            split=whole_sources(names, pool.per_source),
            untrained=True,
        )
    ]
    for count in range(2, len(names) + 1):
        found.append(
            Case(
                name=f"{count}-sources",
                labels={"sources": count, "trained on": "+".join(names[:count])},
                split=whole_sources(names[:count], pool.per_source),
            )
        )
    return found


def run(config: Config, directory: RunDirectory, reporter: Reporter) -> None:
    """Audit, train, probe, judge and draw; resumes what is already there."""
    from jaxbias.studies.dataset_classification import figures, published, runner
    from jaxbias.studies.dataset_classification.probing import Target

    target = Target(config)

    def draw(config: Config, outcomes: list, pool, directory: RunDirectory) -> None:
        make = partial(
            *(figures.probes, outcomes, lambda o: o.case.labels["trained on"]),
            published=published.TRANSFER,
            title=f"a linear classifier of {config.target} on frozen features",
        )
        figures.draw(make, "transfer", directory)

    runner.run(
        *(config, directory, reporter),
        plan=plan,
        name="transfer",
        draw=draw,
        measure=target.measure,
    )
