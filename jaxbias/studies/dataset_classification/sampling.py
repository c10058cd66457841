"""From what a person names to equal samples of several sources, for training and not.

As section 3 and Appendix A of the paper: the same number from each source, uniform at
random, training and validation disjoint by file, the shorter side bounded. Samples of
growing size are nested.
"""

from dataclasses import dataclass, replace

import numpy as np

from jaxbias.data.joined import Alike, Joined, shuffled
from jaxbias.data.sources import (
    Source,
    SourceError,
    Subset,
    hold_out,
    open_source,
    open_unlabelled,
    other_split,
)
from jaxbias.files import UsageError

BUILT_IN = ("leaves", "leaves-fine", "clouds")
"""Generators whose images are told apart where no source is given."""

HELD_OUT = 0
"""Seed by which images are held out."""


@dataclass(frozen=True)
class Sample:
    """The images of several sources.

    Attributes:
        names: Of the sources.
        training: Of each source, in random order.
        validation: Of each source, in random order.
        notes: What a person should know of how they came about, in sentences.
    """

    names: tuple[str, ...]
    training: tuple[Source, ...]
    validation: tuple[Source, ...]
    notes: tuple[str, ...] = ()

    @property
    def least(self) -> int:
        """Training images of the smallest source."""
        return min(len(part) for part in self.training)

    def only(self, names: tuple[str, ...]) -> "Sample":
        """Some of the sources."""
        places = [self.names.index(name) for name in names]
        pick = lambda parts: tuple(parts[place] for place in places)  # noqa: E731
        return replace(
            self,
            names=names,
            training=pick(self.training),
            validation=pick(self.validation),
        )

    def joined(self, per_source: int | None = None) -> tuple[Joined, Joined]:
        """As many training images of each source, and all validation images."""
        count = self.least if per_source is None else per_source
        training = tuple(first(part, count) for part in self.training)
        return Joined(self.names, training), Joined(self.names, self.validation)


def first(source: Source, count: int) -> Source:
    """The first images of a source; from another one on, see `Subset`."""
    return source if count >= len(source) else Subset(source, np.arange(count))


def named(texts: tuple[str, ...]) -> dict[str, str]:
    """What NAME=SOURCE pairs name, in their order.

    Raises:
        UsageError: If a name is missing or stands twice, or there are fewer than two.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, equals, where = text.partition("=")
        if not equals or not name or not where:
            raise UsageError(f"--sources: NAME=SOURCE is wanted, got {text!r}")
        if name in found:
            raise UsageError(f"--sources: the name {name!r} stands twice")
        found[name] = where
    if len(found) == 1:
        raise UsageError(
            "--sources: two sources or more, or one whose classes they are"
        )
    return found


def sample(
    sources: tuple[str, ...],
    *,
    per_source: int | None,
    validation_per_source: int | None,
    share: float,
    seed: int,
    shorter_side: int,
    quality: int | None,
) -> Sample:
    """Open sources and draw as many images of each.

    Args:
        sources: NAME=SOURCE pairs; or one source alone, whose classes are the sources; or
            nothing, for three generators.
        per_source: Most training images of each.
        validation_per_source: Most validation images of each.
        share: Of a source that is held out where it has no second split.
        seed: Of the draw.
        shorter_side: Larger images are shrunk to it, in pixels.
        quality: Of the JPEG that every image is made; None leaves pixels as they are.

    Raises:
        UsageError: If the sources are not named well.
        SourceError: If one cannot be used.
    """
    pairs = _pairs(sources, share)
    training, validation, notes = [], [], []
    for halves in pairs.values():
        orders = [shuffled(half, seed) for half in halves]
        drawn = [Subset(h, order) for h, order in zip(halves, orders, strict=True)]
        training.append(drawn[0])
        validation.append(drawn[1])
    for parts, most, kind in (
        (training, per_source, "training"),
        (validation, validation_per_source, "validation"),
    ):
        counts = dict(zip(pairs, map(len, parts), strict=True))
        least = min(counts.values())
        if max(counts.values()) > least and (most is None or most > least):
            smallest = min(counts, key=lambda name: counts[name])
            notes.append(
                f"{kind}: {least:,} images of each source, as many as {smallest} has"
            )
        count = min(least, most or least)
        parts[:] = [_alike(first(p, count), shorter_side, quality) for p in parts]
    return Sample(tuple(pairs), tuple(training), tuple(validation), tuple(notes))


def _alike(source: Source, shorter_side: int, quality: int | None) -> Source:
    return Alike(source, shorter_side=shorter_side, quality=quality)


def _pairs(sources: tuple[str, ...], share: float) -> dict[str, tuple[Source, Source]]:
    """The two halves of each source, by name."""
    if not sources:
        sources = tuple(f"{name}=generated:{name}" for name in BUILT_IN)
    if len(sources) == 1 and "=" not in sources[0]:
        return _classes(sources[0], share)
    return {name: _halves(text, share) for name, text in named(sources).items()}


def _halves(text: str, share: float) -> tuple[Source, Source]:
    if (other := other_split(text)) is not None:
        return open_unlabelled(text), open_unlabelled(text.split("#")[0], other)
    whole = open_unlabelled(text)
    if len(whole) < 2:
        raise SourceError(f"{text}: one image: none can be held out")
    # Not by the run's seed: what is held out stays so.
    order = shuffled(whole, HELD_OUT)
    count = max(1, round(share * len(whole)))
    return Subset(whole, order[count:]), Subset(whole, order[:count])


def _classes(text: str, share: float) -> dict[str, tuple[Source, Source]]:
    """A source's classes, each as a source."""
    if (other := other_split(text)) is not None:
        halves = open_source(text), open_source(text.split("#")[0], other)
    else:
        halves = hold_out(open_source(text), share)
    training, validation = halves
    if training.classes != validation.classes:
        raise SourceError(f"{text}: classes differ between training and validation")
    if len(training.classes) < 2:
        raise SourceError(f"{text}: one class, and two sources or more are needed")
    return {
        name: tuple(
            Subset(half, np.flatnonzero(half.labels == label)) for half in halves
        )  # type: ignore[misc]
        for label, name in enumerate(training.classes)
    }
