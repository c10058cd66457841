"""Transformers: how complex is what an untrained GPT-2 writes?

GPT-2 with random weights goes on greedily from one random token; the measure is the size
of the Lempel-Ziv (LZ78) dictionary of the tokens over their number. Varied are the
activation of the perceptrons, the depth, and the scale gamma of the layer norms. Published:
GELU is simple, ReLU simpler, SELU, tanh and sine more complex; a Gaussian begins low and
ends high; complexity rises with gamma; depth magnifies the differences.

smoke takes half a minute on two cores with a small network, quick three minutes with GPT-2
itself (124 million weights) and few draws of them; paper, 1,000 draws, wants a GPU.
"""

from jaxbias.runs import RunDirectory
from jaxbias.settings import refusing
from jaxbias.studies.neural_redshift.transformers.config import (
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
    # This one knows the names of activations; it loads JAX.
    from jaxbias.studies.neural_redshift.transformers import sequences

    with refusing():
        sequences.check(config)


def run(config: Config, directory: RunDirectory, reporter: Reporter) -> None:
    """Write, measure, judge and draw the figures; resumes what is already there."""
    import jax

    from jaxbias import devices, sweeps
    from jaxbias.models import gpt2
    from jaxbias.studies.neural_redshift.transformers import (
        evidence,
        figures,
        published,
        sequences,
    )

    mesh = devices.mesh()
    blocks = sequences.blocks(config, jax.random.key(config.seed), mesh)
    weights = gpt2.parameters(sequences.network(config))
    conditions = len(config.activations) * len(config.gammas) * len(config.depths)
    reporter.say(
        f"{config.draws:,} draws of {weights / 1e6:,.1f} million weights, each with "
        f"{conditions} x {config.prompts} sequences of {config.tokens} tokens "
        f"({sequences.floating_operations(config) / 1e12:,.1f} TFLOP), "
        f"on {devices.words(mesh)}"
    )
    with reporter.progress("batches of sequences") as progress:
        swept = sweeps.sweep(blocks, mesh, store=directory, progress=progress)
    if not devices.is_writer():
        return
    columns = sequences.table(config, swept)
    directory.write_table(columns)
    found = evidence.Evidence(columns, config)
    directory.write_table(found.summary(), "summary.parquet")
    directory.write_verdicts(published.judge(found))
    with reporter.status("drawing the figures"):
        figures.draw(found, directory)
