"""Image files as RGB pixels: decoded rightly, or refused with the reason.

Pillow by itself reads 16-bit and float images as white or black, drops transparency without
a background, and leaves photographs on their side. What nothing can tell is a flipped byte
inside the coded pixels of a JPEG: libjpeg decodes on, and Pillow does not pass on its
warning.
"""

import contextlib
import io
import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

MOST_PIXELS = 50_000_000
"""Largest image that is decoded; a file of a few kilobytes can claim any size."""

MOST_FILE_BYTES = 2**28
"""Largest file that is read."""

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "PPM")
"""What is decoded. Not all that Pillow knows: for some it starts other programs."""

EXTENSIONS = (
    *(".jpg", ".jpeg", ".png", ".webp", ".gif", ".tif", ".tiff", ".bmp", ".ppm"),
    ".pgm",
)
"""Ends of names that are taken for images, in any case."""

SIXTEEN_BITS = 65_535
PER_LEVEL = 257
"""16-bit values for one of 8 bits: 65535 / 255."""


# Such images are refused here below Pillow's own limit; its warning says nothing more.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


class ImageError(ValueError):
    """An image that cannot be used; the message says why."""


def decode(
    data: bytes, *, background: int = 255, most_pixels: int = MOST_PIXELS
) -> np.ndarray:
    """Decode an image file to RGB.

    Grey, palette, 1-bit and CMYK images become RGB; 16-bit values are scaled to 8 bits, and
    float values from 0 to 1 to 0 to 255; transparent pixels are laid on the background; the
    camera's orientation is applied; of an animation the first frame is taken.

    Args:
        data: The file's bytes, in one of `FORMATS`.
        background: Grey level behind transparent pixels, 0 to 255.
        most_pixels: Larger images are refused before they are decoded.

    Returns:
        uint8 array of shape (height, width, 3).

    Raises:
        ImageError: If it is no image, damaged, cut short, too large, or of values that
            cannot be scaled.
    """
    with opened(data, most_pixels=most_pixels) as image:
        image.load()
        return _rgb(ImageOps.exif_transpose(image), background)


@contextlib.contextmanager
def opened(data: bytes, *, most_pixels: int = MOST_PIXELS) -> Iterator[Image.Image]:
    """An image file as Pillow opens it: its header is read, its pixels are not.

    Raises:
        ImageError: If it is no image or too large, or for whatever Pillow raises within.
    """
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            width, height = image.size
            if width * height > most_pixels:
                raise ImageError(f"{width} x {height} is over {most_pixels} pixels")
            yield image
    except ImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(f"over {most_pixels} pixels") from error
    except MemoryError:
        raise
    except Exception as error:  # Decoders raise whatever they like at damaged files.
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        # The bytes in memory have no name that would help.
        raise ImageError(reason.split(" <_io.BytesIO")[0]) from error


