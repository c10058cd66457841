"""Guess and check: random networks that happen to fit a few points, and what else they get.

Networks are drawn until some get all of a few training points right; no gradient is taken.
What they then say of other points shows the preference of the architecture alone. Published
(after Chiang et al., ICLR 2023): perceptrons that fit generalise, by squared error as well;
the unbiased model that fits does not. smoke takes under a minute and quick about two
minutes on two cores; paper, 10^8 networks a model, wants a GPU.
"""

from jaxbias.runs import RunDirectory
from jaxbias.settings import refusing
from jaxbias.studies.neural_redshift.guess_and_check.config import (
    PRESETS,
    Config,
    check_values,
)
from jaxbias.terminal import Reporter

__all__ = ["PRESETS", "Config", "check", "check_values", "run"]


def check(config: Config) -> None:
    """Raise `UsageError`, in one line, if a run could not succeed."""
    check_values(config)
    # These know the names of activations and priors; they load JAX.
    from jaxbias.models.priors import PRIORS
    from jaxbias.studies.neural_redshift import checks

    with refusing():
        checks.activations("activations", config.activations)
        checks.known("prior", (config.prior,), PRIORS)


def run(config: Config, directory: RunDirectory, reporter: Reporter) -> None:
    """Guess, judge and draw the figure; resumes what is already there."""
    import jax

    from jaxbias import devices, sweeps
    from jaxbias.studies.neural_redshift.guess_and_check import (
        figures,
        guesses,
        published,
    )

    mesh = devices.mesh()
    blocks = guesses.blocks(config, jax.random.key(config.seed), mesh)
    reporter.say(
        f"{config.n_networks:,} networks of each of {len(blocks)} models, "
        f"on {devices.words(mesh)}"
    )
    with reporter.progress("thousands of networks") as progress:
        swept = sweeps.sweep(blocks, mesh, store=directory, progress=progress)
    if not devices.is_writer():
        return
    columns = guesses.table(config, swept)
    directory.write_table(columns)
    directory.write_verdicts(published.judge(columns, config))
    with reporter.status("drawing the figures"):
        figures.draw(columns, config, directory)
