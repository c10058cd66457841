"""Dead leaves: shapes thrown on one another until they cover the image.

Baradad et al. (2021, section 3.1), after Lee, Mumford and Huang (2001). Colours and places
are uniform, and radii have a density near radius^-sigma. Leaves are looked at from the
front: of each square tile of the image, those that touch it are tried in order until it is
covered, so that what lies behind is not drawn at all. On one core an image of 32, 64 and
128 pixels takes about 1, 2.2 and 2.4 ms, those with textures 1.2, 3.2 and 4.2 ms; each of a
program's 16 textures takes 4, 11 and 41 ms more, once.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from jaxbias.arrays import RandomKey
from jaxbias.data.generators import statistical

RADII = 200
"""Different radii."""

TILE_SHARE = 8
"""Tiles along a side, of 8 pixels or more."""

AT_ONCE = 32
"""Leaves of a tile that are tried at once."""

KINDS = (
    "circle",
    "square",
    "oriented square",
    "rectangle",
    "triangle",
    "quadrilateral",
)
"""What "mixed" leaves are, each as often."""

NUMBERS = 11
"""Uniform numbers of a leaf: place, radius, kind, four angles, colour."""

MOST_LAYERS = 16
"""Leaves that are seen through each other, at most."""

Leaves = Float[Array, "leaf number"]


@dataclass(frozen=True, kw_only=True)
class Config:
    """What leaves are thrown.

    Attributes:
        size: Side of the image in pixels.
        kind: "squares" stand upright, "oriented" ones are turned, "mixed" are circles,
            squares, rectangles, triangles and quadrilaterals within circles; "textures" are
            the same with images of a statistical model in place of colours.
        sigma: Of the density of radii, radius^-sigma less what it is at the greatest.
        radii: Least and greatest radius, in sides of the image.
        most: Leaves that are thrown. What they leave open, as a rule nothing, is as a leaf
            behind all others.
        front: Leaves in front that make a program.
        moved: By how many sides of the image an image of a program moves these, at most.
        textures: That a program has; each leaf shows one of them, at its own pixels.
        opacity: Of a leaf, above 0: 1 hides what is behind it.
    """

    size: int
    kind: Literal["squares", "oriented", "mixed", "textures"] = "mixed"
    sigma: float = 3.0
    radii: tuple[float, float] = (0.03, 1.0)
    # Paper: until the image is covered, or 5,000; of that many hardly any after the 3,000th
    # is seen, as a corner pixel is covered by one in 220.
    most: int = 3_000
    front: int = 48
    moved: float = 0.04
    # Paper: 10,000 for all images of the set.
    textures: int = 16
    opacity: float = 1.0

    def __post_init__(self):
        low, high = self.radii
        if self.size < 16 or not 0 < low < high or self.sigma <= 0:
            raise ValueError(
                f"{self.size} pixels, radii {low:g} to {high:g}, sigma {self.sigma:g}: "
                "at least 16 pixels, rising radii and a sigma above 0 are needed"
            )
        if not 0 < self.front < self.most or self.textures < 1:
            raise ValueError(
                f"{self.front} leaves in front of {self.most}, {self.textures} textures: "
                "some of each are needed, and fewer in front"
            )
        if not 0 < self.opacity <= 1:
            raise ValueError(f"opacity {self.opacity:g}: above 0, up to 1")

    @property
    def layers(self) -> int:
        """Leaves that are seen through each other, until no more than 1/255 is left."""
        if self.opacity == 1:
            return 1
        return min(MOST_LAYERS, math.ceil(math.log(1 / 255, 1 - self.opacity)))


class Code(NamedTuple):
    """The leaves in front, and what leaves may show.

    Attributes:
        front: Uniform numbers of each.
        textures: Images; none where leaves have colours.
    """

    front: Leaves
    textures: Float[Array, "texture size size 3"]


def code(key: RandomKey, config: Config) -> Code:
    """Draw the leaves in front, and textures."""
    own, others = jax.random.split(key)
    front = jax.random.uniform(own, (config.front * NUMBERS,))
    if config.kind == "textures":
        keys = jax.random.split(others, config.textures)
        textures = lax.map(lambda one: _texture(one, config.size), keys)
    else:
        textures = jnp.zeros((0, config.size, config.size, 3))
    return Code(front.reshape(-1, NUMBERS), textures)


def _texture(key: RandomKey, size: int) -> Float[Array, "{size} {size} 3"]:
    own, noise = jax.random.split(key)
    law = statistical.Config(size=size, kind="spectrum-wmm-colour")
    return statistical.draw(noise, statistical.code(own, law), law)


def draw(key: RandomKey, code: Code, config: Config) -> Float[Array, "size size 3"]:
    """Move the leaves in front a little, and throw all others anew behind them.

    Places are reflected at the borders, so that with a code of its own each image has the
    law of the set.
    """
    moves, others = jax.random.split(key)
    shift = jax.random.uniform(moves, (2 * config.front,), minval=-1.0)
    places = code.front[:, :2] + config.moved * shift.reshape(-1, 2)
    # A wave of period 2 that is the place itself from 0 to 1.
    places = 1 - jnp.abs(1 - jnp.abs(places))
    front = jnp.concatenate([places, code.front[:, 2:]], axis=1)
    behind = jax.random.uniform(others, ((config.most - config.front) * NUMBERS,))
    leaves = jnp.concatenate([front, behind.reshape(-1, NUMBERS)])
    found = outlines(leaves, config)

    def shown(seen: Int[Array, "size size"]) -> Float[Array, "size size 3"]:
        if config.kind != "textures":
            return leaves[:, 8:][seen]
        number = (leaves[:, 8] * config.textures).astype(jnp.int32)[seen]
        row, column = np.indices(seen.shape)
        return code.textures[number, row, column]

    if config.opacity == 1:
        return shown(first_leaf(found, config))

    def through(state: tuple[Array, Array], left: Array) -> tuple[Any, None]:
        last, image = state
        seen = first_leaf(found, config, last)
        return (seen, image + left * shown(seen)), None

    # What is left behind the last one is given to all, so that shares add up to 1.
    shares = config.opacity * (1 - config.opacity) ** np.arange(config.layers)
    nothing = jnp.full((config.size, config.size), -1, jnp.int32)
    start = nothing, jnp.zeros((config.size, config.size, 3))
    shares = jnp.asarray(shares / shares.sum(), jnp.float32)
    return lax.scan(through, start, shares)[0][1]


def parameters(code: Code, config: Config) -> Float[Array, " parameter"]:
    """Place, radius and colour of the leaves in front; of textures, the first colour
    says which one it is."""
    radius = _radii(config)[_radius_number(code.front[:, 2], config)]
    place_and_colour = 2 * code.front[:, jnp.asarray([0, 1, 8, 9, 10])] - 1
    return jnp.concatenate([place_and_colour, 10 * radius[:, None]], axis=1).ravel()


# The law of leaves


@lru_cache(maxsize=32)
def _law(
    sigma: float, least: float, greatest: float
) -> tuple[Float[np.ndarray, " radius"], Float[np.ndarray, " border"]]:
    """Radii, and the uniform numbers at which one gives way to the next."""
    radii = np.linspace(least, greatest, RADII)
    weights = radii**-sigma - greatest**-sigma
    shares = np.cumsum(weights) / weights.sum()
    # The nearest share is taken.
    return radii.astype(np.float32), ((shares[1:] + shares[:-1]) / 2).astype(np.float32)


def _radii(config: Config) -> Float[Array, " radius"]:
    return jnp.asarray(_law(config.sigma, *config.radii)[0])


def _radius_number(uniform: Float[Array, " leaf"], config: Config) -> Array:
    borders = jnp.asarray(_law(config.sigma, *config.radii)[1])
    return jnp.searchsorted(borders, uniform)


class Outlines(NamedTuple):
    """Leaves as circles cut by up to four chords, in pixels.

    Attributes:
        place: Centre, to the right and down.
        radius: Of the circle.
        normal: Cosine and sine of the direction of each chord.
        distance: Of each chord from the centre; negative if it cuts off the centre.
    """

    place: Float[Array, "leaf 2"]
    radius: Float[Array, " leaf"]
    normal: Float[Array, "leaf chord 2"]
    distance: Float[Array, "leaf chord"]


def outlines(leaves: Leaves, config: Config) -> Outlines:
    """What uniform numbers mean."""
    place = leaves[:, :2] * config.size
    radius = _radii(config)[_radius_number(leaves[:, 2], config)]
    # As whole pixels, one at least.
    radius = jnp.maximum(jnp.floor(radius * config.size), 1.0)
    circle, corners = _corners(leaves[:, 3], leaves[:, 4:8], config)
    after = jnp.concatenate([corners[:, 1:], corners[:, :1] + 2 * np.pi], axis=1)
    middle, half = (after + corners) / 2, (after - corners) / 2
    distance = radius[:, None] * jnp.where(circle[:, None], 1.0, jnp.cos(half))
    normal = jnp.stack([jnp.cos(middle), jnp.sin(middle)], axis=-1)
    return Outlines(place, radius, normal, distance)


def _corners(
    kind: Float[Array, " leaf"], uniform: Float[Array, "leaf 4"], config: Config
) -> tuple[Bool[Array, " leaf"], Float[Array, "leaf 4"]]:
    """Which are circles, and the rising angles of the corners of all others."""
    quarters = jnp.asarray((np.pi / 2 * np.arange(4) + np.pi / 4)[None], jnp.float32)
    none = jnp.zeros(len(kind), bool)
    if config.kind == "squares":
        return none, jnp.broadcast_to(quarters, uniform.shape)
    oriented = quarters + 2 * np.pi * uniform[:, :1]
    if config.kind == "oriented":
        return none, oriented
    slope = np.pi / 2 * uniform[:, :1]
    rectangle = jnp.concatenate(
        [slope, np.pi - slope, np.pi + slope, 2 * np.pi - slope], axis=1
    )
    free = 2 * np.pi * uniform
    # Sorted by hand: three numbers, or four.
    triangle = free.at[:, 3].set(jnp.max(free[:, :3], axis=1))
    number = jnp.floor(len(KINDS) * kind).astype(jnp.int32)[:, None]
    choices = [
        quarters,
        quarters,
        oriented,
        rectangle,
        _sorted(triangle),
        _sorted(free),
    ]
    chosen = choices[-1]
    for place, choice in enumerate(choices[:-1]):
        chosen = jnp.where(number == place, choice, chosen)
    return number[:, 0] == 0, chosen


def _sorted(angles: Float[Array, "leaf 4"]) -> Float[Array, "leaf 4"]:
    """A network of five comparisons: faster than `jnp.sort` of so few."""
    columns = list(angles.T)
    for i, j in ((0, 1), (2, 3), (0, 2), (1, 3), (1, 2)):
        low = jnp.minimum(columns[i], columns[j])
        columns[i], columns[j] = low, jnp.maximum(columns[i], columns[j])
    return jnp.stack(columns, axis=1)


# What is seen


def first_leaf(
    found: Outlines,
    config: Config,
    behind: Int[Array, "size size"] | None = None,
) -> Int[Array, "size size"]:
    """The first leaf that covers each pixel's centre; the last one where none does.

    Args:
        found: Leaves, the foremost first.
        config: Static.
        behind: Look behind these leaves alone, one for each pixel. None: at all.
    """
    size = config.size
    side = max(8, -(-size // TILE_SHARE))
    across = -(-size // side)
    starts = side * np.arange(across)
    touching = _touching(found, jnp.asarray(starts, jnp.float32), side)
    count = touching.shape[-1]
    order = jnp.cumsum(touching.reshape(-1, count), axis=1, dtype=jnp.int32)
    centre = np.arange(side) + 0.5
    column = np.tile(starts, across)[:, None] + np.tile(centre, side)
    row = np.repeat(starts, across)[:, None] + np.repeat(centre, side)
    pixels = tuple(jnp.asarray(x, jnp.float32) for x in (column, row))
    before = None
    if behind is not None:
        margin = across * side - size
        wide = jnp.pad(behind, ((0, margin), (0, margin)), mode="edge")
        tiled = wide.reshape(across, side, across, side).swapaxes(1, 2)
        before = tiled.reshape(across * across, side * side)

    def tried(state: tuple[Array, Array]) -> tuple[Array, Array]:
        first, seen = state
        wanted = first + 1 + jnp.arange(AT_ONCE, dtype=jnp.int32)
        places = jax.vmap(lambda own: jnp.searchsorted(own, wanted))(order)
        # In the order of the leaves, so that the least number is the first one.
        inside = _inside(found, jnp.minimum(places, count - 1), *pixels)
        inside &= (places < count)[:, :, None]
        if before is not None:
            inside &= places[:, :, None] > before[:, None]
        least = jnp.min(jnp.where(inside, places[:, :, None], count), axis=1)
        return first + AT_ONCE, jnp.minimum(seen, least)

    def open_still(state: tuple[Array, Array]) -> Array:
        first, seen = state
        return jnp.any((seen == count) & (order[:, -1:] > first))

    start = jnp.int32(0), jnp.full(column.shape, count, jnp.int32)
    _, seen = lax.while_loop(open_still, tried, start)
    tiles = seen.reshape(across, across, side, side)
    whole = tiles.swapaxes(1, 2).reshape(across * side, across * side)
    return jnp.minimum(whole[:size, :size], count - 1)


def _touching(
    found: Outlines, starts: Float[Array, " tile"], side: int
) -> Bool[Array, "down across leaf"]:
    """Whether a leaf's circle reaches into the square around the pixels of a tile."""

    def gap(place: Float[Array, " leaf"]) -> Float[Array, "tile leaf"]:
        low = starts[:, None] + 0.5
        outside = jnp.maximum(low - place[None], place[None] - (low + side - 1))
        return jnp.maximum(outside, 0.0) ** 2

    right, down = gap(found.place[:, 0]), gap(found.place[:, 1])
    return down[:, None] + right[None] <= found.radius[None, None] ** 2


def _inside(
    found: Outlines,
    places: Int[Array, "tile leaf"],
    column: Float[Array, "tile pixel"],
    row: Float[Array, "tile pixel"],
) -> Bool[Array, "tile leaf pixel"]:
    """Whether pixels are within these leaves."""
    own = jax.tree.map(lambda leaf: leaf[places], found)
    x = column[:, None] - own.place[..., 0, None]
    y = row[:, None] - own.place[..., 1, None]
    inside = x**2 + y**2 <= own.radius[..., None] ** 2
    for chord in range(own.distance.shape[-1]):
        cosine, sine = (own.normal[:, :, chord, i, None] for i in (0, 1))
        inside &= x * cosine + y * sine <= own.distance[:, :, chord, None]
    return inside
