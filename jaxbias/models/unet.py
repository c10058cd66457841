"""The U-Net of diffusion models on small images: DDPM++.

Song et al., "Score-Based Generative Modeling through Stochastic Differential Equations"
(ICLR 2021), in the form that Karras et al. (NeurIPS 2022) train on CIFAR-10: time is added
to the features, residual blocks are scaled by the root of 1/2, and resolution changes by
means of two by two pixels.
"""

import math
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from jaxbias.models.layers import Features, Images, convolution

Times = Float[Array, " image"]
Known = Float[Array, "image known"]
Classes = Float[Array, "image class"]
Augmented = Float[Array, "image change"]

EPSILON = 1e-6
"""Of group norms."""

SKIP = math.sqrt(0.5)
"""Factor of a sum of two branches."""

POSITIONS = 10_000
"""Longest wave of the embedding of time, in its units."""

xavier = nn.initializers.xavier_uniform()


def _scaled(factor: float) -> Callable:
    return lambda *given: factor * xavier(*given)


NEARLY_NOTHING, WEAK = _scaled(1e-5), _scaled(math.sqrt(0.2))
"""Initialisations of what ends a branch, and of queries, keys and values."""


class GroupNorm(nn.Module):
    """Groups of four features or more, at most 32; statistics in float32.

    Not Flax's: here sums are over pixels first and over the features of a group then, and
    features are scaled and shifted once. On a CPU that is twice as fast.

    Attributes:
        dtype: Of the result.
    """

    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Images) -> Images:
        """Features of mean 0 and deviation 1 in each group, then scaled and shifted."""
        count, height, width, features = x.shape
        groups = min(32, features // 4)
        each = features // groups
        scale = self.param("scale", nn.initializers.ones, (features,))
        bias = self.param("bias", nn.initializers.zeros, (features,))
        pixels = x.astype(jnp.float32).reshape(count, height * width, features)

        def mean(values: Array) -> Array:
            sums = values.sum(1).reshape(count, groups, each).sum(2)
            return jnp.repeat(sums / (height * width * each), each, axis=1)

        middle = mean(pixels)
        variance = jnp.maximum(mean(pixels**2) - middle**2, 0.0)
        factor = lax.rsqrt(variance + EPSILON) * scale[None]
        shift = bias[None] - middle * factor
        normal = factor[:, None] * pixels + shift[:, None]
        return normal.reshape(x.shape).astype(self.dtype)


def waves(times: Times, width: int) -> Float[Array, "image {width}"]:
    """Sines and cosines of time, half of each, from a radian a unit to slow ones."""
    half = width // 2
    speeds = (1 / POSITIONS) ** (np.arange(half) / (half - 1))
    angles = times[:, None] * jnp.asarray(speeds, jnp.float32)[None]
    return jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=1)


def halved(x: Images) -> Features:
    """Means of two by two pixels."""
    count, height, width, features = x.shape
    parts = x.reshape(count, height // 2, 2, width // 2, 2, features)
    return parts.mean((2, 4))


def doubled(x: Images) -> Features:
    """Every pixel twice along each side."""
    count, height, width, features = x.shape
    wide = (count, height, 2, width, 2, features)
    pixels = jnp.broadcast_to(x[:, :, None, :, None], wide)
    return pixels.reshape(count, 2 * height, 2 * width, features)


def _same(x: Images) -> Images:
    return x


class Block(nn.Module):
    """A residual block, perhaps with attention over all pixels.

    Attributes:
        features: That come out.
        attends: Whether there is attention, of one head.
        resample: Changes the resolution, of both branches.
        dropout: Rate, 0 to 1.
        dtype: Of the arithmetic.
    """

    features: int
    attends: bool = False
    resample: Callable[[Images], Features] = _same
    dropout: float = 0.0
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Images, embedding: Known, train: bool) -> Features:
        """Features after the block.

        Args:
            x: Features before it.
            embedding: What is known of each image.
            train: Whether to drop; needs the stream "dropout".
        """

        def conv(size: int, init: Callable, name: str, features: int = self.features):
            return convolution(
                features, size, bias=True, init=init, dtype=self.dtype, name=name
            )

        before = x
        x = nn.silu(GroupNorm(self.dtype, name="norm0")(x))
        x = conv(3, xavier, "conv0")(self.resample(x))
        known = nn.Dense(
            self.features, kernel_init=xavier, dtype=self.dtype, name="embedding"
        )(embedding)
        x = x + known[:, None, None]
        x = nn.silu(GroupNorm(self.dtype, name="norm1")(x))
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        x = conv(3, NEARLY_NOTHING, "conv1")(x)
        if before.shape[-1] != self.features or self.resample is not _same:
            before = conv(1, xavier, "skip")(self.resample(before))
        x = SKIP * (x + before)
        if not self.attends:
            return x
        wide = conv(1, WEAK, "attention", 3 * self.features)
        found = wide(GroupNorm(self.dtype, name="norm2")(x))
        count, rows, columns, _ = found.shape
        query, key, value = jnp.split(
            found.reshape(count, rows * columns, 3 * self.features), 3, axis=-1
        )
        alike = jnp.einsum("iqf,ikf->iqk", query, key) / math.sqrt(self.features)
        # In float32, as sums over all pixels.
        shares = jax.nn.softmax(alike.astype(jnp.float32), axis=-1).astype(self.dtype)
        seen = jnp.einsum("iqk,ikf->iqf", shares, value)
        seen = seen.reshape(count, rows, columns, self.features)
        return SKIP * (x + conv(1, NEARLY_NOTHING, "projection")(seen))


