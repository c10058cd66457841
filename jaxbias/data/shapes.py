"""Ten classes of shapes, drawn here: images to train on where there are no files.

Each image has one shape of random place, size, turn and colour on a ground of another
colour that fades across the image, under noise. Colour and place say nothing of the class,
so a linear classifier does poorly; a small convolutional network learns it in minutes.
"""

from collections.abc import Callable

import numpy as np

from jaxbias.data.archives import ImageSet, SourceError

COUNTS = {"train": 20_000, "test": 2_000}
"""Images of each split."""

CONTRAST = 60.0
"""Least difference of mean brightness between shape and ground, in levels of 255.

Before the ground fades and the noise is added.
"""

NOISE = 14.0
"""Standard deviation of the noise, in levels of 255."""

PIECE = 500
"""Images that are drawn at once."""

Field = np.ndarray
"""Coordinates or signed distances, (image, height, width); negative is inside."""


def _disc(x: Field, y: Field) -> Field:
    return np.hypot(x, y) - 0.9


def _ring(x: Field, y: Field) -> Field:
    return np.abs(np.hypot(x, y) - 0.7) - 0.2


def _square(x: Field, y: Field) -> Field:
    return np.maximum(np.abs(x), np.abs(y)) - 0.75


def _frame(x: Field, y: Field) -> Field:
    return np.abs(np.maximum(np.abs(x), np.abs(y)) - 0.62) - 0.17


def _polygon(sides: int) -> Callable[[Field, Field], Field]:
    def distance(x: Field, y: Field) -> Field:
        angles = 2 * np.pi * np.arange(sides) / sides
        return np.max([x * np.cos(a) + y * np.sin(a) for a in angles], axis=0) - 0.5

    return distance


def _star(x: Field, y: Field) -> Field:
    angle = np.abs((np.arctan2(y, x) % (2 * np.pi / 5)) - np.pi / 5)
    return np.hypot(x, y) - (0.42 + 0.62 * (angle / (np.pi / 5)) ** 1.3)


def _cross(x: Field, y: Field) -> Field:
    bar = lambda a, b: np.maximum(np.abs(a) - 0.95, np.abs(b) - 0.26)  # noqa: E731
    return np.minimum(bar(x, y), bar(y, x))


def _crescent(x: Field, y: Field) -> Field:
    return np.maximum(np.hypot(x, y) - 0.9, 0.75 - np.hypot(x - 0.5, y))


def _bars(x: Field, y: Field) -> Field:
    edge = np.maximum(np.abs(x), np.abs(y)) - 0.9
    return np.maximum(edge, np.abs((y + 0.9) % 0.72 - 0.18) - 0.18)


def _arrow(x: Field, y: Field) -> Field:
    head = np.maximum(np.abs(y) + (x - 0.95), -x)
    shaft = np.maximum(np.abs(y) - 0.22, np.abs(x + 0.4) - 0.5)
    return np.minimum(head, shaft)


SHAPES: dict[str, Callable[[Field, Field], Field]] = {
    "disc": _disc,
    "ring": _ring,
    "square": _square,
    "frame": _frame,
    "triangle": _polygon(3),
    "star": _star,
    "cross": _cross,
    "crescent": _crescent,
    "bars": _bars,
    "arrow": _arrow,
}
"""Signed distance of each class within the square from -1 to 1."""


def shapes(
    split: str, *, size: int = 32, count: int | None = None, seed: int = 0
) -> ImageSet:
    """Draw a split of the set.

    Args:
        split: "train" or "test"; no image is in both.
        size: Side, in pixels.
        count: How many images; None takes `COUNTS`. The first ones are the same whatever
            the count.
        seed: Another seed is another set.

    Returns:
        Images (count, size, size, 3), class i mod 10 for image i.

    Raises:
        SourceError: If there is no such split, or nothing is asked for.
    """
    if split not in COUNTS:
        raise SourceError(f"split {split!r}: one of {', '.join(COUNTS)}")
    count = COUNTS[split] if count is None else count
    if count < 1 or size < 1:
        raise SourceError(f"{count} shapes of {size} pixels: at least 1 of each")
    stream = seed, list(COUNTS).index(split), size
    pieces = [
        _draw(np.random.default_rng([*stream, start]), size)[: count - start]
        for start in range(0, count, PIECE)
    ]
    labels = np.arange(count) % len(SHAPES)
    return ImageSet(np.concatenate(pieces), labels, tuple(SHAPES), f"shapes {split}")


def _draw(rng: np.random.Generator, size: int) -> np.ndarray:
    """A piece of the set: `PIECE` images."""
    radius = rng.uniform(0.24, 0.42, (PIECE, 1, 1)) * size
    centre = radius + rng.uniform(size=(2, PIECE, 1, 1)) * (size - 2 * radius)
    turn = rng.uniform(-np.pi, np.pi, (PIECE, 1, 1))
    place = np.arange(size) + 0.5
    x = (place[None, None] - centre[0]) / radius
    y = (place[None, :, None] - centre[1]) / radius
    x, y = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    distance = np.empty((PIECE, size, size))
    for label, shape in enumerate(SHAPES.values()):
        own = np.arange(PIECE) % len(SHAPES) == label
        distance[own] = shape(x[own], y[own])
    # A pixel's share of the shape, from its centre's distance to the edge in pixels.
    share = np.clip(0.5 - distance * radius, 0.0, 1.0)[..., None]
    ground, figure = _colours(rng)
    fade = rng.uniform(-25, 25, (2, PIECE, 1, 1, 3))
    slope = (place / size - 0.5)[None, :, None, None] * fade[0]
    slope = slope + (place / size - 0.5)[None, None, :, None] * fade[1]
    pixels = ground + slope + share * (figure - ground)
    pixels += NOISE * rng.standard_normal(pixels.shape, np.float32)
    return np.clip(np.round(pixels), 0, 255).astype(np.uint8)


def _colours(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Colours of ground and shape, whose mean brightness is far enough apart."""
    # Half of the contrast may be added or taken away below: so far from both ends.
    low, high = CONTRAST / 2, 255 - CONTRAST / 2
    colours = rng.uniform(low, high, (2, PIECE, 1, 1, 3))
    means = colours.mean(axis=-1, keepdims=True)
    apart = np.abs(means[0] - means[1])
    # Where it is not, the darker one is darkened and the lighter one lightened.
    missing = np.maximum(CONTRAST - apart, 0.0) / 2
    sign = np.where(means[0] >= means[1], 1.0, -1.0)
    return colours[0] + sign * missing, colours[1] - sign * missing
