"""Shape bias of embeddings: are an image's nearest neighbours of its shape or texture?

Leave-one-out k-nearest-neighbour classification of cue-conflict images (Benarous et al.,
Harnessing Synthetic Datasets, 2023, as in their code): by cosine, with one vote for each of
k = 1 to 5 neighbours, once for labels of shape and once for labels of texture. With s
images whose shape and t images whose texture is found, shape bias is s / (s + t).

It is largely retrieval of siblings: the 1,200 images have 160 shapes and 48 textures, so
each has seven siblings of the same photograph and 25 of the same style, and pixels read
0.90. So that it can be seen what is left, siblings may be excluded, and chance, from labels
that are permuted over the source images, is taken off. Always show an untrained network
beside a trained one.
"""

from collections.abc import Sequence
from functools import partial
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from jaxbias.arrays import RandomKey
from jaxbias.data.sixteen_categories import CATEGORIES
from jaxbias.probes.complexity import ROUNDING
from jaxbias.probes.shape_bias import Sources, image_weights

MOST = 5
"""Largest k."""

RELEASED_ORDER = (
    *("knife", "keyboard", "elephant", "bicycle", "airplane", "clock", "oven", "chair"),
    *("bear", "boat", "cat", "bottle", "truck", "car", "bird", "dog"),
)
"""Categories as the authors number them: of labels with equal votes the first is taken."""

Exclusion = Literal["none", "own", "either"]
"""Which images may not vote beside the image itself: none; those of the same shape's source
about shapes and of the same texture's source about textures; those that share either source
about both.

With "own" the siblings that are left over vote for other labels: a neighbour with the same
photograph has another texture. With "either" no vote has to do with a sibling.
"""

Labels = Int[Array, " image"]
Mask = Bool[Array, "image image"]
Nearest = Int[Array, "image neighbour"]


def released_labels(categories: Int[np.ndarray, " image"]) -> np.ndarray:
    """Numbers of `data.sixteen_categories` as the authors', int32; -1 stays."""
    places = [RELEASED_ORDER.index(name) for name in CATEGORIES]
    return np.asarray([*places, -1], np.int32)[categories]


def voters(sources: Sources, exclusion: Exclusion) -> tuple[Mask, Mask]:
    """Who may vote (columns) on whom (rows), about the shape and about the texture."""
    shape = sources.shape[:, None] != sources.shape[None]
    texture = sources.texture[:, None] != sources.texture[None]
    if exclusion == "own":
        return shape, texture
    if exclusion == "either":
        return shape & texture, shape & texture
    others = ~jnp.eye(len(sources.shape), dtype=bool)
    return others, others


def directions(
    embeddings: Float[Array, "image feature"],
) -> tuple[Float[Array, "image feature"], Int[Array, ""]]:
    """Unit vectors, and whether cosines between them mean anything.

    Returns:
        Embeddings over their lengths; and an index into `probes.complexity.DEGENERATE`: 0
        if all have a direction and the directions differ by more than rounding; an
        embedding of zeros is taken as not finite.
    """
    largest = jnp.max(jnp.abs(embeddings), axis=1, keepdims=True)
    # Squares of small numbers underflow.
    scaled = embeddings / largest
    units = scaled / jnp.linalg.norm(scaled, axis=1, keepdims=True)
    apart = jnp.max(jnp.abs(units - units[:1]))
    least = ROUNDING * jnp.max(jnp.abs(units))
    flag = jnp.where(apart == 0, 1, jnp.where(apart < least, 3, 0))
    return units, jnp.where(jnp.all(jnp.isfinite(units)), flag, 2)


def nearest(
    units: Float[Array, "image feature"], allowed: Mask, most: int = MOST
) -> Nearest:
    """The allowed images with the largest cosines, nearest first; of equal ones the first.

    Where fewer are allowed than asked for, -1.
    """
    # Orders as cosines do, since (u - v)^2 = 2 - 2 uv; but cosines that are all near to 1,
    # as those of untrained networks, lose their digits.
    centred = units - jnp.mean(units, axis=0, keepdims=True)
    products = jnp.dot(centred, centred.T, precision=lax.Precision.HIGHEST)
    closeness = products - jnp.sum(centred**2, axis=1)[None] / 2
    values, places = lax.top_k(jnp.where(allowed, closeness, -jnp.inf), most)
    return jnp.where(values > -jnp.inf, places, -1)


