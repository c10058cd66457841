"""Navon's letters: a big letter that is made of small ones (Navon 1977).

The same 26 letters are the cue of shape and the cue of texture, at two scales (Hermann et
al., The origins and prevalence of texture bias, 2020). Which letters, colours and sizes
they took is not known here: capitals of five by seven dots, in one random colour on
another.
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int, Key

from jaxbias.arrays import RandomKey
from jaxbias.data.procedural_conflict import ConflictSet, apart_colours, mixed

Image = Float[Array, "size size 3"]
Label = Int[Array, ""] | int

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

# Thirteen letters in each block, a row of each after the other.
_DOTS = (
    (
        "01110 11110 01110 11110 11111 11111 01110 10001 01110 00111 10001 10000 10001",
        "10001 10001 10001 10001 10000 10000 10001 10001 00100 00010 10010 10000 11011",
        "10001 10001 10000 10001 10000 10000 10000 10001 00100 00010 10100 10000 10101",
        "11111 11110 10000 10001 11110 11110 10111 11111 00100 00010 11000 10000 10101",
        "10001 10001 10000 10001 10000 10000 10001 10001 00100 00010 10100 10000 10001",
        "10001 10001 10001 10001 10000 10000 10001 10001 00100 10010 10010 10000 10001",
        "10001 11110 01110 11110 11111 10000 01110 10001 01110 01100 10001 11111 10001",
    ),
    (
        "10001 01110 11110 01110 11110 01111 11111 10001 10001 10001 10001 10001 11111",
        "11001 10001 10001 10001 10001 10000 00100 10001 10001 10001 10001 10001 00001",
        "10101 10001 10001 10001 10001 10000 00100 10001 10001 10001 01010 01010 00010",
        "10011 10001 11110 10001 11110 01110 00100 10001 10001 10101 00100 00100 00100",
        "10001 10001 10000 10101 10100 00001 00100 10001 01010 10101 01010 00100 01000",
        "10001 10001 10000 10010 10010 00001 00100 10001 01010 11011 10001 00100 10000",
        "10001 01110 10000 01101 10001 11110 00100 01110 00100 10001 10001 00100 11111",
    ),
)

ROWS, COLUMNS = 7, 5
"""Dots of a letter. Beside and below each small one is a gap as wide as a dot."""

SMALLEST_SIDE = ROWS * (ROWS + 1) - 1
"""Pixels, one for each dot of a big letter's height."""


def _dots() -> np.ndarray:
    """(letter, row, column), 0 or 1."""
    blocks = [
        np.asarray([[list(map(int, dots)) for dots in row.split()] for row in block])
        for block in _DOTS
    ]
    return np.concatenate([block.swapaxes(0, 1) for block in blocks])


_GLYPHS = _dots().astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class NavonConfig:
    """What images are like.

    Attributes:
        size: Side in pixels, 55 or more: below, a dot of the small letters is less than a
            pixel.
        scale: Range of the big letter's height, in sides of the image.
        shift: Most that it is moved each way, as a share of what is free on that side.
        apart: Least mean absolute difference of the two colours, on the scale 0 to 1.
    """

    size: int = 64
    scale: tuple[float, float] = (0.86, 0.98)
    shift: float = 0.5
    apart: float = 0.3


def sample(key: RandomKey, big: Label, small: Label, config: NavonConfig) -> Image:
    """Draw one image.

    Args:
        key: Random key.
        big: Number in `LETTERS` of the letter that is made; may be traced.
        small: Of the one that it is made of.
        config: Static.

    Raises:
        ValueError: If the size is too small.
    """
    if config.size < SMALLEST_SIDE:
        raise ValueError(f"{config.size} pixels: Navon's letters take {SMALLEST_SIDE}")
    place_key, colour_key = jax.random.split(key)
    glyphs = jnp.asarray(_GLYPHS)
    tile = jnp.pad(glyphs[small], ((0, 1), (0, 1)))
    letter = jnp.kron(glyphs[big], tile)
    draw, down, across = jax.random.uniform(place_key, (3,))
    low, high = config.scale
    dot = (low + (high - low) * draw) * config.size / SMALLEST_SIDE
    rows = _shares(config, dot, len(letter), down)
    columns = _shares(config, dot, letter.shape[1], across)
    # Products of ones and shares, but TF32 would round the shares.
    cover = jnp.linalg.multi_dot([rows, letter, columns.T], precision="highest")
    ink, paper = apart_colours(colour_key, 2, config.apart)
    return mixed(paper, ink, cover)


def stimuli(
    key: RandomKey, config: NavonConfig, *, letters: str = LETTERS, instances: int = 1
) -> ConflictSet:
    """Draw all pairs of different letters, as often each.

    Args:
        key: Random key; an image depends on it and on its number alone.
        config: What images are like.
        letters: To take, each once; labels are their numbers in `LETTERS` all the same.
        instances: Of each pair: 650 images if once and of all letters.

    Returns:
        Big letters as the classes of shapes, small ones as those of textures.

    Raises:
        ValueError: If a letter is unknown or there twice, or the size is too small.
    """
    if len(set(letters)) < len(letters) or not set(letters) <= set(LETTERS):
        raise ValueError(f"letters {letters!r}: each once, of {LETTERS}")
    numbers = np.asarray([LETTERS.index(letter) for letter in letters], np.int32)
    pairs = np.argwhere(~np.eye(len(letters), dtype=bool)).repeat(instances, axis=0)
    big, small = jnp.asarray(numbers[pairs.T])
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, np.arange(len(pairs)))
    return ConflictSet(_mapped(keys, big, small, config), big, small)


@partial(jax.jit, static_argnames="config")
def _mapped(
    keys: Key[Array, " image"],
    big: Int[Array, " image"],
    small: Int[Array, " image"],
    config: NavonConfig,
) -> Float[Array, "image size size 3"]:
    one = lambda each: sample(each[0], each[1], each[2], config)  # noqa: E731
    return lax.map(one, (keys, big, small))


def _shares(
    config: NavonConfig, dot: Float[Array, ""], dots: int, moved: Float[Array, ""]
) -> Float[Array, "size dots"]:
    """Share of each pixel along a side that each dot covers; the last dot is a gap."""
    free = config.size - (dots - 1) * dot
    first = free * (0.5 + config.shift * (moved - 0.5))
    start = (first + dot * np.arange(dots, dtype=np.float32))[None]
    pixel = np.arange(config.size, dtype=np.float32)[:, None]
    return jnp.clip(jnp.minimum(pixel + 1, start + dot) - jnp.maximum(pixel, start), 0)
