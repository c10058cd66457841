"""Real and generated images, and which of them each training has."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from jaxbias.data import generated, sources
from jaxbias.data.archives import ImageSet, SourceError
from jaxbias.data.shapes import SHAPES, shapes
from jaxbias.numerics.statistics import evenly, rank_within
from jaxbias.studies.generative_augmentation.images.config import (
    Config,
    amounts_of,
    generators_of,
)
from jaxbias.training import sets
from jaxbias.training.sets import Part, Pool, Prepared

WRONG = 1 / 3
"""Share of labels that the worse of the two stand-ins draws anew."""


@dataclass(frozen=True)
class Real:
    """Real images: to train on, to choose by, and to test on.

    Attributes:
        training: In memory.
        validation: Held out of the training images.
        test: The set's own test images.
    """

    training: ImageSet
    validation: ImageSet
    test: ImageSet

    @classmethod
    def read(cls, config: Config) -> "Real":
        """Open the source and part its training images.

        Raises:
            SourceError: If it cannot be used, or has too few images.
        """
        if config.data == "shapes":
            training, test = (
                shapes(split, size=config.size, count=count)
                for split, count in (
                    ("train", (config.real or 20_000) + config.validation),
                    ("test", max(500, min(2_000, 2 * (config.real or 1_000)))),
                )
            )
        else:
            training, test = (_in_memory(source, config) for source in _splits(config))
        if config.validation >= len(training):
            raise SourceError(
                f"--validation: {config.validation} of {len(training)} images"
            )
        held = _last_of_each(training.labels, config.validation)
        return cls(_some(training, ~held), _some(training, held), test)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the labels."""
        return self.training.classes

    def judged_by(self) -> dict[str, Prepared]:
        """The sets that no training sees."""
        return {
            "validation": Prepared.of(self.validation),
            "test": Prepared.of(self.test),
        }


def _splits(config: Config) -> tuple[sources.Source, sources.Source]:
    training, test = sources.open_splits(config.data)
    most = None if config.real is None else config.real + config.validation
    return sets.limited(training, most), test


def _in_memory(source: sources.Source, config: Config) -> ImageSet:
    images = sets.colour(source, config.size).images
    assert images is not None
    return images


def _last_of_each(labels: np.ndarray, count: int) -> np.ndarray:
    """Which images are held out: the last of each class, as many of each as can be."""
    held = np.zeros(len(labels), bool)
    from_the_end = rank_within(labels[::-1])[::-1]
    held[np.argsort(from_the_end, kind="stable")[:count]] = True
    return held


def _some(images: ImageSet, chosen: np.ndarray) -> ImageSet:
    whole = np.asarray(images.images)[chosen]
    return ImageSet(whole, images.labels[chosen], images.classes, images.where)


@dataclass(frozen=True)
class Mixture:
    """Real images and those of one generator, of which trainings have different parts.

    Attributes:
        real: The real ones.
        generated: In the order in which they are added.
        notes: What was done to the files, a line each.
        config: What was asked.
    """

    real: Real
    generated: ImageSet
    notes: tuple[str, ...]
    config: Config

    @classmethod
    def read(cls, name: str, real: Real, config: Config) -> "Mixture":
        """Open the files of a generator, or draw what stands in for it.

        Raises:
            SourceError: If they cannot be used, or hold too few images.
        """
        most = max(amounts_of(config))
        files = generators_of(config)[name]
        if not files:
            made = stand_in(name, most_needed(config), config)
            return cls(real, made, (), config)
        found = generated.read(
            [Path(file) for file in files], classes=real.classes, size=config.size
        )
        count = len(found.images)
        # Of what is to be chosen by confidence, all of it is needed.
        used = count if min(config.keeps) < 1 else most
        if round(count * min(config.keeps)) < most or used > count:
            raise SourceError(
                f"{name}: {count:,} images, of which {min(config.keeps):.0%} are used; "
                f"{most:,} are asked for"
            )
        order = generated.nested(count, used, config.seed)
        return cls(real, _some(found.images, order), found.notes, config)

    @cached_property
    def pool(self) -> Pool:
        """All of them, the real ones first."""
        real, made = self.real.training, self.generated
        both = ImageSet(
            np.concatenate([real.images, made.images]),
            np.concatenate([real.labels, made.labels]),
            real.classes,
        )
        most = len(real) + max(amounts_of(self.config))
        for share in self.config.real_shares:
            for amount in amounts_of(self.config):
                most = max(most, repeats(amount, share) + amount)
        return Pool(both, most)

    def kept(self, share: float | int, losses: np.ndarray | None) -> np.ndarray:
        """Places of the generated images that are used, in the order of adding.

        Args:
            share: Of each class.
            losses: Of a network that was trained on the real images alone.
        """
        labels = self.generated.labels
        if share == 1:
            return np.arange(len(labels))
        assert losses is not None
        chosen = np.zeros(len(labels), bool)
        for label in np.unique(labels):
            own = np.flatnonzero(labels == label)
            best = own[np.argsort(losses[own], kind="stable")]
            chosen[best[: max(1, round(share * len(own)))]] = True
        return np.flatnonzero(chosen)

    def numbers(
        self, amount: int, kept: np.ndarray, *, share: float | None, alone: bool
    ) -> np.ndarray:
        """Which images of the pool a training has.

        Args:
            amount: Of generated ones.
            kept: From `kept`.
            share: Of real ones in the batches; None takes each of them once.
            alone: Leave the real ones out.

        Raises:
            SourceError: If so many are not there.
        """
        if amount > len(kept):
            raise SourceError(f"{amount:,} generated images of {len(kept):,} that are")
        count = len(self.real.training)
        real, made = np.arange(count), count + kept[:amount]
        if alone:
            return made
        if share is not None and amount:
            real = np.resize(real, repeats(amount, share))
        return np.concatenate([real, made])

    def part(self, numbers: np.ndarray) -> Part:
        """These images of the pool, to train on."""
        return Part(self.pool, numbers)

    def scored(self, numbers: np.ndarray) -> dict[str, Part]:
        """Real and generated ones of a training's images, as many as are scored."""
        real = numbers < len(self.real.training)
        parts = {"real": np.unique(numbers[real]), "generated": numbers[~real]}
        return {
            name: self.part(own[evenly(len(own), self.config.scored)])
            for name, own in parts.items()
            if len(own)
        }


def repeats(amount: int, share: float) -> int:
    """Real images, some of them several times, so that they have their share."""
    return round(amount * share / (1 - share))


def most_needed(config: Config) -> int:
    """Generated images of which the largest amount can be chosen."""
    return round(max(amounts_of(config)) / min(config.keeps))


def stand_in(name: str, count: int, config: Config) -> ImageSet:
    """Fresh shapes; of the worse generator a third has a label that is drawn anew."""
    made = shapes("train", size=config.size, count=count, seed=config.seed + 1)
    if name == "fresh":
        return made
    random = np.random.default_rng(config.seed)
    wrong = random.random(count) < WRONG
    drawn = random.integers(0, len(SHAPES), count)
    labels = np.where(wrong, drawn, made.labels)
    return ImageSet(made.images, labels, made.classes, name)
