"""Named features of images that no trained network is needed for.

Shape bias, diversity and distances between sets of images depend on the features that they
are computed on, so each of these has a name that says what it is. They are for images of
any size, on the scale 0 to 1: an image whose shorter side is above the size that a feature
is defined at is shrunk to it, and a smaller one stays as it is.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, UInt8

from jaxbias.arrays import RandomKey
from jaxbias.numerics.low_level import FLOOR, Grey, Images, grey

Features = Float[Array, "image feature"]

MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)
"""Of ImageNet's channels."""

SMALLEST_SIDE = 8
"""Pixels that an image must have each way."""

ORIENTATIONS = 8
BANDS = 4
LEVELS = 8
LAYERS = ((32, 2), (64, 1), (64, 2), (128, 1))
"""Channels of the random network's layers, and how far apart its places are."""

PIECE = 2**21
"""Pixels that are on the device at once."""

_HIGHEST = lax.Precision.HIGHEST


@lru_cache(maxsize=32)
def _shrinking(size: int, new: int) -> Float[np.ndarray, "new size"]:
    """Triangle as wide as two new pixels: Pillow's BILINEAR, without its rounding."""
    scale = size / new
    centres = (np.arange(new) + 0.5) * scale
    distance = np.abs(np.arange(size) + 0.5 - centres[:, None]) / scale
    weights = np.clip(1 - distance, 0, None)
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)


def shrunk(images: Images, size: int) -> Float[Array, "image row column channel"]:
    """Bring images to `size` by `size`; those with a side that is not longer stay."""
    height, width = images.shape[1:3]
    if min(height, width) <= size:
        return images
    down, across = _shrinking(height, size), _shrinking(width, size)
    tall = jnp.einsum("Hh,nhwc->nHwc", down, images, precision=_HIGHEST)
    return jnp.einsum("Ww,nhwc->nhWc", across, tall, precision=_HIGHEST)


def _flat(values: Float[Array, "image *rest"]) -> Features:
    return values.reshape(len(values), -1)


def standard(images: Images) -> Images:
    """Images less ImageNet's mean, over its deviation."""
    mean, deviation = (jnp.asarray(x)[None, None, None] for x in (MEAN, DEVIATION))
    return (images - mean) / deviation


def pixels(images: Images, size: int = 32) -> Features:
    """The pixels themselves."""
    return _flat(shrunk(images, size))


def thumbnail(images: Images, size: int = 8) -> Features:
    """Grey pixels of a small image, less their mean."""
    small = _flat(grey(shrunk(images, size)))
    return small - jnp.mean(small, axis=1, keepdims=True)


def mean_colour(images: Images) -> Features:
    """Mean of each channel."""
    return jnp.mean(images, axis=(1, 2))


def colour_histogram(images: Images, size: int = 64) -> Features:
    """Share of the pixels in each of 8 x 8 x 8 cubes of colours."""
    cubes = jnp.floor(shrunk(images, size) * LEVELS).astype(jnp.int32)
    index = _cube(jnp.clip(cubes, 0, LEVELS - 1))
    count, places = index.shape
    rows = jnp.arange(count)[:, None]
    found = jnp.zeros((count, LEVELS**3)).at[rows, index].add(1.0)
    return found / places


def _cube(levels: Array) -> Array:
    red, green, blue = jnp.moveaxis(levels.reshape(len(levels), -1, 3), -1, 0)
    return (red * LEVELS + green) * LEVELS + blue


def oriented_gradients(images: Images, cells: int, size: int = 128) -> Features:
    """Square roots of histograms of oriented gradients.

    Sobel gradients of grey images, outermost pixels repeated, are added up in `cells` by
    `cells` equal cells and eight sectors of 180 degrees. Unlike `numerics.hog`, nothing is
    normalised by its neighbours.

    Raises:
        ValueError: If an image has not one pixel for each cell.
    """
    small = grey(shrunk(images, size))
    count, height, width = small.shape
    rows, columns = height // cells, width // cells
    if not rows or not columns:
        raise ValueError(f"{height} x {width} pixels in {cells} x {cells} cells")
    x, y = _sobel(small)
    power, angle = jnp.hypot(x, y), jnp.arctan2(y, x) * (ORIENTATIONS / np.pi)
    sector = jnp.floor(angle).astype(jnp.int32) % ORIENTATIONS
    whole = (slice(None), slice(rows * cells), slice(columns * cells))
    power, sector = lax.optimization_barrier((power[whole], sector[whole]))

    def total(number: Array) -> Array:
        chosen = jnp.where(sector == number, power, 0.0)
        return chosen.reshape(count, cells, rows, cells, columns).sum((2, 4))

    totals = lax.map(total, jnp.arange(ORIENTATIONS))
    return _flat(jnp.sqrt(jnp.moveaxis(totals, 0, -1)))


