"""A generator and its discriminator, trained in one pass.

Goodfellow et al., "Generative Adversarial Nets" (NeurIPS 2014), with the loss that does not
saturate. The released cDCGAN moves the generator first and then the discriminator, on the
images that the generator made before it was moved: neither gradient depends on the other's
step, so both are taken at once here.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Key

from jaxbias.models.layers import Images, Intermediates

Classes = Float[Array, "image class"]
Keys = Key[Array, " image"]
Outcome = Float[Array, "image three"]

FOOLED, REAL, FAKE = 0, 1, 2
"""Columns: the discriminator's logits of made images, from which the generator learns; of
real ones; and of the made ones again, from which it learns itself."""


class Adversaries(nn.Module):
    """Both networks; the gradient of each column is that of one of them alone.

    Attributes:
        generator: From noise, one-hot classes and train to images.
        discriminator: From images, one-hot classes and train to logits.
        noise: Numbers that an image is made from.
        classes: Of images.
    """

    generator: nn.Module
    discriminator: nn.Module
    noise: int
    classes: int

    def __call__(
        self,
        images: Images,
        train: bool = False,
        keys: Keys | None = None,
        targets: Classes | None = None,
    ) -> tuple[Outcome, Intermediates]:
        """Judge images, and as many that are made, of classes that are drawn.

        Args:
            images: Real ones, as the generator's are scaled.
            train: Normalise by the batch's statistics; needs the stream "dropout" where
                there are no keys.
            keys: One for each image, from which noise and class of a made one follow.
            targets: One-hot classes of the real ones; None is no class.

        Returns:
            Logits; see `FOOLED`. And "made", the made images.
        """
        count = len(images)
        if keys is None and train:
            keys = jax.random.split(self.make_rng("dropout"), count)
        if keys is None:
            noise = jnp.zeros((count, self.noise))
            classes = jnp.zeros((count, self.classes))
        else:
            noise, classes = jax.vmap(self._drawn)(keys)
        if targets is None:
            targets = jnp.zeros((count, self.classes))
        generator: Any = self.generator
        made = generator(noise, classes, train)
        judge: Any = self.discriminator
        # The discriminator stays as it is where the generator learns from it.
        fooled = nn.map_variables(
            lambda judge, *given: judge(*given),
            "params",
            trans_in_fn=lax.stop_gradient,
            mutable=True,
        )(judge, made, classes, train)
        real = judge(images, targets, train)
        fake = judge(lax.stop_gradient(made), classes, train)
        return jnp.stack([fooled, real, fake], axis=1), {"made": made}

    def _drawn(self, key: Any) -> tuple[Array, Array]:
        first, second = jax.random.split(key)
        number = jax.random.randint(second, (), 0, self.classes)
        return jax.random.normal(first, (self.noise,)), jax.nn.one_hot(
            number, self.classes
        )
