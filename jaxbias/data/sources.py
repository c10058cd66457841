"""Sources of labelled images by a short name: archives, folders, shards, arrays, TFDS.

A source is anything that has a length, class names, labels and images by number; training
and studies know no more of it. `open_splits` reads what a person types:

    shapes                      drawn here, needs no files
    generated:NAME              the same, of one class: leaves, leaves-fine or clouds
    cifar10:DIR  cifar100:DIR   the binary versions
    mnist:DIR                   idx files, gzipped or not
    npz:FILE                    images and labels
    npy:IMAGES,LABELS           mapped from the disk
    folder:DIR                  a folder for each class, or train/ and val/ of such
    tar:DIR or PATTERN          WebDataset shards
    tfds:NAME or NAME@DATA_DIR  a prepared TensorFlow-Datasets set

`#SPLIT` at the end chooses a split; a bare path is recognised by what it holds.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from jaxbias.data import archives
from jaxbias.data.archives import ImageSet, SourceError
from jaxbias.data.images import ImageError, ImageFolder
from jaxbias.data.prepared import TfdsSource, split_names
from jaxbias.data.procedural import procedural
from jaxbias.data.shapes import shapes
from jaxbias.data.shards import TarShards

TEST_NAMES = ("val", "validation", "valid", "test")
"""Folders and splits that are taken for the other half, in the order of looking."""


@runtime_checkable
class Source(Protocol):
    """Labelled images by number.

    Attributes:
        classes: Names, in the order of the labels.
        labels: int64, one an image.
    """

    @property
    def classes(self) -> tuple[str, ...]: ...

    @property
    def labels(self) -> np.ndarray: ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        """uint8 pixels (height, width, channel) and a label; may raise `ImageError`."""
        ...

    def name(self, index: int) -> str:
        """Where an image comes from, for messages."""
        ...


@dataclass(frozen=True)
class Subset:
    """Some images of a source, in a given order."""

    source: Source
    indices: np.ndarray

    @property
    def classes(self) -> tuple[str, ...]:
        return self.source.classes

    @property
    def labels(self) -> np.ndarray:
        return self.source.labels[self.indices]

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        return self.source[int(self.indices[index])]

    def name(self, index: int) -> str:
        return self.source.name(int(self.indices[index]))


def hold_out(source: Source, share: float) -> tuple[Source, Source]:
    """Part a source in two, class by class, by the names of its images.

    An image's side depends on the names within its class alone: the same on every machine,
    and in whatever order files were listed.

    Args:
        source: What to part.
        share: Of each class that is held out, above 0 and below 1; at least one image.

    Raises:
        SourceError: If a class has a single image.
    """
    digests = [
        hashlib.sha256(_relative(source, i).encode(errors="surrogateescape")).digest()
        for i in range(len(source))
    ]
    kept, held = [], []
    for label, name in enumerate(source.classes):
        members = np.flatnonzero(source.labels == label)
        if len(members) == 1:
            raise SourceError(f"class {name!r} has one image: none can be held out")
        ranked = sorted(members, key=lambda i: digests[i])
        count = max(1, round(share * len(ranked))) if len(ranked) else 0
        held += ranked[:count]
        kept += ranked[count:]
    return tuple(Subset(source, np.sort(np.asarray(x, int))) for x in (kept, held))  # type: ignore[return-value]


def _relative(source: Source, index: int) -> str:
    """A name without what depends on the machine: the folder that the set lies in."""
    name = source.name(index)
    root = getattr(source, "root", None)
    return name.removeprefix(str(root)) if root is not None else name


def open_source(text: str, split: str = "train") -> Source:
    """Open one split of a source; see the module for what `text` may be.

    Raises:
        SourceError: If it cannot be used; says why, and where.
    """
    kind, where, chosen = _parts(text)
    try:
        return _OPENERS[kind](where, chosen or split)
    except ImageError as error:
        raise SourceError(str(error)) from error


def open_unlabelled(text: str, split: str = "train") -> Source:
    """Open one split of a source whose labels do not matter.

    As `open_source`, but a folder may hold images at any depth, and need not have one for
    each class.

    Raises:
        SourceError: If it cannot be used; says why, and where.
    """
    kind, where, chosen = _parts(text)
    if kind != "folder":
        return open_source(text, split)
    root, chosen = Path(where), chosen or split
    inner = root / chosen
    if not inner.is_dir() and chosen not in ("train", *TEST_NAMES):
        raise SourceError(f"{root}: has no folder {chosen!r}")
    try:
        return ImageFolder.flat(inner if (root / "train").is_dir() else root)
    except ImageError as error:
        raise SourceError(str(error)) from error


def open_splits(
    data: str, validation: str | None = None, *, share: float = 0.1
) -> tuple[Source, Source]:
    """Open what to train on and what to validate on.

    Args:
        data: The source; see the module.
        validation: Another source: its test or validation split, if it has one. None takes
            that of `data`, and where there is none holds images out.
        share: Of each class that is held out in that case.

    Raises:
        SourceError: If one cannot be used, or the two have different classes.
    """
    if validation is not None:
        other = other_split(validation) or "train"
        train, test = open_source(data), open_source(validation, other)
    elif (other := other_split(data)) is not None:
        train, test = open_source(data), open_source(data.split("#")[0], other)
    else:
        train, test = hold_out(open_source(data), share)
    if train.classes != test.classes:
        unlike = sorted(set(train.classes) ^ set(test.classes))[:3]
        raise SourceError(
            f"{data}: classes differ between training and validation: "
            f"{', '.join(unlike) or 'their order'}"
        )
    return train, test


def _parts(text: str) -> tuple[str, str, str]:
    """The kind, place and split that a text names."""
    text, _, split = text.partition("#")
    kind, colon, where = text.partition(":")
    if kind in _OPENERS and (colon or kind == "shapes"):
        if not where and kind != "shapes":
            raise SourceError(f"{text!r}: {kind}: of what? A path or name is missing")
        return kind, where, split
    if colon and not Path(text).exists():
        kinds = ", ".join(_OPENERS)
        raise SourceError(f"{text!r}: no kind of source {kind!r}: one of {kinds}")
    return _recognised(Path(text)), text, split


def _recognised(path: Path) -> str:
    """The kind of what lies at a path."""
    if path.suffix == ".npz":
        return "npz"
    if path.suffix == ".tar" or "{" in path.name:
        return "tar"
    if not path.is_dir():
        raise SourceError(f"{path}: {'not a folder' if path.exists() else 'not there'}")
    for kind, marks in {
        "cifar10": ("cifar-10-batches-bin", "data_batch_1.bin"),
        "cifar100": ("cifar-100-binary", "train.bin"),
        "mnist": ("train-images-idx3-ubyte", "train-images-idx3-ubyte.gz"),
    }.items():
        if any((path / mark).exists() for mark in marks):
            return kind
    return "tar" if any(path.glob("*.tar")) else "folder"


def other_split(text: str) -> str | None:
    """The split to validate on, or None where images must be held out."""
    kind, where, chosen = _parts(text)
    if chosen:
        return None
    if kind in ("shapes", "generated", "cifar10", "cifar100", "mnist"):
        return "test"
    if kind == "npz":
        there = archives.npz_splits(Path(where))
        return next((name for name in TEST_NAMES if name in there), None)
    if kind == "folder":
        names = [n for n in TEST_NAMES if (Path(where) / n).is_dir()]
        return names[0] if names and (Path(where) / "train").is_dir() else None
    if kind == "tfds":
        name, _, folder = where.partition("@")
        there = split_names(name, data_dir=folder or None)
        return next((name for name in TEST_NAMES if name in there), None)
    return None


def _folder(where: str, split: str) -> Source:
    root = Path(where)
    inner = root / split
    known = split in ("train", *TEST_NAMES)
    if not known and not inner.is_dir():
        raise SourceError(f"{root}: has no folder {split!r}")
    return ImageFolder.open(inner if (root / "train").is_dir() else root)


def _npy(where: str, split: str) -> Source:
    images, comma, labels = where.partition(",")
    if not comma:
        raise SourceError(f"npy:{where}: two files are needed: npy:IMAGES,LABELS")
    return archives.from_npy(Path(images), Path(labels))


def _tfds(where: str, split: str) -> TfdsSource:
    name, _, folder = where.partition("@")
    return TfdsSource.open(name, split, data_dir=folder or None)


_OPENERS: dict[str, Callable[[str, str], Source]] = {
    "shapes": lambda where, split: shapes(split),
    "cifar10": lambda where, split: archives.cifar10(Path(where), split),
    "cifar100": lambda where, split: archives.cifar100(Path(where), split),
    "mnist": lambda where, split: archives.mnist(Path(where), split),
    "npz": lambda where, split: archives.from_npz(Path(where), split),
    "npy": _npy,
    "folder": _folder,
    "tar": lambda where, split: TarShards.open(where),
    "tfds": _tfds,
    "generated": procedural,
}
"""What opens each kind, from a place and a split."""

__all__ = [
    "ImageSet",
    "Source",
    "SourceError",
    "Subset",
    "hold_out",
    "open_source",
    "open_splits",
    "open_unlabelled",
    "other_split",
]