def elected(neighbours: Nearest, labels: Labels, classes: int) -> Int[Array, "k image"]:
    """Label with most votes of the k nearest, for every k; the lowest of equal ones.

    -1 where an image has fewer neighbours.
    """
    chosen = jnp.where(neighbours >= 0, labels[neighbours], -1)
    votes = jnp.cumsum(jax.nn.one_hot(chosen, classes, dtype=jnp.int32), axis=1)
    found = jnp.argmax(votes, axis=2)
    return jnp.where(neighbours >= 0, found, -1).T


class NeighbourBias(NamedTuple):
    """Readings for k = 1, 2, ...; NaN for embeddings without directions or neighbours.

    Attributes:
        shape_accuracy: Share of the images whose shape is found.
        texture_accuracy: Share whose texture is found.
        decided: Share with at least one of them.
        shape_bias: Shape accuracy over the sum of both; NaN where that is 0.
        mean: Mean of the shape bias over k: the published number.
        degenerate: See `directions`.
        shape_nearest: Neighbours that vote about shapes.
        texture_nearest: Those that vote about textures.
    """

    shape_accuracy: Float[Array, " k"]
    texture_accuracy: Float[Array, " k"]
    decided: Float[Array, " k"]
    shape_bias: Float[Array, " k"]
    mean: Float[Array, ""]
    degenerate: Int[Array, ""]
    shape_nearest: Nearest
    texture_nearest: Nearest


@partial(jax.jit, static_argnames=("exclusion", "classes", "most"))
def neighbour_bias(
    embeddings: Float[Array, "image feature"],
    shapes: Labels,
    textures: Labels,
    sources: Sources,
    *,
    exclusion: Exclusion = "none",
    classes: int = len(CATEGORIES),
    most: int = MOST,
) -> NeighbourBias:
    """Shape bias of one embedding; `lax.map` or `vmap` it over those of checkpoints.

    Args:
        embeddings: Of images whose shape and texture differ.
        shapes: From 0; as `released_labels` for the published order of ties.
        textures: In the same numbering.
        sources: Which originals the images were made from.
        exclusion: Who may not vote.
        classes: How many labels there are.
        most: Largest k.
    """
    units, flag = directions(embeddings)
    by_shape, by_texture = voters(sources, exclusion)
    shape_nearest = texture_nearest = nearest(units, by_shape, most)
    if exclusion == "own":
        texture_nearest = nearest(units, by_texture, most)
    shape = elected(shape_nearest, shapes, classes) == shapes[None]
    texture = elected(texture_nearest, textures, classes) == textures[None]
    enough = jnp.all((shape_nearest >= 0) & (texture_nearest >= 0), axis=0)
    known = enough & (flag == 0)
    shares = (jnp.mean(right, axis=1) for right in (shape, texture, shape | texture))
    a, b, decided = (jnp.where(known, share, jnp.nan) for share in shares)
    bias = ratio(a, b)
    return NeighbourBias(
        *(a, b, decided, bias, jnp.mean(bias)),
        *(flag, shape_nearest, texture_nearest),
    )


def ratio(shape: Float[Array, "*k"], texture: Float[Array, "*k"]) -> Float[Array, "*k"]:
    """Share of the shape in the sum; NaN where that is 0."""
    total = shape + texture
    return jnp.where(total == 0, jnp.nan, shape / jnp.where(total == 0, 1, total))


