"""WebDataset shards: images and labels straight out of tar files, in any order.

The headers are read once, and an image is then one read at its place. Nothing is unpacked
to disk, and what a damaged or forged archive holds is refused with the member's name. Only
Linux and macOS can read at a place without moving a file's position (`os.pread`).
"""

import functools
import io
import itertools
import os
import re
import stat
import tarfile
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxbias.data import images
from jaxbias.data.archives import SourceError
from jaxbias.data.images import EXTENSIONS, ImageError, decode_named

MOST_CLASSES = 2**20
"""Labels without names stay below this; each gets a name."""

MOST_SHARDS = 1_000_000
"""Most files that a pattern may stand for."""

MOST_OPEN = 128
"""Shards that are kept open; systems stop a process at 256 to 1024 files."""

MOST_HEADER = 2**20
"""Longest extended header that is read; one can claim any size."""

BLOCK = tarfile.BLOCKSIZE


@dataclass(frozen=True, eq=False)
class TarShards:
    """Images in WebDataset tar shards, read when they are asked for.

    Order is that of sorted shards, and within one that of its members. May be used by
    several threads, and pickled or forked into other processes: each opens the shards that
    it reads.

    Attributes:
        folder: The one that all shards are below.
        shards: Their names from there.
        classes: Names, in the order of the labels.
        labels: Class of each image, int64.
        members: Name of each image within its shard.
        places: Shard, first byte and number of bytes of each image: int64, (N, 3).
        sizes: Bytes of each shard when it was listed.
    """

    folder: Path
    shards: tuple[str, ...]
    classes: tuple[str, ...]
    labels: np.ndarray
    members: Sequence[str]
    places: np.ndarray
    sizes: tuple[int, ...]
    _open: Any = field(init=False, repr=False)

    def __post_init__(self) -> None:
        # A shard that falls out of the cache is closed when no thread reads it any more.
        opened = functools.lru_cache(MOST_OPEN)(_Opened)
        object.__setattr__(self, "_open", opened)

    @classmethod
    def open(
        cls, root_or_files: str | Path, *, classes: Sequence[str] | None = None
    ) -> "TarShards":
        """List the images of a set of shards.

        A sample's label is the whole number in its member `KEY.cls`, where the key is the
        image's name up to the first dot after its last slash. Without any such member all
        images are of one class. Hidden members are left out. Every header is
        read: 10,000 members take 0.5 to 1 second, or what the disk takes to seek to them.

        Args:
            root_or_files: A folder of .tar files, one such file, or a pattern such as
                `/data/train-{000..012}.tar`.
            classes: Names of the labels; None takes the numbers up to the largest label.

        Raises:
            SourceError: If no images are there, a shard is damaged, packed or has members
                that are unsafe or ambiguous, or a label is absent or no class; names the
                shard and the member.
        """
        paths = _paths(root_or_files)
        if classes is not None and not classes:
            raise SourceError(f"{root_or_files}: the list of classes is empty")
        listed = [_list(path, len(classes or ()) or MOST_CLASSES) for path in paths]
        found = [image for each in listed for image in each.images.values()]
        if not found:
            raise SourceError(f"{root_or_files}: no images are in it")
        places = np.asarray(
            [
                (shard, image.start, image.size)
                for shard, each in enumerate(listed)
                for image in each.images.values()
            ],
            np.int64,
        )
        labels = _labels(paths, listed)
        if classes is None:
            classes = [str(label) for label in range(int(labels.max()) + 1)]
        elif len(classes) > 1 and not any(each.labels for each in listed):
            raise SourceError(
                f"{root_or_files}: no labels (.cls) for the {len(classes)} classes"
            )
        folder = Path(os.path.commonpath([path.parent for path in paths]))
        return cls(
            folder,
            tuple(str(path.relative_to(folder)) for path in paths),
            tuple(classes),
            labels,
            tuple(image.member for image in found),
            places,
            tuple(each.size for each in listed),
        )

    def __len__(self) -> int:
        return len(self.members)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        """The pixels of an image (uint8, height, width, RGB), and its label.

        Raises:
            ImageError: If it cannot be read or decoded; names the shard and the member.
        """
        pixels = decode_named(self.encoded(index), self.name(index))
        return pixels, int(self.labels[index])

    def encoded(self, index: int) -> bytes:
        """The bytes of an image's member.

        Raises:
            ImageError: If it cannot be read; names the shard and the member.
        """
        shard, start, size = (int(number) for number in self.places[index])
        try:
            opened = self._open(self.folder / self.shards[shard], self.sizes[shard])
            data = os.pread(opened.number, size, start)
            if len(data) != size:
                raise ImageError("the shard became shorter since it was listed")
            return data
        except OSError as error:
            reason = error.strerror or error
            raise ImageError(f"{self.name(index)}: {reason}") from error
        except ImageError as error:
            raise ImageError(f"{self.name(index)}: {error}") from error

    def name(self, index: int) -> str:
        """`SHARD.tar: MEMBER`, for messages."""
        shard = self.shards[int(self.places[index, 0])]
        return f"{shard}: {_shown(self.members[index])}"

    def close(self) -> None:
        """Close the shards that are open; reading goes on to open them again."""
        self._open.cache_clear()

    def __getstate__(self) -> dict[str, Any]:
        return {name: x for name, x in self.__dict__.items() if name != "_open"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.__post_init__()


class _Opened:
    """The descriptor of a shard, closed with the last reference to it."""

    def __init__(self, path: Path, size: int) -> None:
        self.number = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self.number)
        if os.fstat(self.number).st_size != size:
            raise ImageError("the shard's size has changed since it was listed")


