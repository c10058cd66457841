"""SimBa's score: NumPy's transform, waves of known frequency, and the interval."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbias.probes.simplicity import mean_frequency, plane, score, simplicity


def reference(values, with_mean=False):
    """Signed frequencies in cycles over the grid, Euclidean norm."""
    n = len(values)
    k = np.fft.fftfreq(n, 1 / n)
    radius = np.hypot(k[:, None], k[None])
    amplitude = np.abs(np.fft.fft2(values))
    if not with_mean:
        amplitude[0, 0] = 0
    return (amplitude * radius).sum() / amplitude.sum()


@pytest.mark.parametrize("with_mean", [False, True])
@pytest.mark.parametrize("offset", [0.0, 3.0])
def test_the_mean_frequency_is_numpy_s(with_mean, offset):
    values = np.random.default_rng(0).normal(size=(24, 24)) + offset
    found = mean_frequency(jnp.asarray(values, jnp.float32), with_mean=with_mean)
    assert float(found.value) == pytest.approx(reference(values, with_mean), rel=1e-4)
    inverse = simplicity(jnp.asarray(values, jnp.float32), with_mean=with_mean)
    assert float(inverse.value) == pytest.approx(1 / float(found.value), rel=1e-5)


def test_a_wave_reads_its_cycles():
    n = 300
    wave = jnp.sin(2 * jnp.pi * 7 * jnp.arange(n) / n)[:, None] * jnp.ones((1, n))
    assert float(simplicity(wave).value) == pytest.approx(1 / 7, rel=1e-3)


def test_a_constant_is_flagged_and_never_capped():
    for value, flag in ((jnp.full((8, 8), 2.0), 1), (jnp.full((8, 8), jnp.nan), 2)):
        found = simplicity(value)
        assert np.isnan(found.value) and int(found.degenerate) == flag


def test_the_plane_is_a_square_of_the_published_extent(key):
    points = np.asarray(plane(key, 5, resolution=11))
    assert points.shape == (11, 11, 5)
    corners = points[[0, 0, -1, -1], [0, -1, 0, -1]]
    np.testing.assert_allclose(
        np.linalg.norm(corners, axis=1), 100 * np.sqrt(2), rtol=1e-4
    )
    first, second = points[-1, 0] - points[0, 0], points[0, -1] - points[0, 0]
    assert abs(first @ second) < 0.1
    np.testing.assert_allclose(np.linalg.norm(first), 200, rtol=1e-4)
    np.testing.assert_allclose(points[5, 5], 0, atol=1e-3)


def test_the_score_leaves_out_what_cannot_be_measured():
    given = np.asarray([0.1, np.nan, 0.3, np.inf, 0.2])
    found = score(given)
    assert (found.count, found.left_out) == (3, 2)
    assert found.value == pytest.approx(0.2)
    assert 0.1 <= found.low < 0.2 < found.high <= 0.3
    assert np.isnan(score(np.asarray([np.nan])).value)
    assert score(np.asarray([np.nan])).left_out == 1
    alone = score(np.asarray([0.4]))
    assert alone.value == 0.4 and np.isnan(alone.low)
    same = score(np.full(5, 0.25))
    assert (same.low, same.value, same.high) == (0.25, 0.25, 0.25)


def test_the_interval_covers_the_mean():
    generator = np.random.default_rng(1)
    covered = 0
    for _ in range(120):
        found = score(generator.gamma(2.0, 0.5, size=40), resamples=400)
        covered += found.low <= 1.0 <= found.high
    # 95 % asked for; the bootstrap of 40 skewed numbers gives about 93.
    assert 102 <= covered <= 119


def test_jit_is_eager(key):
    values = jax.random.normal(key, (2, 12, 12))
    read = lambda v: simplicity(v).value  # noqa: E731
    together = jax.jit(jax.vmap(read))(values)
    np.testing.assert_allclose(together, [read(v) for v in values], rtol=1e-5)
