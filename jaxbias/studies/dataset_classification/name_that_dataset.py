"""Name that dataset: which data set is an image from?

Trains a network to tell the sources apart and scores it on images that it has not seen,
one by one. Beside it stand chance, and a linear classifier of hand-made features
(colour, border, noise, spectrum): what is above it is not explained by how files were
made. Writes results.parquet, predictions.parquet (a row for each validation image), the
leak audit, and figures of the confusion and of the easiest and hardest images of each
source. Published of YFCC, CC and DataComp: 84.7 %, where chance is 33.3 %. smoke takes
a minute or two and quick four and a half minutes on two cores; paper wants GPUs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from jaxbias.files import UsageError
from jaxbias.runs import RunDirectory
from jaxbias.studies.dataset_classification.config import (
    LEAST,
    PAPER,
    Common,
    check_common,
    check_models,
)
from jaxbias.terminal import Reporter

__all__ = ["PRESETS", "Config", "check", "check_values", "run", "show"]


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Which sources are told apart."""

    control: bool = True
    """Also train on samples of one source, a quarter as long: a negative control, which
    must stay at chance."""


PRESETS: Mapping[str, Config] = {
    "smoke": Config(
        per_source=500,
        validation_per_source=300,
        samples_seen=6_000,
        batch=64,
        model="cnn4_narrow",
    ),
    "quick": Config(),
    "paper": replace(Config(), **PAPER),  # type: ignore[arg-type]
}
"""Defaults by preset; "paper" is section 3 of the paper."""


def check_values(config: Config) -> None:
    """Raise `UsageError`, in one line, for what can be told without JAX."""
    check_common(config)


def check(config: Config) -> None:
    """Raise `UsageError`, in one line, if a run could not succeed."""
    check_values(config)
    check_models(config.model)


def plan(config: Config, pool) -> list:
    """All sources, and samples of the first as a control."""
    from jaxbias.studies.dataset_classification.cases import Case
    from jaxbias.studies.dataset_classification.images import samples_of, whole_sources

    names, labels = pool.sample.names, {"model": config.model}
    split = whole_sources(names, pool.per_source)
    cases = [Case(name="sources", labels=labels, split=split, judge_training=True)]
    if config.control:
        count = pool.per_source // len(names)
        if count < LEAST:
            raise UsageError(
                f"--control: {names[0]} has {pool.per_source} images for {len(names)} "
                f"samples of {LEAST} or more; give --no-control"
            )
        shorter = {"samples_seen": max(1, config.samples_seen // 4)}
        cases.append(
            Case(
                name="control",
                labels=labels,
                split=samples_of(names[0], len(names), count, pool),
                changes=shorter,
                judge_training=True,
            )
        )
    return cases


def run(config: Config, directory: RunDirectory, reporter: Reporter) -> None:
    """Audit, train, score and draw; resumes from the newest whole checkpoint."""
    from jaxbias import devices
    from jaxbias.studies.dataset_classification import figures, runner

    def draw(config, outcomes, pool, directory: RunDirectory) -> None:
        directory.write_table(predictions(outcomes[0], pool), "predictions.parquet")
        figures.draw_name_that_dataset(outcomes[0], pool, directory)

    runner.run(
        *(config, directory, reporter),
        plan=plan,
        name="name-that-dataset",
        draw=draw,
    )
    if devices.is_writer():
        show(directory, reporter)


def predictions(outcome, pool) -> dict[str, np.ndarray]:
    """A row for each seed and validation image, the easiest of each source first.

    Columns: `seed`, `image` (where it is), `source`, `predicted`, `loss` (nats).
    """
    names = np.asarray(outcome.case.split.names)
    where = np.asarray(pool.names_of(outcome.case.split), str)
    parts = []
    for seed, scores in enumerate(outcome.validation):
        order = np.lexsort((scores.losses, scores.labels))
        parts.append(
            {
                "seed": np.full(len(order), seed),
                "image": where[order],
                "source": names[scores.labels[order]],
                "predicted": names[scores.predicted[order]],
                "loss": scores.losses[order],
            }
        )
    return {key: np.concatenate([p[key] for p in parts]) for key in parts[0]}


def show(directory: RunDirectory, reporter: Reporter) -> None:
    """Print the final tables of a finished run."""
    rows, each = directory.read_table(), directory.read_table("predictions.parquet")
    reporter.table(
        ["", "accuracy", "95 % interval", "training images"],
        [*_networks(rows), *_beside(rows)],
    )
    names: Sequence[str] = directory.manifest["sources"]
    shares = [
        [name, *(f"{_share(each, name, other):.1%}" for other in names)]
        for name in names
    ]
    reporter.table(["true \\ predicted", *names], shares)


def _networks(rows: dict[str, np.ndarray]) -> list[list[str]]:
    words = {"sources": "network", "control": "negative control"}
    columns = (
        *(rows[k] for k in ("case", "seed", "accuracy", "low", "high")),
        rows["training_accuracy"],
    )
    return [
        [
            f"{words[case]}, seed {seed}",
            *(f"{a:.1%}", f"{low:.1%} to {high:.1%}", f"{trained:.1%}"),
        ]
        for case, seed, a, low, high, trained in zip(*columns, strict=True)
    ]


def _beside(rows: dict[str, np.ndarray]) -> list[list[str]]:
    return [
        ["hand-made features", f"{rows['baseline'][0]:.1%}", "", ""],
        ["chance", f"{rows['chance'][0]:.1%}", "", ""],
    ]


def _share(rows: dict[str, np.ndarray], name: str, other: str) -> float:
    """How often images of a source are taken for another, over all seeds."""
    own = rows["source"] == name
    return float(np.mean(rows["predicted"][own] == other)) if own.any() else 0.0
