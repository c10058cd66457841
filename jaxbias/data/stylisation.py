"""Images in the style of others, nothing learned: shape of one, texture of another.

Stylized-ImageNet (Geirhos et al. 2019) takes its statistics from a trained network. Here
they are those of a Laplacian pyramid. Images are float32, (side, side, 3), on the scale 0
to 1; functions take one pair and can be mapped over batches.
"""

from functools import lru_cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxbias.numerics.pyramid import bands

Image = Float[Array, "side side 3"]
Bands = Float[Array, "level side side 3"]
Spread = Float[Array, "level 1 1 3"]

SMALLEST_SIDE = 16

OPPONENT = np.array([[1, 1, 1], [1, -1, 0], [1, 1, -2]]) / np.sqrt([[3], [2], [6]])
"""Rows are grey, red against green, yellow against blue; orthonormal."""

# Axes of one style alone would decorrelate its colours fully, but they turn arbitrarily
# where two variances are equal, and grey, which carries the shape, would be no axis.

TEXTURE = (0.0, 0.15, 0.45, 0.9)
"""Share of a band's variance that patches of the style give, the coarsest band first.

The last is also that of all finer bands. The first two, up to 8 pixels across, are where
the content's layout is.
"""

KEPT = 0.7
"""Share of the content's deviation that grey keeps in the three coarsest bands at least: a
style of stripes has nothing there, and its statistics alone would leave no shape."""

GAIN = 8.0
"""Most that a band is amplified: noise in a nearly grey image is not its colour."""

BLOCKS = 7
"""Patches along a side, each a quarter of it, every one half covered by the next."""

PLACES = 2 * BLOCKS - 1
"""Places along a side from which they may come; every other is that of a patch."""


def stylised(
    content: Float[Array, "row column 3"],
    style: Float[Array, "tall wide 3"],
    *,
    strength: Float[Array, ""] | float = 1.0,
) -> Float[Array, "row column 3"]:
    """Give the content the texture and the colours of the style.

    Mean and deviation of every band and colour become the style's (AdaIN, Huang and
    Belongie 2017, without a network), and the finer bands are filled with the patches of
    the style that are most like the content's. Nothing is random.

    Args:
        content: What keeps its shapes.
        style: What gives texture and colours; a photo will do.
        strength: Of the change, 0 to 1: 0 gives the content.

    Raises:
        ValueError: If images are not square, alike and of 16 pixels a side or more.
    """
    side = content.shape[0]
    if side < SMALLEST_SIDE or {*content.shape[:2], *style.shape[:2]} != {side}:
        shapes = f"{content.shape} and {style.shape}"
        raise ValueError(f"two squares of {SMALLEST_SIDE} pixels or more, got {shapes}")
    changed = _by_bands(content, style)
    return jnp.clip(content + strength * (changed - content), 0.0, 1.0)


def split(image: Image) -> Bands:
    """The levels of an image's pyramid in opponent colours, the finest first."""
    colours = jnp.dot(image, OPPONENT.T.astype(np.float32), precision="highest")
    return jax.vmap(bands, in_axes=-1, out_axes=-1)(colours)


def joined(levels: Bands) -> Image:
    """The image of these levels; not cut to 0 to 1."""
    return jnp.dot(levels.sum(0), OPPONENT.astype(np.float32), precision="highest")


def _by_bands(content: Image, style: Image) -> Image:
    own, wanted = split(content), split(style)
    spread = _spread(own, wanted)
    plain = _moved(own, wanted, spread)
    share = np.array(TEXTURE)[np.minimum(np.arange(len(own)), len(TEXTURE) - 1)[::-1]]
    share = share.astype(np.float32)[:, None, None, None]
    centre = wanted.mean((1, 2), keepdims=True)
    mixed = jnp.sqrt(1 - share) * (plain - centre)
    patches = _quilted(_grey_detail(plain), _grey_detail(wanted), wanted - centre)
    return joined(_moved(mixed + jnp.sqrt(share) * patches, wanted, spread))


