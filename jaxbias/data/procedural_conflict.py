"""Cue-conflict stimuli that are drawn: sixteen silhouettes filled with sixteen textures.

The official images were made from 160 shapes and 48 textures, so that the nearest other
image mostly shares one of them: k-NN shape bias there is retrieval of the same photo. Here
every image has a fresh silhouette, texture and colours; colours say nothing of either cue,
and how strong each cue is can be set.
"""

from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int, Key

from jaxbias.arrays import RandomKey
from jaxbias.data import silhouettes, textures

Image = Float[Array, "size size 3"]
Images = Float[Array, "image size size 3"]
Keys = Key[Array, " image"]
Labels = Int[Array, " image"]
Label = Int[Array, ""] | int
Amount = Float[Array, ""] | float

CLASSES = len(silhouettes.NAMES)
"""Of shapes and as many of textures."""

TRIES = 64
"""Colours that are drawn until one is far enough from others. Of four colours, as textured
grounds take, 1.4 in a thousand have to do with the farthest of these."""


@dataclass(frozen=True, kw_only=True)
class ConflictConfig:
    """What stimuli are like.

    Attributes:
        size: Side in pixels; 4 for each cycle of the textures or more.
        ground: "solid" is one colour; "texture" is the same class of texture in other
            colours, drawn anew, so that the outline is an edge between textures.
        scale: Range of the silhouette's diameter, in sides of the image.
        turn: Most that the silhouette is turned either way, in degrees.
        shift: Most that it is moved each way, in sides of the image.
        cycles: Of the textures, along the side.
        apart: Least mean absolute difference of any two colours of an image, on the scale
            0 to 1.
    """

    size: int = 64
    ground: Literal["solid", "texture"] = "solid"
    scale: tuple[float, float] = (0.62, 0.88)
    turn: float = 15.0
    shift: float = 0.05
    cycles: float = 7.0
    apart: float = 0.3


class Strength(NamedTuple):
    """How strong each cue is; may be traced.

    Attributes:
        contrast: Of the textures, 0 to 1: 0 leaves their first colour alone.
        opacity: Of the figure upon the ground, 0 to 1: 0 leaves no shape.
        scale: Factor of the silhouette's size.
    """

    contrast: Amount = 1.0
    opacity: Amount = 1.0
    scale: Amount = 1.0


FULL = Strength()


class ConflictSet(NamedTuple):
    """Stimuli and what is in them.

    Attributes:
        images: On the scale 0 to 1.
        shapes: Class of each silhouette.
        textures: Class of each texture.
    """

    images: Images
    shapes: Labels
    textures: Labels


def sample(
    key: RandomKey,
    shape: Label,
    texture: Label,
    config: ConflictConfig,
    strength: Strength = FULL,
) -> Image:
    """Draw one stimulus.

    Args:
        key: Random key.
        shape: Number in `silhouettes.NAMES`.
        texture: Number in `textures.NAMES`.
        config: Static.
        strength: Of the cues.

    Raises:
        ValueError: If the size is too small for the cycles.
    """
    place_key, figure_key, ground_key, colour_key = jax.random.split(key, 4)
    solid = config.ground == "solid"
    colours = apart_colours(colour_key, 3 if solid else 4, config.apart)

    def filled(key: RandomKey, first: Array, second: Array) -> Image:
        field = textures.draw(key, texture, config.size, config.cycles)
        return mixed(first, second, strength.contrast * field)

    figure = filled(figure_key, colours[0], colours[1])
    if solid:
        ground = jnp.broadcast_to(colours[2][None, None], figure.shape)
    else:
        ground = filled(ground_key, colours[2], colours[3])
    cover = _cover(place_key, shape, config, strength.scale)
    return ground + (strength.opacity * cover)[..., None] * (figure - ground)


def silhouette(key: RandomKey, shape: Label, config: ConflictConfig) -> Image:
    """Draw a control with the shape alone: one colour on another."""
    place_key, colour_key = jax.random.split(key)
    first, second = apart_colours(colour_key, 2, config.apart)
    cover = _cover(place_key, shape, config, 1.0)
    return mixed(second, first, cover)


def texture(key: RandomKey, texture: Label, config: ConflictConfig) -> Image:
    """Draw a control with the texture alone, over the whole image."""
    field_key, colour_key = jax.random.split(key)
    first, second = apart_colours(colour_key, 2, config.apart)
    field = textures.draw(field_key, texture, config.size, config.cycles)
    return mixed(first, second, field)


