"""Steerable pyramids: filters over the whole spectrum, no loss, directions, refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbias.numerics import steerable


def noise(size, maps=2, seed=0):
    drawn = np.random.default_rng(seed).normal(size=(maps, size, size))
    return drawn.astype(np.float32)


def filtered(maps, scales, orientations):
    """High-pass rest, bands and low-pass rest of all pixels, from complex transforms."""
    places = np.fft.fftfreq(maps.shape[1])
    down, across = places[:, None], places[None]
    octave = np.log2(np.maximum(2 * np.hypot(down, across), 1e-9))
    angle = np.arctan2(down, across)
    passed = lambda mask: np.fft.ifft2(np.fft.fft2(maps) * mask)  # noqa: E731

    def above(edge):
        return np.where(
            octave > edge,
            1,
            np.where(octave < edge - 1, 0, np.cos(np.pi / 2 * (octave - edge))),
        )

    bands = []
    for scale in range(scales):
        ring = np.sqrt(1 - above(-scale) ** 2) * above(-scale - 1)
        lobes = [
            np.cos(angle - np.pi * k / orientations) ** (orientations - 1)
            for k in range(orientations)
        ]
        total = np.sqrt(sum(lobe**2 for lobe in lobes))
        # An odd filter is imaginary, or its map would not be real.
        unit = -(1j ** (orientations - 1)) if orientations % 2 == 0 else 1
        bands.append([passed(unit * ring * lobe / total) for lobe in lobes])
    return passed(above(0)), bands, passed(np.sqrt(1 - above(-scales) ** 2))


@pytest.mark.parametrize(
    ("size", "scales", "orientations"), [(16, 2, 4), (24, 3, 2), (16, 1, 3)]
)
def test_maps_are_those_of_filters_over_the_whole_spectrum(size, scales, orientations):
    maps = noise(size)
    found = steerable.split(jnp.asarray(maps), scales, orientations)
    high, bands, low = filtered(maps.astype(float), scales, orientations)
    np.testing.assert_allclose(found.high, high.real, atol=2e-6)
    step = 2**scales
    np.testing.assert_allclose(found.low, step * low[:, ::step, ::step].real, atol=1e-5)
    for scale, (own, expected) in enumerate(zip(found.bands, bands, strict=True)):
        step = 2**scale
        for number, whole in enumerate(expected):
            assert abs(whole.imag).max() < 1e-9
            kept = step * whole[:, ::step, ::step].real
            # Which way round an odd filter is, is a convention.
            sign = np.sign(np.sum(kept * np.asarray(own[:, number])))
            np.testing.assert_allclose(own[:, number], sign * kept, atol=1e-5)


@pytest.mark.parametrize(
    ("size", "scales", "orientations"), [(32, 3, 4), (15, 2, 3), (18, 3, 2)]
)
def test_nothing_is_lost(size, scales, orientations):
    maps = jnp.asarray(noise(size, seed=1))

    @jax.jit
    def both(maps):
        pyramid = steerable.split(maps, scales, orientations)
        return pyramid, steerable.join(pyramid)

    pyramid, back = both(maps)
    np.testing.assert_allclose(back, maps, atol=5e-6)
    squares = sum(float(jnp.sum(part**2)) for part in jax.tree.leaves(pyramid))
    assert squares == pytest.approx(float(jnp.sum(maps**2)), rel=1e-5)
    plain = steerable.split(maps, scales, orientations)
    for a, b in zip(jax.tree.leaves(plain), jax.tree.leaves(pyramid), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize(
    ("down", "across", "scale", "number"),
    [
        (0, 9, 0, 0),
        (6, 6, 0, 1),
        (9, 0, 0, 2),
        (-6, 6, 0, 3),
        (0, 4, 1, 0),
        (2, 0, 2, 2),
    ],
)
def test_a_wave_is_in_the_band_of_its_frequency_and_direction(
    down, across, scale, number
):
    places = 2 * np.pi * np.arange(32) / 32
    wave = np.sin(down * places[:, None] + across * places[None])[None]
    found = steerable.split(jnp.asarray(wave, jnp.float32), 3)
    power = np.stack([np.asarray(jnp.sum(band**2, (0, 2, 3))) for band in found.bands])
    assert np.unravel_index(power.argmax(), power.shape) == (scale, number)
    # The band across sees nothing of it.
    assert power[scale, (number + 2) % 4] < 1e-6 * power.max()


def test_a_constant_is_in_the_low_pass_rest_alone():
    found = steerable.split(jnp.full((1, 16, 16), 3.0), 2)
    np.testing.assert_allclose(found.low, 12, rtol=1e-6)
    for rest in (found.high, *found.bands):
        assert float(jnp.abs(rest).max()) < 1e-5


@pytest.mark.parametrize(
    ("size", "scales", "orientations"), [(16, 0, 4), (16, 4, 4), (16, 2, 1)]
)
def test_too_few_pixels_scales_or_orientations_are_refused(size, scales, orientations):
    with pytest.raises(ValueError, match=f"{scales} scales and {orientations} orient"):
        steerable.split(jnp.zeros((1, size, size)), scales, orientations)
