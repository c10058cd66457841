"""Class-conditional DCGAN: a generator of small images and its discriminator.

As "Toward Understanding Generative Data Augmentation" (NeurIPS 2023) trains it on CIFAR-10:
Radford et al.'s DCGAN (2016), with the class given to both as one-hot vector and planes.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxbias.models.convolution import Features, transposed
from jaxbias.models.layers import Images, batch_norm, convolution

Noise = Float[Array, "image noise"]
Classes = Float[Array, "image class"]
"""One-hot."""

NOISE = 100
"""Numbers that an image is made from."""

FIRST = 4
"""Side of the first layer's features: images are eight times as large."""

SLOPE = 0.2
"""Of leaky ReLUs below 0."""

normal = nn.initializers.normal(0.02)


def _scale(key: Any, shape: Any, dtype: Any = jnp.float32) -> Array:
    return 1 + 0.02 * jax.random.normal(key, shape, dtype)


def _norm(train: bool, dtype: Any, name: str) -> nn.BatchNorm:
    return batch_norm(train, dtype, name, init=_scale)


class Up(nn.Module):
    """Twice the side: PyTorch's transposed convolution of 4, stride 2, padding 1.

    Attributes:
        features: That come out.
        dtype: Of the arithmetic.
    """

    features: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Images) -> Features:
        """Images, (image, 2 height, 2 width, feature)."""
        shape = (4, 4, x.shape[-1], self.features)
        kernel = self.param("kernel", normal, shape)
        return transposed(x.astype(self.dtype), kernel.astype(self.dtype), 2, 1)


class Generator(nn.Module):
    """From noise and a class to an image.

    Attributes:
        width: Features before the last layer; four times as many at first.
        channels: Of an image.
        dtype: Of the arithmetic.
    """

    width: int = 128
    channels: int = 3
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, noise: Noise, classes: Classes, train: bool = False) -> Images:
        """Images of side 32, from -1 to 1.

        Args:
            noise: Standard normal, `NOISE` numbers an image.
            classes: One-hot.
            train: Normalise by the batch's statistics, not by running ones. The released
                code samples so too, from batches of one class each.
        """
        parts = []
        for name, given in (("noise", noise), ("classes", classes)):
            # A transposed convolution of one pixel is a linear map.
            flat = nn.Dense(
                FIRST * FIRST * 2 * self.width,
                use_bias=False,
                kernel_init=normal,
                dtype=self.dtype,
                name=name,
            )(given)
            x = flat.reshape(len(given), FIRST, FIRST, 2 * self.width)
            parts.append(nn.relu(_norm(train, self.dtype, f"{name}_norm")(x)))
        x = jnp.concatenate(parts, axis=-1)
        for number, features in enumerate((2 * self.width, self.width), start=1):
            x = Up(features, dtype=self.dtype, name=f"up{number}")(x)
            x = nn.relu(_norm(train, self.dtype, f"norm{number}")(x))
        x = Up(self.channels, dtype=self.dtype, name="up3")(x)
        return jnp.tanh(x.astype(jnp.float32))


class Discriminator(nn.Module):
    """From an image and a class to the logit of its being real.

    Attributes:
        width: Half of the features of the first layer.
        dtype: Of the arithmetic.
    """

    width: int = 64
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, images: Images, classes: Classes, train: bool = False
    ) -> Float[Array, " image"]:
        """Logits.

        Args:
            images: Of side 32, from -1 to 1.
            classes: One-hot.
            train: Normalise by the batch's statistics.
        """
        count, height, width, _ = images.shape
        planes = jnp.broadcast_to(
            classes[:, None, None], (count, height, width, classes.shape[-1])
        )

        def down(x: Array, features: int, name: str, padding: int = 1) -> Array:
            stride = 2 if padding else 1
            return convolution(
                *(features, 4),
                stride=stride,
                padding=padding,
                init=normal,
                dtype=self.dtype,
                name=name,
            )(x)

        parts = [down(images, self.width, "image"), down(planes, self.width, "classes")]
        x = nn.leaky_relu(jnp.concatenate(parts, axis=-1), SLOPE)
        for number, features in enumerate((4 * self.width, 8 * self.width), start=1):
            x = down(x, features, f"down{number}")
            x = _norm(train, self.dtype, f"norm{number}")(x)
            x = nn.leaky_relu(x, SLOPE)
        x = down(x, 1, "real", padding=0)
        return x.astype(jnp.float32).reshape(count)
