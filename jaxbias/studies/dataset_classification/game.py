"""A page on which a person plays the network's game: name the source of an image.

Labelled training images can be browsed for as long as one likes; then validation images
are guessed one by one, and the person's score stands beside the network's on the same
images. After Liu & He, "A Decade's Battle on Dataset Bias" (ICLR 2025), section 5, where
20 people did the same for three data sets.
"""

import base64
import io
import json
import math
import re
import zlib
from collections.abc import Iterable, Sequence
from html import escape
from importlib import resources
from itertools import chain

import numpy as np
from PIL import Image

LARGEST, LEAST = 128, 48
"""Longest side of an image in pixels, and how far it may be cut to fit `MOST_BYTES`."""

MOST_BYTES = 2_100_000
"""Of all images as files. Base64 makes it a page of less than three megabytes."""

QUALITY = 90
"""Of JPEG, with colours at full resolution."""

Images = Iterable[np.ndarray]
"""uint8 arrays (height, width, 1 or 3), which may differ in size."""


def page(
    names: Sequence[str],
    training: Sequence[Images],
    validation: Images,
    labels: Sequence[int] | np.ndarray,
    network: Sequence[int] | np.ndarray | None = None,
    *,
    title: str = "Name that dataset",
) -> str:
    """Write the game as one HTML page that needs nothing else, not even a network.

    The images to be guessed are shuffled, the same way for the same number of them. Their
    truth is scrambled in the page's source: a glance does not give it away, though anyone
    who wants to can undo it. Images larger than `LARGEST` are shrunk to it. If the page
    is then too large, JPEG takes the place of PNG where it is smaller, and then all are
    shrunk to the same smaller side, but not below `LEAST`.

    Args:
        names: Of the sources, any text; no two alike, at most 256.
        training: Labelled images of each source, at least one of each.
        validation: Images to be guessed.
        labels: The number of each validation image's source, from 0.
        network: The network's guesses for the same images; None: no network is named.
        title: Any text.

    Returns:
        The page; the same for the same input.

    Raises:
        ValueError: If lengths differ, a label is out of range, there is nothing to look at
            or to guess, or an image is not one.
    """
    columns = [[_checked(image) for image in images] for images in training]
    asked = [_checked(image) for image in validation]
    _check_names(names, columns)
    if not asked:
        raise ValueError("no validation images: there is nothing to guess")
    truth = _labels("labels", labels, len(asked), len(names))
    hidden = [truth]
    if network is not None:
        hidden.append(_labels("network", network, len(asked), len(names)))
    shown = _encoded([*columns, asked])
    order = np.random.default_rng(0).permutation(len(asked))
    secret = b"".join(found[order].tobytes() for found in hidden)
    text = "\n".join(chain(names, *shown)).encode(errors="surrogatepass")
    # Another game is kept apart from this one, and is scrambled otherwise.
    seed = zlib.crc32(text + secret)
    data = {
        "id": f"jaxbias-game-{seed:08x}",
        "seed": seed,
        "names": list(names),
        "training": shown[:-1],
        "validation": [shown[-1][i] for i in order],
        "hidden": _scrambled(secret, seed),
    }
    # A "<" inside the script element could end it.
    filled = {
        "title": escape(title),
        "data": json.dumps(data, separators=(",", ":")).replace("<", "\\u003c"),
    }
    folder = resources.files("jaxbias.studies.dataset_classification")
    template = (folder / "game.html").read_text("utf-8")
    # In one pass: a title may contain "{{data}}".
    return re.sub(r"\{\{(\w+)\}\}", lambda match: filled[match[1]], template)


def _check_names(
    names: Sequence[str], columns: Sequence[Sequence[Image.Image]]
) -> None:
    if not 2 <= len(names) <= 256:
        raise ValueError(f"{len(names)} sources: from 2 to 256 are needed")
    if len(columns) != len(names):
        raise ValueError(
            f"{len(names)} names for {len(columns)} sets of training images"
        )
    for i, name in enumerate(names):
        if not name.strip():
            raise ValueError(f"source {i} has no name")
        if name in names[:i]:
            raise ValueError(f"two sources have the name {name!r}")
        if not columns[i]:
            raise ValueError(f"source {name!r} has no training images")


def _labels(
    what: str, labels: Sequence[int] | np.ndarray, images: int, sources: int
) -> np.ndarray:
    """Labels as bytes, in range."""
    found = np.asarray(labels)
    if found.shape != (images,):
        raise ValueError(f"{what}: shape {found.shape} for {images} validation images")
    if not np.issubdtype(found.dtype, np.integer):
        raise ValueError(f"{what}: numbers of sources are integers, not {found.dtype}")
    wrong = found[(found < 0) | (found >= sources)]
    if wrong.size:
        raise ValueError(f"{what}: {wrong[0]} is not from 0 to {sources - 1}")
    return found.astype(np.uint8)


def _checked(image: np.ndarray) -> Image.Image:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in (1, 3):
        raise ValueError(
            f"an image of {image.dtype} and shape {image.shape}: uint8 of shape "
            "(height, width, 1 or 3) is needed"
        )
    if not image.size:
        raise ValueError(f"an image of shape {image.shape} has no pixels")
    return Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)


def _encoded(groups: Sequence[Sequence[Image.Image]]) -> list[list[str]]:
    """Images as data URIs, at a side for which all of them are small enough."""
    side = min(LARGEST, max(max(image.size) for image in chain(*groups)))
    lossy = False
    while True:
        files = [[_file(image, side, lossy) for image in group] for group in groups]
        total = sum(map(len, chain(*files)))
        if total <= MOST_BYTES or (lossy and side <= LEAST):
            return [[_uri(file) for file in group] for group in files]
        if lossy:
            # Bytes grow more slowly than pixels do: a little less than the area says.
            side = max(LEAST, int(0.97 * side * math.sqrt(MOST_BYTES / total)))
        lossy = True


def _file(image: Image.Image, side: int, lossy: bool) -> bytes:
    """A PNG file, or if `lossy` a JPEG file where that is smaller."""
    small = image.copy()
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    png, jpeg = io.BytesIO(), io.BytesIO()
    small.save(png, "PNG")
    if lossy:
        small.save(jpeg, "JPEG", quality=QUALITY, subsampling=0)
    return min(filter(None, (png.getvalue(), jpeg.getvalue())), key=len)


def _uri(file: bytes) -> str:
    kind = "png" if file.startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(file).decode()}"


def _scrambled(data: bytes, seed: int) -> str:
    """Bytes with a linear congruential sequence over them, which `game.html` takes off."""
    found = bytearray()
    for byte in data:
        seed = (seed * 1664525 + 1013904223) % 2**32
        found.append(byte ^ (seed >> 24))
    return base64.b64encode(bytes(found)).decode()
