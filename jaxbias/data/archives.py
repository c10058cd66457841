"""Image sets that fit in memory, from the classic archives and from NumPy files.

Nothing in a file is executed, no file is read beyond what its header may claim, and what is
wrong is named with the file.
"""

import gzip
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

MOST_BYTES = 2**35
"""Largest array that is read: 32 GiB."""


PIECE = 2**24
"""Bytes that are unpacked at once."""


class SourceError(ValueError):
    """Data that cannot be used; the message says where and why."""


@dataclass(frozen=True)
class ImageSet:
    """Images and labels in memory (or mapped from a file).

    Attributes:
        images: uint8, NHWC, with 1 or 3 channels.
        labels: int64, one an image, 0 to `len(classes) - 1`.
        classes: Names, in the order of the labels.
        where: Where they come from, for messages.
    """

    images: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]
    where: str = "images"

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        """The pixels of an image, and its label."""
        return np.asarray(self.images[index]), int(self.labels[index])

    def name(self, index: int) -> str:
        """Where an image comes from, for messages."""
        return f"{self.where}[{index}]"


CIFAR10_CLASSES = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)

_CIFAR_PIXELS = 3 * 32 * 32


def cifar10(folder: Path, split: str) -> ImageSet:
    """Read CIFAR-10 in its binary version (`cifar-10-batches-bin`).

    Args:
        folder: The one with `data_batch_1.bin`, or the one above it.
        split: "train" or "test".

    Raises:
        SourceError: If a file is absent, cut, or holds a label above 9.
    """
    inner = folder / "cifar-10-batches-bin"
    folder = inner if inner.is_dir() else folder
    names = {
        "train": [f"data_batch_{i}.bin" for i in range(1, 6)],
        "test": ["test_batch.bin"],
    }
    parts = [_cifar_records(folder / name, 1) for name in _files(names, split)]
    labels = np.concatenate([part[:, 0] for part in parts])
    images = np.concatenate([part[:, 1:] for part in parts])
    return _checked(_from_planes(images), labels, CIFAR10_CLASSES, folder)


def cifar100(folder: Path, split: str, *, coarse: bool = False) -> ImageSet:
    """Read CIFAR-100 in its binary version (`cifar-100-binary`).

    Args:
        folder: The one with `train.bin`, or the one above it.
        split: "train" or "test".
        coarse: The 20 superclasses in place of the 100 classes.
    """
    inner = folder / "cifar-100-binary"
    folder = inner if inner.is_dir() else folder
    (name,) = _files({"train": ["train.bin"], "test": ["test.bin"]}, split)
    records = _cifar_records(folder / name, 2)
    kind, count = ("coarse", 20) if coarse else ("fine", 100)
    listed = folder / f"{kind}_label_names.txt"
    classes = tuple(str(i) for i in range(count))
    if listed.exists():
        lines = listed.read_text().split()
        classes = tuple(lines) if len(lines) == count else classes
    labels = records[:, 0 if coarse else 1]
    return _checked(_from_planes(records[:, 2:]), labels, classes, folder)


def _files(names: dict[str, list[str]], split: str) -> list[str]:
    if split not in names:
        raise SourceError(f"split {split!r}: one of {', '.join(names)}")
    return names[split]


def _cifar_records(path: Path, labels: int) -> np.ndarray:
    length = labels + _CIFAR_PIXELS
    data = _bytes(path)
    if not data or len(data) % length:
        raise SourceError(
            f"{path}: {len(data)} bytes, not a whole number of {length}-byte records"
        )
    return np.frombuffer(data, np.uint8).reshape(-1, length)


def _from_planes(pixels: np.ndarray) -> np.ndarray:
    """Red, green and blue planes as NHWC."""
    planes = pixels.reshape(-1, 3, 32, 32)
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1))


