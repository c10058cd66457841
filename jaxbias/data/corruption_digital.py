"""The digital corruptions of ImageNet-C (Hendrycks and Dietterich 2019), on the device.

See `severities` for what all corruptions share. The stored sets were cut off to whole
levels and saved as JPEG of quality 85; nothing of that is done here, so accuracies are not
those on the stored sets.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxbias.arrays import RandomKey
from jaxbias.data import jpeg
from jaxbias.data.resampling import bilinear, gaussian_matrices, separable
from jaxbias.data.severities import Image, Severity, at, finished, published, side_of


def brightness(key: RandomKey, image: Image, severity: Severity) -> Image:
    """Add 0.1 to 0.5 to the value of HSV, up to 1 (CIFAR: 0.05 to 0.3)."""
    table = published(image, (0.1, 0.2, 0.3, 0.4, 0.5), (0.05, 0.1, 0.15, 0.2, 0.3))
    value = image.max(-1, keepdims=True)
    brighter = jnp.minimum(value + at(severity, table), 1.0)
    # Hue and saturation stay where channels keep their ratios; black becomes grey.
    scaled = image * brighter / jnp.where(value > 0, value, 1.0)
    return finished(jnp.where(value > 0, scaled, brighter), severity)


def saturate(key: RandomKey, image: Image, severity: Severity) -> Image:
    """Saturation of HSV times 0.3, 0.1, 2, 5, 20, plus 0.1 and 0.2 in the last two.

    CIFAR: 0.3, 0.1, 1.5, 2, 2.5. Grey has hue 0: what is added turns it red.
    """
    imagenet = ((0.3, 0), (0.1, 0), (2, 0), (5, 0.1), (20, 0.2))
    cifar = ((0.3, 0), (0.1, 0), (1.5, 0), (2, 0.1), (2.5, 0.2))
    factor, extra = at(severity, published(image, imagenet, cifar))
    value = image.max(-1, keepdims=True)
    missing = value - image
    chroma = missing.max(-1, keepdims=True)
    old = chroma / jnp.where(value > 0, value, 1.0)
    new = jnp.clip(old * factor + extra, 0.0, 1.0)
    coloured = value - missing * new / jnp.where(chroma > 0, old, 1.0)
    red = value * jnp.concatenate([jnp.ones_like(new), 1 - new, 1 - new], axis=-1)
    return finished(jnp.where(chroma > 0, coloured, red), severity)


def contrast(key: RandomKey, image: Image, severity: Severity) -> Image:
    """Shrink towards the mean of each channel by 0.4, 0.3, 0.2, 0.1, 0.05.

    CIFAR: 0.75 to 0.15.
    """
    table = published(image, (0.4, 0.3, 0.2, 0.1, 0.05), (0.75, 0.5, 0.4, 0.3, 0.15))
    mean = image.mean((0, 1), keepdims=True)
    return finished(mean + at(severity, table) * (image - mean), severity)


def pixelate(key: RandomKey, image: Image, severity: Severity) -> Image:
    """Shrink to 0.6, 0.5, 0.4, 0.3, 0.25 of the side and enlarge, by Pillow's BOX.

    CIFAR: 0.95 to 0.65. Pillow rounds to whole levels twice; this does not.
    """
    side = side_of(image)
    table = published(image, (0.6, 0.5, 0.4, 0.3, 0.25), (0.95, 0.9, 0.85, 0.75, 0.65))
    sides = [int(side * share) for share in table]
    first, after = at(severity, np.stack([_boxes(side, small) for small in sides]))
    place = jnp.arange(side)[None]
    inside = (place >= first[:, None]) & (place < after[:, None])
    box = inside / (after - first)[:, None]
    return finished(separable(image, box, box), severity)


def _boxes(side: int, small: int) -> np.ndarray:
    """First pixel of the box that each one is the mean of, and the first after it.

    A box has the pixels whose middles it holds; an enlarged pixel is the one it lies in.
    """
    bounds = np.floor(np.arange(small + 1) * side / small + 0.5).astype(np.int32)
    which = np.floor((np.arange(side) + 0.5) * small / side).astype(np.int32)
    return np.stack([bounds[which], bounds[which + 1]])


def elastic_transform(key: RandomKey, image: Image, severity: Severity) -> Image:
    """Move three points by up to c pixels each way, then all by a smooth random field.

    The field is uniform noise of -1 to 1, blurred by a Gaussian of sigma s to 3 sigma,
    times a. In shares of 244 at 224 pixels (a misprint that the published code keeps): a 2,
    2, 0.05, 0.07, 0.12; s 0.7, 0.08, 0.01, 0.01, 0.01; c 0.1, 0.2, 0.02, 0.02, 0.02. CIFAR,
    in shares of the side: a 0, 0.05, 0.08, 0.1, 0.1; s 0, 0.2, 0.06, 0.04, 0.03; c 0.08,
    0.07, 0.06, 0.05, 0.03. Both scale with the side. OpenCV looks up places of 1/32 pixel;
    this does not round.
    """
    imagenet = (244 / 224) * np.asarray(
        ((2, 0.7, 0.1), (2, 0.08, 0.2))
        + ((0.05, 0.01, 0.02), (0.07, 0.01, 0.02), (0.12, 0.01, 0.02))
    )
    cifar = (
        *((0, 0, 0.08), (0.05, 0.2, 0.07)),
        *((0.08, 0.06, 0.06), (0.1, 0.04, 0.05), (0.1, 0.03, 0.03)),
    )
    side = side_of(image)
    table = side * published(image, tuple(imagenet), cifar)
    strength, _, shift = at(severity, table)
    points, field = jax.random.split(key)
    rows, columns = _affine(points, side, shift)
    image = bilinear(image, rows, columns, "mirror")
    noise = jax.random.uniform(field, (2 * side**2,), minval=-1.0)
    blurs = gaussian_matrices(side, table[:, 1], truncate=3.0, border="reflect")
    blur = at(severity, blurs)
    moves = strength * separable(noise.reshape(side, side, 2), blur, blur)
    place = jnp.arange(side, dtype=jnp.float32)
    rows, columns = place[:, None] + moves[..., 0], place[None] + moves[..., 1]
    return finished(bilinear(image, rows, columns, "reflect"), severity)


def _affine(
    key: RandomKey, side: int, shift: Float[Array, ""]
) -> tuple[Float[Array, "row column"], Float[Array, "row column"]]:
    """Where each pixel comes from when three corners of a square are moved.

    The square has a side of two thirds of the image, about its centre.
    """
    centre, reach = float(side // 2), float(side // 3)
    corners = centre + reach * jnp.asarray([[1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]])
    moved = corners + shift * jax.random.uniform(key, (3, 2), minval=-1.0)
    # The move takes (x, y) about the centre to middle + x along + y down.
    down = (moved[0] - moved[1]) / (2 * reach)
    along = (moved[0] - moved[2]) / (2 * reach) - down
    middle = (moved[0] + moved[2]) / 2
    place = jnp.arange(side, dtype=jnp.float32)
    x, y = place[None] - middle[0], place[:, None] - middle[1]
    area = along[0] * down[1] - along[1] * down[0]
    columns = centre + (down[1] * x - down[0] * y) / area
    rows = centre + (along[0] * y - along[1] * x) / area
    return rows, columns


def jpeg_compression(key: RandomKey, image: Image, severity: Severity) -> Image:
    """Compress at quality 25, 18, 15, 10, 7 (CIFAR: 80, 65, 58, 50, 40); see `jpeg`.

    Results are whole levels, those of Pillow but for a block here and there.
    """
    qualities = published(image, (25, 18, 15, 10, 7), (80, 65, 58, 50, 40))
    tables = np.stack([jpeg.quantisation(int(quality)) for quality in qualities])
    luma, chroma = at(severity, tables)
    return finished(jpeg.round_trip(image, luma, chroma), severity)
