"""Gaussian mixture: what generated points do to a classifier's gap, losses and bound.

Two Gaussian classes, a handful of real points, a generator fitted to them, gamma times
as many generated points, and a linear classifier on all of them: the paper's Figure 1,
by its exact law, by a sampler of sufficient statistics and by drawing every point.
Published: in one dimension augmentation hardly changes the gap; with few points and
many dimensions it divides it by four to five; the bound of Theorem 3.1 has the same
trend. smoke takes a quarter of a minute and quick half a minute on two cores; paper, a
million trials by sufficient statistics, a quarter of an hour (reckoned).
"""

from jaxbias.runs import RunDirectory
from jaxbias.studies.generative_augmentation.mixture.config import (
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
    """Simulate, judge and draw the figures; resumes what is already there."""
    import jax

    from jaxbias import devices, sweeps
    from jaxbias.studies.generative_augmentation import batches
    from jaxbias.studies.generative_augmentation.mixture import (
        evidence,
        figures,
        published,
        simulation,
    )

    mesh = devices.mesh()
    blocks = simulation.blocks(config, jax.random.key(config.seed), mesh)
    points = sum(map(len, config.groups().values()))
    reporter.say(
        f"{points} points, {config.n_trials:,} trials of each by "
        f"{' and '.join(config.sampler)} sampling, "
        f"on {devices.words(mesh)}"
    )
    with reporter.progress(
        f"batches of {batches.batch_size(config.n_trials)} trials"
    ) as progress:
        swept = sweeps.sweep(blocks, mesh, store=directory, progress=progress)
    if not devices.is_writer():
        return
    found = evidence.Evidence(simulation.table(config, swept), config)
    directory.write_table(found.columns)
    directory.write_verdicts(published.judge(found))
    with reporter.status("drawing the figures"):
        figures.draw(found, directory)