def _spread(content: Bands, style: Bands) -> Spread:
    """Deviations that the result has."""
    kept = np.zeros((len(content), 1, 1, 3), np.float32)
    kept[-3:, :, :, 0] = KEPT
    own, wanted = (x.std((1, 2), keepdims=True) for x in (content, style))
    return jnp.maximum(wanted, kept * own)


def _moved(levels: Bands, wanted: Bands, new: Spread) -> Bands:
    """Levels with the means of others and, where `GAIN` allows, the given deviations."""
    centre, spread = (
        levels.mean((1, 2), keepdims=True),
        levels.std((1, 2), keepdims=True),
    )
    # The last number, where both are constant.
    gain = new / jnp.maximum(jnp.maximum(spread, new / GAIN), 1e-12)
    return (levels - centre) * gain + wanted.mean((1, 2), keepdims=True)


def _grey_detail(levels: Bands) -> Float[Array, "side side"]:
    """What can be seen of an image's shapes without its coarsest level."""
    return levels[:-1, :, :, 0].sum(0)


class Quilt(NamedTuple):
    """Where patches are and what each pixel takes from which.

    Attributes:
        pixels: Numbers of the pixels of a patch at every place.
        own: Which place is that of each block.
        block: Blocks that cover a pixel; repeated with weight 0 where there are fewer.
        offset: From the first pixel of the block to this one.
        weight: Of each; they add up to 1.
    """

    pixels: Int[np.ndarray, "place pixel"]
    own: Int[np.ndarray, " block"]
    block: Int[np.ndarray, "point cover"]
    offset: Int[np.ndarray, "point cover"]
    weight: Float[np.ndarray, "point cover"]


@lru_cache(maxsize=8)
def _quilt(side: int) -> Quilt:
    size = -(-side // 4)
    starts = np.round(np.linspace(0, side - size, PLACES)).astype(int)
    row, column = np.meshgrid(starts, starts, indexing="ij")
    within = np.arange(size)
    patch = (within[:, None] * side + within).ravel()
    pixels = (row * side + column).reshape(-1, 1) + patch
    own = np.arange(PLACES**2).reshape(PLACES, PLACES)[::2, ::2].ravel()
    # A pixel in the middle of a patch counts most, one outside nothing.
    hill = np.sin(np.pi * (within + 0.5) / size) ** 2
    along = np.zeros((BLOCKS, side))
    for number, start in enumerate(starts[::2]):
        along[number, start : start + size] = hill
    weight = np.einsum("ay,bx->yxab", along, along).reshape(side**2, BLOCKS**2)
    cover = int((weight > 0).sum(1).max())
    block = np.argsort(-weight, axis=1, kind="stable")[:, :cover]
    weight = np.take_along_axis(weight, block, 1)
    offset = np.arange(side**2)[:, None] - pixels[own, 0][block]
    offset = np.where(weight > 0, offset, 0)
    weight /= weight.sum(1, keepdims=True)
    return Quilt(pixels, own, block, offset, weight.astype(np.float32))


def _quilted(
    guide: Float[Array, "side side"], detail: Float[Array, "side side"], source: Bands
) -> Bands:
    """Lay patches of the source where its detail is most like the guide (Efros and Freeman
    2001: texture transfer, here with all patches at once and soft seams)."""
    quilt = _quilt(len(guide))
    asked = guide.ravel()[quilt.pixels[quilt.own]]
    offered = detail.ravel()[quilt.pixels]
    norm = jnp.sqrt((offered**2).sum(1))
    # By direction: where the content is smooth, the style need not be.
    offered = offered / (norm + 1e-6)[:, None]
    match = jnp.dot(asked, offered.T, precision="highest")
    first = jnp.asarray(quilt.pixels[:, 0])[jnp.argmax(match, axis=1)]
    points = jnp.moveaxis(source, 0, 2).reshape(len(guide) ** 2, -1)
    taken = points[first[quilt.block] + quilt.offset]
    laid = jnp.einsum("pc,pcv->pv", quilt.weight, taken, precision="highest")
    return jnp.moveaxis(laid.reshape(*guide.shape, -1, 3), 2, 0)
