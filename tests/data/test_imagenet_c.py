"""Corruptions of ImageNet-C: each against a NumPy, SciPy, OpenCV or Pillow reading."""

import colorsys
import io
import math
from functools import lru_cache

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage, stats

from jaxbias.data import corruption_blur, corruption_noise, jpeg, resampling
from jaxbias.data.imagenet_c import CORRUPTIONS
from jaxbias.data.random_fields import diamond_square
from jaxbias.data.severities import at

SIDE = 64
"""Takes the constants of ImageNet."""

SEVERITIES = range(1, 6)


def picture(side):
    """Smooth with some grain, whole levels; a grey, a black and a white patch."""
    rng = np.random.default_rng(side)
    coarse = rng.uniform(0, 255, (8, 8, 3))
    smooth = ndimage.zoom(coarse, (side / 8, side / 8, 1), order=1)
    levels = np.clip(smooth + rng.normal(0, 12, smooth.shape), 0, 255).round()
    levels[2:8, 2:8], levels[2:8, 9:14], levels[9:14, 2:8] = 90, 0, 255
    return levels.astype(np.uint8)


PIXELS = picture(SIDE)
PHOTO = PIXELS / 255


@lru_cache(maxsize=64)
def program(name):
    """A seed, an image and a severity for each of several."""

    def one(parts):
        seed, image, severity = parts
        return CORRUPTIONS[name](jax.random.key(seed), image, severity)

    return jax.jit(lambda *parts: jax.lax.map(one, parts))


def ours(name, image=PHOTO, seed=0):
    """The image at severities 1 to 5, all with the same key."""
    images = jnp.asarray(np.stack([image] * 5), jnp.float32)
    found = program(name)(jnp.full(5, seed), images, jnp.arange(1, 6))
    return np.asarray(found, np.float64)


# What all have in common

ORDERED = (
    *("gaussian_noise", "shot_noise", "impulse_noise", "speckle_noise"),
    *("gaussian_blur", "defocus_blur", "motion_blur", "zoom_blur"),
    *("brightness", "contrast", "jpeg_compression"),
)
"""Those whose constants go one way."""


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_images_stay_images_and_grow_worse(name):
    found = ours(name)
    assert found.shape == (5, SIDE, SIDE, 3)
    assert found.min() >= 0 and found.max() <= 1
    change = ((found - PHOTO) ** 2).mean((1, 2, 3))
    assert (change > 1e-5).all()
    if name in ORDERED:
        assert (np.diff(change) > 0).all(), change
    elif name != "elastic_transform":
        assert change[4] > change[0], change


def test_names_are_those_of_the_benchmark():
    assert len(CORRUPTIONS) == 19
    assert {"gaussian_noise", "jpeg_compression", "elastic_transform"} <= set(
        CORRUPTIONS
    )


def test_other_severities_are_not_a_number():
    image = jnp.asarray(PHOTO, jnp.float32)
    for severity in (0, 6):
        found = CORRUPTIONS["contrast"](jax.random.key(0), image, severity)
        assert np.isnan(found).all()


def test_images_must_be_squares():
    for shape in ((20, 24, 3), (8, 8, 3)):
        with pytest.raises(ValueError, match="squares of at least 16 pixels"):
            CORRUPTIONS["gaussian_noise"](jax.random.key(0), jnp.zeros(shape), 1)


@pytest.mark.slow
def test_eager_is_compiled_and_vmap_is_a_loop():
    images = jnp.asarray(np.stack([PHOTO] * 5), jnp.float32)
    seeds, severities = jnp.arange(5), jnp.arange(1, 6)
    for name in ("impulse_noise", "motion_blur", "glass_blur"):

        def apply(seed, image, severity, name=name):
            return CORRUPTIONS[name](jax.random.key(seed), image, severity)

        looped = program(name)(seeds, images, severities)
        wide = jax.jit(jax.vmap(apply))(seeds, images, severities)
        np.testing.assert_allclose(wide, looped, atol=1e-5)
        np.testing.assert_allclose(apply(1, images[1], 2), looped[1], atol=1e-5)


# Noise


