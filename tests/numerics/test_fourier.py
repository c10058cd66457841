"""Mean frequency by DFT and DCT against float64 and the numbers of the protocol."""

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxbias.numerics import grids
from jaxbias.numerics.fourier import dct, fourier

SHAPES = [(9,), (16,), (8, 8), (9, 9), (6, 10), (5, 6, 7)]

MEASURES = {
    "radial": (fourier, oracles.fourier_radial),
    "author": (lambda v: fourier(v, "author"), oracles.fourier_author),
    "dct": (dct, oracles.dct),
}


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def smooth(resolution: int) -> np.ndarray:
    x, y = np.moveaxis(np.asarray(grids.grid(resolution), np.float64), -1, 0)
    return (np.tanh(2 * x - y) + 0.3 * np.sin(4 * y + x)).astype(np.float32)


@pytest.mark.parametrize(
    ("name", "shape"),
    # The authors' code has two dimensions.
    [(n, s) for n in MEASURES for s in SHAPES if n != "author" or len(s) == 2],
)
def test_noise_equals_the_float64_reference(name, shape):
    measure, reference = MEASURES[name]
    values = random(*shape)
    np.testing.assert_allclose(
        measure(jnp.asarray(values)), reference(values.astype(np.float64)), rtol=3e-6
    )


@pytest.mark.parametrize("resolution", [8, 64, 65])
@pytest.mark.parametrize("name", MEASURES)
def test_a_smooth_function_equals_the_float64_reference(name, resolution):
    measure, reference = MEASURES[name]
    values = smooth(resolution)
    np.testing.assert_allclose(
        measure(jnp.asarray(values)), reference(values.astype(np.float64)), rtol=3e-5
    )


@pytest.mark.parametrize(
    ("binning", "resolution", "plane", "noise"),
    [
        ("author", 300, 0.1417, 0.5417),
        ("radial", 300, 0.1411, 0.5415),
        ("radial", 64, 0.190, 0.541),
    ],
)
def test_limiting_cases_of_the_dft_are_the_published_ones(
    binning, resolution, plane, noise
):
    x, y = jnp.moveaxis(grids.grid(resolution), -1, 0)
    for values in (x, y, x + y, 3 - 0.2 * x + y):
        assert abs(float(fourier(values, binning)) - plane) < 2e-4
    white = [
        fourier(jnp.asarray(random(resolution, resolution, seed=s)), binning)
        for s in range(4)
    ]
    assert abs(np.mean(white) - noise) < (6e-4 if resolution == 300 else 2e-3)


def test_the_dct_has_no_floor():
    x, y = jnp.moveaxis(grids.grid(64), -1, 0)
    for values in (x, y, 2 * x - y):
        assert abs(float(dct(values)) - 0.023) < 6e-4
    # The mean distance of a uniform point of the unit square from its corner, 0.765,
    # over the diagonal.
    white = [dct(jnp.asarray(random(64, 64, seed=s))) for s in range(4)]
    assert abs(np.mean(white) - 0.7651957 / np.sqrt(2)) < 4e-3


@pytest.mark.parametrize("frequency", [(1, 0), (0, 5), (3, 4), (8, 8)])
def test_one_wave_reads_its_frequency(frequency):
    i, j = np.indices((16, 16))
    u, v = frequency
    wave = np.cos(2 * np.pi * (u * i + v * j) / 16 + (0 if u == 8 else 0.4))
    wave = jnp.asarray(wave + 7, jnp.float32)
    radius = np.hypot(u, v)
    np.testing.assert_allclose(fourier(wave), radius / np.hypot(8, 8), atol=2e-5)
    np.testing.assert_allclose(
        fourier(wave, "author"), np.rint(radius) / np.rint(np.hypot(8, 8)), atol=2e-5
    )


@pytest.mark.parametrize("frequency", [(1, 0), (0, 5), (3, 4), (15, 15)])
def test_one_cosine_reads_its_index(frequency):
    i, j = np.indices((16, 16))
    u, v = frequency
    wave = np.cos(np.pi * u * (i + 0.5) / 16) * np.cos(np.pi * v * (j + 0.5) / 16)
    found = dct(jnp.asarray(wave, jnp.float32))
    np.testing.assert_allclose(found, np.hypot(u, v) / np.hypot(15, 15), atol=2e-5)


def test_a_mirrored_wave_is_dropped_by_the_authors_code_alone():
    # A wave whose frequencies differ in sign lies in the quadrant that is left out.
    i, j = np.indices((16, 16))
    kept = np.cos(2 * np.pi * (3 * i + 4 * j) / 16)
    dropped = np.cos(2 * np.pi * (6 * i - 8 * j) / 16)
    both = jnp.asarray(kept + dropped, jnp.float32)
    lone = jnp.asarray(np.cos(2 * np.pi * (6 * i - 5 * j) / 16) + kept, jnp.float32)
    np.testing.assert_allclose(fourier(lone, "author"), 5 / 11, atol=1e-4)
    assert float(fourier(lone)) > 5 / np.hypot(8, 8) + 0.05
    # The Nyquist column is its own mirror image: kept by both.
    assert float(fourier(both, "author")) > 5 / 11 + 0.05


@pytest.mark.parametrize("name", MEASURES)
def test_the_range_is_from_0_to_1(name):
    i, j = np.indices((8, 8))
    chequerboard = jnp.asarray((-1.0) ** (i + j), jnp.float32)
    expected = 1 if name != "dct" else oracles.dct(np.asarray(chequerboard, np.float64))
    np.testing.assert_allclose(MEASURES[name][0](chequerboard), expected, atol=1e-6)
    assert expected > 0.8


@pytest.mark.parametrize("name", MEASURES)
def test_a_constant_reads_nan(name):
    assert np.isnan(MEASURES[name][0](jnp.zeros((8, 8))))


@pytest.mark.parametrize("name", MEASURES)
def test_compiled_and_mapped_equal_eager(name):
    measure = MEASURES[name][0]
    values = jnp.asarray(random(4, 8, 8))
    loop = np.stack([measure(v) for v in values])
    np.testing.assert_allclose(jax.jit(measure)(values[0]), loop[0], rtol=1e-6)
    np.testing.assert_allclose(jax.vmap(measure)(values), loop, rtol=1e-6)
    np.testing.assert_allclose(jax.lax.map(measure, values), loop, rtol=1e-6)


@settings(deadline=None, database=None, max_examples=25)
@given(
    seed=st.integers(0, 2**16),
    scale=st.floats(1e-3, 1e3),
    shift=st.floats(-10, 10),
    name=st.sampled_from(sorted(MEASURES)),
)
def test_shift_scale_and_transposition_change_nothing(seed, scale, shift, name):
    measure = MEASURES[name][0]
    values = random(8, 8, seed=seed)
    base = float(measure(jnp.asarray(values)))
    assert 0 < base < 1
    moved = jnp.asarray(values.T * np.float32(scale) + np.float32(shift * scale))
    np.testing.assert_allclose(measure(moved), base, rtol=2e-4)


def test_unknown_binning_is_refused():
    with pytest.raises(ValueError, match="'square'"):
        fourier(jnp.zeros((4, 4)), "square")
