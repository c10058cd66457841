"""The other side of the fractals and of VisualAtom: an image at a time, a point at a time.

As the released recipes have it: a Python loop over one chain of points, and Pillow to paste
patches and to draw lines. Random numbers are NumPy's. Images are uint8, (side, side, 3).
"""

import math

import numpy as np
from PIL import Image, ImageDraw

POINTS = 200_000 / 362**2
"""Points for each pixel of a fractal's image."""

PADDING = 6 / 362
"""Of a fractal's image on each side, as a share of it."""

GREY = 127

SIDE = 512
"""Of the image whose pixels VisualAtom's lengths are in."""


def contractive_maps(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Maps (map, 6) and probabilities that draw something, without the long search."""
    count = rng.integers(2, 8)
    maps = rng.uniform(-1, 1, (count, 6))
    norms = np.linalg.norm(maps[:, :4].reshape(-1, 2, 2), ord=2, axis=(1, 2))
    maps[:, :4] *= (0.8 / np.maximum(norms, 0.8))[:, None]
    area = abs(maps[:, 0] * maps[:, 3] - maps[:, 1] * maps[:, 2])
    return maps, area / area.sum()


def fractal(
    rng: np.random.Generator,
    size: int,
    maps: np.ndarray,
    share: np.ndarray,
    points: int | None = None,
) -> np.ndarray:
    """FractalDB's way: points of one chain, each with a patch of its own pasted on it.

    Args:
        rng: Of the patches; the chain has a seed of its own.
        size: Side in pixels.
        maps: a, b, c, d, e, f of each.
        share: Probabilities.
        points: How many; as many for each pixel as in the published setting by default.
    """
    points = round(POINTS * size**2) if points is None else points
    edges, table = [*np.cumsum(share).tolist()[:-1], 1.0], maps.tolist()
    x = y = 0.0
    xs, ys = [x], [y]
    for number in np.random.RandomState(100).random_sample(points).tolist()[:-1]:
        which = 0
        while number > edges[which]:
            which += 1
        a, b, c, d, e, f = table[which]
        x, y = a * x + b * y + e, c * x + d * y + f
        xs.append(x)
        ys.append(y)
    inside, edge = size * (1 - 2 * PADDING), size * PADDING
    columns, rows = (
        (inside * (v - v.min()) / (v.max() - v.min()) + edge).astype(int)
        for v in (np.asarray(xs), np.asarray(ys))
    )
    image = Image.new("RGB", (size, size))
    for column, row in zip(columns.tolist(), rows.tolist(), strict=True):
        bits = f"{rng.integers(1, 512):09b}"
        patch = np.zeros((3, 3, 3), np.uint8)
        for place, bit in enumerate(bits):
            patch[place // 3, place % 3] = GREY * int(bit)
        image.paste(Image.fromarray(patch), (column + 1, row + 1))
    return np.asarray(image)


def visual_atom(rng: np.random.Generator, size: int) -> np.ndarray:
    """VisualAtom's way: every vertex in a Python loop, every line drawn by Pillow."""
    count, contours = int(rng.integers(200, 1001)), int(rng.integers(1, 201))
    noise, growth = rng.uniform(0, 4), rng.uniform(0, 0.01)
    first, second = rng.integers(0, 21, 2).tolist()
    radius = int(rng.integers(0, 51))
    stretch_x, stretch_y = rng.uniform(1, 2, 2)
    middle_x, middle_y = rng.integers(0, 2 * SIDE + 1, 2) / 2
    angles = [2 * math.pi * vertex / count for vertex in range(count)]
    xs = [middle_x + radius * stretch_x * math.cos(angle) for angle in angles]
    ys = [middle_y + radius * stretch_y * math.sin(angle) for angle in angles]
    image = Image.new("RGB", (size, size))
    canvas, scale = ImageDraw.Draw(image), size / SIDE
    for _ in range(contours):
        grey = int(rng.integers(0, 256))
        for vertex, angle in enumerate(angles):
            waves = 0.5 * math.sin(first * angle) + 0.5 * math.sin(second * angle)
            along = noise * (1 - _line_noise(rng)) + waves + growth
            xs[vertex] += math.cos(angle) * along
            along = noise * (1 - _line_noise(rng)) + waves + growth
            ys[vertex] += math.sin(angle) * along
        for vertex in range(count):
            after = (vertex + 1) % count
            ends = xs[vertex], ys[vertex], xs[after], ys[after]
            canvas.line([scale * end for end in ends], fill=(grey, grey, grey), width=1)
    return np.asarray(image)


_SLOPES = np.random.RandomState(0).permutation(256).tolist()


def _line_noise(rng: np.random.Generator) -> float:
    """Perlin's noise at a random place of a line."""
    place = rng.random() * 10_000
    cell = int(place)
    place -= cell

    def slope(number: int) -> float:
        hashed = _SLOPES[number & 255]
        return -1.0 if hashed & 8 else (hashed & 7) + 1.0

    fade = place**3 * (place * (place * 6 - 15) + 10)
    left, right = slope(cell) * place, slope(cell + 1) * (place - 1)
    return 0.4 * (left + fade * (right - left))
