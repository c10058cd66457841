"""The ten corruptions of ImageNet-C-bar (Mintun et al. 2021), on the device, by name.

See `severities` for what corruptions share. Strengths are the published ones of
`imagenet_c_bar.csv`; lengths are shares of the side. Five of the ten are in CIFAR-10-C-bar
too, whose strengths small images take; the others keep ImageNet's. Where 255 levels are
meant the scale is 0 to 1 here. The stored set was cut off to whole levels and saved as JPEG
of quality 85; nothing of that is done here, so accuracies are not those on the stored set.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from jaxbias.arrays import RandomKey
from jaxbias.data.random_fields import from_centre, spectral_noise, turbulence
from jaxbias.data.resampling import bilinear, gaussian_matrices, separable
from jaxbias.data.severities import (
    Corruption,
    Image,
    Severity,
    at,
    finished,
    published,
    side_of,
)

Field = Float[Array, "height width"]

IMAGENET = {
    "caustic_refraction": (2.35, 3.2, 4.9, 6.6, 9.15),
    "inverse_sparkles": (1.0, 2.0, 4.0, 9.0, 10.0),
    "sparkles": (1.0, 2.0, 3.0, 5.0, 6.0),
    "perlin_noise": (4.6, 5.2, 5.8, 7.6, 8.8),
    "blue_noise_sample": (0.8, 1.6, 2.4, 4.0, 5.6),
    "plasma_noise": (4.75, 7.0, 8.5, 9.25, 10.0),
    "checkerboard_cutout": (2.0, 3.0, 4.0, 5.0, 6.0),
    "cocentric_sine_waves": (3.0, 5.0, 8.0, 9.0, 10.0),
    "single_frequency_greyscale": (1.0, 1.5, 2.0, 4.5, 5.0),
    "brownish_noise": (1.0, 2.0, 3.0, 4.0, 5.0),
}
"""Strength at severities 1 to 5; full strength is 10."""

CIFAR = IMAGENET | {
    "blue_noise_sample": (0.7, 1.4, 2.1, 3.5, 4.2),
    "checkerboard_cutout": (1.0, 2.0, 3.0, 4.0, 5.0),
    "inverse_sparkles": (1.0, 1.5, 2.5, 4.5, 5.0),
    "brownish_noise": (2.5, 4.0, 5.5, 6.5, 7.0),
    "sparkles": (0.7, 3.5, 5.6, 6.3, 7.0),
}


def _strength(name: str, image: Image, severity: Severity) -> Array:
    """As a share of the full strength."""
    return at(severity, published(image, IMAGENET[name], CIFAR[name])) / 10


def _places(size: int) -> tuple[Field, Field]:
    """Row and column of each pixel."""
    line = jnp.arange(size, dtype=jnp.float32)
    down, across = jnp.meshgrid(line, line, indexing="ij")
    return down, across


def _uniform(key: RandomKey, low: float, high: float) -> Float[Array, ""]:
    return jax.random.uniform(key, minval=low, maxval=high)


# Waves


def single_frequency_greyscale(
    key: RandomKey, image: Image, severity: Severity
) -> Image:
    """Add one grey wave of 196/255 times the strength.

    One of its frequencies is uniform in -pi to pi radians a pixel, the other no larger.
    """
    strength = _strength("single_frequency_greyscale", image, severity)
    draws = jax.random.uniform(key, (4,))
    first = np.pi * (2 * draws[0] - 1)
    second = first * (2 * draws[1] - 1)
    swapped = draws[2] < 0.5
    down, across = _places(side_of(image))
    across = across * jnp.where(swapped, second, first)
    down = down * jnp.where(swapped, first, second)
    wave = jnp.sin(across + down + 2 * np.pi * draws[3])
    return finished(image + strength * (196 / 255) * wave[..., None], severity)


def cocentric_sine_waves(key: RandomKey, image: Image, severity: Severity) -> Image:
    """Add rings about a random point, ramps of -64/255 to 64/255 times the strength.

    Rings are up to a tenth of the side wide; their radius sways by as much at most, with up
    to 10 waves around.
    """
    strength = _strength("cocentric_sine_waves", image, severity)
    side = side_of(image)
    draws = jax.random.uniform(key, (5,))
    down, across = _places(side)
    x, y = across - side * draws[0], down - side * draws[1]
    sway = side / 10 * draws[2] * jnp.sin(10 * draws[3] * jnp.arctan2(x, y))
    width = side / 10 * jnp.maximum(draws[4], 1e-6)
    ramp = ((jnp.hypot(x, y) + sway) % width) / width - 0.5
    return finished(image + strength * (128 / 255) * ramp[..., None], severity)


def plasma_noise(key: RandomKey, image: Image, severity: Severity) -> Image:
    """Mix with up to 64/255 of three fields of folded sines, one a channel.

    At full strength (1 - 64/255) of the image stays. Time is 0 to 6 pi, folds are 4 to 6,
    sharpness 1/2 to 1, and the scale 0.075 to 0.2 of the side.
    """
    strength = _strength("plasma_noise", image, severity) * (64 / 255)
    side = side_of(image)
    draws = jax.random.uniform(key, (4,))
    time, sharpness = 6 * np.pi * draws[0], 0.5 + 0.5 * draws[1]
    scale = side * (0.075 + 0.125 * draws[2])
    folds = 4 + (3 * draws[3]).astype(jnp.int32)

    def fold(i: Array, state: tuple[Field, Field]) -> tuple[Field, Field]:
        x, y = state
        frequency, slowness = 1.93**i, 1.15**i
        size = (2.25 - sharpness) ** i
        right = jnp.cos(y * frequency + time / slowness) / size
        up = jnp.sin(x * frequency + time / slowness) / size
        return x + right - 0.3 * up, y + up + 0.3 * right

    down, across = _places(side)
    x, y = lax.fori_loop(0, folds, fold, (across / scale, down / scale))
    green = jnp.sin((x + y + jnp.sin(time)) / 2)
    noise = jnp.stack([jnp.sin(x - time), green, jnp.sin(y + time)], axis=-1)
    return finished((1 - strength) * image + strength * noise, severity)


# Noise


def perlin_noise(key: RandomKey, image: Image, severity: Severity) -> Image:
    """Mix with up to half of grey turbulence: 1/2 plus half of five octaves of |noise|.

    The largest cells are 1/7 of the side. See `random_fields.gradient_noise`.
    """
    share = _strength("perlin_noise", image, severity) / 2
    side = side_of(image)
    noise = 0.5 + 0.5 * turbulence(key, side, side / 7, 5)
    noise = jnp.minimum(noise, 1.0)[..., None]
    return finished((1 - share) * image + share * noise, severity)


def brownish_noise(key: RandomKey, image: Image, severity: Severity) -> Image:
    """Add noise of deviation 64/255 times the strength to each channel.

    Amplitudes fall as 1 / (1 + f^2) with the frequency f, in cycles of the image.
    """
    strength = _strength("brownish_noise", image, severity) * (64 / 255)
    amplitude = 1 / (1 + from_centre(side_of(image)) ** 2)
    return finished(image + strength * spectral_noise(key, amplitude, 3), severity)


def blue_noise_sample(key: RandomKey, image: Image, severity: Severity) -> Image:
    """Black out pixels where blue noise is not above 3 times the strength less 2.5.

    The noise has deviation 1, and amplitudes that grow with the frequency.
    """
    threshold = 3 * _strength("blue_noise_sample", image, severity) - 2.5
    noise = spectral_noise(key, from_centre(side_of(image)), 1)
    return finished(jnp.where(noise > threshold, image, 0.0), severity)


def checkerboard_cutout(key: RandomKey, image: Image, severity: Severity) -> Image:
    """Grey out a share of the black fields of a turned chess board; strength is the share.

    Fields are 0.1 to 0.25 of the side. The grey is 128/255.
    """
    share = _strength("checkerboard_cutout", image, severity)
    side = side_of(image)
    turned, scaled, drawn = jax.random.split(key, 3)
    angle = _uniform(turned, 0.0, 2 * np.pi)
    field = side * _uniform(scaled, 0.1, 0.25)
    down, across = _places(side)
    i = (jnp.cos(angle) * down + jnp.sin(angle) * across) / field
    j = (jnp.cos(angle) * across - jnp.sin(angle) * down) / field
    # A corner of the board is the image's: up to 14.1 fields either way. Its fields are
    # numbered towards 0, so that two rows of them share their draws.
    chosen = jax.random.uniform(drawn, (32 * 32,)) < share
    number = lambda x: x.astype(jnp.int32) % 32  # noqa: E731
    cut = chosen.at[32 * number(i) + number(j)].get(mode="promise_in_bounds")
    cut &= (jnp.floor(i) + jnp.floor(j)) % 2 == 0
    return finished(jnp.where(cut[..., None], 128 / 255, image), severity)


# Light

MOST_RAYS = 199


def _sparkle(
    key: RandomKey, size: int, centre: Float[Array, "2"], radius: Array, *, least: float
) -> tuple[Field, Field]:
    """Rays about a centre: (length / distance)^2, and the share along each one's width.

    50 to 199 rays have normal lengths of a deviation of a quarter of the mean `radius`, at
    least `least`; between them lengths are interpolated.
    """
    counted, drawn = jax.random.split(key)
    rays = jax.random.randint(counted, (), 50, MOST_RAYS + 1)
    lengths = radius * (1 + 0.25 * jax.random.normal(drawn, (MOST_RAYS,)))
    lengths = jnp.maximum(lengths, least)
    down, across = _places(size)
    y, x = down - centre[0], across - centre[1]
    place = (jnp.arctan2(x, y) + np.pi) / (2 * np.pi) * rays
    ray = place.astype(jnp.int32)
    part = place - ray
    length = lambda i: lengths.at[i % rays].get(mode="promise_in_bounds")  # noqa: E731
    here = length(ray)
    here = here + part * (length(ray + 1) - here)
    return here**2 / (x**2 + y**2 + 1e-4), 1 - (part - 0.5) ** 2


def sparkles(key: RandomKey, image: Image, severity: Severity) -> Image:
    """Blend to white along the rays of five stars.

    Their mean length is a tenth of the side times the strength, at least a pixel; the share
    of white is min(1, (length / distance)^2 times `_sparkle`'s share of a ray).
    """
    strength = _strength("sparkles", image, severity)
    side = side_of(image)
    placed, drawn = jax.random.split(key)
    centres = side * jax.random.uniform(placed, (5, 2))

    def add(dark: Field, star: tuple[RandomKey, Array]) -> tuple[Field, None]:
        radius = 0.1 * side * strength
        glow, part = _sparkle(*(star[0], side), star[1], radius, least=1.0)
        return dark * (1 - jnp.minimum(glow * part, 1.0)), None

    start = jnp.ones((side, side))
    dark, _ = lax.scan(add, start, (jax.random.split(drawn, 5), centres))
    return finished(1 - dark[..., None] * (1 - image), severity)


def inverse_sparkles(key: RandomKey, image: Image, severity: Severity) -> Image:
    """Blend to white away from the rays of one star of mean length a quarter of the side.

    f = min(1, (length / distance)^(2.6 times the strength) times the ray's share) of the
    image stays. The centre lies in the middle half.
    """
    strength = _strength("inverse_sparkles", image, severity)
    side = side_of(image)
    placed, drawn = jax.random.split(key)
    centre = side * jax.random.uniform(placed, (2,), minval=0.25, maxval=0.75)
    glow, part = _sparkle(drawn, side, centre, jnp.float32(side / 4), least=-jnp.inf)
    stays = jnp.minimum(glow ** (1.3 * strength) * part, 1.0)
    return finished(1 - stays[..., None] * (1 - image), severity)


REFRACTION = 4.0


def caustic_refraction(key: RandomKey, image: Image, severity: Severity) -> Image:
    """Look through waves of water: places are moved and lit by the slope of a caustic.

    Heights are `_caustic`, blurred by sigma 1. A ray from the front is bent (index 4) and
    followed for half the side times the strength; outside the image is black. Twice the
    strength times both slopes is added. The published code rounds places to 1/1000 pixel.
    """
    strength = _strength("caustic_refraction", image, severity)
    side = side_of(image)
    timed, sized = jax.random.split(key)
    time, size = _uniform(timed, 0.5, 2.0), side * _uniform(sized, 0.75, 1.25)
    blur = jnp.asarray(gaussian_matrices(side, np.ones(1), border="reflect")[0])
    height = separable(_caustic(side, time, size)[..., None], blur, blur)[..., 0]
    wide = jnp.pad(height, 1)
    south = wide[2:, 1:-1] - wide[:-2, 1:-1]
    east = wide[1:-1, 2:] - wide[1:-1, :-2]
    # Towards the viewer is 1: the normal is (south, east, 1) over its length.
    facing = 1 / jnp.sqrt(south**2 + east**2 + 1)
    bent = jnp.sqrt(1 - (1 - facing**2) / REFRACTION**2) - facing / REFRACTION
    bent = jnp.where(facing >= 1 - 1e-3, 0.0, bent * facing * strength * side / 2)
    down, across = _places(side)
    seen = bilinear(image, down + bent * south, across + bent * east, "zero")
    light = 2 * strength * (south - east)
    return finished(seen + light[..., None], severity)


def _caustic(side: int, time: Array, size: Array) -> Field:
    """Bright lines where five rounds of folding bring points together, 0 to 1."""
    down, across = (2 * np.pi * (x / size % 1) - 250 for x in _places(side))
    y, x = down, across
    total = jnp.ones_like(x)
    for i in range(5):
        t = time * (1 - 3.5 / (i + 1))
        y, x = (
            down + jnp.cos(t - y) + jnp.sin(t + x),
            across + jnp.sin(t - x) + jnp.cos(t + y),
        )
        total += 200 / jnp.hypot(down / jnp.sin(y + t), across / jnp.cos(x + t))
    dark = 1.17 - (total / 5) ** 1.4
    return jnp.minimum(jnp.abs(dark) ** 8, 1.0)


CORRUPTIONS: dict[str, Corruption] = {
    "caustic_refraction": caustic_refraction,
    "inverse_sparkles": inverse_sparkles,
    "sparkles": sparkles,
    "perlin_noise": perlin_noise,
    "blue_noise_sample": blue_noise_sample,
    "plasma_noise": plasma_noise,
    "checkerboard_cutout": checkerboard_cutout,
    "cocentric_sine_waves": cocentric_sine_waves,
    "single_frequency_greyscale": single_frequency_greyscale,
    "brownish_noise": brownish_noise,
}
"""From the names of the benchmark's columns to (key, image, severity) -> image."""
