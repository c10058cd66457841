"""Convolutions that are fast on a CPU too, behind the interface of `nn.Conv`.

On a GPU or TPU, `convolve` is `lax.conv_general_dilated` and its gradient. On a CPU, other
forms of the same sums are taken where they are faster. Times of XLA's form over those of
ours (jax 0.10, two cores with AVX-512, float32, 64 images of 32 x 32 or 8 of 224 x 224),
for the output, the input gradient and the weight gradient:

- Depthwise, 7 x 7: 8 to 15, 6 to 19, 10 to 32. Rows of an image are shifted, multiplied
  and added in loops that vectorise.
- 3 x 3 with 192 channels or more: 1.7 to 1.8, 1.7 to 2, 1.4 to 1.5. Winograd's
  F(2 x 2, 3 x 3), whose errors are 1e-6 of the largest value, as the plain sum's.
- 3 x 3 with 64 channels: 1.6, 1.7, 1.3; with 128: 1, 1, 1.1. XLA's choice (YNNPACK) keeps
  to one thread with 64, unless the convolution is of a kind that it leaves to Eigen.
- 1 x 1: 1.6 to 2.3, 1.2 to 2, 1.4 to 2.8; patches of 2 x 2: 0.9, 1.3, 1.5; of 16 x 16:
  1.1, 23, 0.9. One product of matrices.
- Transposed, 4 x 4 of stride 2, 256 to 128 and 128 to 64 channels: 1, 1, 25 to 50. Its
  weight gradient is that of the convolution whose transpose it is.

The rest is left to XLA: strides in 3 x 3, stems, sharding that is part of the types. What
was tried and is not faster: sums over taps of products (0.5 to 1.5), gathered patches
(0.4 to 1.4), gradients of stride 2 by parity (0.5 to 1), three dimensions (0.5).

Gradients of the forms can be taken in reverse mode alone, as often as one likes.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import AxisType
from jaxtyping import Array, Float

from jaxbias.models import winograd

Images = Float[Array, "image height width channel"]
Features = Float[Array, "image row column feature"]
Kernel = Float[Array, "down right fan_in fan_out"]
Padding = str | Sequence[tuple[int, int]]

NHWC = ("NHWC", "HWIO", "NHWC")

PATCH_VALUES = 16
"""Patches with shorter rows are gathered too slowly."""

WINOGRAD_CHANNELS = 192
"""Fewer make products of matrices that are bound by memory; the plain sum is faster."""

EIGEN_CHANNELS = 32, 128
"""Between these, weight gradients by Eigen are faster than XLA's choice."""

EIGEN_OUTPUTS = 64
"""With no more outputs, XLA's choice keeps to one thread (seen with 64, not with 128)."""

TOGETHER = 8
"""Images, at least, that a depthwise weight gradient adds before it stores anything."""


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
) -> Features:
    """`lax.conv_general_dilated` of NHWC images, for `nn.Conv(conv_general_dilated=...)`.

    Args:
        x: Images.
        kernel: Weights, HWIO.
        strides: Down and right.
        padding: Zeros before and after, down and right; or "SAME" or "VALID".
        lhs_dilation: Must be None or ones, as `rhs_dilation`.
        rhs_dilation: Distance of taps.
        dimension_numbers: Those of NHWC, as `nn.Conv` gives them.
        feature_group_count: Groups of channels.
        precision: Of products.
        preferred_element_type: Of the result.
    """
    del dimension_numbers
    dilated = any(n != 1 for d in (lhs_dilation, rhs_dilation) for n in d or ())
    special = dilated or precision is not None or preferred_element_type is not None
    if not special and not _explicit(x, kernel):
        pads = padding
        if isinstance(padding, str):
            pads = lax.padtype_to_pads(x.shape[1:3], kernel.shape[:2], strides, padding)
        form = _form(x.shape, kernel.shape, strides, pads, feature_group_count, x.dtype)
        if form is not None:
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


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def transposed(x: Images, kernel: Kernel, stride: int, pad: int) -> Features:
    """The transpose of a convolution: a side of n becomes stride (n - 1) + taps - 2 pad.

    PyTorch's transposed convolution with the kernel turned by half a circle. Reverse mode
    alone.

    Args:
        x: Images.
        kernel: Weights, HWIO, as many down as right.
        stride: Down and right, of the convolution.
        pad: Its zeros, on every side.
    """
    if _explicit(x, kernel):
        return _dilated(x, kernel, stride, pad)
    return _by_platform(
        partial(_added_up, stride=stride, pad=pad),
        partial(_dilated, stride=stride, pad=pad),
        *(x, kernel),
    )


def _dilated(x: Images, kernel: Kernel, stride: int, pad: int) -> Features:
    """The transpose as XLA has it: zeros between pixels."""
    rest = len(kernel) - 1 - pad
    return lax.conv_transpose(x, kernel, (stride, stride), ((rest, rest),) * 2)


