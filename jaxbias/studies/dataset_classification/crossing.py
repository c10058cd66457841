"""Networks trained on one source's classes and tested on every source's."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from jaxbias.data.archives import ImageSet, SourceError
from jaxbias.data.joined import Alike, shuffled
from jaxbias.data.shapes import shapes
from jaxbias.data.sources import Source, Subset, open_splits
from jaxbias.numerics.statistics import wilson
from jaxbias.runs import RunDirectory
from jaxbias.studies.dataset_classification.config import Common, recipe_of, running_of
from jaxbias.studies.dataset_classification.images import smallest_size
from jaxbias.studies.dataset_classification.sampling import named
from jaxbias.terminal import Reporter
from jaxbias.training import fit, sets
from jaxbias.training.checkpoints import kept_or_made
from jaxbias.training.sets import Prepared


@dataclass(frozen=True)
class Crossed:
    """Sources with the same classes.

    Attributes:
        names: Of the sources.
        classes: Of the images, the same for all.
        training: Of each source.
        validation: Of each source.
    """

    names: tuple[str, ...]
    classes: tuple[str, ...]
    training: tuple[Prepared, ...]
    validation: tuple[Prepared, ...]


def open_sources(config: Any, reporter: Reporter) -> Crossed:
    """Open the sources, keep their common classes, and draw as many images of each.

    Raises:
        SourceError: If one cannot be used, or they share fewer than two classes.
        UsageError: If they are not named well.
    """
    if not config.sources:
        reporter.say("no --sources: shapes that are drawn here, in three manners")
        pairs = _drawn()
    else:
        pairs = {
            name: open_splits(text, share=config.hold_out)
            for name, text in named(config.sources).items()
        }
    classes = _common(pairs, config.classes)
    limits = config.per_source, config.validation_per_source
    halves = []
    for number, limit in enumerate(limits):
        parts = [_of_classes(pair[number], classes) for pair in pairs.values()]
        halves.append(_even(parts, len(classes), limit, config))
    size = config.size or smallest_size(halves[0], config.model)
    running = running_of(config, size)
    training, validation = (
        tuple(sets.prepare(part, running, config.model) for part in half)
        for half in halves
    )
    crossed = Crossed(tuple(pairs), classes, training, validation)
    reporter.say(
        f"{', '.join(crossed.names)}: {len(classes)} classes, {len(training[0]):,} "
        f"training and {len(validation[0]):,} validation images of each, {size} x {size}"
    )
    return crossed


def _common(
    pairs: dict[str, tuple[Source, Source]], wanted: Sequence[str]
) -> tuple[str, ...]:
    """The classes that every source has, or those that are wanted."""
    first, *others = (pair[0].classes for pair in pairs.values())
    shared = tuple(name for name in first if all(name in other for other in others))
    if wanted:
        missing = [name for name in wanted if name not in shared]
        if missing:
            raise SourceError(f"--classes: not every source has {', '.join(missing)}")
        shared = tuple(wanted)
    if len(shared) < 2:
        raise SourceError(
            f"{', '.join(pairs)} share {len(shared)} classes by name; two are needed"
        )
    return shared


@dataclass(frozen=True)
class _Renamed:
    """Some classes of a source, in a given order."""

    source: Source
    classes: tuple[str, ...]

    @property
    def labels(self) -> np.ndarray:
        return self._labels

    @cached_property
    def _labels(self) -> np.ndarray:
        place = {name: number for number, name in enumerate(self.classes)}
        number = np.asarray([place.get(name, -1) for name in self.source.classes])
        return number[self.source.labels]

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        return self.source[index][0], int(self.labels[index])

    def name(self, index: int) -> str:
        return self.source.name(index)


def _of_classes(source: Source, classes: tuple[str, ...]) -> Source:
    renamed = _Renamed(source, classes)
    return Subset(renamed, np.flatnonzero(renamed.labels >= 0))


def _even(
    parts: Sequence[Source], classes: int, limit: int | None, config: Common
) -> list[Source]:
    """As many images of each class from each source, drawn at random."""
    counts = [np.bincount(part.labels, minlength=classes).min() for part in parts]
    each = int(min(counts)) if limit is None else min(min(counts), limit // classes)
    if each < 1:
        raise SourceError("a source has no image of a class that the others have")
    found = []
    for part in parts:
        order = shuffled(part, config.seed)
        labels = part.labels[order]
        rows = [order[labels == label][:each] for label in range(classes)]
        chosen = Subset(part, np.sort(np.concatenate(rows)))
        alike = Alike(chosen, shorter_side=config.shorter_side, quality=config.quality)
        found.append(alike)
    return found


def run(
    crossed: Crossed, config: Common, directory: RunDirectory, reporter: Reporter
) -> np.ndarray:
    """Accuracies, by seed, source of training and source of the test.

    Raises:
        SourceError: If there are too few images.
    """
    rows = []
    for number, name in enumerate(crossed.names):
        case = f"source-{number}"

        def trained(number: int = number, name: str = name, case: str = case):
            reporter.say(f"{number + 1} of {len(crossed.names)}: trained on {name}")
            found = _row(crossed, number, case, config, directory, reporter)
            return {"accuracy": found}

        if (kept := kept_or_made(case, directory, trained)) is not None:
            rows.append(kept["accuracy"])
    return np.stack(rows, axis=1) if rows else np.zeros((0, 0, 0))


def _row(
    crossed: Crossed,
    number: int,
    case: str,
    config: Common,
    directory: RunDirectory,
    reporter: Reporter,
) -> np.ndarray:
    training = crossed.training[number]
    recipe = recipe_of(config, len(training))
    running = running_of(config, training.size, recipe)
    fitted = fit.fit(
        *(recipe, running, training, crossed.validation[number], directory, reporter),
        case=case,
    )
    scores = [fitted.scores_of(part) for part in crossed.validation]
    return np.asarray([[one.accuracy for one in part] for part in scores]).T


def table(crossed: Crossed, matrices: np.ndarray) -> dict[str, np.ndarray]:
    """A row for each seed and pair: `trained_on`, `tested_on`, `accuracy`, `low`, `high`.

    The interval is Wilson's, 95 %, of the validation images.
    """
    rows = []
    for seed, i, j in np.ndindex(*matrices.shape):
        value, count = float(matrices[seed, i, j]), len(crossed.validation[j])
        low, high = wilson(value * count, count)
        rows.append((crossed.names[i], crossed.names[j], seed, value, low, high))
    names = ("trained_on", "tested_on", "seed", "accuracy", "low", "high")
    columns = zip(*rows, strict=True)
    return {n: np.asarray(column) for n, column in zip(names, columns, strict=True)}


# Where there are no sources


def _drawn() -> dict[str, tuple[Source, Source]]:
    """Shapes as they are, in grey, and half as large in the middle of their ground."""
    halves = shapes("train"), shapes("test")
    changes = {"plain": lambda x: x, "grey": _grey, "small": _small}
    return {
        name: tuple(_changed(half, change) for half in halves)  # type: ignore[misc]
        for name, change in changes.items()
    }


def _changed(images: ImageSet, change: Any) -> ImageSet:
    return replace(images, images=change(images.images))


def _grey(pixels: np.ndarray) -> np.ndarray:
    """Mean of the channels, at half of the contrast."""
    mean = pixels.mean(axis=-1, keepdims=True)
    return np.repeat((64 + mean / 2).astype(np.uint8), 3, axis=-1)


def _small(pixels: np.ndarray) -> np.ndarray:
    """Half as large, with its border going on outwards."""
    half = pixels.reshape(len(pixels), 16, 2, 16, 2, 3).mean(axis=(2, 4))
    pads = ((0, 0), (8, 8), (8, 8), (0, 0))
    return np.pad(half, pads, mode="edge").astype(np.uint8)
