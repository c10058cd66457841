"""What the experiments that train one network after another have in common.

They open the sources, look for what gives these away without content, train each case
once and judge the outcomes.
"""

from collections.abc import Callable, Sequence
from typing import Any

from jaxbias import devices
from jaxbias.data.archives import SourceError
from jaxbias.runs import RunDirectory, UsageError
from jaxbias.studies.dataset_classification import (
    audit,
    baselines,
    cases,
    published,
    sampling,
)
from jaxbias.studies.dataset_classification.cases import Case, Outcome
from jaxbias.studies.dataset_classification.config import LEAST, Common
from jaxbias.studies.dataset_classification.images import Pool, headers
from jaxbias.terminal import Reporter
from jaxbias.training.checkpoints import CheckpointError

Plan = Callable[[Any, Pool], Sequence[Case]]
"""From a configuration and the images to the cases; may raise `UsageError`."""


def open_pool(config: Common, reporter: Reporter) -> Pool:
    """Open the sources, draw the samples, and bring the images to memory.

    Raises:
        UsageError: If a source cannot be used, in one line.
    """
    try:
        with reporter.status("reading the sources"):
            sample = sampling.sample(
                config.sources,
                per_source=config.per_source,
                validation_per_source=config.validation_per_source,
                share=config.hold_out,
                seed=config.seed,
                shorter_side=config.shorter_side,
                quality=config.quality,
            )
            pool = Pool(sample, config)
    except SourceError as error:
        raise UsageError(str(error)) from error
    if pool.per_source < LEAST:
        why = f" ({sample.notes[0]})" if sample.notes else ""
        raise UsageError(
            f"--sources: {pool.per_source} training images of each, {LEAST} or more are "
            f"needed{why}"
        )
    _say_what(config, pool, reporter)
    return pool


def _say_what(config: Common, pool: Pool, reporter: Reporter) -> None:
    sample = pool.sample
    if not config.sources:
        reporter.say(
            "no --sources: three generators of images stand in for data sets; what "
            "comes out says nothing of real ones"
        )
    reporter.say(
        f"{', '.join(sample.names)}: {pool.per_source:,} training and "
        f"{len(sample.validation[0]):,} validation images of each, {pool.size} x "
        f"{pool.size}, {'in memory' if pool.training.images is not None else 'streamed'}"
    )
    for note in sample.notes:
        reporter.say(note)
    for name, part in (("training", pool.training), ("validation", pool.validation)):
        if count := len(part.skipped.reasons):
            reporter.say(
                f"warning: {count} {name} images cannot be used and are skipped"
            )


def look_for_leaks(
    pool: Pool, directory: RunDirectory, reporter: Reporter
) -> audit.Audit | None:
    """Find out what tells the sources apart without a network; None where streamed.

    Writes audit_sources, audit_classifiers and audit_files (.parquet), and says what is
    wrong.
    """
    training, validation = pool.training.images, pool.validation.images
    if training is None or validation is None:
        reporter.say("streamed: the leak audit needs the images in memory")
        return None
    with reporter.status("looking for leaks"):
        found = audit.audit(
            pool.sample.names,
            [headers(part) for part in pool.sample.training],
            training.images,
            training.labels,
            validation.images,
            validation.labels,
        )
    for warning in found.warnings:
        reporter.say(f"warning: {warning}")
    directory.write_table(found.sources, "audit_sources.parquet")
    directory.write_table(found.classifiers, "audit_classifiers.parquet")
    if len(found.files["source"]):
        directory.write_table(found.files, "audit_files.parquet")
    return found


def run(
    config: Any,
    directory: RunDirectory,
    reporter: Reporter,
    *,
    plan: Plan,
    name: str,
    draw: Callable[[Any, list[Outcome], Pool, RunDirectory], Any],
    measure: cases.Measure | None = None,
) -> list[Outcome]:
    """Audit, train every case, judge, and draw.

    Args:
        config: Of the experiment.
        directory: Takes everything.
        reporter: Says what goes on.
        plan: Makes the cases.
        name: Of the experiment, by which the ledger knows it.
        draw: Draws the figures.
        measure: Is asked once a case is trained; see `cases.run`.

    Raises:
        UsageError: If the sources cannot be used, or the cases ask for more than they have.
    """
    pool = open_pool(config, reporter)
    planned = plan(config, pool)
    look_for_leaks(pool, directory, reporter)
    try:
        outcomes = cases.run(
            *(planned, pool, config, directory, reporter),
            baseline=baselines.Baselines(pool),
            measure=measure,
        )
    except (SourceError, CheckpointError) as error:
        raise UsageError(str(error)) from error
    if devices.is_writer():
        directory.write_table(cases.table(outcomes))
        directory.write_verdicts(published.judge(name, outcomes, config))
        directory.update_manifest(sources=list(pool.sample.names), size=pool.size)
        with reporter.status("drawing the figures"):
            draw(config, outcomes, pool, directory)
    return outcomes
