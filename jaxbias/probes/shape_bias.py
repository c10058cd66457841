"""Shape bias: does an observer go by an image's shape or by its texture?

Geirhos et al., ImageNet-trained CNNs are biased towards texture (ICLR 2019). Images have
the shape of one category and the texture of another; the answer is one of 16 categories.
With s answers by shape and t by texture, shape bias is s / (s + t). It says nothing of the
answers that are neither: read it with the decided share (s + t) / trials and with accuracy.
Answers and categories are numbers; -1 is no answer, or no texture.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int, Num

from jaxbias.arrays import Params, RandomKey
from jaxbias.numerics.bootstrap import counts

Aggregation = Literal["mean", "sum", "max"]

Classes = Mapping[str, Sequence[int]]
"""A network's classes of each category, which are numbered in this order."""

NO_ANSWER = -1


def category_scores(
    logits: Float[Array, "image class"],
    classes: Classes,
    aggregation: Aggregation = "mean",
) -> Float[Array, "image category"]:
    """Logarithm of each category's probability.

    Args:
        logits: Of all classes of the network.
        classes: The network's classes of each category; those of none are left out, and a
            category without classes has score -inf.
        aggregation: Of the probabilities (softmax over all classes) of a category's
            classes: their mean (published), sum or maximum.

    Raises:
        ValueError: If a class is not one of the network's, or in two categories.
    """
    taken = [number for own in classes.values() for number in own]
    total = logits.shape[1]
    if len(set(taken)) < len(taken) or not all(0 <= n < total for n in taken):
        raise ValueError(f"classes must be 0 to {total - 1}, each in one category")
    sizes = np.asarray([len(own) for own in classes.values()])
    there = np.arange(max(1, sizes.max())) < sizes[:, None]
    place = np.zeros(there.shape, np.int32)
    place[there] = taken
    # In logarithms, or all categories of a confident network could underflow to 0.
    logs = jax.nn.log_softmax(logits, axis=1)
    chosen = jnp.where(there[None], logs[:, place], -jnp.inf)
    if aggregation == "max":
        return jnp.max(chosen, axis=2)
    sums = jax.nn.logsumexp(chosen, axis=2)
    if aggregation == "sum":
        return sums
    return sums - np.log(np.maximum(sizes, 1)).astype(np.float32)[None]


def decisions(scores: Float[Array, "image category"]) -> Int[Array, " image"]:
    """The category of the highest score; the first of equal ones.

    No answer where a score is NaN, or where all are -inf.
    """
    # Paper: model-vs-human takes the last of equal ones; ties do not occur in practice.
    best = jnp.argmax(scores, axis=1).astype(jnp.int32)
    broken = jnp.isnan(scores).any(axis=1) | (jnp.max(scores, axis=1) == -jnp.inf)
    return jnp.where(broken, NO_ANSWER, best)


