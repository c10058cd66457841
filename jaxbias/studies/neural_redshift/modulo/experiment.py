"""Modulo addition: can a network learn a target of high frequency?

Integers are added, and the label says whether the sum is small modulo M: the smaller M,
the higher the frequency of the target. Small networks learn three of them on the full
batch, for each activation and each prefactor before it; what counts is accuracy on points
that were held out, relative to always guessing the more frequent label. Complexity is
measured before, during and after. Published: ReLU-like networks learn M = 10 alone;
others, with a tuned prefactor, learn more. smoke takes half a minute and quick about four
minutes on two cores; paper wants a GPU.
"""

from typing import TYPE_CHECKING

from jaxbias.runs import RunDirectory
from jaxbias.settings import refusing
from jaxbias.studies.neural_redshift.modulo.config import (
    PRESETS,
    Config,
    check_values,
)
from jaxbias.terminal import Reporter

if TYPE_CHECKING:
    from jaxbias import sweeps
    from jaxbias.studies.neural_redshift.modulo import evidence

__all__ = ["PRESETS", "Config", "check", "check_values", "run", "swept", "train"]


def check(config: Config) -> None:
    """Raise `UsageError`, in one line, if a run could not succeed."""
    check_values(config)
    # These know the names of activations, priors and measures; they load JAX.
    from jaxbias.studies.neural_redshift.modulo import trainings

    with refusing():
        trainings.check(config)


def swept(
    blocks: "list[sweeps.Block]",
    config: Config,
    directory: RunDirectory,
    reporter: Reporter,
) -> "sweeps.Columns":
    """Train every network of the blocks, or go on, and tell of it."""
    from jaxbias import devices, sweeps

    mesh = devices.mesh()
    reporter.say(
        f"{sum(map(len, blocks)):,} trainings of {config.iterations[-1]:,} steps, "
        f"on {devices.words(mesh)}"
    )
    with reporter.progress("trainings") as progress:
        return sweeps.sweep(blocks, mesh, store=directory, progress=progress)


def train(
    config: Config, directory: RunDirectory, reporter: Reporter
) -> "evidence.Evidence":
    """Train every network, or go on."""
    import jax

    from jaxbias import devices
    from jaxbias.studies.neural_redshift.modulo import evidence, trainings

    blocks = trainings.blocks(config, jax.random.key(config.seed), devices.mesh())
    found = trainings.table(config, swept(blocks, config, directory, reporter))
    return evidence.Evidence(found, config)


def run(config: Config, directory: RunDirectory, reporter: Reporter) -> None:
    """Train, judge and draw the figures; resumes what is already there."""
    from jaxbias import devices
    from jaxbias.studies.neural_redshift.modulo import figures, published

    found = train(config, directory, reporter)
    if not devices.is_writer():
        return
    directory.write_table(found.columns)
    directory.write_verdicts(published.judge(found))
    with reporter.status("drawing the figures"):
        figures.draw(found, directory)
