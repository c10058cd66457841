"""Grid: every set of made images with every network and every supervision.

Published (in the abstract; the tables could not be read): shape bias differs with
architecture and supervision; it is entangled with how various and how natural images
are and so predicts little by itself; it tells how various samples are. Here networks
are trained on each set, from few programs and from many (programs are what is varied
with all else alike), and asked before and after: for shape bias on stimuli that are
drawn here, and on the official ones if given; for what a linear classifier makes of
their features. Then the variance of shape bias is shared out, and transfer is predicted
from it for sets that were left out.

    python -m experiments.synthetic_shape_bias grid --transfer cifar10:DIR

smoke takes 4 minutes; quick trains 48 small networks, in a quarter of an hour on two
cores; paper has the sizes of the authors' code, 216 networks of 44,000 steps, and wants
a GPU.
"""

from jaxbias.runs import RunDirectory
from jaxbias.studies.synthetic_shape_bias.grid.config import (
    PRESETS,
    Config,
    check_values,
    trainings,
)
from jaxbias.terminal import Reporter

__all__ = ["PRESETS", "Config", "check", "check_values", "run", "show"]


def check(config: Config) -> None:
    """Raise `UsageError`, in one line, if a run could not succeed."""
    from jaxbias.studies.synthetic_shape_bias.cases import check_all

    check_values(config)
    check_all(trainings(config))


def run(config: Config, directory: RunDirectory, reporter: Reporter) -> None:
    """Train, measure, share out, judge and draw; resumes what is already there."""
    from jaxbias import devices
    from jaxbias.studies.synthetic_shape_bias import measures
    from jaxbias.studies.synthetic_shape_bias.cases import read
    from jaxbias.studies.synthetic_shape_bias.grid import analysis, figures, published
    from jaxbias.studies.synthetic_shape_bias.trends import doublings, trends

    found = read(trainings(config), directory, reporter)
    if found is None or not devices.is_writer():
        return
    sets = measures.written(found, config, directory, reporter)
    evidence = published.Evidence(
        analysis.shares(found.rows, config),
        analysis.correlations(found.rows, sets, config),
        analysis.predictions(found.rows, sets),
        trends(found.rows, doublings(found.rows), config),
        config,
    )
    for name in ("shares", "correlations", "predictions", "diversity"):
        if columns := getattr(evidence, name):
            directory.write_table(columns, f"{name}.parquet")
    directory.write_verdicts(published.judge(evidence))
    with reporter.status("drawing the figures"):
        figures.draw(found, sets, evidence, directory)
    show(directory, reporter)


def show(directory: RunDirectory, reporter: Reporter) -> None:
    """Print the networks, means over seeds, before and after."""
    from jaxbias.studies.synthetic_shape_bias.cases import show as table

    table(
        directory.read_table(), ("data", "model", "supervision", "programs"), reporter
    )
