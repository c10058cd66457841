"""Geometric augmentation that a generator is told of, so that it does not draw it.

Karras et al., "Elucidating the Design Space of Diffusion-Based Generative Models" (NeurIPS
2022), appendix F.2, which takes the geometric part of ADA's pipeline (Karras et al.,
NeurIPS 2020). Images are moved about their centre, what comes in at the borders are
reflections, and nine numbers tell what was done: zeros are nothing.

The published program doubles images by a wavelet filter, moves them bilinearly and halves
them by the filter again. Here values are interpolated by Keys' cubic (1981, a = -1/2), as
sharp, but what is made smaller is not filtered before. The published one reflects once and
brings in zeros from beyond; here reflections go on.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from jaxbias.arrays import RandomKey

Images = Float[Array, "image height width channel"]
Keys = Key[Array, " image"]
Told = Float[Array, "image nine"]
Matrix = Float[Array, "two two"]

NUMBERS = 9
"""That tell what was done to an image."""

FACTOR = 2**0.2
"""Of a scale, and of a stretch, one deviation from 1."""

SHIFT = 1 / 8
"""Deviation of a shift, over the side."""


class Changes(NamedTuple):
    """What is done to each image, one after the other; zeros are nothing.

    Attributes:
        mirrored: Left to right, 0 or 1.
        upturned: Top to bottom, 0 or 1.
        scale: Powers of `FACTOR` by which things grow; standard normal.
        turn: Counter-clockwise, in radians.
        direction: In radians, clockwise from the right, in which `stretch` lengthens.
        stretch: Powers of `FACTOR`, by whose inverse things shrink across; standard normal.
        right: In parts of `SHIFT` of the width; standard normal.
        down: Of the height; likewise.
    """

    mirrored: Float[Array, " image"]
    upturned: Float[Array, " image"]
    scale: Float[Array, " image"]
    turn: Float[Array, " image"]
    direction: Float[Array, " image"]
    stretch: Float[Array, " image"]
    right: Float[Array, " image"]
    down: Float[Array, " image"]

    @property
    def told(self) -> Told:
        """The nine numbers (paper, table 6)."""
        along, across = jnp.cos(self.direction), jnp.sin(self.direction)
        return jnp.stack(
            [
                self.mirrored,
                self.upturned,
                self.scale,
                jnp.cos(self.turn) - 1,
                jnp.sin(self.turn),
                self.stretch * along,
                self.stretch * across,
                self.right,
                self.down,
            ],
            axis=1,
        )


def drawn(keys: Keys, share: float) -> Changes:
    """Draw changes, each of them with a chance of its own.

    Args:
        keys: One for each image.
        share: Chance of each change, 0 to 1; with any, half of all images are mirrored, as
            the published training on CIFAR-10 does. An image that is to be upturned is so
            every other time.
    """

    def one(key: RandomKey) -> tuple[Array, ...]:
        which, coins, angles, sizes = jax.random.split(key, 4)
        done = jax.random.bernoulli(which, share, (5,)).astype(jnp.float32)
        coin = jax.random.bernoulli(coins, 0.5, (2,)).astype(jnp.float32)
        angle = jax.random.uniform(angles, (2,), minval=-jnp.pi, maxval=jnp.pi)
        size = jax.random.normal(sizes, (4,))
        upturns, scales, turns, stretches, shifts = done
        return (
            coin[0] * (share > 0),
            coin[1] * upturns,
            size[0] * scales,
            angle[0] * turns,
            angle[1] * stretches,
            size[1] * stretches,
            size[2] * shifts,
            size[3] * shifts,
        )

    return Changes(*jax.vmap(one)(keys))


def _turned(angle: Float[Array, ""]) -> Matrix:
    """Clockwise, as y counts downwards."""
    cosine, sine = jnp.cos(angle), jnp.sin(angle)
    return jnp.stack([jnp.stack([cosine, -sine]), jnp.stack([sine, cosine])])


def _source(change: Changes) -> Matrix:
    """From places after a change but its shift to those before, x first, for one image."""
    smaller = FACTOR**-change.scale
    flips = jnp.stack([1 - 2 * change.mirrored, 1 - 2 * change.upturned])
    narrow = jnp.diag(FACTOR ** jnp.stack([-change.stretch, change.stretch]))
    there, back = _turned(change.direction), _turned(-change.direction)
    product = _product(_turned(change.turn), _product(there, _product(narrow, back)))
    return (smaller * flips)[:, None] * product


def _product(first: Matrix, second: Matrix) -> Matrix:
    # In full precision, which places of pixels need.
    return jnp.dot(first, second, precision="highest")


def moved(images: Images, changes: Changes) -> Images:
    """Do these changes to images; values between pixels by Keys' cubic.

    Changes of whole pixels and quarter turns move pixels, and nothing is exact identity.

    Args:
        images: Of any range; between pixels values may go beyond it.
        changes: One for each image.
    """
    _, height, width, _ = images.shape
    middle = jnp.asarray([(width - 1) / 2, (height - 1) / 2])
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    places = jnp.asarray(np.stack([columns, rows]), jnp.float32) - middle[:, None, None]

    def one(image: Array, change: Changes) -> Array:
        sides = jnp.asarray([width, height], jnp.float32)
        shift = SHIFT * sides * jnp.stack([change.right, change.down])
        before = jnp.einsum(
            "ij,jrc->irc",
            _source(change),
            places - shift[:, None, None],
            precision="highest",
        )
        x, y = before + middle[:, None, None]
        return _interpolated(image, x, y)

    return jax.vmap(one)(images, changes)


TAPS = range(-1, 3)
"""Pixels that weigh, from the one before a place."""


def _interpolated(
    image: Float[Array, "height width channel"],
    x: Float[Array, "row column"],
    y: Float[Array, "row column"],
) -> Float[Array, "row column channel"]:
    height, width, channels = image.shape
    flat = image.reshape(height * width, channels)
    left, top = jnp.floor(x), jnp.floor(y)
    found = jnp.zeros((*x.shape, channels), image.dtype)
    for down in TAPS:
        row = _reflected(top.astype(jnp.int32) + down, height)
        of_row = _keys_cubic(y - top - down)
        line = jnp.zeros_like(found)
        for right in TAPS:
            column = _reflected(left.astype(jnp.int32) + right, width)
            weight = _keys_cubic(x - left - right)
            pixels = flat.at[row * width + column].get(mode="promise_in_bounds")
            line += weight[..., None] * pixels
        found += of_row[..., None] * line
    return found


def _reflected(
    place: Int[Array, "row column"], length: int
) -> Int[Array, "row column"]:
    """Inside a side, as if a mirror stood on the first and the last pixel."""
    period = max(1, 2 * (length - 1))
    folded = place % period
    return jnp.minimum(folded, period - folded) if length > 1 else 0 * place


def _keys_cubic(
    distance: Float[Array, "row column"],
) -> Float[Array, "row column"]:
    """Weight of a pixel less than two away."""
    d = jnp.abs(distance)
    near = (1.5 * d - 2.5) * d**2 + 1
    far = ((-0.5 * d + 2.5) * d - 4) * d + 2
    return jnp.where(d <= 1, near, far)


@dataclass(frozen=True)
class Geometric:
    """The whole augmentation; equal ones are one to `jit`.

    Attributes:
        share: Chance of each change; see `drawn`.
    """

    share: float

    numbers = NUMBERS

    def __call__(self, keys: Keys, images: Images) -> tuple[Images, Told]:
        """Augmented images, and nine numbers for each that tell what was done.

        Args:
            keys: One for each image.
            images: Of any range.
        """
        changes = drawn(keys, self.share)
        return moved(images, changes), changes.told
