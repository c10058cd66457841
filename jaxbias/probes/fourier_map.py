"""Fourier heat maps: how often a network errs when one wave is added to its images.

Yin et al., A Fourier perspective on model robustness in computer vision (NeurIPS 2019).
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

from jaxbias.arrays import Params, RandomKey
from jaxbias.probes.paths import Function

Images = Float[Array, "image height width channel"]
Frequencies = Int[np.ndarray, "row column 2"]
Map = Float[Array, "row column"]


class FourierMap(NamedTuple):
    """What each wave does to a network; frequency 0 is at [rows // 2, columns // 2].

    Attributes:
        error: Share of images that are classified wrongly; NaN where a logit is not
            finite.
        change: Mean over images of the L2 distance that the outputs move.
    """

    error: Map
    change: Map


def frequencies(height: int, width: int, side: int | None = None) -> Frequencies:
    """Frequency of each cell along both axes, in cycles per image.

    Args:
        height: Of the images.
        width: Of the images.
        side: Of the central square of cells. None takes all cells.

    Raises:
        ValueError: If the square does not fit in.
    """
    rows, columns = (height, width) if side is None else (side, side)
    if not (1 <= rows <= height and 1 <= columns <= width):
        raise ValueError(f"{side} x {side} cells of {height} x {width} pixels")
    axes = (np.arange(count) - count // 2 for count in (rows, columns))
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=2).astype(np.int32)


def wave(
    height: int, width: int, frequency: Int[Array, "2"]
) -> Float[Array, "height width"]:
    """The real image of unit L2 norm at one frequency and its mirror image.

    It is (cos a + sin a) / sqrt(height width), with a the angle at each pixel. Those of
    all cells are orthonormal, a frequency and its mirror image being two phases.

    Args:
        height: Of the image.
        width: Of the image.
        frequency: Cycles per image along both axes, of either sign; may be traced.
    """
    # Whole turns are left out first, exactly.
    down, across = (
        frequency[axis] * jnp.arange(size) % size / size
        for axis, size in enumerate((height, width))
    )
    angle = 2 * jnp.pi * (down[:, None] + across[None])
    return (jnp.cos(angle) + jnp.sin(angle)) / np.sqrt(height * width)


def with_wave(
    images: Images,
    key: RandomKey,
    frequency: Int[Array, "2"],
    norm: Array | float,
) -> Images:
    """Images with a wave added to every channel, cut to 0 to 1.

    Args:
        images: On the scale 0 to 1.
        key: Of the signs, one for each image and channel.
        frequency: See `wave`.
        norm: L2 norm of what is added to each channel, before the cut.
    """
    # Paper: the released code leaves out the norm where signs are random, so that what it
    # adds is of norm 1. Here it counts, as it does there without random signs.
    count, height, width, channels = images.shape
    signs = jax.random.rademacher(key, (count * channels,), jnp.float32)
    added = norm * wave(height, width, frequency)
    signed = signs.reshape(count, 1, 1, channels) * added[None, :, :, None]
    return jnp.clip(images + signed, 0.0, 1.0)


@partial(jax.jit, static_argnames=("predict", "side", "outputs"))
def fourier_map(
    predict: Function,
    params: Params,
    images: Images,
    labels: Int[Array, " image"],
    key: RandomKey,
    *,
    norm: Array | float,
    side: int | None = None,
    outputs: Callable[[Params, Images], Array] | None = None,
) -> FourierMap:
    """Error of a network on images with a wave of each frequency added, in one program.

    Args:
        predict: Pure function of parameters and a batch of images to logits.
        params: Its parameters.
        images: On the scale 0 to 1.
        labels: Their classes.
        key: Of the signs.
        norm: L2 norm of what is added to each channel. Yin et al. are remembered, not
            read, to take 4 for CIFAR-10 and 15.7 for ImageNet, there on 63 x 63 cells.
        side: Of the central square of cells. None takes all cells.
        outputs: Function of parameters and images to the outputs whose change is
            measured, the image their first axis; None takes the logits.

    Returns:
        The maps; a frequency and its mirror image are one wave, measured once, and read
        the same. Maps of several batches are averaged with their sizes as weights.

    Raises:
        ValueError: If the square of cells does not fit in.
    """
    outputs = outputs or predict
    _, height, width, _ = images.shape
    distinct, cell = _distinct(height, width, frequencies(height, width, side))
    before = outputs(params, images)

    def one(entry: tuple[Array, RandomKey]) -> tuple[Array, Array]:
        frequency, sign_key = entry
        moved = with_wave(images, sign_key, frequency, norm)
        logits = predict(params, moved)
        error = jnp.mean(jnp.argmax(logits, axis=-1) != labels)
        error = jnp.where(jnp.all(jnp.isfinite(logits)), error, jnp.nan)
        change = (outputs(params, moved) - before).reshape(images.shape[0], -1)
        return error, jnp.mean(jnp.linalg.norm(change, axis=1))

    keys = jax.random.split(key, len(distinct))
    error, change = lax.map(one, (jnp.asarray(distinct), keys))
    return FourierMap(error[cell], change[cell])


def _distinct(
    height: int, width: int, cells: Frequencies
) -> tuple[Int[np.ndarray, "wave 2"], Int[np.ndarray, "row column"]]:
    """The frequencies to measure, and which of them each cell reads.

    Of a frequency and its mirror image it is the one that comes later in the map.
    """
    size = np.array([height, width])

    def place(frequency: np.ndarray) -> np.ndarray:
        row, column = np.moveaxis((frequency + size // 2) % size, -1, 0)
        return row * width + column

    later = np.maximum(place(cells), place(-cells))
    places, cell = np.unique(later, return_inverse=True)
    found = np.stack(np.divmod(places, width), axis=1) - size // 2
    return found.astype(np.int32), cell.reshape(later.shape).astype(np.int32)
