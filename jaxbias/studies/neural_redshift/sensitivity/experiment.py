"""Sensitivity: how often does flipping one bit change what a random network says?

Random transformers, LSTMs and perceptrons label strings of bits. Measured is the share of
single-bit flips, over all strings (or samples of long ones), that change the label: 0 for a
constant, 1 for the parity, 1/2 for labels drawn at random. Published: with weights
U(-10, 10), 64 channels and 4 layers, transformers are less sensitive than LSTMs. Varied
are the strings' length, the range of the weights and the prior.

smoke takes 20 s on two cores, quick (200 networks for each of 30 conditions) three minutes;
paper, with 1,000 networks each and strings of 20 bits, wants a GPU.
"""

from jaxbias.runs import RunDirectory
from jaxbias.studies.neural_redshift.sensitivity.config import (
    PRESETS,
    Config,
    check_values,
)
from jaxbias.terminal import Reporter

__all__ = ["PRESETS", "Config", "check", "check_values", "run"]


def check(config: Config) -> None:
    """Raise `UsageError`, in one line, if a run could not succeed."""
    check_values(config)


def run(config: Config, directory: RunDirectory, reporter: Reporter) -> None:
    """Draw, flip, judge and draw the figure; resumes what is already there."""
    import jax

    from jaxbias import devices, sweeps
    from jaxbias.studies.neural_redshift.sensitivity import figures, networks, published

    mesh = devices.mesh()
    blocks = networks.blocks(config, jax.random.key(config.seed), mesh)
    reporter.say(
        f"{config.combinations} conditions of {config.n_networks:,} networks each, "
        f"on {devices.words(mesh)}"
    )
    with reporter.progress("networks") as progress:
        swept = sweeps.sweep(blocks, mesh, store=directory, progress=progress)
    if not devices.is_writer():
        return
    columns = networks.table(config, swept)
    directory.write_table(columns)
    found = published.Evidence(columns, config)
    directory.write_verdicts(published.judge(found))
    with reporter.status("drawing the figures"):
        figures.draw(found, directory)
