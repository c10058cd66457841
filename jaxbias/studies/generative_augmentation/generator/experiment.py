"""Generator: train a generator of small labelled images, and draw images from it.

cdcgan is the class-conditional DCGAN whose images the study adds to CIFAR-10; edm is the
diffusion model of Karras et al. (2022), from a small U-Net to the published DDPM++;
stylegan2 is StyleGAN2 with adaptive discriminator augmentation (Karras et al., 2020), from
small networks to those published for CIFAR-10. Images that are drawn are written as an npz
file of `image` and `label`, as others read it; they stand beside images that were not
trained on, in distances on features that nobody trained, and beside the training images, of
which they must not be copies.

    python -m experiments.generative_augmentation generator --data cifar10:DIR
    python -m experiments.generative_augmentation generator --kind edm --data cifar10:DIR

Published are the numbers of weights, which the verdicts check; published Frechet
distances are on other features. smoke takes three quarters of a minute; quick trains a
small network on some thousand images in under ten minutes on two cores; paper has the
published sizes and lengths (EDM: two days on eight V100s; StyleGAN2: 100 million
images) and wants a GPU.
"""

from collections.abc import Mapping
from typing import Any

from jaxbias.files import UsageError
from jaxbias.runs import RunDirectory
from jaxbias.studies.generative_augmentation.generator.config import (
    PRESETS,
    PRESETS_BY,
    SIZE,
    Config,
    check_values,
)
from jaxbias.terminal import Reporter

__all__ = ["PRESETS", "PRESETS_BY", "Config", "check", "check_values", "run", "show"]


def check(config: Config) -> None:
    """Raise `UsageError`, in one line, if a run could not succeed."""
    from jaxbias.studies.generative_augmentation.generator import samples

    check_values(config)
    samples.check_weights(config.inception)


def run(config: Config, directory: RunDirectory, reporter: Reporter) -> None:
    """Train, draw, measure, judge; resumes from the newest whole checkpoint."""
    import numpy as np

    from jaxbias import devices
    from jaxbias.data.archives import SourceError
    from jaxbias.studies.generative_augmentation.generator import (
        figures,
        networks,
        published,
        samples,
    )
    from jaxbias.training import fit
    from jaxbias.training.checkpoints import CheckpointError
    from jaxbias.training.recipes import Running

    try:
        with reporter.status(f"reading {config.data}"):
            training, held_out = training_and_held_out(config, config.most_images)
        reporter.say(
            f"{config.kind} on {len(training):,} images of {len(training.classes)} classes"
        )
        running = Running(seed=config.seed, validate_every=10**6, log_every=10)
        fitted = fit.fit(
            *(networks.recipe_of(config), running, training, held_out),
            *(directory, reporter),
            make=networks.maker(config),
            looks=networks.looks_of(config, len(training)),
        )
    except (SourceError, CheckpointError) as error:
        raise UsageError(str(error)) from error
    draw = networks.drawer(config, fitted.task, fitted.states[0])
    classes = len(training.classes)
    found = samples.drawn(draw, config, classes, directory, reporter)
    if found is None or not devices.is_writer():
        return
    samples.written(found, directory, seed=config.seed)
    real, known = (np.asarray(one.images.images) for one in (held_out, training))
    with reporter.status("measuring the samples"):
        quality = samples.quality(
            *(found["image"], real, known),
            most=config.measured,
            seed=config.seed,
            weights=config.inception,
        )
        nearest = samples.nearest(found["image"], real, known, config)
    directory.write_table(quality)
    directory.write_table(nearest, "nearest.parquet")
    evidence = published.Evidence(config, fitted.parameters, classes, quality, nearest)
    directory.write_verdicts(published.judge(evidence))
    directory.update_manifest(parameters=fitted.parameters)
    with reporter.status("drawing the figures"):
        figures.draw(
            *(found, known, training.images.labels, training.classes, nearest),
            *(config, directory),
        )
    show(directory, reporter)


def training_and_held_out(config: Config, most: int | None) -> tuple:
    """At most so many training images, and others, at one size and in memory."""
    from jaxbias.data import sources
    from jaxbias.training import sets

    first, second = sources.open_splits(config.data, None, share=0.1)
    first = sets.limited(first, most)
    second = sets.limited(second, max(config.measured, len(second.classes)))
    return sets.colour(first, SIZE), sets.colour(second, SIZE)


def show(directory: RunDirectory, reporter: Reporter) -> None:
    """Print how samples, training images and noise stand beside images not trained on."""
    show_quality(directory.read_table(), ("images", "feature"), reporter)


def show_quality(
    columns: Mapping[str, Any], labels: tuple[str, ...], reporter: Reporter
) -> None:
    """Print the measures of `samples.quality`, a row for each of a table's.

    Args:
        columns: The table.
        labels: Columns that tell its rows apart.
        reporter: Prints.
    """
    names = ("kid", "frechet", "precision", "recall", "density", "coverage", "vendi")
    rows = [
        [
            *(str(columns[name][place]) for name in labels),
            *(f"{columns[name][place]:.3g}" for name in names),
        ]
        for place in range(len(columns["kid"]))
    ]
    reporter.table([*labels, *names], rows)
