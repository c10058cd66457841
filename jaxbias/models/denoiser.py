"""Denoisers: networks that are trained to take noise of any level off images.

Karras et al. (NeurIPS 2022): a network is wrapped so that what it gets and what it must
give have a deviation of 1 at every level.
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from jaxbias.models.layers import Images, Intermediates
from jaxbias.numerics import diffusion

Levels = Float[Array, " image"]
Classes = Float[Array, "image class"]
Keys = Key[Array, " image"]
Told = Float[Array, "image change"]
Augment = Callable[[Keys, Images], tuple[Images, Told]]
"""From a key for each image and images to changed ones, and numbers that tell how."""

UNTRAINED = 1.0
"""Level of noise where nothing is drawn: to prepare weights."""


def _two(key: Any) -> tuple[Array, Array]:
    first, second = jax.random.split(key)
    return first, second


class Denoiser(nn.Module):
    """D(x; sigma), and what it is trained on.

    Attributes:
        network: Called with images, times, one-hot classes (or None), what augmentation
            did (or None), and train.
        classes: Of images; 0 leaves them out.
        augment: Changes images in training, so that they are changed before noise is added
            and the network is told how; else it is told that nothing was done. None leaves
            this out.
        changes: Numbers that tell what augmentation did.
    """

    network: nn.Module
    classes: int = 0
    augment: Augment | None = None
    changes: int = 0

    def __call__(
        self,
        images: Images,
        train: bool = False,
        keys: Keys | None = None,
        targets: Classes | None = None,
    ) -> tuple[Images, Intermediates]:
        """Add noise of a random level, and take it off again.

        Args:
            images: Of deviation near 1/2 and mean 0: pixels from -1 to 1.
            train: Whether to drop and to augment; needs the stream "dropout".
            keys: One for each image, from which its noise follows and what augmentation
                does; None draws from the stream "dropout" in training.
            targets: One-hot classes; None is no class.

        Returns:
            Clean images as they are expected to be; and "clean", those that were, after
            augmentation, and "weight" of each one's error.
        """
        if keys is None and train:
            keys = jax.random.split(self.make_rng("dropout"), len(images))
        told = None
        if self.augment is not None and train and keys is not None:
            first, keys = jax.vmap(_two)(keys)
            images, told = self.augment(first, images)
        if keys is None:
            level, noise = jnp.full(len(images), UNTRAINED), jnp.zeros_like(images)
        else:
            level, noise = jax.vmap(self._drawn)(keys, images)
        noisy = images + level[:, None, None, None] * noise
        found = self.denoised(noisy, level, targets, told, train=train)
        return found, {"clean": images, "weight": diffusion.weight(level)}

    def _drawn(self, key: Any, image: Array) -> tuple[Array, Array]:
        first, second = jax.random.split(key)
        noise = jax.random.normal(second, (image.size,)).reshape(image.shape)
        return diffusion.levels(first, 1)[0], noise

    def denoised(
        self,
        noisy: Images,
        level: Levels,
        targets: Classes | None = None,
        told: Told | None = None,
        *,
        train: bool = False,
    ) -> Images:
        """D(x; sigma): clean images as they are expected to be.

        Args:
            noisy: Images with noise.
            level: Deviation of each one's.
            targets: One-hot classes; None is no class.
            told: What augmentation did; None is nothing.
            train: Whether to drop.
        """
        factors = diffusion.preconditioning(level)
        skip, out, into = (x[:, None, None, None] for x in factors[:3])
        classes = None
        if self.classes:
            classes = targets
            if classes is None:
                classes = jnp.zeros((len(noisy), self.classes))
        if self.augment is None:
            told = None
        elif told is None:
            told = jnp.zeros((len(noisy), self.changes))
        given: Any = self.network(into * noisy, factors.noise, classes, told, train)
        return skip * noisy + out * given
