"""FractalDB: attractors of random sets of affine maps, drawn with patches (Kataoka 2020).

A class is a set of two to seven maps of the plane. A point that is moved by one of them
after another, chosen at random, ends up on their attractor; every place it visits gets a
random 3 x 3 patch. Images of a class differ in one parameter of all maps, in the patches
and in flips. On one core an image of 32, 64 and 128 pixels takes 0.1, 0.3 and 1.1 ms,
and the search for a class 5 ms.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from jaxbias.arrays import RandomKey

MOST = 7
"""Maps of a code; it may use fewer."""

POINTS = 200_000 / 362**2
"""Points for each pixel of an image, as the authors' recommended setting has it."""

SEARCH_POINTS = 100_000 / 512**2
"""Points for each pixel of an image in the search for codes."""

PADDING = 6 / 362
"""Of the image on each side, as a share of it."""

SCREEN = 128
"""Side of an image in which codes are looked at first: it is filled more than a finer one
with as many points for each pixel, at a small part of the cost."""

BURN_IN = 20
"""Steps before the points of a chain count."""

GREY = 127 / 255
"""Of what a patch draws."""

HUES = 128
"""In "time" colours: points until they come again."""

Maps = Float[Array, "map 6"]
Points = Float[Array, "point 2"]
Cells = Int[Array, " point"]


@dataclass(frozen=True, kw_only=True)
class Config:
    """What a fractal is drawn with.

    Attributes:
        size: Side in pixels.
        law: Of the maps. "uniform" is FractalDB's: six uniform parameters, and codes count
            that fill enough of the image. "contractive" is that of Anderson and Farrell
            (2022): singular values below 1, and all codes count.
        filled: Least share of pixels that a code of the uniform law fills.
        search_size: Side of the image that this is judged by.
        tries: Codes that are tried; if none is good enough, the code is NaN.
        weight: Step w of the weights 1 - 2w, 1 - w, 1, 1 + w and 1 + 2w, one of which
            multiplies one of the six parameters of all maps.
        points: For each pixel.
        colour: "grey", or "time" for a hue that goes round every 128 points.
    """

    size: int
    law: Literal["uniform", "contractive"] = "uniform"
    filled: float = 0.2
    search_size: int = 512
    tries: int = 2_000
    weight: float = 0.4
    points: float = POINTS
    colour: Literal["grey", "time"] = "grey"


class Code(NamedTuple):
    """Maps (x, y) -> (a x + b y + e, c x + d y + f).

    Attributes:
        maps: Their a, b, c, d, e, f; 0 where the code has fewer than seven.
        share: Probability of each, in proportion to |ad - bc|.
    """

    maps: Maps
    share: Float[Array, " map"]


def code(key: RandomKey, config: Config) -> Code:
    """Draw maps: by FractalDB's search, or contractive ones."""
    if config.law == "contractive":
        return _contractive(key)

    def search(state: tuple) -> tuple:
        number, _, _ = state
        found = _uniform(jax.random.fold_in(key, number))
        return number + 1, found, _judged(found, config)

    def more(state: tuple) -> Bool[Array, ""]:
        number, _, share = state
        return (number < config.tries) & (share < config.filled)

    nothing = Code(jnp.zeros((MOST, 6)), jnp.zeros(MOST))
    start = jnp.int32(0), nothing, jnp.float32(-1.0)
    _, found, share = lax.while_loop(more, search, start)
    good = share >= config.filled
    return jax.tree.map(lambda x: jnp.where(good, x, jnp.nan), found)


def draw(
    key: RandomKey, code: Code, config: Config
) -> Float[Array, "{config.size} {config.size} 3"]:
    """Draw one image: NaN if the code is."""
    weight_key, mask_key, flip_key = jax.random.split(key, 3)
    maps = code.maps * _weights(weight_key, config.weight)
    fixed = config.law == "contractive"
    count = round(config.points * config.size**2)
    points = orbit(code._replace(maps=maps), count, fixed)
    cells = placed(points, config.size)
    masks = jax.random.randint(mask_key, cells.shape, 1, 512)
    last = last_patch(cells, masks, config.size)
    image = _coloured(last, config.colour)
    # Paper: all four flips of an image are in the set; here each is as likely.
    upside, mirrored = jax.random.bernoulli(flip_key, 0.5, (2,))
    image = jnp.where(upside, image[::-1], image)
    image = jnp.where(mirrored, image[:, ::-1], image)
    return jnp.where(jnp.isnan(code.maps).any(), jnp.nan, image)


def parameters(code: Code, config: Config) -> Float[Array, " parameter"]:
    """The maps, and how often each is used."""
    return jnp.concatenate([code.maps.ravel(), code.share])


# Maps


