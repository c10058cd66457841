"""Mixture variants: the Gaussian mixture beyond the paper, one change at a time.

More classes, independent labels, other true covariances and generators that assume the
wrong one, discriminant analysis and logistic regression, a weight on the generated
loss, a generator that confuses the classes: what each does to the gap and to new
points. Published is the term of divergence in Theorem 3.1 alone: a generator far from
the data raises the test loss. All else has nothing published to compare with, and is
held against closed forms. smoke takes half a minute and quick half a minute on two
cores; paper a quarter of an hour (reckoned).
"""

from jaxbias.runs import RunDirectory
from jaxbias.studies.generative_augmentation.variants.config import (
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
    """Draw, train, judge and draw the figures; resumes what is already there."""
    import jax

    from jaxbias import devices, sweeps
    from jaxbias.studies.generative_augmentation import batches
    from jaxbias.studies.generative_augmentation.variants import (
        figures,
        ledger,
        trials,
    )

    mesh = devices.mesh()
    blocks = trials.blocks(config, jax.random.key(config.seed), mesh)
    reporter.say(
        f"{len(blocks)} variants, {config.n_trials:,} trials of each, "
        f"on {devices.words(mesh)}"
    )
    with reporter.progress(
        f"batches of {batches.batch_size(config.n_trials)} trials"
    ) as progress:
        swept = sweeps.sweep(blocks, mesh, store=directory, progress=progress)
    if not devices.is_writer():
        return
    columns = trials.table(config, swept)
    directory.write_table(columns)
    directory.write_verdicts(ledger.judge(columns, config))
    with reporter.status("drawing the figures"):
        figures.draw(columns, config, directory)
