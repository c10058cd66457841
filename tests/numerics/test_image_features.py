"""Weight-free features against NumPy, SciPy and Pillow, one image after the other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage, signal

from jaxbias.numerics import image_features as ours


def pictures(count: int, height: int, width: int) -> np.ndarray:
    """Smooth noise, uint8: neither grey nor symmetrical."""
    noise = np.random.default_rng(height).normal(size=(count, height, width, 3))
    smooth = ndimage.gaussian_filter(noise, (0, 1, 2, 0))
    low, high = smooth.min(), smooth.max()
    return np.round(255 * (smooth - low) / (high - low)).astype(np.uint8)


def scaled(images: np.ndarray) -> jax.Array:
    return jnp.asarray(images.astype(np.float32) / 255)


def greyed(images: np.ndarray) -> np.ndarray:
    return images.astype(float) / 255 @ np.array([0.299, 0.587, 0.114])


@pytest.mark.parametrize("side, size", [(48, 32), (64, 8), (33, 16)])
def test_shrinking_is_pillow_s(side, size):
    images = pictures(2, side, side)
    found = 255 * np.asarray(ours.shrunk(scaled(images), size))
    for image, here in zip(images, found, strict=True):
        there = Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR)
        # It rounds once along each side.
        assert np.abs(here - np.asarray(there)).max() < 1.1
    same = scaled(pictures(2, 16, 24))
    np.testing.assert_array_equal(ours.shrunk(same, 16), same)


def test_pixels_thumbnails_and_colours():
    images = pictures(3, 32, 32)
    values = images.reshape(3, -1) / 255
    np.testing.assert_allclose(ours.pixels(scaled(images)), values, atol=1e-6)
    grey = greyed(pictures(3, 8, 8)).reshape(3, -1)
    found = ours.thumbnail(scaled(pictures(3, 8, 8)))
    np.testing.assert_allclose(found, grey - grey.mean(1, keepdims=True), atol=1e-6)
    found = ours.mean_colour(scaled(images))
    np.testing.assert_allclose(found, images.mean((1, 2)) / 255, atol=1e-6)


def test_histograms_are_those_of_three_axes():
    images = pictures(2, 24, 40)
    images[0, 0, :3] = [[255, 255, 255], [0, 0, 0], [255, 0, 32]]
    found = np.asarray(ours.colour_histogram(scaled(images)))
    for image, here in zip(images, found, strict=True):
        edges = [np.arange(0, 257, 32)] * 3
        there, _ = np.histogramdd(image.reshape(-1, 3), edges)
        np.testing.assert_allclose(here, there.ravel() / (24 * 40), atol=1e-7)


@pytest.mark.parametrize("cells", [1, 2, 4])
def test_gradients_are_scipy_s_sobel_in_cells(cells):
    images = pictures(2, 34, 24)
    found = np.asarray(ours.oriented_gradients(scaled(images), cells))
    rows, columns = 34 // cells, 24 // cells
    for plane, here in zip(greyed(images), found, strict=True):
        x, y = (ndimage.sobel(plane, axis=axis, mode="nearest") for axis in (1, 0))
        sector = (np.rad2deg(np.arctan2(y, x)) % 180 // 22.5).astype(int) % 8
        there = np.zeros((cells, cells, 8))
        for i, j in np.ndindex(rows * cells, columns * cells):
            there[i // rows, j // columns, sector[i, j]] += np.hypot(x[i, j], y[i, j])
        # A gradient at the edge of its sector may fall to either side in float32.
        np.testing.assert_allclose(here, np.sqrt(there).ravel(), atol=0.02)


def test_every_cell_needs_a_pixel():
    with pytest.raises(ValueError, match="in 16 x 16 cells"):
        ours.oriented_gradients(jnp.zeros((1, 8, 32, 3)), 16)


def test_power_is_that_of_the_whole_spectrum():
    images = pictures(2, 32, 32)
    found = np.asarray(ours.power_spectrum(scaled(images)))
    window = np.outer(signal.windows.hann(32), signal.windows.hann(32))
    frequency = np.fft.fftfreq(32, 1 / 32)
    radius = np.hypot(frequency[:, None], frequency)
    angle = np.rad2deg(np.arctan2(frequency[:, None], frequency[None])) % 180
    sector = np.floor((angle + 11.25) / 22.5) % 8
    for plane, here in zip(greyed(images), found, strict=True):
        centred = (plane - plane.mean()) * window
        power = np.abs(np.fft.fft2(centred)) ** 2 / np.sum(window**2)
        there = [
            power[(radius >= low) & (radius < 2 * low) & (sector == number)].mean()
            for low in (1, 2, 4, 8)
            for number in range(8)
            # The lowest octave of so small an image has nothing in some sectors.
            if ((radius >= low) & (radius < 2 * low) & (sector == number)).any()
        ]
        here = here[here > np.log(2 * ours.FLOOR**2)] if len(there) < 32 else here
        np.testing.assert_allclose(
            here, np.log(np.array(there) + ours.FLOOR**2), atol=1e-3
        )


@pytest.mark.parametrize("degrees, sector", [(0, 0), (45, 2), (90, 4), (135, 6)])
def test_a_grating_is_in_its_own_band_and_sector(degrees, sector):
    turn = np.deg2rad(degrees)
    y, x = np.mgrid[:64, :64] / 64
    wave = 0.5 + 0.4 * np.sin(2 * np.pi * 12 * (x * np.cos(turn) + y * np.sin(turn)))
    image = jnp.asarray(np.repeat(wave[None, ..., None], 3, -1), jnp.float32)
    found = np.asarray(ours.power_spectrum(image)).reshape(4, 8)
    # 12 cycles of 64 pixels are in the third octave, 8 to 16.
    assert np.unravel_index(found.argmax(), found.shape) == (2, sector)


def test_the_random_network_is_one_for_each_key():
    images = scaled(pictures(4, 32, 32))
    found = ours.random_network(jax.random.key(0), images)
    assert found.map.shape == (4, 8 * 8 * 128) and found.pooled.shape == (4, 128)
    places = np.asarray(found.map).reshape(4, 64, 128)
    np.testing.assert_allclose(found.pooled, places.mean(1), rtol=1e-4, atol=1e-5)
    assert places.min() == 0 and 0.3 < places.std() < 3
    again = ours.random_network(jax.random.key(0), images[1:2]).map[0]
    np.testing.assert_allclose(again, found.map[1], rtol=1e-4, atol=1e-4)
    other = ours.random_network(jax.random.key(1), images)
    assert np.abs(np.asarray(other.map - found.map)).mean() > 0.1


def test_features_are_those_of_single_images(key, monkeypatch):
    monkeypatch.setattr(ours, "PIECE", 3 * 16 * 16)
    images = pictures(5, 16, 16)
    found = ours.features(key, images)
    assert list(found) == list(ours.FEATURES)
    for name, values in found.items():
        expected = ours.FEATURES[name](jax.random.key(0), scaled(images))
        np.testing.assert_allclose(values, expected, rtol=1e-3, atol=1e-4, err_msg=name)
    some = ours.features(jax.random.key(0), images, ("hog-2", "pixels"))
    assert list(some) == ["hog-2", "pixels"]


def test_features_of_no_images_or_no_name_are_refused(key):
    with pytest.raises(ValueError, match="at least one"):
        ours.features(key, pictures(1, 16, 16)[:0])
    with pytest.raises(ValueError, match="8 pixels"):
        ours.features(key, pictures(1, 7, 16))
    with pytest.raises(ValueError, match="inception"):
        ours.features(key, pictures(1, 16, 16), ("inception",))


def test_scores_are_of_all_sets_together():
    generator = np.random.default_rng(0)
    first, second = generator.normal(3, 2, (20, 4)), generator.normal(1, 1, (30, 4))
    second[:, 3] = first[:, 3] = 0.1
    scored = ours.z_scores(first, second)
    assert [len(one) for one in scored] == [20, 30]
    pooled = np.concatenate(scored)
    np.testing.assert_allclose(pooled.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(pooled.std(0), [1, 1, 1, 0], atol=1e-6)
    # The difference between the sets stays.
    assert scored[0][:, 0].mean() > scored[1][:, 0].mean() + 0.5
