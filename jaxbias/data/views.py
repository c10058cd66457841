"""Two random views of an image, as contrastive learning compares them.

Those of SimCLR on CIFAR-10 (Chen et al., ICML 2020, appendix B.9): a random part of the
image, its mirror image half of the time, other colours, at times none; no blur unless it is
asked for.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxbias.arrays import RandomKey
from jaxbias.data import augmentation
from jaxbias.data.smoothing import Smoothing, smooth

Image = Float[Array, "height width channel"]

AREA = (0.08, 1.0)
"""Least and largest share of the image that is seen."""

STRENGTH = 0.5
"""Of the colours' change."""

JITTERED, GREYED = 0.8, 0.2
"""How often colours change, and how often there are none."""

SMOOTHED = 2**30
"""Folded into a view's key for what smoothing draws."""


def view(
    key: RandomKey,
    image: Image,
    *,
    area: tuple[float, float] = AREA,
    strength: float = STRENGTH,
    smoothing: Smoothing = "none",
) -> Image:
    """One view of an image.

    Args:
        key: Of everything that is drawn.
        image: On the scale 0 to 1, square, three channels.
        area: See `AREA`.
        strength: Brightness, contrast and saturation change by factors within 0.8 of this
            of 1, hue by 0.2 of this in turns; 0 leaves colours, and never takes them off.
        smoothing: What comes last, always.
    """
    crop, flip, which, colours, off = jax.random.split(key, 5)
    seen = augmentation.random_resized_crop(crop, image[None], len(image), area=area)
    seen = augmentation.random_flip(flip, seen)
    if strength:
        factors = 0.8 * strength
        other = augmentation.colour_jitter(
            *(colours, seen),
            brightness_range=factors,
            contrast_range=factors,
            saturation_range=factors,
            hue_range=0.2 * strength,
        )
        seen = jnp.where(jax.random.bernoulli(which, JITTERED), other, seen)
        bare = jax.random.bernoulli(off, GREYED)
        seen = jnp.where(bare, augmentation.grey(seen), seen)
    if smoothing == "none":
        return seen[0]
    # Folded and cloned, so that all else is drawn as it is without.
    own = jax.random.fold_in(jax.random.clone(crop), SMOOTHED)
    return smooth(own, seen[0], smoothing)


def pair(
    key: RandomKey,
    image: Image,
    *,
    area: tuple[float, float] = AREA,
    strength: float = STRENGTH,
    smoothing: Smoothing = "none",
) -> Float[Array, "height width channels"]:
    """Two views of an image, drawn apart, stacked on channels; see `view`."""
    keys = jax.random.split(key)
    both = [
        view(own, image, area=area, strength=strength, smoothing=smoothing)
        for own in keys
    ]
    return jnp.concatenate(both, axis=-1)
