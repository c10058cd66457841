"""Play: the game of naming the data set, for people.

Trains a network as name-that-dataset does, then writes game.html into the run
directory: one page, to be opened in any browser, on which a person looks at labelled
training images for as long as they like and guesses the source of validation images.
Published of 20 people and 100 images each, of three data sets: 45.4 % on average; a
network reaches 84.7 %. smoke takes a minute or two and quick two to ten minutes on two
cores, before anybody plays; paper wants GPUs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from jaxbias.runs import RunDirectory, write_atomic
from jaxbias.settings import at_least, at_most
from jaxbias.studies.dataset_classification.config import (
    PAPER,
    Common,
    check_common,
    check_models,
)
from jaxbias.terminal import Reporter

__all__ = ["PRESETS", "Config", "check", "check_values", "run", "show"]

GAME = "game.html"


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """What is shown and guessed."""

    guesses: int = 100
    """Validation images that are guessed, as many of each source as can be."""
    labelled: int = 60
    """Training images of each source that can be looked at."""


PRESETS: Mapping[str, Config] = {
    "smoke": Config(
        per_source=300, samples_seen=3_000, batch=64, model="cnn4_narrow", guesses=30
    ),
    "quick": Config(),
    "paper": replace(Config(), **PAPER),  # type: ignore[arg-type]
}
"""Defaults by preset; "paper" is section 5 of the paper."""


def check_values(config: Config) -> None:
    """Raise `UsageError`, in one line, for what can be told without JAX."""
    check_common(config)
    at_least(config, guesses=1, labelled=1)
    at_most(config, guesses=1000, labelled=1000)


def check(config: Config) -> None:
    """Raise `UsageError`, in one line, if a run could not succeed."""
    check_values(config)
    check_models(config.model)


def plan(config: Config, pool) -> list:
    """One case: all sources."""
    from jaxbias.studies.dataset_classification.cases import Case
    from jaxbias.studies.dataset_classification.images import whole_sources

    split = whole_sources(pool.sample.names, pool.per_source)
    return [Case(name="sources", labels={"model": config.model}, split=split)]


def run(config: Config, directory: RunDirectory, reporter: Reporter) -> None:
    """Train the opponent and write the page."""
    from jaxbias import devices
    from jaxbias.studies.dataset_classification import figures, runner

    def draw(config: Config, outcomes: list, pool, directory: RunDirectory) -> None:
        page = written(config, outcomes[0], pool)
        write_atomic(directory.path / GAME, page.encode())
        figures.draw_name_that_dataset(outcomes[0], pool, directory)

    runner.run(
        *(config, directory, reporter),
        plan=plan,
        name="play",
        draw=draw,
    )
    if devices.is_writer():
        show(directory, reporter)


def show(directory: RunDirectory, reporter: Reporter) -> None:
    """Say where the page is."""
    reporter.say(f"open in a browser: {(directory.path / GAME).absolute()}")


def written(config: Config, outcome, pool) -> str:
    """The page, from a trained case."""
    from jaxbias.studies.dataset_classification.game import page

    split, scores = outcome.case.split, outcome.validation[0]
    training, validation = pool.pick(split)
    rng = np.random.default_rng(config.seed)
    pixels, labels = next(training.batches(len(training)))
    shown = [
        np.flatnonzero(labels == label)[: config.labelled]
        for label in range(len(split.names))
    ]
    each = -(-config.guesses // len(split.names))
    asked = [
        rng.permutation(np.flatnonzero(scores.labels == label))[:each]
        for label in range(len(split.names))
    ]
    chosen = rng.permutation(np.concatenate(asked))[: config.guesses]
    unseen = next(validation.batches(len(validation)))[0]
    return page(
        split.names,
        [pixels[rows] for rows in shown],
        unseen[chosen],
        scores.labels[chosen],
        scores.predicted[chosen],
        title="Name that dataset",
    )
