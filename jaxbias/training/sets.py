"""Sets of images that are ready for a training: their size settled, in memory or not."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import UInt8

from jaxbias import devices
from jaxbias.arrays import Array
from jaxbias.data.archives import ImageSet, SourceError
from jaxbias.data.pipelines import Skipped, in_order, load
from jaxbias.data.sources import Source, Subset
from jaxbias.models import catalogue
from jaxbias.numerics.statistics import evenly, rank_within
from jaxbias.training.evaluation import whole
from jaxbias.training.feeds import Draw
from jaxbias.training.recipes import Running

MOST_RESIDENT = 2**32
"""Bytes of pixels that are kept on the device."""

SAMPLE = 2_000
"""Images from which the mean and spread of a streamed set are taken."""


@dataclass(frozen=True)
class Prepared:
    """A training or validation set, ready for a feed.

    Attributes:
        source: Where the images are.
        images: In memory; None where they are streamed.
        size: Side, in pixels.
        skipped: What cannot be used.
    """

    source: Source
    images: ImageSet | None
    size: int
    skipped: Skipped

    @classmethod
    def of(cls, images: ImageSet) -> "Prepared":
        """A set that is in memory already, of square images."""
        return cls(images, images, images.images.shape[1], Skipped(images))

    def __len__(self) -> int:
        return len(self.source if self.images is None else self.images)

    def batches(self, batch: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Every image once, in order."""
        if self.images is not None:
            return whole(self.images, batch)
        return in_order(self.source, self.skipped, size=self.size, batch=batch)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names, in the order of the labels."""
        return self.source.classes

    @property
    def channels(self) -> int:
        """Of an image; what is streamed has three."""
        return 3 if self.images is None else self.images.images.shape[-1]

    def sample(self, count: int) -> np.ndarray:
        """Pixels of some images, the same ones in every process.

        They are spread over the set, whose order may be by class. Of a streamed set those
        that cannot be decoded are left out.
        """
        if self.images is not None and count >= len(self):
            return np.asarray(self.images.images)  # Up to 4 GiB: not copied.
        chosen = evenly(len(self), count)
        if self.images is not None:
            return np.asarray(self.images.images[chosen])
        quiet = Skipped(self.source, "skip", most=1.0)
        part = Subset(self.source, chosen)
        return next(in_order(part, quiet, size=self.size, batch=count))[0]

    def moments(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and standard deviation of each channel, on the scale 0 to 1."""
        everything = self.images is not None
        return moments(self.sample(len(self) if everything else SAMPLE))


