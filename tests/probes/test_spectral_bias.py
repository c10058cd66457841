"""Spectral stimuli against NumPy's transforms with explicit masks, and limits."""

import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxbias.probes import spectral_bias
from jaxbias.probes.spectral_bias import CONDITIONS, CUT_OFFS, biases, ratios

FORMS = ("fft", "matmul")
# Steps of 0.1 between two ends, as a program would write them.
STEPS = (0.01, *np.arange(0.1, 0.99, 0.1), 0.99)


def filtered(image, kind, cut_off):
    """One condition by a shifted transform and a mask of explicit slices."""
    planes = np.moveaxis(np.asarray(image, float), 2, 0)
    side = planes.shape[1]
    centre = side // 2
    half = int((cut_off if kind == "low" else 1 - cut_off) * centre)
    square = slice(centre - half, centre + half)
    mask = np.full((side, side), kind == "high")
    mask[square, square] = kind == "low"
    shifted = np.fft.fftshift(np.fft.fft2(planes), axes=(1, 2)) * mask
    left = np.fft.ifft2(np.fft.ifftshift(shifted, axes=(1, 2))).real
    return np.moveaxis(np.clip(left, 0, 1), 0, 2)


def picture(side, seed=0):
    return np.random.default_rng(seed).uniform(size=(side, side, 3)).astype(np.float32)


def test_the_half_widths_at_224_pixels_are_those_published():
    low, high = np.split(np.asarray(spectral_bias.half_widths(224)), 2)
    expected = [1, 11, 22, 33, 44, 56, 67, 78, 89, 100, 110]
    np.testing.assert_array_equal(low, expected)
    np.testing.assert_array_equal(high, expected[::-1])


def test_cut_offs_are_rounded_as_steps_of_a_tenth():
    assert STEPS == CUT_OFFS
    for side in range(2, 300):
        low = [int(cut * (side // 2)) for cut in STEPS]
        high = [int((1 - cut) * (side // 2)) for cut in STEPS]
        assert spectral_bias.half_widths(side) == (*low, *high)
    # Where it matters: 1 - 0.7000000000000001 is below 0.3, and 0.3 x 10 is 3.
    assert spectral_bias.half_widths(20)[CONDITIONS.index(("high", STEPS[7]))] == 2


# 20: the squares of low-pass and high-pass differ. 15: an odd side, and an odd number of
# squares but one.
@pytest.mark.parametrize("side", [15, 20, 32])
@pytest.mark.parametrize("form", FORMS)
def test_all_conditions_are_those_of_shifted_transforms(side, form):
    image = picture(side)
    found = np.asarray(spectral_bias.stimuli(jnp.asarray(image), form=form))
    expected = np.stack([filtered(image, *condition) for condition in CONDITIONS])
    np.testing.assert_allclose(found, expected, atol=3e-6)
    images = jnp.asarray(np.stack([image, picture(side, 1)]))
    each = lax.map(
        lambda number: spectral_bias.stimulus(images, number, form=form),
        jnp.arange(len(CONDITIONS)),
    )
    np.testing.assert_allclose(each[:, 0], expected, atol=3e-6)
    other = [filtered(images[1], *condition) for condition in CONDITIONS]
    np.testing.assert_allclose(each[:, 1], np.stack(other), atol=3e-6)


def test_both_forms_agree_at_224_pixels():
    image = picture(224)
    found = [spectral_bias.stimuli(jnp.asarray(image), form=form) for form in FORMS]
    np.testing.assert_allclose(*found, atol=1e-5)
    expected = np.stack([filtered(image, *condition) for condition in CONDITIONS])
    np.testing.assert_allclose(found[0], expected, atol=1e-5)


@pytest.mark.parametrize("form", FORMS)
def test_a_constant_is_kept_by_low_pass_and_removed_by_high_pass(form):
    image = jnp.full((32, 32, 2), 0.6)
    found = np.asarray(spectral_bias.stimuli(image, form=form))
    halves = np.asarray(spectral_bias.half_widths(32))
    # An empty square holds no frequency, not even 0.
    low = np.arange(22) < 11
    kept = np.where(low, halves > 0, halves == 0)
    expected = np.broadcast_to(0.6 * kept[:, None, None, None], found.shape)
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("frequency", [3, 4, 5])
def test_a_wave_at_the_edge_of_the_square_keeps_half_of_its_height(form, frequency):
    """Half-width 4 holds the frequencies -4 to 3: all of 3, half of 4, nothing of 5."""
    angle = 2 * np.pi * frequency * np.arange(32) / 32
    wave = np.broadcast_to(0.3 * np.cos(angle)[:, None, None], (32, 32, 1))
    image = jnp.asarray(0.5 + wave, jnp.float32)[None]
    number = spectral_bias.half_widths(32).index(4)
    found = spectral_bias.stimulus(image, jnp.int32(number), form=form)[0]
    share = {3: 1.0, 4: 0.5, 5: 0.0}[frequency]
    np.testing.assert_allclose(found, 0.5 + share * wave, atol=2e-6)
    high = 11 + spectral_bias.half_widths(32)[11:].index(4)
    left = spectral_bias.stimulus(image, jnp.int32(high), form=form)[0]
    np.testing.assert_allclose(left, np.clip((1 - share) * wave, 0, 1), atol=2e-6)


def test_the_default_is_a_form_and_images_are_square():
    image = jnp.asarray(picture(16))
    found = spectral_bias.stimuli(image)
    form = spectral_bias.default_form()
    np.testing.assert_array_equal(found, spectral_bias.stimuli(image, form=form))
    with pytest.raises(ValueError, match="16 x 12"):
        spectral_bias._side((16, 12))


def test_ratios_and_biases_of_the_published_baseline():
    low = [0.0049, 0.1776, 0.5304, 0.7269, 0.8298, 0.9, 0.939, 0.969, 0.9875, 0.9967]
    high = [0.0013, 0.0019, 0.0034, 0.0052, 0.009, 0.015, 0.0215, 0.0334, 0.064, 0.2654]
    curve = jnp.asarray([*low, 0.9992, *high, 0.6926])
    found = biases(ratios(curve * 76.15, jnp.float32(76.15)))
    # Section 2.2: LF 0.6329, HF 0.0069.
    assert float(found.low_frequency) == pytest.approx(0.6329, abs=5e-5)
    assert float(found.high_frequency) == pytest.approx(0.0069, abs=5e-5)


def test_a_network_that_is_never_right_has_no_ratio():
    accuracies = jnp.stack([jnp.zeros(22), jnp.full(22, 0.25)])
    found = ratios(accuracies, jnp.asarray([0.0, 0.5]))
    assert np.isnan(found[0]).all()
    np.testing.assert_allclose(found[1], 0.5)
    both = biases(found)
    assert np.isnan(both.low_frequency[0]) and np.isnan(both.high_frequency[0])
    np.testing.assert_allclose([both.low_frequency[1], both.high_frequency[1]], 0.5)
