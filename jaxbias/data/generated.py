"""Files of generated images, in the layouts that people have, brought to one form.

npz files of images and labels (several parts follow one another), folders with an array of
each class (0.npy, 1.npy, ...) or a folder of pictures of each class, zip files of pictures
with a dataset.json, and flat files of pixels beside an array of labels, as
IMAGES.bin+LABELS.npy. What can be converted without guessing is converted, and said; all
else is an error of one line. Pickles are not opened.
"""

import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jaxbias.data import sources
from jaxbias.data.archives import ImageSet, SourceError, npz_arrays, reason
from jaxbias.data.images import ImageError, decode_named
from jaxbias.data.pipelines import Skipped, load

SLACK = 0.01
"""By which floating-point pixels may leave their range."""

CATALOGUE = "dataset.json"
"""In a zip file: {"labels": [[name, class], ...]}."""


@dataclass(frozen=True)
class Generated:
    """Generated images in one form.

    Attributes:
        images: uint8, NHWC, and their labels.
        notes: What was converted, a line each.
    """

    images: ImageSet
    notes: tuple[str, ...]


def read(paths: Sequence[Path], *, classes: Sequence[str], size: int) -> Generated:
    """Read files, one after the other, as one set.

    Args:
        paths: npz files, folders, zip files, or IMAGES.bin+LABELS.npy.
        classes: Names of the labels.
        size: Side of the images in pixels.

    Raises:
        SourceError: In one line, with the file, for what is missing, damaged, of another
            size, without labels or with other ones, or of no known range.
    """
    images, labels, notes = [], [], []
    for path in paths:
        pixels, own = _opened(path, classes, size)
        pixels, said = pixels_of(pixels, path)
        if pixels.shape[1:] != (size, size, 3):
            raise SourceError(
                f"{path}: images of {pixels.shape[1:]}, not ({size}, {size}, 3)"
            )
        own, also = labels_of(own, len(classes), path)
        if len(own) != len(pixels):
            raise SourceError(f"{path}: {len(pixels)} images and {len(own)} labels")
        images.append(pixels)
        labels.append(own)
        notes += [f"{path}: {note}" for note in (*said, *also)]
    if not images or not sum(len(part) for part in images):
        raise SourceError("no generated images")
    where = ", ".join(str(path) for path in paths)
    whole = images[0] if len(images) == 1 else np.concatenate(images)
    found = ImageSet(whole, np.concatenate(labels), tuple(classes), where)
    return Generated(found, tuple(notes))


def files_of(path: Path) -> list[Path]:
    """The files that a path stands for: two where it is IMAGES.bin+LABELS.npy."""
    first, plus, second = str(path).rpartition("+")
    return [Path(first), Path(second)] if plus and first.endswith(".bin") else [path]


