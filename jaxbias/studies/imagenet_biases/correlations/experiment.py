"""Correlations: do shape bias, spectral bias and critical band explain generalisation?

Reads the published table (a row for each of 70 networks) and the 48 networks'
categories, or a table of the same columns, and computes the paper's statistics again:
Spearman correlations of six biases with four groups of benchmarks, over all networks,
adversarially trained ones and others. Beside them what the paper has not: permutation
tests and intervals over networks, corrections for the number of tests, correlations
with a network or a category left out and with the other biases held fixed, how well
biases predict networks that were left out, and what known flaws of the table change.
Published: 72 correlations of biases with benchmarks and 15 among biases; no single bias
explains generalisation. smoke takes a few seconds and quick half a minute on two cores;
paper, 100,000 permutations, some four minutes (reckoned).
"""

from jaxbias.files import UsageError
from jaxbias.runs import RunDirectory
from jaxbias.studies.imagenet_biases.correlations.config import (
    NEEDED,
    PRESETS,
    SOURCE,
    Config,
    check_values,
)
from jaxbias.terminal import Reporter

__all__ = ["PRESETS", "Config", "check", "check_values", "run"]


def check(config: Config) -> None:
    """Raise `UsageError`, in one line, if a run could not succeed."""
    from jaxbias.studies.imagenet_biases.correlations.table import Table

    check_values(config)
    for field, name in NEEDED.items():
        if not getattr(config, field):
            raise UsageError(f"--{field}: {name} is needed, from {SOURCE}")
    table = Table.read(config.table, config.categories, config.adversarial)
    if not table.biases:
        raise UsageError(f"--table: {config.table}: no bias is there for every model")
    if not table.benchmarks:
        raise UsageError(
            f"--table: {config.table}: no benchmark is there for all models"
        )


def run(config: Config, directory: RunDirectory, reporter: Reporter) -> None:
    """Correlate, audit, judge and draw the figures."""
    from jaxbias import devices
    from jaxbias.studies.imagenet_biases.correlations import (
        evidence,
        figures,
        published,
    )
    from jaxbias.studies.imagenet_biases.correlations.table import Table

    table = Table.read(config.table, config.categories, config.adversarial)
    reporter.say(
        f"{len(table.models)} networks of {len(set(table.categories))} categories, "
        f"{len(table.biases)} biases, {len(table.benchmarks)} benchmarks"
    )
    if not devices.is_writer():
        return
    with reporter.status("correlating"):
        found = evidence.gathered(table, config)
    directory.write_table(found.cells)
    for name in ("pairs", "predictions", "denominators", "effects"):
        if getattr(found, name):
            directory.write_table(getattr(found, name), f"{name}.parquet")
    directory.write_verdicts(published.judge(found))
    with reporter.status("drawing the figures"):
        figures.draw(found, directory)
