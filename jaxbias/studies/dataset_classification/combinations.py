"""Combinations: every subset of the sources, told apart.

Published for all 20 triples of six data sets, and for four, five and six of them: all
are told far better than by chance; those that were gathered in one way, DataComp and
LAION, are the hardest. Writes a row for each combination. smoke takes a minute or two
and quick two to ten minutes on two cores; paper wants GPUs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations

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

__all__ = ["PRESETS", "Config", "check", "check_values", "run"]


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Which subsets are told apart."""

    fewest: int = 2
    """Sources of the smallest subsets."""
    most: int | None = None
    """Sources of the largest subsets; None: all."""


PRESETS: Mapping[str, Config] = {
    "smoke": Config(per_source=400, samples_seen=3_000, batch=64, model="cnn4_narrow"),
    "quick": Config(samples_seen=40_000, model="cnn4_narrow"),
    "paper": replace(Config(fewest=3), **PAPER),  # type: ignore[arg-type]
}
"""Defaults by preset; "paper" is the published scale."""


def check_values(config: Config) -> None:
    """Raise `UsageError`, in one line, for what can be told without JAX."""
    check_common(config)
    at_least(config, fewest=2, most=2)
    if config.most is not None and config.most < config.fewest:
        raise UsageError("--most: must be at least --fewest")


def check(config: Config) -> None:
    """Raise `UsageError`, in one line, if a run could not succeed."""
    check_values(config)
    check_models(config.model)


def plan(config: Config, pool) -> list:
    """A case for each subset, the smaller ones first."""
    from jaxbias.studies.dataset_classification.cases import Case
    from jaxbias.studies.dataset_classification.images import whole_sources

    names = pool.sample.names
    most = min(config.most or len(names), len(names))
    if config.fewest > most:
        raise UsageError(f"--fewest: {config.fewest} of {len(names)} sources")
    return [
        Case(
            name=f"subset-{'-'.join(str(names.index(n)) for n in chosen)}",
            labels={"sources": count, "combination": "+".join(chosen)},
            split=whole_sources(chosen, pool.per_source),
        )
        for count in range(config.fewest, most + 1)
        for chosen in combinations(names, count)
    ]


def run(config: Config, directory: RunDirectory, reporter: Reporter) -> None:
    """Audit, train every case, judge and draw; resumes what is already there."""
    from jaxbias.studies.dataset_classification import figures, published, runner

    def draw(config: Config, outcomes: list, pool, directory: RunDirectory) -> None:
        make = partial(
            *(figures.bars, outcomes, lambda o: o.case.labels["combination"]),
            published=published.by_letters(outcomes),
            title="every subset of the sources",
        )
        figures.draw(make, "combinations", directory)

    runner.run(
        *(config, directory, reporter),
        plan=plan,
        name="combinations",
        draw=draw,
    )
