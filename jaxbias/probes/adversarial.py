"""Adversarial accuracy under projected gradient descent (PGD; Madry et al., ICLR 2018).

How many images are still answered rightly when each is changed, within a small
distance, by steps along the loss's gradient.
"""

import math
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from jaxbias.arrays import Params, RandomKey
from jaxbias.probes.paths import Function

Norm = Literal["linf", "l2"]
Keep = Literal["last", "worst"]

Images = Float[Array, "image *shape"]
Labels = Int[Array, " image"]
Values = Array | np.ndarray | float


def random_in_ball(
    key: RandomKey, images: Images, radius: Array | float, norm: Norm
) -> Images:
    """A perturbation of each image, uniform in the ball of a norm.

    In many dimensions nearly all of an l2 ball's volume, and so nearly every draw, lies
    at its surface.
    """
    count, size = images.shape[0], math.prod(images.shape[1:])
    # Drawn flat: several axes compile slowly on a CPU.
    if norm == "linf":
        drawn = jax.random.uniform(key, (images.size,), minval=-1.0)
        return radius * drawn.reshape(images.shape)
    direction_key, length_key = jax.random.split(key)
    drawn = jax.random.normal(direction_key, (images.size,)).reshape(images.shape)
    length = jax.random.uniform(length_key, (count,)) ** (1 / size)
    return radius * _each(length, drawn) * _unit(drawn)


def pgd(
    predict: Function,
    params: Params,
    images: Images,
    labels: Labels,
    key: RandomKey | None,
    *,
    norm: Norm,
    radius: Array | float,
    step_size: Array | float,
    num_steps: int,
    keep: Keep = "last",
    unroll: bool = False,
) -> Images:
    """Images of larger cross-entropy, no farther than a radius from the given ones.

    Each step goes along the sign of the gradient (linf) or along the gradient at unit
    length (l2), back into the ball, and then into 0 to 1. A gradient of 0, such as that
    of a softmax that rounds to 1, moves nothing.

    Args:
        predict: Pure function of parameters and a batch of images to logits, each row of
            its own image alone.
        params: Its parameters.
        images: On the scale 0 to 1.
        labels: Their classes.
        key: Of a random start, uniform in the ball. None starts at the images.
        norm: "linf" or "l2", of the difference over all pixels and channels.
        radius: Largest norm of it; may be traced.
        step_size: Length of a step in the same norm; may be traced.
        num_steps: Gradients to take.
        keep: "last": where the steps end. "worst": the point of largest loss on the way,
            the start included, for one more pass forward.
        unroll: Write the steps out instead of a loop: slower to compile, but XLA for CPUs
            runs some convolutions many times slower in a loop.

    Returns:
        The images after it.

    References:
        Gavrikov and Keuper (CVPR 2024): linf, radius 0.5/255, 40 steps of 2/255, a random
        start; with the same start it takes the path of Foolbox.
    """

    def losses(moved: Images) -> tuple[Array, Array]:
        logits = predict(params, moved)
        each = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
        return jnp.sum(each), each

    def inside(moved: Images) -> Images:
        # Both sets are convex and the box holds the centre, so that the second
        # projection does not leave the ball.
        moved = images + _projected(moved - images, radius, norm)
        return jnp.clip(moved, 0.0, 1.0)

    def step(state: tuple, _: None) -> tuple[tuple, None]:
        here, worst, most = state
        (_, each), slope = jax.value_and_grad(losses, has_aux=True)(here)
        ahead = jnp.sign(slope) if norm == "linf" else _unit(slope)
        if keep == "worst":
            worst, most = _larger(here, each, worst, most)
        return (inside(here + step_size * ahead), worst, most), None

    start = images
    if key is not None:
        start = inside(images + random_in_ball(key, images, radius, norm))
    state = (start, start, jnp.full(images.shape[0], -jnp.inf))
    (last, worst, most), _ = lax.scan(step, state, length=num_steps, unroll=unroll)
    if keep == "worst":
        last, _ = _larger(last, losses(last)[1], worst, most)
    return last


