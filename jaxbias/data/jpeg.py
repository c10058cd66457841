"""JPEG of baseline quality on the device: what libjpeg's compression leaves of an image.

ITU-T T.81 with the choices of libjpeg's defaults (and so of Pillow's): 4:2:0 sampling of
colours, the tables of its Annex K scaled by quality, triangles to bring colours back to
full size. Entropy coding loses nothing and is left out. Numbers are rounded where libjpeg
rounds them, so that nearly all levels are its own.
"""

import math
from functools import partial

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from jaxbias.numerics.low_level import LUMINANCE

Plane = Float[Array, "row column"]
Table = Float[Array, "8 8"]

BLOCK = 8
LUMA = (
    *(16, 11, 10, 16, 24, 40, 51, 61),
    *(12, 12, 14, 19, 26, 58, 60, 55),
    *(14, 13, 16, 24, 40, 57, 69, 56),
    *(14, 17, 22, 29, 51, 87, 80, 62),
    *(18, 22, 37, 56, 68, 109, 103, 77),
    *(24, 35, 55, 64, 81, 104, 113, 92),
    *(49, 64, 78, 87, 103, 121, 120, 101),
    *(72, 92, 95, 98, 112, 100, 103, 99),
)
"""Table K.1: steps of the coefficients of brightness, rows of vertical frequency."""

CHROMA = (
    *(17, 18, 24, 47, 99, 99, 99, 99),
    *(18, 21, 26, 66, 99, 99, 99, 99),
    *(24, 26, 56, 99, 99, 99, 99, 99),
    *(47, 66, 99, 99, 99, 99, 99, 99),
    *(99,) * 32,
)
"""Table K.2: steps of the coefficients of the two colours."""


def quantisation(quality: int) -> tuple[np.ndarray, np.ndarray]:
    """The steps of brightness and colours at a quality of 1 to 100, each 8 by 8.

    Raises:
        ValueError: If the quality is not in that range.
    """
    if not 1 <= quality <= 100:
        raise ValueError(f"quality must be 1 to 100, got {quality}")
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    tables = np.asarray([LUMA, CHROMA]).reshape(2, BLOCK, BLOCK)
    luma, chroma = np.clip((tables * scale + 50) // 100, 1, 255).astype(np.float32)
    return luma, chroma


def round_trip(
    image: Float[Array, "height width 3"], luma: Table, chroma: Table
) -> Float[Array, "height width 3"]:
    """Compress and decompress.

    Args:
        image: Scale 0 to 1; rounded to 256 levels first. Any sides: the outermost pixels
            are repeated up to a multiple of 16.
        luma: Steps of the coefficients of brightness; may be traced. See `quantisation`.
        chroma: Those of the two colours.

    Returns:
        Whole levels, on the scale 0 to 1.
    """
    height, width, _ = image.shape
    levels = jnp.round(jnp.clip(image, 0.0, 1.0) * 255)
    margins = ((0, -height % 16), (0, -width % 16), (0, 0))
    y, blue, red = _to_ycc(jnp.pad(levels, margins, mode="edge"))
    y = _coded(y, luma)
    blue, red = (_enlarged(_coded(_halved(c), chroma)) - 128 for c in (blue, red))
    # Rec. 601: what inverts the weights of brightness.
    r, b = 2 * (1 - LUMINANCE[0]), 2 * (1 - LUMINANCE[2])
    green = (r * LUMINANCE[0] * red + b * LUMINANCE[2] * blue) / LUMINANCE[1]
    colours = jnp.stack([y + r * red, y - green, y + b * blue], axis=-1)
    return jnp.clip(jnp.round(colours), 0, 255)[:height, :width] / 255


def _to_ycc(
    levels: Float[Array, "row column 3"],
) -> tuple[Plane, Plane, Plane]:
    """Brightness and the two colours, in whole levels; grey has colours of 128."""
    red, green, blue = LUMINANCE
    weights = np.asarray(
        [
            (red, green, blue),
            (-red / (1 - blue) / 2, -green / (1 - blue) / 2, 0.5),
            (0.5, -green / (1 - red) / 2, -blue / (1 - red) / 2),
        ]
    )
    # libjpeg's fixed point of 16 bits: halves of brightness are rounded up, others down.
    fixed = np.round(weights * 2**16).astype(np.int32)
    offset = np.asarray([2**15, 2**23 + 2**15 - 1, 2**23 + 2**15 - 1], np.int32)
    pixels = levels.astype(jnp.int32)
    y, cb, cr = (
        (sum(pixels[..., i] * row[i] for i in range(3)) + extra) >> 16
        for row, extra in zip(fixed, offset, strict=True)
    )
    return tuple(plane.astype(levels.dtype) for plane in (y, cb, cr))  # type: ignore[return-value]


def _coded(plane: Plane, steps: Table) -> Plane:
    """Round the cosine coefficients of each block to multiples of their steps."""
    height, width = plane.shape
    down, across = (jnp.asarray(_cosines(n)) for n in (height, width))
    product = partial(jnp.matmul, precision=lax.Precision.HIGHEST)
    # libjpeg's whole numbers: rows at 4 times their size, coefficients at 8 times, and
    # on the way back columns at 4 times.
    rows = _rounded(4 * product(plane - 128, across.T))
    coefficients = _rounded(product(down, rows) / 4)
    step = jnp.tile(steps, (height // BLOCK, width // BLOCK))
    size = jnp.floor((jnp.abs(coefficients) + 4 * step) / (8 * step))
    columns = _rounded(4 * product(down.T, jnp.sign(coefficients) * size * step))
    back = _rounded(product(columns, across) / 32) + 128
    return jnp.clip(back, 0, 255)


def _rounded(values: Array) -> Array:
    return jnp.floor(values + 0.5)


def _cosines(size: int) -> Float[np.ndarray, "size size"]:
    """The cosine transform of every 8 pixels along a side, rows of length sqrt(8)."""
    # One product with a matrix that is mostly 0: on a CPU many small ones take longer.
    frequency, place = np.arange(BLOCK)[:, None], np.arange(BLOCK)[None]
    basis = np.cos(math.pi * frequency * (2 * place + 1) / (2 * BLOCK)) * math.sqrt(2)
    basis[0] = 1.0
    return np.kron(np.eye(size // BLOCK), basis).astype(np.float32)


def _halved(plane: Plane) -> Float[Array, "half_height half_width"]:
    """Mean of each 2 by 2; of every second column quarters are rounded up otherwise."""
    height, width = plane.shape
    total = plane.reshape(height // 2, 2, width // 2, 2).sum((1, 3))
    extra = 1 + np.arange(width // 2) % 2
    return jnp.floor((total + extra[None].astype(np.float32)) / 4)


def _enlarged(plane: Plane) -> Float[Array, "double_height double_width"]:
    """Twice the size each way: 3/4 of the nearer pixel and 1/4 of the next."""
    tall = jnp.stack([3 * plane + _moved(plane, step, 0) for step in (1, -1)], axis=1)
    tall = tall.reshape(-1, plane.shape[1])
    # libjpeg rounds halves up in left pixels, down in right ones.
    wide = [3 * tall + _moved(tall, step, 1) + half for step, half in ((1, 8), (-1, 7))]
    found = jnp.floor(jnp.stack(wide, axis=2) / 16)
    return found.reshape(tall.shape[0], -1)


def _moved(plane: Plane, step: int, axis: int) -> Plane:
    """Each pixel's neighbour before (step 1) or after it; the outermost are repeated."""
    size = plane.shape[axis]
    index = np.clip(np.arange(size) - step, 0, size - 1)
    return jnp.take(plane, index, axis=axis)
