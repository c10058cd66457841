"""Unbiased training: gradient descent on a model that prefers no frequency.

The unbiased model (an inverse Fourier transform with free amplitudes and phases) learns
modulo addition beside perceptrons, on the same points. It can represent every target; what
it lacks is a preference. Published: trained by gradient descent it is of no use.
smoke takes half a minute and quick about three minutes on two cores; paper wants a GPU.
"""

from jaxbias.runs import RunDirectory
from jaxbias.studies.neural_redshift.modulo.experiment import check as check_trainings
from jaxbias.studies.neural_redshift.modulo.experiment import swept
from jaxbias.studies.neural_redshift.unbiased_training.config import (
    PRESETS,
    Config,
    check_values,
)
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
    from jaxbias.studies.neural_redshift.unbiased_training import (
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
    directory.write_verdicts(published.judge(columns))
    with reporter.status("drawing the figures"):
        figures.draw(columns, directory)