@pytest.mark.parametrize("side", [32, SIDE])
def test_normal_noise_has_the_published_deviations(side):
    grey = np.full((side, side, 3), 0.5)
    small = side == 32
    gaussian = (
        (0.04, 0.06, 0.08, 0.09, 0.1) if small else (0.08, 0.12, 0.18, 0.26, 0.38)
    )
    speckle = (0.06, 0.1, 0.12, 0.16, 0.2) if small else (0.15, 0.2, 0.35, 0.45, 0.6)
    # What is cut off lies beyond the quartiles.
    inner = stats.norm.ppf(0.75)
    for name, scale, table in (
        ("gaussian_noise", 1, gaussian),
        ("speckle_noise", 0.5, speckle),
    ):
        for found, deviation in zip(ours(name, grey), table, strict=True):
            low, high = np.quantile(found - 0.5, (0.25, 0.75)) / (scale * deviation)
            # A quartile's own deviation is 1.36 over the root of the count.
            error = max(abs(low + inner), abs(high - inner))
            assert error < 5 * 1.36 / math.sqrt(grey.size)


def test_photons_are_counted():
    for level in (0.1, 0.8):
        flat = np.full((SIDE, SIDE, 3), level)
        for found, most in zip(
            ours("shot_noise", flat), (60, 25, 12, 5, 3), strict=True
        ):
            counts = np.round(found * most)
            np.testing.assert_allclose(found * most, counts, atol=1e-4)
            values = np.arange(most)
            expected = stats.poisson.pmf(values, level * most)
            share = (counts.reshape(-1, 1) == values).mean(0)
            assert np.abs(share - expected).max() < 5 * 0.5 / np.sqrt(counts.size)
            # Larger counts are white.
            white = (counts == most).mean() - stats.poisson.sf(most - 1, level * most)
            assert abs(white) < 5 * 0.5 / np.sqrt(counts.size)


def test_poisson_numbers_have_their_moments_up_to_large_rates():
    rates = np.repeat([0.0, 0.02, 3.0, 64.0], 20_000).astype(np.float32)
    draws = np.asarray(corruption_noise.poisson(jax.random.key(1), jnp.asarray(rates)))
    for rate, found in zip((0, 0.02, 3, 64), draws.reshape(4, -1), strict=True):
        assert abs(found.mean() - rate) <= 5 * math.sqrt(rate / 20_000)
        spread = 5 * math.sqrt((rate + 2 * rate**2) / 20_000)
        assert abs(found.var() - rate) <= spread


def test_impulses_are_salt_and_pepper():
    flat = np.full((SIDE, SIDE, 3), 0.3)
    shares = (0.03, 0.06, 0.09, 0.17, 0.27)
    for found, share in zip(ours("impulse_noise", flat), shares, strict=True):
        assert set(np.unique(found.round(6))) == {0, 0.3, 1}
        for value in (0, 1):
            error = (found == value).mean() - share / 2
            assert abs(error) < 5 * math.sqrt(share / 2 / found.size)


# Blur


def channels(function, image):
    return np.stack([function(image[..., i]) for i in range(3)], axis=-1)


def gaussian(sigma, image):
    """scikit-image's defaults."""
    blur = lambda x: ndimage.gaussian_filter(x, sigma, mode="nearest")  # noqa: E731
    return channels(blur, image)


@pytest.mark.parametrize("side", [32, SIDE])
def test_gaussian_blur_is_scipys(side):
    photo = picture(side) / 255
    sigmas = (0.4, 0.6, 0.7, 0.8, 1) if side == 32 else (1, 2, 3, 4, 6)
    for found, sigma in zip(ours("gaussian_blur", photo), sigmas, strict=True):
        np.testing.assert_allclose(found, gaussian(sigma, photo), atol=2e-6)


@pytest.mark.parametrize("side", [32, SIDE])
def test_disks_are_opencvs(side):
    photo = picture(side) / 255
    imagenet = ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5))
    cifar = ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1))
    constants = cifar if side == 32 else imagenet
    for found, (radius, sigma) in zip(
        ours("defocus_blur", photo), constants, strict=True
    ):
        reach, taps = (8, 3) if radius <= 8 else (radius, 5)
        x, y = np.meshgrid(*[np.arange(-reach, reach + 1)] * 2)
        disk = (x**2 + y**2 <= radius**2).astype(np.float32)
        kernel = cv2.GaussianBlur(disk / disk.sum(), (taps, taps), sigmaX=sigma)
        np.testing.assert_allclose(found, cv2.filter2D(photo, -1, kernel), atol=3e-6)


