"""Two-way shift: are two sets that were made alike told apart?

Published of ImageNet's validation set and ImageNetV2, which was gathered to be like it:
81.8 % from 8,000 images each, where chance is 50 %. Give two sources; without any, two
generators that differ slightly. smoke takes a minute or two and quick two to ten
minutes on two cores; paper wants GPUs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from jaxbias.files import UsageError
from jaxbias.runs import RunDirectory
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
    """Which two sources."""


PRESETS: Mapping[str, Config] = {
    "smoke": Config(per_source=400, samples_seen=4_000, batch=64, model="cnn4_narrow"),
    "quick": Config(samples_seen=100_000, per_source=8_000),
    "paper": replace(Config(), **{**PAPER, "per_source": 8_000}),  # type: ignore[arg-type]
}
"""Defaults by preset; "paper" is the published scale."""


def check_values(config: Config) -> None:
    """Raise `UsageError`, in one line, for what can be told without JAX."""
    check_common(config)
    if len(config.sources) not in (0, 1, 2):
        raise UsageError(f"--sources: two are compared, got {len(config.sources)}")


def check(config: Config) -> None:
    """Raise `UsageError`, in one line, if a run could not succeed."""
    check_values(config)
    check_models(config.model)


def plan(config: Config, pool) -> list:
    """One case: the two sources."""
    from jaxbias.studies.dataset_classification.cases import Case
    from jaxbias.studies.dataset_classification.images import whole_sources

    names = pool.sample.names[:2] if not config.sources else pool.sample.names
    if len(names) != 2:
        raise UsageError(f"--sources: two are compared, got {len(names)}")
    split = whole_sources(names, pool.per_source)
    return [Case(name="both", labels={"model": config.model}, split=split)]


def run(config: Config, directory: RunDirectory, reporter: Reporter) -> None:
    """Audit, train every case, judge and draw; resumes what is already there."""
    from jaxbias.studies.dataset_classification import figures, runner

    def draw(config: Config, outcomes: list, pool, directory: RunDirectory) -> None:
        figures.draw_name_that_dataset(outcomes[0], pool, directory)

    runner.run(
        *(config, directory, reporter),
        plan=plan,
        name="two-way-shift",
        draw=draw,
    )
