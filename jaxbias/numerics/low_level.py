"""Hand-made features of images that know nothing of what is in them.

Colours, borders, noise and spectra are what cameras, resizing and compression leave in all
images of a data set. A network that tells data sets apart is to be held against a linear
classifier on these. Values are on the scale 0 to 1; logarithms are natural, with a floor of
a tenth of a grey level (its square for powers).
"""

from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int, UInt8

GROUPS = ("colour", "border", "noise", "spectrum")
"""Groups of features, in the order in which they are put together."""

SMALLEST_SIDE = 8
"""Images with a shorter side have no block of 8 x 8 pixels, and no spectrum to speak of."""

PIECE = 2**21
"""Pixels that are on the device at once."""

LUMINANCE = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in the grey of ITU-R 601-2."""

FLOOR = 0.1 / 255
BLOCK = 8
LEVELS = 16
JOINT_LEVELS = 4
RINGS = 16
SECTORS = 8
PAIRS = ((0, 1), (0, 2), (1, 2))
MOVES = ((0, 1), (1, 0), (0, 2), (2, 0), (1, 1), (1, -1))
RESIDUALS = (0.5, 1, 2, 4, 8, 16, 32)

Images: TypeAlias = Float[Array, "image height width channel"]
Planes: TypeAlias = Float[Array, "image channel row column"]
Grey: TypeAlias = Float[Array, "image height width"]
Features: TypeAlias = Float[Array, "image feature"]


def features(
    pixels: UInt8[np.ndarray, "image height width channel"],
) -> dict[str, Float[np.ndarray, "image feature"]]:
    """Measure images piece by piece, with one program for all.

    Args:
        pixels: Images of one size, at least 8 pixels each way, with 1 or 3 channels.

    Returns:
        float32 features by group: see `colour`, `border`, `noise` and `spectrum`.

    Raises:
        ValueError: If there are none, they are too small, or have other channels.
    """
    count, height, width, channels = pixels.shape
    if not count or min(height, width) < SMALLEST_SIDE or channels not in (1, 3):
        raise ValueError(
            f"images of shape {pixels.shape}: at least one is needed, of "
            f"{SMALLEST_SIDE} pixels each way and 1 or 3 channels"
        )
    piece = min(count, max(1, PIECE // (height * width)))
    found = []
    for start in range(0, count, piece):
        part = pixels[start : start + piece]
        # The last piece is filled up, so that it needs no program of its own.
        filled = np.pad(part, ((0, piece - len(part)), (0, 0), (0, 0), (0, 0)))
        measured = jax.device_get(_measure(filled))
        found.append({name: x[: len(part)] for name, x in measured.items()})
    return {name: np.concatenate([x[name] for x in found]) for name in GROUPS}


@jax.jit
def _measure(
    pixels: UInt8[Array, "image height width channel"],
) -> dict[str, Features]:
    images = pixels.astype(jnp.float32) / 255
    return {
        "colour": colour(images),
        "border": border(images),
        "noise": noise(images),
        "spectrum": spectrum(images),
    }


def grey(images: Images) -> Grey:
    """Luminance of each pixel; a single channel is grey already."""
    if images.shape[-1] == 1:
        return images[..., 0]
    return sum(weight * images[..., i] for i, weight in enumerate(LUMINANCE))  # type: ignore[return-value]


def _log(values: Array, floor: float = FLOOR) -> Array:
    return jnp.log(values + floor)


def _flat(*parts: Array) -> Features:
    return jnp.concatenate([x.reshape(len(x), -1) for x in parts], axis=1)


def _shares(
    index: Int[Array, "image place channel"], levels: int
) -> Float[Array, "image channel level"]:
    """Share of each level among the places."""
    images, places, channels = index.shape
    rows = jnp.arange(images * channels).reshape(images, 1, channels)
    # Counted by scattering: several times faster on a CPU than comparing level by level.
    flat = (index + levels * rows).ravel()
    counts = jnp.zeros(images * channels * levels, jnp.int32).at[flat].add(1)
    return counts.reshape(images, channels, levels) / places


def _correlation(a: Array, b: Array) -> Array:
    """Correlation over height and width; 0 where one does not vary."""
    axes = (1, 2)
    a = a - jnp.mean(a, axis=axes, keepdims=True)
    b = b - jnp.mean(b, axis=axes, keepdims=True)
    scale = jnp.sqrt(jnp.mean(a * a, axes) * jnp.mean(b * b, axes))
    return jnp.mean(a * b, axes) / (scale + FLOOR**2)


# Colour


def colour(images: Images) -> Features:
    """Statistics that do not depend on where pixels are.

    For each channel: mean, standard deviation and the square roots of a histogram's 16
    shares. With three channels also the correlations of their pairs, mean and standard
    deviation of the largest minus the smallest (colourfulness), and the square roots of
    the 64 shares of a joint histogram with 4 levels a channel.
    """
    flat = images.reshape(len(images), -1, images.shape[-1])
    levels = _level(flat, LEVELS)
    parts = [flat.mean(1), flat.std(1), jnp.sqrt(_shares(levels, LEVELS))]
    if images.shape[-1] == 3:
        channel = lambda i: images[..., i]  # noqa: E731
        parts += [_correlation(channel(i), channel(j)) for i, j in PAIRS]
        chroma = flat.max(-1) - flat.min(-1)
        red, green, blue = jnp.moveaxis(_level(flat, JOINT_LEVELS), -1, 0)
        joint = (red * JOINT_LEVELS + green) * JOINT_LEVELS + blue
        parts += [chroma.mean(1), chroma.std(1)]
        parts += [jnp.sqrt(_shares(joint[..., None], JOINT_LEVELS**3))]
    return _flat(*parts)


def _level(values: Array, levels: int) -> Array:
    """Which of equal parts of 0 to 1 a value lies in."""
    return jnp.minimum((values * levels).astype(jnp.int32), levels - 1)


# Border


def border(images: Images) -> Features:
    """The outermost rows and columns against the inside.

    For each of the four sides: mean of each channel minus the inside's; log standard
    deviation along it; shares of its pixels at the grey levels 0 to 3 and 252 to 255; and
    log mean absolute differences of grey from the first line to the second, the second to
    the third, and the third to the fourth, each minus that of the inside. The inside is
    what is left without four lines all around, or the middle half if that is more.
    """
    _, height, width, _ = images.shape
    top, left = min(4, height // 4), min(4, width // 4)
    shades = grey(images)
    inside = lambda x: x[:, top : height - top, left : width - left]  # noqa: E731
    centre = jnp.mean(inside(images), axis=(1, 2))
    parts = []
    for axis in (1, 2):
        step = _log(_steps(inside(shades), axis))
        for from_end in (False, True):
            lines = _first(shades, axis, 4, from_end)
            level = jnp.round(lines[:, 0] * 255)
            apart = jnp.mean(jnp.abs(jnp.diff(lines, axis=1)), axis=-1)
            parts += [
                _first(images, axis, 1, from_end).mean((1, 2)) - centre,
                _log(lines[:, 0].std(1)),
                jnp.mean(level <= 3, 1),
                jnp.mean(level >= 252, 1),
                _log(apart) - step[:, None],
            ]
    return _flat(*parts)


def _first(values: Array, axis: int, count: int, from_end: bool) -> Array:
    """Rows (axis 1) or columns (axis 2) from one side inwards, as the second axis."""
    lines = jnp.moveaxis(values, axis, 1)
    return lines[:, : -count - 1 : -1] if from_end else lines[:, :count]


def _steps(values: Grey, axis: int) -> Float[Array, " image"]:
    """Mean absolute difference of neighbours along an axis."""
    return jnp.mean(jnp.abs(jnp.diff(values, axis=axis)), axis=(1, 2))


# Noise


def _residual(planes: Planes) -> Float[Array, "image channel inner_row inner_column"]:
    """What a binomial blur of 3 x 3 takes away; one pixel is lost at every border."""
    rows = (planes[..., :-2, :] + 2 * planes[..., 1:-1, :] + planes[..., 2:, :]) / 4
    blurred = (rows[..., :-2] + 2 * rows[..., 1:-1] + rows[..., 2:]) / 4
    return planes[..., 1:-1, 1:-1] - blurred


def noise(images: Images) -> Features:
    """What a small blur takes away, and the marks of blocks.

    The residual is the image minus its 3 x 3 binomial blur. For each channel: log standard
    deviation, log mean absolute value, log kurtosis, shares of residuals by size (bounds
    at 0.5, 1, 2, 4, 8, 16 and 32 grey levels; square roots), and mean product with itself
    moved by one and two pixels across and down and by one along both diagonals, over the
    mean square. With three channels also the correlations of their residuals. Then
    `blocking` of the grey image.
    """
    # Channels first: rows are then what a processor's vectors run along.
    # The barrier keeps XLA from computing it again within each of the sums.
    residual = lax.optimization_barrier(_residual(jnp.moveaxis(images, -1, 1)))
    size = jnp.abs(residual)
    second = jnp.mean(residual**2, axis=(2, 3))
    fourth = jnp.mean(residual**4, axis=(2, 3))
    bins = jnp.zeros(size.shape, jnp.int32)
    for bound in RESIDUALS:
        bins += size * 255 > bound
    bins = jnp.moveaxis(bins.reshape(*bins.shape[:2], -1), 1, 2)
    parts = [
        _log(jnp.sqrt(second)),
        _log(size.mean((2, 3))),
        _log(fourth, FLOOR**4) - 2 * _log(second, FLOOR**2),
        jnp.sqrt(_shares(bins, len(RESIDUALS) + 1)),
    ]
    parts += [_overlap(residual, *move) / (second + FLOOR**2) for move in MOVES]
    if residual.shape[1] == 3:
        parts += [_correlation(residual[:, i], residual[:, j]) for i, j in PAIRS]
    return _flat(*parts, blocking(grey(images)))


def _overlap(planes: Planes, down: int, across: int) -> Float[Array, "image channel"]:
    """Mean product of an image and itself moved, where they overlap."""
    *_, height, width = planes.shape
    if across < 0:
        planes, across = planes[..., ::-1], -across
    first = planes[..., : height - down, : width - across]
    return jnp.mean(first * planes[..., down:, across:], axis=(2, 3))


def blocking(values: Grey) -> Float[Array, "image phase"]:
    """Strength of edges at each phase of an 8 x 8 grid, across and then down.

    The mean absolute second difference of neighbours' steps, |step - mean of the steps
    beside it|, at columns k + 8 i, in logarithms relative to the mean of all phases. JPEG's
    blocks raise phase 7, the step over a border between blocks.

    Returns:
        16 values; phase k is the step from pixel k to k + 1.
    """
    found = []
    for axis in (2, 1):
        steps = jnp.diff(values, axis=axis)
        along = jnp.moveaxis(steps, axis, -1)
        sharp = jnp.abs(along[..., 1:-1] - (along[..., :-2] + along[..., 2:]) / 2)
        profile = jnp.mean(sharp, axis=1)
        phase = (np.arange(profile.shape[1]) + 1) % BLOCK
        means = [
            jnp.mean(profile[:, phase == k], axis=1)
            if (phase == k).any()
            else jnp.mean(profile, axis=1)
            for k in range(BLOCK)
        ]
        logs = _log(jnp.stack(means, axis=1))
        found.append(logs - jnp.mean(logs, axis=1, keepdims=True))
    return jnp.concatenate(found, axis=1)


# Spectrum


def spectrum(images: Images) -> Features:
    """Log power of the grey image by radius and by direction.

    The mean is taken away and a Hann window laid over it. Radial: mean power in 16 rings
    of equal width up to the corner's frequency, sqrt(1/2) cycles a pixel. Oriented: mean
    power in 8 sectors of 22.5 degrees, of the rings below and above 1/4 cycle a pixel, up
    to 1/2. Rings and sectors without a coefficient are left out.
    """
    values = grey(images)
    _, height, width = values.shape
    window = np.outer(np.hanning(height + 2)[1:-1], np.hanning(width + 2)[1:-1])
    window = (window / np.sqrt(np.mean(window**2))).astype(np.float32)
    values = values - jnp.mean(values, axis=(1, 2), keepdims=True)
    power = jnp.abs(jnp.fft.rfft2(values * window[None])) ** 2 / (height * width)
    masks = _bands(height, width)
    flat = power.reshape(len(power), -1)
    means = jnp.dot(flat, masks.T, precision=lax.Precision.HIGHEST)
    return _log(means, FLOOR**2)


def _bands(height: int, width: int) -> np.ndarray:
    """Weights of the coefficients of `rfft2` in each band; rows add to 1."""
    down, across = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    radius = np.hypot(down, across)
    # The mirror image of all but the first and the Nyquist column is left out.
    count = np.where((across == 0) | (2 * across == 1), 1.0, 2.0) * (radius > 0)
    ring = np.minimum((radius / np.sqrt(0.5) * RINGS).astype(int), RINGS - 1)
    angle = np.arctan2(down, across) % np.pi
    sector = np.round(angle / np.pi * SECTORS).astype(int) % SECTORS
    bands = [ring == i for i in range(RINGS)]
    for low, high in ((0, 0.25), (0.25, 0.5)):
        inside = (radius > low) & (radius <= high)
        bands += [inside & (sector == i) for i in range(SECTORS)]
    weights = np.stack([(band * count).ravel() for band in bands])
    weights = weights[weights.sum(1) > 0]
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)