def _bytes(path: Path) -> bytes:
    """A file's contents, unpacked if its name ends in .gz."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise SourceError(f"{path}: more than {MOST_BYTES} bytes")
        if path.suffix != ".gz":
            return path.read_bytes()
        data = bytearray()
        with gzip.open(path) as file:
            # Asked for all at once, gzip would set the room aside first.
            while len(data) <= MOST_BYTES and (piece := file.read(PIECE)):
                data += piece
    except OSError as error:  # gzip's own error is one.
        raise SourceError(f"{path}: {error.strerror or error}") from error
    except EOFError as error:
        raise SourceError(f"{path}: ends too early") from error
    if len(data) > MOST_BYTES:
        raise SourceError(f"{path}: unpacks to more than {MOST_BYTES} bytes")
    return bytes(data)


# MNIST and its relatives

_IDX_TYPES = {
    0x08: np.dtype("u1"),
    0x09: np.dtype("i1"),
    0x0B: np.dtype(">i2"),
    0x0C: np.dtype(">i4"),
    0x0D: np.dtype(">f4"),
    0x0E: np.dtype(">f8"),
}


def read_idx(path: Path) -> np.ndarray:
    """Read an idx file, plain or gzipped.

    Raises:
        SourceError: If it is not one, or holds fewer or more values than it says.
    """
    data = _bytes(path)
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in _IDX_TYPES:
        raise SourceError(f"{path}: not an idx file")
    dtype, rank = _IDX_TYPES[data[2]], data[3]
    start = 4 + 4 * rank
    if len(data) < start:
        raise SourceError(f"{path}: ends within its header")
    shape = struct.unpack(f">{rank}I", data[4:start])
    expected = math.prod(shape) * dtype.itemsize
    if len(data) - start != expected:
        raise SourceError(
            f"{path}: says {expected} bytes of values, holds {len(data) - start}"
        )
    return np.frombuffer(data, dtype, offset=start).reshape(shape)


def mnist(
    folder: Path, split: str, *, classes: Sequence[str] = tuple("0123456789")
) -> ImageSet:
    """Read MNIST, or any set in its four files (`train-images-idx3-ubyte`, ...).

    Args:
        folder: Where the files are, gzipped or not.
        split: "train" or "test".
        classes: Names of the labels.

    Raises:
        SourceError: If a file is absent or damaged, or the two do not fit together.
    """
    (prefix,) = _files({"train": ["train"], "test": ["t10k"]}, split)
    images, labels = (
        read_idx(_there(folder, f"{prefix}-{kind}"))
        for kind in ("images-idx3-ubyte", "labels-idx1-ubyte")
    )
    if images.ndim != 3 or images.dtype != np.uint8:
        raise SourceError(
            f"{folder}: {prefix} images are {images.dtype} {images.shape}"
        )
    return _checked(images[..., None], labels, classes, folder)


def _there(folder: Path, name: str) -> Path:
    for path in (folder / name, folder / f"{name}.gz"):
        if path.exists():
            return path
    raise SourceError(f"{folder}: neither {name} nor {name}.gz is there")


# NumPy

KEYS = (("images", "labels"), ("image", "label"), ("arr_0", "arr_1"))
"""Names of images and labels in npz files, in the order of looking."""

NAMES = ("class_names", "classes", "dataset_names")
"""Arrays of an npz file that hold names."""


def from_npz(
    path: Path, split: str = "train", *, classes: Sequence[str] | None = None
) -> ImageSet:
    """Read an npz file of images and labels.

    Accepts the names `images`, `labels`; `image`, `label` (Wang et al. 2023 and other
    CIFAR-10 sample files); `arr_0`, `arr_1` (guided diffusion); and `train_images`,
    `train_labels` for each split. Strings under one of `NAMES` are the classes' names.

    Args:
        path: The file.
        split: Which one, of a file that has several.
        classes: Names; None takes those in the file, and where there are none counts.

    Raises:
        SourceError: If it has pickles in it, other names, or arrays that are no images.
    """
    own = f"{split}_images", f"{split}_labels"
    images, labels, names = npz_arrays(path, (own, *KEYS))
    return from_arrays(images, labels, classes=classes or names, where=path)


def npz_arrays(
    path: Path, keys: Sequence[tuple[str, str]] = KEYS
) -> tuple[np.ndarray, np.ndarray, list[str] | None]:
    """Images and labels of an npz file as they are, and names of classes if it has them.

    Args:
        path: The file.
        keys: Names of images and labels, in the order of looking.

    Raises:
        SourceError: If it has pickles in it or other names, or is damaged.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            there = [name for name in NAMES if name in archive]
            classes = None
            if there and archive[there[0]].dtype.kind == "U":
                classes = [str(name) for name in archive[there[0]].ravel()]
            for first, second in keys:
                if first in archive and second in archive:
                    return archive[first], archive[second], classes
            names = ", ".join(archive.files) or "nothing"
    except Exception as error:  # Whatever a damaged or forged file makes NumPy raise.
        raise SourceError(f"{path}: {reason(error)}") from error
    raise SourceError(f"{path}: holds {names}, not images and labels")


def npz_splits(path: Path) -> tuple[str, ...]:
    """The splits of an npz file that has several, by the names in it; none if not.

    Raises:
        SourceError: If it is absent or damaged.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            ends = [n for n in archive.files if n.endswith("_images")]
    except Exception as error:
        raise SourceError(f"{path}: {reason(error)}") from error
    return tuple(name.removesuffix("_images") for name in ends)


def from_npy(
    images: Path, labels: Path, *, classes: Sequence[str] | None = None
) -> ImageSet:
    """Map images from one npy file, with labels from another; nothing is copied.

    Raises:
        SourceError: If a file is absent, holds pickles, or is no image set.
    """
    arrays = []
    for path in (images, labels):
        try:
            arrays.append(np.load(path, mmap_mode="r", allow_pickle=False))
        except Exception as error:
            raise SourceError(f"{path}: {reason(error)}") from error
    return from_arrays(*arrays, classes=classes, where=images)


def from_arrays(
    images: np.ndarray,
    labels: np.ndarray,
    *,
    classes: Sequence[str] | None = None,
    where: Any = "arrays",
) -> ImageSet:
    """Check arrays and take them for an image set.

    Args:
        images: uint8, (N, H, W, C) or (N, H, W); C is 1 or 3.
        labels: Whole numbers, (N,) or (N, 1).
        classes: Names; None counts the labels.
        where: For messages.

    Raises:
        SourceError: If anything else; float or channels-first images are not guessed at.
    """
    images = images[..., None] if images.ndim == 3 else images
    labels = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise SourceError(
            f"{where}: labels are {labels.dtype} {labels.shape}, not whole numbers (N,)"
        )
    if classes is None:
        classes = [str(i) for i in range(int(labels.max(initial=0)) + 1)]
    return _checked(images, labels, classes, where)


def _checked(
    images: np.ndarray, labels: np.ndarray, classes: Sequence[str], where: Any
) -> ImageSet:
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] not in (1, 3):
        hint = ""
        if images.ndim == 4 and images.shape[1] in (1, 3):
            hint = "; these look like channels first"
        raise SourceError(
            f"{where}: images are {images.dtype} {images.shape}, not uint8 "
            f"(N, H, W, 1 or 3){hint}"
        )
    if len(images) != len(labels) or not len(images):
        raise SourceError(f"{where}: {len(images)} images and {len(labels)} labels")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= len(classes):
        raise SourceError(
            f"{where}: labels from {low} to {high}, but there are {len(classes)} classes"
        )
    return ImageSet(images, labels.astype(np.int64), tuple(classes), str(where))


def reason(error: Exception) -> str:
    """What went wrong, in one line."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]