def _larger(
    here: Images, loss: Array, worst: Images, most: Array
) -> tuple[Images, Array]:
    """Of two points of each image, the one of larger loss."""
    better = loss > most
    return jnp.where(_each(better, here), here, worst), jnp.where(better, loss, most)


def _projected(difference: Images, radius: Array | float, norm: Norm) -> Images:
    """The nearest point of the ball."""
    if norm == "linf":
        return jnp.clip(difference, -radius, radius)
    length = _length(difference)
    shrunk = radius / jnp.where(length > radius, length, 1.0)
    return difference * _each(jnp.where(length > radius, shrunk, 1.0), difference)


def _unit(vectors: Images) -> Images:
    """Each at unit L2 length; 0 stays."""
    # The square of a small gradient is 0 in float32. Foolbox divides by no less than
    # 1e-12, and hardly moves images whose gradient is shorter; here these move too.
    largest = jnp.max(jnp.abs(vectors.reshape(vectors.shape[0], -1)), axis=1)
    scaled = vectors / _each(jnp.where(largest > 0, largest, 1.0), vectors)
    length = _length(scaled)
    return scaled / _each(jnp.where(length > 0, length, 1.0), vectors)


def _length(vectors: Images) -> Float[Array, " image"]:
    return jnp.linalg.norm(vectors.reshape(vectors.shape[0], -1), axis=1)


def _each(values: Array, images: Images) -> Array:
    """A number for each image, with axes to broadcast over it."""
    return values.reshape(-1, *(1,) * (images.ndim - 1))


class Counts(NamedTuple):
    """How many images are classified rightly; those of several batches add.

    Attributes:
        images: How many there are.
        right: Right as they are.
        robust: Right as they are and after the attack.
        unread: With a logit that is not finite, before or after.
    """

    images: Int[Array, ""]
    right: Int[Array, ""]
    robust: Int[Array, ""]
    unread: Int[Array, ""]

    def accuracy(self) -> Float[Array, ""]:
        """Share that is right; NaN if there is none or one could not be read."""
        return self._share(self.right)

    def robust_accuracy(self) -> Float[Array, ""]:
        """Share that is right before and after, with the same NaN."""
        return self._share(self.robust)

    def _share(self, count: Array) -> Array:
        readable = (self.images > 0) & (self.unread == 0)
        return jnp.where(readable, count / jnp.maximum(self.images, 1), jnp.nan)


def count(
    predict: Function,
    params: Params,
    images: Images,
    attacked: Images,
    labels: Labels,
    real: Bool[Array, " image"] | None = None,
) -> Counts:
    """Count images that are classified rightly before and after an attack.

    Args:
        predict: Pure function of parameters and a batch of images to logits.
        params: Its parameters.
        images: As they are.
        attacked: What an attack made of them.
        labels: Their classes.
        real: Which count; the others fill up a batch. None counts all.
    """
    real = jnp.ones(images.shape[0], bool) if real is None else real
    before, after = (predict(params, x) for x in (images, attacked))
    right, still = (jnp.argmax(logits, axis=-1) == labels for logits in (before, after))
    finite = jnp.all(jnp.isfinite(before) & jnp.isfinite(after), axis=-1)
    marks = (jnp.ones_like(real), right & finite, right & still & finite, ~finite)
    return Counts(*(jnp.sum(real & mark) for mark in marks))


# What was published


def true_accuracy(printed: Values, images: int = 50_000, batch: int = 128) -> Values:
    """Percent of images that withstand, from what Gavrikov and Keuper's code prints.

    It takes the wrong ones as a share of whole batches, 391 of 128 or 50,048 images,
    though the last batch is smaller. A printed 0.0959 is 0.

    Args:
        printed: In percent.
        images: How many there are.
        batch: Of that code.
    """
    return 100 - (100 - printed) * _counted(images, batch) / images


def printed_accuracy(true: Values, images: int = 50_000, batch: int = 128) -> Values:
    """The other way: what that code prints for a true accuracy, both in percent."""
    return 100 - (100 - true) * images / _counted(images, batch)


def _counted(images: int, batch: int) -> int:
    return -(-images // batch) * batch