def _code(maps: Maps, count: Int[Array, ""]) -> Code:
    """Of the first maps."""
    maps = jnp.where(jnp.arange(MOST)[:, None] < count, maps, 0.0)
    a, b, c, d, _, _ = maps.T
    area = jnp.abs(a * d - b * c)
    return Code(maps, area / area.sum())


def _uniform(key: RandomKey) -> Code:
    count_key, map_key = jax.random.split(key)
    maps = jax.random.uniform(map_key, (MOST * 6,), minval=-1.0).reshape(MOST, 6)
    return _code(maps, jax.random.randint(count_key, (), 2, MOST + 1))


def _contractive(key: RandomKey) -> Code:
    """Rotation, singular values, rotation; half of them turned over."""
    keys = jax.random.split(key, 6)
    count = jax.random.randint(keys[0], (), 2, MOST + 1)
    # Of the larger values and twice the smaller ones, of all maps.
    total = (5 + count + jax.random.uniform(keys[1])) / 2
    large, small = singular_values(keys[2], count, total)
    small *= jax.random.rademacher(keys[3], (MOST,), jnp.float32)
    turns = jax.random.uniform(keys[4], (2 * MOST,), maxval=2 * np.pi)
    first, second = turns.reshape(2, MOST)
    cos, sin = jnp.cos(first), jnp.sin(first)
    along, across = jnp.cos(second), jnp.sin(second)
    a = cos * large * along - sin * small * across
    b = -cos * large * across - sin * small * along
    c = sin * large * along + cos * small * across
    d = -sin * large * across + cos * small * along
    move = jax.random.uniform(keys[5], (2 * MOST,), minval=-1.0).reshape(2, MOST)
    return _code(jnp.stack([a, b, c, d, *move], axis=1), count)


def singular_values(
    key: RandomKey, count: Int[Array, ""], total: Float[Array, ""]
) -> tuple[Float[Array, " map"], Float[Array, " map"]]:
    """Draw pairs, each uniform in what those before and after it leave open.

    Args:
        key: Random key.
        count: Of maps; what is beyond it means nothing.
        total: Of the larger values and twice the smaller ones.
    """
    draws = jax.random.uniform(key, (2 * MOST,)).reshape(MOST, 2)
    large, small = [], []
    for number in range(MOST):
        between = lambda low, high, share: low + share * (high - low)  # noqa: E731
        # All maps after this one take 3 each at most.
        later = 3.0 * (count - 1 - number)
        low, high = jnp.maximum(0, (total - later) / 3), jnp.minimum(1, total)
        first = between(low, high, draws[number, 0])
        rest = total - first
        low = jnp.maximum(0, (rest - later) / 2)
        second = between(low, jnp.minimum(first, rest / 2), draws[number, 1])
        # The last one has no choice but of its second value.
        low = jnp.maximum(0, (total - 1) / 2)
        only = between(low, total / 3, draws[number, 1])
        last = number == count - 1
        first = jnp.where(last, total - 2 * only, first)
        second = jnp.where(last, only, second)
        total = total - first - 2 * second
        large.append(first)
        small.append(second)
    return jnp.stack(large), jnp.stack(small)


def _weights(key: RandomKey, step: float) -> Float[Array, "1 6"]:
    """Of the six parameters: one of them is weighted, the other five are as they are."""
    which, weight = jnp.divmod(jax.random.randint(key, (), 0, 30), 5)
    return jnp.where(jnp.arange(6) == which, 1 + step * (weight - 2), 1.0)[None]


# Points


@lru_cache(maxsize=8)
def _choices(steps: int, chains: int) -> Float[np.ndarray, "step chain"]:
    """Uniform numbers that say which map is next: the same for all images, as published."""
    numbers = np.random.RandomState(100).random_sample(steps * chains)
    return numbers.reshape(steps, chains).astype(np.float32)


