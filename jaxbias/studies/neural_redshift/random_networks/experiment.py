"""Random networks: complexity over weight scale, depth, activation and architecture.

Thousands of networks are drawn, evaluated on a grid and measured. The parts of the
experiment are views of one table of networks: heatmaps (scale by depth for each
activation), curves (plain, layer-norm, residual and gated networks over the scale), and
controls that should change nothing (width, prior, bias range, grid resolution).

Published: ReLU-like networks are simple whatever the weight scale and depth; tanh,
Gaussian and sine become complex with both; layer norm and residuals take that away,
gating adds to it, and width, prior and bias range change nothing. smoke takes under a
minute and quick under two minutes on two cores; paper, 400 networks a cell, wants a
GPU.
"""

from jaxbias.runs import RunDirectory
from jaxbias.settings import refusing
from jaxbias.studies.neural_redshift.random_networks.config import (
    PRESETS,
    PRESETS_BY,
    Config,
    check_values,
)
from jaxbias.terminal import Reporter

__all__ = ["PRESETS", "PRESETS_BY", "Config", "check", "check_values", "run"]


def check(config: Config) -> None:
    """Raise `UsageError`, in one line, if a run could not succeed."""
    check_values(config)
    # These know the names of activations, variants, priors and measures; they load JAX.
    from jaxbias.studies.neural_redshift.random_networks import cells

    with refusing():
        cells.check(config)


def run(config: Config, directory: RunDirectory, reporter: Reporter) -> None:
    """Draw, measure, judge and draw the figures; resumes what is already there."""
    import jax

    from jaxbias import devices, sweeps
    from jaxbias.studies.neural_redshift.random_networks import (
        cells,
        evidence,
        figures,
        published,
    )

    key = jax.random.key(config.seed)
    mesh = devices.mesh()
    blocks, labels = cells.plan(config, key, mesh)
    reporter.say(
        f"{len(labels['network']):,} networks in {len(blocks)} cells by weight scale, "
        f"on {devices.words(mesh)}"
    )
    with reporter.progress("networks") as progress:
        measured = sweeps.sweep(
            blocks,
            mesh,
            store=directory,
            progress=progress,
            together=cells.together(config),
        )
    samples = (
        cells.sample_images(config, key, mesh) if "samples" in config.parts else {}
    )
    if not devices.is_writer():
        return
    columns = cells.table(labels, measured)
    directory.write_table(columns)
    if samples:
        directory.write_table(samples, "samples.parquet")
    found = evidence.Evidence(columns, config)
    directory.write_verdicts(published.judge(found))
    with reporter.status("drawing the figures"):
        figures.draw(found, samples, directory)
