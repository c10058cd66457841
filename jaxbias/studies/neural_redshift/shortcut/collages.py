"""Digits above pictures: both tell the label in training; apart, which one was learned."""

from functools import lru_cache

import numpy as np

from jaxbias.data.images import squared
from jaxbias.data.sources import Source, open_splits
from jaxbias.studies.neural_redshift.shortcut import images
from jaxbias.studies.neural_redshift.shortcut.config import CLASSES, CollageConfig
from jaxbias.studies.neural_redshift.shortcut.images import Set, Sets

SHAPES = "shapes"
"""Pictures that are drawn here, for want of files."""


def drawn(config: CollageConfig) -> list[str]:
    """What is drawn here: "digits", "pictures", both or none."""
    kinds = {"digits": images.GLYPHS, "pictures": SHAPES}
    return [name for name, kind in kinds.items() if getattr(config, name) == kind]


@lru_cache(maxsize=1)
def _pictures(config: CollageConfig) -> tuple[Source, Source]:
    """Pictures to train and to test on."""
    train, test = open_splits(config.pictures)
    return images.ten_classes("pictures", train), test


def _sources(config: CollageConfig) -> dict[str, tuple[Source, Source]]:
    return {"digits": images.digits(config), "pictures": _pictures(config)}


def check(config: CollageConfig) -> None:
    """Raise ValueError, naming the option, for digits or pictures that are too few."""
    for option, sources in _sources(config).items():
        counts = config.train_images, config.test_images
        for kind, source, count in zip(("train", "test"), sources, counts, strict=True):
            needed = -(-count // CLASSES)
            classes = np.bincount(np.asarray(source.labels), minlength=CLASSES)
            if classes.min() < needed:
                raise ValueError(
                    f"--{kind}-images: {count:,} need {needed:,} of each class, "
                    f"{getattr(config, option)} has {classes.min():,}"
                )


def _tiles(
    source: Source, classes: np.ndarray, tile: int, rng: np.random.Generator
) -> np.ndarray:
    """An image of each wanted class, none twice, in [0, 1]."""
    labels = np.asarray(source.labels)
    chosen = np.empty(len(classes), np.int64)
    for label in range(CLASSES):
        wanted = classes == label
        chosen[wanted] = rng.permutation(np.flatnonzero(labels == label))[
            : wanted.sum()
        ]
    pixels = []
    for number in chosen:
        picture = np.asarray(source[int(number)][0])
        # Grey digits in the three colours of the pictures below.
        pixels.append(squared(np.broadcast_to(picture, (*picture.shape[:2], 3)), tile))
    return np.stack(pixels).astype(np.float32) / 255


def _set(halves: list[np.ndarray], labels: np.ndarray) -> Set:
    """Digits above pictures, each (image, tile, tile, colour)."""
    both = np.concatenate(halves, axis=1)
    return Set(both.reshape(len(both), -1), labels.astype(np.int32), both.shape[1:])


@lru_cache(maxsize=1)
def sets(config: CollageConfig) -> dict[str, Sets]:
    """What is trained on, by what tells the label there; what is random has the run's seed.

    Returns:
        "both": digit and picture of one class. "picture": the same pictures and digits,
        the digits in another order, so that they say nothing: how much can be learned of
        the picture. The test set is one for all: digits and pictures at random, the
        labels once those of the digit and once those of the picture.
    """
    rng = np.random.default_rng(config.seed)
    train, test = zip(*_sources(config).values(), strict=True)
    labels = np.arange(config.train_images) % CLASSES
    digits, pictures = (_tiles(one, labels, config.tile, rng) for one in train)
    digit_labels = np.arange(config.test_images) % CLASSES
    picture_labels = rng.permutation(digit_labels)
    halves = [
        _tiles(one, kind, config.tile, rng)
        for one, kind in zip(test, (digit_labels, picture_labels), strict=True)
    ]
    tests = {
        "digit": _set(halves, digit_labels),
        "picture": _set(halves, picture_labels),
    }
    shuffled = digits[rng.permutation(len(digits))]
    return {
        "both": Sets(_set([digits, pictures], labels), tests),
        "picture": Sets(_set([shuffled, pictures], labels), tests),
    }