def _opened(
    path: Path, classes: Sequence[str], size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels as they are in a file."""
    if path.is_dir() and any(path.glob("*.npy")):
        return _of_classes(path, classes)
    if path.is_dir():
        return _pictures(path, classes, size)
    if path.suffix == ".zip":
        return _zipped(path)
    if len(files_of(path)) == 2 or path.suffix == ".bin":
        return _flat(path, size)
    images, labels, _ = npz_arrays(path)
    return images, labels


def _pictures(
    folder: Path, classes: Sequence[str], size: int
) -> tuple[np.ndarray, np.ndarray]:
    """A folder of pictures of each class, named by its number or name."""
    source = sources.open_source(f"folder:{folder}")
    numbers = {str(number): number for number in range(len(classes))}
    numbers |= {name: number for number, name in enumerate(classes)}
    if unknown := [name for name in source.classes if name not in numbers]:
        raise SourceError(
            f"{folder}: {unknown[0]!r} is no class; pictures are in a folder of each"
        )
    found = load(source, size, Skipped(source))
    own = np.asarray([numbers[name] for name in source.classes])
    return np.asarray(found.images), own[found.labels]


def _flat(path: Path, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixels one after the other, channels last, and an array of labels."""
    files = files_of(path)
    if len(files) < 2:
        raise SourceError(f"{path}: labels are needed: {path.name}+LABELS.npy")
    each = size * size * 3
    try:
        whole = files[0].stat().st_size
        if whole % each:
            raise SourceError(f"{files[0]}: {whole} bytes, {each} an image: cut short")
        pixels = np.memmap(files[0], np.uint8, "r") if whole else np.zeros(0, np.uint8)
        labels = np.load(files[1], allow_pickle=False)
    except (OSError, ValueError) as error:
        if isinstance(error, SourceError):
            raise
        raise SourceError(f"{path}: {reason(error)}") from error
    return pixels.reshape(-1, size, size, 3), labels


def _of_classes(folder: Path, classes: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """A folder with an array of each class, named by its number or name."""
    images, labels = [], []
    for number, name in enumerate(classes):
        found = [folder / f"{word}.npy" for word in (number, name)]
        there = next((path for path in found if path.exists()), None)
        if there is None:
            raise SourceError(f"{folder}: no {number}.npy: an array of each class")
        try:
            images.append(np.load(there, allow_pickle=False))
        except Exception as error:
            raise SourceError(f"{there}: {reason(error)}") from error
        labels.append(np.full(len(images[-1]), number))
    shapes = {part.shape[1:] for part in images}
    if len(shapes) > 1:
        raise SourceError(f"{folder}: classes of different shapes: {sorted(shapes)}")
    return np.concatenate(images), np.concatenate(labels)


def _zipped(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Pictures and a list of their classes, as StyleGAN2 and EDM keep data sets."""
    try:
        with zipfile.ZipFile(path) as archive:
            pairs = json.loads(archive.read(CATALOGUE)).get("labels")
            if not pairs:
                raise SourceError(f"{path}: {CATALOGUE} has no labels")
            names = [str(name) for name, _ in pairs]
            images = [decode_named(archive.read(name), name) for name in names]
    except SourceError:
        raise
    except ImageError as error:
        raise SourceError(f"{path}: {error}") from error
    except Exception as error:  # Whatever a damaged or forged file raises.
        raise SourceError(f"{path}: {reason(error)}") from error
    if len({image.shape for image in images}) > 1:
        raise SourceError(f"{path}: images of different sizes")
    return np.stack(images), np.asarray([label for _, label in pairs])


def pixels_of(
    images: np.ndarray, where: Path | str
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Pixels as uint8, channels last, and what was done to them.

    Raises:
        SourceError: If their range says nothing, or they are no images.
    """
    notes = []
    if (
        images.ndim == 4
        and images.shape[-1] not in (1, 3)
        and images.shape[1] in (1, 3)
    ):
        images = images.transpose(0, 2, 3, 1)
        notes.append("channels were first, and are put last")
    if images.ndim != 4 or images.shape[-1] != 3:
        raise SourceError(f"{where}: {images.shape} are no colour images (N, H, W, 3)")
    if images.dtype == np.uint8 or not images.size:
        return images.astype(np.uint8, copy=False), tuple(notes)
    low, high = float(images.min()), float(images.max())
    if not np.isfinite([low, high]).all():
        raise SourceError(f"{where}: pixels that are not finite")
    if images.dtype.kind in "iu":
        if low < 0 or high > 255:
            raise SourceError(f"{where}: pixels from {low:g} to {high:g}, not 0 to 255")
        notes.append(f"pixels were {images.dtype}, and are uint8")
        return images.astype(np.uint8), tuple(notes)
    if images.dtype.kind != "f":
        raise SourceError(f"{where}: pixels are {images.dtype}")
    for first, last in ((0, 1), (-1, 1), (0, 255)):
        if low >= first - SLACK and high <= last + SLACK * (last - first):
            break
    else:
        raise SourceError(
            f"{where}: pixels from {low:g} to {high:g}: of no known range"
        )
    notes.append(f"pixels were {images.dtype} from {first} to {last}, and are uint8")
    whole = (images.astype(np.float32) - first) * (255 / (last - first))
    return np.clip(np.round(whole), 0, 255).astype(np.uint8), tuple(notes)


def labels_of(
    labels: np.ndarray, classes: int, where: Path | str
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Labels as int64, and what was done to them.

    Raises:
        SourceError: If they are no classes.
    """
    notes = []
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim == 2 and labels.shape[1] == classes:
        hot = np.isin(labels, (0, 1)).all() and (labels.sum(1) == 1).all()
        if not hot:
            raise SourceError(f"{where}: labels are neither classes nor one-hot")
        labels = labels.argmax(1)
        notes.append("labels were one-hot")
    if labels.ndim != 1 or labels.dtype.kind not in "iuf":
        raise SourceError(f"{where}: labels are {labels.dtype} {labels.shape}")
    whole = labels.astype(np.int64)
    if labels.dtype.kind == "f":
        if not (whole == labels).all():
            raise SourceError(f"{where}: labels that are not whole numbers")
        notes.append(f"labels were {labels.dtype}")
    if len(whole) and (whole.min() < 0 or whole.max() >= classes):
        raise SourceError(
            f"{where}: labels from {whole.min()} to {whole.max()}, but there are "
            f"{classes} classes"
        )
    if len(np.unique(whole)) > 1 and (np.diff(whole) >= 0).all():
        notes.append("images are in the order of their classes, and will be shuffled")
    return whole, tuple(notes)


def nested(count: int, most: int, seed: int) -> np.ndarray:
    """Places of `most` of `count` images: the first ones of a fixed shuffle.

    Fewer are always part of more, and of any class about as many as there are.

    Raises:
        SourceError: If there are not as many.
    """
    if most > count:
        raise SourceError(f"{most:,} of {count:,} generated images")
    return np.random.default_rng(seed).permutation(count)[:most]
