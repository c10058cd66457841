"""Measures: do measures of complexity agree, old and new, and where not?

Random networks of many activations, architectures, depths and weight scales are measured
by the older measures on a grid (Fourier, DCT, Chebyshev, Lempel-Ziv, total variation) and
by others beside them: variation on paths between points, sensitivity to noise, the norm
of the input Jacobian, the Walsh spectrum over the bits of the inputs, the largest
curvature by the weights, and chi_1 of mean-field theory (above 1: chaos). One table holds
every correlation with its interval (agreement.parquet), one figure shows it, with the
names of the networks that two measures rank most apart. SimBa's simplicity score by
activation and architecture is a part. Published: variation on paths correlates closely
with Fourier complexity; a volume in weight space did not follow. smoke takes half a minute
and quick about four minutes on two cores, most of it compilation; paper wants a GPU.
"""

from jaxbias.runs import RunDirectory
from jaxbias.settings import refusing
from jaxbias.studies.neural_redshift.measures.config import (
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
    from jaxbias.studies.neural_redshift.measures import networks

    with refusing():
        networks.check(config)


def run(config: Config, directory: RunDirectory, reporter: Reporter) -> None:
    """Measure, judge and draw the figures; resumes what is already there."""
    import jax

    from jaxbias import devices, sweeps
    from jaxbias.studies.neural_redshift.measures import (
        agreement,
        figures,
        ledger,
        networks,
    )

    mesh = devices.mesh()
    blocks = networks.blocks(config, jax.random.key(config.seed), mesh)
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
            together=networks.together(config),
        )
    if not devices.is_writer():
        return
    found = agreement.Evidence(*networks.tables(config, swept), config)
    directory.write_table(found.columns)
    directory.write_table(found.scores, "scores.parquet")
    with reporter.status("correlating"):
        directory.write_table(agreement.table(found), "agreement.parquet")
        directory.write_verdicts(ledger.judge(found))
    with reporter.status("drawing the figures"):
        figures.draw(found, directory)
