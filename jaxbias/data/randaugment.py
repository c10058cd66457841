"""RandAugment (Cubuk et al. 2020) on the device, as a pure function of a key.

Images are float, NHWC, on the scale 0 to 1. Every operation takes a batch and one number
for each image. The operations are Pillow's, on which torchvision and timm build; between
them values are not rounded to 8 bits, so results are within about a level of theirs.
Operations that are tables over the 256 levels in Pillow round to levels first.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxbias.arrays import RandomKey
from jaxbias.data.augmentation import Images, brightness, contrast, saturation

Amount = Float[Array, " image"]
Which = Int[Array, " image"]
Matrices = Float[Array, "image 2 3"]
Levels = Int[Array, "image height width channel"]
Interpolation = Literal["bilinear", "nearest"]
Space = Literal["torchvision", "timm"]

BINS = 31
"""Magnitudes of torchvision: 0 to 30."""

TOP = 10.0
"""Largest magnitude of timm."""

GREY = 128 / 255
"""What timm fills with."""

TINY = 1e-4
"""Added before truncation: 99 must not become 98 because float32 says 98.99999."""


# Where things are


def affine(
    images: Images,
    matrices: Matrices,
    *,
    interpolation: Interpolation = "bilinear",
    fill: float = 0.0,
) -> Images:
    """Look up each pixel at an affine function of its place, as Pillow's `transform`.

    Args:
        images: A batch.
        matrices: From (x, y, 1) in the result to (x, y) in the image, in pixels; the
            middle of the first pixel is (1/2, 1/2).
        interpolation: Bilinear repeats the outermost pixels by half a pixel.
        fill: Value of pixels that come from outside.
    """
    _, height, width, _ = images.shape
    column = (jnp.arange(width) + 0.5)[None, None]
    row = (jnp.arange(height) + 0.5)[None, :, None]
    m = matrices[:, :, :, None, None]
    x = m[:, 0, 0] * column + m[:, 0, 1] * row + m[:, 0, 2]
    y = m[:, 1, 0] * column + m[:, 1, 1] * row + m[:, 1, 2]
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)

    def at(row: Array, column: Array) -> Array:
        i = jnp.clip(row, 0, height - 1).astype(jnp.int32)
        j = jnp.clip(column, 0, width - 1).astype(jnp.int32)
        one = lambda image, i, j: image.at[i, j].get(mode="promise_in_bounds")  # noqa: E731
        return jax.vmap(one)(images, i, j)

    if interpolation == "nearest":
        found = at(jnp.floor(y), jnp.floor(x))
    else:
        left, top = jnp.floor(x - 0.5), jnp.floor(y - 0.5)
        dx, dy = (x - 0.5 - left)[..., None], (y - 0.5 - top)[..., None]
        above = (1 - dx) * at(top, left) + dx * at(top, left + 1)
        below = (1 - dx) * at(top + 1, left) + dx * at(top + 1, left + 1)
        found = (1 - dy) * above + dy * below
    return jnp.where(inside[..., None], found, fill)


def _still_but(amount: Amount, row: int, column: int) -> Matrices:
    """The matrix that leaves all in place, with one number of it set."""
    still = jnp.tile(jnp.eye(2, 3)[None], (len(amount), 1, 1))
    return still.at[:, row, column].set(amount)


def shear_x(amount: Amount, height: int, width: int) -> Matrices:
    """Each row lies `amount` pixels further left than the one above."""
    return _still_but(amount, 0, 1)


def shear_y(amount: Amount, height: int, width: int) -> Matrices:
    """Each column lies `amount` pixels further up than the one before."""
    return _still_but(amount, 1, 0)


def translate_x(amount: Amount, height: int, width: int) -> Matrices:
    """To the left, in pixels."""
    return _still_but(amount, 0, 2)


def translate_y(amount: Amount, height: int, width: int) -> Matrices:
    """Upwards, in pixels."""
    return _still_but(amount, 1, 2)


def rotate(amount: Amount, height: int, width: int) -> Matrices:
    """About the centre, against the clock, in degrees."""
    cos, sin = jnp.cos(jnp.deg2rad(amount)), jnp.sin(jnp.deg2rad(amount))
    x, y = width / 2, height / 2
    to_x = jnp.stack([cos, -sin, x - cos * x + sin * y], -1)
    to_y = jnp.stack([sin, cos, y - sin * x - cos * y], -1)
    return jnp.stack([to_x, to_y], -2)


# Colours


def sharpness(images: Images, factor: Amount) -> Images:
    """Move away from (or towards) a blurred image; 1 changes nothing.

    The blur is Pillow's SMOOTH: 5 in the middle of 3 by 3, else 1; the border stays.
    """
    _, height, width, _ = images.shape
    pad = jnp.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
    rows = pad[:, :-2] + pad[:, 1:-1] + pad[:, 2:]
    around = rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:]
    row, column = jnp.arange(height)[:, None], jnp.arange(width)[None]
    inner = (row > 0) & (row < height - 1) & (column > 0) & (column < width - 1)
    blurred = jnp.where(inner[None, :, :, None], (around + 4 * images) / 13, images)
    f = _wide(factor)
    return jnp.clip(f * images + (1 - f) * blurred, 0.0, 1.0)


def _wide(amount: Array) -> Array:
    return amount[:, None, None, None]


def levels(images: Images) -> Levels:
    """The nearest of 256 levels."""
    return jnp.round(jnp.clip(images, 0.0, 1.0) * 255).astype(jnp.int32)


def invert(images: Images) -> Images:
    """The negative."""
    return 1 - images


def posterize(images: Images, bits: Amount) -> Images:
    """Keep the highest `bits` (0 to 8) of the 8 bits of each value."""
    drop = _wide(8 - jnp.round(bits).astype(jnp.int32))
    return ((levels(images) >> drop) << drop) / 255


def solarize(images: Images, threshold: Amount) -> Images:
    """Invert the levels (0 to 255) from `threshold` up."""
    level = levels(images)
    return jnp.where(level >= _wide(threshold), 255 - level, level) / 255


def solarize_add(images: Images, amount: Amount) -> Images:
    """Add `amount` levels to those below 128."""
    level = levels(images)
    more = jnp.minimum(level + _wide(jnp.round(amount).astype(jnp.int32)), 255)
    return jnp.where(level < 128, more, level) / 255


def auto_contrast(images: Images) -> Images:
    """Stretch each channel until it reaches from 0 to 255; cut to whole levels."""
    level = levels(images)
    low = level.min((1, 2), keepdims=True)
    room = level.max((1, 2), keepdims=True) - low
    stretched = (level - low) * 255 // jnp.maximum(room, 1)
    return jnp.where(room > 0, stretched, level) / 255


def equalize(images: Images) -> Images:
    """Make the 256 levels of each channel about equally frequent, as Pillow does."""
    level = levels(images)
    count, height, width, channels = level.shape

    def one(level: Array) -> Array:
        frequency = jnp.zeros(256, jnp.int32).at[level].add(1, mode="promise_in_bounds")
        step = (level.size - frequency[level.max()]) // 255
        below = jnp.cumsum(frequency) - frequency
        table = jnp.minimum((below + step // 2) // jnp.maximum(step, 1), 255)
        new = table.at[level].get(mode="promise_in_bounds")
        # So few pixels that a level is worth less than one: Pillow leaves them.
        return jnp.where(step > 0, new, level)

    flat = level.reshape(count, height * width, channels)
    new = jax.vmap(jax.vmap(one, 1, 1))(flat)
    return new.reshape(images.shape) / 255


# Which, and how strong

MOVES: dict[str, Callable[[Amount, int, int], Matrices]] = {
    "shear_x": shear_x,
    "shear_y": shear_y,
    "translate_x": translate_x,
    "translate_y": translate_y,
    "rotate": rotate,
}
"""Operations that move pixels, by name: the matrix for each amount."""

CHANGES: dict[str, Callable[[Images, Amount], Images]] = {
    "identity": lambda images, _: images,
    "brightness": brightness,
    "colour": saturation,
    "contrast": contrast,
    "sharpness": sharpness,
    "posterize": posterize,
    "solarize": solarize,
    "solarize_add": solarize_add,
    "auto_contrast": lambda images, _: auto_contrast(images),
    "equalize": lambda images, _: equalize(images),
    "invert": lambda images, _: invert(images),
}
"""Operations that change values, by name."""


def torchvision_amounts(
    magnitude: Amount, sign: Amount, height: int, width: int
) -> dict[str, Amount]:
    """The amount of each operation of torchvision's `RandAugment`, in its order.

    Args:
        magnitude: 0 to 30; torchvision takes whole numbers only.
        sign: -1 or 1.
        height: Of the images.
        width: Of the images.
    """
    share = magnitude / (BINS - 1)
    factor = 1 + sign * 0.9 * share
    # The largest shift is that of AutoAugment: 150 pixels of 331, in whole pixels.
    across = sign * jnp.floor(150 / 331 * width * share + TINY)
    down = sign * jnp.floor(150 / 331 * height * share + TINY)
    return {
        "identity": share,
        "shear_x": sign * 0.3 * share,
        "shear_y": sign * 0.3 * share,
        "translate_x": across,
        "translate_y": down,
        "rotate": sign * 30 * share,
        "brightness": factor,
        "colour": factor,
        "contrast": factor,
        "sharpness": factor,
        "posterize": 8 - jnp.round(4 * share),
        "solarize": 255 - 255 / (BINS - 1) * magnitude,
        "auto_contrast": share,
        "equalize": share,
    }


def timm_amounts(
    magnitude: Amount, sign: Amount, height: int, width: int, *, increasing: bool
) -> dict[str, Amount]:
    """The amount of each operation of timm's `rand`, in its order.

    Args:
        magnitude: 0 to 10.
        sign: -1 or 1.
        height: Of the images.
        width: Of the images.
        increasing: Whether posterize, solarize and the four blends grow stronger with the
            magnitude (timm's `inc1`). Without, posterize and solarize grow weaker, and the
            blends go from 0.1 over no change to 1.9.
    """
    share = magnitude / TOP
    bits, threshold = jnp.floor(4 * share + TINY), jnp.floor(256 * share + TINY)
    if increasing:
        bits, threshold = 4 - bits, 256 - threshold
        factor = jnp.maximum(0.1, 1 + sign * 0.9 * share)
    else:
        factor = 0.1 + 1.8 * share
    return {
        "auto_contrast": share,
        "equalize": share,
        "invert": share,
        "rotate": sign * 30 * share,
        "posterize": bits,
        "solarize": threshold,
        "solarize_add": jnp.floor(110 * share + TINY),
        "colour": factor,
        "contrast": factor,
        "brightness": factor,
        "sharpness": factor,
        "shear_x": sign * 0.3 * share,
        "shear_y": sign * 0.3 * share,
        "translate_x": sign * 0.45 * width * share,
        "translate_y": sign * 0.45 * height * share,
    }


def operate(
    name: str, images: Images, amount: Amount, look_up: Callable = affine
) -> Images:
    """Apply one operation of `MOVES` or `CHANGES` to a batch."""
    if name in CHANGES:
        changed = CHANGES[name](images, amount)
    else:
        changed = look_up(images, MOVES[name](amount, *images.shape[1:3]))
    return changed.astype(images.dtype)


def one_by_one(
    images: Images,
    which: Which,
    amount: Amount,
    *,
    names: tuple[str, ...],
    look_up: Callable = affine,
) -> Images:
    """Apply to each image operation number `which` of `names`, image after image.

    Only what was drawn is computed. For processors: an accelerator would start its kernels
    for every image anew.
    """

    def branch(name: str) -> Callable[[Array, Array], Array]:
        def alone(image: Array, amount: Array) -> Array:
            return operate(name, image[None], amount[None], look_up)[0]

        return alone

    branches = [branch(name) for name in names]
    one = lambda drawn: jax.lax.switch(drawn[0], branches, *drawn[1:])  # noqa: E731
    return jax.lax.map(one, (which, images, amount))


def all_at_once(
    images: Images,
    which: Which,
    amount: Amount,
    *,
    names: tuple[str, ...],
    look_up: Callable = affine,
) -> Images:
    """Do the same as `one_by_one` for the whole batch together.

    Every change is computed for every image, and one is kept; the moves share one look-up.
    """
    size = images.shape[1:3]
    matrices, moves = translate_x(jnp.zeros_like(amount), *size), which < 0
    result = images
    for number, name in enumerate(names):
        chosen = which == number
        if name in CHANGES:
            new = operate(name, images, amount)
            result = jnp.where(_wide(chosen), new, result)
        else:
            new = MOVES[name](amount, *size)
            matrices = jnp.where(chosen[:, None, None], new, matrices)
            moves |= chosen
    moved = look_up(images, matrices).astype(images.dtype)
    return jnp.where(_wide(moves), moved, result)


def drawn(
    key: RandomKey,
    count: int,
    height: int,
    width: int,
    *,
    magnitude: float = 9.0,
    magnitude_std: float = 0.0,
    increasing: bool = False,
    space: Space = "torchvision",
) -> tuple[tuple[str, ...], Which, Amount]:
    """Draw one operation and its amount for each of `count` images; see `randaugment`.

    Returns:
        Names; the number of each image's in them; amounts.
    """
    draws, noise, signs, skips = jax.random.split(key, 4)
    sign = jax.random.rademacher(signs, (count,), float)
    level = magnitude + magnitude_std * jax.random.normal(noise, (count,))
    if space == "timm":
        level = jnp.clip(level, 0.0, TOP)
        amounts = timm_amounts(level, sign, height, width, increasing=increasing)
        skip = jax.random.bernoulli(skips, 0.5, (count,))
    else:
        level = jnp.clip(level, 0.0, BINS - 1.0)
        amounts = torchvision_amounts(level, sign, height, width)
        skip = jnp.zeros(count, bool)
    which = jax.random.randint(draws, (count,), 0, len(amounts))
    amount = jnp.stack(list(amounts.values()))[which, jnp.arange(count)]
    return (*amounts, "identity"), jnp.where(skip, len(amounts), which), amount


OPTIONS = ("num_ops", "magnitude", "magnitude_std", "increasing")


@partial(jax.jit, static_argnames=(*OPTIONS, "space", "interpolation", "fill"))
def randaugment(
    key: RandomKey,
    images: Images,
    *,
    num_ops: int = 2,
    magnitude: float = 9.0,
    magnitude_std: float = 0.0,
    increasing: bool = False,
    space: Space = "torchvision",
    interpolation: Interpolation = "bilinear",
    fill: float | None = None,
) -> Images:
    """Change each image by operations drawn for it, one after the other.

    The defaults are torchvision's but for its interpolation, "nearest". timm's
    `rand-m9-mstd0.5-inc1` is `space="timm", magnitude_std=0.5, increasing=True`; where timm
    draws bilinear or bicubic interpolation, here it is always `interpolation`.

    On a processor images go `one_by_one`, elsewhere `all_at_once`. Two cores make 40,000 to
    50,000 images of 32 x 32 a second (batches of 128), 10,000 of 64 x 64 (of 32); there
    `all_at_once` makes 9,000 and 2,000, `vmap` over a switch 900 and 250.

    Args:
        key: Random key.
        images: With 1 or 3 channels.
        num_ops: How many operations, drawn evenly and with replacement.
        magnitude: 0 to 30 (torchvision) or 0 to 10 (timm).
        magnitude_std: Of normal noise on the magnitude, drawn for each operation; what
            falls outside of the range is brought to its ends.
        increasing: timm's `inc1`; see `timm_amounts`. torchvision's always increase.
        space: "torchvision" draws from 14 operations, identity among them; "timm" from 15,
            each of which is left out with probability one half.
        interpolation: For the operations that move pixels.
        fill: What comes in from outside; None is 0 for torchvision, 128/255 for timm.

    Raises:
        ValueError: If `increasing` is asked of torchvision, or a number is out of range.
    """
    top = TOP if space == "timm" else BINS - 1.0
    if not 0 <= magnitude <= top or magnitude_std < 0 or num_ops < 0:
        raise ValueError(
            f"magnitude {magnitude} +- {magnitude_std}, {num_ops} operations; "
            f"magnitudes are 0 to {top}"
        )
    if increasing and space != "timm":
        raise ValueError("only timm's operations have an increasing form")
    if fill is None:
        fill = GREY if space == "timm" else 0.0
    count, height, width, channels = images.shape
    draw = partial(
        drawn, magnitude=magnitude, magnitude_std=magnitude_std, increasing=increasing
    )
    look_up = partial(affine, interpolation=interpolation, fill=fill)

    def step(images: Array, key: Array) -> tuple[Array, None]:
        names, which, amount = draw(key, count, height, width, space=space)
        options: dict[str, Any] = {"names": names, "look_up": look_up}
        changed = jax.lax.platform_dependent(
            *(images, which, amount),
            cpu=partial(one_by_one, **options),
            default=partial(all_at_once, **options),
        )
        return changed, None

    # Grey stays grey in every operation.
    wide = jnp.broadcast_to(images, (count, height, width, max(channels, 3)))
    # A loop: unrolled, XLA computes one operation again for each pixel of the next.
    changed, _ = jax.lax.scan(step, wide, jax.random.split(key, num_ops))
    return changed[..., :channels]
