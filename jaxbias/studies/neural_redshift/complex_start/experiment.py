"""Complex start: does a network that begins with a complex function end with one?

ReLU-like networks learn a simple target by gradient descent from random weights, from
large random weights, and from weights that know a target of high frequency. Published
(Appendix E): beginning with a complex solution is no way to keep one, against what has
been claimed of initialisation. smoke takes half a minute and quick about one minute on
two cores; paper takes some 1.3 hours there.
"""

from jaxbias.runs import RunDirectory
from jaxbias.studies.neural_redshift.complex_start.config import (
    PRESETS,
    Config,
    check_values,
)
from jaxbias.studies.neural_redshift.modulo.experiment import check as check_trainings
from jaxbias.studies.neural_redshift.modulo.experiment import swept
from jaxbias.terminal import Reporter

__all__ = ["PRESETS", "Config", "check", "check_values", "run"]


def check(config: Config) -> None:
    """Raise `UsageError`, in one line, if a run could not succeed."""
    check_values(config)
    check_trainings(config)


def run(config: Config, directory: RunDirectory, reporter: Reporter) -> None:
    """Train, judge and draw the figure; resumes what is already there."""
    import jax

    from jaxbias import devices
    from jaxbias.studies.neural_redshift.complex_start import (
        figures,
        published,
        trainings,
    )

    blocks = trainings.blocks(config, jax.random.key(config.seed), devices.mesh())
    found = swept(blocks, config, directory, reporter)
    if not devices.is_writer():
        return
    columns = trainings.table(config, found)
    directory.write_table(columns)
    directory.write_verdicts(published.judge(columns, config))
    with reporter.status("drawing the figure"):
        figures.draw(columns, config, directory)
