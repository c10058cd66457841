"""Parts that image models share, with PyTorch's conventions, so that its weights fit.

Images are NHWC. Parameters are float32; `dtype` is that of the arithmetic.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxbias.models.convolution import convolve

Images = Float[Array, "image height width channel"]
Features = Float[Array, "image row column feature"]
"""Images after what may change their size and channels."""

Logits = Float[Array, "image class"]
Intermediates = dict[str, Array]

BATCH_NORM_MOMENTUM = 0.9
"""Of the running mean: PyTorch's 0.1 counts the other way."""

BATCH_NORM_EPSILON = 1e-5

kaiming_normal = nn.initializers.variance_scaling(2.0, "fan_out", "normal")
"""torchvision's initialisation of convolutions that a ReLU follows."""

torch_uniform = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
"""PyTorch's default for convolutions and linear layers: U(-1/sqrt(n), 1/sqrt(n))."""

truncated_normal = nn.initializers.truncated_normal(0.02)
"""The initialisation of ViT and ConvNeXt; cut at two standard deviations."""


def convolution(
    features: int,
    size: int,
    *,
    stride: int = 1,
    padding: int | None = None,
    groups: int = 1,
    bias: bool = False,
    init: Callable = kaiming_normal,
    dtype: Any = jnp.float32,
    name: str | None = None,
) -> nn.Conv:
    """A square convolution, padded alike on all sides; None keeps the size at stride 1."""
    pad = (size - 1) // 2 if padding is None else padding
    return nn.Conv(
        features,
        (size, size),
        strides=(stride, stride),
        # "SAME" would pad the right and the bottom alone where strides are 2.
        padding=((pad, pad), (pad, pad)),
        feature_group_count=groups,
        use_bias=bias,
        kernel_init=init,
        dtype=dtype,
        conv_general_dilated=convolve,
        name=name,
    )


def batch_norm(
    train: bool, dtype: Any, name: str, *, init: Callable = nn.initializers.ones
) -> nn.BatchNorm:
    """Batch normalisation as in PyTorch, but for the running variance.

    PyTorch's running variance is the unbiased one, Flax's is not: they differ by n/(n-1).
    """
    return nn.BatchNorm(
        use_running_average=not train,
        momentum=BATCH_NORM_MOMENTUM,
        epsilon=BATCH_NORM_EPSILON,
        scale_init=init,
        dtype=dtype,
        name=name,
    )


def max_pool(x: Images, size: int, stride: int, padding: int = 0) -> Features:
    """Largest value of each window; padding counts as minus infinity."""
    pad: Any = ((padding, padding), (padding, padding))
    return nn.max_pool(x, (size, size), strides=(stride, stride), padding=pad)


def adaptive_average_pool(x: Images, size: int) -> Features:
    """Average to `size` by `size`, windows as PyTorch's `AdaptiveAvgPool2d` lays them."""
    for axis in (1, 2):
        length = x.shape[axis]
        parts = [
            jnp.mean(
                lax.slice_in_dim(
                    x, i * length // size, -(-(i + 1) * length // size), axis=axis
                ),
                axis=axis,
                keepdims=True,
            )
            for i in range(size)
        ]
        x = jnp.concatenate(parts, axis=axis)
    return x


def global_average_pool(x: Images) -> Float[Array, "image channel"]:
    """Mean over positions, in float32."""
    return jnp.mean(x.astype(jnp.float32), axis=(1, 2))


def drop_path(x: Array, rate: float, train: bool, module: nn.Module) -> Array:
    """Stochastic depth: drop a branch for whole images, and scale the others up."""
    if rate == 0.0 or not train:
        return x
    shape = (x.shape[0],) + (1,) * (x.ndim - 1)
    kept = jax.random.bernoulli(module.make_rng("dropout"), 1 - rate, shape)
    return jnp.where(kept, x / (1 - rate), 0.0)


def classifier_head(
    features: Float[Array, "image channel"],
    classes: int,
    *,
    init: Callable = torch_uniform,
) -> Logits:
    """The last linear layer, in float32."""
    dense = nn.Dense(classes, kernel_init=init, dtype=jnp.float32, name="head")
    return dense(features)


def gelu(x: Array) -> Array:
    """The exact GELU, by the error function, in float32.

    `jax.nn.gelu` takes its complement, which keeps the relative error of the far negative
    side small: 3 times slower forward and backward on a CPU (jax 0.10).
    """
    wide = x.astype(jnp.float32)
    return (wide * (0.5 + 0.5 * lax.erf(wide * 0.5**0.5))).astype(x.dtype)


def dropout(x: Array, rate: float, train: bool) -> Array:
    """Drop single values."""
    return nn.Dropout(rate, deterministic=not train)(x)


def linear_rates(last: float, count: int) -> Sequence[float]:
    """Rates of stochastic depth, from 0 for the first block to `last`."""
    return [last * i / max(1, count - 1) for i in range(count)]


layer_norm = partial(nn.LayerNorm, epsilon=1e-6)
"""Layer normalisation with the epsilon of ViT and ConvNeXt."""
