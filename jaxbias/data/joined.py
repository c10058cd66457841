"""Several sources as one, and images of several sources made alike.

In dataset classification the class of an image is the source that it comes from. Sources
differ in size, codec and quality of their files, which tell them apart without any content:
every image goes through one pipeline.
"""

import hashlib
import io
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

import numpy as np
from PIL import Image

from jaxbias.data.sources import Source, Subset


@dataclass(frozen=True)
class Alike:
    """A source whose images have all been resized, and encoded again, in one way.

    Attributes:
        source: Where they come from.
        shorter_side: In pixels; images are shrunk to it, never enlarged.
        quality: Of the JPEG that each image is made and read again, 1 to 95, with halved
            chroma (4:2:0); None does not encode.
    """

    source: Source
    shorter_side: int = 500
    quality: int | None = 75

    @property
    def classes(self) -> tuple[str, ...]:
        return self.source.classes

    @property
    def labels(self) -> np.ndarray:
        return self.source.labels

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        pixels, label = self.source[index]
        if pixels.shape[-1] == 1:
            pixels = np.repeat(pixels, 3, axis=-1)
        picture = Image.fromarray(np.ascontiguousarray(pixels))
        if (shorter := min(picture.size)) > self.shorter_side:
            scale = self.shorter_side / shorter
            size = tuple(max(1, round(scale * side)) for side in picture.size)
            picture = picture.resize(size, Image.Resampling.BICUBIC)  # type: ignore[arg-type]
        if self.quality is not None:
            file = io.BytesIO()
            picture.save(file, "JPEG", quality=self.quality, subsampling=2)
            picture = Image.open(file)
        return np.asarray(picture), label

    def name(self, index: int) -> str:
        return self.source.name(index)


@dataclass(frozen=True)
class Joined:
    """The images of several sources; the class of each is the source that it is from.

    Attributes:
        names: Of the sources.
        parts: The sources, one after the other.
    """

    names: tuple[str, ...]
    parts: tuple[Source, ...]

    @property
    def classes(self) -> tuple[str, ...]:
        return self.names

    @cached_property
    def ends(self) -> list[int]:
        """Number of images up to the end of each source."""
        return list(accumulate(len(part) for part in self.parts))

    @property
    def labels(self) -> np.ndarray:
        return self._labels

    @cached_property
    def _labels(self) -> np.ndarray:
        counts = [len(part) for part in self.parts]
        return np.repeat(np.arange(len(self.parts), dtype=np.int64), counts)

    def __len__(self) -> int:
        return self.ends[-1]

    def _place(self, index: int) -> tuple[int, int]:
        """Which source, and which of its images."""
        index = range(len(self))[index]
        number = bisect_right(self.ends, index)
        return number, index - (self.ends[number - 1] if number else 0)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        number, inner = self._place(index)
        return self.parts[number][inner][0], number

    def name(self, index: int) -> str:
        number, inner = self._place(index)
        return self.parts[number].name(inner)


def shuffled(source: Source, seed: int) -> np.ndarray:
    """Numbers of a source's images in a random order that depends on their names alone.

    The first n are a uniform sample, and contain the first n - 1: samples of growing size
    are nested, the same on every machine and in whatever order files were listed.
    """
    inner = _innermost(source)
    # Where the set lies says nothing of an image.
    root = str(getattr(inner, "root", getattr(inner, "where", "")))

    def rank(index: int) -> bytes:
        name = f"{seed} {source.name(index).removeprefix(root)}"
        return hashlib.sha256(name.encode(errors="surrogateescape")).digest()

    return np.asarray(sorted(range(len(source)), key=rank), np.int64)


def _innermost(source: Source) -> Source:
    while isinstance(source, Subset):
        source = source.source
    return source
