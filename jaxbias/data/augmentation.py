"""Augmentation of image batches on the device, as pure functions of a key.

Images are float, NHWC, on the scale 0 to 1. Every image of a batch draws its own numbers.
The definitions are those of torchvision and timm, where the papers' recipes come from;
differences are said.
"""

import math
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int
from scipy import special

from jaxbias.arrays import RandomKey
from jaxbias.numerics.low_level import LUMINANCE

Images = Float[Array, "image height width channel"]
Cropped = Float[Array, "image row column channel"]
Targets = Float[Array, "image class"]


def smoothed(
    labels: Int[Array, " image"], classes: int, amount: float = 0.0
) -> Targets:
    """One-hot targets, of which a share is spread evenly over all classes."""
    return jax.nn.one_hot(labels, classes) * (1 - amount) + amount / classes


# Where things are


def central(images: Images, size: int) -> Cropped:
    """The central square of `size` by `size`; the upper left one of several."""
    top, left = ((n - size) // 2 for n in images.shape[1:3])
    return images[:, top : top + size, left : left + size]


def flip(images: Images, which: Bool[Array, " image"]) -> Images:
    """Mirror the chosen images left to right."""
    return jnp.where(which[:, None, None, None], images[:, :, ::-1], images)


def random_flip(key: RandomKey, images: Images) -> Images:
    """Mirror each image with probability one half."""
    return flip(images, jax.random.bernoulli(key, 0.5, (len(images),)))


def alternating_flip(
    key: RandomKey, images: Images, index: Int[Array, " image"], epoch: Int[Array, ""]
) -> Images:
    """Mirror a random half of the images in even epochs and the others in odd ones.

    Every two epochs see both sides of every image (Jordan 2024, airbench).

    Args:
        key: The same in every epoch.
        images: A batch.
        index: Each image's number in the data set.
        epoch: From 0.
    """
    draw = lambda i: jax.random.bernoulli(jax.random.fold_in(key, i))  # noqa: E731
    return flip(images, jax.vmap(draw)(index) ^ (epoch % 2 == 1))


def pad_and_crop(
    key: RandomKey, images: Images, padding: int, *, reflect: bool = False
) -> Images:
    """Move each image by up to `padding` pixels each way; zeros or reflections come in."""
    pad = ((0, 0), (padding, padding), (padding, padding), (0, 0))
    wide = jnp.pad(images, pad, mode="reflect" if reflect else "constant")
    corners = jax.random.randint(key, (len(images), 2), 0, 2 * padding + 1)
    _, height, width, channels = images.shape

    def crop(image: Array, corner: Array) -> Array:
        start = (corner[0], corner[1], 0)
        return jax.lax.dynamic_slice(image, start, (height, width, channels))

    return jax.vmap(crop)(wide, corners)


class Boxes(NamedTuple):
    """Rectangles in pixels, one an image; may be fractions."""

    top: Float[Array, " image"]
    left: Float[Array, " image"]
    height: Float[Array, " image"]
    width: Float[Array, " image"]


TRIES = 10
"""Boxes that are drawn for each image before the central one is taken."""


def random_boxes(
    key: RandomKey,
    count: int,
    height: int,
    width: int,
    *,
    area: tuple[float, float] = (0.08, 1.0),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
) -> Boxes:
    """Boxes of random area and shape, as torchvision's `RandomResizedCrop` draws them.

    Args:
        key: Random key.
        count: How many.
        height: Of the image.
        width: Of the image.
        area: Least and largest share of the image's area.
        ratio: Least and largest width over height; its logarithm is uniform.

    Returns:
        Boxes of whole pixels inside the image. Where none of ten draws fits, the central
        one with the nearest ratio that fits.
    """
    areas, ratios, places = jax.random.split(key, 3)
    shape = (TRIES, count)
    size = (
        height
        * width
        * jax.random.uniform(areas, shape, minval=area[0], maxval=area[1])
    )
    low, high = jnp.log(jnp.asarray(ratio))
    aspect = jnp.exp(jax.random.uniform(ratios, shape, minval=low, maxval=high))
    w, h = jnp.round(jnp.sqrt(size * aspect)), jnp.round(jnp.sqrt(size / aspect))
    fits = (w >= 1) & (w <= width) & (h >= 1) & (h <= height)
    first = jnp.argmax(fits, axis=0)
    chosen = lambda values: jnp.take_along_axis(values, first[None], axis=0)[0]  # noqa: E731
    within = min(max(width / height, ratio[0]), ratio[1])
    central = (min(height, round(width / within)), min(width, round(height * within)))
    found = fits.any(axis=0)
    h = jnp.where(found, chosen(h), central[0])
    w = jnp.where(found, chosen(w), central[1])
    room = jnp.stack([height - h, width - w])
    drawn = jnp.floor(jax.random.uniform(places, (2, count)) * (room + 1))
    corner = jnp.where(found[None], drawn, jnp.floor(room / 2))
    return Boxes(top=corner[0], left=corner[1], height=h, width=w)


def resized_crop(images: Images, boxes: Boxes, size: int) -> Cropped:
    """Cut a box out of each image and bring it to `size` by `size`, bilinearly.

    Where a box is larger than `size` the kernel is widened, as torchvision's antialias.
    """
    scaled = partial(_scaled, size=size)
    # On a CPU the few pixels that weigh are looked up; elsewhere products of matrices,
    # most of whose entries are 0, are faster.
    return jax.lax.platform_dependent(
        *(images, boxes), cpu=partial(_looked_up, size=size), default=scaled
    )


def _scaled(images: Images, boxes: Boxes, size: int) -> Cropped:
    def one(
        image: Array, top: Array, left: Array, height: Array, width: Array
    ) -> Array:
        scale = jnp.stack([size / height, size / width])
        return jax.image.scale_and_translate(
            image,
            (size, size, image.shape[-1]),
            (0, 1),
            scale,
            -jnp.stack([top, left]) * scale,
            method="linear",
            antialias=True,
        )

    return jax.vmap(one)(images, *boxes)


def _looked_up(images: Images, boxes: Boxes, size: int) -> Cropped:
    _, height, width, channels = images.shape

    def one(
        image: Array, rows: Array, of_rows: Array, columns: Array, of_columns: Array
    ) -> Array:
        take: dict[str, Any] = {"mode": "promise_in_bounds"}
        flat = image.reshape(height, width * channels)
        tall: Any = sum(
            weight[:, None] * flat.at[row].get(**take)
            for row, weight in zip(rows.T, of_rows.T, strict=True)
        )
        tall = tall.reshape(size, width, channels)
        parts = (
            weight[None, :, None] * tall.at[:, column].get(**take)
            for column, weight in zip(columns.T, of_columns.T, strict=True)
        )
        return sum(parts)  # type: ignore[return-value]

    return jax.vmap(one)(
        images,
        *_taps(boxes.top, boxes.height, height, size),
        *_taps(boxes.left, boxes.width, width, size),
    )


def _taps(
    start: Float[Array, " image"], length: Float[Array, " image"], old: int, size: int
) -> tuple[Int[Array, "image new tap"], Float[Array, "image new tap"]]:
    """Which pixels along a side make up each new one, and their weights."""
    count = 2 * math.ceil(max(1, old / size))
    scale = length[:, None, None] / size
    middle = (
        (jnp.arange(size)[None, :, None] + 0.5) * scale + start[:, None, None] - 0.5
    )
    wide = jnp.maximum(scale, 1.0)
    place = jnp.floor(middle - wide) + 1 + jnp.arange(count)[None, None]
    weight = jnp.maximum(0, 1 - jnp.abs(place - middle) / wide)
    weight = jnp.where((place >= 0) & (place < old), weight, 0.0)
    weight /= weight.sum(-1, keepdims=True)
    return jnp.clip(place, 0, old - 1).astype(jnp.int32), weight


def random_resized_crop(
    key: RandomKey,
    images: Images,
    size: int,
    *,
    area: tuple[float, float] = (0.08, 1.0),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
) -> Cropped:
    """A random box of each image, at one size; see `random_boxes`.

    Unlike torchvision's, pixels just outside the box weigh in at its borders.
    """
    count, height, width, _ = images.shape
    boxes = random_boxes(key, count, height, width, area=area, ratio=ratio)
    return resized_crop(images, boxes, size)


def inside(boxes: Boxes, height: int, width: int) -> Bool[Array, "image height width"]:
    """Which pixels lie in each image's box."""
    row, column = jnp.arange(height)[None], jnp.arange(width)[None]
    rows = (row >= boxes.top[:, None]) & (row < (boxes.top + boxes.height)[:, None])
    columns = column >= boxes.left[:, None]
    columns &= column < (boxes.left + boxes.width)[:, None]
    return rows[:, :, None] & columns[:, None, :]


def random_erasing(
    key: RandomKey,
    images: Images,
    *,
    probability: float = 0.25,
    area: tuple[float, float] = (0.02, 1 / 3),
    ratio: tuple[float, float] = (0.3, 10 / 3),
) -> Images:
    """Fill a random box of some images with normal noise of their own mean and spread.

    Zhong et al. 2020, with timm's areas and ratios. timm's "pixel" mode fills with N(0, 1)
    after normalisation; here images are not yet normalised.
    """
    which, box, fill = jax.random.split(key, 3)
    count, height, width, _ = images.shape
    boxes = random_boxes(box, count, height, width, area=area, ratio=ratio)
    chosen = jax.random.bernoulli(which, probability, (count,))
    mask = inside(boxes, height, width) & chosen[:, None, None]
    mean = jnp.mean(images, axis=(1, 2), keepdims=True)
    spread = jnp.std(images, axis=(1, 2), keepdims=True)
    # Drawn flat: on a CPU that is twice as fast.
    drawn = jax.random.normal(fill, (images.size,)).reshape(images.shape)
    noise = mean + spread * drawn
    return jnp.where(mask[..., None], noise, images)


# Colours


def grey(images: Images) -> Float[Array, "image height width 1"]:
    """Luminance of each pixel."""
    return jnp.dot(images, jnp.asarray(LUMINANCE), precision="highest")[..., None]


def _blend(images: Array, other: Array, factor: Float[Array, " image"]) -> Array:
    """`other` at factor 0, the images at 1, beyond them above; cut to 0 to 1."""
    f = factor[:, None, None, None]
    return jnp.clip(f * images + (1 - f) * other, 0.0, 1.0)


def brightness(images: Images, factor: Float[Array, " image"]) -> Images:
    """Multiply, and cut to 0 to 1."""
    return _blend(images, jnp.zeros_like(images), factor)


def contrast(images: Images, factor: Float[Array, " image"]) -> Images:
    """Move away from (or towards) the mean grey of the image."""
    mean = jnp.mean(grey(images), axis=(1, 2), keepdims=True)
    return _blend(images, jnp.broadcast_to(mean, images.shape), factor)


def saturation(images: Images, factor: Float[Array, " image"]) -> Images:
    """Move away from (or towards) the grey of each pixel."""
    return _blend(images, jnp.broadcast_to(grey(images), images.shape), factor)


def hue(images: Images, turn: Float[Array, " image"]) -> Images:
    """Turn the hue of every pixel; `turn` in turns, -1/2 to 1/2."""
    high, low = images.max(-1), images.min(-1)
    chroma = high - low
    r, g, b = jnp.moveaxis(images, -1, 0)
    safe = jnp.where(chroma > 0, chroma, 1.0)
    angle = jnp.where(
        high == r,
        (g - b) / safe,
        jnp.where(high == g, 2 + (b - r) / safe, 4 + (r - g) / safe),
    )
    angle = jnp.where(chroma > 0, angle / 6 + turn[:, None, None], 0.0)
    # Each channel falls off with the angle from its own place on the circle.
    places = jnp.asarray([5.0, 3.0, 1.0])[None, None, None]
    k = (places + 6 * angle[..., None]) % 6
    share = jnp.clip(jnp.minimum(k, 4 - k), 0.0, 1.0)
    return high[..., None] - chroma[..., None] * share


def colour_jitter(
    key: RandomKey,
    images: Images,
    *,
    brightness_range: float = 0.0,
    contrast_range: float = 0.0,
    saturation_range: float = 0.0,
    hue_range: float = 0.0,
) -> Images:
    """Change the colours of each image by random amounts.

    Factors are uniform within `range` of 1 (of 0 turns for the hue). torchvision draws the
    order of the four for each call; here it is that of the arguments.
    """
    keys = jax.random.split(key, 4)
    count = len(images)
    for step, change, width in (
        (0, brightness, brightness_range),
        (1, contrast, contrast_range),
        (2, saturation, saturation_range),
    ):
        if width > 0:
            low = max(0.0, 1 - width)
            factor = jax.random.uniform(
                keys[step], (count,), minval=low, maxval=1 + width
            )
            images = change(images, factor)
    if hue_range > 0:
        turn = jax.random.uniform(
            keys[3], (count,), minval=-hue_range, maxval=hue_range
        )
        images = hue(images, turn)
    return images


# Several images

QUANTILES = 2**12
"""Parts of equal chance between which quantiles of a Beta distribution are interpolated."""


@lru_cache(maxsize=16)
def _quantiles(alpha: float) -> np.ndarray:
    chances = np.linspace(0, 1, QUANTILES + 1)
    return special.betaincinv(alpha, alpha, chances).astype(np.float32)


def symmetric_beta(key: RandomKey, alpha: float, count: int) -> Float[Array, " draw"]:
    """Draws from Beta(alpha, alpha), of which 4,096 quantiles are exact.

    Not `jax.random.beta`, which rejects until all are done: on images that are spread over
    devices its loop asks all of them at each turn, out of step with what they exchange
    otherwise, and XLA for CPUs (jax 0.10) came to a standstill in one of some thousand
    steps.
    """
    place = jax.random.uniform(key, (count,)) * QUANTILES
    # A uniform draw below 1 can round up to the last quantile.
    number = jnp.minimum(place.astype(jnp.int32), QUANTILES - 1)
    table = jnp.asarray(_quantiles(alpha))
    low, high = table[number], table[number + 1]
    return low + (place - number) * (high - low)


def _opposite(images: Images, targets: Targets) -> tuple[Images, Targets]:
    """Those in the opposite order, by one exchange where devices share them."""
    # Two would be independent of each other, and of loops that ask all devices.
    count = len(images)
    both = jnp.concatenate([images.reshape(count, -1), targets], axis=1)[::-1]
    pixels = both.shape[1] - targets.shape[1]
    return both[:, :pixels].reshape(images.shape), both[:, pixels:]


def mixup(
    key: RandomKey, images: Images, targets: Targets, alpha: float
) -> tuple[Images, Targets]:
    """Mix each image and its target with another's (Zhang et al. 2018).

    The share is Beta(alpha, alpha), one for each image; the partner is the image opposite
    in the batch, as in timm, so batches must be shuffled.
    """
    share = symmetric_beta(key, alpha, len(images))
    others, their = _opposite(images, targets)
    wide = share[:, None, None, None]
    mixed = wide * images + (1 - wide) * others
    return mixed, share[:, None] * targets + (1 - share[:, None]) * their


def cutmix(
    key: RandomKey, images: Images, targets: Targets, alpha: float
) -> tuple[Images, Targets]:
    """Put a box of another image into each (Yun et al. 2019).

    The box has the image's shape, its area before it is cut at the border is
    1 - Beta(alpha, alpha), its centre is uniform; targets are mixed by the area that is
    really covered.
    """
    share_key, place_key = jax.random.split(key)
    count, height, width, _ = images.shape
    side = jnp.sqrt(1 - symmetric_beta(share_key, alpha, count))
    centre = jax.random.uniform(place_key, (2, count))

    def span(centre: Array, length: int) -> tuple[Array, Array]:
        half = jnp.floor(side * length) // 2
        middle = jnp.floor(centre * length)
        low = jnp.clip(middle - half, 0, length)
        return low, jnp.clip(middle + half, 0, length) - low

    (top, high), (left, wide) = span(centre[0], height), span(centre[1], width)
    mask = inside(Boxes(top, left, high, wide), height, width)
    covered = (high * wide / (height * width))[:, None]
    others, their = _opposite(images, targets)
    mixed = jnp.where(mask[..., None], others, images)
    return mixed, (1 - covered) * targets + covered * their