def test_copies_are_those_of_a_loop():
    side, reach = 24, 3
    rng = np.random.default_rng(0)
    down, right = rng.integers(-reach, reach, (2, side, side))
    values = np.arange(side**2).reshape(side, side, 1).repeat(3, -1)
    for i in range(side - reach, reach, -1):
        for j in range(side - reach, reach, -1):
            a, b = i + down[i, j], j + right[i, j]
            # The published statement: what looks like a swap of two views is a copy.
            values[i, j], values[a, b] = values[a, b], values[i, j]
    moves = (jnp.asarray(x, jnp.int32) for x in (down, right))
    found = corruption_blur.copied(*moves, jnp.int32(reach))
    np.testing.assert_array_equal(np.asarray(found).reshape(side, side), values[..., 0])
    # Chains of several copies are what makes this hard.
    far = np.abs(values[..., 0] - np.arange(side**2).reshape(side, side))
    assert far.max() > 4 * side


def test_glass_moves_pixels_between_two_blurs():
    constants = ((0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2))
    for found, (sigma, reach, rounds) in zip(
        ours("glass_blur", seed=5), constants, strict=True
    ):
        soft = gaussian(sigma, PHOTO).reshape(-1, 3)
        source = np.arange(SIDE**2)
        for i in range(rounds):
            key = jax.random.fold_in(jax.random.key(5), i)
            bits = np.asarray(jax.random.bits(key, (SIDE, SIDE))).astype(np.int64)
            moves = [(x * 2 * reach >> 16) - reach for x in (bits >> 16, bits & 65535)]
            assert min(x.min() for x in moves) == -reach
            assert max(x.max() for x in moves) == reach - 1
            moves = (jnp.asarray(x, jnp.int32) for x in moves)
            source = source[
                np.asarray(corruption_blur.copied(*moves, jnp.int32(reach)))
            ]
        expected = gaussian(sigma, soft[source].reshape(PHOTO.shape))
        np.testing.assert_allclose(found, expected, atol=3e-6)


def streak(image, radius, sigma, angle):
    """ImageMagick's, pixel by pixel of the kernel."""
    weights = np.exp(-(np.arange(2 * radius + 1) ** 2) / (2 * sigma**2))
    weights /= weights.sum()
    row, column = np.mgrid[: image.shape[0], : image.shape[1]]
    total = np.zeros_like(image)
    for i, weight in enumerate(weights):
        down = math.ceil(i * math.sin(math.radians(angle)) - 0.5)
        right = math.ceil(i * math.cos(math.radians(angle)) - 0.5)
        a = np.clip(row + down, 0, len(image) - 1)
        b = np.clip(column + right, 0, image.shape[1] - 1)
        total += weight * image[a, b]
    return total


@pytest.mark.parametrize("side", [32, SIDE])
def test_motion_is_imagemagicks_line(side):
    photo = picture(side) / 255
    angle = float(jax.random.uniform(jax.random.key(0), minval=-45.0, maxval=45.0))
    imagenet = ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15))
    cifar = ((6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5))
    constants = cifar if side == 32 else imagenet
    for found, (radius, sigma) in zip(
        ours("motion_blur", photo), constants, strict=True
    ):
        expected = streak(photo, radius, sigma, angle)
        np.testing.assert_allclose(found, expected, atol=3e-6)


def test_motion_goes_down_too():
    down = resampling.streaked(
        jnp.asarray(PHOTO, jnp.float32),
        *(jnp.float32(x) for x in (5, 2, 100)),
        longest=7,
    )
    np.testing.assert_allclose(down, streak(PHOTO, 5, 2, 100), atol=3e-6)


def clipped_zoom(image, factor):
    """The middle of the middle, enlarged by SciPy."""
    side = len(image)
    crop = math.ceil(side / factor)
    top = (side - crop) // 2
    middle = image[top : top + crop, top : top + crop]
    large = ndimage.zoom(middle, (factor, factor, 1), order=1)
    trim = (len(large) - side) // 2
    return large[trim : trim + side, trim : trim + side]


