"""Textures: ranges, frequencies, directions, spectra; classes can be told apart."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbias.data import textures
from jaxbias.data.textures import NAMES

SIDE, COUNT = 64, 12
DRAW = jax.jit(
    lambda k, n: jax.lax.map(lambda e: textures.draw(e[0], e[1], SIDE), (k, n))
)


@pytest.fixture(scope="module")
def drawn():
    """(class, draw, row, column)."""
    keys = jax.random.split(jax.random.key(0), 16 * COUNT)
    labels = jnp.repeat(jnp.arange(16), COUNT)
    return np.asarray(DRAW(keys, labels)).reshape(16, COUNT, SIDE, SIDE)


def of(drawn, name):
    return drawn[NAMES.index(name)]


def peak(field):
    """Cycles down and across at the strongest frequency."""
    window = np.hanning(SIDE)
    away = (field - field.mean()) * window[:, None] * window
    # Zeros beside it make the frequencies fine.
    power = abs(np.fft.rfft2(away, (512, 512))) ** 2
    row, column = np.unravel_index(power.argmax(), power.shape)
    return np.array([(row + 256) % 512 - 256, column]) * SIDE / 512


def test_values_are_shares_and_nothing_is_constant(drawn):
    assert drawn.dtype == np.float32 and drawn.min() >= 0 and drawn.max() <= 1
    assert (drawn.std((2, 3)) > 0.1).all()
    # Of no class is the same texture drawn twice.
    assert (abs(drawn[:, :1] - drawn[:, 1:]).mean((2, 3)) > 0.05).all()


@pytest.mark.parametrize(
    ("name", "degrees", "cycles"),
    [("horizontal", 90, 7), ("vertical", 0, 7), ("diagonal", 45, 7), ("grain", 135, 7)],
)
def test_stripes_have_their_frequency_and_direction(drawn, name, degrees, cycles):
    found = np.array([peak(field) for field in of(drawn, name)])
    frequency = np.hypot(*found.T)
    turn = np.rad2deg(np.arctan2(*found.T)) - degrees
    turn = (turn + 90) % 180 - 90
    # Noise strays from the middle of its band.
    loose = name == "grain"
    low, high = (0.5, 1.6) if loose else (0.78, 1.28)
    assert low * cycles < frequency.min() < frequency.max() < high * cycles
    assert abs(turn).max() < (25 if loose else 11)
    assert frequency.std() > 0.3 and turn.std() > 2


def spectrum(fields):
    """Log power at half octaves from 2, 4, 8 and 16 cycles, mean over draws."""
    lines = np.fft.fftfreq(SIDE, 1 / SIDE)
    frequency = np.hypot(lines[:, None], lines)
    power = (abs(np.fft.fft2(fields - fields.mean((-2, -1), keepdims=True))) ** 2).mean(
        0
    )
    rings = [(frequency >= f) & (frequency < 1.4 * f) for f in (2, 4, 8, 16)]
    return np.log2([power[ring].mean() for ring in rings])


def test_noise_has_the_power_laws_and_bands_of_its_class(drawn):
    assert abs(np.diff(spectrum(of(drawn, "white noise")))).max() < 0.5
    # Amplitudes of 1 / f^1.6 are powers of 1 / f^3.2, but for what is cut off.
    slopes = np.diff(spectrum(of(drawn, "coarse noise")))
    assert -3.6 < slopes.mean() < -2.6
    assert spectrum(of(drawn, "blotches")).argmax() == 1
    assert spectrum(of(drawn, "speckles")).argmax() in (2, 3)


def test_cells_are_flat_and_cracks_run_between(drawn):
    for field in of(drawn, "cells"):
        assert 25 < len(np.unique(field)) < 121
    share = of(drawn, "cracks").mean((1, 2))
    assert 0.1 < share.min() < share.max() < 0.5


def test_classes_can_be_told_by_power_and_steps(drawn):
    """Nearest neighbour by a coarse power spectrum and a histogram, none by pixels."""
    flat = drawn.reshape(-1, SIDE, SIDE).astype(np.float64)
    away = flat - flat.mean((1, 2), keepdims=True)
    power = np.fft.fftshift(abs(np.fft.fft2(away)) ** 2, (1, 2))[:, :, 32:]
    cells = power.reshape(-1, 16, 4, 8, 4).mean((2, 4))
    histogram = [np.histogram(one, 6, (0, 1))[0] / one.size for one in flat]
    spectra = np.log(cells + 1e-2).reshape(len(flat), -1)
    features = np.concatenate([spectra, 20 * np.array(histogram)], 1)
    apart = ((features[:, None] - features) ** 2).sum(-1)
    np.fill_diagonal(apart, np.inf)
    labels = np.repeat(np.arange(16), COUNT)
    assert (labels[apart.argmin(1)] == labels).mean() > 0.85


@pytest.mark.slow
def test_mapped_draws_are_single_ones():
    keys = jax.random.split(jax.random.key(1), 16)
    labels = jnp.arange(16)
    looped = DRAW(keys, labels)
    draw = jax.jit(jax.vmap(lambda k, n: textures.draw(k, n, SIDE)))
    mapped = draw(jax.random.clone(keys), labels)
    # A pixel on an edge may fall to either side.
    assert (abs(looped - mapped) > 1e-3).mean() < 1e-3


def test_short_sides_are_refused(key):
    with pytest.raises(ValueError, match="4 pixels a cycle"):
        textures.draw(key, 0, 27)