def _sobel(planes: Grey) -> tuple[Grey, Grey]:
    """Sobel's differences along columns and rows."""
    wide = jnp.pad(planes, ((0, 0), (1, 1), (1, 1)), mode="edge")
    tall = wide[:, :-2] + 2 * wide[:, 1:-1] + wide[:, 2:]
    broad = wide[:, :, :-2] + 2 * wide[:, :, 1:-1] + wide[:, :, 2:]
    return tall[:, :, 2:] - tall[:, :, :-2], broad[:, 2:] - broad[:, :-2]


@lru_cache(maxsize=8)
def _spectral_bins(height: int, width: int) -> Float[np.ndarray, "coefficient bin"]:
    """Mean over each band and sector, of the coefficients of `rfft2` in a row."""
    rows = np.fft.fftfreq(height)[:, None]
    columns = np.fft.rfftfreq(width)[None]
    octaves = np.log2(np.maximum(np.hypot(rows, columns), 1e-9)) + BANDS + 1
    band = np.floor(octaves + 1e-9).astype(int)
    sector = np.rint(np.arctan2(rows, columns) % np.pi * ORIENTATIONS / np.pi)
    bins = band * ORIENTATIONS + sector.astype(int) % ORIENTATIONS
    # Nyquist's frequency ends the last band, the corners beyond it are left out.
    bins = np.where((band >= 0) & (band < BANDS), bins, -1).ravel()
    # `rfft2` leaves out the mirror image of all but the first and the Nyquist column.
    twice = np.where((columns == 0) | (columns == 0.5), 1, 2)
    weights = np.broadcast_to(twice, (height, columns.size)).ravel()[:, None]
    found = (bins[:, None] == np.arange(BANDS * ORIENTATIONS)) * weights
    return (found / np.maximum(found.sum(0), 1)).astype(np.float32)


def windowed_power(
    planes: Grey,
) -> Float[Array, "image row column"]:
    """Power of each coefficient of `rfft2`, less the mean and under a Hann window.

    White noise has its variance at every frequency, whatever the size.
    """
    _, height, width = planes.shape
    window = np.outer(np.hanning(height), np.hanning(width))
    window = (window / np.sqrt(np.sum(window**2))).astype(np.float32)
    centred = planes - jnp.mean(planes, axis=(1, 2), keepdims=True)
    return jnp.abs(jnp.fft.rfft2(centred * window[None])) ** 2


def power_spectrum(images: Images, size: int = 128) -> Features:
    """Logarithm of the power of grey images in four octaves and eight orientations.

    Bands end at Nyquist's frequency: of 128 pixels, they are 4 to 8, 8 to 16, 16 to 32 and
    32 to 64 cycles an image. The first sector lies around horizontal frequencies. The floor
    is the square of a tenth of a grey level. Cosines between such logarithms mean little
    before the mean over all images is taken off.
    """
    power = windowed_power(grey(shrunk(images, size)))
    bins = _spectral_bins(*shrunk_shape(images, size))
    return jnp.log(jnp.dot(_flat(power), bins, precision=_HIGHEST) + FLOOR**2)


def shrunk_shape(images: Images, size: int) -> tuple[int, int]:
    """Height and width of what `shrunk` gives."""
    height, width = images.shape[1:3]
    return (size, size) if min(height, width) > size else (height, width)


class RandomNetwork(NamedTuple):
    """What an untrained convolutional network makes of images.

    Attributes:
        map: Its last layer at every place, in a row.
        pooled: Mean over places.
    """

    map: Features
    pooled: Features


