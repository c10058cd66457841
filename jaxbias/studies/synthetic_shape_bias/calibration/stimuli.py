"""The sets of stimuli: official ones, and those that are drawn here."""

from collections.abc import Iterator
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from jaxbias import rng
from jaxbias.data import cue_conflict, navon, procedural_conflict
from jaxbias.data.sixteen_categories import CATEGORIES
from jaxbias.numerics.image_features import shrunk
from jaxbias.probes.neighbours import released_labels
from jaxbias.probes.shape_bias import Sources
from jaxbias.studies.synthetic_shape_bias.calibration.config import Config

OFFICIAL = "official"

SIDE = 128
"""Pixels that official images are brought to before anything else, as released."""


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
    """

    name: str
    images: np.ndarray
    shapes: np.ndarray
    textures: np.ndarray
    sources: Sources
    classes: int
    shared: bool


def sets(config: Config) -> Iterator[Set]:
    """All that are asked for, one after the other.

    Raises:
        UsageError: If the official ones cannot be read.
    """
    if config.cue_conflict:
        yield official(config.cue_conflict)
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
        yield _drawn(name, found, len(CATEGORIES))


def official(folder: str) -> Set:
    """Those of a folder whose shape and texture differ.

    Raises:
        UsageError: If the folder is not as the official one.
    """
    stimuli = cue_conflict.Stimuli.open(folder)
    kept = np.flatnonzero(stimuli.shapes != stimuli.textures)
    cues = [stimuli.cues[place] for place in kept]
    of_shape, shape_strata = cue_conflict.sources(cues, "shape")
    of_texture, texture_strata = cue_conflict.sources(cues, "texture")
    made_of = (of_shape, of_texture, shape_strata, texture_strata)
    smaller = jax.jit(lambda images: shrunk(images.astype(jnp.float32), SIDE))
    images = stimuli.images()[kept]
    parts = [smaller(images[i : i + 100]) for i in range(0, len(images), 100)]
    return Set(
        OFFICIAL,
        np.concatenate([np.round(part).astype(np.uint8) for part in parts]),
        released_labels(stimuli.shapes[kept]),
        released_labels(stimuli.textures[kept]),
        Sources(*(jnp.asarray(one) for one in made_of)),
        len(CATEGORIES),
        shared=True,
    )


def _drawn(name: str, found: procedural_conflict.ConflictSet, classes: int) -> Set:
    """Every image is an original of its own."""
    shapes, textures = (np.asarray(x, np.int32) for x in (found.shapes, found.textures))
    numbered, strata = zip(*(_alone(one) for one in (shapes, textures)), strict=True)
    images = np.asarray(found.images)
    if images.dtype != np.uint8:
        images = np.round(255 * images).astype(np.uint8)
    sources = Sources(*(jnp.asarray(one) for one in (*numbered, *strata)))
    return Set(name, images, shapes, textures, sources, classes, shared=False)


def _alone(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A source for each image, numbered in the order of their labels."""
    order = np.argsort(labels, kind="stable")
    number = np.empty(len(labels), np.int32)
    number[order] = np.arange(len(labels))
    return number, labels[order]
