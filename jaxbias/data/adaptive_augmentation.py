"""Augmentation that a discriminator sees, and that gradients go through.

Karras et al., "Training Generative Adversarial Networks with Limited Data" (NeurIPS 2020),
appendix B: pixels are moved without resampling, then the image is scaled, turned and
shifted, then colours are changed. Each change is made to each image with one probability,
which training adapts: as long as that is below some 0.8, the paper finds, a generator
learns what images look like unchanged.

Images are float, NHWC, square, on the scale -1 to 1; what comes out may be beyond it.
Everything is linear in the images. All functions are pure.
"""

import math
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int, Key

Images = Float[Array, "image size size channel"]
Keys = Key[Array, " image"]
Values = Float[Array, " image"]
Matrices = Float[Array, "image 3 3"]

MOVED = 0.125
"""Largest move in whole pixels, and deviation of moves in fractions, over the side."""

SCALED = 0.2
"""Deviation of the binary logarithms of scales."""

BRIGHTER, CONTRASTED, SATURATED = 0.2, 0.5, 1.0
"""Deviations: of what is added, and of the binary logarithms of factors."""

GREY = np.full(3, 3**-0.5)
"""Direction of the luma axis."""

# Daubechies' least asymmetric wavelet of six vanishing moments ("sym6"): its low-pass.
WAVELET = np.array(
    [0.015404109327027373, 0.0034907120842174702, -0.11799011114819057,
     -0.048311742585633, 0.4910559419267466, 0.787641141030194, 0.3379294217276218,
     -0.07263752278646252, -0.021060292512300564, 0.04472490177066578,
     0.0017677118642428036, -0.007800708325034148]
)  # fmt: skip
CENTRE = float(np.arange(len(WAVELET)) @ WAVELET / WAVELET.sum())
"""Where a pixel stands in the filter's output."""


class Changes(NamedTuple):
    """What is done to each image, in this order.

    Attributes:
        mirrored: Left to right.
        quarters: Turns by 90 degrees, counter-clockwise, 0 to 3.
        moved: Whole pixels down and right; reflections come in.
        linear: Where displacements from the centre, down and right, are taken to: scales
            and rotations in one.
        shift: Then added to them, in pixels.
        colours: Matrix that red, green and blue are multiplied by.
        offset: Then added to all of them.
    """

    mirrored: Bool[Array, " image"]
    quarters: Int[Array, " image"]
    moved: Int[Array, "image 2"]
    linear: Float[Array, "image 2 2"]
    shift: Float[Array, "image 2"]
    colours: Matrices
    offset: Values


def nothing(count: int) -> Changes:
    """Changes that leave images as they are."""
    return Changes(
        mirrored=jnp.zeros(count, bool),
        quarters=jnp.zeros(count, jnp.int32),
        moved=jnp.zeros((count, 2), jnp.int32),
        linear=jnp.broadcast_to(jnp.eye(2)[None], (count, 2, 2)),
        shift=jnp.zeros((count, 2)),
        colours=jnp.broadcast_to(jnp.eye(3)[None], (count, 3, 3)),
        offset=jnp.zeros(count),
    )


def drawn(keys: Keys, probability: Float[Array, ""], size: int) -> Changes:
    """Draw the changes of each image.

    Args:
        keys: One for each image.
        probability: Of each change, 0 to 1. Rotation has two chances, which together have
            this probability.
        size: Side of the images in pixels.
    """
    return jax.vmap(lambda key: _drawn(key, probability, size))(keys)


