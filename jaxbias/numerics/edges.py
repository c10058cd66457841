"""Canny's edges of colour images, pixel by pixel those of OpenCV.

What OpenCV makes of 8-bit RGB is whole numbers throughout, so nothing is approximate here.
They fit into 16 bits, in which a CPU is several times faster than in 32.
"""

from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int, Int16, UInt32

Planes = Int16[Array, "*batch row column"]
Words = UInt32[Array, "image word column"]
Border = Literal["reflect", "repeat", "zero"]

LOW, HIGH = 85, 255
"""Thresholds of Understanding Bias: least gradient of an edge, and of where one starts."""

TANGENT = 13573
"""tan(22.5 degrees) * 2^15, as OpenCV rounds it."""

WORD = 32
"""Rows that are kept in the bits of one word."""

STEPS = 8
"""By how many pixels edges grow before it is asked whether they still do."""


@partial(jax.jit, static_argnames=("low", "high"))
def canny(
    images: Float[Array, "image height width 3"], *, low: int = LOW, high: int = HIGH
) -> Float[Array, "image height width 1"]:
    """Mark the edges of each image.

    Equal to `cv2.Canny(cv2.GaussianBlur(image, (3, 3), 0), low, high)` of the image's 8-bit
    levels: of each pixel the channel with the largest gradient counts, gradients are
    |dx| + |dy| of 3 by 3 Sobel filters, and edges are joined to eight neighbours.

    Args:
        images: Scale 0 to 1; rounded to 256 levels first. Any sides.
        low: Edges have gradients above this, in levels.
        high: Each edge has such a gradient somewhere.

    Returns:
        1 on edges, else 0.

    Raises:
        ValueError: If the thresholds are not in order.

    References:
        Canny (1986); Understanding Bias in Large-Scale Visual Datasets (2024), section 3.
    """
    if not 0 <= low <= high:
        raise ValueError(f"thresholds {low} and {high}: 0 <= low <= high is needed")
    levels = jnp.round(jnp.clip(images, 0.0, 1.0) * 255).astype(jnp.int16)
    edges = _between(*_strongest(jnp.moveaxis(levels, -1, 0)), low, high)
    return edges.astype(images.dtype)[..., None]


def canny_plane(
    levels: Float[Array, "height width"], *, low: int, high: int
) -> Bool[Array, "height width"]:
    """Mark the edges of one plane as it is, unblurred: `cv2.Canny(levels, low, high)`.

    Args:
        levels: Whole numbers, 0 to 255.
        low: See `canny`.
        high: See `canny`.
    """
    x, y = _gradients(levels.astype(jnp.int16)[None])
    return _between(x, y, jnp.abs(x) + jnp.abs(y), low, high)[0] > 0


def _between(x: Planes, y: Planes, size: Planes, low: int, high: int) -> Array:
    """Ridges of gradients above the lower threshold that reach the higher one."""
    thin = _ridges(x, y, size)
    return _joined(thin & (size > high), thin & (size > low))


def _around(planes: Array, axis: int, border: Border) -> tuple[Array, Array, Array]:
    """Each pixel's neighbour before it, the pixel itself, and the one after it."""
    length = planes.shape[axis]
    at = partial(lax.slice_in_dim, planes, axis=axis)
    if border == "reflect" and length > 1:
        before, after = at(1, 2), at(length - 2, length - 1)
    else:
        before, after = at(0, 1), at(length - 1, length)
    if border == "zero":
        before = after = jnp.zeros_like(before)
    wide = jnp.concatenate([before, planes, after], axis=axis)
    first, second, third = (
        lax.slice_in_dim(wide, i, i + length, axis=axis) for i in range(3)
    )
    return first, second, third


def _blurred(levels: Planes) -> Planes:
    """OpenCV's Gaussian of 3 by 3: weights 1, 2, 1 each way, halves rounded up."""
    for axis in (levels.ndim - 2, levels.ndim - 1):
        before, here, after = _around(levels, axis, "reflect")
        levels = before + 2 * here + after
    return (levels + 8) >> 4