# Which files

_BRACES = re.compile(r"\{(\d{1,9})\.\.(\d{1,9})\}", re.ASCII)
_PACKED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")


def _paths(root_or_files: str | Path) -> list[Path]:
    root = Path(root_or_files)
    try:
        # A file may have braces in its own name.
        mode = root.stat().st_mode if root.exists() else 0
        if stat.S_ISDIR(mode):
            return _in_folder(root)
    except OSError as error:
        raise SourceError(f"{root}: {error.strerror or error}") from error
    if mode or not re.search(r"[{}]", str(root)):
        return [root]
    # Odd pieces are the ends of a range.
    pieces = _BRACES.split(str(root))
    if re.search(r"[{}]", "".join(pieces[::3])):
        raise SourceError(
            f"{root}: only ranges of numbers, as in {{000..012}}, are known"
        )
    choices = [
        _range(root, first, last)
        for first, last in zip(pieces[1::3], pieces[2::3], strict=True)
    ]
    if np.prod([float(len(each)) for each in choices]) > MOST_SHARDS:
        raise SourceError(f"{root}: stands for more than {MOST_SHARDS} files")
    found = []
    for numbers in itertools.product(*choices):
        texts = [f"{n:0{len(x)}d}" for n, x in zip(numbers, pieces[1::3], strict=True)]
        parts = itertools.zip_longest(pieces[::3], texts, fillvalue="")
        found.append(Path("".join(text for pair in parts for text in pair)))
    return sorted(found)


def _range(root: Path, first: str, last: str) -> range:
    if len(first) != len(last) or int(first) > int(last):
        raise SourceError(
            f"{root}: {{{first}..{last}}} is no range from low to high of as many digits"
        )
    return range(int(first), int(last) + 1)


def _in_folder(folder: Path) -> list[Path]:
    names = sorted(name for name in os.listdir(folder) if not name.startswith("."))
    for name in names:
        if name.lower().endswith(_PACKED):
            raise SourceError(f"{folder / name}: compressed; unpack it to a .tar first")
    found = [folder / name for name in names if name.lower().endswith(".tar")]
    if not found:
        raise SourceError(f"{folder}: no .tar files are in it")
    return found


# What is in a file


class _Image(NamedTuple):
    member: str
    start: int
    size: int


class _Listed(NamedTuple):
    """Images and labels of a shard by key, and its size in bytes."""

    images: dict[str, _Image]
    labels: dict[str, int]
    size: int


