"""Cue-conflict images, edges and silhouettes: official folders and file names.

Stimuli of Geirhos et al., ImageNet-trained CNNs are biased towards texture (ICLR 2019). A
cue-conflict image has the shape of one category and the texture of another (or the same),
and its name says which: cat7-elephant1.png is the 7th cat with the 1st elephant's skin.
Edges and filled silhouettes have one cue: cat7.png.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxbias.data.images import EXTENSIONS, ImageError, ImageFolder, read_image, squared
from jaxbias.data.sixteen_categories import CATEGORIES
from jaxbias.files import UsageError

SIDE = 224
"""Pixels along a side of the official images."""

_NAME = re.compile(r"([a-z]+)([0-9]+)(?:-([a-z]+)([0-9]+))?")


class Cues(NamedTuple):
    """What an image's name says.

    Attributes:
        shape: Category of the shape.
        shape_number: Which image of that category gave it.
        texture: Category of the texture; empty where there is one cue.
        texture_number: Which image gave it; 0 where there is one cue.
    """

    shape: str
    shape_number: int
    texture: str = ""
    texture_number: int = 0

    @property
    def name(self) -> str:
        """The file's name without its extension."""
        texture = f"-{self.texture}{self.texture_number}" if self.texture else ""
        return f"{self.shape}{self.shape_number}{texture}"


def cues_of(filename: str, *, conflict: bool) -> Cues:
    """Read an image's name.

    Args:
        filename: Of the file, or a path to it; what comes before its last underscore, as
            in files of trials (0001_s5n_s01_0_bird_00_bird3-bird2.png), is left out.
        conflict: Whether the image has two cues.

    Raises:
        ValueError: If it is no such name, or a category is none of the sixteen.
    """
    last = re.split(r"[/\\]", filename)[-1]
    stem, dot, end = last.rpartition(".")
    stem = stem if dot + end.lower() in EXTENSIONS else last
    found = _NAME.fullmatch(stem.rpartition("_")[2])
    if not found or conflict != bool(found[3]):
        form = "cat7-elephant1.png" if conflict else "cat7.png"
        raise ValueError(f"{last!r} is not named as {form} is")
    shape, number, texture, texture_number = found.groups()
    for word in filter(None, (shape, texture)):
        if word not in CATEGORIES:
            raise ValueError(f"{last!r}: {word!r} is none of the sixteen categories")
    return Cues(shape, int(number), texture or "", int(texture_number or 0))


def numbered(words: Iterable[str]) -> np.ndarray:
    """Categories as their numbers, int32; empty words are -1."""
    return np.asarray([CATEGORIES.index(w) if w else -1 for w in words], np.int32)


def sources(
    cues: Sequence[Cues], which: str = "shape"
) -> tuple[np.ndarray, np.ndarray]:
    """Number the images that gave the shapes, or the textures.

    Returns:
        The source of each image, int32; and the category of each source, in rising order.
    """
    pairs = [
        (CATEGORIES.index(getattr(one, which)), getattr(one, f"{which}_number"))
        for one in cues
    ]
    of = {pair: place for place, pair in enumerate(sorted(set(pairs)))}
    strata = np.asarray([category for category, _ in of], np.int32)
    return np.asarray([of[pair] for pair in pairs], np.int32), strata


@dataclass(frozen=True)
class Stimuli:
    """Images of known cues, read when they are asked for.

    Attributes:
        paths: The files, sorted by category and name.
        cues: What each name says.
    """

    paths: tuple[Path, ...]
    cues: tuple[Cues, ...]

    @classmethod
    def open(cls, root: str | Path, *, conflict: bool = True) -> "Stimuli":
        """List a folder of sixteen folders, one for each shape.

        Args:
            root: As the official archives unpack: cue conflict, edges, silhouettes.
            conflict: Whether images have two cues; edges and silhouettes have one.

        Raises:
            UsageError: In one line, for a folder that is missing, empty, of no category,
                or that holds an image of another shape or of no such name.
        """
        root = Path(root)
        try:
            folder = ImageFolder.open(root)
        except ImageError as error:
            raise UsageError(str(error)) from error
        for name in sorted(set(folder.classes) ^ set(CATEGORIES)):
            known = name in CATEGORIES
            what = "is missing" if known else "is none of the sixteen categories"
            raise UsageError(f"{root}: the folder {name} {what}")
        seen: dict[Cues, Path] = {}
        for path, label in zip(folder.paths, folder.labels, strict=True):
            try:
                one = cues_of(path.name, conflict=conflict)
            except ValueError as error:
                raise UsageError(f"{path}: {error}") from error
            if one.shape != folder.classes[label]:
                raise UsageError(f"{path}: a {one.shape} in another category's folder")
            if one in seen:
                raise UsageError(f"{path}: the same image as {seen[one].name}")
            seen[one] = path
        return cls(tuple(seen.values()), tuple(seen))

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def shapes(self) -> np.ndarray:
        """Category of each shape, int32."""
        return numbered(one.shape for one in self.cues)

    @property
    def textures(self) -> np.ndarray:
        """Category of each texture, int32; -1 where there is one cue."""
        return numbered(one.texture for one in self.cues)

    def images(self, size: int = SIDE) -> np.ndarray:
        """All images, decoded.

        Args:
            size: Side in pixels. Images of that size are neither resized nor cropped, as
                published; others are, by `data.images.squared`.

        Returns:
            uint8, (image, size, size, 3); 193 MB for the official 1,280 at 224 pixels.

        Raises:
            UsageError: If one cannot be decoded; names the file.
        """
        found = np.empty((len(self), size, size, 3), np.uint8)
        for place, path in enumerate(self.paths):
            try:
                found[place] = squared(read_image(path), size)
            except ImageError as error:
                raise UsageError(str(error)) from error
        return found
