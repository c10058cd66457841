"""Three sources of images that are drawn here: sets to tell apart where there are no files.

"leaves" are dead leaves (Lee, Mumford & Huang, IJCV 2001): ellipses thrown on one another
until they cover the image, with radii that follow a power law as sizes do in photographs.
"leaves-fine" are the same with somewhat more of the small ones and a little less contrast:
what differs is the law of the images, and no single image shows it. A small network that
has seen 4,000 of each tells three of four of them apart. "clouds" are random
surfaces with a power spectrum of 1 / frequency^exponent, seen in colour.

An image depends on its kind, size, seed and number alone (on another kind of device, up to
rounding: a level of 255 in a few pixels). What is random comes from NumPy, as in `shapes`;
only leaves are laid by JAX, which keeps a few thousand of them to a second.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, UInt8
from scipy import fft

from jaxbias.data.archives import ImageSet, SourceError

COUNTS = {"train": 5_000, "test": 1_000}
"""Images of each split."""

LEAVES = 400
"""Leaves that are thrown at an image. They leave open less than a twentieth of it, which
is as a leaf behind all others."""

PIECE, PIECE_PIXELS = 256, 2**18
"""Images that are drawn at once, and what pixels they may have: fewer if they are large."""


class Leaves(NamedTuple):
    """A law of dead leaves.

    Lengths are shares of the image's side, colours are levels of 255.

    Attributes:
        exponent: e of the density of radii, proportional to radius^-e. Above 1; photographs
            are near 3.
        smallest: Least radius.
        largest: Greatest radius.
        roundness: Least ratio of an ellipse's short to its long radius; the ratio is
            uniform between this and 1.
        contrast: Range of the standard deviation of brightness from leaf to leaf; uniform
            from image to image, as light is.
        tint: Standard deviation of the balances of red against green, and of both against
            blue, from leaf to leaf.
        mean: Mean colour of all images.
        spread: Standard deviations, from image to image, of brightness and of balances.
    """

    exponent: float
    smallest: float = 0.04
    largest: float = 0.5
    roundness: float = 0.45
    contrast: tuple[float, float] = (22.0, 50.0)
    tint: float = 14.0
    mean: tuple[float, float, float] = (112.0, 116.0, 62.0)
    spread: tuple[float, float] = (24.0, 12.0)


class Clouds(NamedTuple):
    """A law of clouds.

    Attributes:
        exponents: Range of a, uniform from image to image, of the power spectrum
            1 / frequency^a. Photographs are near 2; more is smoother.
        correlation: Of any two colour channels, about their means, in [0, 1].
        contrast: Standard deviation of each channel, levels of 255, in the larger surface
            that an image is cut from. Most in red: what is bright is white, what is
            dark is blue.
        mean: Mean colour of all images, levels of 255.
        spread: Standard deviations, from image to image, of brightness and of balances.
    """

    exponents: tuple[float, float] = (2.7, 3.7)
    correlation: float = 0.96
    contrast: tuple[float, float, float] = (50.0, 38.0, 24.0)
    mean: tuple[float, float, float] = (142.0, 166.0, 196.0)
    spread: tuple[float, float] = (20.0, 6.0)


KINDS: dict[str, Leaves | Clouds] = {
    "leaves": Leaves(exponent=3.0),
    "leaves-fine": Leaves(exponent=3.6, contrast=(21.0, 49.0)),
    "clouds": Clouds(),
}
"""The law of each kind of image."""


def images(
    kind: str, count: int, size: int, seed: int
) -> UInt8[np.ndarray, "image size size 3"]:
    """Draw images of one kind.

    Args:
        kind: One of `KINDS`.
        count: How many; the first ones are the same whatever the count.
        size: Side, in pixels. Another size is another set of images.
        seed: 0 or more; another seed is another set of images.

    Raises:
        SourceError: If there is no such kind, or nothing is asked for.
    """
    if kind not in KINDS:
        raise SourceError(
            f"no kind of generated images {kind!r}: one of {', '.join(KINDS)}"
        )
    if count < 1 or size < 1:
        raise SourceError(f"{count} images of {size} pixels: at least 1 of each")
    law = KINDS[kind]
    stream = seed, list(KINDS).index(kind), size
    # Every piece is of the same size: one compiled program, and the same numbers.
    piece = max(1, min(PIECE, PIECE_PIXELS // size**2))
    pieces = []
    for start in range(0, count, piece):
        rng = np.random.default_rng([*stream, start])
        draw = _leaves if isinstance(law, Leaves) else _clouds
        pixels = draw(rng, law, piece, size)[: count - start]  # type: ignore[arg-type]
        pieces.append(np.clip(np.round(pixels), 0, 255).astype(np.uint8))
    return np.concatenate(pieces)


def procedural(
    kind: str, split: str, *, size: int = 32, count: int | None = None, seed: int = 0
) -> ImageSet:
    """Draw a split of a set with one class, named as the kind.

    Args:
        kind: One of `KINDS`.
        split: "train" or "test"; no image is in both.
        size: Side, in pixels.
        count: How many images; None takes `COUNTS`. The first ones are the same whatever
            the count.
        seed: 0 or more; another seed is another set.

    Raises:
        SourceError: If there is no such kind or split, or nothing is asked for.
    """
    if split not in COUNTS:
        raise SourceError(f"split {split!r}: one of {', '.join(COUNTS)}")
    count = COUNTS[split] if count is None else count
    drawn = images(kind, count, size, 2 * seed + (split == "test"))
    labels = np.zeros(count, np.int64)
    return ImageSet(drawn, labels, (kind,), f"generated:{kind} {split}")


Pixels = Float[np.ndarray, "image size size 3"]


def _colour(
    rng: np.random.Generator, shape: tuple[int, ...], brightness, balance
) -> Float[np.ndarray, "*shape 3"]:
    """Deviations of red, green and blue, from those of brightness and of the balances."""
    light, warm, blue = rng.standard_normal((3, *shape), np.float32)
    light, warm, blue = brightness * light, balance * warm, balance * blue
    return np.stack(
        [light + warm - blue / 2, light - warm - blue / 2, light + blue], -1
    )


def radii(
    uniform: Float[np.ndarray, "*many"], law: Leaves
) -> Float[np.ndarray, "*many"]:
    """Radii with density proportional to radius^-exponent, from uniform numbers."""
    power = 1 - law.exponent
    low, high = law.smallest**power, law.largest**power
    return (low + uniform * (high - low)) ** (1 / power)


def _leaves(rng: np.random.Generator, law: Leaves, count: int, size: int) -> Pixels:
    """Images of dead leaves."""
    uniform = rng.random((5, count, LEAVES), np.float32)
    long = radii(uniform[0], law)
    short = long * (law.roundness + (1 - law.roundness) * uniform[1])
    # A leaf may lie outside by as much as its radius: small ones are not wasted there.
    centre = uniform[3:] * (1 + 2 * long) - long
    contrast = rng.uniform(*law.contrast, (count, 1))
    colours = _colour(rng, (count, LEAVES), contrast, law.tint)
    colours = law.mean + _colour(rng, (count, 1), *law.spread) + colours
    turn = np.pi * uniform[2]
    axes = np.cos(turn) / long, np.sin(turn) / long, short / long, short
    leaves = [*axes, *centre, *np.moveaxis(colours, -1, 0)]
    # One array of numbers, (leaf, image, number): a leaf of all images at a time.
    return np.asarray(
        _laid(np.stack(leaves, -1, dtype=np.float32).swapaxes(0, 1), size)
    )


@partial(jax.jit, static_argnames="size")
def _laid(
    leaves: Float[Array | np.ndarray, "leaf image 9"], size: int
) -> Float[Array, "image {size} {size} 3"]:
    """Lay leaves on one another; the first one is the ground, whatever its shape.

    Args:
        leaves: Cosine and sine of the turn over the long radius, short radius over long
            radius, short radius, place to the right and down, red, green, blue.
        size: Side of the images in pixels.
    """
    place = (jnp.arange(size) + 0.5) / size

    def lay(image, leaf):
        cosine, sine, flatness, short, right, down = leaf[:, :6].T[..., None, None]
        x, y = place[None, None, :] - right, place[None, :, None] - down
        along, across = x * cosine + y * sine, (y * cosine - x * sine) / flatness
        outside = (jnp.sqrt(along**2 + across**2) - 1) * short
        # A pixel's share of the leaf, from its centre's distance to the edge in pixels.
        share = jnp.clip(0.5 - outside * size, 0.0, 1.0)[:, None]
        return image + share * (leaf[:, 6:, None, None] - image), None

    # Colours before pixels: several times faster on a CPU.
    ground = leaves[0, :, 6:, None, None]
    start = jnp.broadcast_to(ground, (leaves.shape[1], 3, size, size))
    return jnp.moveaxis(lax.scan(lay, start, leaves[1:])[0], 1, -1)


def _clouds(rng: np.random.Generator, law: Clouds, count: int, size: int) -> Pixels:
    """Images of clouds, cut from larger surfaces whose opposite sides meet."""
    exponents = rng.uniform(*law.exponents, (count,))
    fields = spectral_noise(rng, exponents, size + (size + 1) // 2)[..., :size, :size]
    shared, own = law.correlation**0.5, (1 - law.correlation) ** 0.5
    mixed = shared * fields[:, :1] + own * fields[:, 1:]
    base = law.mean + _colour(rng, (count, 1, 1), *law.spread)
    return base + np.asarray(law.contrast) * np.moveaxis(mixed, 1, -1)


def spectral_noise(
    rng: np.random.Generator, exponents: Float[np.ndarray, " image"], size: int
) -> Float[np.ndarray, "image 4 {size} {size}"]:
    """Four independent periodic surfaces with a power spectrum of 1 / frequency^exponent.

    Normal values, of mean 0 over each surface and of expected variance 1.
    """
    steps = fft.fftfreq(size)
    frequency = np.hypot(steps[:, None], steps)
    # The mean has no power; its frequency is any but zero.
    frequency[0, 0] = 1.0
    amplitude = frequency ** (-exponents[:, None, None] / 2)
    amplitude[:, 0, 0] = 0.0
    amplitude *= size**2 / np.sqrt((amplitude**2).sum((1, 2), keepdims=True))
    # Complex white noise has no symmetry: its parts become two independent surfaces.
    noise = rng.standard_normal((len(exponents), 2, size, size, 2), np.float32)
    noise = noise.view(np.complex64)[..., 0] * amplitude[:, None].astype(np.float32)
    drawn = np.asarray(fft.ifft2(noise))
    return np.concatenate([np.real(drawn), np.imag(drawn)], axis=1)
