"""Digits drawn here, 28 x 28 as MNIST's: where there are no files.

Each is a small picture of a digit, blown up, turned, slanted, stretched, moved and blurred
at random. An image depends on the seed and its number alone.
"""

from typing import Any

import numpy as np
from scipy import ndimage

from jaxbias.data.archives import ImageSet

SIZE = 28
COUNTS = {"train": 10_000, "test": 2_000}
"""Images of each split."""

# Five by seven, a row of each digit after the other.
_PICTURES = (
    "01110 00100 01110 11111 00010 11111 00110 11111 01110 01110",
    "10001 01100 10001 00010 00110 10000 01000 00001 10001 10001",
    "10011 00100 00001 00100 01010 11110 10000 00010 10001 10001",
    "10101 00100 00010 00010 10010 00001 11110 00100 01110 01111",
    "11001 00100 00100 00001 11111 00001 10001 01000 10001 00001",
    "10001 00100 01000 10001 00010 10001 10001 01000 10001 00010",
    "01110 01110 11111 01110 00010 01110 01110 01000 01110 01100",
)


def _pictures() -> np.ndarray:
    """The ten digits, (digit, row, column), 0 or 1."""
    rows = [[list(map(int, cell)) for cell in line.split()] for line in _PICTURES]
    return np.asarray(rows, np.float64).swapaxes(0, 1)


def digits(
    split: str = "train", *, count: int | None = None, seed: int = 0
) -> ImageSet:
    """Draw digits, ten classes in turn.

    Args:
        split: "train" or "test"; no image is in both.
        count: How many; None takes `COUNTS`.
        seed: Of what is random.

    Returns:
        Images uint8 (image, 28, 28, 1), 0 the ground, and labels 0 to 9.

    Raises:
        ValueError: If there is no such split.
    """
    if split not in COUNTS:
        raise ValueError(f"glyphs: no split {split!r}: one of {', '.join(COUNTS)}")
    pictures = _pictures()
    count = COUNTS[split] if count is None else count
    labels = np.arange(count) % 10
    images = np.empty((count, SIZE, SIZE, 1), np.uint8)
    for number, label in enumerate(labels):
        rng = np.random.default_rng([seed, split == "test", number])
        images[number, :, :, 0] = _drawn(rng, pictures[label])
    return ImageSet(images, labels.astype(np.int64), tuple("0123456789"), "glyphs")


def _drawn(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    turn, slant = rng.normal(0, 0.12), rng.normal(0, 0.15)
    tall, wide = rng.uniform(2.3, 3.1), rng.uniform(2.3, 3.3)
    cos, sin = np.cos(turn), np.sin(turn)
    # From a place in the image to one in the picture.
    back = np.array([[cos, sin], [-sin, cos]]) @ np.array([[1, 0], [slant, 1]])
    back = np.diag([1 / tall, 1 / wide]) @ back
    middle = np.array([SIZE, SIZE]) / 2 - 0.5 + rng.uniform(-2, 2, 2)
    offset: Any = (np.array(picture.shape) - 1) / 2 - back @ middle
    drawn = ndimage.affine_transform(
        *(picture, back, offset), output_shape=(SIZE, SIZE), order=1, mode="constant"
    )
    drawn = ndimage.gaussian_filter(drawn, rng.uniform(0.4, 0.9))
    return np.clip(drawn * rng.uniform(220, 300), 0, 255).astype(np.uint8)
