"""Cross-dataset: what is learned on one data set, tested on the others.

Sources with the same classes, each with labels. A network is trained on the classes of
one source and tested on those of every source (Torralba and Efros, CVPR 2011): the drop
from its own images to the others' is what the bias of data sets costs. Published
(remembered): about half is lost. Each source gives as many training images of each
class. Without --sources, shapes that are drawn here: as they are, in grey, and half as
large. smoke takes a minute or two and quick two to ten minutes on two cores; paper
wants GPUs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from jaxbias.files import UsageError
from jaxbias.runs import RunDirectory
from jaxbias.studies.dataset_classification.config import (
    PAPER,
    Common,
    check_common,
    check_models,
)
from jaxbias.terminal import Reporter

__all__ = ["PRESETS", "Config", "check", "check_values", "run", "show"]


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Which sources; --per-source counts the images of all classes together."""

    classes: tuple[str, ...] = ()
    """Names of the classes; nothing: all that every source has."""


PRESETS: Mapping[str, Config] = {
    "smoke": Config(
        **{"per_source": 1_000, "validation_per_source": 300},  # type: ignore[arg-type]
        samples_seen=10_000,
        batch=64,
        model="cnn4_narrow",
    ),
    "quick": Config(per_source=8_000, samples_seen=60_000, model="cnn4_narrow"),
    "paper": replace(Config(), **{**PAPER, "model": "resnet50"}),  # type: ignore[arg-type]
}
"""Defaults by preset; the 2011 paper has other classifiers, so none is its own."""


def check_values(config: Config) -> None:
    """Raise `UsageError`, in one line, for what can be told without JAX."""
    check_common(config)
    if len(config.classes) == 1 or len(set(config.classes)) < len(config.classes):
        raise UsageError("--classes: two or more, each once")
    if len(config.sources) == 1:
        raise UsageError("--sources: two or more, as NAME=SOURCE")


def check(config: Config) -> None:
    """Raise `UsageError`, in one line, if a run could not succeed."""
    check_values(config)
    check_models(config.model)


def run(config: Config, directory: RunDirectory, reporter: Reporter) -> None:
    """Train on each source, test on all, judge and draw; resumes what is there."""
    from jaxbias import devices
    from jaxbias.data.archives import SourceError
    from jaxbias.studies.dataset_classification import crossing, figures, published
    from jaxbias.training.checkpoints import CheckpointError

    try:
        crossed = crossing.open_sources(config, reporter)
        matrices = crossing.run(crossed, config, directory, reporter)
    except (SourceError, CheckpointError) as error:
        raise UsageError(str(error)) from error
    if not devices.is_writer():
        return
    directory.write_table(crossing.table(crossed, matrices))
    directory.write_verdicts(published.judge_crossing(crossed, matrices, config))
    directory.update_manifest(
        sources=list(crossed.names), classes=list(crossed.classes)
    )
    with reporter.status("drawing the figures"):
        figures.draw_crossing(crossed.names, matrices.mean(axis=0), directory)
    show(directory, reporter)


def show(directory: RunDirectory, reporter: Reporter) -> None:
    """Print the matrix of a finished run."""
    rows, names = directory.read_table(), directory.manifest["sources"]
    table = []
    for name in names:
        own = rows["trained_on"] == name
        means = [
            float(rows["accuracy"][own & (rows["tested_on"] == n)].mean())
            for n in names
        ]
        here = means[names.index(name)]
        others = float(
            np.mean([m for m, n in zip(means, names, strict=True) if n != name])
        )
        cells = [f"{value:.1%}" for value in means]
        table.append([name, *cells, f"{others:.1%}", f"{1 - others / here:.0%}"])
    reporter.table(["trained on \\ tested on", *names, "mean of others", "drop"], table)
