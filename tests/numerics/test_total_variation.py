"""Total variation against plain loops and known functions."""

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxbias.numerics import grids
from jaxbias.numerics.total_variation import total_variation


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("shape", [(2,), (17,), (8, 8), (5, 9), (4, 5, 6)])
def test_equals_the_loop_over_lines(shape):
    values = random(*shape)
    np.testing.assert_allclose(
        total_variation(jnp.asarray(values)),
        oracles.total_variation(values.astype(np.float64)),
        rtol=3e-6,
    )


@pytest.mark.parametrize("resolution", [16, 300])
def test_a_straight_line_reads_two_root_three(resolution):
    line = jnp.asarray(grids.axis(resolution), jnp.float32)
    # The variance of n points is (n + 1) / (n - 1) times that of the whole interval.
    expected = 2 * np.sqrt(3 * (resolution - 1) / (resolution + 1))
    np.testing.assert_allclose(total_variation(5 - 3 * line), expected, rtol=1e-5)
    assert abs(expected - 3.46) < (0.02 if resolution == 300 else 0.25)


def test_any_monotone_line_goes_from_end_to_end():
    line = np.sort(random(40)).astype(np.float64)
    found = total_variation(jnp.asarray(line, jnp.float32))
    np.testing.assert_allclose(found, (line[-1] - line[0]) / line.std(), rtol=1e-5)


def test_a_plane_along_one_axis_is_half_a_line():
    x = grids.grid(64)[..., 0]
    line = jnp.asarray(grids.axis(64), jnp.float32)
    np.testing.assert_allclose(total_variation(x), total_variation(line) / 2, rtol=1e-5)


def test_white_noise_reads_1_13_a_step():
    found = float(total_variation(jnp.asarray(random(64, 64))))
    assert abs(found / 63 - 2 / np.sqrt(np.pi)) < 0.02


def test_a_chequerboard_goes_two_deviations_a_step():
    i, j = np.indices((8, 8))
    found = total_variation(jnp.asarray((-1.0) ** (i + j), jnp.float32))
    np.testing.assert_allclose(found, 2 * 7, rtol=1e-6)


def test_a_constant_reads_nan():
    assert np.isnan(total_variation(jnp.zeros((8, 8))))


@settings(deadline=None, database=None, max_examples=25)
@given(seed=st.integers(0, 2**16), scale=st.floats(1e-3, 1e3), shift=st.floats(-10, 10))
def test_shift_scale_flips_and_transposition_change_nothing(seed, scale, shift):
    values = random(8, 8, seed=seed)
    base = total_variation(jnp.asarray(values))
    moved = jnp.asarray(values.T[::-1] * np.float32(scale) + np.float32(shift * scale))
    np.testing.assert_allclose(total_variation(moved), base, rtol=2e-5)


def test_compiled_and_mapped_equal_eager():
    values = jnp.asarray(random(4, 8, 8))
    loop = np.stack([total_variation(v) for v in values])
    np.testing.assert_allclose(jax.jit(total_variation)(values[0]), loop[0], rtol=1e-6)
    np.testing.assert_allclose(jax.vmap(total_variation)(values), loop, rtol=1e-6)
    np.testing.assert_allclose(jax.lax.map(total_variation, values), loop, rtol=1e-6)
