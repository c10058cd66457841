"""Classifier: train a network of the catalogue on any source of labelled images.

Writes metrics.jsonl as it goes, checkpoints that it resumes from, results.parquet (a
row for each evaluation), predictions.parquet (a row for each validation image) and a
figure of the curves. Nothing to train on at hand? The default draws its own images.
Published of CIFAR-10: 96.0 % by a ResNet-18 that is trained at length, 94.01 % by
airbench94. smoke takes half a minute and quick two minutes on two cores, three to five
on CIFAR-10; paper takes two hours (reckoned) with --recipe small, and wants a GPU with
the others.
"""

from dataclasses import replace

import numpy as np

from jaxbias import tables
from jaxbias.files import UsageError
from jaxbias.runs import RunDirectory
from jaxbias.studies.train.config import (
    PRESETS,
    PRESETS_BY,
    Config,
    check_values,
    recipe_of,
    running_of,
)
from jaxbias.terminal import Reporter

__all__ = ["PRESETS", "PRESETS_BY", "Config", "check", "check_values", "run", "show"]


def check(config: Config) -> None:
    """Raise `UsageError`, in one line, if a run could not succeed."""
    from jaxbias.models import catalogue

    check_values(config)
    catalogue.check(config.model)


def run(config: Config, directory: RunDirectory, reporter: Reporter) -> None:
    """Train, score, and draw the curves; resumes from the newest whole checkpoint."""
    from jaxbias import devices
    from jaxbias.data.archives import SourceError
    from jaxbias.studies.train import figures, published
    from jaxbias.training import fit
    from jaxbias.training.checkpoints import CheckpointError

    recipe, running = recipe_of(config), running_of(config)
    try:
        with reporter.status(f"reading {config.data}"):
            training, validation = _sets(config)
        _say_what(config, training, validation, reporter)
        fitted = fit.fit(recipe, running, training, validation, directory, reporter)
    except (SourceError, CheckpointError) as error:
        raise UsageError(str(error)) from error
    if not devices.is_writer():
        return
    directory.write_table(_history(fitted))
    directory.write_table(_predictions(fitted), "predictions.parquet")
    for name, part in (("training", training), ("validation", validation)):
        if part.skipped.reasons:
            directory.write_table(part.skipped.columns(), f"skipped_{name}.parquet")
            reporter.say(f"skipped_{name}.csv: images that could not be used, and why")
    directory.write_verdicts(published.judge(config, fitted))
    directory.update_manifest(
        parameters=fitted.parameters,
        classes=list(training.source.classes),
        images={"training": len(training), "validation": len(validation)},
    )
    with reporter.status("drawing the figures"):
        figures.draw(config, directory)
    show(directory, reporter)


def show(directory: RunDirectory, reporter: Reporter) -> None:
    """Print the final table of a finished run."""
    rows = directory.read_table()
    last = rows["step"] == rows["step"].max()
    table = [
        [str(seed), str(step), f"{loss:.4f}", f"{accuracy:.2%}", f"{best:.2%}"]
        for seed, step, loss, accuracy, best in zip(
            rows["seed"][last],
            rows["step"][last],
            rows["loss"][last],
            rows["accuracy"][last],
            [rows["accuracy"][rows["seed"] == s].max() for s in rows["seed"][last]],
            strict=True,
        )
    ]
    accuracy = rows["accuracy"][last]
    if len(accuracy) > 1:
        error = accuracy.std(ddof=1) / len(accuracy) ** 0.5
        spread = f"{accuracy.mean():.2%} ± {error:.2%}"
        table.append(
            ["mean ± s.e.", "", f"{rows['loss'][last].mean():.4f}", spread, ""]
        )
    headings = ["seed", "step", "validation loss", "accuracy", "best on the way"]
    reporter.table(headings, table)


def _sets(config: Config) -> tuple:
    from jaxbias.data import sources
    from jaxbias.training import sets

    training, validation = sources.open_splits(
        config.data, config.validation, share=config.hold_out
    )
    training = sets.limited(training, config.most_images)
    running = running_of(config)
    prepared = sets.prepare(training, running, config.model)
    # One size for both, whatever the validation set's own.
    same = replace(running, size=prepared.size)
    return prepared, sets.prepare(validation, same, config.model)


def _say_what(config: Config, training, validation, reporter: Reporter) -> None:
    import jax

    from jaxbias.training import sets

    where = "on the device" if training.images is not None else "streamed"
    reporter.say(
        f"{config.model} on {len(training):,} images of {len(training.source.classes)} "
        f"classes, {training.size} x {training.size}, {where}; {len(validation):,} to "
        f"validate; {jax.device_count()} {jax.devices()[0].platform} devices"
    )
    for name, part in (("training", training), ("validation", validation)):
        if count := len(part.skipped.reasons):
            reporter.say(
                f"warning: {count} of {len(part.source)} {name} images cannot be used "
                "and are skipped"
            )
    if (shared := sets.shared_images(training, validation)) > 0:
        reporter.say(
            f"warning: {shared} of {len(validation)} validation images are also in the "
            "training set, pixel by pixel"
        )


def _history(fitted) -> dict[str, np.ndarray]:
    rows = fitted.history
    columns = tables.columns_of(rows)
    del columns["kind"]
    return columns | {"epoch": columns["step"] / fitted.epoch_steps}


def _predictions(fitted) -> dict[str, np.ndarray]:
    parts = [
        {
            "seed": np.full(len(scores.labels), seed),
            "image": np.arange(len(scores.labels)),
            "label": scores.labels,
            "predicted": scores.predicted.astype(np.int64),
            "loss": scores.losses,
        }
        for seed, scores in zip(fitted.seeds, fitted.scores, strict=True)
    ]
    return {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}
