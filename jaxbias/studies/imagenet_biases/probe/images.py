"""The sets of images of a probe: opened, numbered as the networks' classes, squared."""

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from jaxbias.data import sixteen_categories, sources
from jaxbias.data.archives import SourceError
from jaxbias.data.cue_conflict import Stimuli
from jaxbias.data.images import EXTENSIONS, ImageError, ImageFolder, read_image, squared
from jaxbias.data.pipelines import THREADS
from jaxbias.data.sixteen_categories import CATEGORIES
from jaxbias.data.sources import Source
from jaxbias.files import UsageError
from jaxbias.probes.shape_bias import Classes
from jaxbias.settings import option
from jaxbias.studies.imagenet_biases.probe.config import Config

VALIDATION = "imagenet"
"""Name of the validation set."""

COLUMNS = {
    "v2": "imagenet-v2",
    "imagenet_a": "imagenet-a",
    "imagenet_r": "imagenet-r",
    "sketch": "imagenet-sketch",
    "edges": "edge",
    "silhouettes": "silhouette",
    "stylized": "stylized",
    "cue_conflict": "cue-conflict",
}
"""Options of other sets, and what the published table calls their accuracies."""

AMONG_THEIRS = ("imagenet_a", "imagenet_r")
"""Sets of some of the classes, among which alone the networks choose there."""

_MAPPINGS: Mapping[str, Classes] = {
    "imagenet": sixteen_categories.IMAGENET,
    "cifar10": sixteen_categories.CIFAR10,
    "itself": sixteen_categories.ITSELF,
}


@dataclass(frozen=True)
class ImageSet:
    """Images in the order in which they are shown.

    Attributes:
        name: As in the published table.
        part: Of `config.PARTS`, to which its accuracy belongs.
        numbers: Of each in its source.
        labels: Class of each; of sets of sixteen categories the category. int32.
        read: An image by its number in the source: uint8, (side, side, 3).
        allowed: Classes that are chosen among; None where categories are.
        files: Name of each.
    """

    name: str
    part: str
    numbers: np.ndarray
    labels: np.ndarray
    read: Callable[[int], np.ndarray]
    allowed: np.ndarray | None
    files: Callable[[int], str]

    def __len__(self) -> int:
        return len(self.numbers)

    def pixels(self, start: int, stop: int) -> np.ndarray:
        """Images start to stop, decoded by several threads.

        Raises:
            UsageError: If one cannot be decoded; names it.
        """
        try:
            with ThreadPoolExecutor(THREADS) as pool:
                found = pool.map(self.read, self.numbers[start:stop].tolist())
                return np.stack(list(found))
        except ImageError as error:
            # An accuracy over the others would be of other images than the published.
            raise UsageError(str(error)) from error


def central(pixels: np.ndarray, resize: int, size: int) -> np.ndarray:
    """Bring the shorter side to `resize`, and cut out the central square.

    Args:
        pixels: uint8, (height, width) or (height, width, 1 or 3).
        resize: In pixels.
        size: Side of the result.

    Returns:
        uint8, (size, size, 3). Bilinear, the kernel widened where the image shrinks, as
        torchvision's Resize and CenterCrop make of Pillow's images.
    """
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    pixels = np.broadcast_to(pixels, (*pixels.shape[:2], 3))
    height, width = pixels.shape[:2]
    short = min(height, width)
    if short != resize:
        height, width = (int(resize * side / short) for side in (height, width))
        picture = Image.fromarray(np.ascontiguousarray(pixels))
        pixels = np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR))
    top, left = (int(round((side - size) / 2)) for side in (height, width))
    return pixels[top : top + size, left : left + size]


# Sets of the networks' classes


def validation(config: Config) -> tuple[ImageSet, tuple[str, ...]]:
    """The validation images in random order, and the names of their classes.

    Those that are changed are the first.

    Raises:
        UsageError: If they cannot be used, or there are fewer than are asked for.
    """
    source = _opened(config.imagenet, "imagenet")
    for field in ("images", "clean_images"):
        if (asked := getattr(config, field)) > len(source):
            raise UsageError(
                f"{option(field)}: {asked:,} images, but --imagenet has {len(source):,}"
            )
    numbers = np.arange(len(source.classes))
    everything = np.ones(len(numbers), bool)
    found = _set(VALIDATION, "clean", source, numbers, everything, config)
    return found, source.classes


def others(config: Config, classes: Sequence[str]) -> list[ImageSet]:
    """Sets of other images of the validation images' classes.

    Raises:
        UsageError: Naming the option, for a set that cannot be used, or of other classes.
    """
    found = []
    for field in ("v2", "imagenet_a", "imagenet_r", "sketch"):
        if text := getattr(config, field):
            source = _opened(text, field)
            numbers = _numbered(source.classes, classes, field)
            among = numbers if field in AMONG_THEIRS else np.arange(len(classes))
            allowed = np.isin(np.arange(len(classes)), among)
            one = _set(COLUMNS[field], "ood", source, numbers, allowed, config)
            found.append(_limited(one, config))
    return found


def _opened(text: str, field: str) -> Source:
    try:
        if (Path(text) / "val").is_dir() and not (Path(text) / "train").is_dir():
            return ImageFolder.open(Path(text) / "val")
        return sources.open_source(text, sources.other_split(text) or "train")
    except (SourceError, ImageError) as error:
        raise UsageError(f"{option(field)}: {error}") from error


