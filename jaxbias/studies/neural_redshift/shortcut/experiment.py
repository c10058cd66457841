"""Shortcut: is it the digit that a network learns, or the colour beside it?

Images of digits have a band of grey beside them; training labels are proportional to the
digit and, but for a few images, to the band. Two test sets tell which was learned: in one
the digits are random, in the other the colours. Accuracy is 1 minus the mean absolute
error. Published: complexity at random weights rises with the prefactor of tanh, Gaussian
and sine; the colour is learned best where it is small, the digit in between. smoke takes
half a minute and quick about three minutes on two cores; paper wants a GPU.
"""

from jaxbias.runs import RunDirectory
from jaxbias.settings import refusing
from jaxbias.studies.neural_redshift.shortcut.config import (
    PRESETS,
    Config,
    check_values,
)
from jaxbias.terminal import Reporter

__all__ = ["PRESETS", "Config", "check", "check_values", "run"]


def check(config: Config) -> None:
    """Raise `UsageError`, in one line, if a run could not succeed."""
    check_values(config)
    # These know the names of activations and priors, and open files; they load JAX.
    from jaxbias.studies.neural_redshift.shortcut import images, trainings

    with refusing():
        trainings.check(config)
        images.check(config)


def run(config: Config, directory: RunDirectory, reporter: Reporter) -> None:
    """Train, judge and draw the figures; resumes what is already there."""
    import jax

    from jaxbias import devices
    from jaxbias.studies.neural_redshift.shortcut import (
        figures,
        images,
        published,
        trainings,
    )

    mesh = devices.mesh()
    sets = images.sets(config)
    if config.digits == images.GLYPHS:
        reporter.say("no digits are given: these are drawn here, and are not MNIST")
    blocks = trainings.blocks(config, sets, jax.random.key(config.seed), mesh)
    swept = trainings.swept(blocks, config, directory, reporter)
    if not devices.is_writer():
        return
    columns = trainings.table(config, swept)
    directory.write_table(columns)
    directory.write_verdicts(published.judge(columns, config))
    with reporter.status("drawing the figures"):
        figures.draw(columns, config, sets, directory)
