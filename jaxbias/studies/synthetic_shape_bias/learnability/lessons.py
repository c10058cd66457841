"""Lessons: images by a cue, from few or many, and how well new ones are then answered."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from jaxbias import rng, tables
from jaxbias.data import procedural_conflict
from jaxbias.data.archives import ImageSet, SourceError
from jaxbias.files import UsageError
from jaxbias.numerics.statistics import wilson
from jaxbias.probes.cues import dealt
from jaxbias.runs import RunDirectory
from jaxbias.studies.synthetic_shape_bias.calibration import stimuli
from jaxbias.studies.synthetic_shape_bias.learnability.config import (
    CLASSES,
    OFFICIAL,
    Config,
    Cue,
    Lesson,
    lessons,
    stimuli_of,
)
from jaxbias.sweeps import Columns
from jaxbias.terminal import Reporter
from jaxbias.training import fit
from jaxbias.training.checkpoints import CheckpointError, kept_or_made
from jaxbias.training.recipes import Recipe, Running
from jaxbias.training.sets import Prepared

DRAWN_AT = 64
"""Pixels that shapes are drawn at before they are made smaller."""

FOLDS = 3
"""Parts that originals of a cue are dealt out to; the first is for the test. Each texture
of the official images has three."""


@dataclass(frozen=True)
class Images:
    """Images of two cues, to learn and to be tested on by either.

    Attributes:
        pixels: uint8, NHWC.
        labels: Class of each, by cue.
        tested: Which are for the test, by cue: no original of the cue is in both parts.
    """

    pixels: np.ndarray
    labels: dict[Cue, np.ndarray]
    tested: dict[Cue, np.ndarray]


def images(name: str, config: Config) -> Images:
    """The images of one kind.

    Raises:
        UsageError: If official ones cannot be read.
    """
    if name == OFFICIAL:
        return _official(config)
    key = rng.stream(jax.random.key(config.seed), "lessons", name)
    asked = procedural_conflict.ConflictConfig(
        size=max(DRAWN_AT, config.size),
        ground="solid" if name == "solid" else "texture",
    )
    whole = procedural_conflict.stimuli(
        key, asked, instances=config.instances + config.tested
    )
    number = np.arange(len(whole.images)) % (config.instances + config.tested)
    tested = number >= config.instances
    return Images(
        stimuli.brought(255 * np.asarray(whole.images), config.size),
        {"shape": np.asarray(whole.shapes), "texture": np.asarray(whole.textures)},
        {"shape": tested, "texture": tested},
    )


def _official(config: Config) -> Images:
    found = stimuli.official(config.cue_conflict)
    labels: dict[Cue, np.ndarray] = {"shape": found.shapes, "texture": found.textures}
    sources = {"shape": found.sources.shape, "texture": found.sources.texture}
    return Images(
        stimuli.brought(found.images, config.size),
        labels,
        {
            cue: dealt(labels[cue], np.asarray(sources[cue]), FOLDS) == 0
            for cue in labels
        },
    )


def chosen(
    labels: np.ndarray, share: float, generator: np.random.Generator
) -> np.ndarray:
    """Places of a share of each label's images, repeated to the number of all images.

    Smaller shares are part of larger ones, if the generator begins alike. Repeated, sets
    of all shares have the same epochs and steps.
    """
    order = generator.permutation(len(labels))
    rank = np.empty(len(labels), int)
    for label in np.unique(labels):
        own = order[labels[order] == label]
        rank[own] = np.arange(len(own))
    count = np.bincount(labels)[labels]
    kept = order[rank[order] < np.maximum(1, np.round(share * count))[order]]
    return np.resize(kept, len(labels))


def parts(
    found: Images, lesson: Lesson, config: Config
) -> tuple[Prepared, Prepared, int]:
    """Training and test images of a lesson, and how many of the former differ."""
    labels, tested = found.labels[lesson.cue], found.tested[lesson.cue]
    generator = np.random.default_rng(config.seed)
    whole = np.flatnonzero(~tested)
    some = whole[chosen(labels[whole], lesson.share, generator)]
    training, test = (
        _prepared(found.pixels[own], labels[own])
        for own in (some, np.flatnonzero(tested))
    )
    return training, test, len(np.unique(some))


def _prepared(pixels: np.ndarray, labels: np.ndarray) -> Prepared:
    names = tuple(f"{number}" for number in range(CLASSES))
    whole = ImageSet(pixels, labels.astype(np.int64), names, "made here")
    return Prepared.of(whole)


def recipe(lesson: Lesson, config: Config) -> Recipe:
    """AdamW, with a warm-up of a tenth of the training and a cosine after it."""
    return Recipe(
        model=lesson.model,
        epochs=config.epochs,
        batch=config.batch,
        optimiser="adamw",
        rate=config.rate,
        schedule="cosine",
        rise=0.1,
        weight_decay=config.weight_decay,
        augment=("resized-crop",) if config.crop_area < 1 else (),
        crop_area=(float(config.crop_area), 1.0),
    )


def learnt(
    config: Config, directory: RunDirectory, reporter: Reporter
) -> Columns | None:
    """Take every lesson, or what came of it in an earlier run.

    Columns: `stimuli`, `cue`, `model`, `share`, `images` (different ones that were learnt
    from), `seed`; `accuracy` on test images with `low` and `high` (Wilson, 95 %), and
    `learnt`, on those that were learnt from.

    Returns:
        None in a process that does not see what the writer has kept.

    Raises:
        UsageError: If images do not suit a network or a batch.
    """
    found: list[dict[str, Any]] = []
    every = lessons(config)
    for name in stimuli_of(config):
        with reporter.status(f"making images: {name}"):
            given = images(name, config)
        for lesson in (one for one in every if one.stimuli == name):

            def made(given: Images = given, lesson: Lesson = lesson) -> Columns:
                reporter.say(
                    f"{every.index(lesson) + 1} of {len(every)}: {lesson.name}"
                )
                return tables.columns_of(
                    _rows(given, lesson, config, directory, reporter)
                )

            columns = kept_or_made(lesson.name, directory, made)
            if columns is not None:
                found += tables.rows_of(columns)
    return tables.columns_of(found) if found else None


def _rows(
    given: Images,
    lesson: Lesson,
    config: Config,
    directory: RunDirectory,
    reporter: Reporter,
) -> Iterator[dict[str, Any]]:
    training, test, different = parts(given, lesson, config)
    running = Running(
        seed=config.seed,
        n_seeds=config.n_seeds,
        seed_axis="map",
        validate_every=10**6,
        log_every=10,
    )
    try:
        fitted = fit.fit(
            *(recipe(lesson, config), running, training, test, directory, reporter),
            case=lesson.name,
        )
    except (SourceError, CheckpointError) as error:
        raise UsageError(str(error)) from error
    both = zip(fitted.seeds, fitted.scores, fitted.scores_of(training), strict=True)
    for seed, scores, own in both:
        right = float((scores.predicted == scores.labels).sum())
        low, high = wilson(right, len(scores.labels))
        yield {
            "stimuli": lesson.stimuli,
            "cue": lesson.cue,
            "model": lesson.model,
            "share": lesson.share,
            "images": different,
            "seed": seed,
            "accuracy": scores.accuracy,
            "low": low,
            "high": high,
            "learnt": own.accuracy,
        }
