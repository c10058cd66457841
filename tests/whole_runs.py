"""Whole runs of an experiment, as the command line makes them."""

from pathlib import Path
from types import ModuleType
from typing import Any

from jaxbias.cli import plain
from jaxbias.runs import RunDirectory
from jaxbias.terminal import Reporter


def finished(
    module: ModuleType, config: Any, folder: Path, *, check: bool = True
) -> RunDirectory:
    """Run an experiment's module to its end; gives the run as it lies on the disk."""
    if check:
        module.check(config)
    study = module.__name__.split(".")[2]
    with RunDirectory.open(
        folder, study=study, experiment="x", config=plain(config)
    ) as directory:
        module.run(config, directory, Reporter(quiet=True))
        directory.finish()
    return RunDirectory.load(folder)