def _drawn(key: Any, probability: Array, size: int) -> Any:
    chance, even, bell = jax.random.split(key, 3)
    turned = 1 - jnp.sqrt(1 - probability)
    limits = jnp.full(13, probability).at[jnp.array([4, 6])].set(turned)
    # Strictly below: nothing is done at 0, everything at 1.
    does = jax.random.uniform(chance, (13,)) < limits
    uniform = jax.random.uniform(even, (8,))
    normal = jax.random.normal(bell, (7,))

    def power(deviation: float, number: Array, done: Array) -> Array:
        return jnp.where(done, jnp.exp2(deviation * number), 1.0)

    def angle(number: Array, done: Array) -> Array:
        return jnp.where(done, math.pi * (2 * number - 1), 0.0)

    whole = jnp.round(MOVED * size * (2 * uniform[2:4] - 1)).astype(jnp.int32)
    both = power(SCALED, normal[0], does[3])
    one = power(SCALED, normal[1], does[5])
    linear = both * _product(
        rotation(angle(uniform[5], does[6])),
        jnp.diag(jnp.stack([1 / one, one])),
        rotation(angle(uniform[4], does[4])),
    )
    grey = jnp.asarray(np.outer(GREY, GREY), jnp.float32)
    flipped = does[10] & (uniform[6] < 0.5)
    saturation = power(SATURATED, normal[5], does[12])
    colours = _product(
        grey + (jnp.eye(3) - grey) * saturation,
        hue_rotation(angle(uniform[7], does[11])),
        jnp.eye(3) - jnp.where(flipped, 2 * grey, 0.0),
    )
    brighter = jnp.where(does[8], BRIGHTER * normal[4], 0.0)
    contrast = power(CONTRASTED, normal[6], does[9])
    # Brightness comes first: all that follows acts on it too, along the luma axis.
    offset = brighter * contrast * jnp.where(flipped, -1.0, 1.0)
    return Changes(
        mirrored=does[0] & (uniform[0] < 0.5),
        quarters=jnp.where(does[1], (4 * uniform[1]).astype(jnp.int32), 0),
        moved=jnp.where(does[2], whole, 0),
        linear=linear,
        shift=jnp.where(does[7], MOVED * size * normal[2:4], 0.0),
        colours=contrast * colours,
        offset=offset,
    )


def _product(*matrices: Array) -> Array:
    found = matrices[0]
    for matrix in matrices[1:]:
        found = jnp.dot(found, matrix, precision=lax.Precision.HIGHEST)
    return found


def rotation(angle: Array) -> Float[Array, "2 2"]:
    """By an angle in radians, from right to up, of displacements down and right."""
    cosine, sine = jnp.cos(angle), jnp.sin(angle)
    return jnp.stack([cosine, -sine, sine, cosine]).reshape(2, 2)


def hue_rotation(angle: Array) -> Float[Array, "3 3"]:
    """About the luma axis, by an angle in radians; a third turn takes red to green."""
    x, y, z = GREY
    cross = jnp.asarray([[0, -z, y], [z, 0, -x], [-y, x, 0]], jnp.float32)
    grey = jnp.asarray(np.outer(GREY, GREY), jnp.float32)
    return grey + jnp.cos(angle) * (jnp.eye(3) - grey) + jnp.sin(angle) * cross


def augmented(keys: Keys, images: Images, probability: Float[Array, ""]) -> Images:
    """Change images with a probability.

    Args:
        keys: One for each image.
        images: Of three channels.
        probability: Of each change, 0 to 1.
    """
    return changed(images, drawn(keys, probability, images.shape[1]))


def changed(images: Images, changes: Changes) -> Images:
    """Make given changes."""
    images = blitted(images, changes.mirrored, changes.quarters, changes.moved)
    images = warped(images, changes.linear, changes.shift)
    return coloured(images, changes.colours, changes.offset)


def blitted(
    images: Images,
    mirrored: Bool[Array, " image"],
    quarters: Int[Array, " image"],
    moved: Int[Array, "image 2"],
) -> Images:
    """Mirror, turn and move images by whole pixels; see `Changes`."""
    size = images.shape[1]
    wide = lambda which: which[:, None, None, None]  # noqa: E731
    # A quarter is a transposition and a reversal of rows, two are reversals of both.
    x = jnp.where(wide(mirrored), images[:, :, ::-1], images)
    x = jnp.where(wide(quarters % 2 == 1), x.swapaxes(1, 2), x)
    down = (quarters == 1) | (quarters == 2)
    right = (quarters == 2) | (quarters == 3)
    rows, columns = (
        _reversed_and_moved(size, turned, moved[:, axis])
        for axis, turned in ((0, down), (1, right))
    )
    x = jnp.einsum("nHh,nhwc->nHwc", rows, x, precision=lax.Precision.HIGHEST)
    return jnp.einsum("nWw,nhwc->nhWc", columns, x, precision=lax.Precision.HIGHEST)


def _reversed_and_moved(
    size: int, turned: Bool[Array, " image"], moved: Int[Array, " image"]
) -> Float[Array, "image size size"]:
    """Which pixel of a side each new one is, as matrices of zeros and ones.

    Gradients of products of matrices are such products; those of look-ups would be sums
    one by one.
    """
    place = jnp.arange(size)[None] - moved[:, None]
    place = jnp.abs(place)
    place = jnp.minimum(place, 2 * (size - 1) - place)
    place = jnp.where(turned[:, None], size - 1 - place, place)
    return jax.nn.one_hot(place, size)


