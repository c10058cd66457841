"""Init against trained: is a network as complex after training as its weights were before?

The networks of modulo-addition, of all activations and prefactors, are measured at random
weights, on the way and after training: on a grid, and along straight paths between data
points, which work in any dimension. Published: complexity at random weights correlates
strongly with complexity after training. smoke takes half a minute and quick about three
minutes on two cores; paper wants a GPU.
"""

from jaxbias.runs import RunDirectory
from jaxbias.studies.neural_redshift.init_vs_trained.config import PRESETS
from jaxbias.studies.neural_redshift.modulo.config import Config, check_values
from jaxbias.studies.neural_redshift.modulo.experiment import check, train
from jaxbias.terminal import Reporter

__all__ = ["PRESETS", "Config", "check", "check_values", "run"]


def run(config: Config, directory: RunDirectory, reporter: Reporter) -> None:
    """Train, judge and draw the figures; resumes what is already there."""
    from jaxbias import devices
    from jaxbias.studies.neural_redshift.init_vs_trained import (
        correlations,
        figures,
        published,
    )

    found = train(config, directory, reporter)
    if not devices.is_writer():
        return
    table = correlations.table(found)
    directory.write_table(found.columns)
    directory.write_table(table, "correlations.parquet")
    directory.write_verdicts(published.judge(table))
    with reporter.status("drawing the figures"):
        figures.draw(found, table, directory)
