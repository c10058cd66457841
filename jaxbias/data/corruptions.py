"""Corruptions of "A Decade's Battle on Dataset Bias" (Liu and He 2024), on the device.

Images are float, NHWC, on the scale 0 to 1; so are results. The paper gives a strength for
each and no operator, and no code was released: what is chosen here is said at each.
"""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxbias.arrays import RandomKey
from jaxbias.data import augmentation
from jaxbias.data.augmentation import Images


def jitter(key: RandomKey, images: Images, strength: float) -> Images:
    """Change brightness, contrast and saturation by factors within `strength` of 1."""
    # Paper: which colours, and by how much, is not said. This is what the number means in
    # timm, on which the authors' training code builds; the hue stays.
    return augmentation.colour_jitter(
        *(key, images),
        brightness_range=strength,
        contrast_range=strength,
        saturation_range=strength,
    )


def gaussian_noise(key: RandomKey, images: Images, sd: float) -> Images:
    """Add normal noise, and cut to 0 to 1."""
    # Paper: the scale is not said; 0.2 and 0.3 of 255 levels could not be seen.
    # Drawn flat: the same numbers, but with channels last twice as slow on a CPU.
    noise = jax.random.normal(key, (images.size,)).reshape(images.shape)
    return jnp.clip(images + sd * noise, 0.0, 1.0)


@partial(jax.jit, static_argnames="radius")
def gaussian_blur(images: Images, radius: float) -> Images:
    """Blur as Pillow's `GaussianBlur`: three boxes whose variances sum to radius^2.

    Pillow rounds to 8 bits six times on the way; results are within three levels of it.
    """
    # Paper: the operator is not said; a radius is what Pillow's takes.
    _, height, width, _ = images.shape
    rows, columns = (jnp.asarray(_blurring(side, radius)) for side in (height, width))
    tall = jnp.einsum("Hh,nhwc->nHwc", rows, images, precision="highest")
    return jnp.einsum("Ww,nhwc->nhWc", columns, tall, precision="highest")


def _blurring(side: int, radius: float) -> Float[np.ndarray, "new old"]:
    """Pillow's three boxes along a side; the outermost pixels are repeated."""
    # Gwosdek et al. 2011: a box of whole pixels, and a share of one more at each end.
    variance = radius**2 / 3
    whole = math.floor((math.sqrt(12 * variance + 1) - 1) / 2)
    share = (2 * whole + 1) * (whole * (whole + 1) - 3 * variance)
    share /= 6 * (variance - (whole + 1) ** 2)
    width = 2 * (whole + share) + 1
    box = np.zeros((side, side))
    for offset in range(-whole - 1, whole + 2):
        source = np.clip(np.arange(side) + offset, 0, side - 1)
        weight = share if abs(offset) > whole else 1.0
        np.add.at(box, (np.arange(side), source), weight / width)
    return np.linalg.matrix_power(box, 3).astype(np.float32)


@partial(jax.jit, static_argnames="side")
def low_resolution(images: Images, side: int) -> Images:
    """Shrink to `side` by `side` and enlarge again, bilinearly.

    The kernel is widened where the image shrinks, as Pillow and torchvision do.

    Raises:
        ValueError: If images are smaller than that.
    """
    # Paper: neither kernel is said, nor whether small images are enlarged again.
    count, height, width, channels = images.shape
    check_resolution(min(height, width), side)
    resized = partial(jax.image.resize, method="linear")
    return resized(resized(images, (count, side, side, channels)), images.shape)


def check_resolution(size: int, side: int) -> None:
    """Raise `ValueError` if images of this size have no more than `side` pixels."""
    if not 1 <= side <= size:
        raise ValueError(f"a resolution of {side} for images of {size} pixels")