def _rgb(image: Image.Image, background: int) -> np.ndarray:
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.int64)
        if values.min(initial=0) < 0 or values.max(initial=0) > SIXTEEN_BITS:
            raise ImageError(
                f"{image.mode} values from {values.min()} to {values.max()}"
            )
        return _from_grey((values + PER_LEVEL // 2) // PER_LEVEL)
    if image.mode == "F":
        values = np.asarray(image)
        if not np.isfinite(values).all() or values.min() < 0 or values.max() > 1:
            raise ImageError(
                f"float values from {values.min():g} to {values.max():g}, not 0 to 1"
            )
        return _from_grey(np.round(values * 255))
    if image.mode in ("LAB", "HSV"):
        raise ImageError(f"{image.mode} colours")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        pixels = np.asarray(image.convert("RGBA")).astype(np.int64)
        alpha = pixels[..., 3:]
        mixed = pixels[..., :3] * alpha + background * (255 - alpha)
        return ((mixed + 127) // 255).astype(np.uint8)
    return np.asarray(image.convert("RGB"))


def _from_grey(values: np.ndarray) -> np.ndarray:
    return np.repeat(values.astype(np.uint8)[..., None], 3, axis=-1)


def read_image(path: Path, **options: int) -> np.ndarray:
    """Decode a file; see `decode`. The message of an error begins with the path."""
    return decode_named(_read_bytes(path), str(path), **options)


def decode_named(data: bytes, name: str, **options: int) -> np.ndarray:
    """As `decode`; the message of an error begins with the image's name."""
    try:
        return decode(data, **options)
    except ImageError as error:
        raise ImageError(f"{name}: {error}") from error


def _read_bytes(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > MOST_FILE_BYTES:
            raise ImageError(f"{path}: {size} bytes, over {MOST_FILE_BYTES}")
        return path.read_bytes()
    except OSError as error:
        raise ImageError(f"{path}: {error.strerror or error}") from error


def squared(pixels: np.ndarray, size: int) -> np.ndarray:
    """Bring an image to `size` by `size`: shorter side resized, central square cut out.

    Args:
        pixels: uint8, (height, width) or (height, width, 1 or 3).
        size: Side of the result, in pixels.

    Returns:
        uint8, with the channels of `pixels`. Bicubic, with the kernel widened where the
        image shrinks, as Pillow does; an image of that size already comes back as it is.
    """
    height, width = pixels.shape[:2]
    if (height, width) == (size, size):
        return pixels
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    # Cut out first: Pillow's own `box` lets pixels outside it weigh in.
    square = pixels[top : top + side, left : left + side]
    flat = square[..., 0] if square.shape[2:] == (1,) else square
    picture = Image.fromarray(np.ascontiguousarray(flat))
    resized = picture.resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(resized).reshape(size, size, *pixels.shape[2:])


@dataclass(frozen=True)
class ImageFolder:
    """Images in one folder for each class, read when they are asked for.

    Order is that of sorted paths, whatever the file system. Hidden files and folders, and
    links to folders, are left out.

    Attributes:
        root: The folder of class folders.
        classes: Their names, sorted.
        paths: Every image, below its class folder at any depth.
        labels: Class of each, int64.
    """

    root: Path
    classes: tuple[str, ...]
    paths: Sequence[Path]
    labels: np.ndarray

    @classmethod
    def open(cls, root: Path) -> "ImageFolder":
        """List a folder.

        Raises:
            ImageError: If it is absent, has no class folders, or one without images.
        """
        try:
            found = sorted(
                entry.name
                for entry in os.scandir(root)
                if not entry.name.startswith(".")
                and entry.is_dir(follow_symlinks=False)
            )
        except OSError as error:
            raise ImageError(f"{root}: {error.strerror or error}") from error
        if not found:
            raise ImageError(f"{root}: no folders, one for each class, are in it")
        paths, labels = [], []
        for label, name in enumerate(found):
            of_class = sorted(_images_below(root / name))
            if not of_class:
                raise ImageError(f"{root / name}: no images are in this class's folder")
            paths += of_class
            labels += [label] * len(of_class)
        return cls(root, tuple(found), tuple(paths), np.asarray(labels, np.int64))

    @classmethod
    def flat(cls, root: Path) -> "ImageFolder":
        """List the images at any depth below a folder, as one class of its name.

        Raises:
            ImageError: If there are none.
        """
        paths = tuple(sorted(_images_below(root)))
        if not paths:
            what = "no images are in it" if root.is_dir() else "not a folder"
            raise ImageError(f"{root}: {what}")
        return cls(root, (root.name,), paths, np.zeros(len(paths), np.int64))

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        """The pixels of an image, and its label.

        Raises:
            ImageError: If it cannot be decoded; names the file.
        """
        return read_image(self.paths[index]), int(self.labels[index])

    def encoded(self, index: int) -> bytes:
        """The bytes of an image's file.

        Raises:
            ImageError: If it cannot be read or is too large; names the file.
        """
        return _read_bytes(self.paths[index])

    def name(self, index: int) -> str:
        """The path of an image."""
        return str(self.paths[index])


def _images_below(folder: Path) -> list[Path]:
    found = []
    for where, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [
            Path(where, name)
            for name in files
            if name.lower().endswith(EXTENSIONS) and not name.startswith(".")
        ]
    return found