def orbit(code: Code, count: int, contractive: bool) -> Points:
    """Points in the order in which they are drawn.

    Args:
        code: Maps.
        count: Of points, about.
        contractive: Start from the fixed point of the first map and leave out the first
            steps. If not, start from 0 and keep those of the first chain.
    """
    # Paper: one chain. Many are as long in all, and their points as many; the first one
    # begins as that of the paper does, for what it visits is in the image and its range.
    chains = min(1024, max(64, int(count**0.5) // 64 * 128))
    steps = max(2, round(count / chains))
    edges = jnp.cumsum(code.share)
    edges = edges / edges[-1]
    table = code.maps[:, :, None]

    def step(place: Array, choice: Array) -> tuple[Array, Array]:
        own = jnp.broadcast_to(table[-1], (6, chains))
        for number in range(MOST - 2, -1, -1):
            own = jnp.where(choice <= edges[number], table[number], own)
        a, b, c, d, e, f = own
        x, y = place
        moved = jnp.stack([a * x + b * y + e, c * x + d * y + f])
        return moved, moved

    start = jnp.zeros(2)
    if contractive:
        a, b, c, d, e, f = code.maps[0]
        right, down = (1 - d) * e + b * f, (1 - a) * f + c * e
        start = jnp.stack([right, down]) / ((1 - a) * (1 - d) - b * c)
    start = jnp.broadcast_to(start[:, None], (2, chains))
    choices = jnp.asarray(_choices(BURN_IN + steps, chains))
    _, places = lax.scan(step, start, choices)
    kept = jnp.moveaxis(places[BURN_IN:], 1, 2).reshape(-1, 2)
    if contractive:
        return kept
    return jnp.concatenate([start[None, :, 0], places[:BURN_IN, :, 0], kept])


def placed(points: Points, size: int) -> Cells:
    """Number of each point's pixel in an image that all of them fill but for the padding.

    Points that are not finite, or have no range, are beyond the last pixel.
    """
    good = jnp.isfinite(points).all(axis=1, keepdims=True)
    low = jnp.where(good, points, jnp.inf).min(axis=0, keepdims=True)
    high = jnp.where(good, points, -jnp.inf).max(axis=0, keepdims=True)
    inside = size * (1 - 2 * PADDING)
    pixel = (points - low) / (high - low) * inside + size * PADDING
    good &= jnp.isfinite(pixel).all(axis=1, keepdims=True)
    column, row = jnp.where(good, pixel, 0.0).astype(jnp.int32).T
    return jnp.where(good[:, 0], row * size + column, size**2)


def _judged(code: Code, config: Config) -> Float[Array, ""]:
    """Share of the pixels of the search's image that are filled, if it may be enough."""
    if config.search_size <= SCREEN:
        return filled(code, config.search_size)
    coarse = filled(code, SCREEN)
    fine = lambda: filled(code, config.search_size)  # noqa: E731
    return lax.cond(coarse >= config.filled, fine, lambda: coarse)


def filled(code: Code, size: int) -> Float[Array, ""]:
    """Share of the pixels that the points of a search visit."""
    cells = placed(orbit(code, round(SEARCH_POINTS * size**2), False), size)
    hit = jnp.zeros(size**2, jnp.int32).at[cells].set(1, mode="drop")
    return hit.mean(dtype=jnp.float32)


# Pixels


class Drawn(NamedTuple):
    """What is seen in each pixel.

    Attributes:
        lit: Whether the last patch on it is lit there; not so where there is none.
        when: Number of the point whose patch it is, or -1.
    """

    lit: Bool[Array, "size size"]
    when: Int[Array, "size size"]


def last_patch(cells: Cells, masks: Int[Array, " point"], size: int) -> Drawn:
    """Paste a patch for each point in turn, with its zeros: the last one is what is seen.

    A patch's middle is two pixels right of and below its point, as in the authors' code.

    Args:
        cells: Pixel of each point, or `size`^2 for none; at most 2^22 of them.
        masks: Nine bits, the highest one up on the left, row by row.
        size: Side in pixels.
    """
    # Of the points of one pixel, only the last one's patch is seen at all; of the nine
    # pixels whose patches reach another one, the latest. So each point is written once.
    number = jnp.arange(len(cells), dtype=jnp.int32)
    latest = jnp.full(size**2, -1, jnp.int32)
    latest = latest.at[cells].max(512 * number + masks, mode="drop").reshape(size, size)
    padded = jnp.pad(latest, ((3, 0), (3, 0)), constant_values=-1)
    found = jnp.full((size, size), -1, jnp.int32)
    for bit in range(9):
        row, column = divmod(bit, 3)
        # The patch of the pixel so far up and left has this bit here.
        source = padded[2 - row : 2 - row + size, 2 - column : 2 - column + size]
        point = 2 * (source >> 9) + ((source >> (8 - bit)) & 1)
        found = jnp.maximum(found, jnp.where(source < 0, -1, point))
    return Drawn((found > 0) & (found % 2 == 1), found >> 1)


def _coloured(drawn: Drawn, colour: str) -> Float[Array, "size size 3"]:
    grey = jnp.broadcast_to(jnp.float32(GREY), (*drawn.lit.shape, 3))
    if colour == "time":
        grey = jnp.asarray(_hues())[drawn.when % HUES]
    return jnp.where(drawn.lit[..., None], grey, 0.0)


@lru_cache(maxsize=1)
def _hues() -> Float[np.ndarray, "hue 3"]:
    """Once round the colours, saturation and intensity three quarters."""
    turn = 6 * np.arange(HUES)[:, None] / HUES
    # Red, green and blue are two sixths apart; each is full within one of its own hue.
    away = np.abs((turn - np.asarray([0, 2, 4]) + 3) % 6 - 3)
    share = np.clip(2 - away, 0, 1)
    return (0.75 * (1 - 0.75 * (1 - share))).astype(np.float32)
