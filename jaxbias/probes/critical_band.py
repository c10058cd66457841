"""Critical-band masking: which spatial frequencies a network needs to recognise objects.

Noise of one octave after another is added to greyscale images of low contrast, and the
weakest noise that takes away half of the answers is noted for each octave. A Gaussian over
the octaves, the channel, sums these thresholds up in three numbers.

References:
    Subramanian et al., Spatial-frequency channels, shape bias, and adversarial robustness
    (NeurIPS 2023): stimuli, thresholds, channel. Gavrikov and Keuper, Can biases in
    ImageNet models explain generalization? (CVPR 2024): 29 conditions of every image, and
    accuracy relative to that without noise.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

from jaxbias.arrays import RandomKey
from jaxbias.numerics import pyramid
from jaxbias.numerics.gaussian_fit import MOST, Gaussian, fit

SDS = (0.0, 0.02, 0.04, 0.08, 0.16)
"""Nominal standard deviations of the noise; that of the first condition is none."""

CONTRAST, MEAN = 0.2, 0.449
"""What images' deviations from their mean are multiplied by, and their new mean."""

INSET = 0.1
"""How far inside of 0 to 1 a pixel is put that the noise takes out of it."""

LOWEST = 1.75
"""Nominal frequency of the lowest band of 224 pixels, cycles per image."""

# Pillow's weights of red, green and blue in 65,536ths.
WEIGHTS = (19595, 38470, 7471)


class Prepared(NamedTuple):
    """What all conditions of one image are made of.

    Attributes:
        image: Greyscale, of low contrast.
        noise: Of each band, the lowest first, to be multiplied by a nominal SD.
    """

    image: Float[Array, "size size"]
    noise: Float[Array, "band size size"]


class Energy(NamedTuple):
    """Where the noise of each band really lies, against where its label says.

    Frequencies are radial, in cycles per image.

    Attributes:
        label: Nominal frequency.
        centre: Geometric mean, weighted by energy, without the mean of the noise.
        low: Below it lies a tenth of the energy.
        high: Above it lies a tenth.
        constant: Share of the energy that is the mean of the noise.
        rms: Of the noise over its nominal SD: that of all bands is made equal.
    """

    label: Float[np.ndarray, " band"]
    centre: Float[np.ndarray, " band"]
    low: Float[np.ndarray, " band"]
    high: Float[np.ndarray, " band"]
    constant: Float[np.ndarray, " band"]
    rms: float


class Channel(NamedTuple):
    """What a Gaussian over octaves says; floats, or arrays of many fits.

    Where the Gaussian is `undetermined`, the three numbers mean nothing.

    Attributes:
        bandwidth: Full width at half its height, octaves.
        centre: Frequency of its peak, cycles per image, by the bands' nominal labels.
        peak_noise_sensitivity: 2^(amplitude - 4), at most 1: the largest SD in use over
            the threshold SD at the peak, divided by 16.
    """

    bandwidth: Float[Array, " fit"] | float
    centre: Float[Array, " fit"] | float
    peak_noise_sensitivity: Float[Array, " fit"] | float


# Stimuli


def greyscale(image: Float[Array, "height width 3"]) -> Float[Array, "height width"]:
    """Grey levels as Pillow's mode L has them: 0.299 R + 0.587 G + 0.114 B, rounded.

    Args:
        image: Float32, scale 0 to 1; taken to the nearest of 256 levels first.
    """
    # Exact: sums stay below 2^24. Not in whole numbers, which would hide a NaN; and not as
    # a sum along the axis, which takes a CPU as long as all the noise.
    levels = (jnp.round(image[..., channel] * 255) for channel in range(3))
    weighted = sum(w * level for w, level in zip(WEIGHTS, levels, strict=True))
    return jnp.floor(weighted / 2**16 + 0.5) / 255


def prepare(
    image: Float[Array, "size size 3"],
    key: RandomKey,
    *,
    strength: Float[Array, ""] | float = 1.0,
) -> Prepared:
    """Lower the contrast of an image and draw the noise that all its conditions share.

    Each band of the noise is scaled to the RMS of the finest, which is 0.943 times that of
    the white noise it is cut from: by that much all noise is weaker than its nominal SD.

    Args:
        image: Colours on the scale 0 to 1, square, of at least 4 pixels; 224 pixels have
            7 bands, 32 have 4.
        key: The noise.
        strength: Contrast and noise over the published ones. Small networks that see
            nothing at a contrast of 0.2 may at 0.6, with noise of three times the SD.

    Raises:
        ValueError: If the image is smaller than that.
    """
    # Paper: noise is drawn anew for each condition; one draw leaves each condition as it
    # was, and lets conditions be compared on the same noise.
    grey = greyscale(image)
    size = len(grey)
    white = pyramid.bands(_normal(key, size))
    rms = jnp.sqrt(jnp.mean(white**2, axis=(1, 2), keepdims=True))
    noise = (white * (rms[:1] / rms))[::-1]
    contrast = CONTRAST * strength
    return Prepared((grey - jnp.mean(grey)) * contrast + MEAN, noise * strength)


