"""The weather of ImageNet-C (Hendrycks and Dietterich 2019), on the device.

See `severities` for what all corruptions share. The stored sets were cut off to whole
levels and saved as JPEG of quality 85; nothing of that is done here, so accuracies are not
those on the stored sets.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxbias.arrays import RandomKey
from jaxbias.data.random_fields import diamond_square, gradient_noise
from jaxbias.data.resampling import (
    streaked,
    zoom_places,
    zoomed,
)
from jaxbias.data.severities import Image, Severity, at, finished, published, side_of
from jaxbias.numerics.low_level import LUMINANCE

Layer = Float[Array, "height width 1"]


def snow(key: RandomKey, image: Image, severity: Severity) -> Image:
    """Whiten, and add flakes that fall at 45 to 135 degrees, and the same upside down.

    Flakes are normal noise of mean 0.1, 0.2, 0.55, 0.55, 0.55 and deviation 0.3, enlarged
    3, 2, 4, 4.5, 2.5 times, with what is below 0.5, 0.5, 0.9, 0.85, 0.85 taken away, drawn
    out by motion blurs of radius 10 or 12 and sigma 4, 4, 8, 8, 12. Of the image 0.8, 0.7,
    0.7, 0.65, 0.55 stays; the rest is the larger of it and 1.5 times its grey plus 0.5.
    CIFAR has smaller flakes, and keeps 0.95 to 0.8.
    The published code cuts the layer to whole levels; this does not.
    """
    imagenet = (
        (0.1, 0.3, 3, 0.5, 10, 4, 0.8),
        (0.2, 0.3, 2, 0.5, 12, 4, 0.7),
        (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
        (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
        (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
    )
    cifar = (
        (0.1, 0.2, 1, 0.6, 8, 3, 0.95),
        (0.1, 0.2, 1, 0.5, 10, 4, 0.9),
        (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
        (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
        (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
    )
    table = published(image, imagenet, cifar)
    mean, deviation, _, least, radius, sigma, kept = at(severity, table)
    side = side_of(image)
    zooms = [zoom_places(side, float(factor)) for factor in table[:, 2]]
    low, share = (at(severity, np.stack(part)) for part in zip(*zooms, strict=True))
    flakes, wind = jax.random.split(key)
    noise = mean + deviation * jax.random.normal(flakes, (side**2,))
    layer = zoomed(noise.reshape(side, side, 1), low, share)
    layer = jnp.where(layer < least, 0.0, jnp.minimum(layer, 1.0))
    angle = jax.random.uniform(wind, minval=-135.0, maxval=-45.0)
    layer = streaked(layer, radius, sigma, angle, longest=int(table[:, 4].max()))
    white = jnp.maximum(image, 1.5 * _grey(image) + 0.5)
    image = kept * image + (1 - kept) * white
    return finished(image + layer + layer[::-1, ::-1], severity)


def _grey(image: Image) -> Layer:
    return jnp.sum(image * jnp.asarray([[LUMINANCE]]), axis=-1, keepdims=True)


def fog(key: RandomKey, image: Image, severity: Severity) -> Image:
    """Add 1.5, 2, 2.5, 2.5, 3 times a plasma fractal, and scale back to the old maximum.

    Its roughness falls by 2, 2, 1.7, 1.5, 1.4 (squared) an octave. CIFAR: 0.2 to 1.5 times,
    and 3 to 1.75.
    """
    imagenet = ((1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4))
    cifar = ((0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75))
    amount, decay = at(severity, published(image, imagenet, cifar))
    plasma = diamond_square(key, side_of(image), decay)[..., None]
    top = image.max()
    return finished((image + amount * plasma) * top / (top + amount), severity)


def frost(key: RandomKey, image: Image, severity: Severity) -> Image:
    """Add 0.4, 0.6, 0.7, 0.7, 0.75 of a frost to 1, 0.8, 0.7, 0.65, 0.6 of the image.

    CIFAR: 1 to 0.75, and 0.2 to 0.45. The published sets add crops of photographs of frost,
    which are not at hand: `procedural_frost` stands in, and is not comparable with them.
    """
    imagenet = ((1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75))
    cifar = ((1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45))
    kept, added = at(severity, published(image, imagenet, cifar))
    ice = procedural_frost(key, side_of(image))
    return finished(kept * image + added * ice, severity)


def procedural_frost(key: RandomKey, size: int) -> Image:
    """A texture like ice on a window: bright crystal edges on patches of dark blue.

    Edges are where gradient noise of one to four octaves is near 0; a plasma fractal says
    where they are bright.
    """
    # Paper: frost is five photographs. All constants here are chosen by eye.
    patches, needles = jax.random.split(key)
    cover = diamond_square(patches, size, 1.4)
    noise = edge = jnp.zeros((size, size))
    for octave, one in enumerate(jax.random.split(needles, 4)):
        # Of sums: each octave by itself is 0 on a lattice.
        noise += 0.7**octave * gradient_noise(one, size, size / (5 * 2**octave))
        edge += 0.8**octave * jnp.maximum(1 - 6 * jnp.abs(noise), 0.0)
    ice = jnp.clip(0.1 + 0.4 * cover + 0.9 * cover**2 * edge, 0.0, 1.0)[..., None]
    # Thin ice is blue, thick ice white.
    return ice ** jnp.asarray([[[1.35, 1.1, 0.9]]])
