"""Denoisers: networks that are trained to take noise of any level off images.

Karras et al. (NeurIPS 2022): a network is wrapped so that what it gets and what it must
give have a deviation of 1 at every level.
"""

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

UNTRAINED = 1.0
"""Level of noise where nothing is drawn: to prepare weights."""


class Denoiser(nn.Module):
    """D(x; sigma), and what it is trained on.

    Attributes:
        network: Called with images, times, one-hot classes (or None), None, and train.
        classes: Of images; 0 leaves them out.
    """

    network: nn.Module
    classes: int = 0

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
            train: Whether to drop; needs the stream "dropout".
            keys: One for each image, from which its noise follows; None draws from the
                stream "dropout" in training.
            targets: One-hot classes; None is no class.

        Returns:
            Clean images as they are expected to be; and "clean", those that were, and
            "weight" of each one's error.
        """
        if keys is None and train:
            keys = jax.random.split(self.make_rng("dropout"), len(images))
        if keys is None:
            level, noise = jnp.full(len(images), UNTRAINED), jnp.zeros_like(images)
        else:
            level, noise = jax.vmap(self._drawn)(keys, images)
        noisy = images + level[:, None, None, None] * noise
        found = self.denoised(noisy, level, targets, train=train)
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
        *,
        train: bool = False,
    ) -> Images:
        """D(x; sigma): clean images as they are expected to be.

        Args:
            noisy: Images with noise.
            level: Deviation of each one's.
            targets: One-hot classes; None is no class.
            train: Whether to drop.
        """
        factors = diffusion.preconditioning(level)
        skip, out, into = (x[:, None, None, None] for x in factors[:3])
        classes = None
        if self.classes:
            classes = targets
            if classes is None:
                classes = jnp.zeros((len(noisy), self.classes))
        given: Any = self.network(into * noisy, factors.noise, classes, None, train)
        return skip * noisy + out * given
