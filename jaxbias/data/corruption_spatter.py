"""The spatter of ImageNet-C (Hendrycks and Dietterich 2019), on the device.

See `severities` for what all corruptions share. The stored sets were cut off to whole
levels and saved as JPEG of quality 85; nothing of that is done here, so accuracies are not
those on the stored sets.
"""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxbias.arrays import RandomKey
from jaxbias.data.resampling import gaussian_matrices, separable
from jaxbias.data.severities import Image, Severity, at, finished, published, side_of
from jaxbias.numerics import edges

Plane = Float[Array, "height width"]

WATER = (175 / 255, 238 / 255, 238 / 255)
MUD = (63 / 255, 42 / 255, 20 / 255)


def spatter(key: RandomKey, image: Image, severity: Severity) -> Image:
    """Drops of water (severities 1 to 3) or mud (4 and 5).

    Where normal noise of mean 0.65 (the last: 0.67) and deviation 0.3 (0.4), blurred by
    sigma 4, 3, 2, 1, 1, is above 0.69, 0.68, 0.68, 0.65, 0.65 there is liquid. Mud is that
    mask, blurred by 1.5, where it is above 0.8. Water is pale turquoise, 0.6, 0.6, 0.5 at
    its brightest, and shaded by the distance from the drops' rims (`_shaded`). CIFAR:
    deviation 0.1 (the third: 0.3), sigma 0.5 to 1, mud blurred by 0.6. Distances are exact,
    where OpenCV's are within 2 %.
    """
    imagenet = (
        (0.65, 0.3, 4, 0.69, 0.6),
        (0.65, 0.3, 3, 0.68, 0.6),
        (0.65, 0.3, 2, 0.68, 0.5),
        (0.65, 0.3, 1, 0.65, 1.5),
        (0.67, 0.4, 1, 0.65, 1.5),
    )
    cifar = (
        (0.62, 0.1, 0.7, 0.7, 0.5),
        (0.65, 0.1, 0.8, 0.7, 0.5),
        (0.65, 0.3, 1, 0.69, 0.5),
        (0.65, 0.1, 0.7, 0.69, 0.6),
        (0.65, 0.1, 0.5, 0.68, 0.6),
    )
    table = published(image, imagenet, cifar)
    mean, deviation, _, least, amount = at(severity, table)
    side = side_of(image)
    blur = at(severity, gaussian_matrices(side, table[:, 2]))
    noise = mean + deviation * jax.random.normal(key, (side**2,))
    liquid = separable(noise.reshape(side, side, 1), blur, blur)
    liquid = jnp.where(liquid < least, 0.0, liquid)

    def water(image: Image) -> Image:
        depth = jnp.floor(255 * jnp.minimum(liquid[..., 0], 1.0))
        light = depth * _shaded(depth)
        most = light.max()
        light = amount * light / jnp.where(most > 0, most, 1.0)
        return image + light[..., None] * jnp.asarray([[WATER]])

    def mud(image: Image) -> Image:
        soft = at(severity, gaussian_matrices(side, table[:, 4]))
        cover = separable((liquid > least).astype(image.dtype), soft, soft)
        cover = jnp.where(cover < 0.8, 0.0, cover)
        return image * (1 - cover) + cover * jnp.asarray([[MUD]])

    return finished(lax.cond(jnp.asarray(severity) > 3, mud, water, image), severity)


FAR = 20
"""Distances from a rim count up to so many pixels."""


def _shaded(depth: Plane) -> Plane:
    """Light and shadow of drops, in levels; as if lit from the upper left.

    Rims are Canny's edges (thresholds 50 and 150). Distances from them, up to 20 pixels,
    are blurred by a box of 3, cut to whole numbers, equalised, filtered by a slope and
    blurred.
    """
    rims = edges.canny_plane(depth, low=50, high=150)
    distance = jnp.floor(_box(_rim_distance(rims)))
    light = _filtered(_equalised(distance), ((-2, -1, 0), (-1, 1, 1), (0, 1, 2)))
    return jnp.round(_box(jnp.clip(light, 0, 255)))


def _rim_distance(rims: Array) -> Plane:
    """Euclidean distance from the nearest rim, up to 20 pixels."""
    squares = jnp.where(rims, 0.0, FAR**2)
    for axis in (0, 1):
        margins = [(0, 0), (0, 0)]
        margins[axis] = (FAR, FAR)
        wide = jnp.pad(squares, margins, constant_values=FAR**2)

        def nearer(
            i: Array, best: Array, wide: Array = wide, axis: int = axis
        ) -> Array:
            moved = lax.dynamic_slice_in_dim(wide, i, best.shape[axis], axis)
            return jnp.minimum(best, moved + (i - FAR).astype(best.dtype) ** 2)

        squares = lax.fori_loop(0, 2 * FAR + 1, nearer, squares)
    return jnp.sqrt(squares)


def _filtered(plane: Plane, weights: tuple[tuple[int, ...], ...]) -> Plane:
    """Correlate with 3 by 3 weights; mirrored at the outermost pixels."""
    height, width = plane.shape
    wide = jnp.pad(plane, 1, mode="reflect")
    total = jnp.zeros_like(plane)
    for i, row in enumerate(weights):
        for j, weight in enumerate(row):
            total += weight * wide[i : i + height, j : j + width]
    return total


def _box(plane: Plane) -> Plane:
    return _filtered(plane, ((1, 1, 1),) * 3) / 9


def _equalised(plane: Plane) -> Plane:
    """OpenCV's `equalizeHist` of whole numbers up to 20; results are 0 to 255."""
    numbers = jnp.arange(FAR + 1, dtype=plane.dtype)[None, None]
    up_to = jnp.sum(plane[..., None] <= numbers, axis=(0, 1))
    least = up_to[plane.min().astype(jnp.int32)]
    above = plane.size - least
    table = jnp.round((up_to - least) * (255 / jnp.maximum(above, 1)))
    return jnp.where(above > 0, table[plane.astype(jnp.int32)], plane)
