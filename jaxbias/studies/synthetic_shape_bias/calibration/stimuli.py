"""The sets of stimuli: official ones, and those that are drawn here."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxbias import rng
from jaxbias.data import cue_conflict, navon, procedural_conflict
from jaxbias.data.sixteen_categories import CATEGORIES
from jaxbias.numerics.image_features import shrunk
from jaxbias.probes.neighbours import released_labels
from jaxbias.probes.shape_bias import Sources
from jaxbias.studies.synthetic_shape_bias.calibration.config import Config

OFFICIAL = "official"

PIECE = 200
"""Images that are brought to another side at once."""

SIDE = 128
"""Pixels that official images are brought to before anything else, as released."""


@dataclass(frozen=True)
class Agreeing:
    """Images whose shape and texture are of one class.

    Attributes:
        images: uint8, NHWC.
        labels: The class, in the numbering of the set that they go with.
    """

    images: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class Set:
    """Images whose shape and texture differ.

    Attributes:
        name: "official", or one of `config.DRAWN`.
        images: uint8, NHWC.
        shapes: Label of each shape.
        textures: Label of each texture, in a numbering of the same length.
        sources: Which originals they were made from.
        classes: How many labels there are.
        shared: Whether several images have the same source.
        agreeing: Others of the same kind, whose cues say the same; None where nobody
            asked for them.
    """

    name: str
    images: np.ndarray
    shapes: np.ndarray
    textures: np.ndarray
    sources: Sources
    classes: int
    shared: bool
    agreeing: Agreeing | None = None


def sets(config: Config, *, agreeing: int = 0) -> Iterator[Set]:
    """All that are asked for, one after the other.

    Args:
        config: Says which.
        agreeing: Images of each class whose cues agree, to be drawn with a set of shapes
            and textures; of official ones as many come as there are. 0: none.

    Raises:
        UsageError: If the official ones cannot be read.
    """
    if config.cue_conflict:
        yield official(config.cue_conflict, agreeing=agreeing > 0)
    key = lambda words: rng.stream(jax.random.key(config.seed), words)  # noqa: E731
    for name in config.drawn:
        if name == "navon":
            asked = navon.NavonConfig(size=config.size)
            found = navon.stimuli(key("navon"), asked)
            yield _drawn(name, found, len(navon.LETTERS))
            continue
        # The same shapes, textures and turns on both grounds.
        asked = procedural_conflict.ConflictConfig(
            size=config.size, ground="solid" if name == "solid" else "texture"
        )
        found = procedural_conflict.stimuli(
            key("conflict"), asked, instances=config.instances
        )
        one = _drawn(name, found, len(CATEGORIES))
        if agreeing:
            both = procedural_conflict.agreeing(
                key("agreeing"), asked, instances=agreeing
            )
            labels = np.asarray(both.shapes, np.int32)
            one = replace(one, agreeing=Agreeing(_pixels(both.images), labels))
        yield one


def official(folder: str, *, agreeing: bool = False) -> Set:
    """Those of a folder whose shape and texture differ.

    Args:
        folder: With sixteen folders in it.
        agreeing: Keep the others, whose cues are of one category, beside them.

    Raises:
        UsageError: If the folder is not as the official one.
    """
    stimuli = cue_conflict.Stimuli.open(folder)
    differ = stimuli.shapes != stimuli.textures
    kept = np.flatnonzero(differ)
    cues = [stimuli.cues[place] for place in kept]
    of_shape, shape_strata = cue_conflict.sources(cues, "shape")
    of_texture, texture_strata = cue_conflict.sources(cues, "texture")
    made_of = (of_shape, of_texture, shape_strata, texture_strata)
    images = brought(stimuli.images(), SIDE)
    both = None
    if agreeing and not differ.all():
        both = Agreeing(images[~differ], released_labels(stimuli.shapes[~differ]))
    return Set(
        OFFICIAL,
        images[kept],
        released_labels(stimuli.shapes[kept]),
        released_labels(stimuli.textures[kept]),
        Sources(*(jnp.asarray(one) for one in made_of)),
        len(CATEGORIES),
        shared=True,
        agreeing=both,
    )


def brought(images: np.ndarray, size: int) -> np.ndarray:
    """Square images at another side, uint8.

    Args:
        images: NHWC, on the scale 0 to 255.
        size: Side in pixels, no larger than theirs.
    """
    parts = (images[i : i + PIECE] for i in range(0, len(images), PIECE))
    smaller = (_smaller(jnp.asarray(part), size) for part in parts)
    return np.concatenate([np.round(part).astype(np.uint8) for part in smaller])


@partial(jax.jit, static_argnums=1)
def _smaller(images: Array, size: int) -> Array:
    return shrunk(images.astype(jnp.float32), size)


def _drawn(name: str, found: procedural_conflict.ConflictSet, classes: int) -> Set:
    """Every image is an original of its own."""
    shapes, textures = (np.asarray(x, np.int32) for x in (found.shapes, found.textures))
    numbered, strata = zip(*(_alone(one) for one in (shapes, textures)), strict=True)
    sources = Sources(*(jnp.asarray(one) for one in (*numbered, *strata)))
    images = _pixels(found.images)
    return Set(name, images, shapes, textures, sources, classes, shared=False)


def _pixels(images: Array) -> np.ndarray:
    """As uint8."""
    return np.round(255 * np.asarray(images)).astype(np.uint8)


def _alone(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A source for each image, numbered in the order of their labels."""
    order = np.argsort(labels, kind="stable")
    number = np.empty(len(labels), np.int32)
    number[order] = np.arange(len(labels))
    return number, labels[order]