@pytest.mark.parametrize("side", [32, SIDE])
def test_zooms_are_scipys(side):
    photo = picture(side) / 255
    imagenet = ((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03))
    cifar = tuple((stop, 0.01) for stop in (1.06, 1.11, 1.16, 1.21, 1.26))
    constants = cifar if side == 32 else imagenet
    for found, (stop, step) in zip(ours("zoom_blur", photo), constants, strict=True):
        factors = np.arange(1, stop, step)
        parts = [photo, *(clipped_zoom(photo, factor) for factor in factors)]
        np.testing.assert_allclose(found, np.mean(parts, axis=0), atol=3e-6)


# Weather


def test_snow_is_what_its_definition_says():
    constants = (
        (0.1, 0.3, 3, 0.5, 10, 4, 0.8),
        (0.2, 0.3, 2, 0.5, 12, 4, 0.7),
        (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
        (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
        (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
    )
    flakes, wind = jax.random.split(jax.random.key(0))
    noise = np.asarray(jax.random.normal(flakes, (SIDE**2,))).reshape(SIDE, SIDE, 1)
    angle = float(jax.random.uniform(wind, minval=-135.0, maxval=-45.0))
    grey = PHOTO @ (0.299, 0.587, 0.114)
    for found, row in zip(ours("snow"), constants, strict=True):
        mean, deviation, factor, least, radius, sigma, kept = row
        layer = clipped_zoom(mean + deviation * noise, factor)
        layer = np.clip(np.where(layer < least, 0, layer), 0, 1)
        layer = streak(layer, radius, sigma, angle)
        white = np.maximum(PHOTO, 1.5 * grey[..., None] + 0.5)
        expected = kept * PHOTO + (1 - kept) * white + layer + np.rot90(layer, 2)
        np.testing.assert_allclose(found, np.clip(expected, 0, 1), atol=1e-5)


def plasma(draws, size, decay):
    """Diamond-square in place, on a torus."""
    field, used, step, amplitude = np.zeros((size, size)), 0, size, 1.0
    while step >= 2:
        half, count = step // 2, size // step
        noise = draws[used : used + 3 * count**2].reshape(3, count, count) * amplitude
        used += 3 * count**2
        for i in range(count):
            for j in range(count):
                y, x = i * step, j * step
                ends = [(y, x), (y + step, x), (y, x + step), (y + step, x + step)]
                mean = np.mean([field[a % size, b % size] for a, b in ends])
                field[y + half, x + half] = mean + noise[0, i, j]
        for i in range(count):
            for j in range(count):
                for k, (y, x) in enumerate(
                    ((i * step, j * step + half), (i * step + half, j * step)), 1
                ):
                    ends = [(y - half, x), (y + half, x), (y, x - half), (y, x + half)]
                    mean = np.mean([field[a % size, b % size] for a, b in ends])
                    field[y, x] = mean + noise[k, i, j]
        step, amplitude = half, amplitude / decay**2
    return (field - field.min()) / np.ptp(field)


def test_fog_is_a_plasma_fractal():
    draws = jax.random.uniform(jax.random.key(0), (SIDE**2 - 1,), minval=-1.0)
    draws = np.asarray(draws, np.float64)
    constants = ((1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4))
    top = PHOTO.max()
    for found, (amount, decay) in zip(ours("fog"), constants, strict=True):
        mist = amount * plasma(draws, SIDE, decay)[..., None]
        expected = np.clip((PHOTO + mist) * top / (top + amount), 0, 1)
        np.testing.assert_allclose(found, expected, atol=1e-5)
    # Of a size that is no power of two the corner of a larger field is seen.
    corner = np.asarray(diamond_square(jax.random.key(0), 40, 1.5))
    np.testing.assert_allclose(corner, plasma(draws, SIDE, 1.5)[:40, :40], atol=1e-5)


def test_frost_is_the_same_texture_at_all_severities():
    constants = ((1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75))
    dark = np.zeros((SIDE, SIDE, 3))
    ice = ours("frost", dark)[0] / 0.4
    assert 0.2 < ice.mean() < 0.6 and ice.std() > 0.1
    assert ice[..., 2].mean() > ice[..., 0].mean()
    for found, (kept, added) in zip(ours("frost"), constants, strict=True):
        expected = np.clip(kept * PHOTO + added * ice, 0, 1)
        np.testing.assert_allclose(found, expected, atol=1e-5)


def liquid_of(row, noise):
    mean, deviation, sigma, least = row[:4]
    liquid = ndimage.gaussian_filter(mean + deviation * noise, sigma, mode="nearest")
    return np.where(liquid < least, 0, liquid)


def water(image, row, noise, exact):
    """The published chain of OpenCV's functions, on exact distances or as published."""
    depth = (liquid_of(row, noise) * 255).astype(np.uint8)
    rims = 255 - cv2.Canny(depth, 50, 150)
    size = cv2.DIST_MASK_PRECISE if exact else 5
    distance = np.minimum(cv2.distanceTransform(rims, cv2.DIST_L2, size), 20)
    levels = cv2.equalizeHist(cv2.blur(distance, (3, 3)).astype(np.uint8))
    slope = np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]])
    light = cv2.blur(cv2.filter2D(levels, cv2.CV_8U, slope), (3, 3)) * 1.0
    light = depth * light
    light *= row[4] / light.max()
    return np.clip(image + light[..., None] * np.array((175, 238, 238)) / 255, 0, 1)


