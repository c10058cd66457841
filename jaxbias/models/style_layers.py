"""Layers of StyleGAN2: scaled weights, modulated convolutions, binomial filters.

Karras et al., "Analyzing and Improving the Image Quality of StyleGAN" (CVPR 2020). Weights
are drawn with deviation 1 and scaled where they are used, so that Adam moves all of them at
one pace (Karras et al., ICLR 2018, section 4.1). Images are NHWC. Parameters are float32;
`dtype` is that of the arithmetic.
"""

import math
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxbias.models.convolution import convolve, transposed
from jaxbias.models.layers import Features, Images

Vectors = Float[Array, "image value"]
Styles = Float[Array, "image feature"]

EPSILON = 1e-8

SLOPE = 0.2
"""Of leaky ReLUs below 0."""

GAIN = math.sqrt(2)
"""Of leaky ReLUs, to keep the deviation of what they are given."""

normal = nn.initializers.normal


def activated(x: Array) -> Array:
    """Leaky ReLU, times the root of 2."""
    return GAIN * nn.leaky_relu(x, SLOPE)


def normalised(x: Vectors) -> Vectors:
    """Vectors of mean square 1."""
    square = jnp.mean(x**2, axis=1, keepdims=True)
    return x * lax.rsqrt(square + EPSILON)


# Filters: binomial weights [1, 3, 3, 1] along both sides, beyond which are zeros.


def smoothed(x: Images, pad: int, gain: float | int = 1) -> Features:
    """Sums of four by four pixels; a side grows by twice the padding, less 3.

    Args:
        x: Images or features.
        pad: Zeros on every side.
        gain: Sum of the weights.
    """
    x = jnp.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    for axis in (1, 2):
        length = x.shape[axis] - 3
        parts = [
            weight * lax.slice_in_dim(x, i, i + length, axis=axis)
            for i, weight in enumerate((1, 3, 3, 1))
        ]
        x = (parts[0] + parts[1] + parts[2] + parts[3]) * (math.sqrt(gain) / 8)
    return x


def doubled(x: Images) -> Features:
    """Twice the size: zeros between pixels, and the filter, whose weights add up to 4."""
    for axis in (1, 2):
        first, last = ([(0, 0)] * 4 for _ in range(2))
        first[axis], last[axis] = (1, 0), (0, 1)
        length = x.shape[axis]
        before = lax.slice_in_dim(jnp.pad(x, first), 0, length, axis=axis)
        after = lax.slice_in_dim(jnp.pad(x, last), 1, length + 1, axis=axis)
        both = jnp.stack([3 * x + before, 3 * x + after], axis=axis + 1) / 4
        shape = list(x.shape)
        shape[axis] *= 2
        x = both.reshape(shape)
    return x


# Layers


class Linear(nn.Module):
    """A linear layer whose weights are scaled where they are used.

    Attributes:
        features: That come out.
        begin: Of the biases.
        rate: Of learning, over that of other layers.
        dtype: Of the arithmetic.
    """

    features: int
    begin: float | int = 0
    rate: float | int = 1
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Vectors) -> Styles:
        """Weights times values, and biases."""
        fan_in = x.shape[1]
        shape = (fan_in, self.features)
        kernel = self.param("kernel", normal(1 / self.rate), shape)
        bias = self.param(
            "bias", nn.initializers.constant(self.begin / self.rate), (self.features,)
        )
        kernel = (kernel * (self.rate / math.sqrt(fan_in))).astype(self.dtype)
        return (
            x.astype(self.dtype) @ kernel + (self.rate * bias).astype(self.dtype)[None]
        )