def answers(
    predict: Callable[[Params, Array], Array],
    params: Params,
    images: Num[Array, "image height width channel"],
    classes: Classes,
    *,
    aggregation: Aggregation = "mean",
    batch: int = 64,
) -> Int[Array, " image"]:
    """A network's forced choice among the categories.

    Args:
        predict: Pure function of parameters and a batch of images, float32 NHWC in [0, 1];
            gives logits (batch, class). Normalisation is its own.
        params: Its parameters.
        images: uint8, or floats in [0, 1].
        classes: See `category_scores`.
        aggregation: See `category_scores`.
        batch: Images at once; fewer than that are filled up with black ones.
    """
    count = images.shape[0]
    batch = max(1, min(batch, count))
    filled = -(-count // batch) * batch
    padding = [(0, filled - count), (0, 0), (0, 0), (0, 0)]
    batches = jnp.pad(images, padding).reshape(-1, batch, *images.shape[1:])

    def one(some: Array) -> Int[Array, " image"]:
        scale = 255.0 if jnp.issubdtype(some.dtype, jnp.integer) else 1.0
        with jax.default_matmul_precision("highest"):
            logits = predict(params, some.astype(jnp.float32) / scale)
        return decisions(category_scores(logits, classes, aggregation))

    return lax.map(one, batches).reshape(-1)[:count]


class Hits(NamedTuple):
    """What each trial says.

    Attributes:
        shape: The answer is the shape, and the texture is another category.
        texture: The answer is the texture, and the shape is another category.
        conflict: Shape and texture differ, and the observer could answer with either.
        right: The answer is the shape, whatever the texture.
    """

    shape: Bool[Array, " trial"]
    texture: Bool[Array, " trial"]
    conflict: Bool[Array, " trial"]
    right: Bool[Array, " trial"]


@jax.jit
def hits(
    answered: Int[Array, " trial"],
    shapes: Int[Array, " trial"],
    textures: Int[Array, " trial"],
    possible: Bool[Array, " category"] | None = None,
) -> Hits:
    """Sort trials; images whose shape and texture are one category are no conflict.

    Args:
        answered: Category of each answer.
        shapes: Category of each shape.
        textures: Category of each texture; -1 for images without one, such as edges.
        possible: Which categories a network has classes for; trials with a cue of another
            are left out of the conflict. None: all.
    """
    conflict = (shapes != textures) & (textures >= 0)
    if possible is not None:
        conflict &= possible[shapes] & possible[textures]
    return Hits(
        shape=conflict & (answered == shapes),
        texture=conflict & (answered == textures),
        conflict=conflict,
        right=answered == shapes,
    )


class ShapeBias(NamedTuple):
    """Counts and shares; arrays of any one shape.

    Attributes:
        shape_hits: Answers by shape, s.
        texture_hits: Answers by texture, t.
        shape_bias: s / (s + t); NaN where nothing is decided.
        decided: (s + t) / trials of conflict; NaN where there are none.
    """

    shape_hits: Num[Array, "*group"]
    texture_hits: Num[Array, "*group"]
    shape_bias: Float[Array, "*group"]
    decided: Float[Array, "*group"]


def shape_bias(
    shape_hits: Num[Array, "*group"],
    texture_hits: Num[Array, "*group"],
    trials: Num[Array, "*group"],
) -> ShapeBias:
    """Shape bias and decided share from whole counts."""
    both = shape_hits + texture_hits
    bias = jnp.where(both > 0, shape_hits / jnp.maximum(both, 1), jnp.nan)
    decided = jnp.where(trials > 0, both / jnp.maximum(trials, 1), jnp.nan)
    return ShapeBias(shape_hits, texture_hits, bias, decided)


class Sources(NamedTuple):
    """Which original images each image was made from.

    Attributes:
        shape: Number of the image that gave the shape, for each image.
        texture: Of that which gave the texture.
        shape_strata: Category of each image that gave a shape, in rising order.
        texture_strata: Of each that gave a texture.
    """

    shape: Int[Array, " image"]
    texture: Int[Array, " image"]
    shape_strata: Int[Array, " shape"]
    texture_strata: Int[Array, " texture"]


def image_weights(key: RandomKey, sources: Sources) -> Int[Array, " image"]:
    """How often a resample of the source images takes each cue-conflict image.

    The 1,200 images of conflict were made from 160 shapes and 48 textures. Images that
    share either are not independent: sources are resampled, shapes and textures each by
    themselves, and an image counts as often as the product says (Owen, The pigeonhole
    bootstrap, 2007). The 16 categories are the design and not a sample, so sources are
    resampled within them. On simulated answers with effects of both sources such 95 %
    intervals hold the truth in 95 to 100 %, those that resample images in 69 to 79 %.
    """
    shape_key, texture_key = jax.random.split(key)
    shape = counts(shape_key, sources.shape_strata)
    texture = counts(texture_key, sources.texture_strata)
    return shape[sources.shape] * texture[sources.texture]


class Consistency(NamedTuple):
    """Of each pair of observers, over images that both answered.

    Attributes:
        images: How many, weighted.
        observed: Share on which both are right or both wrong.
        expected: The same for independent observers of their accuracies.
        kappa: (observed - expected) / (1 - expected); NaN where expected is 1.
    """

    images: Float[Array, "observer observer"]
    observed: Float[Array, "observer observer"]
    expected: Float[Array, "observer observer"]
    kappa: Float[Array, "observer observer"]


@jax.jit
def error_consistency(
    right: Bool[Array, "observer image"],
    answered: Bool[Array, "observer image"],
    weights: Num[Array, " image"] | None = None,
) -> Consistency:
    """Do observers err on the same images? Cohen's kappa of being right.

    Chance is p1 p2 + (1 - p1)(1 - p2) for accuracies p1 and p2 (Geirhos et al., Beyond
    accuracy, 2020).

    Args:
        right: Whether an answer is right; "none" is wrong.
        answered: Whether an image was shown to the observer.
        weights: How often an image counts. None: once.
    """
    shown = answered.astype(jnp.float32)
    good = (right & answered).astype(jnp.float32)
    each = jnp.ones(shown.shape[1]) if weights is None else weights
    weighted = shown * each[None, :].astype(jnp.float32)

    def together(x: Array, y: Array) -> Float[Array, "observer observer"]:
        return jnp.matmul(x, y.T, precision=lax.Precision.HIGHEST)

    images = together(weighted, shown)
    some = jnp.maximum(images, 1)
    first = together(good * weighted, shown) / some
    second = first.T
    # Both right, and both wrong.
    bad = shown - good
    agreeing = together(good * weighted, good) + together(bad * weighted, bad)
    observed = jnp.where(images > 0, agreeing / some, jnp.nan)
    expected = first * second + (1 - first) * (1 - second)
    expected = jnp.where(images > 0, expected, jnp.nan)
    certain = expected > 1 - 1e-6
    kappa = (observed - expected) / jnp.where(certain, 1.0, 1 - expected)
    return Consistency(images, observed, expected, jnp.where(certain, jnp.nan, kappa))
