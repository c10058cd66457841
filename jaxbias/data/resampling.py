"""Blurring, zooming and warping one image by amounts that may be traced."""

import math
from typing import Literal

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

Pixels = Float[Array, "height width channel"]
Matrix = Float[Array, "new old"]
Border = Literal["mirror", "reflect", "zero"]


def separable(image: Pixels, down: Matrix, across: Matrix) -> Pixels:
    """Multiply the columns of an image by one matrix, and its rows by another."""
    tall = jnp.einsum("Hh,hwc->Hwc", down, image, precision=lax.Precision.HIGHEST)
    return jnp.einsum("Ww,hwc->hWc", across, tall, precision=lax.Precision.HIGHEST)


def gaussian_matrices(
    size: int,
    sigmas: np.ndarray,
    *,
    truncate: float = 4.0,
    border: Literal["nearest", "reflect"] = "nearest",
) -> Float[np.ndarray, "sigma size size"]:
    """Gaussian blurs along a side, as scipy's `gaussian_filter1d` of the same border.

    "nearest" repeats the outermost pixel (scikit-image's default), "reflect" mirrors the
    image at its edge. A sigma of 0 changes nothing.
    """
    found = []
    for sigma in np.asarray(sigmas, np.float64):
        radius = int(truncate * sigma + 0.5)
        offsets = np.arange(-radius, radius + 1)
        weights = np.exp(-0.5 * (offsets / max(sigma, 1e-9)) ** 2)
        rows, columns = np.arange(size)[:, None], np.arange(size)[:, None] + offsets
        if border == "nearest":
            columns = np.clip(columns, 0, size - 1)
        else:
            columns = columns % (2 * size)
            columns = np.minimum(columns, 2 * size - 1 - columns)
        matrix = np.zeros((size, size))
        np.add.at(matrix, (rows, columns), weights / weights.sum())
        found.append(matrix)
    return np.stack(found).astype(np.float32)


def zoom_places(
    size: int, factor: float
) -> tuple[Int[np.ndarray, " size"], Float[np.ndarray, " size"]]:
    """Where each pixel of a magnified centre comes from, along one side.

    The central `ceil(size / factor)` pixels are enlarged linearly, end points kept, to
    `round` of that times the factor (scipy's `zoom` of order 1), and the middle is cut out.

    Returns:
        The pixel before each place, and the share of the next one.
    """
    crop = math.ceil(size / factor)
    grown = round(crop * factor)
    shown = np.arange(size) + (grown - size) // 2
    places = shown * (crop - 1) / (grown - 1) + (size - crop) // 2
    low = np.minimum(places.astype(np.int32), size - 2)
    return low, (places - low).astype(np.float32)


def zoomed(
    image: Pixels, low: Int[Array, " size"], share: Float[Array, " size"]
) -> Pixels:
    """Magnify the centre of a square by its `zoom_places`."""
    # Rows are contiguous: columns are moved as the rows of the transpose.
    for _ in range(2):
        part = share[:, None, None]
        before = image.at[low].get(mode="promise_in_bounds")
        after = image.at[low + 1].get(mode="promise_in_bounds")
        image = ((1 - part) * before + part * after).swapaxes(0, 1)
    return image


def streaked(
    image: Pixels,
    radius: Float[Array, ""],
    sigma: Float[Array, ""],
    angle: Float[Array, ""],
    *,
    longest: int,
) -> Pixels:
    """ImageMagick's motion blur: a one-sided Gaussian mean along a line.

    Weights are exp(-(i / sigma)^2 / 2) over i = 0 to 2 radius, normalised, of the pixel i
    steps along the angle, rounded to whole pixels; outermost pixels are repeated.

    Args:
        image: One image.
        radius: In whole pixels.
        sigma: In pixels.
        angle: In degrees, from right to down.
        longest: Largest radius that may come.
    """
    height, width, channels = image.shape
    taps = 2 * longest + 1
    step = jnp.arange(taps)
    weights = jnp.where(step <= 2 * radius, jnp.exp(-0.5 * (step / sigma) ** 2), 0.0)
    weights = weights / weights.sum()
    turn = jnp.deg2rad(angle)
    down = jnp.ceil(step * jnp.sin(turn) - 0.5).astype(jnp.int32) + taps - 1
    right = jnp.ceil(step * jnp.cos(turn) - 0.5).astype(jnp.int32) + taps - 1
    margin = (taps - 1, taps - 1)
    wide = jnp.pad(image, (margin, margin, (0, 0)), mode="edge")

    def add(i: Array, total: Array) -> Array:
        start = (down[i], right[i], 0)
        return total + weights[i] * lax.dynamic_slice(
            wide, start, (height, width, channels)
        )

    count = 2 * radius.astype(jnp.int32) + 1
    return lax.fori_loop(0, count, add, jnp.zeros_like(image))


def bilinear(
    image: Pixels,
    rows: Float[Array, "row column"],
    columns: Float[Array, "row column"],
    border: Border,
) -> Float[Array, "row column channel"]:
    """Look an image up at fractional places; the first pixel is at (0, 0).

    Outside, "mirror" reflects at the outermost pixel's middle, "reflect" at its edge, and
    "zero" is 0.
    """
    height, width, _ = image.shape
    top, left = jnp.floor(rows), jnp.floor(columns)
    down, right = (rows - top)[..., None], (columns - left)[..., None]

    def look(i: Array, j: Array) -> Array:
        inside = (i >= 0) & (i < height) & (j >= 0) & (j < width)
        i, j = _folded(i, height, border), _folded(j, width, border)
        found = image.at[i, j].get(mode="promise_in_bounds")
        return jnp.where(inside[..., None], found, 0.0) if border == "zero" else found

    i, j = top.astype(jnp.int32), left.astype(jnp.int32)
    above = (1 - right) * look(i, j) + right * look(i, j + 1)
    below = (1 - right) * look(i + 1, j) + right * look(i + 1, j + 1)
    return (1 - down) * above + down * below


def _folded(index: Array, length: int, border: Border) -> Array:
    if border == "zero":
        return jnp.clip(index, 0, length - 1)
    period = 2 * length - 2 if border == "mirror" else 2 * length
    index = index % period
    mirrored = period - index if border == "mirror" else period - 1 - index
    return jnp.where(index < length, index, mirrored)