class Convolution(nn.Module):
    """A convolution, biases and a leaky ReLU.

    Attributes:
        features: That come out.
        size: Of the kernel.
        halves: Whether to smooth, and to take every second pixel.
        dtype: Of the arithmetic.
    """

    features: int
    size: int = 3
    halves: bool = False
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Images) -> Features:
        """Features of the same or half the size."""
        kernel = _kernel(self, self.size, x.shape[-1])
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        stride, pad = 1, self.size // 2
        if self.halves:
            x, stride, pad = smoothed(x, 2), 2, 0
        x = convolve(x, kernel, (stride, stride), ((pad, pad), (pad, pad)))
        return activated(x + bias.astype(self.dtype)[None, None, None])


def _kernel(module: Any, size: int, fan_in: int) -> Array:
    """Weights of a convolution as they are used."""
    shape = (size, size, fan_in, module.features)
    kernel = module.param("kernel", normal(1.0), shape)
    return (kernel / math.sqrt(size * size * fan_in)).astype(module.dtype)


class Modulated(nn.Module):
    """A convolution whose input channels are scaled for each image (section 2.2).

    Scaling what goes in and what comes out is the same as a kernel for each image, and is
    one plain convolution.

    Attributes:
        features: That come out.
        size: Of the kernel.
        doubles: Whether features are of twice the size.
        demodulates: Whether each channel that comes out is scaled so that its kernel has
            a norm of 1 for each image.
        dtype: Of the arithmetic.
    """

    features: int
    size: int = 3
    doubles: bool = False
    demodulates: bool = True
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Images, styles: Float[Array, "image channel"]) -> Features:
        """Features of the same or twice the size.

        Args:
            x: Features before.
            styles: Factors of their channels.
        """
        kernel = _kernel(self, self.size, x.shape[-1])
        x = x * styles.astype(self.dtype)[:, None, None]
        if self.doubles:
            # Zeros between pixels: a side is doubled, and one more.
            x = smoothed(transposed(x, kernel, 2, 0), 1, 4)
        else:
            pad = self.size // 2
            x = convolve(x, kernel, (1, 1), ((pad, pad), (pad, pad)))
        if not self.demodulates:
            return x
        wide = jnp.sum(kernel.astype(jnp.float32) ** 2, axis=(0, 1))
        # Kernels were scaled for the norm to be near 1 already.
        norms = jnp.dot(styles.astype(jnp.float32) ** 2, wide) + EPSILON
        return x * lax.rsqrt(norms).astype(self.dtype)[:, None, None]


class Styled(nn.Module):
    """A modulated convolution, noise, biases and a leaky ReLU.

    Attributes:
        features: That come out.
        doubles: Whether they are of twice the size.
        dtype: Of the arithmetic.
    """

    features: int
    doubles: bool = False
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, x: Images, latents: Vectors, noise: Float[Array, "image pixel"]
    ) -> Features:
        """Features after the layer.

        Args:
            x: Features before it.
            latents: Of each image.
            noise: Standard normal, one number for each pixel that comes out.
        """
        styles = Linear(x.shape[-1], 1, dtype=self.dtype, name="styles")(latents)
        x = Modulated(
            self.features, doubles=self.doubles, dtype=self.dtype, name="convolution"
        )(x, styles)
        strength = self.param("noise", nn.initializers.zeros, ())
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        noise = (strength * noise).astype(self.dtype).reshape(*x.shape[:3], 1)
        return activated(x + noise + bias.astype(self.dtype)[None, None, None])


class Colours(nn.Module):
    """From features to what they add to an image: no demodulation, nothing after it.

    Attributes:
        channels: Of an image.
        dtype: Of the arithmetic.
    """

    channels: int = 3
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Images, latents: Vectors) -> Features:
        """Of the same size, float32."""
        styles = Linear(x.shape[-1], 1, dtype=self.dtype, name="styles")(latents)
        x = Modulated(
            *(self.channels, 1),
            demodulates=False,
            dtype=self.dtype,
            name="convolution",
        )(x, styles)
        bias = self.param("bias", nn.initializers.zeros, (self.channels,))
        return x.astype(jnp.float32) + bias[None, None, None]
