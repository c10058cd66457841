"""What networks are trained for: from what they put out to a loss of each image.

Classes, masked patches, noise, the adversary's word, two views of one image, or which
program's parameters go with which image.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float

from jaxbias.models import mae

Targets = Float[Array, "image class"]
Losses = Float[Array, " image"]
Right = Bool[Array, " image"] | Float[Array, " image"]
"""Whether an image is right, or how much so; NaN where there is no such thing."""

Projections = Float[Array, "image view width"]
"""Of two views of each image."""

Score = Callable[[Any, Mapping[str, Array], Targets], tuple[Losses, Right]]
"""From a network's output, its named intermediates and the targets."""


@dataclass(frozen=True, kw_only=True)
class Objective:
    """What a network is trained for.

    Augmentation may show several views of an image as images of their own. Those of one
    image must then follow each other, so that the parts of a batch hold them together.

    Attributes:
        score: A pure function; training minimises the mean of its losses.
        draws: Whether the network draws at evaluation as in training. It is then called
            with `keys`, one for each image, that follow from the image's number alone.
        conditional: Whether the network is told the targets: it is called with `targets`.
    """

    score: Score
    draws: bool = False
    conditional: bool = False


def classify(
    logits: Float[Array, "image class"],
    found: Mapping[str, Array],
    targets: Targets,
) -> tuple[Losses, Right]:
    """Cross-entropy, in nats; right is whose largest logit is of the largest target."""
    del found
    losses = optax.softmax_cross_entropy(logits, targets)
    return losses, logits.argmax(-1) == targets.argmax(-1)


def reconstruct(
    prediction: mae.Patches, found: Mapping[str, Array], targets: Targets
) -> tuple[Losses, Right]:
    """The squared error of a masked autoencoder; nothing is right or wrong."""
    del targets
    losses = mae.losses(prediction, found["targets"], found["mask"])
    return losses, jnp.full_like(losses, jnp.nan)


def denoise(
    found: Float[Array, "image height width channel"],
    known: Mapping[str, Array],
    targets: Targets,
) -> tuple[Losses, Right]:
    """The weighted squared error of a denoiser, summed over pixels; see `Denoiser`."""
    del targets
    errors = jnp.sum((found - known["clean"]) ** 2, axis=(1, 2, 3))
    losses = known["weight"] * errors
    return losses, jnp.full_like(losses, jnp.nan)


def adversarial(
    logits: Float[Array, "image three"],
    found: Mapping[str, Array],
    targets: Targets,
) -> tuple[Losses, Right]:
    """The losses of both adversaries, added; right is how far the discriminator is right.

    Of the generator -log D(made); of the discriminator the mean of -log D(real) and
    -log(1 - D(made)). See `Adversaries`: each is a loss of one network alone.
    """
    del found, targets
    fooled, real, fake = logits.T
    of_generator = jax.nn.softplus(-fooled)
    of_discriminator = (jax.nn.softplus(-real) + jax.nn.softplus(fake)) / 2
    right = ((real > 0).astype(jnp.float32) + (fake < 0).astype(jnp.float32)) / 2
    return of_generator + of_discriminator, right


def adversarial_with_penalty(
    logits: Float[Array, "image four"],
    found: Mapping[str, Array],
    targets: Targets,
) -> tuple[Losses, Right]:
    """As `adversarial`, with the discriminator's losses added and a penalty.

    Of the discriminator -log D(real) - log(1 - D(made)) + penalty. See
    `AdaptiveAdversaries`.
    """
    del found, targets
    fooled, real, fake, penalty = logits.T
    of_discriminator = jax.nn.softplus(-real) + jax.nn.softplus(fake) + penalty
    right = ((real > 0).astype(jnp.float32) + (fake < 0).astype(jnp.float32)) / 2
    return jax.nn.softplus(-fooled) + of_discriminator, right


def contrast(temperature: float) -> Objective:
    """NT-Xent: tell the other view of an image from all other views (SimCLR, eq. 1).

    Args:
        temperature: What cosines are divided by.

    Returns:
        For outputs (image, 2, width). Losses are in nats, means over both views; an image
        is right as far as the most similar other view is its own: 0, 1/2 or 1. Both depend
        on which images are in the batch, and on how many.
    """

    def score(
        projections: Projections, found: Mapping[str, Array], targets: Targets
    ) -> tuple[Losses, Right]:
        del found, targets
        own = jnp.arange(2 * len(projections)) ^ 1
        others = _cosines(projections) / temperature
        losses = jax.nn.logsumexp(others, axis=1) - others[jnp.arange(len(own)), own]
        right = (others.argmax(1) == own).astype(jnp.float32)
        return _of_images(losses), _of_images(right)

    return Objective(score=score)


def supervised_contrast(temperature: float) -> Objective:
    """SupCon: tell the views of a class from all others (Khosla et al. 2020, eq. 2).

    Args:
        temperature: What cosines are divided by.

    Returns:
        As `contrast`, where right is a most similar other view of the same class.
    """

    def score(
        projections: Projections, found: Mapping[str, Array], targets: Targets
    ) -> tuple[Losses, Right]:
        del found
        others = _cosines(projections) / temperature
        classes = jnp.repeat(targets.argmax(-1), 2)
        same = classes[:, None] == classes[None]
        same &= ~jnp.eye(len(classes), dtype=bool)
        # An image's other view is one of them, so that there is one at least.
        each = jnp.where(same, others, 0.0).sum(1) / same.sum(1)
        losses = jax.nn.logsumexp(others, axis=1) - each
        right = same[jnp.arange(len(same)), others.argmax(1)].astype(jnp.float32)
        return _of_images(losses), _of_images(right)

    return Objective(score=score)


def match(temperature: float) -> Objective:
    """Tell the program that made an image from all others, by cosines; see `Matched`.

    InfoNCE from the image's side with every program a candidate, in place of those of the
    batch (CLIP; Radford et al. 2021).
    """

    def score(
        cosines: Float[Array, "image class"],
        found: Mapping[str, Array],
        targets: Targets,
    ) -> tuple[Losses, Right]:
        return classify(cosines / temperature, found, targets)

    return Objective(score=score)


def _cosines(projections: Projections) -> Float[Array, "one other"]:
    """Of all views with one another, those of an image in a row; -inf with itself."""
    lengths = jnp.linalg.norm(projections, axis=-1, keepdims=True)
    views = projections / jnp.maximum(lengths, 1e-6)
    views = views.reshape(-1, projections.shape[-1])
    cosines = jnp.dot(views, views.T, precision="highest")
    return jnp.where(jnp.eye(len(views), dtype=bool), -jnp.inf, cosines)


def _of_images(values: Float[Array, " one"]) -> Float[Array, " image"]:
    return values.reshape(-1, 2).mean(1)


CLASSIFICATION = Objective(score=classify)
RECONSTRUCTION = Objective(score=reconstruct, draws=True)
ADVERSARIAL = Objective(score=adversarial, draws=True, conditional=True)
PENALISED = Objective(score=adversarial_with_penalty, draws=True, conditional=True)
DENOISING = Objective(score=denoise, draws=True, conditional=True)
