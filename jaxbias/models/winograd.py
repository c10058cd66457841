"""Winograd's F(2 x 2, 3 x 3): convolutions of 3 x 3 with 16 products instead of 36.

An image is cut into tiles of 4 x 4 that overlap by two; each gives 2 x 2 values. Tiles and
weights go through small fixed matrices of 0, 1, -1 and 1/2 (Lavin and Gray, CVPR 2016), and
the sums over channels become 16 products of matrices. The weight gradient takes the
transposed way. In float32 the largest error is 1e-6 of the largest value.

Everything is for stride 1, padding 1 and even sides.
"""

from collections.abc import Sequence

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

Images = Float[Array, "image height width channel"]
Features = Float[Array, "image row column feature"]
Kernel = Float[Array, "3 3 fan_in fan_out"]
Sixteen = list[Float[Array, "tile channel"]]
"""A matrix for each of the 4 x 4 places of a tile, row by row."""


def convolved(x: Images, kernel: Kernel) -> Features:
    """The sum over taps, as `lax.conv_general_dilated` has it."""
    products = [a @ b for a, b in zip(_tiles(x), _weights(kernel), strict=True)]
    return _untiled(products, x.shape)


def input_gradient(g: Features, kernel: Kernel) -> Images:
    """The gradient with respect to the images, from that of the output.

    It is the convolution with the kernel turned by half and its channels exchanged. Turning
    only reorders the 16 matrices, and the exchange is left to the product.
    """
    turned = (3, 1, 2, 0)
    weights, tiles = _weights(kernel), _tiles(g)
    products = [
        tiles[4 * i + j] @ weights[4 * turned[i] + turned[j]].T
        for i in range(4)
        for j in range(4)
    ]
    return _untiled(products, g.shape)


def weight_gradient(x: Images, g: Features) -> Kernel:
    """The gradient with respect to the weights, from images and that of the output."""
    images, height, width, fan_out = g.shape
    halves = g.reshape(images, height // 2, 2, width // 2, 2, fan_out)
    parts = [
        column.reshape(-1, fan_out)
        for row in _four(halves[:, :, 0], halves[:, :, 1])
        for column in _four(row[:, :, :, 0], row[:, :, :, 1])
    ]
    products = [a.T @ b for a, b in zip(_tiles(x), parts, strict=True)]
    rows = [_three(products[4 * i : 4 * i + 4]) for i in range(4)]
    columns = [_three([row[j] for row in rows]) for j in range(3)]
    return jnp.stack([jnp.stack([c[i] for c in columns]) for i in range(3)])


def _tiles(x: Images) -> Sixteen:
    """The 16 transformed values of every tile."""
    height, width, channels = x.shape[1:]
    x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))

    def transformed(x: Array, axis: int, length: int) -> list[Array]:
        a, b, c, d = (lax.slice_in_dim(x, i, i + length - 1, 2, axis) for i in range(4))
        return [a - c, b + c, c - b, b - d]

    rows = transformed(x, 1, height)
    every = [column for row in rows for column in transformed(row, 2, width)]
    return [tile.reshape(-1, channels) for tile in every]


def _weights(kernel: Kernel) -> Sixteen:
    """The 16 transformed values of every filter: [fan_in, fan_out]."""

    def transformed(a: Array, b: Array, c: Array) -> list[Array]:
        return [a, (a + b + c) / 2, (a - b + c) / 2, c]

    rows = transformed(*kernel)
    return [column for row in rows for column in transformed(*row)]


def _untiled(products: Sixteen, shape: Sequence[int]) -> Features:
    """From the products to images of a shape, but for their channels."""
    images, height, width, _ = shape
    tiles = [p.reshape(images, height // 2, width // 2, -1) for p in products]
    rows = [_two(tiles[4 * i : 4 * i + 4]) for i in range(4)]
    columns = [_two([row[j] for row in rows]) for j in range(2)]
    pairs = [jnp.stack([c[i] for c in columns], 3) for i in range(2)]
    return jnp.stack(pairs, 2).reshape(images, height, width, -1)


def _two(m: Sequence[Array]) -> list[Array]:
    return [m[0] + m[1] + m[2], m[1] - m[2] - m[3]]


def _four(a: Array, b: Array) -> list[Array]:
    """The transpose of `_two`."""
    return [a, a + b, a - b, -b]


def _three(m: Sequence[Array]) -> list[Array]:
    """The transpose of what `_weights` does along one axis."""
    half = (m[1] + m[2]) / 2
    return [m[0] + half, (m[1] - m[2]) / 2, half + m[3]]