@dataclass(frozen=True)
class Drawn:
    """A training set whose images are made on the device when they are needed.

    Attributes:
        draw: Makes images by their numbers; pure and traceable.
        data: What it is given first, a tree of arrays.
        count: Images of an epoch.
        classes: Names of the labels.
        size: Side, in pixels.
        endless: Let numbers go on from epoch to epoch, so that no image is seen twice;
            otherwise each epoch has the same images.
    """

    draw: Draw
    data: Any
    count: int
    classes: tuple[str, ...]
    size: int
    endless: bool = False
    channels: int = 3

    def __len__(self) -> int:
        return self.count

    def batches(self, batch: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Every image of the first epoch once, in order."""
        draw = jax.jit(self.draw)
        for first in range(0, self.count, batch):
            # Filled up, so that one program serves all.
            index = jnp.arange(first, first + batch, dtype=jnp.int32)
            pixels, labels = draw(self.data, index)
            left = min(batch, self.count - first)
            yield np.asarray(pixels)[:left], np.asarray(labels)[:left]

    def sample(self, count: int) -> np.ndarray:
        """Pixels of some images of the first epoch, spread over it."""
        chosen = evenly(self.count, count).astype(np.int32)
        return np.asarray(jax.jit(self.draw)(self.data, jnp.asarray(chosen))[0])

    def moments(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and standard deviation of each channel of some images, scale 0 to 1."""
        return moments(self.sample(SAMPLE))


@dataclass(frozen=True, eq=False)
class Pool:
    """Images in memory, of which trainings take different parts.

    Attributes:
        images: All of them, square.
        most: Images of the largest part; an image may count several times.
    """

    images: ImageSet
    most: int
    _laid: dict[Any, tuple[Array, Array]] = field(default_factory=dict, init=False)

    def laid(self, sharding: jax.sharding.Sharding) -> tuple[Array, Array]:
        """Pixels and labels on the devices, where they stay."""
        if sharding not in self._laid:
            labels = self.images.labels.astype(np.int32)
            both = np.asarray(self.images.images), labels
            self._laid[sharding] = devices.laid_out(both, sharding)
        return self._laid[sharding]


@dataclass(frozen=True)
class Part:
    """A training set that is part of a pool.

    Attributes:
        pool: Where the images are.
        numbers: Which of them; any may be there several times.
    """

    pool: Pool
    numbers: np.ndarray

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names, in the order of the labels."""
        return self.pool.images.classes

    @property
    def size(self) -> int:
        """Side, in pixels."""
        return self.pool.images.images.shape[1]

    @property
    def channels(self) -> int:
        """Of an image."""
        return self.pool.images.images.shape[-1]

    def batches(self, batch: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Every image as often as it is there, in order."""
        images = self.pool.images
        for first in range(0, len(self), batch):
            own = self.numbers[first : first + batch]
            yield np.asarray(images.images[own]), images.labels[own]

    def sample(self, count: int) -> np.ndarray:
        """Pixels of some images, spread over the part."""
        own = self.numbers[evenly(len(self), count)]
        return np.asarray(self.pool.images.images[own])

    def moments(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and standard deviation of each channel, on the scale 0 to 1."""
        return moments(self.sample(len(self)))


Images: TypeAlias = Prepared | Drawn | Part
"""What a network can be trained on, and scored on."""


def moments(
    pixels: UInt8[np.ndarray, "image height width channel"],
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel, on the scale 0 to 1."""
    counts = [
        np.bincount(pixels[..., c].ravel(), minlength=256)
        for c in range(pixels.shape[-1])
    ]
    levels = np.arange(256) / 255
    mean = [float(count @ levels / count.sum()) for count in counts]
    square = [float(count @ levels**2 / count.sum()) for count in counts]
    sd = [max((s - m * m) ** 0.5, 1e-3) for m, s in zip(mean, square, strict=True)]
    return tuple(mean), tuple(sd)


def prepare(source: Source, running: Running, model: str) -> Prepared:
    """Settle the size of a source's images, and bring them to memory if they fit.

    Raises:
        SourceError: If they cannot be used, or too few of them.
    """
    size = running.size
    if size is None:
        inner = source.source if isinstance(source, Subset) else source
        size = catalogue.entry(model).size
        if isinstance(inner, ImageSet):
            size = min(inner.images.shape[1:3])
    skipped = Skipped(source, running.bad_images, running.most_bad)
    fits = len(source) * size * size * 3 <= MOST_RESIDENT
    stays = running.resident == "yes" or (running.resident == "auto" and fits)
    images = load(source, size, skipped) if stays else None
    return Prepared(source, images, size, skipped)


def colour(source: Source, size: int) -> Prepared:
    """Bring the images of a source to memory, whatever they take.

    Raises:
        SourceError: If they cannot be used, or are not of three channels.
    """
    found = prepare(source, Running(size=size, resident="yes"), "")
    if found.channels != 3:
        raise SourceError(f"--data: {found.channels} channels; three are needed")
    return found


def limited(source: Source, most: int | None) -> Source:
    """At most this many images, as even over the classes as they allow.

    Raises:
        SourceError: If that leaves a class without an image.
    """
    if most is None or most >= len(source):
        return source
    if most < len(source.classes):
        raise SourceError(f"{most} images for {len(source.classes)} classes")
    chosen = np.argsort(rank_within(source.labels), kind="stable")[:most]
    return Subset(source, np.sort(chosen))


def shared_images(first: Prepared, second: Prepared) -> int:
    """How many images of the second set are in the first, pixel by pixel; -1 if unknown."""
    if first.images is None or second.images is None:
        return -1
    seen = {np.asarray(image).tobytes() for image in first.images.images}
    return sum(np.asarray(i).tobytes() in seen for i in second.images.images)
