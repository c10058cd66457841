"""The images of a run, decoded once, and the parts of them that each case takes."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from jaxbias.data.archives import ImageSet, SourceError
from jaxbias.data.headers import Header, header
from jaxbias.data.joined import Alike, Joined
from jaxbias.data.pipelines import Skipped
from jaxbias.data.sources import Source, Subset
from jaxbias.models import catalogue
from jaxbias.studies.dataset_classification.config import Common, running_of
from jaxbias.studies.dataset_classification.sampling import Sample
from jaxbias.training import sets
from jaxbias.training.sets import Prepared

LOOKED_AT = 500
"""Images of each source whose files are looked at before any is decoded."""

SMALL = 0.05
"""Share of a source's images that may be smaller than the size that all are brought to."""

STEP = 4
"""Sizes below the model's own are multiples of this."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """A class of a case: a stretch of one source's images, which are in random order.

    Attributes:
        name: Of the class.
        source: Where its images are from.
        training: First training image, and the one after the last.
        validation: The same for validation; None takes all.
    """

    name: str
    source: str
    training: tuple[int, int]
    validation: tuple[int, int] | None = None


@dataclass(frozen=True)
class Split:
    """The images of a case: its classes, in the order of the labels."""

    parts: tuple[Part, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Of the classes."""
        return tuple(part.name for part in self.parts)

    @property
    def per_class(self) -> int:
        """Training images of the first class."""
        start, stop = self.parts[0].training
        return stop - start


def whole_sources(names: tuple[str, ...], per_source: int) -> Split:
    """The first images of each source, which is a class."""
    parts = (Part(name=n, source=n, training=(0, per_source)) for n in names)
    return Split(tuple(parts))


def samples_of(source: str, sets: int, count: int, pool: "Pool") -> Split:
    """Disjoint samples of one source, each of which is a class."""
    held = pool.count(source, training=False) // sets
    parts = (
        Part(
            name=f"sample {n + 1}",
            source=source,
            training=(n * count, (n + 1) * count),
            validation=(n * held, (n + 1) * held),
        )
        for n in range(sets)
    )
    return Split(tuple(parts))


class Pool:
    """The images of all sources, in memory where they fit, streamed where not.

    Attributes:
        sample: The sources.
        size: Side of the squares that a network sees, in pixels.
        stored: Side of those that are kept.
        training: All training images, by source.
        validation: All validation images, by source.
    """

    def __init__(self, sample: Sample, config: Common) -> None:
        """Settle the size, and decode what stays in memory.

        Raises:
            SourceError: If too many images cannot be used.
        """
        self.sample = sample
        self.size = config.size or smallest_size(sample.training, config.model)
        self.stored = round(self.size * config.margin)
        running = running_of(config, self.stored)
        training, validation = sample.joined()
        self.training = sets.prepare(training, running, config.model)
        self.validation = sets.prepare(validation, running, config.model)

    @cached_property
    def _rows(self) -> dict[tuple[str, bool], np.ndarray]:
        """Rows of the images in memory, by source and whether they are for training.

        Images that could not be used are not among them.
        """
        rows = {}
        for kind, prepared in ((True, self.training), (False, self.validation)):
            if prepared.images is not None:
                for label, name in enumerate(self.sample.names):
                    found = np.flatnonzero(prepared.images.labels == label)
                    rows[name, kind] = found
        return rows

    @property
    def per_source(self) -> int:
        """Usable training images of the source that has the fewest."""
        if self.training.images is None:
            return self.sample.least
        return min(len(self._rows[name, True]) for name in self.sample.names)

    def pick(self, split: Split) -> tuple[Prepared, Prepared]:
        """The training and validation images of a case.

        Raises:
            SourceError: If a source has fewer than are asked for.
        """
        return self._half(split, True), self._half(split, False)

    def _half(self, split: Split, training: bool) -> Prepared:
        prepared = self.training if training else self.validation
        stretches = []
        for part in split.parts:
            stretch = part.training if training else part.validation
            there = self.count(part.source, training=training)
            start, stop = stretch or (0, there)
            if stop > there:
                kind = "training" if training else "validation"
                raise SourceError(
                    f"{part.source}: {stop:,} {kind} images are asked for, {there:,} "
                    "can be used"
                )
            stretches.append((part.source, np.arange(start, stop)))
        if prepared.images is not None:
            return self._in_memory(split, prepared, stretches, training)
        half = self.sample.training if training else self.sample.validation
        by_name = dict(zip(self.sample.names, half, strict=True))
        subsets = tuple(Subset(by_name[name], chosen) for name, chosen in stretches)
        joined = Joined(split.names, subsets)
        policy, most = prepared.skipped.policy, prepared.skipped.most
        return Prepared(joined, None, self.stored, Skipped(joined, policy, most))

    def count(self, name: str, *, training: bool) -> int:
        """Usable training or validation images of a source."""
        if (name, training) in self._rows:
            return len(self._rows[name, training])
        half = self.sample.training if training else self.sample.validation
        return len(half[self.sample.names.index(name)])

    def _in_memory(
        self,
        split: Split,
        prepared: Prepared,
        stretches: list[tuple[str, np.ndarray]],
        training: bool,
    ) -> Prepared:
        assert prepared.images is not None
        rows = [self._rows[name, training][chosen] for name, chosen in stretches]
        images = ImageSet(
            np.asarray(prepared.images.images)[np.concatenate(rows)],
            np.repeat(np.arange(len(rows), dtype=np.int64), [len(r) for r in rows]),
            split.names,
        )
        return Prepared.of(images)

    def names_of(self, split: Split) -> list[str]:
        """Where the validation images of a case come from, in their order."""
        half = dict(zip(self.sample.names, self.sample.validation, strict=True))
        found = []
        for part in split.parts:
            there = self.count(part.source, training=False)
            start, stop = part.validation or (0, there)
            numbers = self._numbers(part.source)[start:stop]
            found += [half[part.source].name(int(n)) for n in numbers]
        return found

    def _numbers(self, name: str) -> np.ndarray:
        """Numbers, within a source, of its validation images that can be used."""
        place = self.sample.names.index(name)
        numbers = np.arange(len(self.sample.validation[place]))
        before = sum(len(part) for part in self.sample.validation[:place])
        bad = [number - before for number in self.validation.skipped.reasons]
        return np.delete(numbers, [n for n in bad if 0 <= n < len(numbers)])


def headers(source: Source, most: int = LOOKED_AT) -> list[Header]:
    """What the files of a source's first images say, pixels unread; none for arrays."""
    while isinstance(source, Alike):
        source = source.source
    found = []
    for index in range(min(most, len(source))):
        try:
            one = header(source, index)
        except ValueError:
            continue  # Counted when it is decoded.
        if one is None:
            break
        found.append(one)
    return found


def _sides(source: Source) -> np.ndarray:
    """The shorter sides of some images, in pixels."""
    if found := headers(source):
        return np.asarray([min(one.width, one.height) for one in found])
    while isinstance(source, Alike | Subset):
        source = source.source
    if isinstance(source, ImageSet):
        return np.asarray([min(source.images.shape[1:3])])
    return np.asarray([min(source[0][0].shape[:2])])


def smallest_size(sources: Sequence[Source], model: str) -> int:
    """The model's own size, or less where a source's images are smaller, in pixels.

    Enlarged images would give their source away.
    """
    own = catalogue.entry(model).size
    least = min(int(np.quantile(_sides(s), SMALL)) for s in sources)
    return own if least >= own else max(8, least // STEP * STEP)