def test_spatter_is_water_or_mud():
    constants = (
        (0.65, 0.3, 4, 0.69, 0.6),
        (0.65, 0.3, 3, 0.68, 0.6),
        (0.65, 0.3, 2, 0.68, 0.5),
        (0.65, 0.3, 1, 0.65, 1.5),
        (0.67, 0.4, 1, 0.65, 1.5),
    )
    noise = np.asarray(jax.random.normal(jax.random.key(0), (SIDE**2,)), np.float64)
    noise = noise.reshape(SIDE, SIDE)
    found = ours("spatter")
    for image, row in zip(found[:3], constants, strict=False):
        assert (np.abs(image - water(PHOTO, row, noise, True)) > 2e-3).mean() < 0.01
        change = np.abs(image - PHOTO).mean()
        error = np.abs(image - water(PHOTO, row, noise, False)).mean()
        assert change > 0.003 and error < 0.25 * change, error / change
    for image, row in zip(found[3:], constants[3:], strict=True):
        mask = (liquid_of(row, noise) > row[3]).astype(float)
        cover = ndimage.gaussian_filter(mask, row[4], mode="nearest")[..., None]
        # Within rounding of the bound either will do.
        sure = np.abs(cover[..., 0] - 0.8) > 1e-5
        cover = np.where(cover < 0.8, 0, cover)
        expected = PHOTO * (1 - cover) + cover * np.array((63, 42, 20)) / 255
        np.testing.assert_allclose(image[sure], expected[sure], atol=1e-5)


# Digital


def in_hsv(change):
    flat = [change(*colorsys.rgb_to_hsv(*pixel)) for pixel in PHOTO.reshape(-1, 3)]
    return np.reshape([colorsys.hsv_to_rgb(*pixel) for pixel in flat], PHOTO.shape)


def test_brightness_and_saturation_are_those_of_hsv():
    pairs = ((0.3, 0), (0.1, 0), (2, 0), (5, 0.1), (20, 0.2))
    bright, strong = ours("brightness"), ours("saturate")
    for i, (factor, extra) in enumerate(pairs):
        more = 0.1 * (i + 1)
        expected = in_hsv(lambda h, s, v, more=more: (h, s, min(v + more, 1)))
        np.testing.assert_allclose(bright[i], expected, atol=1e-5)
        expected = in_hsv(lambda h, s, v, f=factor, e=extra: (h, min(s * f + e, 1), v))
        np.testing.assert_allclose(strong[i], expected, atol=1e-5)


def test_contrast_shrinks_towards_each_channels_mean():
    mean = PHOTO.mean((0, 1), keepdims=True)
    for found, share in zip(ours("contrast"), (0.4, 0.3, 0.2, 0.1, 0.05), strict=True):
        np.testing.assert_allclose(found, mean + share * (PHOTO - mean), atol=2e-6)


@pytest.mark.parametrize("side", [32, SIDE, 224])
def test_boxes_are_pillows(side):
    pixels = picture(side)
    imagenet, cifar = (0.6, 0.5, 0.4, 0.3, 0.25), (0.95, 0.9, 0.85, 0.75, 0.65)
    shares = cifar if side == 32 else imagenet
    for found, share in zip(ours("pixelate", pixels / 255), shares, strict=True):
        small = Image.fromarray(pixels).resize(
            [int(side * share)] * 2, Image.Resampling.BOX
        )
        expected = np.asarray(small.resize((side, side), Image.Resampling.BOX))
        # Pillow rounds twice on the way.
        assert np.abs(found * 255 - expected).max() < 1.01