def random_network(key: RandomKey, images: Images, size: int = 32) -> RandomNetwork:
    """Four random convolutions of 3 x 3 with ReLUs, of 32, 64, 64 and 128 channels.

    The first and the third halve the image: 32 pixels give a map of 8 x 8. Weights are
    Gaussian with variance 2 / inputs (He et al. 2015), there are no biases, and images are
    standardised by ImageNet's mean and deviation.
    """
    values = standard(shrunk(images, size))
    keys = jax.random.split(key, len(LAYERS))
    for one, (width, stride) in zip(keys, LAYERS, strict=True):
        inputs = values.shape[-1]
        # Flat: draws of several axes compile slowly.
        weights = jax.random.normal(one, (9 * inputs * width,))
        weights = weights.reshape(3, 3, inputs, width) * np.sqrt(2 / (9 * inputs))
        values = lax.conv_general_dilated(
            *(values, weights, (stride, stride), "SAME"),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            precision=_HIGHEST,
        )
        values = jax.nn.relu(values)
    return RandomNetwork(_flat(values), jnp.mean(values, axis=(1, 2)))


FEATURES: dict[str, Callable[[RandomKey, Images], Features]] = {
    "pixels": lambda key, images: pixels(images),
    "pixels-64": lambda key, images: pixels(images, 64),
    "grey-pixels": lambda key, images: thumbnail(images, 32),
    "thumbnail": lambda key, images: thumbnail(images),
    "mean-colour": lambda key, images: mean_colour(images),
    "colour-histogram": lambda key, images: colour_histogram(images),
    "hog-1": lambda key, images: oriented_gradients(images, 1),
    "hog-2": lambda key, images: oriented_gradients(images, 2),
    "hog-4": lambda key, images: oriented_gradients(images, 4),
    "hog-8": lambda key, images: oriented_gradients(images, 8),
    "power-spectrum": lambda key, images: power_spectrum(images),
    "random-map": lambda key, images: random_network(key, images).map,
    "random-pooled": lambda key, images: random_network(key, images).pooled,
    "random-pooled-64": lambda key, images: random_network(key, images, 64).pooled,
}
"""Features by name. The key is that of the random network's weights."""


def features(
    key: RandomKey,
    images: UInt8[np.ndarray, "image height width 3"],
    names: Sequence[str] = tuple(FEATURES),
) -> dict[str, Float[np.ndarray, "image feature"]]:
    """Named features of any number of images, piece by piece, with one program for all.

    Args:
        key: Of the random network: the same key is the same network.
        images: Of one size, at least 8 pixels each way.
        names: Of `FEATURES`.

    Raises:
        ValueError: If there are no images, they are too small, or a name is unknown.
    """
    count, height, width, _ = images.shape
    if not count or min(height, width) < SMALLEST_SIDE:
        raise ValueError(
            f"images of shape {images.shape}: at least one is needed, "
            f"of {SMALLEST_SIDE} pixels each way"
        )
    if unknown := set(names) - set(FEATURES):
        raise ValueError(f"{sorted(unknown)}: no features, which are {list(FEATURES)}")
    piece = min(count, max(1, PIECE // (height * width)))
    found = []
    for start in range(0, count, piece):
        part = images[start : start + piece]
        # The last piece is filled up, so that it needs no program of its own.
        filled = np.pad(part, ((0, piece - len(part)), (0, 0), (0, 0), (0, 0)))
        again = jax.random.clone(key)
        measured = jax.device_get(_measured(again, filled, tuple(names)))
        found.append([one[: len(part)] for one in measured])
    return {
        name: np.concatenate(parts)
        for name, parts in zip(names, zip(*found, strict=True), strict=True)
    }


@partial(jax.jit, static_argnames="names")
def _measured(
    key: RandomKey,
    images: UInt8[Array, "image height width 3"],
    names: tuple[str, ...],
) -> list[Features]:
    scaled = images.astype(jnp.float32) / 255
    return [FEATURES[name](jax.random.clone(key), scaled) for name in names]


def z_scores(
    *sets: Float[np.ndarray, "_ feature"],
) -> tuple[Float[np.ndarray, "_ feature"], ...]:
    """Less the mean and over the deviation of each feature, over all sets together.

    A feature that is constant becomes 0.
    """
    pooled = np.concatenate(sets).astype(np.float64)
    mean, deviation = pooled.mean(axis=0), pooled.std(axis=0)
    # What a constant differs from its mean by is rounding.
    constant = deviation <= 1e-6 * np.abs(mean)
    scale = np.where(constant | (deviation == 0), np.inf, deviation)
    return tuple(((one - mean) / scale).astype(np.float32) for one in sets)