class UNet(nn.Module):
    """DDPM++.

    Attributes:
        width: Features of the first layer; four times as many numbers tell what is known
            of an image.
        factors: Of the features at each resolution, the full one first.
        blocks: At each resolution, going down; one more going up.
        attended: Sides in pixels at which there is attention.
        dropout: Rate, 0 to 1.
        dtype: Of the arithmetic.
    """

    width: int = 128
    factors: tuple[int, ...] = (2, 2, 2)
    blocks: int = 4
    attended: tuple[int, ...] = (16,)
    dropout: float = 0.13
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self,
        images: Images,
        times: Times,
        classes: Classes | None = None,
        augmented: Augmented | None = None,
        train: bool = False,
    ) -> Images:
        """Images of as many channels, float32.

        Args:
            images: Sides that can be halved once less than there are factors.
            times: Of each image.
            classes: One-hot, or zeros for none; None leaves them out of the network.
            augmented: What augmentation did to each image; None likewise.
            train: Whether to drop; needs the stream "dropout".
        """
        known = self._known(times, classes, augmented)
        block = lambda features, **options: Block(  # noqa: E731
            features, dropout=self.dropout, dtype=self.dtype, **options
        )
        channels = images.shape[-1]
        x = convolution(
            self.width, 3, bias=True, init=xavier, dtype=self.dtype, name="first"
        )(images.astype(self.dtype))
        skips = [x]
        for level, factor in enumerate(self.factors):
            if level:
                down = block(x.shape[-1], resample=halved, name=f"down{level}")
                skips.append(x := down(x, known, train))
            for number in range(self.blocks):
                one = block(
                    factor * self.width,
                    attends=x.shape[1] in self.attended,
                    name=f"down{level}_{number}",
                )
                skips.append(x := one(x, known, train))
        for number, attends in enumerate((True, False)):
            middle = block(x.shape[-1], attends=attends, name=f"middle{number}")
            x = middle(x, known, train)
        for level, factor in reversed(list(enumerate(self.factors))):
            if level < len(self.factors) - 1:
                up = block(x.shape[-1], resample=doubled, name=f"up{level}")
                x = up(x, known, train)
            for number in range(self.blocks + 1):
                last = number == self.blocks
                one = block(
                    factor * self.width,
                    attends=last and x.shape[1] in self.attended,
                    name=f"up{level}_{number}",
                )
                x = one(jnp.concatenate([x, skips.pop()], axis=-1), known, train)
        x = nn.silu(GroupNorm(self.dtype, name="norm")(x))
        x = convolution(
            channels, 3, bias=True, init=NEARLY_NOTHING, dtype=self.dtype, name="last"
        )(x)
        return x.astype(jnp.float32)

    def _known(
        self, times: Times, classes: Classes | None, augmented: Augmented | None
    ) -> Known:
        """Numbers that tell time, class and augmentation."""

        def dense(features: int, name: str, bias: bool = True) -> nn.Dense:
            return nn.Dense(
                features,
                use_bias=bias,
                kernel_init=xavier,
                dtype=self.dtype,
                name=name,
            )

        x = waves(times, self.width)
        if classes is not None:
            # One-hot vectors of deviation near 1.
            x = x + dense(self.width, "classes")(classes * classes.shape[1] ** 0.5)
        if augmented is not None:
            x = x + dense(self.width, "augmented", bias=False)(augmented)
        for name in ("known0", "known1"):
            x = nn.silu(dense(4 * self.width, name)(x))
        return x
