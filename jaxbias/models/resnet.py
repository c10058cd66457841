"""Residual networks (He et al. 2016), as in torchvision, and with a stem for small images.

Strides of bottlenecks are in the 3 x 3 convolution (the "v1.5" that torchvision trains).
"""

from typing import Any, Literal

import flax.linen as nn
import jax.numpy as jnp

from jaxbias.models.layers import (
    Features,
    Images,
    Intermediates,
    Logits,
    batch_norm,
    classifier_head,
    convolution,
    global_average_pool,
    max_pool,
)

Stem = Literal["imagenet", "cifar", "halving"]

STEMS: dict[str, tuple[int, int]] = {
    "imagenet": (7, 2),
    "cifar": (3, 1),
    "halving": (3, 2),
}
"""Side and stride of the first convolution."""

EXPANSION = 4
"""Channels of a bottleneck's output over those of its 3 x 3 convolution."""


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut."""

    width: int
    stride: int = 1
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Images, train: bool) -> Features:
        h = convolution(
            self.width, 3, stride=self.stride, dtype=self.dtype, name="conv1"
        )(x)
        h = nn.relu(batch_norm(train, self.dtype, "norm1")(h))
        h = convolution(self.width, 3, dtype=self.dtype, name="conv2")(h)
        h = batch_norm(train, self.dtype, "norm2")(h)
        return nn.relu(h + _shortcut(x, self.width, self.stride, train, self.dtype))


class Bottleneck(nn.Module):
    """A 3 x 3 convolution between two of 1 x 1, beside a shortcut."""

    width: int
    stride: int = 1
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Images, train: bool) -> Features:
        wide = self.width * EXPANSION
        h = convolution(self.width, 1, dtype=self.dtype, name="conv1")(x)
        h = nn.relu(batch_norm(train, self.dtype, "norm1")(h))
        h = convolution(
            self.width, 3, stride=self.stride, dtype=self.dtype, name="conv2"
        )(h)
        h = nn.relu(batch_norm(train, self.dtype, "norm2")(h))
        h = convolution(wide, 1, dtype=self.dtype, name="conv3")(h)
        h = batch_norm(train, self.dtype, "norm3")(h)
        return nn.relu(h + _shortcut(x, wide, self.stride, train, self.dtype))


def _shortcut(x: Images, width: int, stride: int, train: bool, dtype: Any) -> Features:
    """The input, through a convolution where its shape changes (in the caller's scope)."""
    if stride == 1 and x.shape[-1] == width:
        return x
    x = convolution(width, 1, stride=stride, dtype=dtype, name="shortcut_conv")(x)
    return batch_norm(train, dtype, "shortcut_norm")(x)


class ResNet(nn.Module):
    """A residual network, of four stages for ImageNet.

    Attributes:
        stages: Blocks of each stage.
        classes: Outputs.
        bottleneck: Whether blocks are bottlenecks.
        stem: "imagenet" (7 x 7 with stride 2, then max pooling), "cifar" (3 x 3) or
            "halving" (3 x 3 with stride 2).
        width: Channels of the first stage; each stage doubles them.
        dtype: Of the arithmetic.
    """

    stages: tuple[int, ...]
    classes: int = 1000
    bottleneck: bool = False
    stem: Stem = "imagenet"
    width: int = 64
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, images: Images, train: bool = False
    ) -> tuple[Logits, Intermediates]:
        """Classify images.

        Args:
            images: Normalised.
            train: Whether batch statistics are those of the batch, and are updated.

        Returns:
            Logits, and "stem", "stage1" and so on, and "features" (pooled).
        """
        block = Bottleneck if self.bottleneck else BasicBlock
        x = images.astype(self.dtype)
        size, stride = STEMS[self.stem]
        x = convolution(
            self.width, size, stride=stride, dtype=self.dtype, name="stem_conv"
        )(x)
        x = nn.relu(batch_norm(train, self.dtype, "stem_norm")(x))
        if self.stem == "imagenet":
            x = max_pool(x, 3, 2, 1)
        found = {"stem": x}
        for stage, count in enumerate(self.stages):
            for number in range(count):
                x = block(
                    self.width * 2**stage,
                    stride=2 if stage > 0 and number == 0 else 1,
                    dtype=self.dtype,
                    name=f"stage{stage + 1}_block{number + 1}",
                )(x, train)
            found[f"stage{stage + 1}"] = x
        found["features"] = global_average_pool(x)
        return classifier_head(found["features"], self.classes), found
