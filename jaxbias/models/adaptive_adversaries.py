"""Adversaries as StyleGAN2 with adaptive discriminator augmentation trains them.

Karras et al., "Analyzing and Improving the Image Quality of StyleGAN" (CVPR 2020), and
"Training Generative Adversarial Networks with Limited Data" (NeurIPS 2020): the
discriminator sees real and made images through augmentation alone, whose probability rises
while it is too sure of real ones, and pays for the slope of its logits there (R1; Mescheder
et al. 2018).

# Paper: published steps draw noise, and augmentation, anew for the discriminator after the
generator's step, and take R1 as a third step of its own, for which they shrink rates and
betas by 16/17. Here both networks' gradients are taken at once, on the same made images
under the same augmentation, which saves two of nine passes. R1 is not of all images in
every sixteenth step, but of a sixteenth of the images in every step: as much work, and the
same on average, without a branch, in which XLA's convolutions are several times slower on
a CPU. Nothing is shrunk.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Key

from jaxbias.models.layers import Images, Intermediates
from jaxbias.models.stylegan2 import Discriminator, Generator, random_inputs

Classes = Float[Array, "image class"]
Keys = Key[Array, " image"]
Outcome = Float[Array, "image four"]
Change = Callable[[Keys, Images, Float[Array, ""]], Images]
"""Augmentation of each image by its key, with a probability."""

PENALTY = 3
"""Column after those of `adversaries`: what the discriminator pays for real images."""

LAZY = 16
"""Images of a batch of which one pays the penalty, for all of them."""

FEWEST = 4
"""That pay: how they differ is told the discriminator."""

PATIENCE = 4
"""Steps after which the probability of augmentation changes."""


class AdaptiveAdversaries(nn.Module):
    """Both networks; the gradient of each column is that of one of them alone.

    The collection "batch_stats" has what training changes beside the weights: the
    "probability" of augmentation, the mean "sign" of the logits of real images since it
    changed last, and the number of "steps".

    Attributes:
        generator: From noise, one-hot classes and noise to add to images.
        discriminator: From images and one-hot classes to logits.
        classes: Of images.
        change: What the discriminator sees images through; None: as they are.
        target: Mean sign of the logits of real images that augmentation is to lead to.
        span: Images in which its probability could rise from 0 to 1.
        gamma: Weight of the penalty: half of it times the squared slope of the logits.
    """

    generator: Generator
    discriminator: Discriminator
    classes: int
    change: Change | None = None
    target: float | int = 0.6
    span: float | int = 500_000
    gamma: float | int = 0.01

    @nn.compact
    def __call__(
        self,
        images: Images,
        train: bool = False,
        keys: Keys | None = None,
        targets: Classes | None = None,
    ) -> tuple[Outcome, Intermediates]:
        """Judge images, and as many that are made, of classes that are drawn.

        Args:
            images: Real ones, from -1 to 1.
            train: Adapt the augmentation and take the penalty; needs the stream "dropout"
                where there are no keys. Images are augmented where anything is drawn.
            keys: One for each image, from which all that is drawn for it and for a made
                one follows.
            targets: One-hot classes of the real ones; None is no class.

        Returns:
            Logits, see `adversaries.FOOLED`, and `PENALTY`. And "made", the made images.
        """
        count = len(images)
        if keys is None and train:
            keys = jax.random.split(self.make_rng("dropout"), count)
        if targets is None:
            targets = jnp.zeros((count, self.classes))
        probability = self._kept("probability", jnp.float32)
        sign = self._kept("sign", jnp.float32)
        steps = self._kept("steps", jnp.int32)
        each = None
        if keys is not None:
            each = jax.vmap(lambda key: jax.random.split(key, 3))(keys)
        see = partial(self._augmented, each, probability.value)
        noise, classes, added = self._inputs(count, each)
        made = self.generator(noise, classes, added)
        if self.is_initializing():
            # Weights and shapes are all that is asked for.
            real = self.discriminator(images, targets)
            return jnp.stack([real] * 4, axis=1), {"made": made}
        # As functions, so that a gradient can be part of what is computed.
        judge = self.discriminator.clone(parent=None, name=None)
        params = self.discriminator.variables["params"]

        def judged(params: Any, images: Array, classes: Array) -> Any:
            return judge.apply({"params": params}, images, classes)

        few = min(count, max(FEWEST, count // LAZY))
        first = None if each is None else jax.random.clone(each)[:few]
        see_few = partial(self._augmented, first, probability.value)

        def squares(params: Any) -> Array:
            def logits(x: Array) -> Array:
                return jnp.sum(judged(params, see_few(1, x), targets[:few]))

            return jnp.sum(jax.grad(logits)(images[:few]) ** 2, axis=(1, 2, 3))

        shown = see(2, made)
        # The discriminator stays as it is where the generator learns from it.
        fooled = judged(lax.stop_gradient(params), shown, classes)
        real = judged(params, see(1, images), targets)
        fake = judged(params, lax.stop_gradient(shown), classes)
        penalty = jnp.zeros(count)
        if train and self.gamma:
            paid = self.gamma / 2 * count / few * squares(params)
            penalty = penalty.at[:few].set(paid)
        if train:
            self._adapt(probability, sign, steps, lax.stop_gradient(real))
        return jnp.stack([fooled, real, fake, penalty], axis=1), {"made": made}

    def _kept(self, name: str, dtype: Any) -> Any:
        return self.variable("batch_stats", name, jnp.zeros, (), dtype)

    def _inputs(self, count: int, each: Any) -> tuple[Array, Array, Array]:
        """What images are made from: noise, classes, and noise to add; or nothing."""
        width, pixels = self.generator.width, self.generator.pixels
        if each is None:
            empty = (jnp.zeros((count, n)) for n in (width, self.classes, pixels))
            noise, classes, added = empty
            return noise, classes, added
        draw = partial(random_inputs, classes=self.classes, width=width, pixels=pixels)
        return jax.vmap(draw)(each[:, 0])

    def _augmented(self, each: Any, probability: Array, which: int, images: Any) -> Any:
        """Images as the discriminator sees them, by one of the keys of each."""
        if each is None or self.change is None:
            return images
        # Cloned, as the penalty is of images that are seen twice.
        keys = jax.random.clone(each)[:, which]
        return self.change(keys, images, probability)

    def _adapt(self, probability: Any, sign: Any, steps: Any, real: Array) -> None:
        """One step of the probability, where it is due, towards the target."""
        steps.value += 1
        mean = sign.value + jnp.mean(jnp.sign(real)) / PATIENCE
        due = steps.value % PATIENCE == 0
        move = jnp.sign(mean - self.target) * len(real) * PATIENCE / self.span
        moved = jnp.clip(probability.value + move, 0.0, 1.0)
        probability.value = jnp.where(due, moved, probability.value)
        sign.value = jnp.where(due, 0.0, mean)
