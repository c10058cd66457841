"""What embeddings hold of shape and of texture, other than by neighbours and decisions.

Triplets ask which of two matches is nearer (Tartaglini et al. 2022), correlations of pairs
how many dimensions follow a cue (Islam et al. 2021), decisions which cue a classifier goes
by that could have learnt either, linear probes whether a cue can be read at all (Hermann et
al. 2020), distances what an augmentation changes, and jigsaws what is left when patches are
shuffled.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int, Num

from jaxbias.arrays import Params, RandomKey
from jaxbias.data.transforms import check_patches, orders, rearranged
from jaxbias.probes import linear
from jaxbias.probes.complexity import ROUNDING
from jaxbias.probes.neighbours import directions

Embeddings = Float[Array, "image feature"]
Labels = Int[Array, " image"]
Similarity = Literal["cosine", "dot", "euclidean"]

NOBODY = -1
"""In place of a partner where there is none."""


# Partners


def partners(
    key: RandomKey, fitting: Bool[Array, "image image"]
) -> Int[Array, " image"]:
    """For each image (row) one of those that fit, all equally likely; -1 if none does."""
    count = fitting.shape[0]
    draws = jax.random.uniform(key, (count * count,)).reshape(count, count)
    found = jnp.argmax(jnp.where(fitting, draws, -1.0), axis=1)
    return jnp.where(jnp.any(fitting, axis=1), found, NOBODY)


class Matches(NamedTuple):
    """Of each image as an anchor; -1 where no image matches.

    Attributes:
        shape: An image of its shape and another texture.
        texture: An image of its texture and another shape.
    """

    shape: Int[Array, " image"]
    texture: Int[Array, " image"]


def matches(
    key: RandomKey,
    shapes: Labels,
    textures: Labels,
    allowed: Bool[Array, "image image"] | None = None,
) -> Matches:
    """Draw the matches of triplets, or of pairs for `dimensions`.

    Args:
        key: Of the draw.
        shapes: What counts as one shape: its category; or, for pairs that are one
            photograph in two styles, its source.
        textures: The same of the texture.
        allowed: Which pairs may be drawn, such as `neighbours.voters` of "either" for
            matches by category that share no source. None: all.
    """
    first, second = jax.random.split(key)
    shape = shapes[:, None] == shapes[None]
    texture = textures[:, None] == textures[None]
    rest = jnp.ones_like(shape) if allowed is None else allowed
    return Matches(
        partners(first, shape & ~texture & rest),
        partners(second, texture & ~shape & rest),
    )


# Triplets


class Triplets(NamedTuple):
    """Attributes:
    shape: Share of the triplets in which the shape match is nearer; ties count half.
    tied: Share in which both are equally near.
    count: Anchors that have both matches.
    """

    shape: Float[Array, ""]
    tied: Float[Array, ""]
    count: Int[Array, ""]


def _nearness(first: Embeddings, second: Embeddings, similarity: Similarity) -> Array:
    """Of rows; higher is nearer. Of unit vectors, distances order as cosines do."""
    if similarity == "dot":
        return jnp.sum(first * second, axis=1)
    return -jnp.linalg.norm(first - second, axis=1)


def triplets(
    embeddings: Embeddings, drawn: Matches, similarity: Similarity = "cosine"
) -> Triplets:
    """Is an anchor nearer to its shape match or to its texture match?

    0.5 is no preference. Of embeddings that are not finite, all alike, or without a
    direction, shares are NaN.
    """
    units, flag = directions(embeddings)
    values = units if similarity == "cosine" else embeddings
    near = _nearness(values, values[drawn.shape], similarity)
    far = _nearness(values, values[drawn.texture], similarity)
    there = (drawn.shape >= 0) & (drawn.texture >= 0)
    count = jnp.sum(there)
    known = (count > 0) & (flag == 0)
    tied = there & (near == far)
    share = lambda which: jnp.where(  # noqa: E731
        known, jnp.sum(which) / jnp.maximum(count, 1), jnp.nan
    )
    return Triplets(share(there & (near > far)) + share(tied) / 2, share(tied), count)


# Dimensions


class Dimensions(NamedTuple):
    """How many of D dimensions follow each cue.

    Attributes:
        shape_score: Correlation of shape pairs, over all dimensions together.
        texture_score: Of texture pairs.
        shape: Dimensions of shape: D times the softmax of both scores and 1.
        texture: Dimensions of texture.
        residual: What is left of D.
    """

    shape_score: Float[Array, ""]
    texture_score: Float[Array, ""]
    shape: Float[Array, ""]
    texture: Float[Array, ""]
    residual: Float[Array, ""]


def pair_score(
    embeddings: Embeddings, partner: Int[Array, " image"]
) -> Float[Array, ""]:
    """Covariance of images and their partners over the variance of all images.

    Both are summed over dimensions; a pair's images are centred on the mean of the means of
    both sides. 1 if partners are equal, about 0 if they have nothing in common; NaN without
    pairs, or if the embeddings are all alike.
    """
    there = (partner >= 0).astype(embeddings.dtype)
    share = (there / jnp.maximum(jnp.sum(there), 1))[:, None]
    # From a common centre, which changes nothing, so that no digits are lost.
    centred = embeddings - jnp.mean(embeddings, axis=0, keepdims=True)
    other = centred[partner]
    middle = jnp.sum(share * (centred + other), axis=0, keepdims=True) / 2
    together = jnp.sum(share * (centred - middle) * (other - middle))
    variance = jnp.sum(jnp.mean(centred**2, axis=0))
    apart = jnp.max(jnp.abs(embeddings - embeddings[:1]))
    varied = apart > ROUNDING * jnp.max(jnp.abs(embeddings))
    known = (jnp.sum(there) > 0) & varied
    return jnp.where(known, together / jnp.where(known, variance, 1), jnp.nan)


def dimensions(embeddings: Embeddings, drawn: Matches) -> Dimensions:
    """Dimensions of shape and of texture (Islam et al. 2021).

    Read the scores too. The softmax squeezes: with scores from 0 to 1, a cue has between
    0.155 and 0.422 of the dimensions, and 0.333 when both are perfect.

    Args:
        embeddings: Of the layer, before or after its nonlinearity.
        drawn: Pairs. As published a shape pair is one photograph in two styles, and a
            texture pair one style on two classes: see `matches`.
    """
    total = embeddings.shape[1]
    scores = [pair_score(embeddings, one) for one in drawn]
    shares = jax.nn.softmax(jnp.stack([*scores, jnp.ones(())]))
    return Dimensions(*scores, *(total * shares))


# Linear probes


class Decisions(NamedTuple):
    """What a classifier answers where the cues differ.

    Attributes:
        shape: Share of images that are called by their shape.
        texture: By their texture.
    """

    shape: float
    texture: float

    @property
    def bias(self) -> float:
        """Shape bias: of answers by either, the share by shape; NaN without any."""
        both = self.shape + self.texture
        return self.shape / both if both else float("nan")


def decisions(
    embeddings: Embeddings | Float[np.ndarray, "image feature"],
    shapes: Int[np.ndarray, " image"],
    textures: Int[np.ndarray, " image"],
    agreeing: Embeddings | Float[np.ndarray, "other feature"],
    labels: Int[np.ndarray, " other"],
    *,
    penalty: float = 1e-2,
) -> Decisions:
    """Which cue a linear classifier goes by that was fitted where both say the same.

    Geirhos et al. (2019) take the answers of a network's own head, which knows the
    categories from photographs. Features without such a head are asked here by one that
    is fitted on images whose cues agree, and so could have learnt either.

    Args:
        embeddings: Of images whose cues differ.
        shapes: Class of each one's shape, from 0.
        textures: Class of its texture, in the same numbering.
        agreeing: Embeddings of images of one class by both cues.
        labels: That class.
        penalty: Of `linear.fit`.

    Returns:
        NaN for embeddings that are not finite, or all alike.
    """
    values, known = np.asarray(embeddings), np.asarray(agreeing)
    if not np.isfinite(values).all() or not np.isfinite(known).all():
        return Decisions(float("nan"), float("nan"))
    if not np.ptp(known, axis=0).any():
        return Decisions(float("nan"), float("nan"))
    classes = int(max(labels.max(), shapes.max(), textures.max())) + 1
    probe = linear.fit(known, labels, classes, penalties=(penalty,))
    answers = probe.predict(values)
    return Decisions(
        float(np.mean(answers == shapes)), float(np.mean(answers == textures))
    )


def decodability(
    embeddings: Embeddings | Float[np.ndarray, "image feature"],
    labels: Int[np.ndarray, " image"],
    sources: Int[np.ndarray, " image"],
    *,
    folds: int = 3,
    penalties: tuple[float, ...] = linear.PENALTIES,
) -> float:
    """Accuracy of linear probes of a cue, on images whose source they have not seen.

    Sources are dealt out to folds within each label, and a probe is fitted on all folds but
    one. Of 48 textures each category has three, so there are three folds.

    Args:
        embeddings: Of the images.
        labels: Category of the cue, from 0.
        sources: Which original gave the image this cue; an image's own number makes the
            folds ones of images.
        folds: At most as many as each label has sources.
        penalties: Tried by `linear.fit`.

    Returns:
        Mean over images; NaN for embeddings that are not finite, or all alike.

    Raises:
        ValueError: If a label has fewer sources than there are folds.
    """
    values = np.asarray(embeddings)
    if not np.isfinite(values).all() or not np.ptp(values, axis=0).any():
        return float("nan")
    fold = dealt(labels, sources, folds)
    classes = int(labels.max()) + 1
    right = np.zeros(len(labels), bool)
    for number in range(folds):
        out = fold == number
        probe = linear.fit(values[~out], labels[~out], classes, penalties=penalties)
        right[out] = probe.predict(values[out]) == labels[out]
    return float(right.mean())


def dealt(
    labels: Int[np.ndarray, " image"], sources: Int[np.ndarray, " image"], folds: int
) -> Int[np.ndarray, " image"]:
    """Deal sources out to folds, within each label: the fold of each image, from 0.

    Raises:
        ValueError: If a label has fewer sources than there are folds.
    """
    fold = np.zeros(len(labels), int)
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        seen, number = np.unique(sources[own], return_inverse=True)
        if len(seen) < folds:
            raise ValueError(f"label {label} has {len(seen)} sources for {folds} folds")
        fold[own] = number % folds
    return fold


# Distances


def pair_distance(first: Embeddings, second: Embeddings) -> Float[Array, ""]:
    """Mean cosine distance (0 to 2) of images and other versions of them.

    NaN if one has no direction.
    """
    # 1 - cos, without the rounding of a cosine near to 1.
    apart = directions(first)[0] - directions(second)[0]
    return jnp.mean(jnp.sum(apart**2, axis=1)) / 2


def view_distance(views: Float[Array, "view image feature"]) -> Float[Array, ""]:
    """Mean cosine distance of two views of an image.

    The released code adds up the pairs of three views: three times this.
    """
    count, images, features = views.shape
    units, _ = directions(views.reshape(count * images, features))
    units = units.reshape(views.shape)
    middle = jnp.mean(units, axis=0, keepdims=True)
    # The sum over pairs of squares is `count` times the sum around the mean.
    return jnp.mean(jnp.sum((units - middle) ** 2, axis=(0, 2))) / (count - 1)


def in_batch_spread(embeddings: Embeddings, batch: int) -> Float[Array, ""]:
    """Mean cosine distance of two images of a batch; images that fill none are left out.

    The released code adds up the pairs of each batch and divides by all images: this times
    `released_pairs`.
    """
    whole = embeddings.shape[0] // batch * batch
    units, _ = directions(embeddings[:whole])
    units = units.reshape(whole // batch, batch, -1)
    middle = jnp.mean(units, axis=1, keepdims=True)
    return jnp.mean(jnp.sum((units - middle) ** 2, axis=(1, 2))) / (batch - 1)


def released_pairs(batch: int, views: int = 1) -> float:
    """Pairs for each image of a batch: 31.5 for 64 images, 127 for two views of 64."""
    return views * (views * batch - 1) / 2


# Jigsaw


def jigsaw(
    key: RandomKey,
    predict: Callable[[Params, Array], Array],
    params: Params,
    images: Num[Array, "image height width channel"],
    labels: Labels,
    *,
    side: int,
    batch: int = 64,
) -> Float[Array, ""]:
    """Accuracy on images whose patches are shuffled, each image's anew.

    Published with patches of 16 and 8 pixels for images of 64. An image of one patch is
    what it was: a side as long as the image's gives plain accuracy.

    Args:
        key: Of the orders.
        predict: From parameters and float images in [0, 1] to scores (image, class): a
            network and the head that was fitted on it, which was trained on whole images.
        params: Theirs.
        images: uint8, or floats in [0, 1].
        labels: From 0.
        side: Of a patch, in pixels; must divide the images.
        batch: Images at once.

    Returns:
        NaN if a score is not finite.

    Raises:
        ValueError: If patches do not fill an image.
    """
    scale = 255.0 if jnp.issubdtype(images.dtype, jnp.integer) else 1.0
    count, height, width, _ = images.shape
    check_patches(height, width, side)
    batch = min(batch, count)
    filled = -(-count // batch) * batch
    order = orders(key, filled, (height // side) * (width // side))
    padding = [(0, filled - count), (0, 0), (0, 0), (0, 0)]
    batches = jnp.pad(images, padding).reshape(-1, batch, *images.shape[1:])

    def scores(some: tuple[Array, Array]) -> Array:
        whole = some[0].astype(jnp.float32) / scale
        return predict(params, rearranged(whole, some[1], side=side))

    found = lax.map(scores, (batches, order.reshape(-1, batch, order.shape[1])))
    found = found.reshape(filled, -1)[:count]
    right = jnp.mean(jnp.argmax(found, axis=1) == labels)
    return jnp.where(jnp.all(jnp.isfinite(found)), right, jnp.nan)
