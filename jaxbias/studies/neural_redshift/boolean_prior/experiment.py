"""Boolean prior: which functions of a few bits do random networks compute, how often?

Networks with random weights read n bits, and their output's sign is a label: a network
is a truth table of 2^n labels (128 for n = 7, and 2^128 such tables). The run counts
exactly how often each table comes up and holds its frequency P against its Lempel-Ziv
complexity K, over the scale sigma_w of the weights (order to chaos), activations and
depth. Beside them stand functions drawn uniformly, and perceptrons without bias.
Published (Valle-Perez 2018, Mingard 2019 and 2025; remembered, not read): P falls like
2^-(aK+b); a deep tanh network loses the bias in the chaotic phase, a ReLU network never
does.

smoke takes half a minute on two cores, quick (20 conditions and two references, 100,000
networks each) two to four minutes; a million networks of two hidden layers take 15 to 30 s.
paper draws ten million for each condition and wants a GPU.
"""

from jaxbias.runs import RunDirectory
from jaxbias.settings import refusing
from jaxbias.studies.neural_redshift.boolean_prior.config import (
    PRESETS,
    Config,
    check_values,
)
from jaxbias.terminal import Reporter

__all__ = ["PRESETS", "Config", "check", "check_values", "run"]


def check(config: Config) -> None:
    """Raise `UsageError`, in one line, if a run could not succeed."""
    check_values(config)
    # This one knows the names of activations; it loads JAX.
    from jaxbias.studies.neural_redshift import checks

    with refusing():
        checks.activations("activations", config.activations)


def run(config: Config, directory: RunDirectory, reporter: Reporter) -> None:
    """Draw, count, measure, judge and draw the figures; resumes what is there."""

    from jaxbias import devices
    from jaxbias.studies.neural_redshift.boolean_prior import figures, published, trial

    mesh = devices.mesh()
    reporter.say(
        f"{config.combinations} conditions and two references, {config.n_networks:,} "
        f"functions of {config.bits} bits each, "
        f"on {devices.words(mesh)}"
    )
    found = trial.evidence(config, mesh, store=directory, reporter=reporter)
    if not devices.is_writer():
        return
    for name, columns in found.tables().items():
        directory.write_table(columns, f"{name}.parquet")
    directory.write_verdicts(published.judge(found))
    with reporter.status("drawing the figures"):
        figures.draw(found, directory)