def _numbered(names: Sequence[str], classes: Sequence[str], field: str) -> np.ndarray:
    """The networks' class of each folder."""
    place = {name: number for number, name in enumerate(classes)}
    found = []
    for name in names:
        # ImageNet-V2's folders: 0 to 999, whose sorted order is another.
        numbered = field == "v2" and name.isdecimal() and name not in place
        number = int(name) if numbered else place.get(name, -1)
        if not 0 <= number < len(classes):
            raise UsageError(
                f"{option(field)}: the folder {name} is no class of --imagenet"
            )
        found.append(number)
    return np.asarray(found)


def _set(
    name: str,
    part: str,
    source: Source,
    classes: np.ndarray,
    allowed: np.ndarray,
    config: Config,
) -> ImageSet:
    order = np.random.default_rng(config.seed).permutation(len(source))

    def read(index: int) -> np.ndarray:
        return central(source[index][0], config.resize, config.size)

    labels = classes[source.labels][order].astype(np.int32)
    return ImageSet(name, part, order, labels, read, allowed, source.name)


def _limited(found: ImageSet, config: Config) -> ImageSet:
    kept = slice(config.clean_images or None)
    return replace(found, numbers=found.numbers[kept], labels=found.labels[kept])


def real_labels(config: Config, images: ImageSet, classes: int) -> list[list[int]]:
    """ReaL's classes of each validation image, in the order of showing; some have none.

    Raises:
        UsageError: If the file cannot be read or is of other images.
    """
    # Paper: counts those of the last batch alone.
    where = f"--real: {config.real}"
    try:
        found = json.loads(Path(config.real).read_text())
    except (OSError, ValueError) as error:
        raise UsageError(f"{where}: {error}") from error
    if not isinstance(found, list) or not all(
        isinstance(one, list) and all(_is_class(n, classes) for n in one)
        for one in found
    ):
        raise UsageError(f"{where}: not a list of lists of classes 0 to {classes - 1}")
    if len(found) != len(images):
        raise UsageError(f"{where}: of {len(found):,} images, not {len(images):,}")
    names = [Path(images.files(number)).name for number in range(len(images))]
    # The order is that of the files' names, whatever folders they lie in.
    are_files = all(name.lower().endswith(EXTENSIONS) for name in names)
    if not are_files or len(set(names)) < len(names):
        raise UsageError(f"{where}: goes by file names, which --imagenet has not")
    place = np.empty(len(names), int)
    place[np.argsort(names, kind="stable")] = np.arange(len(names))
    return [found[place[number]] for number in images.numbers]


def _is_class(number: object, classes: int) -> bool:
    return isinstance(number, int) and 0 <= number < classes


# Sets of sixteen categories


def classes_of_categories(config: Config, classes: int) -> Classes:
    """The networks' classes of each category, in the order of `CATEGORIES`.

    Raises:
        UsageError: If the mapping cannot be read, or does not fit the networks.
    """
    mapping = _MAPPINGS.get(config.categories)
    where = f"--categories: {config.categories}"
    if mapping is None:
        try:
            mapping = json.loads(Path(config.categories).read_text())
        except (OSError, ValueError) as error:
            raise UsageError(f"{where}: {error}") from error
    plain = isinstance(mapping, Mapping) and all(
        name in CATEGORIES and isinstance(own, list | tuple)
        for name, own in mapping.items()
    )
    if not plain:
        raise UsageError(f"{where}: not lists of classes by the sixteen categories")
    taken = [number for own in mapping.values() for number in own]
    if not all(_is_class(n, classes) for n in taken) or len(set(taken)) < len(taken):
        raise UsageError(
            f"{where}: classes must be 0 to {classes - 1}, each in one category"
        )
    if not taken:
        raise UsageError(f"{where}: no class is in any category")
    return {name: tuple(mapping.get(name, ())) for name in CATEGORIES}


def of_categories(field: str, config: Config) -> ImageSet:
    """Cue-conflict images, edges, silhouettes or stylised ones, in random order.

    Images of the right size are neither resized nor cropped, as published.

    Raises:
        UsageError: Naming the option, for a folder that is not as it should be.
    """
    root = Path(getattr(config, field))
    try:
        if field == "stylized":
            folder = ImageFolder.open(root)
            if folder.classes != CATEGORIES:
                odd = min(set(folder.classes) ^ set(CATEGORIES))
                raise UsageError(f"{root}: folders are not the sixteen: {odd}")
            paths, labels = folder.paths, folder.labels
        else:
            stimuli = Stimuli.open(root, conflict=field == "cue_conflict")
            paths, labels = stimuli.paths, stimuli.shapes
    except (UsageError, ImageError) as error:
        raise UsageError(f"{option(field)}: {error}") from error
    order = np.random.default_rng(config.seed).permutation(len(paths))

    def read(index: int) -> np.ndarray:
        return squared(read_image(paths[index]), config.size)

    part = "shape" if field == "cue_conflict" else "cues"
    found = ImageSet(
        *(COLUMNS[field], part, order, labels[order].astype(np.int32), read),
        allowed=None,
        files=lambda index: paths[index].name,
    )
    return _limited(found, config)
