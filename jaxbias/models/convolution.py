"""Convolutions that are fast on a CPU too, behind the interface of `nn.Conv`.

On a GPU or TPU, `convolve` is `lax.conv_general_dilated` and its gradient. On a CPU, XLA's
own forms leave much of the machine unused, and others of the same sums are taken where
they were measured to be faster (jax 0.10, two cores with AVX-512, float32, batches of 64
at 32 x 32 and of 8 at 224 x 224; times are XLA's own form : ours):

- Depthwise: the rows of an image are shifted, multiplied and added, in loops that
  vectorise. RATIOS_DEPTHWISE
- 3 x 3 with 192 channels or more: Winograd's F(2 x 2, 3 x 3), with 16 products of
  matrices where the plain sum has 36, in the output and both gradients.
  Errors stay at 1e-6 of the largest value, as those of the plain sum.
- 3 x 3 with few channels: a form of the plain convolution that XLA hands to Eigen.
- As large as their stride, 1 x 1 too: one product of matrices.

Whatever is not in this list is left to XLA. A custom gradient can be taken in reverse mode
alone, as often as one likes.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxbias.models import winograd

Images = Float[Array, "image row column channel"]
Kernel = Float[Array, "down right fan_in fan_out"]
Padding = Sequence[tuple[int, int]]

NHWC = ("NHWC", "HWIO", "NHWC")

WINOGRAD_CHANNELS = 192
"""Fewer make products of matrices that are bound by memory; the plain sum is faster."""

EIGEN_CHANNELS = 64
"""With no more outputs, XLA's default convolution runs at half the speed of Eigen's."""

TOGETHER = 8
"""Images, at least, that a depthwise weight gradient adds before it stores anything."""

# XLA would compute what feeds a product again for each, or in the order of its
# transposed copy, value by value; what passes a barrier is stored once, as it is.
_stored = lax.optimization_barrier


def convolve(
    x: Images,
    kernel: Kernel,
    strides: Sequence[int],
    padding: Padding,
    *,
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    feature_group_count: int = 1,
    precision: Any = None,
    preferred_element_type: Any = None,
) -> Images:
    """`lax.conv_general_dilated` of NHWC images, for `nn.Conv(conv_general_dilated=...)`.

    Args:
        x: Images.
        kernel: Weights, HWIO.
        strides: Down and right.
        padding: Zeros before and after, down and right.
        lhs_dilation: Must be None or ones, as `rhs_dilation`.
        rhs_dilation: Distance of taps.
        dimension_numbers: Those of NHWC, as `nn.Conv` gives them.
        feature_group_count: Groups of channels.
        precision: Of products.
        preferred_element_type: Of the result.
    """
    del dimension_numbers
    dilated = any(n != 1 for d in (lhs_dilation, rhs_dilation) for n in d or ())
    own = not dilated and precision is None and preferred_element_type is None
    settings = tuple(strides), tuple(map(tuple, padding)), feature_group_count
    if own and (form := _form(x.shape, kernel.shape, *settings)):
        return form(x, kernel)
    return lax.conv_general_dilated(
        x,
        kernel,
        strides,
        padding,
        lhs_dilation=lhs_dilation,
        rhs_dilation=rhs_dilation,
        dimension_numbers=NHWC,
        feature_group_count=feature_group_count,
        precision=precision,
        preferred_element_type=preferred_element_type,
    )


def _form(
    x: tuple[int, ...],
    kernel: tuple[int, ...],
    strides: tuple[int, ...],
    padding: tuple[tuple[int, int], ...],
    groups: int,
) -> Callable[[Images, Kernel], Images] | None:
    """The form for a CPU of a convolution of such shapes; None if it is the plain one."""
    down, right, fan_in, fan_out = kernel
    if down != right or len({*strides}) > 1 or len({n for p in padding for n in p}) > 1:
        return None
    size, stride, pad = down, strides[0], padding[0][0]
    height, width, channels = x[1:]
    if groups == channels == fan_out and stride == 1 and 2 * pad == size - 1 > 0:
        return _depthwise
    if groups > 1:
        return None
    if pad == 0 and (size == stride or size == 1):
        return partial(_patches, stride=stride)
    if (size, stride, pad) == (3, 1, 1):
        even = height % 2 == width % 2 == 0
        if even and min(fan_in, fan_out) >= WINOGRAD_CHANNELS:
            return _winograd
        if min(fan_in, fan_out) > 16 and min(height, width) > 2:
            return _three
    return None


def _plain(x: Images, kernel: Kernel, *, pad: int, groups: int = 1) -> Images:
    """The convolution with stride 1 as XLA has it."""
    return lax.conv_general_dilated(
        *(x, kernel, (1, 1), ((pad, pad), (pad, pad))),
        dimension_numbers=NHWC,
        feature_group_count=groups,
    )


def _by_platform(cpu: Callable, default: Callable, *operands: Array) -> Any:
    """One of two functions, by where the program will run."""
    return lax.platform_dependent(*operands, cpu=cpu, default=default)


def _gradients(plain: Callable, x: Array, kernel: Array, g: Array) -> Any:
    """Both gradients as JAX derives them."""
    return jax.vjp(plain, x, kernel)[1](g)


# Convolutions as large as their stride


def _patches(x: Images, kernel: Kernel, stride: int) -> Images:
    """Every patch times the kernel: one product of matrices."""

    def cpu(x: Images, kernel: Kernel) -> Images:
        size = len(kernel)
        rows, columns = ((n - size) // stride + 1 for n in x.shape[1:3])
        if size == 1:
            return x[:, ::stride, ::stride] @ kernel[0, 0]
        x = x[:, : rows * size, : columns * size]
        x = x.reshape(-1, rows, size, columns, size, x.shape[-1])
        x = x.swapaxes(2, 3).reshape(len(x), rows, columns, -1)
        return x @ kernel.reshape(-1, kernel.shape[-1])

    def default(x: Images, kernel: Kernel) -> Images:
        return lax.conv_general_dilated(
            x, kernel, (stride, stride), ((0, 0), (0, 0)), dimension_numbers=NHWC
        )

    return _by_platform(cpu, default, x, kernel)


# Depthwise convolutions of stride 1, which keep the size


@jax.custom_vjp
def _depthwise(x: Images, kernel: Kernel) -> Images:
    return _by_platform(_shifted, _plain_depthwise, x, kernel)


def _plain_depthwise(x: Images, kernel: Kernel) -> Images:
    return _plain(x, kernel, pad=len(kernel) // 2, groups=x.shape[-1])


def _as_rows(x: Images, pad: int) -> Float[Array, "image row value"]:
    """Padded images with columns and channels as one axis: one to the right is `channel`
    values on, and loops over the axis vectorise whatever the number of channels."""
    x = jnp.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0))).astype(jnp.float32)
    return _stored(x.reshape(*x.shape[:2], -1))


def _shifted(x: Images, kernel: Kernel) -> Images:
    """Sum over the taps of shifted images times their weights."""
    (height, width, channels), size = x.shape[1:], len(kernel)
    rows = _as_rows(x, size // 2)
    weights = jnp.tile(kernel[:, :, 0].astype(jnp.float32), (1, 1, width))
    total: Any = 0.0
    for i in range(size):
        for j in range(size):
            start = j * channels
            part = rows[:, i : i + height, start : start + width * channels]
            total = total + part * weights[i, j][None, None]
    return total.reshape(x.shape).astype(x.dtype)


def _tap_sums(x: Images, g: Images, size: int) -> Kernel:
    """The weight gradient: for each tap, the sum of the shifted images times `g`.

    XLA adds slowly over the leading axes of a product, but fast over what is written out
    as a sum: some images are added like that, and stored before the rest is. Rows of taps
    are a loop, which compiles once.
    """
    images, height, width, channels = x.shape
    together = math.gcd(images, TOGETHER)
    rows = _as_rows(x, size // 2)
    rows = rows.reshape(together, -1, *rows.shape[1:])
    g = g.astype(jnp.float32).reshape(together, -1, height, width * channels)

    def row(i: Array) -> Float[Array, "right value"]:
        here = lax.dynamic_slice_in_dim(rows, i, height, 2)
        sums = []
        for j in range(size):
            part = here[..., j * channels : (j + width) * channels]
            sums.append(sum(part[n] * g[n] for n in range(together)))
        return jnp.stack(_stored(sums)).sum((1, 2))

    sums = lax.map(row, jnp.arange(size))
    return sums.reshape(size, size, width, channels).sum(2)[:, :, None]


def _depthwise_forward(x: Images, kernel: Kernel) -> tuple[Images, tuple]:
    return _depthwise(x, kernel), (x, kernel)


def _depthwise_backward(kept: tuple, g: Images) -> tuple[Images, Kernel]:
    def cpu(x: Images, kernel: Kernel, g: Images) -> tuple[Images, Kernel]:
        weights = _tap_sums(x, g, len(kernel)).astype(kernel.dtype)
        return _shifted(g, kernel[::-1, ::-1]), weights

    return _by_platform(cpu, partial(_gradients, _plain_depthwise), *kept, g)


_depthwise.defvjp(_depthwise_forward, _depthwise_backward)


# Convolutions of 3 x 3 with stride 1 and padding 1


def _plain_three(x: Images, kernel: Kernel) -> Images:
    return _plain(x, kernel, pad=1)


def _by_eigen(x: Images, kernel: Kernel) -> Images:
    """The plain convolution, by whichever of XLA's two libraries is faster.

    XLA (jax 0.10) hands a convolution to YNNPACK unless an axis of its result is longer
    than that of its input: one row too many is computed where Eigen is wanted.
    """
    if kernel.shape[-1] > EIGEN_CHANNELS:
        return _plain_three(x, kernel)
    y = lax.conv_general_dilated(
        x, kernel, (1, 1), ((1, 2), (1, 1)), dimension_numbers=NHWC
    )
    return y[:, :-1]


def _weight_gradient(x: Images, g: Images) -> Kernel:
    """The weight gradient of 3 x 3: images convolved with `g`, over the batch."""
    if min(x.shape[-1], g.shape[-1]) > EIGEN_CHANNELS * 2:
        x, g = _stored((x, g))
        kernel = jnp.zeros((3, 3, x.shape[-1], g.shape[-1]), x.dtype)
        return jax.vjp(lambda w: _plain_three(x, w), kernel)[1](g)[0]
    # As in `_by_eigen`, but the filter is what is longer, by a row of zeros. Columns are
    # padded beforehand: of a filter larger than its input, XLA would exchange the two.
    x = jnp.pad(x, ((0, 0), (0, 0), (1, 1), (0, 0))).transpose(3, 1, 2, 0)
    g = jnp.pad(g, ((0, 0), (0, 1), (0, 0), (0, 0))).transpose(1, 2, 0, 3)
    x, g = _stored((x, g))
    y = lax.conv_general_dilated(
        x, g, (1, 1), ((1, 2), (0, 0)), dimension_numbers=NHWC
    )
    return y.transpose(1, 2, 0, 3)


def _turned(kernel: Kernel) -> Kernel:
    """The kernel whose convolution is the input gradient."""
    return kernel[::-1, ::-1].swapaxes(2, 3)


@jax.custom_vjp
def _three(x: Images, kernel: Kernel) -> Images:
    return _by_platform(_by_eigen, _plain_three, x, kernel)


def _three_forward(x: Images, kernel: Kernel) -> tuple[Images, tuple]:
    return _three(x, kernel), (x, kernel)


def _three_backward(kept: tuple, g: Images) -> tuple[Images, Kernel]:
    def cpu(x: Images, kernel: Kernel, g: Images) -> tuple[Images, Kernel]:
        return _by_eigen(g, _turned(kernel)), _weight_gradient(x, g)

    return _by_platform(cpu, partial(_gradients, _plain_three), *kept, g)


_three.defvjp(_three_forward, _three_backward)


@jax.custom_vjp
def _winograd(x: Images, kernel: Kernel) -> Images:
    return _by_platform(winograd.convolved, _plain_three, x, kernel)


def _winograd_forward(x: Images, kernel: Kernel) -> tuple[Images, tuple]:
    return _winograd(x, kernel), (x, kernel)


def _winograd_backward(kept: tuple, g: Images) -> tuple[Images, Kernel]:
    def cpu(x: Images, kernel: Kernel, g: Images) -> tuple[Images, Kernel]:
        return winograd.input_gradient(g, kernel), winograd.weight_gradient(x, g)

    return _by_platform(cpu, partial(_gradients, _plain_three), *kept, g)


_winograd.defvjp(_winograd_forward, _winograd_backward)