def stimuli(
    key: RandomKey,
    config: ConflictConfig,
    *,
    instances: int = 5,
    strength: Strength = FULL,
) -> ConflictSet:
    """Draw all pairs of different cues, as often each: 1,200 images, as the official ones.

    Args:
        key: Random key; an image depends on it and on its number alone.
        config: What stimuli are like.
        instances: Of each of the 240 pairs. Image i is of pair i // instances.
        strength: Of the cues.
    """
    pairs = np.argwhere(~np.eye(CLASSES, dtype=bool)).repeat(instances, axis=0)
    shapes, kinds = jnp.asarray(pairs.T, jnp.int32)
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, np.arange(len(pairs)))
    images = _conflicts(keys, (shapes, kinds), config, strength)
    return ConflictSet(images, shapes, kinds)


def agreeing(
    key: RandomKey, config: ConflictConfig, *, instances: int = 20
) -> ConflictSet:
    """Draw images whose cues say the same: shape i is filled with texture i alone.

    Args:
        key: Random key.
        config: What stimuli are like.
        instances: Of each class.
    """
    labels = jnp.repeat(jnp.arange(CLASSES, dtype=jnp.int32), instances)
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, np.arange(len(labels)))
    return ConflictSet(_conflicts(keys, (labels, labels), config, FULL), labels, labels)


def controls(
    key: RandomKey,
    config: ConflictConfig,
    cue: Literal["shape", "texture"],
    *,
    instances: int = 75,
) -> ConflictSet:
    """Draw images of one cue; as many of each class as `stimuli` has unless told otherwise.

    Args:
        key: Random key.
        config: What stimuli are like.
        cue: Which one is there; the label of the other is -1.
        instances: Of each class.
    """
    labels = jnp.repeat(jnp.arange(CLASSES, dtype=jnp.int32), instances)
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, np.arange(len(labels)))
    images = _controls(keys, labels, config, cue)
    pair = (labels, jnp.full_like(labels, -1))
    return ConflictSet(images, *(pair if cue == "shape" else pair[::-1]))


def apart_colours(key: RandomKey, count: int, apart: float) -> Float[Array, "colour 3"]:
    """Draw uniform colours, each anew until it is apart from all before.

    Args:
        key: Random key.
        count: How many.
        apart: Least mean absolute difference of two, on the scale 0 to 1; of `TRIES` that
            all are nearer, the farthest is taken.
    """
    draws = jax.random.uniform(key, (count * TRIES * 3,)).reshape(count, TRIES, 1, 3)
    found = draws[0, :1, 0]
    for tries in draws[1:]:
        gaps = jnp.abs(tries - found[None]).mean(-1).min(-1)
        # The first that is far enough, or else the farthest.
        chosen = tries[jnp.argmax(jnp.minimum(gaps, apart))]
        found = jnp.concatenate([found, chosen])
    return found


def mixed(
    first: Float[Array, "3"],
    second: Float[Array, "3"],
    share: Float[Array, "size size"],
) -> Image:
    """Go from one colour to another."""
    return first[None, None] + share[..., None] * (second - first)[None, None]


# One image at a time: of all classes only its own is drawn, where `vmap` would draw all.
@partial(jax.jit, static_argnames="config")
def _conflicts(
    keys: Keys, pairs: tuple[Labels, Labels], config: ConflictConfig, strength: Strength
) -> Images:
    def one(each: tuple[RandomKey, Array, Array]) -> Image:
        return sample(*each, config, strength)

    return lax.map(one, (keys, *pairs))


@partial(jax.jit, static_argnames=("config", "cue"))
def _controls(keys: Keys, labels: Labels, config: ConflictConfig, cue: str) -> Images:
    draw = silhouette if cue == "shape" else texture

    def one(each: tuple[RandomKey, Array]) -> Image:
        return draw(*each, config)

    return lax.map(one, (keys, labels))


def _cover(
    key: RandomKey, shape: Label, config: ConflictConfig, scale: Amount
) -> Float[Array, "size size"]:
    """Share of each pixel that the silhouette covers."""
    size, draw, *shift = jax.random.uniform(key, (4,))
    low, high = config.scale
    radius = scale * (low + (high - low) * size) / 2
    turn = np.deg2rad(config.turn) * (2 * draw - 1)
    place = jnp.asarray((np.arange(config.size) + 0.5) / config.size - 0.5, np.float32)
    right, down = (place - config.shift * (2 * moved - 1) for moved in shift)
    y, x = jnp.meshgrid(down / radius, right / radius, indexing="ij")
    cos, sin = jnp.cos(turn), jnp.sin(turn)
    x, y = cos * x + sin * y, cos * y - sin * x
    distance = silhouettes.distance(shape, x, y)
    return jnp.clip(0.5 - distance * radius * config.size, 0, 1)
