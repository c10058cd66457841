"""Texture transfer with nothing learned, as descents: the slower kin of `stylisation`.

From the content in the style's colours, an image is changed until random filters of five by
five pixels respond to it as to the style, while what is coarse in it stays. Either products
of responses agree (Gram matrices: Gatys et al. 2016, with random filters of a single layer
as Ustyuzhaninov et al. 2016) or their distributions do (sliced Wasserstein: Heitz et al.
2021, on pixels in place of a network's features). Images are float32, (side, side, 3), on
the scale 0 to 1; functions take one pair and can be mapped over batches.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

from jaxbias.arrays import RandomKey
from jaxbias.data.stylisation import OPPONENT

Image = Float[Array, "side side 3"]
Planes = Float[Array, "3 side side"]
"""Colours first: patches are then copies of long rows."""

Responses = Float[Array, "filter place"]
Bank = Float[Array, "filter weight"]
Loss = Callable[[RandomKey, Planes], Float[Array, ""]]

FILTER = 5
"""Pixels of a filter each way."""

SMALLEST_SIDE = 16

KEPT = 0.7
"""Share of the content's deviation that grey keeps at least."""

GAIN = 8.0
"""Most that colours of the content are amplified."""


GRAM = 8.0
"""Weight of Gram matrices: what is kept of the layout is then much as with slices."""


@dataclass(frozen=True, kw_only=True)
class TransferConfig:
    """How an image is changed.

    Attributes:
        steps: Of the descent.
        rate: First root mean square of a step, on the scale 0 to 1; it falls to 0.
        filters: How many at each scale, for Gram matrices.
        directions: How many at each scale and step, for slices.
        layout: Weight of the squared change of the blurred image, over its variance.
        detail: Cycles along the side at which that blur keeps 61 % of the amplitude.
        edges: Share of the content's details that the descent begins with; the others are
            the style's.
    """

    steps: int = 40
    rate: float = 0.03
    filters: int = 32
    directions: int = 8
    layout: float = 0.8
    detail: float = 4.0
    edges: float = 0.5


DEFAULT = TransferConfig()


def gram(
    key: RandomKey,
    content: Float[Array, "row column 3"],
    style: Float[Array, "tall wide 3"],
    config: TransferConfig = DEFAULT,
) -> Float[Array, "row column 3"]:
    """Change the content until its Gram matrices of random filters are the style's.

    Args:
        key: For the filters.
        content: What keeps its layout.
        style: What gives texture and colours.
        config: Static.

    Raises:
        ValueError: If images are not square, alike and of 16 pixels a side or more.
    """
    return _descended(key, content, style, config, _gram_loss)


def sliced(
    key: RandomKey,
    content: Float[Array, "row column 3"],
    style: Float[Array, "tall wide 3"],
    config: TransferConfig = DEFAULT,
) -> Float[Array, "row column 3"]:
    """Change the content until its patches are distributed as the style's.

    As `gram`, by the sliced Wasserstein distance of patches along random directions.
    """
    return _descended(key, content, style, config, _sliced_loss)


def _descended(
    key: RandomKey,
    content: Float[Array, "row column 3"],
    style: Float[Array, "tall wide 3"],
    config: TransferConfig,
    unlike: Callable[[RandomKey, Planes, TransferConfig], Loss],
) -> Image:
    side = content.shape[0]
    if side < SMALLEST_SIDE or {*content.shape[:2], *style.shape[:2]} != {side}:
        shapes = f"{content.shape} and {style.shape}"
        raise ValueError(f"two squares of {SMALLEST_SIDE} pixels or more, got {shapes}")
    loss_key, step_key = jax.random.split(key)
    content, style = (
        jnp.moveaxis(x, -1, 0) for x in (_coloured(content, style), style)
    )
    blur = _blur(side, config.detail)
    layout = _blurred(content, blur)
    # Paper: those begin with noise or the content, and so take hundreds of steps.
    rest = np.sqrt(1 - config.edges**2) * (style - _blurred(style, blur))
    begin = jnp.clip(layout + config.edges * (content - layout) + rest, 0, 1)
    texture = unlike(loss_key, style, config)
    spread = jnp.var(layout) + 1e-4

    def loss(key: RandomKey, image: Planes) -> Float[Array, ""]:
        kept = jnp.mean((_blurred(image, blur) - layout) ** 2) / spread
        return texture(key, image) + config.layout * kept

    return jnp.moveaxis(_descent(step_key, loss, begin, config), 0, -1)


def _descent(
    key: RandomKey, loss: Loss, image: Planes, config: TransferConfig
) -> Planes:
    """Adam, with one second moment for all pixels: one for each would draw noise, where
    slopes are small, as strongly as texture."""

    def step(state: tuple, number: Array) -> tuple[tuple, None]:
        image, mean, square = state
        slope = jax.grad(loss, 1)(jax.random.fold_in(key, number), image)
        mean = 0.9 * mean + 0.1 * slope
        square = 0.99 * square + 0.01 * jnp.mean(slope**2)
        count = number + 1.0
        ahead = mean / (1 - 0.9**count)
        size = jnp.sqrt(square / (1 - 0.99**count)) + 1e-8
        rate = config.rate * (1 - number / config.steps)
        return (jnp.clip(image - rate * ahead / size, 0, 1), mean, square), None

    begin = image, jnp.zeros_like(image), jnp.zeros(())
    (image, _, _), _ = lax.scan(step, begin, jnp.arange(config.steps))
    return image


# The content