def test_elastic_is_an_affine_and_a_smooth_warp():
    shares = ((2, 0.7, 0.1), (2, 0.08, 0.2), (0.05, 0.01, 0.02))
    shares += ((0.07, 0.01, 0.02), (0.12, 0.01, 0.02))
    points, field = jax.random.split(jax.random.key(0))
    draws = np.asarray(jax.random.uniform(points, (3, 2), minval=-1.0), np.float64)
    noise = np.asarray(jax.random.uniform(field, (2 * SIDE**2,), minval=-1.0))
    noise = noise.reshape(SIDE, SIDE, 2).astype(np.float64)
    row, column = np.mgrid[:SIDE, :SIDE].astype(float)
    for found, share in zip(ours("elastic_transform"), shares, strict=True):
        strength, sigma, shift = SIDE * 244 / 224 * np.array(share)
        centre, reach = SIDE // 2, SIDE // 3
        corners = centre + reach * np.array([[1, 1], [1, -1], [-1, -1]])
        moved = corners + shift * draws
        pairs = (x.astype(np.float32) for x in (corners, moved))
        full = np.vstack([cv2.getAffineTransform(*pairs), (0, 0, 1)])
        x, y = (np.linalg.inv(full) @ [column.ravel(), row.ravel(), np.ones(SIDE**2)])[
            :2
        ]
        look = lambda image, y, x, mode: channels(  # noqa: E731
            lambda c: ndimage.map_coordinates(c, (y, x), order=1, mode=mode), image
        )
        tilted = look(PHOTO, y, x, "mirror").reshape(PHOTO.shape)
        dy, dx = (
            strength * ndimage.gaussian_filter(n, sigma, mode="reflect", truncate=3)
            for n in (noise[..., 0], noise[..., 1])
        )
        expected = look(tilted, row + dy, column + dx, "reflect")
        np.testing.assert_allclose(found, expected, atol=2e-3)
        assert np.abs(found - expected).mean() < 2e-5


def through_pillow(pixels, quality):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file), np.float64)


@pytest.mark.parametrize("side", [32, SIDE, 224])
def test_jpeg_is_pillows_but_for_a_few_blocks(side):
    qualities = (80, 65, 58, 50, 40) if side == 32 else (25, 18, 15, 10, 7)
    pixels = picture(side)
    for found, quality in zip(
        ours("jpeg_compression", pixels / 255), qualities, strict=True
    ):
        levels = found * 255
        np.testing.assert_allclose(levels, levels.round(), atol=1e-3)
        error = np.abs(levels - through_pillow(pixels, quality))
        # Now and then a coefficient is rounded the other way, which changes its block
        # (6 % of 32 pixels squared). The loss is 11 to 19 levels.
        assert error.mean() < 0.1 and (error > 1.5).mean() < 0.03


def test_tables_of_jpeg_are_pillows():
    for quality in (1, 7, 49, 50, 75, 100):
        file = io.BytesIO()
        Image.fromarray(PIXELS).save(file, "JPEG", quality=quality)
        found = jpeg.quantisation(quality)
        stored = Image.open(file).quantization
        for ours_, theirs in zip(found, (stored[0], stored[1]), strict=True):
            np.testing.assert_array_equal(ours_.ravel(), theirs)
    with pytest.raises(ValueError, match="quality must be 1 to 100"):
        jpeg.quantisation(0)


# Small images


def test_small_images_take_the_constants_of_cifar():
    photo = picture(32) / 255
    mean = photo.mean((0, 1), keepdims=True)
    shares = (0.75, 0.5, 0.4, 0.3, 0.15)
    for found, share in zip(ours("contrast", photo), shares, strict=True):
        np.testing.assert_allclose(found, mean + share * (photo - mean), atol=2e-6)
    noisy = ours("shot_noise", np.full((32, 32, 3), 0.8))
    for found, most in zip(noisy, (500, 250, 100, 75, 50), strict=True):
        assert abs(found.mean() - 0.8) < 5 * math.sqrt(0.8 / most / found.size)
        # White cuts some off where few photons are counted.
        if most >= 250:
            assert 0.93 < found.var() * most / 0.8 < 1.07


def test_tables_are_looked_up_from_1():
    table = np.arange(5.0)
    assert [float(at(s, table)) for s in SEVERITIES] == [0, 1, 2, 3, 4]
