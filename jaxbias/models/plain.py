"""Plain convolutional and dense networks: AlexNet, VGG, a small CNN and an MLP."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxbias.models.layers import (
    Images,
    Intermediates,
    Logits,
    adaptive_average_pool,
    batch_norm,
    classifier_head,
    convolution,
    dropout,
    global_average_pool,
    max_pool,
    torch_uniform,
)

VGG_LAYERS = {
    11: ((64,), (128,), (256, 256), (512, 512), (512, 512)),
    16: (
        (64, 64),
        (128, 128),
        (256, 256, 256),
        (512, 512, 512),
        (512, 512, 512),
    ),
}
"""Channels of the convolutions of each stage, by the number of layers with weights."""


def _dense_layers(
    x: Images, hidden: int, train: bool, rate: float, first: bool, dtype: Any
) -> Float[Array, "image feature"]:
    """Two hidden layers with dropout before each (`first`) or after each."""
    x = x.reshape(x.shape[0], -1)
    for number in (1, 2):
        if first:
            x = dropout(x, rate, train)
        dense = nn.Dense(
            hidden, kernel_init=torch_uniform, dtype=dtype, name=f"dense{number}"
        )
        x = nn.relu(dense(x))
        if not first:
            x = dropout(x, rate, train)
    return x


class AlexNet(nn.Module):
    """AlexNet on one device (Krizhevsky 2014), as in torchvision. Images from 63 x 63.

    Attributes:
        classes: Outputs.
        drop: Rate of dropout before the dense layers.
        dtype: Of the arithmetic.
    """

    classes: int = 1000
    drop: float = 0.5
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, images: Images, train: bool = False
    ) -> tuple[Logits, Intermediates]:
        """Classify normalised images; returns logits, "conv1" to "conv5", "features"."""
        x = images.astype(self.dtype)
        found: Intermediates = {}
        for number, (width, size, stride, padding) in enumerate(
            (
                (64, 11, 4, 2),
                (192, 5, 1, 2),
                (384, 3, 1, 1),
                (256, 3, 1, 1),
                (256, 3, 1, 1),
            ),
            start=1,
        ):
            conv = convolution(
                *(width, size),
                stride=stride,
                padding=padding,
                bias=True,
                init=torch_uniform,
                dtype=self.dtype,
                name=f"conv{number}",
            )
            x = found[f"conv{number}"] = nn.relu(conv(x))
            if number in (1, 2, 5):
                x = max_pool(x, 3, 2)
        x = adaptive_average_pool(x, 6)
        x = _dense_layers(x, 4096, train, self.drop, True, self.dtype)
        found["features"] = x.astype(jnp.float32)
        return classifier_head(found["features"], self.classes), found


class VGG(nn.Module):
    """VGG without batch normalisation (Simonyan and Zisserman 2015), as in torchvision.

    Attributes:
        layers: 11 or 16.
        classes: Outputs.
        drop: Rate of dropout after the dense layers.
        dtype: Of the arithmetic.
    """

    layers: int = 16
    classes: int = 1000
    drop: float = 0.5
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, images: Images, train: bool = False
    ) -> tuple[Logits, Intermediates]:
        """Classify normalised images; returns logits, "stage1" to "stage5", "features"."""
        x = images.astype(self.dtype)
        found: Intermediates = {}
        number = 0
        for stage, widths in enumerate(VGG_LAYERS[self.layers], start=1):
            for width in widths:
                number += 1
                conv = convolution(
                    width, 3, bias=True, dtype=self.dtype, name=f"conv{number}"
                )
                x = nn.relu(conv(x))
            x = found[f"stage{stage}"] = max_pool(x, 2, 2)
        x = adaptive_average_pool(x, 7)
        x = _dense_layers(x, 4096, train, self.drop, False, self.dtype)
        found["features"] = x.astype(jnp.float32)
        return classifier_head(found["features"], self.classes), found


class SmallCNN(nn.Module):
    """Four convolutions with batch normalisation, three of which halve the image.

    Attributes:
        classes: Outputs.
        width: Channels of the first convolution; the later ones have 2, 4 and 4 times as
            many.
        dtype: Of the arithmetic.
    """

    classes: int = 10
    width: int = 32
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, images: Images, train: bool = False
    ) -> tuple[Logits, Intermediates]:
        """Classify normalised images; returns logits, "conv1" to "conv4", "features"."""
        x = images.astype(self.dtype)
        found: Intermediates = {}
        for number, factor in enumerate((1, 2, 4, 4), start=1):
            x = convolution(
                self.width * factor, 3, dtype=self.dtype, name=f"conv{number}"
            )(x)
            x = nn.relu(batch_norm(train, self.dtype, f"norm{number}")(x))
            if number < 4:
                x = max_pool(x, 2, 2)
            found[f"conv{number}"] = x
        found["features"] = global_average_pool(x)
        return classifier_head(found["features"], self.classes), found


class ImageMLP(nn.Module):
    """A perceptron on all pixels, with ReLU.

    Attributes:
        classes: Outputs.
        width: Channels of every hidden layer.
        depth: Hidden layers.
        dtype: Of the arithmetic.
    """

    classes: int = 10
    width: int = 512
    depth: int = 2
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, images: Images, train: bool = False
    ) -> tuple[Logits, Intermediates]:
        """Classify images; returns logits, "hidden1", ..., and "features" (the last)."""
        del train  # The same in both modes.
        x = images.astype(self.dtype).reshape(images.shape[0], -1)
        found: Intermediates = {}
        for number in range(1, self.depth + 1):
            dense = nn.Dense(
                self.width,
                kernel_init=nn.initializers.he_normal(),
                dtype=self.dtype,
                name=f"dense{number}",
            )
            x = found[f"hidden{number}"] = nn.relu(dense(x))
        found["features"] = x.astype(jnp.float32)
        return classifier_head(found["features"], self.classes), found
