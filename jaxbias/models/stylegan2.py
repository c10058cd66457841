"""StyleGAN2 for small images: generator, and discriminator, both told the class.

Karras et al., "Analyzing and Improving the Image Quality of StyleGAN" (CVPR 2020), in the
form that Karras et al., "Training Generative Adversarial Networks with Limited Data"
(NeurIPS 2020), train on CIFAR-10: outputs that are added up as the resolution grows, no
residual branches in the discriminator, two layers from noise to styles, and the projection
discriminator of Miyato and Koyama (2018) for classes.

# Paper: the released networks compute in float16 from 8 x 8 pixels on and cut features
at 256 for its sake; here one `dtype` holds for all, bfloat16 overflows nowhere, and nothing
is cut.
"""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxbias.models.layers import Features, Images
from jaxbias.models.style_layers import (
    EPSILON,
    Colours,
    Convolution,
    Linear,
    Styled,
    Vectors,
    activated,
    doubled,
    normal,
    normalised,
)

Classes = Float[Array, "image class"]
"""One-hot."""

SMALLEST = 4
"""Side of the first features of the generator, and of the discriminator's last."""

SLOW = 0.01
"""Learning rate of layers from noise or classes to styles, over that of all others."""

GROUP = 32
"""Images whose features are compared with each other, at most."""

GENERATOR_LAYERS, DISCRIMINATOR_LAYERS = 2, 8
"""From noise and class to styles, and from a class to what it looks like. The first number
is that of the CIFAR-10 configuration; the second, which is not said there, is remembered as
the default of the released code."""


class Mapping(nn.Module):
    """From noise and a class, or a class alone, to a vector.

    Attributes:
        width: Of all layers.
        layers: After the class has become a vector.
    """

    width: int
    layers: int

    @nn.compact
    def __call__(self, classes: Classes, noise: Vectors | None = None) -> Vectors:
        """Vectors, float32.

        Args:
            classes: One-hot.
            noise: Standard normal; None is none.
        """
        x = normalised(Linear(self.width, name="classes")(classes))
        if noise is not None:
            x = jnp.concatenate([normalised(noise), x], axis=1)
        for number in range(self.layers):
            layer = Linear(self.width, rate=SLOW, name=f"layer{number}")
            x = activated(layer(x))
        return x


class Generator(nn.Module):
    """From noise and a class to an image.

    Attributes:
        features: At each resolution, the full one first and that of 4 x 4 pixels last.
        width: Of noise and latents.
        layers: From noise to latents.
        channels: Of an image.
        dtype: Of the arithmetic, but for latents.
    """

    features: tuple[int, ...] = (512, 512, 512, 512)
    width: int = 512
    layers: int = GENERATOR_LAYERS
    channels: int = 3
    dtype: Any = jnp.float32

    @property
    def sides(self) -> tuple[int, ...]:
        """In pixels, the smallest first."""
        return tuple(SMALLEST << level for level in range(len(self.features)))

    @property
    def pixels(self) -> int:
        """Numbers of noise that all layers add to an image's features."""
        return 2 * sum(side**2 for side in self.sides) - SMALLEST**2

    @nn.compact
    def __call__(
        self,
        noise: Vectors,
        classes: Classes,
        added: Float[Array, "image pixel"],
    ) -> Images:
        """Images, mostly from -1 to 1, float32.

        Args:
            noise: Standard normal, `width` numbers an image.
            classes: One-hot.
            added: Standard normal, `pixels` numbers an image; zeros for none.

        Raises:
            ValueError: If there are not as many of them.
        """
        if noise.shape[1] != self.width or added.shape[1] != self.pixels:
            raise ValueError(
                f"{noise.shape[1]} and {added.shape[1]} numbers an image: "
                f"{self.width} and {self.pixels} are needed"
            )
        latents = Mapping(self.width, self.layers, name="mapping")(classes, noise)
        shape = (SMALLEST, SMALLEST, self.features[-1])
        constant = self.param("constant", normal(1.0), shape).astype(self.dtype)
        x = jnp.broadcast_to(constant[None], (len(noise), *shape))
        picture: Any = None
        first = 0
        for side, features in zip(self.sides, self.features[::-1], strict=True):
            for number in range(2):
                if picture is None and number == 0:
                    continue
                doubles = number == 0
                own = added[:, first : first + side**2]
                first += side**2
                name = f"layer{side}_{number}"
                layer = Styled(features, doubles, self.dtype, name=name)
                x = layer(x, latents, own)
            colours = Colours(self.channels, self.dtype, name=f"colours{side}")
            more = colours(x, latents)
            picture = more if picture is None else doubled(picture) + more
        return picture


def with_spread(x: Images) -> Features:
    """Features, and one more: how far those of a group of images are apart.

    Karras et al., "Progressive Growing of GANs" (ICLR 2018), section 3: the deviation over
    the group, for each feature and pixel, and its mean over these. Groups are of images
    that follow each other, of `GROUP` or of the next smaller number that divides them.
    """
    count, rows, columns, features = x.shape
    group = max(n for n in range(1, min(GROUP, count) + 1) if count % n == 0)
    grouped = x.astype(jnp.float32).reshape(-1, group, rows * columns * features)
    apart = grouped - grouped.mean(1, keepdims=True)
    spread = jnp.sqrt(jnp.mean(apart**2, axis=1) + EPSILON).mean(1)
    planes = jnp.repeat(spread, group)[:, None, None, None].astype(x.dtype)
    planes = jnp.broadcast_to(planes, (count, rows, columns, 1))
    return jnp.concatenate([x, planes], axis=-1)


class Discriminator(nn.Module):
    """From an image and a class to the logit of its being real.

    Attributes:
        features: At each resolution, the full one first and that of 4 x 4 pixels last.
        width: Of what a class looks like.
        layers: From a class to this.
        dtype: Of the arithmetic, but for the last product.
    """

    features: tuple[int, ...] = (512, 512, 512, 512)
    width: int = 512
    layers: int = DISCRIMINATOR_LAYERS
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, images: Images, classes: Classes) -> Float[Array, " image"]:
        """Logits, float32; they depend on the other images of a group.

        Args:
            images: Of side 4 times 2 for each resolution after the first.
            classes: One-hot.
        """

        def layer(features: int, name: str, **options: Any) -> Convolution:
            return Convolution(features, dtype=self.dtype, name=name, **options)

        x = layer(self.features[0], "colours", size=1)(images.astype(self.dtype))
        for features, following in zip(self.features, self.features[1:], strict=False):
            side = x.shape[1]
            x = layer(features, f"layer{side}_0")(x)
            x = layer(following, f"layer{side}_1", halves=True)(x)
        x = layer(self.features[-1], "last")(with_spread(x))
        x = x.reshape(len(images), -1)
        x = activated(Linear(self.features[-1], dtype=self.dtype, name="flat")(x))
        x = Linear(self.width, dtype=self.dtype, name="seen")(x)
        like = Mapping(self.width, self.layers, name="mapping")(classes)
        product = x.astype(jnp.float32) * like
        return jnp.sum(product, axis=1) / math.sqrt(self.width)


def random_inputs(
    key: Any, classes: int, *, width: int, pixels: int
) -> tuple[Array, Array, Array]:
    """Noise, a one-hot class and added noise of one image.

    Args:
        key: Random key.
        classes: How many; each is as likely.
        width: Of the generator.
        pixels: Of the generator.
    """
    first, second = jax.random.split(key)
    flat = jax.random.normal(first, (width + pixels,))
    number = jax.random.randint(second, (), 0, classes)
    return flat[:width], jax.nn.one_hot(number, classes), flat[width:]
