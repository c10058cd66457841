"""Corruptions of ImageNet-C-bar: each against a slow NumPy reading of its definition."""

import math
from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from jaxbias.data import random_fields
from jaxbias.data.imagenet_c_bar import CORRUPTIONS

SIDE = 56
"""Takes the strengths of ImageNet."""

STRENGTHS = {
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


def picture(side):
    rng = np.random.default_rng(side)
    smooth = ndimage.zoom(
        rng.uniform(0, 1, (8, 8, 3)), (side / 8, side / 8, 1), order=1
    )
    return np.clip(smooth + rng.normal(0, 0.05, smooth.shape), 0, 1)


PHOTO = picture(SIDE)


@lru_cache(maxsize=32)
def program(name):
    def one(parts):
        seed, image, severity = parts
        return CORRUPTIONS[name](jax.random.key(seed), image, severity)

    return jax.jit(lambda *parts: jax.lax.map(one, parts))


def ours(name, image=PHOTO, seed=0):
    """The image at severities 1 to 5, all with the same key."""
    images = jnp.asarray(np.stack([image] * 5), jnp.float32)
    found = program(name)(jnp.full(5, seed), images, jnp.arange(1, 6))
    return np.asarray(found, np.float64)


def uniform(key, count, low=0.0, high=1.0):
    draws = jax.random.uniform(key, (count,), minval=low, maxval=high)
    return np.asarray(draws, np.float64)


def places():
    return np.mgrid[:SIDE, :SIDE].astype(np.float64)


def close(found, expected, *, share=0.0, atol=2e-3):
    """Equal but for a share of pixels, of those that lie on an edge of something."""
    wrong = np.abs(found - np.clip(expected, 0, 1)).max(-1) > atol
    assert wrong.mean() <= share, wrong.mean()


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_images_stay_images_and_grow_worse(name):
    found = ours(name)
    assert found.shape == (5, SIDE, SIDE, 3)
    assert found.min() >= 0 and found.max() <= 1
    change = ((found - PHOTO) ** 2).mean((1, 2, 3))
    # More light may make up for refraction; all others are mixed in by their strength.
    assert (np.diff(change) > 0).all() or name == "caustic_refraction", change
    other = ours(name, seed=1)
    assert np.abs(other - found).max() > 0.01


def test_names_are_those_of_the_benchmark():
    assert set(CORRUPTIONS) == set(STRENGTHS)


def test_a_wave_has_one_frequency():
    draws = uniform(jax.random.key(0), 4)
    low, high = sorted(
        (
            math.pi * (2 * draws[0] - 1),
            math.pi * (2 * draws[0] - 1) * (2 * draws[1] - 1),
        ),
        key=abs,
    )
    down, across = places()
    x, y = (low, high) if draws[2] < 0.5 else (high, low)
    wave = np.sin(x * across + y * down + 2 * math.pi * draws[3])[..., None]
    strengths = STRENGTHS["single_frequency_greyscale"]
    for found, strength in zip(
        ours("single_frequency_greyscale"), strengths, strict=True
    ):
        close(found, PHOTO + 196 / 255 * strength / 10 * wave)


def test_rings_are_ramps():
    draws = uniform(jax.random.key(0), 5)
    down, across = places()
    x, y = across - SIDE * draws[0], down - SIDE * draws[1]
    angle = np.arctan2(x, y) * 10 * draws[3]
    width = SIDE / 10 * draws[4]
    radius = np.sqrt(x**2 + y**2) + np.sin(angle) * SIDE / 10 * draws[2]
    ramp = (radius % width / width - 0.5)[..., None]
    strengths = STRENGTHS["cocentric_sine_waves"]
    for found, strength in zip(ours("cocentric_sine_waves"), strengths, strict=True):
        close(found, PHOTO + 128 / 255 * strength / 10 * ramp, share=0.002)


def folded(x, y, time, folds, sharpness, scale):
    x, y = x / scale, y / scale
    i = np.array([1.0, 1.0, 1.0])
    for _ in range(folds):
        r = np.cos(y * i[0] + time / i[1]) / i[2], np.sin(x * i[0] + time / i[1]) / i[2]
        x, y = x + r[0] - 0.3 * r[1], y + r[1] + 0.3 * r[0]
        i *= (1.93, 1.15, 2.25 - sharpness)
    return np.sin(x - time), np.sin((x + y + np.sin(time)) * 0.5), np.sin(y + time)


@pytest.mark.parametrize("seed", range(3))
def test_plasma_is_folded_sines(seed):
    draws = uniform(jax.random.key(seed), 4)
    down, across = places()
    noise = folded(
        *(across, down),
        time=6 * math.pi * draws[0],
        folds=4 + int(3 * draws[3]),
        sharpness=0.5 + draws[1] / 2,
        scale=SIDE * (0.075 + 0.125 * draws[2]),
    )
    found = ours("plasma_noise", seed=seed)
    for image, strength in zip(found, STRENGTHS["plasma_noise"], strict=True):
        share = strength / 10 * 64 / 255
        close(image, (1 - share) * PHOTO + share * np.stack(noise, -1))


def corner_noise(slopes, y, x):
    """Perlin's noise at one place from the four slopes around it."""
    i, j = int(y), int(x)
    curve = lambda t: t * t * (3 - 2 * t)  # noqa: E731
    total = 0.0
    for a in (i, i + 1):
        for b in (j, j + 1):
            weight = curve(1 - abs(y - a)) * curve(1 - abs(x - b))
            total += weight * (slopes[0, a, b] * (y - a) + slopes[1, a, b] * (x - b))
    return 1.5 * total


def test_gradient_noise_is_perlins():
    size, cell = 24, 5.0
    found = np.asarray(random_fields.gradient_noise(jax.random.key(0), size, cell))
    nodes = int((size - 1) / cell) + 2
    slopes = uniform(jax.random.key(0), 2 * nodes**2, -1.0).reshape(2, nodes, nodes)
    slopes /= np.sqrt((slopes**2).sum(0))
    expected = [
        [corner_noise(slopes, y / cell, x / cell) for x in range(size)]
        for y in range(size)
    ]
    np.testing.assert_allclose(found, expected, atol=3e-6)
    assert np.abs(found[::5, ::5]).max() < 1e-6


def test_perlin_noise_is_mixed_in():
    octaves = jax.random.split(jax.random.key(0), 5)
    total = sum(
        np.abs(random_fields.gradient_noise(key, SIDE, SIDE / 7 / 2**i)) / 2**i
        for i, key in enumerate(octaves)
    )
    noise = np.clip(0.5 + 0.5 * np.asarray(total, np.float64), 0, 1)[..., None]
    strengths = STRENGTHS["perlin_noise"]
    for found, strength in zip(ours("perlin_noise"), strengths, strict=True):
        share = strength / 20
        close(found, (1 - share) * PHOTO + share * noise, atol=1e-5)


def coloured(key, power, count):
    """The published spectrum: phases on one half, and upside down on the other."""
    size = len(power)
    half = uniform(key, count * size * (size // 2), 0.0, 2 * np.pi)
    fields = []
    for row in half.reshape(count, -1):
        phases = np.concatenate([row, np.zeros(size % 2), row[::-1]])
        spectrum = power * np.exp(1j * phases.reshape(size, size))
        spectrum = np.roll(spectrum, (size // 2, size // 2), (0, 1))
        field = np.real(np.fft.ifft2(spectrum))
        fields.append(field / field.std())
    return np.stack(fields, axis=-1)


def test_coloured_noise_has_the_published_spectrum():
    down, across = places() - SIDE / 2
    distance = np.sqrt(down**2 + across**2)
    blue = coloured(jax.random.key(0), distance, 1)
    found = ours("blue_noise_sample")
    for image, strength in zip(found, STRENGTHS["blue_noise_sample"], strict=True):
        threshold = strength * 0.3 - 2.5
        close(image, PHOTO * (blue > threshold), share=0.001)
    brown = coloured(jax.random.key(0), 1 / (distance**2 + 1), 3)
    found = ours("brownish_noise")
    for image, strength in zip(found, STRENGTHS["brownish_noise"], strict=True):
        close(image, PHOTO + 64 / 255 * strength / 10 * brown, atol=1e-5)


def test_coloured_noise_of_an_odd_side():
    amplitude = random_fields.from_centre(17)
    found = random_fields.spectral_noise(jax.random.key(2), amplitude, 2)
    half = uniform(jax.random.key(2), 2 * (17**2 // 2), 0.0, 2 * np.pi).reshape(2, -1)
    for i, row in enumerate(half):
        phases = np.concatenate([row, [0.0], row[::-1]]).reshape(17, 17)
        spectrum = np.roll(amplitude * np.exp(1j * phases), (8, 8), (0, 1))
        field = np.fft.ifft2(spectrum).real
        np.testing.assert_allclose(found[..., i], field / field.std(), atol=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_fields_of_a_turned_board_are_cut_out(seed):
    turned, scaled, drawn = jax.random.split(jax.random.key(seed), 3)
    angle = float(jax.random.uniform(turned, maxval=2 * np.pi))
    field = SIDE * float(jax.random.uniform(scaled, minval=0.1, maxval=0.25))
    draws = uniform(drawn, 32 * 32).reshape(32, 32)
    found = ours("checkerboard_cutout", seed=seed)
    for image, strength in zip(found, STRENGTHS["checkerboard_cutout"], strict=True):
        expected = PHOTO.copy()
        for y in range(SIDE):
            for x in range(SIDE):
                i = (math.cos(angle) * y + math.sin(angle) * x) / field
                j = (math.cos(angle) * x - math.sin(angle) * y) / field
                chosen = draws[int(i), int(j)] < strength / 10
                if int(i % 2) == int(j % 2) and chosen:
                    expected[y, x] = 128 / 255
        close(image, expected, share=0.002)


def rays(key, centre, radius, least):
    """(length / distance)^2 and share of a ray at each pixel, one by one."""
    counted, drawn = jax.random.split(key)
    count = int(jax.random.randint(counted, (), 50, 200))
    lengths = radius * (1 + 0.25 * np.asarray(jax.random.normal(drawn, (199,))))
    lengths = np.maximum(lengths, least)[:count]
    glow, part = np.zeros((2, SIDE, SIDE))
    for y in range(SIDE):
        for x in range(SIDE):
            dy, dx = y - centre[0], x - centre[1]
            d = (math.atan2(dx, dy) + math.pi) / (2 * math.pi) * count
            i, f = int(d), d - int(d)
            here, there = lengths[i % count], lengths[(i + 1) % count]
            glow[y, x] = (here + f * (there - here)) ** 2 / (dy**2 + dx**2 + 1e-4)
            part[y, x] = 1 - (f - 0.5) ** 2
    return glow, part


def test_sparkles_are_blended_one_after_another():
    strength = STRENGTHS["sparkles"][4]
    placed, drawn = jax.random.split(jax.random.key(0))
    centres = SIDE * uniform(placed, 10).reshape(5, 2)
    expected = PHOTO
    for key, centre in zip(jax.random.split(drawn, 5), centres, strict=True):
        glow, part = rays(key, centre, 0.1 * SIDE * strength / 10, 1.0)
        share = np.clip(glow * part, 0, 1)[..., None]
        expected = expected + share * (1 - expected)
    # Where rays meet, place and length are those of one or the other.
    close(ours("sparkles")[4], expected, share=0.002)


def test_inverse_sparkles_keep_the_image_within_rays():
    placed, drawn = jax.random.split(jax.random.key(0))
    centre = SIDE * uniform(placed, 2, 0.25, 0.75)
    glow, part = rays(drawn, centre, SIDE / 4, -np.inf)
    strengths = STRENGTHS["inverse_sparkles"]
    for found, strength in zip(ours("inverse_sparkles"), strengths, strict=True):
        stays = np.clip(glow ** (0.13 * strength) * part, 0, 1)[..., None]
        close(found, 1 + stays * (PHOTO - 1), share=0.002)


def caustic(y, x, time, size):
    """Brightness at the bottom of a pool, one place."""
    p = np.array([y, x]) / size % 1 * 2 * np.pi - 250
    i, c = p.copy(), 1.0
    for n in range(1, 6):
        t = time * (1 - 3.5 / n)
        i = p + (
            np.cos(t - i[0]) + np.sin(t + i[1]),
            np.sin(t - i[1]) + np.cos(t + i[0]),
        )
        bend = np.sin(i[0] + t) / 0.005, np.cos(i[1] + t) / 0.005
        c += 1 / np.hypot(p[0] / bend[0], p[1] / bend[1])
    return np.clip(np.abs(1.17 - (c / 5) ** 1.4) ** 8, 0, 1)


def refracted(normal, index):
    """Snell's law for a ray along the third axis, by rotation."""
    incident = np.array([0.0, 0.0, 1.0])
    if normal[2] >= 1 - 1e-3:
        return incident
    angle = np.arccos(normal[2])
    bent = np.arcsin(np.sin(angle) / index)
    side = np.cross(incident, normal)
    side /= np.linalg.norm(side)
    return np.cos(bent) * normal + np.sin(bent) * np.cross(normal, side)


def test_caustics_refract_and_light():
    timed, sized = jax.random.split(jax.random.key(0))
    time = float(jax.random.uniform(timed, minval=0.5, maxval=2.0))
    size = SIDE * float(jax.random.uniform(sized, minval=0.75, maxval=1.25))
    height = [[caustic(y, x, time, size) for x in range(SIDE)] for y in range(SIDE)]
    wide = np.pad(ndimage.gaussian_filter(np.array(height), 1), 1)
    slopes = np.stack(
        [wide[2:, 1:-1] - wide[:-2, 1:-1], wide[1:-1, 2:] - wide[1:-1, :-2]]
    )
    found = ours("caustic_refraction")
    for image, strength in zip(found, STRENGTHS["caustic_refraction"], strict=True):
        seen = np.empty((2, SIDE, SIDE))
        for y, x in np.ndindex(SIDE, SIDE):
            normal = np.array([*slopes[:, y, x], 1.0])
            ray = refracted(normal / np.linalg.norm(normal), 4.0)
            seen[:, y, x] = (y, x) + ray[:2] * strength / 10 * SIDE / 2
        edged = np.pad(PHOTO, ((1, 1), (1, 1), (0, 0)))
        expected = np.stack(
            [
                ndimage.map_coordinates(c, seen + 1, order=1, mode="constant")
                for c in np.moveaxis(edged, -1, 0)
            ],
            axis=-1,
        )
        expected += (slopes[0] - slopes[1])[..., None] * 2 * strength / 10
        close(image, expected, share=0.01)


def test_small_images_take_the_strengths_of_cifar():
    photo = picture(32)
    cut = [ours("checkerboard_cutout", photo, seed)[0] for seed in range(12)]
    shares = [(np.abs(image - photo) > 1e-3).any(-1).mean() for image in cut]
    # A tenth of half the fields; of ImageNet's it would be a fifth.
    assert 0 < np.mean(shares) < 0.08
    noisy = ours("brownish_noise", np.full((32, 32, 3), 0.5))[0]
    deviation = noisy.std((0, 1)) / (64 / 255)
    np.testing.assert_allclose(deviation, 0.25, atol=1e-3)