def warped(
    images: Images, linear: Float[Array, "image 2 2"], shift: Float[Array, "image 2"]
) -> Images:
    """Scale, turn and shift images about their centres; reflections come in.

    Images are doubled and halved again by the low-pass of an orthogonal wavelet, between
    which bilinear interpolation looks pixels up: where nothing is moved nothing changes.
    Beyond the image and its reflections there are zeros.

    Args:
        images: Images.
        linear: See `Changes`.
        shift: See `Changes`.
    """
    size = images.shape[1]
    grow, shrink = (jnp.asarray(each) for each in _resampling(size))
    large = _both(grow, images)
    # Pixels of what is halved, as displacements from the centre.
    middle = (size - 1) / 2
    side = (jnp.arange(shrink.shape[1]) - CENTRE) / 2 - middle
    grid = jnp.stack(jnp.meshgrid(side, side, indexing="ij"), -1).reshape(1, -1, 2)
    back = grid - shift[:, None]
    determinant = linear[:, 0, 0] * linear[:, 1, 1] - linear[:, 0, 1] * linear[:, 1, 0]
    a, b, c, d = (
        (entry / determinant)[:, None]
        for entry in (
            linear[:, 1, 1],
            -linear[:, 0, 1],
            -linear[:, 1, 0],
            linear[:, 0, 0],
        )
    )
    places = jnp.stack(
        [a * back[..., 0] + b * back[..., 1], c * back[..., 0] + d * back[..., 1]], -1
    )
    places = 2 * (places + middle + size - 1) + CENTRE
    found = _looked_up(large, places)
    shape = (len(images), shrink.shape[1], shrink.shape[1], images.shape[-1])
    return _both(shrink, found.reshape(shape))


def _both(matrix: Array, images: Array) -> Array:
    """Multiply columns and rows by a matrix."""
    tall = jnp.einsum("Hh,nhwc->nHwc", matrix, images, precision=lax.Precision.HIGHEST)
    return jnp.einsum("Ww,nhwc->nhWc", matrix, tall, precision=lax.Precision.HIGHEST)


@lru_cache(maxsize=8)
def _resampling(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Matrices for one side: doubled with its reflections, and halved without them."""
    taps = np.arange(len(WAVELET))
    padded = np.arange(3 * size - 2)
    grow = np.zeros((2 * len(padded) + len(taps) - 2, len(padded)))
    for pixel in padded:
        grow[2 * pixel + taps, pixel] = math.sqrt(2) * WAVELET
    source = np.abs(padded - (size - 1))
    source = np.minimum(source, 2 * (size - 1) - source)
    shrink = np.zeros((size, 2 * size + len(taps) - 2))
    for pixel in range(size):
        shrink[pixel, 2 * pixel + taps] = WAVELET / math.sqrt(2)
    folded = grow @ np.eye(size)[source]
    return folded.astype(np.float32), shrink.astype(np.float32)


def _looked_up(
    images: Float[Array, "image row row channel"], places: Float[Array, "image place 2"]
) -> Float[Array, "image place channel"]:
    """Bilinear interpolation; zeros outside."""
    size = images.shape[1]
    low = jnp.floor(places)
    share = places - low
    low = low.astype(jnp.int32)
    flat = images.reshape(len(images), size * size, -1)
    total: Any = 0.0
    for i in range(2):
        for j in range(2):
            row, column = low[..., 0] + i, low[..., 1] + j
            inside = (row >= 0) & (row < size) & (column >= 0) & (column < size)
            weight = share[..., 0] if i else 1 - share[..., 0]
            weight *= share[..., 1] if j else 1 - share[..., 1]
            number = jnp.clip(row, 0, size - 1) * size + jnp.clip(column, 0, size - 1)
            pixels = jax.vmap(_picked)(flat, number)
            total = total + jnp.where(inside, weight, 0.0)[..., None] * pixels
    return total


def _picked(
    pixels: Float[Array, "pixel channel"], number: Int[Array, " place"]
) -> Float[Array, "place channel"]:
    return pixels.at[number].get(mode="promise_in_bounds")


def coloured(images: Images, colours: Matrices, offset: Values) -> Images:
    """Multiply colours by a matrix and add to all; see `Changes`."""
    x = jnp.einsum("nij,nhwj->nhwi", colours, images, precision=lax.Precision.HIGHEST)
    return x + offset[:, None, None, None]
