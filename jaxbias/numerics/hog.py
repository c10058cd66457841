"""Histograms of oriented gradients (Dalal and Triggs 2005), as scikit-image makes them.

Equal, but for rounding, to `skimage.feature.hog(image, visualize=True,
transform_sqrt=True, channel_axis=-1)` with its defaults: nine orientations, cells of 8 by 8
pixels, blocks of 3 by 3 cells, L2 norms that are clipped once ("L2-Hys").
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

Images = Float[Array, "image height width channel"]
Histograms = Float[Array, "image row column orientation"]

ORIENTATIONS = 9
CELL = 8
"""Pixels of a cell each way. What is left of the image to the right and below is unused."""

BLOCK = 3
"""Cells of a block each way."""

CLIP = 0.2
EPSILON = 1e-5


@jax.jit
def histograms(images: Images) -> Histograms:
    """How strong the gradients of each cell are, by orientation.

    Args:
        images: Scale 0 to 1; their square roots are taken. Of each pixel the channel with
            the largest gradient counts.

    Returns:
        Gradients (mean over the pixels of the cell) in sectors of 20 degrees from 0 to 180.

    Raises:
        ValueError: If a side is shorter than one cell.
    """
    count, height, width, _ = images.shape
    rows, columns = height // CELL, width // CELL
    if not rows or not columns:
        raise ValueError(f"{height} x {width} pixels: a cell has {CELL} x {CELL}")
    x, y, power = _strongest(jnp.sqrt(jnp.maximum(images, 0.0)))
    whole = (slice(None), slice(rows * CELL), slice(columns * CELL))
    size, sector = jnp.sqrt(power)[whole], _sectors(x, y)[whole]

    def total(number: Array) -> Array:
        chosen = jnp.where(sector == number, size, 0.0)
        return chosen.reshape(count, rows, CELL, columns, CELL).sum((2, 4))

    # A loop: XLA would compute the gradients nine times, which is four times slower.
    totals = lax.map(total, jnp.arange(ORIENTATIONS))
    return jnp.moveaxis(totals, 0, -1) / CELL**2


def _strongest(roots: Images) -> tuple[Array, Array, Array]:
    """Differences along columns and rows, and the sum of their squares.

    They are 0 at the border, and those of the channel where the sum is largest elsewhere.
    """
    best_x, best_y, best = jnp.zeros((3, *roots.shape[:3]), roots.dtype)
    for plane in jnp.moveaxis(roots, -1, 0):
        y = jnp.pad(plane[:, 2:] - plane[:, :-2], ((0, 0), (1, 1), (0, 0)))
        x = jnp.pad(plane[:, :, 2:] - plane[:, :, :-2], ((0, 0), (0, 0), (1, 1)))
        # In this order equal gradients stay equal where products and sums are fused.
        high = jnp.maximum(jnp.abs(x), jnp.abs(y))
        low = jnp.minimum(jnp.abs(x), jnp.abs(y))
        power = high * high + low * low
        larger = power > best
        best_x, best_y = jnp.where(larger, x, best_x), jnp.where(larger, y, best_y)
        best = jnp.where(larger, power, best)
    return best_x, best_y, best


def _sectors(x: Array, y: Array) -> Array:
    """Number of the sector of each direction, modulo 180 degrees."""
    below = (y < 0) | ((y == 0) & (x < 0))
    x, y = jnp.where(below, -x, x), jnp.where(below, -y, y)
    sector = jnp.zeros(x.shape, jnp.int32)
    for number in range(1, ORIENTATIONS):
        angle = math.pi * number / ORIENTATIONS
        sector += y * math.cos(angle) >= x * math.sin(angle)
    return sector


@jax.jit
def descriptor(images: Images) -> Float[Array, "image feature"]:
    """Histograms of all blocks, each block normalised.

    Args:
        images: Scale 0 to 1, at least 24 pixels each way.

    Returns:
        (rows - 2) * (columns - 2) * 81 features for rows times columns cells, in
        scikit-image's order: block, cell, orientation.

    Raises:
        ValueError: If no block fits.
    """
    found = histograms(images)
    count, rows, columns, _ = found.shape
    if min(rows, columns) < BLOCK:
        raise ValueError(
            f"{images.shape[1]} x {images.shape[2]} pixels: "
            f"a block has {BLOCK * CELL} x {BLOCK * CELL}"
        )
    down, right = rows - BLOCK + 1, columns - BLOCK + 1
    blocks = jnp.stack(
        [
            found[:, i : i + down, j : j + right]
            for i in range(BLOCK)
            for j in range(BLOCK)
        ],
        axis=3,
    )
    blocks = jnp.minimum(_unit(blocks), CLIP)
    return _unit(blocks).reshape(count, -1)


def _unit(blocks: Float[Array, "image row column cell orientation"]) -> Array:
    power = jnp.sum(blocks**2, axis=(3, 4), keepdims=True)
    return blocks / jnp.sqrt(power + EPSILON**2)


@jax.jit
def picture(images: Images) -> Float[Array, "image height width"]:
    """Draw each cell's histogram as lines along the edges, as bright as it is high.

    Blocks play no part in it. Images of one or two cells each way, which scikit-image
    refuses, are drawn too.

    Args:
        images: Scale 0 to 1, at least 8 pixels each way.

    Returns:
        Sums of `histograms` over the lines through each pixel; 0 outside of whole cells.

    Raises:
        ValueError: If a side is shorter than one cell.
    """
    found = histograms(images)
    lines = jnp.asarray(_lines(), found.dtype)
    drawn = jnp.einsum("nrco,oij->nricj", found, lines, precision="highest")
    count, rows, _, columns, _ = drawn.shape
    drawn = drawn.reshape(count, rows * CELL, columns * CELL)
    height, width = images.shape[1:3]
    return jnp.pad(
        drawn, ((0, 0), (0, height - rows * CELL), (0, width - columns * CELL))
    )


def _lines() -> np.ndarray:
    """Pixels of the line through a cell for each orientation, at right angles to it."""
    masks = np.zeros((ORIENTATIONS, CELL, CELL), np.float32)
    middle, radius = CELL // 2, CELL // 2 - 1
    for number, mask in enumerate(masks):
        angle = math.pi * (number + 0.5) / ORIENTATIONS
        down, right = radius * math.cos(angle), -radius * math.sin(angle)
        start = int(middle - down), int(middle - right)
        end = int(middle + down), int(middle + right)
        for row, column in bresenham(start, end):
            mask[row, column] = 1
    return masks


def bresenham(start: tuple[int, int], end: tuple[int, int]) -> list[tuple[int, int]]:
    """Pixels (row, column) of a line between two, ends included (Bresenham 1965)."""
    rows, columns = (b - a for a, b in zip(start, end, strict=True))
    steep = abs(rows) > abs(columns)
    length, rise = (rows, columns) if steep else (columns, rows)
    along, across = start[::-1] if not steep else start
    pixels, error = [], 2 * abs(rise) - abs(length)
    for _ in range(abs(length)):
        pixels.append((along, across) if steep else (across, along))
        if error >= 0:
            across += 1 if rise > 0 else -1
            error -= 2 * abs(length)
        along += 1 if length > 0 else -1
        error += 2 * abs(rise)
    return [*pixels, end]