def _added_up(x: Images, kernel: Kernel, stride: int, pad: int) -> Features:
    """The same: one product, whose results are added where they belong."""
    size, _, fan_in, fan_out = kernel.shape
    flat = kernel[::-1, ::-1].transpose(2, 0, 1, 3).reshape(fan_in, -1)
    taps = (x @ flat).reshape(*x.shape[:3], size, size, fan_out)
    rows = _overlapped(taps, 1, 3, stride)
    both = _overlapped(rows, 2, 3, stride)
    down, right = (stride * (n - 1) + size - pad for n in x.shape[1:3])
    return both[:, pad:down, pad:right]


def _overlapped(taps: Array, side: int, tap: int, stride: int) -> Array:
    """Tap i of pixel m counts at stride m + i; the side ends with zeros."""
    count = taps.shape[tap]
    turns = -(-count // stride)

    def place(number: int, later: int) -> Array:
        edges = [(0, 0, 0)] * (taps.ndim - 1)
        edges[side] = (later, turns - 1 - later, 0)
        own = lax.index_in_dim(taps, number, tap, keepdims=False)
        return lax.pad(own, jnp.zeros((), taps.dtype), edges)

    phases = [
        sum(
            place(first + later * stride, later)
            for later in range(turns)
            if first + later * stride < count
        )
        for first in range(stride)
    ]
    both = jnp.stack(phases, axis=side + 1)
    shape = both.shape
    length = shape[side] * stride
    return both.reshape(*shape[:side], length, *shape[side + 2 :])


def _transposed_forward(x: Images, kernel: Kernel, stride: int, pad: int) -> tuple:
    return transposed(x, kernel, stride, pad), (x, kernel)


def _transposed_backward(
    stride: int, pad: int, kept: tuple, g: Features
) -> tuple[Images, Kernel]:
    x, kernel = kept

    # XLA's own weight gradient of `lax.conv_transpose` is a loop on a CPU.
    def down(g: Array, kernel: Kernel) -> Array:
        turned = kernel[::-1, ::-1].swapaxes(2, 3)
        return _plain(g, turned, stride, pad)

    _, weights = jax.vjp(down, g, kernel)[1](x)
    return down(g, kernel), weights


transposed.defvjp(_transposed_forward, _transposed_backward)


def _explicit(*operands: Array) -> bool:
    """Whether sharding is part of the types: the forms' products would need it too."""
    meshes = [jax.typeof(operand).sharding.mesh for operand in operands]
    return any(AxisType.Explicit in mesh.axis_types for mesh in meshes)


def _form(
    x: tuple[int, ...],
    kernel: tuple[int, ...],
    strides: Sequence[int],
    padding: Any,
    groups: int,
    dtype: Any,
) -> Callable[[Images, Kernel], Features] | None:
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
    whole = size == 1 or size == stride
    if pad == 0 and whole and size * channels >= PATCH_VALUES:
        return partial(_patches, stride=stride)
    # In less than float32, sums of rounded values would lose what the plain form keeps.
    if (size, stride, pad) != (3, 1, 1) or dtype != jnp.float32:
        return None
    fewest = min(fan_in, fan_out)
    if fewest >= WINOGRAD_CHANNELS:
        return _winograd if height % 2 == width % 2 == 0 else None
    return _three if EIGEN_CHANNELS[0] <= fewest <= EIGEN_CHANNELS[1] else None


def _by_platform(cpu: Callable, default: Callable, *operands: Array) -> Any:
    """One of two functions, by where the program will run."""
    return lax.platform_dependent(*operands, cpu=cpu, default=default)


def _gradients(plain: Callable, x: Array, kernel: Array, g: Array) -> Any:
    """Both gradients as JAX derives them."""
    return jax.vjp(plain, x, kernel)[1](g)


# Convolutions as large as their stride


def _patches(x: Images, kernel: Kernel, stride: int) -> Features:
    """Every patch times the kernel: one product of matrices."""

    def cpu(x: Images, kernel: Kernel) -> Features:
        size = len(kernel)
        rows, columns = ((n - size) // stride + 1 for n in x.shape[1:3])
        if size == 1:
            return x[:, ::stride, ::stride] @ kernel[0, 0]
        x = x[:, : rows * size, : columns * size]
        x = x.reshape(-1, rows, size, columns, size, x.shape[-1])
        x = x.swapaxes(2, 3).reshape(len(x), rows, columns, -1)
        return x @ kernel.reshape(-1, kernel.shape[-1])

    def default(x: Images, kernel: Kernel) -> Features:
        return _plain(x, kernel, stride, 0)

    return _by_platform(cpu, default, x, kernel)


# Depthwise convolutions of stride 1, which keep the size


@jax.custom_vjp
def _depthwise(x: Images, kernel: Kernel) -> Features:
    return _by_platform(_shifted, _plain_depthwise, x, kernel)


def _plain_depthwise(x: Images, kernel: Kernel) -> Features:
    return _plain(x, kernel, 1, len(kernel) // 2, groups=x.shape[-1])


def _as_rows(x: Images, pad: int) -> Float[Array, "image row value"]:
    """Padded images with columns and channels as one axis: one to the right is `channel`
    values on, and loops over the axis vectorise whatever the number of channels."""
    x = jnp.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0))).astype(jnp.float32)
    return x.reshape(*x.shape[:2], -1)


