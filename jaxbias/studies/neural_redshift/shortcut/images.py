"""Digits beside a band of colour: what is trained on, and two sets that tell."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from jaxbias.data import glyphs
from jaxbias.data.sources import Source, open_splits
from jaxbias.studies.neural_redshift.shortcut.config import CLASSES, Config, Trainings

GLYPHS = "glyphs"
"""Digits that are drawn here, for want of files."""


class Set(NamedTuple):
    """Images as rows of numbers in [0, 1], and labels: in [0, 1], or classes."""

    x: np.ndarray
    y: np.ndarray
    shape: tuple[int, ...]
    """Of an image: height, width and, in colour, 3."""


class Sets(NamedTuple):
    """What is trained on, and by cue the set on which that cue alone tells the label."""

    train: Set
    tests: dict[str, Set]


@lru_cache(maxsize=1)
def digits(config: Trainings) -> tuple[Source, Source]:
    """Digits to train and to test on.

    Raises:
        ValueError: Naming the option, if there are not ten classes.
    """
    train, test = _opened(config)
    return ten_classes("digits", train), test


def ten_classes(option: str, source: Source) -> Source:
    """The source, if it has ten classes; else ValueError, naming the option."""
    if len(source.classes) != CLASSES:
        raise ValueError(
            f"--{option}: {len(source.classes)} classes, {CLASSES} are needed"
        )
    return source


def _opened(config: Trainings) -> tuple[Source, Source]:
    if config.digits == GLYPHS:
        wanted = (config.train_images, 2 * config.test_images)
        return tuple(  # type: ignore[return-value]
            glyphs.digits(split, count=count, seed=config.seed)
            for split, count in zip(("train", "test"), wanted, strict=True)
        )
    return open_splits(config.digits)


def check(config: Config) -> None:
    """Raise ValueError, naming the option, for digits that cannot be used."""
    train, test = digits(config)
    for option, source, count in (
        ("train-images", train, config.train_images),
        ("test-images", test, 2 * config.test_images),
    ):
        if len(source) < count:
            raise ValueError(
                f"--{option}: {count:,} images are needed, {config.digits} has "
                f"{len(source):,}"
            )


def _digits(source: Source, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    pictures = [np.asarray(source[int(i)][0], np.float32) for i in numbers]
    # Grey: the digits of some sources are in colour, which is not the colour meant here.
    grey = np.stack([picture.mean(axis=-1) for picture in pictures]) / 255
    return grey, np.asarray(source.labels)[numbers]


def _beside(digits: np.ndarray, colour: np.ndarray, band: int) -> np.ndarray:
    """Digits and, at their right, columns of one grey each."""
    side = np.repeat(colour[:, None], digits.shape[1], axis=1)
    side = np.repeat(side[:, :, None], band, axis=2)
    return np.concatenate([digits, side], axis=2).astype(np.float32)


@lru_cache(maxsize=1)
def sets(config: Config) -> Sets:
    """The three sets of a run on colour; what is random comes from its seed alone."""
    train_source, test_source = digits(config)
    rng = np.random.default_rng(config.seed)
    chosen = rng.permutation(len(train_source))[: config.train_images]
    pictures, labels = _digits(train_source, chosen)
    y = labels / (CLASSES - 1)
    colour = y.copy()
    spoiled = rng.random(len(y)) < config.colour_noise
    colour[spoiled] = rng.integers(0, CLASSES, spoiled.sum()) / (CLASSES - 1)
    numbers = rng.permutation(len(test_source))[: 2 * config.test_images]
    both, test_labels = _digits(test_source, numbers)
    true = test_labels / (CLASSES - 1)
    random = rng.integers(0, CLASSES, len(true)) / (CLASSES - 1)
    half = config.test_images
    return Sets(
        _set(pictures, colour, y, config),
        {
            "colour": _set(both[:half], random[:half], random[:half], config),
            "digit": _set(both[half:], random[half:], true[half:], config),
        },
    )


def _set(digits: np.ndarray, colour: np.ndarray, y: np.ndarray, config: Config) -> Set:
    images = _beside(digits, colour, config.band)
    return Set(images.reshape(len(images), -1), y.astype(np.float32), images.shape[1:])
