"""VisualAtom: wavy contours around a point, outlines alone (Takashima et al. 2023).

A class is a closed line of so many vertices that grows outwards again and again, by two
sine waves and noise. Images of a class differ in the place of the middle, in the noise and
in the level of grey of each contour. Lengths are pixels of an image of 512 by 512; smaller
images are drawn smaller with lines of one pixel. On one core an image of 32, 64 and 128
pixels takes 1.2, 1.5 and 1.7 ms.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

from jaxbias.arrays import RandomKey

SIDE = 512
"""Of the image whose pixels lengths are in."""

Scalar = Float[Array, ""]
Count = Int[Array, ""]
Places = Float[Array, "2 vertex"]


@dataclass(frozen=True, kw_only=True)
class Config:
    """What contours are drawn with. Pairs are the least and the greatest value.

    Attributes:
        size: Side in pixels.
        vertices: Of a contour.
        contours: Of an image.
        radius: Of the innermost contour, where the oval's rates are 1.
        oval: Rates that stretch it to the right and downwards.
        noise: By how much each contour is outside the last one, and how rough.
        frequency: Of a wave, in periods along the contour.
        amplitude: Of a wave, for each contour.
        growth: Of the radius, for each contour, beside the noise's.
    """

    size: int
    vertices: tuple[int, int] = (200, 1_000)
    contours: tuple[int, int] = (1, 200)
    radius: tuple[int, int] = (0, 50)
    oval: tuple[float, float] = (1.0, 2.0)
    # Paper: the released script's default is 2 to 6.
    noise: tuple[float, float] = (0.0, 4.0)
    frequency: tuple[int, int] = (0, 20)
    amplitude: float = 0.5
    growth: tuple[float, float] = (0.0, 0.01)


class Code(NamedTuple):
    """One value of each, as in `Config`; of the oval and of the waves, two."""

    vertices: Count
    contours: Count
    radius: Count
    oval: Float[Array, "2"]
    noise: Scalar
    frequency: Int[Array, "2"]
    growth: Scalar


def code(key: RandomKey, config: Config) -> Code:
    """Draw a class; the two waves are of different frequency, unless both are 0."""
    keys = jax.random.split(key, 8)
    whole = lambda one, limits: jax.random.randint(  # noqa: E731
        one, (), limits[0], limits[1] + 1
    )
    real = lambda one, limits, shape=(): jax.random.uniform(  # noqa: E731
        one, shape, minval=limits[0], maxval=limits[1]
    )
    first = whole(keys[5], config.frequency)
    low, high = config.frequency
    # The first one's place among the others is left out, if there is another.
    other = (first != 0) & (low < high)
    second = jax.random.randint(keys[6], (), low, high + 1 - other)
    second += other & (second >= first)
    return Code(
        vertices=whole(keys[0], config.vertices),
        contours=whole(keys[1], config.contours),
        radius=whole(keys[2], config.radius),
        oval=real(keys[3], config.oval, (2,)),
        noise=real(keys[4], config.noise),
        frequency=jnp.stack([first, second]),
        growth=real(keys[7], config.growth),
    )


def draw(
    key: RandomKey, code: Code, config: Config
) -> Float[Array, "{config.size} {config.size} 3"]:
    """Draw one image: grey on black, the later contours over the earlier ones."""
    middle_key, grey_key, noise_key = jax.random.split(key, 3)
    middle = jax.random.randint(middle_key, (2, 1), 0, 2 * SIDE + 1) / 2
    most = config.contours[1]
    greys = jax.random.randint(grey_key, (most,), 0, 256).astype(jnp.uint8)
    angle, waves = _rays(code, config)
    start = middle + code.radius * code.oval[:, None] * angle

    def contour(number: Count, state: tuple) -> tuple:
        image, places = state
        rough = noise(jax.random.fold_in(noise_key, number), angle.shape[1])
        places = places + angle * (code.noise * (1 - rough) + waves + code.growth)
        corners = jnp.floor(places * (config.size / SIDE)).astype(jnp.int32)
        return outlined(image, corners, code.vertices, greys[number]), places

    image = jnp.zeros((config.size, config.size), jnp.uint8)
    image, _ = lax.fori_loop(0, code.contours, contour, (image, start))
    grey = image.astype(jnp.float32) / 255
    return jnp.broadcast_to(grey[..., None], (*grey.shape, 3))


def parameters(code: Code, config: Config) -> Float[Array, " parameter"]:
    """Each value from 0 to 1 within its limits."""
    limits = config.vertices, config.contours, config.radius, config.oval
    limits += config.noise, config.frequency, config.growth
    shares = [
        (jnp.ravel(value) - low) / max(high - low, 1e-6)
        for value, (low, high) in zip(code, limits, strict=True)
    ]
    return jnp.concatenate(shares).astype(jnp.float32)


def _rays(code: Code, config: Config) -> tuple[Places, Float[Array, "1 vertex"]]:
    """Directions of the vertices, and what waves add to each for every contour."""
    angle = 2 * np.pi * jnp.arange(config.vertices[1]) / code.vertices
    waves = jnp.sin(jnp.outer(code.frequency.astype(jnp.float32), angle))
    rays = jnp.stack([jnp.cos(angle), jnp.sin(angle)])
    return rays, config.amplitude * waves.sum(0, keepdims=True)


@lru_cache(maxsize=1)
def _table() -> Float[np.ndarray, "65536"]:
    """Perlin's noise along a line at 256 places of a cell, with all slopes at its ends.

    As in the library that the authors use: slopes are 1 to 8 or, as often as all of these
    together, -1; values are times 0.4.
    """
    slope = np.concatenate([np.arange(1.0, 9.0), np.full(8, -1.0)])
    place = (np.arange(256)[:, None, None] + 0.5) / 256
    fade = place**3 * (place * (place * 6 - 15) + 10)
    left, right = slope[:, None] * place, slope * (place - 1)
    return (0.4 * (left + fade * (right - left))).ravel().astype(np.float32)


def noise(key: RandomKey, count: int) -> Float[Array, "2 {count}"]:
    """Perlin's noise along a line, at independent random places of it."""
    bits = jax.random.bits(key, (count,))
    return jnp.asarray(_table())[jnp.stack([bits >> 16, bits & 65535])]


def outlined(
    image: Array, corners: Int[Array, "2 vertex"], count: Count, level: Array
) -> Array:
    """Draw a closed line of one pixel's width through the first `count` corners.

    Args:
        image: (side, side), any type of numbers.
        corners: Columns and rows; a part outside the image is cut off.
        count: Of corners, 1 or more.
        level: What to draw.
    """
    side, order = len(image), jnp.arange(corners.shape[1])
    used, last = order < count, order == count - 1
    following = jnp.where(last[None], corners[:, :1], jnp.roll(corners, -1, axis=1))
    way = following - corners
    # Steps of a pixel along the longer side; the end is the start of the next one.
    steps = jnp.where(used, abs(way).max(0), 0)
    whole = jnp.maximum(steps, 1)[None]

    def step(number: Count, image: Array) -> Array:
        along = jnp.minimum(number, steps)[None]
        # Rounded halves upwards; exact, for both are whole numbers.
        gone = jnp.floor((2 * along * way + whole) / (2 * whole))
        column, row = corners + gone.astype(jnp.int32)
        inside = (column >= 0) & (column < side) & (row >= 0) & (row < side)
        cell = jnp.where(inside & used, row * side + column, side**2)
        return image.at[cell].set(level, mode="drop")

    flat = lax.fori_loop(0, jnp.maximum(steps.max(), 1), step, image.ravel())
    return flat.reshape(image.shape)