def _gradients(levels: Planes) -> tuple[Planes, Planes]:
    """Sobel's, along columns and along rows."""
    row, column = levels.ndim - 2, levels.ndim - 1
    above, here, below = _around(levels, row, "repeat")
    left, _, right = _around(above + 2 * here + below, column, "repeat")
    before, here, after = _around(below - above, column, "repeat")
    return right - left, before + 2 * here + after


def _strongest(
    levels: Int16[Array, "channel image row column"],
) -> tuple[Planes, Planes, Planes]:
    """Gradients of the blurred channel in which they are largest, and their size."""

    def larger(best: tuple[Planes, Planes, Planes], plane: Planes) -> tuple:
        x, y = _gradients(plane)
        size = jnp.abs(x) + jnp.abs(y)
        wins = size > best[2]
        new = zip((x, y, size), best, strict=True)
        return tuple(jnp.where(wins, a, b) for a, b in new), None

    # Loops over channels: XLA would compute each step again for every pixel of the next,
    # which takes three times as long.
    blurred = lax.map(_blurred, levels)
    none = jnp.zeros_like(blurred[0])
    return lax.scan(larger, (none, none, none), blurred)[0]


def _ridges(x: Planes, y: Planes, size: Planes) -> Bool[Array, "image row column"]:
    """Where the gradient is largest across the edge, of three pixels.

    Of two equal ones on a row or column the first is kept; on a diagonal neither is.
    """
    up, _, down = _around(size, 1, "zero")
    left, _, right = _around(size, 2, "zero")
    up_left, _, up_right = _around(up, 2, "zero")
    down_left, _, down_right = _around(down, 2, "zero")
    along = (size > left) & (size >= right)
    across = (size > up) & (size >= down)
    falling = (size > up_left) & (size > down_right)
    rising = (size > up_right) & (size > down_left)
    wide = jnp.abs(x).astype(jnp.int32)
    high = jnp.abs(y).astype(jnp.int32) << 15
    flat, steep = wide * TANGENT, wide * TANGENT + (wide << 16)
    diagonal = jnp.where((x ^ y) < 0, rising, falling)
    return jnp.where(high < flat, along, jnp.where(high > steep, across, diagonal))


# Which edges hold: growth from strong pixels, 32 rows at a time in the bits of words


def _packed(mask: Bool[Array, "image row column"]) -> Words:
    count, rows, columns = mask.shape
    mask = jnp.pad(mask, ((0, 0), (0, -rows % WORD), (0, 0)))
    bits = mask.reshape(count, -1, WORD, columns).astype(jnp.uint32)
    return jnp.sum(bits << _shifts(), axis=2, dtype=jnp.uint32)


def _unpacked(words: Words, rows: int) -> Int[Array, "image row column"]:
    bits = (words[:, :, None] >> _shifts()) & 1
    count, columns = len(words), words.shape[-1]
    return bits.reshape(count, -1, columns)[:, :rows].astype(jnp.int32)


def _shifts() -> Array:
    return jnp.arange(WORD, dtype=jnp.uint32)[None, None, :, None]


def _grown(words: Words) -> Words:
    """Mark the eight neighbours of what is marked."""
    above, _, below = _around(words, 1, "zero")
    tall = words | words << 1 | words >> 1 | above >> (WORD - 1) | below << (WORD - 1)
    left, _, right = _around(tall, 2, "zero")
    return left | tall | right


def _joined(
    strong: Bool[Array, "image row column"], weak: Bool[Array, "image row column"]
) -> Int[Array, "image row column"]:
    """Those weak pixels that a path of weak ones connects to a strong one."""
    room = _packed(weak)

    def grow(state: tuple[Words, Array]) -> tuple[Words, Array]:
        old, _ = state
        # A loop: unrolled, XLA computes each step again for every pixel of the next.
        new = lax.fori_loop(0, STEPS, lambda _, words: _grown(words) & room, old)
        return new, jnp.any(new != old)

    start = _packed(strong), jnp.bool_(True)
    words, _ = lax.while_loop(lambda state: state[1], grow, start)
    return _unpacked(words, strong.shape[1])
