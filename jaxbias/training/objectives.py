"""What networks are trained for: from what they put out to a loss of each image."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float

from jaxbias.models import mae

Targets = Float[Array, "image class"]
Losses = Float[Array, " image"]
Right = Bool[Array, " image"] | Float[Array, " image"]
"""Whether an image is right, or how much so; NaN where there is no such thing."""

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
    """

    score: Score
    draws: bool = False


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


CLASSIFICATION = Objective(score=classify)
RECONSTRUCTION = Objective(score=reconstruct, draws=True)