def stimulus(
    prepared: Prepared, condition: Int[Array, ""] | int
) -> Float[Array, "size size 3"]:
    """One condition of an image.

    Args:
        prepared: The image.
        condition: Index into `conditions`; may be traced.

    Returns:
        Scale 0 to 1, the same in all channels.
    """
    bands = len(prepared.noise)
    # 0 is without noise; then all bands of one SD after the other.
    sd = jnp.asarray(SDS, jnp.float32)[(condition + bands - 1) // bands]
    noise = lax.dynamic_index_in_dim(
        prepared.noise, (condition - 1) % bands, keepdims=False
    )
    grey = inside(prepared.image + sd * noise)
    return jnp.broadcast_to(grey[..., None], (*grey.shape, 3))


def stimuli(
    image: Float[Array, "size size 3"],
    key: RandomKey,
    *,
    strength: Float[Array, ""] | float = 1.0,
) -> Float[Array, "condition size size 3"]:
    """All conditions of an image, in the order of `conditions`; see `prepare`."""
    prepared = prepare(image, key, strength=strength)
    # A loop, as a CPU would make the grey image anew for each condition in one expression.
    numbers = jnp.arange(1 + (len(SDS) - 1) * len(prepared.noise))
    return lax.map(lambda number: stimulus(prepared, number), numbers)


def inside(values: Float[Array, "*axes"]) -> Float[Array, "*axes"]:
    """Put pixels below 0 to 0.1 and those above 1 to 0.9."""
    # Paper: a loop changes the pixel of the image until image and noise give this. Noise
    # beyond 0.9, 5.6 SD, it draws anew, which we do not.
    high = jnp.where(values > 1, 1 - INSET, values)
    return jnp.where(values < 0, INSET, high)


def _normal(key: RandomKey, size: int) -> Float[Array, "size size"]:
    # Drawn flat: compiles faster on a CPU.
    return jax.random.normal(key, (size * size,)).reshape(size, size)


def conditions(size: int) -> tuple[tuple[float, int], ...]:
    """Nominal SD and band of every condition for images of one size: 29 for 224 pixels.

    The first has no noise; bands are counted from the lowest.

    Raises:
        ValueError: If images are smaller than 4 pixels.
    """
    bands = range(pyramid.levels(size))
    return ((0.0, 0), *((sd, band) for sd in SDS[1:] for band in bands))


def labels(size: int) -> Float[np.ndarray, " band"]:
    """Nominal frequency of each band, cycles per image, lowest first.

    Octaves down from half the number of pixels, which for 224 pixels are the published
    1.75, 3.5, ..., 112. For other sizes this is ours.

    Raises:
        ValueError: If images are smaller than 4 pixels.
    """
    return size / 2 / 2.0 ** np.arange(pyramid.levels(size))[::-1]


def band_energy(size: int) -> Energy:
    """Where the noise of each band lies in truth, from its expected spectrum; exact.

    Most bands lie an octave below their label, and the lowest has no lower end.

    Raises:
        ValueError: If images are smaller than 4 pixels.
    """
    frequency = np.fft.fftfreq(size, 1 / size)
    radius = np.hypot(frequency[:, None], frequency[None]).ravel()
    order = np.argsort(radius, kind="stable")[1:]
    found = []
    power = pyramid.noise_power(size)
    for level in power[::-1].reshape(len(power), -1):
        share = level / level.sum()
        varied = share[order] / share[order].sum()
        cumulated = share[0] + np.cumsum(share[order])
        places = np.searchsorted(cumulated, (0.1, 0.9))
        low, high = radius[order][places]
        low = 0.0 if share[0] >= 0.1 else low
        centre = np.exp(varied @ np.log(radius[order]))
        found.append((centre, low, high, share[0]))
    rms = float(np.sqrt(power[0].sum()))
    return Energy(labels(size), *np.array(found).T, rms=rms)


# Thresholds


def accuracy_matrix(
    accuracy: Float[Array, " condition"],
) -> Float[Array, "sd band"]:
    """Arrange accuracies in the order of `conditions` by SD and band.

    The one without noise stands for all bands.

    Raises:
        ValueError: If their number is not 1 + 4 times a number of bands.
    """
    noisy = len(SDS) - 1
    if len(accuracy) < 1 + noisy or (len(accuracy) - 1) % noisy:
        raise ValueError(f"conditions are 1 + {noisy} x bands, got {len(accuracy)}")
    with_noise = accuracy[1:].reshape(noisy, -1)
    clean = jnp.broadcast_to(accuracy[:1, None], (1, with_noise.shape[1]))
    return jnp.concatenate([clean, with_noise])


def thresholds(
    accuracy: Float[Array, "sd band"],
    *,
    relative: bool = True,
    smooth: bool = False,
    criterion: float = 0.5,
) -> Float[Array, " band"]:
    """How weak the noise of each band must be for accuracy to be above a half.

    Args:
        accuracy: Shares, a row for each of `SDS`, so the first without noise.
        relative: Hold them against the same band's accuracy without noise, as Gavrikov and
            Keuper's reported columns do; otherwise against 1.
        smooth: Interpolate between the SDs on both sides of the criterion, linear in
            log SD, which is ours; no noise then counts as half of the smallest SD.
        criterion: What accuracy must exceed.

    Returns:
        In halvings of the largest SD: 0 if accuracy is above the criterion at it, whatever
        weaker noise does; 4 if it is at none, and also if it is not even without noise.
        Whole numbers, unless smooth; those are less by at most 1.
        NaN where an accuracy is, and where `relative` is to nothing.
    """
    clean = accuracy[0]
    limit = criterion * (clean if relative else jnp.ones_like(clean))
    falling = accuracy[::-1]
    most = len(falling) - 1
    passes = falling[:-1] > limit[None]
    steps = jnp.where(jnp.any(passes, axis=0), jnp.argmax(passes, axis=0), most)
    found = steps.astype(accuracy.dtype)
    if smooth:
        above = jnp.take_along_axis(falling, steps[None], axis=0)[0]
        below = jnp.take_along_axis(falling, jnp.maximum(steps - 1, 0)[None], axis=0)[0]
        crossed = (steps > 0) & (above > limit)
        rise = jnp.where(crossed, above - below, 1.0)
        found = found - jnp.where(crossed, (above - limit) / rise, 0.0)
    known = jnp.all(jnp.isfinite(accuracy), axis=0) & ((clean > 0) | (not relative))
    return jnp.where(known, found, jnp.nan)


# Channel


Thresholds = Sequence[float | int | np.number] | np.ndarray | Array
"""One for each band, lowest first, 0 to 4; whole numbers as published, or any."""


def fit_channel(thresholds: Thresholds, *, lowest: float = LOWEST) -> Channel:
    """The channel of one network by the published procedure; see `fitted`.

    Args:
        thresholds: One for each band. NaN among them makes all of the channel NaN.
        lowest: Nominal frequency of the first band: `labels(size)[0]`, 1.75 for 224
            pixels.

    Raises:
        ValueError: If there is no band.
    """
    return channel_of(fitted(thresholds), lowest=lowest)


def fitted(thresholds: Thresholds) -> Gaussian:
    """The Gaussian over bands behind `fit_channel`; fits are remembered.

    Least squares by SciPy's trust region from the published start: amplitude 1, mu 0,
    sigma 1. It gives the minimum that this start leads to: the best one for all vectors of
    seven whole numbers that only rise or only fall, and for all but 27 of the 4,166 with
    one peak; a tenth of all vectors have a better one, see `gaussian_fit.fits`.

    Raises:
        ValueError: If there is no band.
    """
    return _remembered(tuple(float(value) for value in np.asarray(thresholds)))


_remembered = lru_cache(maxsize=2**17)(fit)


def channel_of(found: Gaussian, *, lowest: float = LOWEST) -> Channel:
    """What one or many Gaussians over bands say; see `fit_channel`."""
    # Paper: the published width is that of sigma as it comes, which may be negative.
    bandwidth = 2 * np.sqrt(np.log(4)) * found.sigma
    with np.errstate(over="ignore"):
        centre = lowest * 2.0**found.mu
    return Channel(bandwidth, centre, 2.0 ** (found.amplitude - MOST))
