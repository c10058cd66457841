"""From a source to batches of pixels: all at once where they fit, by Grain where not.

Both ways give uint8 squares of one size; augmentation belongs to the device. What a batch
holds is a function of the seed and the number of the step alone, so training can be cut
anywhere, and any number of processes sees the same batches.

An image that cannot be decoded is an error, or, where the policy is to skip, is named and
counted up to a share, and another takes its place.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Literal

import grain
import numpy as np

from jaxbias.data.archives import ImageSet, SourceError
from jaxbias.data.images import ImageError, squared
from jaxbias.data.sources import Source, Subset

BadImages = Literal["raise", "skip"]

THREADS = 16
"""Threads that decode; Pillow and zlib let others run meanwhile."""

BATCHES_AHEAD = 8


@dataclass
class Skipped:
    """Images of a source that could not be decoded, and the share that may be so.

    Attributes:
        source: Where they are.
        policy: "raise" takes the first one for an error.
        most: Largest share of the source that may be skipped.
        reasons: What was wrong, by number.
    """

    source: Source
    policy: BadImages = "raise"
    most: float = 0.01
    reasons: dict[int, str] = field(default_factory=dict)

    def add(self, index: int, reason: str) -> None:
        """Count an image.

        Raises:
            SourceError: If the policy is to raise, or too many are bad by now.
        """
        if self.policy == "raise":
            raise SourceError(reason)
        self.reasons[index] = reason
        total = len(self.source)
        if len(self.reasons) > self.most * total:
            raise SourceError(
                f"{len(self.reasons)} of {total} images cannot be used, over "
                f"{self.most:.2%}; the last: {reason}"
            )

    def columns(self) -> dict[str, np.ndarray]:
        """A table of them, in the order of the source."""
        rows = sorted(self.reasons.items())
        return {
            "index": np.asarray([i for i, _ in rows], np.int64),
            "image": np.asarray([self.source.name(i) for i, _ in rows], str),
            "reason": np.asarray([reason for _, reason in rows], str),
        }


def load(source: Source, size: int, skipped: Skipped) -> ImageSet:
    """Bring a whole source into memory, as squares of one size; bad images are left out.

    Args:
        source: What to load.
        size: Side of the images, in pixels.
        skipped: Takes what cannot be used.

    Raises:
        SourceError: If too many cannot be used, or none of a class can.
    """
    if isinstance(source, ImageSet) and source.images.shape[1:3] == (size, size):
        return source

    images, labels = _decoded(source, size, skipped)
    usable = set(labels.tolist())
    for label in set(source.labels.tolist()) - usable:
        name = source.classes[label]
        raise SourceError(f"class {name!r}: none of its images can be used")
    return ImageSet(images, labels, source.classes, source.name(0))


def _decoded(
    source: Source, size: int, skipped: Skipped
) -> tuple[np.ndarray, np.ndarray]:
    """Pixels and labels of what can be used, decoded by several threads, in order."""

    def one(index: int) -> tuple[np.ndarray, int] | ImageError:
        try:
            pixels, label = source[index]
            return squared(pixels, size), label
        except ImageError as error:
            return error

    images, labels = [], []
    with ThreadPoolExecutor(THREADS) as pool:
        for index, found in enumerate(pool.map(one, range(len(source)))):
            if isinstance(found, ImageError):
                skipped.add(index, str(found))
            else:
                images.append(found[0])
                labels.append(found[1])
    # Empty where every image of a part is bad.
    shape = (0, size, size, 3)
    pixels = np.stack(images) if images else np.zeros(shape, np.uint8)
    return pixels, np.asarray(labels, np.int64)


@dataclass(frozen=True)
class _Places:
    """Numbers of the images that a process sees, batch after batch.

    Every process takes its stretch of each batch of all of them.
    """

    order: grain.MapDataset
    batch: int
    process: int
    processes: int
    first: int
    """Step that the first place belongs to."""

    def __len__(self) -> int:
        return len(self.order) // self.processes

    def __getitem__(self, place: int) -> int:
        own = self.batch // self.processes
        step, within = divmod(place, own)
        step += self.first
        return int(self.order[step * self.batch + self.process * own + within])  # type: ignore[arg-type]


@dataclass(frozen=True)
class _Read:
    """Reads one image as a square; where it cannot, another takes its place."""

    source: Source
    size: int

    def __call__(self, index: int) -> dict[str, Any]:
        bad = -1
        for step in range(len(self.source)):
            chosen = (index + step) % len(self.source)
            try:
                pixels, label = self.source[chosen]
            except ImageError:
                bad = chosen if bad < 0 else bad
                continue
            pixels = squared(pixels, self.size)
            numbers = {"label": label, "index": chosen, "bad": bad}
            return {"pixels": pixels} | {k: np.int64(v) for k, v in numbers.items()}
        raise SourceError("none of the images can be used")


class Stream:
    """Batches of a source that does not fit in memory, without end; an iterator.

    Attributes:
        skipped: What could not be used, as far as it was met.
    """

    def __init__(
        self,
        source: Source,
        skipped: Skipped,
        *,
        size: int,
        batch: int,
        seed: int,
        process: int = 0,
        processes: int = 1,
        workers: int = 0,
        first: int = 0,
    ) -> None:
        """Start reading.

        Args:
            source: What to read; every image once an epoch, shuffled for each.
            skipped: Takes what cannot be used.
            size: Side of the images, in pixels.
            batch: Images of a step, over all processes.
            seed: Of the order.
            process: This process's number.
            processes: How many there are; `batch` is a multiple of it.
            workers: Processes that decode; 0 decodes in threads of this one.
            first: Step to begin with.

        Raises:
            SourceError: If the source has too few images for a batch.
        """
        if len(source) < batch:
            raise SourceError(f"{len(source)} images do not fill a batch of {batch}")
        if batch % processes:
            raise SourceError(f"a batch of {batch} over {processes} processes")
        own = batch // processes
        order = grain.MapDataset.range(len(source)).seed(seed).shuffle().repeat()
        places = _Places(order, batch, process, processes, first)
        images = grain.MapDataset.source(places).map(_Read(source, size))  # type: ignore[arg-type]
        if workers:
            _settle_flags()
            # A worker hands over whole batches: fewer and larger messages.
            few = grain.ReadOptions(num_threads=2, prefetch_buffer_size=2)
            batches = images.batch(own).to_iter_dataset(few)
            batches = batches.mp_prefetch(
                grain.MultiprocessingOptions(num_workers=workers)
            )
        else:
            many = grain.ReadOptions(
                num_threads=THREADS, prefetch_buffer_size=BATCHES_AHEAD * own
            )
            batches = images.to_iter_dataset(many).batch(own)
        self.skipped = skipped
        self._iterator = iter(batches)

    def __iter__(self) -> "Stream":
        return self

    def __next__(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """This process's part of a batch.

        Returns:
            Pixels (image, row, column, channel), labels, and numbers of the images in the
            source.
        """
        batch = next(self._iterator)
        for index in set(batch["bad"].tolist()) - {-1}:
            if index not in self.skipped.reasons:
                self.skipped.add(index, _reason(self.skipped.source, index))
        return batch["pixels"], batch["label"], batch["index"]

    def close(self) -> None:
        """Stop the threads or processes that read ahead."""
        if hasattr(self._iterator, "close"):
            self._iterator.close()


def _reason(source: Source, index: int) -> str:
    """What is wrong with an image: workers hand over numbers alone."""
    try:
        source[index]
    except ImageError as error:
        return str(error)
    return f"{source.name(index)}: could not be read the first time"


def _settle_flags() -> None:
    """Let Grain start workers in a program whose options absl does not read."""
    from absl import flags

    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()


def in_order(
    source: Source, skipped: Skipped, *, size: int, batch: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Every usable image once, in order, in batches of which the last may be smaller.

    Args:
        source: What to read.
        skipped: Takes what cannot be used.
        size: Side of the images, in pixels.
        batch: Images at a time.

    Yields:
        Pixels (image, row, column, channel) and labels.
    """
    for start in range(0, len(source), batch):
        part = Subset(source, np.arange(start, min(start + batch, len(source))))
        found = Skipped(part, skipped.policy, most=1.0)
        images, labels = _decoded(part, size, found)
        for index, reason in found.reasons.items():
            skipped.add(start + index, reason)
        yield images, labels
