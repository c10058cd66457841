"""The images of a small world: its training sets, and what stands in for each benchmark."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxbias.data import sources, transforms
from jaxbias.data.archives import ImageSet as Arrays
from jaxbias.data.archives import SourceError
from jaxbias.data.resampling import gaussian_matrices, separable
from jaxbias.data.stylisation import stylised
from jaxbias.files import UsageError
from jaxbias.numerics.statistics import evenly
from jaxbias.probes.shape_bias import Sources
from jaxbias.studies.imagenet_biases.probe.images import VALIDATION, ImageSet
from jaxbias.studies.imagenet_biases.probe.parts import padded
from jaxbias.studies.imagenet_biases.small_world.config import Config
from jaxbias.studies.imagenet_biases.small_world.training import Sets
from jaxbias.training import sets
from jaxbias.training.recipes import Running
from jaxbias.training.sets import Prepared
from jaxbias.training.steps import Images, Pixels, as_floats

HARD, POSTERS, LINES, STYLISED, CONFLICT = (
    *("hard", "posters", "lines", "stylised", "conflict"),
)
"""Sets, the first four in place of ImageNet-A, ImageNet-R, Sketch and stylised images."""

SHAPES, TEXTURES = 10, 3
"""Images of each class that give shapes and textures, as in the official set."""

LEVELS, BLUR = 4, 32
"""Of a poster: levels of each colour, and images' sides over the deviation of a Gaussian
that they are blurred by first."""

SCORED = 1_000
"""Validation images that the log of a training tells of, at most."""

AT_ONCE = 500
"""Images that are stylised by one call."""

FEWEST = 2
"""Classes, or validation images of each, without which nothing is in conflict."""


@lru_cache(maxsize=1)
def opened(config: Config) -> tuple[Prepared, Prepared]:
    """Training and validation images, in memory; read once where a run is checked first.

    Raises:
        UsageError: Naming the option, if they cannot be used.
    """
    try:
        training, validation = sources.open_splits(
            config.data, config.validation, share=config.hold_out
        )
        training = sets.limited(training, config.most_images)
        running = Running(size=config.size, resident="yes")
        both = [sets.prepare(s, running, config.model) for s in (training, validation)]
    except SourceError as error:
        raise UsageError(f"--data: {error}") from error
    for one in both:
        assert one.images is not None
        if one.channels != 3:
            raise UsageError(f"--data: {one.channels} channels; three are needed")
    labels = both[1].images.labels  # type: ignore[union-attr]
    counts = np.bincount(labels, minlength=len(training.classes))
    if len(counts) < FEWEST or counts.min() < FEWEST:
        raise UsageError(
            f"--data: {len(counts)} classes with {counts.min()} or more validation "
            f"images each; {FEWEST} and {FEWEST} are needed"
        )
    for option in ("images", "clean_images"):
        if (asked := getattr(config, option)) > len(both[1]):
            raise UsageError(
                f"--{option.replace('_', '-')}: {asked:,} images, but there are "
                f"{len(both[1]):,} for validation"
            )
    return both[0], both[1]


# Images in the style of others


@jax.jit
def _stylised(contents: Pixels, styles: Pixels) -> Pixels:
    made = jax.vmap(stylised)(as_floats(contents), as_floats(styles))
    return _levels(made)


def _levels(images: Images) -> Pixels:
    return jnp.round(images * 255).astype(jnp.uint8)


def restyled(contents: np.ndarray, styles: np.ndarray) -> np.ndarray:
    """Each image in the style of another; uint8, (image, side, side, 3)."""
    found = []
    for start in range(0, len(contents), AT_ONCE):
        both = [x[start : start + AT_ONCE] for x in (contents, styles)]
        # Filled up, so that one program serves all.
        made = _stylised(*map(jnp.asarray, padded(both, AT_ONCE)))
        found.append(np.asarray(made)[: len(both[0])])
    return np.concatenate(found)


def training_sets(training: Prepared, validation: Prepared, config: Config) -> Sets:
    """What networks are trained on; stylised images are made when first asked for.

    A style is that of another training image, whatever its class.
    """
    plain = training.images
    assert plain is not None

    @cache
    def other() -> Prepared:
        rng = np.random.default_rng([config.seed, 1])
        pixels = np.asarray(plain.images)
        made = restyled(pixels, pixels[rng.permutation(len(pixels))])
        return _prepared(training, made, plain.labels)

    @cache
    def both() -> Prepared:
        made = other().images
        assert made is not None
        pixels = np.concatenate([np.asarray(plain.images), made.images])
        return _prepared(training, pixels, np.tile(plain.labels, 2))

    images = validation.images
    assert images is not None
    few = evenly(len(images), SCORED)
    scored = replace(
        validation,
        images=Arrays(images.images[few], images.labels[few], images.classes),
    )
    return Sets(training, scored, other, both)


def _prepared(like: Prepared, pixels: np.ndarray, labels: np.ndarray) -> Prepared:
    images = Arrays(pixels, labels, like.source.classes, "stylised")
    return replace(like, source=images, images=images)


# Stimuli


class Conflict(NamedTuple):
    """Images of two cues, by the class of each.

    Attributes:
        pixels: uint8, (image, side, side, 3).
        shapes: Class of the shape.
        textures: Class of the texture.
        made_from: Which images gave them.
    """

    pixels: np.ndarray
    shapes: np.ndarray
    textures: np.ndarray
    made_from: Sources


def conflicting(
    pixels: np.ndarray, labels: np.ndarray, count: int, rng: np.random.Generator
) -> Conflict:
    """Give images of each class the texture of images of each other.

    As in the official set, all ordered pairs of classes come equally often (but for what
    is left over), and few images of each class give shapes and textures.

    Args:
        pixels: uint8.
        labels: Their classes; each has two images or more.
        count: Images to make.
        rng: What is drawn.
    """
    classes = int(labels.max()) + 1
    of = [rng.permutation(np.flatnonzero(labels == n)) for n in range(classes)]
    # Half of a small class at most, so that no image meets itself.
    shape = [own[: min(SHAPES, len(own) // 2)] for own in of]
    texture = [own[-min(TEXTURES, len(own) // 2) :] for own in of]
    pairs = [(a, b) for a in range(classes) for b in range(classes) if a != b]
    order = [pairs[n] for n in rng.permutation(len(pairs))]
    chosen = [order[n % len(order)] for n in range(count)]
    rows = [(a, int(rng.integers(len(shape[a])))) for a, _ in chosen]
    columns = [(b, int(rng.integers(len(texture[b])))) for _, b in chosen]
    contents = np.asarray([shape[a][n] for a, n in rows])
    styles = np.asarray([texture[b][n] for b, n in columns])
    numbers = [_numbered(used) for used in (rows, columns)]
    (first, second), strata = zip(*numbers, strict=True)
    made_from = Sources(*map(jnp.asarray, (first, second, *strata)))
    cues = np.asarray(chosen, np.int32)
    made = restyled(pixels[contents], pixels[styles])
    return Conflict(made, cues[:, 0], cues[:, 1], made_from)


def _numbered(used: Sequence[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    """A number for each source that is used, and the class of each number, rising."""
    place = {one: number for number, one in enumerate(sorted(set(used)))}
    strata = np.asarray([label for label, _ in place], np.int32)
    return np.asarray([place[one] for one in used], np.int32), strata


def posters(pixels: np.ndarray) -> np.ndarray:
    """Images of few colours and little detail, in place of art and drawings."""
    side = pixels.shape[1]
    blur = jnp.asarray(
        gaussian_matrices(side, np.asarray([side / BLUR]))[0], jnp.float32
    )
    soft = jax.vmap(lambda image: separable(image, blur, blur))(
        as_floats(jnp.asarray(pixels))
    )
    steps = jnp.round(jnp.clip(soft, 0, 1) * (LEVELS - 1)) / (LEVELS - 1)
    return np.asarray(_levels(steps))


def lines(pixels: np.ndarray) -> np.ndarray:
    """Edges in black on white, in place of sketches."""
    found = transforms.canny(as_floats(jnp.asarray(pixels)))
    return np.asarray(_levels(1 - found))


@dataclass(frozen=True)
class World:
    """Everything that is shown.

    Attributes:
        sets: Of the probe, the validation images first.
        conflict: What the set of that name was made of.
    """

    sets: tuple[ImageSet, ...]
    conflict: Conflict


def world(
    training: Prepared,
    validation: Prepared,
    answer: Callable[[np.ndarray], np.ndarray],
    config: Config,
) -> World:
    """Make all stimuli from validation images.

    Args:
        training: Gives styles.
        validation: Gives all else.
        answer: The reference network's classes of images; those that it gets wrong are
            the hard ones.
        config: Says how many.
    """
    assert training.images is not None and validation.images is not None
    pixels, labels = np.asarray(validation.images.images), validation.images.labels
    rng = np.random.default_rng([config.seed, 2])
    order = rng.permutation(len(pixels))
    pixels, labels = pixels[order], labels[order]
    classes = len(training.source.classes)
    make = partial(_set, classes=classes)
    shown = slice(config.clean_images or None)
    plain, truth = pixels[shown], labels[shown]
    wrong = answer(plain) != truth
    styles = np.asarray(training.images.images)
    styles = styles[rng.integers(len(styles), size=len(plain))]
    conflict = conflicting(pixels, labels, config.conflicts, rng)
    sets = [
        make(VALIDATION, "clean", pixels, labels),
        make(POSTERS, "ood", posters(plain), truth),
        make(LINES, "ood", lines(plain), truth),
        make(STYLISED, "cues", restyled(plain, styles), truth),
        make(CONFLICT, "shape", conflict.pixels, conflict.shapes),
    ]
    if wrong.any():
        sets.insert(1, make(HARD, "ood", plain[wrong], truth[wrong]))
    return World(tuple(sets), conflict)


def _set(
    name: str, part: str, pixels: np.ndarray, labels: np.ndarray, *, classes: int
) -> ImageSet:
    return ImageSet(
        name,
        part,
        np.arange(len(pixels)),
        labels.astype(np.int32),
        read=lambda index: pixels[index],
        allowed=np.ones(classes, bool),
        files=lambda index: f"{name}-{index}",
    )
