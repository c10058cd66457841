"""Zero-mean activations: does E phi(z) = 0 decide how complex random networks are?

Published as a prediction (October 2025): outputs of wide random networks at different
inputs are nearly independent if and only if the activation has mean 0 under N(0, 1).
tanh and sine are odd and have it; ReLU and GELU have not, and a constant subtracted
from them gives it. Each activation is measured as it is, shifted to mean 0 and to other
means, over depth and weight scale, with and without biases, in plain networks and with
layer norm, where pre-activations are N(0, 1) as the theory has them. Correlations of
outputs over depth stand beside mean-field theory. smoke takes a quarter of a minute and
quick about one minute on two cores; paper wants a GPU.
"""

from jaxbias.runs import RunDirectory
from jaxbias.settings import refusing
from jaxbias.studies.neural_redshift.zero_mean.config import (
    PRESETS,
    Config,
    check_values,
)
from jaxbias.terminal import Reporter

__all__ = ["PRESETS", "Config", "check", "check_values", "run"]


def check(config: Config) -> None:
    """Raise `UsageError`, in one line, if a run could not succeed."""
    check_values(config)
    # These know the names of activations, variants and measures; they load JAX.
    from jaxbias.studies.neural_redshift.zero_mean import shifted

    with refusing():
        shifted.check(config)


def run(config: Config, directory: RunDirectory, reporter: Reporter) -> None:
    """Measure, judge and draw the figures; resumes what is already there."""
    import jax

    from jaxbias import devices, sweeps
    from jaxbias.studies.neural_redshift.zero_mean import (
        correlations,
        figures,
        ledger,
        shifted,
    )

    mesh = devices.mesh()
    blocks = shifted.blocks(config, jax.random.key(config.seed), mesh)
    reporter.say(
        f"{sum(map(len, blocks)):,} networks in {len(blocks)} cells, "
        f"on {devices.words(mesh)}"
    )
    with reporter.progress("networks") as progress:
        swept = sweeps.sweep(
            blocks,
            mesh,
            store=directory,
            progress=progress,
            together=shifted.together(config),
        )
    if not devices.is_writer():
        return
    found = ledger.Evidence(
        shifted.table(config, swept), correlations.table(config, swept), config
    )
    directory.write_table(found.columns)
    directory.write_table(found.correlations, "correlations.parquet")
    directory.write_verdicts(ledger.judge(found))
    with reporter.status("drawing the figures"):
        figures.draw(found, directory)
