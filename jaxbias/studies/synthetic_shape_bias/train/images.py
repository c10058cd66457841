"""The sets of a training: what it learns from, and what its features are asked about."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache, partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxbias import rng
from jaxbias.data import sources, transforms
from jaxbias.data.archives import ImageSet, SourceError
from jaxbias.data.generators import catalogue
from jaxbias.files import UsageError
from jaxbias.studies.synthetic_shape_bias.train.config import Config
from jaxbias.training import sets
from jaxbias.training.recipes import Running
from jaxbias.training.sets import Drawn, Prepared

SCORED = 512
"""Images for the log, at most."""

PATCHES = {"jigsaw_quarter": 4, "jigsaw_eighth": 8}
"""Patches along a side, as published: of 16 and of 8 pixels in images of 64."""

BEYOND = 2**30
"""Number of the first image that is never trained on."""


@dataclass(frozen=True)
class Sets:
    """The images of a training.

    Attributes:
        training: Made as they are needed, or kept.
        scored: Others of the same kind, for the log.
        table: What describes each program; None of images that were there.
    """

    training: Drawn | Prepared
    scored: Prepared
    table: Float[Array, "program parameter"] | None


def opened(config: Config) -> Sets:
    """Make or read the images.

    Raises:
        UsageError: Naming the option, if they cannot be used.
    """
    return _made(config) if ":" not in config.data else _read(config)


def generator(config: Config) -> catalogue.Generator:
    """What makes the images.

    Raises:
        UsageError: If there is none of that name, or of that size.
    """
    try:
        return catalogue.named(config.data, config.size)
    except catalogue.UnknownGeneratorError as error:
        raise UsageError(f"--data: {error}") from error
    except ValueError as error:
        raise UsageError(f"--size {config.size}: {error}") from error


def _made(config: Config) -> Sets:
    made, seed = generator(config), np.uint32(config.seed)
    table = None
    if config.programs is not None:
        count = config.programs
        table = jax.jit(lambda: catalogue.codes(made, seed, count))()
    classes = tuple(f"{number}" for number in range(config.programs or 1))

    def kept(first: int, count: int) -> Prepared:
        index = first + np.arange(count)
        pixels, labels = catalogue.kept(made, seed, index, table)
        images = ImageSet(pixels, labels.astype(np.int64), classes, "made here")
        return Prepared.of(images)

    if config.endless:
        training = Drawn(
            draw=partial(_draw, made, config.seed),
            data=table,
            count=config.images,
            classes=classes,
            size=config.size,
            endless=True,
        )
    else:
        training = kept(0, config.images)
    scored = kept(BEYOND, min(SCORED, config.images))
    described = None
    if table is not None:
        described = _standard(jax.jit(jax.vmap(made.parameters))(table))
    return Sets(training, scored, described)


def _draw(
    made: catalogue.Generator, seed: int, table: catalogue.Code, index
) -> tuple[Array, Array]:
    pixels, labels = catalogue.images(made, np.uint32(seed), index, table)
    return pixels, labels.astype(jnp.int32)


def _standard(table: Float[Array, "program parameter"]) -> Array:
    """Of mean 0 and deviation 1; what all programs share is 0."""
    centred = table - jnp.mean(table, axis=0, keepdims=True)
    spread = jnp.std(centred, axis=0, keepdims=True)
    return jnp.where(spread > 1e-6, centred / jnp.where(spread > 1e-6, spread, 1), 0.0)


def _read(config: Config) -> Sets:
    try:
        first, second = sources.open_splits(config.data, None, share=0.1)
        first = sets.limited(first, config.images)
        second = sets.limited(second, max(SCORED, len(second.classes)))
        running = Running(size=config.size, resident="yes")
        both = [sets.prepare(one, running, config.model) for one in (first, second)]
    except SourceError as error:
        raise UsageError(f"--data: {error}") from error
    if both[0].channels != 3:
        raise UsageError(f"--data: {both[0].channels} channels; three are needed")
    if len(both[0]) < config.batch:
        raise UsageError(f"--batch: {config.batch} for {len(both[0])} images")
    return Sets(both[0], both[1], None)


@dataclass(frozen=True)
class Transfer:
    """Labelled images: as many to fit a classifier to as to test it on.

    Attributes:
        images: uint8, first those to fit to.
        labels: Their classes.
        fitted: How many are to fit to.
        classes: How many classes there are.
        shuffled: Those to test on with their patches in another order, by the name of
            their size.
    """

    images: np.ndarray
    labels: np.ndarray
    fitted: int
    classes: int
    shuffled: Mapping[str, np.ndarray]


def transfer(config: Config) -> Transfer:
    """The labelled images.

    Raises:
        UsageError: Naming the option, if they cannot be used.
    """
    return _labelled(config.transfer, config.transfer_images, config.size)


@lru_cache(maxsize=1)
def _labelled(text: str, count: int, size: int) -> Transfer:
    try:
        both = sources.open_splits(text, None, share=0.5)
        running = Running(size=size, resident="yes")
        # The size is given, so that no model is asked for its own.
        parts = [sets.prepare(sets.limited(one, count), running, "") for one in both]
    except SourceError as error:
        raise UsageError(f"--transfer: {error}") from error
    if parts[0].channels != 3:
        raise UsageError(f"--transfer: {parts[0].channels} channels; three are needed")
    found = [part.images for part in parts if part.images is not None]
    labels = [one.labels for one in found]
    classes = len(both[0].classes)
    for own in labels:
        if np.bincount(own, minlength=classes).min() < 1 or classes < 2:
            raise UsageError("--transfer: two classes or more, with images of each")
    whole = np.concatenate([np.asarray(one.images) for one in found])
    return Transfer(
        whole,
        np.concatenate(labels),
        len(labels[0]),
        classes,
        _shuffled(whole[len(labels[0]) :]),
    )


def _shuffled(images: np.ndarray) -> dict[str, np.ndarray]:
    """Patches of a part of the side in another order, each image's its own."""
    size, found = images.shape[1], {}
    for name, part in PATCHES.items():
        if size % part == 0:
            key = rng.stream(jax.random.key(0), name)
            moved = transforms.patch_shuffle(
                key, jnp.asarray(images, jnp.float32), side=size // part
            )
            found[name] = np.asarray(moved).astype(np.uint8)
    return found