class _Headers(io.FileIO):
    """A file of which only header-sized pieces are read, whatever a header claims."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or not 0 <= size <= MOST_HEADER:
            raise SourceError(f"a header of {size} bytes")
        return super().read(size) or b""


def _list(path: Path, classes: int) -> _Listed:
    listed = _Listed({}, {}, 0)
    try:
        # Opening a pipe would wait for a writer.
        if not stat.S_ISREG(path.stat().st_mode):
            raise SourceError("not a file")
        with _Headers(path) as file:
            size = os.fstat(file.fileno()).st_size
            for member in _members(file, size):
                _add(listed, file, member, classes)
    except SourceError as error:
        raise SourceError(f"{path}: {error}") from error
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror or error}") from error
    except MemoryError:
        raise
    except Exception as error:  # Whatever a forged header makes `tarfile` raise.
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise SourceError(f"{path}: damaged or cut short: {reason}") from error
    return listed._replace(size=size)


def _members(file: _Headers, size: int) -> Iterator[tarfile.TarInfo]:
    """Every member up to the archive's proper end."""
    try:
        tar = tarfile.open(fileobj=file, mode="r:", encoding="utf-8")
    except tarfile.ReadError as error:
        file.seek(0)
        raise SourceError(_no_tar(file.read(BLOCK))) from error
    with tar:
        while (member := tar.next()) is not None:
            # A size below 0 would lead back to members that were already read.
            if member.size < 0 or not member.offset < tar.offset <= size:
                raise SourceError(
                    f"{_shown(member.name)}: reaches beyond the file's {size} bytes; "
                    "it is damaged or cut short"
                )
            yield member
        # `tarfile` takes a header that it cannot read for the end.
        file.seek(tar.offset)
        end = file.read(BLOCK)
        if len(end) < BLOCK or any(end):
            raise SourceError(f"damaged or cut short at byte {tar.offset}")
        while piece := file.read(MOST_HEADER):
            if piece.count(0) != len(piece):
                raise SourceError(f"goes on after its end at byte {tar.offset}")


def _no_tar(start: bytes) -> str:
    if start.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")):
        return "compressed; unpack it to a .tar first"
    if start.lstrip()[:1] == b"<":
        return "a web page, not a tar file"
    return "not a tar file" if start else "empty, not a tar file"


def _add(
    listed: _Listed, file: _Headers, member: tarfile.TarInfo, classes: int
) -> None:
    """Note a member that is an image or a label."""
    folder, slash, base = member.name.rpartition("/")
    key, _, extension = base.partition(".")
    is_label = extension.lower() == "cls"
    if member.isdir() or not (is_label or base.lower().endswith(EXTENSIONS)):
        return
    parts = member.name.split("/")
    if any(part.startswith(".") and part not in (".", "..") for part in parts):
        return
    key, shown = folder + slash + key, _shown(member.name)
    if member.name.startswith("/") or ".." in parts:
        raise SourceError(f"{shown}: its name leads out of the archive")
    if not member.isreg() or member.issparse():
        raise SourceError(f"{shown}: a link, a device or sparse, not a plain file")
    if member.size > images.MOST_FILE_BYTES:
        raise SourceError(
            f"{shown}: {member.size} bytes, over {images.MOST_FILE_BYTES}"
        )
    if is_label:
        if key in listed.labels:
            raise SourceError(f"{shown}: a second label of its sample")
        listed.labels[key] = _label(file, member, classes)
        return
    if key in listed.images:
        first = _shown(listed.images[key].member)
        raise SourceError(f"{shown}: its sample has an image already, {first}")
    listed.images[key] = _Image(member.name, member.offset_data, member.size)


def _label(file: _Headers, member: tarfile.TarInfo, classes: int) -> int:
    text = os.pread(file.fileno(), min(member.size, 64), member.offset_data)
    if member.size > 64 or not re.fullmatch(rb"\s*[+-]?[0-9]{1,18}\s*", text):
        start = text[:20].decode("ascii", "replace")
        raise SourceError(f"{_shown(member.name)}: {start!a} is no label")
    if not 0 <= int(text) < classes:
        raise SourceError(
            f"{_shown(member.name)}: label {int(text)}, not from 0 to {classes - 1}"
        )
    return int(text)


def _labels(paths: Sequence[Path], listed: Sequence[_Listed]) -> np.ndarray:
    """One an image; all 0 where no sample has any."""
    labels: list[int] = []
    unlabelled = ""
    for path, each in zip(paths, listed, strict=True):
        for key, image in each.images.items():
            if key in each.labels:
                labels.append(each.labels[key])
            else:
                unlabelled = unlabelled or f"{path}: {_shown(image.member)}"
    if labels and unlabelled:
        raise SourceError(f"{unlabelled}: has no label (.cls), though others have")
    count = sum(len(each.images) for each in listed)
    return np.asarray(labels or [0] * count, np.int64)


def _shown(name: str) -> str:
    """A member's name on one line, whatever bytes are in it."""
    return name if name.isprintable() else ascii(name)[1:-1]