@partial(jax.jit, static_argnames=("classes",))
def neighbour_accuracy(
    embeddings: Float[Array, "image feature"],
    labels: Labels,
    *,
    classes: int = len(CATEGORIES),
) -> Float[Array, " k"]:
    """Leave-one-out accuracy for k = 1 to 5, for images of one cue (edges, silhouettes)."""
    units, flag = directions(embeddings)
    neighbours = nearest(units, ~jnp.eye(len(labels), dtype=bool))
    right = jnp.mean(elected(neighbours, labels, classes) == labels[None], axis=1)
    known = jnp.all(neighbours >= 0, axis=0) & (flag == 0)
    return jnp.where(known, right, jnp.nan)


@partial(jax.jit, static_argnames=("classes", "permutations"))
def chance(
    key: RandomKey,
    found: NeighbourBias,
    shapes: Labels,
    textures: Labels,
    sources: Sources,
    *,
    classes: int = len(CATEGORIES),
    permutations: int = 200,
) -> tuple[Float[Array, " k"], Float[Array, " k"]]:
    """Accuracies of the same neighbours for labels that say nothing.

    The labels of the source images are permuted among them, those of shapes and of textures
    each by themselves. Means over permutations. Where siblings vote, this is what the
    retrieval of siblings alone reads.
    """

    def accuracy(
        key: RandomKey, neighbours: Nearest, labels: Labels, source: Labels, count: int
    ) -> Array:
        own = jnp.zeros(count, labels.dtype).at[source].set(labels)
        drawn = jax.random.permutation(key, own)[source]
        return jnp.mean(elected(neighbours, drawn, classes) == drawn[None], axis=1)

    def one(key: RandomKey) -> tuple[Array, Array]:
        first, second = jax.random.split(key)
        by_shape = (shapes, sources.shape, len(sources.shape_strata))
        by_texture = (textures, sources.texture, len(sources.texture_strata))
        return (
            accuracy(first, found.shape_nearest, *by_shape),
            accuracy(second, found.texture_nearest, *by_texture),
        )

    drawn = lax.map(one, jax.random.split(key, permutations))
    shape, texture = (jnp.mean(values, axis=0) for values in drawn)
    known = ~jnp.isnan(found.decided)
    return jnp.where(known, shape, jnp.nan), jnp.where(known, texture, jnp.nan)


def above_chance(
    found: NeighbourBias, by_chance: Sequence[Float[Array, " k"]]
) -> Float[Array, " k"]:
    """Shape bias of the accuracies less `chance`, none below 0; NaN where both are 0."""
    return ratio(
        jnp.maximum(found.shape_accuracy - by_chance[0], 0),
        jnp.maximum(found.texture_accuracy - by_chance[1], 0),
    )


class Resampled(NamedTuple):
    """Readings of each resample; see `numerics.bootstrap.interval`.

    Attributes:
        shape_accuracy: For each k.
        texture_accuracy: For each k.
        mean: Mean over k of the shape bias.
    """

    shape_accuracy: Float[Array, "resample k"]
    texture_accuracy: Float[Array, "resample k"]
    mean: Float[Array, " resample"]


@partial(jax.jit, static_argnames=("classes", "resamples"))
def resampled(
    key: RandomKey,
    found: NeighbourBias,
    shapes: Labels,
    textures: Labels,
    sources: Sources,
    *,
    classes: int = len(CATEGORIES),
    resamples: int = 1000,
) -> Resampled:
    """What resamples of the source images read, see `shape_bias.image_weights`.

    Neighbours are those among all images: in a resample, an image would find its own
    repeats.
    """
    shape = elected(found.shape_nearest, shapes, classes) == shapes[None]
    texture = elected(found.texture_nearest, textures, classes) == textures[None]
    known = ~jnp.isnan(found.decided)

    def one(key: RandomKey) -> Resampled:
        weights = image_weights(key, sources).astype(jnp.float32)
        total = jnp.sum(weights)

        def share(right: Bool[Array, "k image"]) -> Float[Array, " k"]:
            weighed = jnp.sum(jnp.where(right, weights[None], 0.0), axis=1) / total
            return jnp.where(known, weighed, jnp.nan)

        a, b = share(shape), share(texture)
        return Resampled(a, b, jnp.mean(ratio(a, b)))

    return lax.map(one, jax.random.split(key, resamples))
