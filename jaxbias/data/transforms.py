"""What is left of images when all but one thing is taken away, on the device.

Transforms of "Understanding Bias in Large-Scale Visual Datasets" (Zeng et al. 2024). Images
are float, NHWC, with 3 channels, on the scale 0 to 1; so are results. `transform` finds
these and the `corruptions` by the names that studies use.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxbias.arrays import RandomKey
from jaxbias.data import augmentation, corruptions
from jaxbias.data.augmentation import Images
from jaxbias.numerics import edges, hog

Orders = Int[Array, "order place"] | Int[np.ndarray, "order place"]
Spectrum = Float[np.ndarray, "row frequency"]

FLAT = 1e-5
"""Where the brightest and the darkest pixel differ by less, there is no picture."""


def grey(images: Images) -> Images:
    """Luminance in three equal channels."""
    # Paper: weights are not said; these are Pillow's, OpenCV's and torchvision's.
    return _three(augmentation.grey(images))


def _three(plane: Float[Array, "image height width 1"]) -> Images:
    return jnp.broadcast_to(plane, (*plane.shape[:3], 3))


def stretched(images: Images) -> Images:
    """Bring each image to the range 0 to 1; constant ones become 0."""
    # Paper: the authors' code guards constant images with 1e-5. Here those that vary by
    # less are constant, so that rounding is not stretched into a picture.
    low = jnp.min(images, axis=(1, 2, 3), keepdims=True)
    span = jnp.max(images, axis=(1, 2, 3), keepdims=True) - low
    return jnp.where(span > FLAT, (images - low) / jnp.maximum(span, FLAT), 0.0)


@jax.jit
def mean_colour(images: Images) -> Images:
    """The mean of each channel everywhere, cut off to whole levels of 256."""
    _, height, width, _ = images.shape
    levels = jnp.round(jnp.clip(images, 0.0, 1.0) * 255).astype(jnp.int32)
    mean = jnp.sum(levels, axis=(1, 2), keepdims=True) // (height * width)
    return jnp.broadcast_to(mean / 255, images.shape).astype(images.dtype)


@jax.jit
def canny(images: Images) -> Images:
    """Edges in white on black; see `numerics.edges.canny`."""
    # Paper: images have shorter sides of up to 500 pixels. Thresholds are the same here
    # for images of any side.
    return _three(edges.canny(images))


@jax.jit
def oriented_gradients(images: Images) -> Images:
    """Each cell's gradients as lines, stretched to 0 to 1; see `numerics.hog.picture`."""
    # Paper: the picture is rounded to 256 levels when it is stored; here it is not. Cells
    # are of 8 x 8 pixels at any side, as there.
    return _three(stretched(hog.picture(images)[..., None]))


# Places


@partial(jax.jit, static_argnames=("count", "length"))
def orders(key: RandomKey, count: int, length: int) -> Int[Array, "order place"]:
    """Draw permutations of 0 to `length` - 1.

    Up to 2^16 places each gets as many random bits as a word of 32 has room for, and ties
    (a pair in 65,536 at worst) are broken by the place, some of whose bits are flipped at
    random. On a CPU that is five to ten times as fast as `jax.random.permutation`.
    """
    bits = max(1, (length - 1).bit_length())
    if bits > 16:
        keys = jax.random.split(key, count)
        return jax.vmap(lambda key: jax.random.permutation(key, length))(keys)
    draws = jax.random.bits(key, (count, length + 1))
    place = jnp.uint32(2**bits - 1)
    turned = draws[:, :1] & place
    named = (draws[:, 1:] & ~place) | (
        jnp.arange(length, dtype=jnp.uint32)[None] ^ turned
    )
    return ((jnp.sort(named, axis=1) & place) ^ turned).astype(jnp.int32)