def _shifted(x: Images, kernel: Kernel) -> Features:
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


def _tap_sums(x: Images, g: Features, size: int) -> Kernel:
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
        return jnp.stack(sums).sum((1, 2))

    sums = lax.map(row, jnp.arange(size))
    return sums.reshape(size, size, width, channels).sum(2)[:, :, None]


def _depthwise_forward(x: Images, kernel: Kernel) -> tuple[Features, tuple]:
    return _depthwise(x, kernel), (x, kernel)


def _depthwise_backward(kept: tuple, g: Features) -> tuple[Images, Kernel]:
    def cpu(x: Images, kernel: Kernel, g: Features) -> tuple[Images, Kernel]:
        weights = _tap_sums(x, g, len(kernel)).astype(kernel.dtype)
        return _shifted(g, kernel[::-1, ::-1]), weights

    return _by_platform(cpu, partial(_gradients, _plain_depthwise), *kept, g)


_depthwise.defvjp(_depthwise_forward, _depthwise_backward)


# Convolutions of 3 x 3 with stride 1 and padding 1


def _plain(
    x: Images, kernel: Kernel, stride: int, pad: int, groups: int = 1
) -> Features:
    """The convolution as XLA has it."""
    return lax.conv_general_dilated(
        *(x, kernel, (stride, stride), ((pad, pad), (pad, pad))),
        dimension_numbers=NHWC,
        feature_group_count=groups,
    )


def _by_eigen(x: Images, kernel: Kernel) -> Features:
    """3 x 3, stride 1, padding 1, by whichever of XLA's two libraries is faster.

    XLA (jax 0.10) hands a convolution to YNNPACK unless an axis of its result is longer
    than that of its input: one row too many is computed where Eigen is wanted.
    """
    if kernel.shape[-1] > EIGEN_OUTPUTS:
        return _plain(x, kernel, 1, 1)
    y = lax.conv_general_dilated(
        x, kernel, (1, 1), ((1, 2), (1, 1)), dimension_numbers=NHWC
    )
    return y[:, :-1]


def _weights_by_eigen(x: Images, g: Features) -> Kernel:
    """The weight gradient of the same: images convolved with `g`, over the batch.

    Here the filter is made longer than its input, by a row of zeros. Columns are padded
    beforehand: of a filter larger than its input, XLA would exchange the two.
    """
    x = jnp.pad(x, ((0, 0), (0, 0), (1, 1), (0, 0))).transpose(3, 1, 2, 0)
    g = jnp.pad(g, ((0, 0), (0, 1), (0, 0), (0, 0))).transpose(1, 2, 0, 3)
    y = lax.conv_general_dilated(x, g, (1, 1), ((1, 2), (0, 0)), dimension_numbers=NHWC)
    return y.transpose(1, 2, 0, 3)


_plain_three = partial(_plain, stride=1, pad=1)


@jax.custom_vjp
def _three(x: Images, kernel: Kernel) -> Features:
    return _by_platform(_by_eigen, _plain_three, x, kernel)


def _three_forward(x: Images, kernel: Kernel) -> tuple[Features, tuple]:
    return _three(x, kernel), (x, kernel)


def _three_backward(kept: tuple, g: Features) -> tuple[Images, Kernel]:
    def cpu(x: Images, kernel: Kernel, g: Features) -> tuple[Images, Kernel]:
        turned = kernel[::-1, ::-1].swapaxes(2, 3)
        return _by_eigen(g, turned), _weights_by_eigen(x, g)

    return _by_platform(cpu, partial(_gradients, _plain_three), *kept, g)


_three.defvjp(_three_forward, _three_backward)


@jax.custom_vjp
def _winograd(x: Images, kernel: Kernel) -> Features:
    return _by_platform(winograd.convolved, _plain_three, x, kernel)


def _winograd_forward(x: Images, kernel: Kernel) -> tuple[Features, tuple]:
    return _winograd(x, kernel), (x, kernel)


def _winograd_backward(kept: tuple, g: Features) -> tuple[Images, Kernel]:
    def cpu(x: Images, kernel: Kernel, g: Features) -> tuple[Images, Kernel]:
        return winograd.input_gradient(g, kernel), winograd.weight_gradient(x, g)

    return _by_platform(cpu, partial(_gradients, _plain_three), *kept, g)


_winograd.defvjp(_winograd_forward, _winograd_backward)
