"""Low-level features: each against its definition in NumPy, or what it is there to see."""

import io

import jax
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from jaxbias.numerics import low_level
from jaxbias.numerics.low_level import GROUPS, features

FLOOR = 0.1 / 255


@pytest.fixture(scope="module")
def pixels():
    noise = np.random.default_rng(0).normal(128, 60, (5, 16, 16, 3))
    return np.clip(noise, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def found(pixels):
    return features(pixels)


def grey(pixels):
    return pixels.astype(float) / 255 @ [0.299, 0.587, 0.114]


def test_pieces_are_the_whole(pixels, found, monkeypatch):
    monkeypatch.setattr(low_level, "PIECE", 5 * 16 * 16)
    in_pieces = features(np.concatenate([pixels, pixels[3:]]))
    assert tuple(found) == GROUPS
    for name in GROUPS:
        assert found[name].dtype == np.float32
        np.testing.assert_array_equal(in_pieces[name][:5], found[name])
        np.testing.assert_array_equal(in_pieces[name][5:], found[name][3:])


def test_colours(pixels, found):
    flat = pixels.reshape(5, -1, 3) / 255
    np.testing.assert_allclose(found["colour"][:, :3], flat.mean(1), rtol=1e-5)
    np.testing.assert_allclose(found["colour"][:, 3:6], flat.std(1), rtol=1e-5)
    shares = found["colour"][0, 6:54].reshape(3, 16) ** 2
    for channel in range(3):
        counts, _ = np.histogram(pixels[0, ..., channel], 16, (0, 256))
        np.testing.assert_allclose(shares[channel], counts / 256, atol=1e-6)
    correlation = np.corrcoef(flat[2].T)[[0, 0, 1], [1, 2, 2]]
    np.testing.assert_allclose(found["colour"][2, 54:57], correlation, atol=1e-4)
    joint, _ = np.histogramdd(pixels[3].reshape(-1, 3), 4, [(0, 256)] * 3)
    np.testing.assert_allclose(
        found["colour"][3, 59:] ** 2, joint.ravel() / 256, atol=1e-6
    )


def test_colours_do_not_depend_on_places(pixels, found):
    mixed = np.random.default_rng(1).permutation(pixels.reshape(5, -1, 3), axis=1)
    again = features(mixed.reshape(pixels.shape))["colour"]
    np.testing.assert_allclose(again, found["colour"], rtol=1e-4, atol=1e-5)


def test_a_frame_is_seen_at_its_side_alone(pixels):
    sides = [np.s_[:, 0], np.s_[:, -1], np.s_[:, :, 0], np.s_[:, :, -1]]
    parts = features(pixels)["border"].reshape(5, 4, 9)
    for number, side in enumerate(sides):
        framed = pixels.copy()
        framed[side] = 255
        after = features(framed)["border"].reshape(5, 4, 9)
        inside = pixels[:, 4:-4, 4:-4].mean((1, 2)) / 255
        np.testing.assert_allclose(after[:, number, :3], 1 - inside, atol=1e-5)
        np.testing.assert_allclose(after[:, number, 3], np.log(FLOOR), atol=1e-2)
        np.testing.assert_allclose(after[:, number, 4:6], [[0, 1]] * 5)
        # The opposite side does not touch it.
        other = number ^ 1
        np.testing.assert_allclose(after[:, other], parts[:, other], atol=1e-5)


def test_steps_at_the_border(pixels, found):
    shades = grey(pixels)
    inside = np.abs(np.diff(shades[:, 4:-4, 4:-4], axis=2)).mean((1, 2))
    first = np.abs(shades[:, :, 1] - shades[:, :, 0]).mean(1)
    expected = np.log(first + FLOOR) - np.log(inside + FLOOR)
    np.testing.assert_allclose(found["border"][:, 2 * 9 + 6], expected, rtol=1e-4)


def test_the_residual_is_what_a_blur_takes_away(pixels, found):
    kernel = np.outer([1, 2, 1], [1, 2, 1])[None, :, :, None] / 16
    values = pixels / 255
    residual = (values - ndimage.convolve(values, kernel))[:, 1:-1, 1:-1]
    sd = np.sqrt((residual**2).mean((1, 2)))
    np.testing.assert_allclose(
        found["noise"][:, :3], np.log(sd + FLOOR), rtol=1e-4, atol=1e-5
    )
    sizes = np.digitize(np.abs(residual[0]) * 255, [0.5, 1, 2, 4, 8, 16, 32])
    shares = [[(sizes[..., c] == k).mean() for k in range(8)] for c in range(3)]
    np.testing.assert_allclose(
        found["noise"][0, 9:33].reshape(3, 8) ** 2, shares, atol=0.006
    )
    moved = (residual[:, 1:, :-1] * residual[:, :-1, 1:]).mean((1, 2))
    np.testing.assert_allclose(
        found["noise"][:, 48:51], moved / (sd**2 + FLOOR**2), atol=1e-4
    )


def test_blocks_of_jpeg_are_at_their_phase():
    smooth = ndimage.gaussian_filter(
        np.random.default_rng(2).normal(size=(64, 64)), 4, mode="wrap"
    )
    smooth = 128 + 60 * smooth / np.abs(smooth).max()
    file = io.BytesIO()
    image = Image.fromarray(smooth.astype(np.uint8)).convert("RGB")
    image.save(file, "JPEG", quality=10)
    blocky = np.asarray(Image.open(file))[None]
    for shift in (0, 3):
        shades = np.float32(np.roll(blocky, shift, (1, 2))[:, :56, :56, 0] / 255)
        across, down = np.split(jax.jit(low_level.blocking)(shades)[0], 2)
        assert across.argmax() == down.argmax() == (7 + shift) % 8
        assert across.max() > 0.5


def test_a_wave_is_in_its_ring_and_sector():
    spectrum = jax.jit(low_level.spectrum)
    place = np.arange(32)
    for down, across, sector in ((0, 6, 0), (12, 0, 4), (4, 4, 2), (9, -9, 6)):
        phase = 2 * np.pi * (down * place[:, None] + across * place[None]) / 32
        wave = np.round(128 + 100 * np.cos(phase)).astype(np.uint8)
        power = np.asarray(spectrum(np.float32(wave[None, ..., None] / 255)))[0]
        radius = np.hypot(down, across) / 32
        assert abs(power[:16].argmax() - int(radius / np.sqrt(0.5) * 16)) <= 1
        assert power[16:].argmax() == sector + 8 * (radius > 0.25)


def test_white_noise_has_a_flat_spectrum_and_parseval_s_power():
    noise = np.random.default_rng(3).normal(0.5, 0.08, (200, 24, 24, 1))
    power = np.exp(jax.jit(low_level.spectrum)(noise.astype(np.float32)))
    np.testing.assert_allclose(power.mean(0)[2:], 0.08**2, rtol=0.15)


@pytest.mark.parametrize("shape", [(8, 8, 3), (8, 19, 1)])
def test_every_shape_and_constant_images_are_finite(shape):
    images = np.stack([np.full(shape, level, np.uint8) for level in (0, 7, 255)])
    images = np.concatenate([images, images + np.arange(shape[1])[None, None, :, None]])
    found = features(images.astype(np.uint8))
    for name in GROUPS:
        assert np.isfinite(found[name]).all(), name


@pytest.mark.parametrize("shape", [(0, 8, 8, 3), (2, 7, 8, 3), (2, 8, 8, 4)])
def test_other_images_are_refused(shape):
    with pytest.raises(ValueError, match="at least one is needed"):
        features(np.zeros(shape, np.uint8))
