"""Generations: what becomes of a generator that is fitted to what generators drew.

The Gaussian mixture again and again: fit, draw m points, fit to them, and so on. The
new points replace the old ones, are added to all earlier ones, or come with m new real
points. Under replacement the fitted variance is a martingale that dies out, as the law
says. Published (Shumailov et al. 2024, Alemohammad et al. 2024; Gerstgrasser et al.
2024 is remembered): a generator of replaced points dies out, and accumulated or enough
new real points keep it alive. smoke takes twenty seconds and quick half a minute on two
cores; paper, a thousand generations, an hour or two (reckoned).
"""

from jaxbias.runs import RunDirectory
from jaxbias.studies.generative_augmentation.generations.config import (
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
    """Draw the chains, judge and draw the figure; resumes what is already there."""
    import jax

    from jaxbias import devices, sweeps
    from jaxbias.studies.generative_augmentation import batches
    from jaxbias.studies.generative_augmentation.generations import (
        chains,
        figures,
        ledger,
    )

    mesh = devices.mesh()
    blocks = chains.blocks(config, jax.random.key(config.seed), mesh)
    reporter.say(
        f"{len(blocks)} combinations, {config.n_trials:,} chains of "
        f"{config.generations} generations each, "
        f"on {devices.words(mesh)}"
    )
    with reporter.progress(
        f"batches of {batches.batch_size(config.n_trials)} chains"
    ) as progress:
        swept = sweeps.sweep(blocks, mesh, store=directory, progress=progress)
    if not devices.is_writer():
        return
    columns = chains.table(config, swept)
    directory.write_table(columns)
    directory.write_verdicts(ledger.judge(columns, config))
    with reporter.status("drawing the figures"):
        figures.draw(columns, config, directory)