def _coloured(content: Image, style: Image) -> Image:
    """The content with the style's mean and deviation in opponent colours."""
    turn = OPPONENT.astype(np.float32)
    own, wanted = (jnp.dot(x, turn.T, precision="highest") for x in (content, style))
    spread, new = (x.std((0, 1), keepdims=True) for x in (own, wanted))
    new = jnp.maximum(new, np.array([[[KEPT, 0, 0]]], np.float32) * spread)
    gain = new / jnp.maximum(jnp.maximum(spread, new / GAIN), 1e-12)
    middle, goal = (x.mean((0, 1), keepdims=True) for x in (own, wanted))
    moved = (own - middle) * gain + goal
    return jnp.dot(moved, turn, precision="highest")


@lru_cache(maxsize=16)
def _blur(side: int, detail: float) -> Float[np.ndarray, "side side"]:
    """Gaussian, in units of the side; rows add up to 1."""
    place = np.arange(side) / side
    away = 2 * np.pi * detail * (place[:, None] - place)
    weights = np.exp(-(away**2) / 2)
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)


def _blurred(image: Planes, blur: np.ndarray) -> Planes:
    return jnp.einsum("ay,cyx,bx->cab", blur, image, blur, precision="highest")


# The style


def _patches(image: Planes) -> Float[Array, "weight place"]:
    """All squares of 5 by 5 pixels within an image."""
    count = image.shape[1] - FILTER + 1
    tall = jnp.concatenate([image[:, i : i + count] for i in range(FILTER)])
    # Rows first, then columns: ten times as fast as a convolution here and back.
    tall = lax.optimization_barrier(tall)
    wide = jnp.concatenate([tall[:, :, i : i + count] for i in range(FILTER)])
    return wide.reshape(len(wide), -1)


def _scales(image: Planes) -> list[Array]:
    """The image, its half and its quarter, as long as 8 pixels are left."""
    # Paper: filters of up to 55 pixels, where these reach over 20.
    sides = [f for f in (1, 2, 4) if image.shape[1] >= 8 * f]
    return [_shrunk(image, factor) for factor in sides]


def _shrunk(image: Planes, factor: int) -> Float[Array, "3 small small"]:
    side = image.shape[1] // factor
    whole = image[:, : side * factor, : side * factor]
    return whole.reshape(3, side, factor, side, factor).mean((2, 4))


def _banks(key: RandomKey, count: int, filters: int, style: Planes) -> list[Bank]:
    """For each scale; responses to white noise of the style's variance would have 1."""
    weights = 3 * FILTER**2
    draws = jax.random.normal(key, (count * filters * weights,))
    draws = draws.reshape(count, filters, weights)
    norm = jnp.linalg.norm(draws, axis=2, keepdims=True)
    return list(draws / (norm * (style.std() + 1e-3)))


def _gram_loss(key: RandomKey, style: Planes, config: TransferConfig) -> Loss:
    styles = [_patches(scale) for scale in _scales(style)]
    banks = _banks(key, len(styles), config.filters, style)
    found = [bank @ patches for bank, patches in zip(banks, styles, strict=True)]
    middles = [one.mean(1, keepdims=True) for one in found]
    goals = [_gram(one - middle) for one, middle in zip(found, middles, strict=True)]

    def loss(key: RandomKey, image: Planes) -> Float[Array, ""]:
        parts = zip(banks, middles, goals, _scales(image), strict=True)
        grams = [(_gram(b @ _patches(x) - m), goal) for b, m, goal, x in parts]
        apart = [jnp.mean((g - goal) ** 2) for g, goal in grams]
        return GRAM * sum(apart, jnp.zeros(()))

    return loss


def _gram(responses: Responses) -> Float[Array, "filter filter"]:
    """Mean products of positive parts."""
    kept = jnp.maximum(responses, 0)
    return kept @ kept.T / kept.shape[1]


def _sliced_loss(key: RandomKey, style: Planes, config: TransferConfig) -> Loss:
    del key
    styles = [_patches(scale) for scale in _scales(style)]

    def loss(key: RandomKey, image: Planes) -> Float[Array, ""]:
        # Fresh directions at every step.
        banks = _banks(key, len(styles), config.directions, style)
        parts = zip(banks, styles, _scales(image), strict=True)
        apart = [_sliced(b @ _patches(x), b @ patches) for b, patches, x in parts]
        return sum(apart, jnp.zeros(()))

    return loss


def _sliced(found: Responses, wanted: Responses) -> Float[Array, ""]:
    goal = _transported(lax.stop_gradient(found), wanted)
    # Which goes where does not change with a small step: this has the distance's slope.
    return jnp.mean((found - goal) ** 2)


def _transported(found: Responses, wanted: Responses) -> Responses:
    """Each response moved to the wanted one of the same rank, in a row.

    Numbers and places are packed into integers, since XLA sorts those on a CPU nine times
    as fast as floats or pairs, and moves single numbers slowly; so they are rounded, to a
    2^18th of their range at 4,096 places.
    """
    count = found.shape[1]
    bits = (count - 1).bit_length()
    fine = min(30 - bits, 20)
    place = np.arange(count, dtype=np.int32)[None]
    order = jnp.sort(_whole(found, fine)[0] << bits | place) & ((1 << bits) - 1)
    level, low, step = _whole(wanted, fine)
    level = jnp.sort(order << fine | jnp.sort(level)) & ((1 << fine) - 1)
    return low + step * level


def _whole(
    values: Responses, bits: int
) -> tuple[Int[Array, "filter place"], Array, Array]:
    """Values as whole numbers below 2^bits of each row's range; what 0 and 1 stand for."""
    low, high = values.min(1, keepdims=True), values.max(1, keepdims=True)
    step = jnp.maximum(high - low, 1e-12) / (2**bits - 1)
    whole = jnp.minimum(jnp.round((values - low) / step), 2**bits - 1)
    return whole.astype(jnp.int32), low, step