@partial(jax.jit, static_argnames="side")
def rearranged(images: Images, order: Orders, *, side: int = 1) -> Images:
    """Put patches into another order.

    Args:
        images: A batch.
        order: For each place, row by row, the number of the patch that comes there; a
            single row of it serves all images.
        side: Of a patch, in pixels.

    Raises:
        ValueError: If `side` does not divide the images, or `order` is of another length.
    """
    count, height, width, channels = images.shape
    check_patches(height, width, side)
    across = width // side
    if order.shape != (len(order), height // side * across):
        raise ValueError(
            f"an order of {order.shape[1]} places for {height // side} x {across} patches"
        )
    # A row of a patch lies together: one look-up of these moves everything.
    strips = images.reshape(count, height * across, side * channels)
    top, left = jnp.divmod(jnp.asarray(order), across)
    top, left = (x.reshape(-1, height // side, 1, across) for x in (top, left))
    line = jnp.arange(side)[None, None, :, None]
    place = ((top * side + line) * across + left).reshape(len(order), -1)
    place = jnp.broadcast_to(place, (count, place.shape[1]))
    moved = jax.vmap(lambda strips, i: strips.at[i].get(mode="promise_in_bounds"))
    return moved(strips, place).reshape(images.shape)


def check_patches(height: int, width: int, side: int) -> None:
    """Raise `ValueError` if patches do not fill an image."""
    if side < 1 or height % side or width % side:
        raise ValueError(
            f"patches of {side} x {side} pixels do not fill {height} x {width}"
        )


def patch_shuffle(
    key: RandomKey, images: Images, side: int, *, fixed: bool = False
) -> Images:
    """Shuffle patches, in each image anew or with one permutation of the key for all.

    Raises:
        ValueError: If `side` does not divide the images.
    """
    count, height, width, _ = images.shape
    check_patches(height, width, side)
    order = orders(key, 1 if fixed else count, (height // side) * (width // side))
    return rearranged(images, order, side=side)


def pixel_shuffle(key: RandomKey, images: Images, *, fixed: bool = False) -> Images:
    """Shuffle pixels, in each image anew or with one permutation of the key for all."""
    return patch_shuffle(key, images, 1, fixed=fixed)


# Frequencies


def paper_radius(side: int, *, radius: float = 40.0) -> float:
    """The papers' radius in a spectrum of 224 pixels, for images of another side."""
    return radius * side / 224


def kept(
    height: int, width: int, radius: float, order: int | None, *, high: bool
) -> Spectrum:
    """Share that a filter keeps of each coefficient of `rfft2`; see `low_pass`."""
    rows, columns = (
        np.fft.fftfreq(height, 1 / height),
        np.fft.rfftfreq(width, 1 / width),
    )
    square = rows[:, None] ** 2 + columns[None] ** 2
    if order is None:
        low = (square <= radius**2).astype(np.float64)
    else:
        low = 1 / (1 + (square / radius**2) ** order)
    return (1 - low if high else low).astype(np.float32)


@partial(jax.jit, static_argnames=("radius", "order", "high"))
def _filtered(images: Images, radius: float, order: int | None, high: bool) -> Images:
    if radius <= 0 or (order is not None and order < 1):
        raise ValueError(f"radius {radius} and order {order} must be positive")
    _, height, width, _ = images.shape
    keep = jnp.asarray(kept(height, width, radius, order, high=high))
    # The filter is even, so the inverse is real and half of the spectrum will do.
    spectrum = jnp.fft.rfft2(augmentation.grey(images)[..., 0]) * keep[None]
    return _three(stretched(jnp.fft.irfft2(spectrum, (height, width))[..., None]))


def low_pass(images: Images, radius: float, *, order: int | None = None) -> Images:
    """Keep low frequencies of the grey image, and stretch them to 0 to 1.

    Args:
        images: A batch.
        radius: In pixels of the centred spectrum, which are cycles of the image; see
            `paper_radius`. Coefficients on the circle are low.
        order: Of a Butterworth filter, 1 / (1 + (d / radius)^(2 order)); None cuts off
            sharply.

    Raises:
        ValueError: If radius or order is not positive.
    """
    return _filtered(images, radius, order, high=False)


def high_pass(images: Images, radius: float, *, order: int | None = None) -> Images:
    """Keep what `low_pass` takes away, stretched to 0 to 1."""
    return _filtered(images, radius, order, high=True)


# By name


@dataclass(frozen=True)
class Transform:
    """Something that is done to every image, in training and validation alike.

    Attributes:
        name: Of `transform`.
        apply: From a key and a batch to the transformed batch. Images that are not
            transformed at random do not depend on the key.
        before: The paper transforms stored images, and augments the results; otherwise
            the crops that augmentation has made.
        normalise: The paper normalises colours after it.
        random: Whether it draws anything.
    """

    name: str
    apply: Callable[[RandomKey, Images], Images]
    before: bool = False
    normalise: bool = True
    random: bool = False


NAMES = (
    *("none", "grey", "mean-rgb", "canny", "hog", "low-pass", "high-pass"),
    *("butterworth-low-pass", "butterworth-high-pass", "low-pass-R", "high-pass-R"),
    *("pixel-shuffle-random", "pixel-shuffle-fixed"),
    *("patch-shuffle-random-K", "patch-shuffle-fixed-K"),
    *("jitter-S", "noise-S", "blur-R", "low-resolution-K"),
)
"""What `transform` knows. K is a side and R a radius in pixels, S a strength."""

FIXED = 0
"""Seed of the permutations that all images share."""


@lru_cache(maxsize=64)
def transform(name: str, size: int) -> Transform:
    """Find a transform by its name.

    Args:
        name: One of `NAMES`, with a number in place of the last letter. Several, joined by
            "+", are stacked on channels. The papers' radii of 40 (or 30, order 2, for
            Butterworth) in 224 are scaled to `size`.
        size: Side of the images, in pixels. Transforms that come `before` take others too.

    Raises:
        ValueError: If there is no such transform, or it does not suit the size.
    """
    if "+" in name:
        return stacked(*(transform(part, size) for part in name.split("+")))
    parts = re.fullmatch(r"([a-z-]*[a-z])(?:-(\d{1,9}(?:\.\d{1,9})?))?", name)
    kind, number = parts.groups() if parts else (name, None)
    found = _single(kind, size) if number is None else _numbered(kind, number, size)
    if found is None:
        raise ValueError(
            f"no transform {name!r}; there are {', '.join(NAMES)}, and A+B"
        )
    apply, options = found
    return Transform(name, apply, **options)


Found = tuple[Callable[[RandomKey, Images], Images], dict[str, bool]] | None
BARE = {"normalise": False}
DRAWN = {"random": True}


def _single(kind: str, size: int) -> Found:
    """The transform of a name without a number."""
    radius, soft = paper_radius(size), paper_radius(size, radius=30.0)
    match kind:
        case "none":
            return _plain(lambda images: images), {}
        case "grey":
            return _plain(grey), {}
        case "mean-rgb":
            return _plain(mean_colour), {"before": True}
        case "canny":
            return _plain(canny), {"before": True} | BARE
        case "hog":
            return _plain(oriented_gradients), {"before": True} | BARE
        case "low-pass":
            return _plain(partial(low_pass, radius=radius)), BARE
        case "high-pass":
            return _plain(partial(high_pass, radius=radius)), BARE
        case "butterworth-low-pass":
            return _plain(partial(low_pass, radius=soft, order=2)), BARE
        case "butterworth-high-pass":
            return _plain(partial(high_pass, radius=soft, order=2)), BARE
        case "pixel-shuffle-random":
            return pixel_shuffle, DRAWN
        case "pixel-shuffle-fixed":
            return _fixed(size, 1), {}
    return None


def _numbered(kind: str, digits: str, size: int) -> Found:
    """The transform of a name that ends in a number."""
    number = float(digits)
    match kind:
        case "low-pass" if number > 0:
            return _plain(partial(low_pass, radius=number)), BARE
        case "high-pass" if number > 0:
            return _plain(partial(high_pass, radius=number)), BARE
        case "jitter":
            return partial(corruptions.jitter, strength=number), DRAWN
        case "noise":
            return partial(corruptions.gaussian_noise, sd=number), DRAWN
        case "blur":
            return _plain(partial(corruptions.gaussian_blur, radius=number)), {}
    if not digits.isdigit():
        return None
    side = int(digits)
    match kind:
        case "patch-shuffle-random":
            check_patches(size, size, side)
            return partial(patch_shuffle, side=side), DRAWN
        case "patch-shuffle-fixed":
            return _fixed(size, side), {}
        case "low-resolution":
            corruptions.check_resolution(size, side)
            return _plain(partial(corruptions.low_resolution, side=side)), {}
    return None


def _plain(change: Callable[[Images], Images]) -> Callable[[RandomKey, Images], Images]:
    return lambda key, images: change(images)


def _fixed(size: int, side: int) -> Callable[[RandomKey, Images], Images]:
    """One permutation for every image, whatever the key."""
    check_patches(size, size, side)
    # Once and for all: the sort would be repeated for each batch.
    with jax.ensure_compile_time_eval():
        key = jax.random.key(FIXED, impl="threefry2x32")
        order = np.asarray(orders(key, 1, (size // side) ** 2))
    return _plain(lambda images: rearranged(images, order, side=side))


def stacked(*parts: Transform) -> Transform:
    """Several transforms of the same image, on top of one another's channels."""
    # Paper: whether a part that comes before augmentation stays there is not said. Here
    # all do if each of them does; colours are normalised if that is so for each.

    def apply(
        key: RandomKey, images: Images
    ) -> Float[Array, "image height width stacked"]:
        keys = jax.random.split(key, len(parts))
        each = [part.apply(k, images) for part, k in zip(parts, keys, strict=True)]
        return jnp.concatenate(each, axis=-1)

    return Transform(
        "+".join(part.name for part in parts),
        apply,
        before=all(part.before for part in parts),
        normalise=all(part.normalise for part in parts),
        random=any(part.random for part in parts),
    )
