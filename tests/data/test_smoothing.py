"""Smoothing: the definitions of torchvision and OpenCV, pixel by pixel."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from jaxbias.data import smoothing, views

SIDE = 12


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).random((SIDE, SIDE, 3)).astype(np.float32)


@pytest.mark.parametrize("deviation", [0.1, 0.7, 2.0])
def test_the_blur_is_a_gaussian_of_nine_pixels(image, deviation):
    found = jax.jit(smoothing.gaussian)(image, deviation)
    weights = np.exp(-((np.arange(-4, 5) / deviation) ** 2) / 2)
    weights /= weights.sum()
    expected = ndimage.correlate1d(image, weights, axis=0, mode="mirror")
    expected = ndimage.correlate1d(expected, weights, axis=1, mode="mirror")
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_bilateral_filter_is_a_weighted_mean_over_a_disk(image):
    found = np.asarray(smoothing.bilateral(jnp.asarray(image), colour=0.3, space=2.0))
    wide = np.pad(image, ((4, 4), (4, 4), (0, 0)), mode="reflect").astype(np.float64)
    for row, column in ((0, 0), (5, 7), (11, 3)):
        total, weight = np.zeros(3), 0.0
        for y in range(-4, 5):
            for x in range(-4, 5):
                if y * y + x * x > 16:
                    continue
                near = wide[row + 4 + y, column + 4 + x]
                apart = np.abs(near - image[row, column]).sum() / 0.3
                share = np.exp(-(apart**2 + (y * y + x * x) / 4) / 2)
                total, weight = total + share * near, weight + share
        np.testing.assert_allclose(found[row, column], total / weight, atol=1e-5)


def test_textures_go_and_edges_stay():
    rng = np.random.default_rng(0)
    step = np.repeat([0.0, 1.0], SIDE // 2)[None, :, None]
    rough = 0.5 * (step + 0.2 * rng.random((SIDE, SIDE, 3))) + 0.0
    image = jnp.asarray(rough, jnp.float32)
    blurred = np.asarray(smoothing.gaussian(image, 2.0))
    kept = np.asarray(smoothing.bilateral(image, colour=0.2))
    middle = slice(SIDE // 2 - 1, SIDE // 2 + 1)
    assert np.diff(kept[:, middle], axis=1).mean() > 0.45
    assert np.diff(blurred[:, middle], axis=1).mean() < 0.15
    for found in (blurred, kept):
        assert found[:, 0].std() < 0.4 * rough[:, 0].std()


def test_views_are_smoothed_last_and_else_the_same(image, key):
    plain, blurred, kept = (
        np.asarray(views.view(jax.random.clone(key), jnp.asarray(image), smoothing=how))
        for how in ("none", "blur", "bilateral")
    )
    np.testing.assert_allclose(kept, smoothing.bilateral(jnp.asarray(plain)), atol=1e-5)
    assert (
        np.abs(np.diff(blurred, axis=0)).mean() < np.abs(np.diff(plain, axis=0)).mean()
    )
    np.testing.assert_allclose(blurred.mean((0, 1)), plain.mean((0, 1)), atol=0.1)
