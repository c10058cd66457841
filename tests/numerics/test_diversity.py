"""Diversity and distances of sets against NumPy, published numbers and limiting cases."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import linalg, stats

from jaxbias.numerics.diversity import (
    feature_shares,
    fidelity,
    frechet_distance,
    gradient_kurtosis,
    kernel_distance,
    kernel_shares,
    spectral_slope,
    vendi,
)


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


# Vendi score


def test_vendi_scores_are_the_published_ones():
    samples = np.array([0, 0, 10, 10, 20, 20], np.float32)
    kernel = jnp.exp(-jnp.abs(jnp.asarray(samples[:, None] - samples)))
    # 3 less 4e-9: the published digits are cut off.
    assert float(vendi(kernel_shares(kernel))) == pytest.approx(2.9999, abs=1.1e-4)
    kernel = jnp.asarray([[1.0, 0.9, 0.0], [0.9, 1.0, 0.0], [0.0, 0.0, 1.0]])
    assert float(vendi(kernel_shares(kernel))) == pytest.approx(2.1573, abs=1e-4)


@pytest.mark.parametrize("shape", [(12, 5), (5, 12)])
@pytest.mark.parametrize("order", [0.5, 1, 2, math.inf])
def test_vendi_of_features_is_that_of_their_cosines(shape, order):
    features = normal(0, *shape)
    units = features / np.linalg.norm(features, axis=1, keepdims=True)
    shares = np.linalg.eigvalsh(units.astype(float) @ units.T / len(units))
    shares = shares[shares > 1e-6]
    if order == 1:
        expected = np.exp(stats.entropy(shares))
    elif order == math.inf:
        expected = 1 / shares.max()
    else:
        expected = np.sum(shares**order) ** (1 / (1 - order))
    found = vendi(feature_shares(jnp.asarray(features)), order)
    assert float(found) == pytest.approx(expected, rel=1e-4)
    kernel = kernel_shares(jnp.asarray(units @ units.T))
    assert float(vendi(kernel, order)) == pytest.approx(expected, rel=1e-4)


def test_vendi_counts_different_samples():
    several = jnp.asarray(np.repeat(np.eye(4, 9, dtype=np.float32), 3, axis=0))
    for order in (0, 0.5, 1, 3, math.inf):
        assert float(vendi(feature_shares(several), order)) == pytest.approx(
            4, rel=1e-4
        )
        alike = feature_shares(jnp.ones((7, 3)))
        assert float(vendi(alike, order)) == pytest.approx(1, rel=1e-4)
    assert np.isnan(vendi(feature_shares(several.at[0].set(0.0))))
    assert np.isnan(vendi(feature_shares(several.at[0].set(0.0)), math.inf))
    with pytest.raises(ValueError, match="from 0"):
        vendi(feature_shares(several), -1)


# Two sets


def counted(real, made, k):
    """Precision, recall, density and coverage, from all distances in float64."""
    away = lambda a, b: np.linalg.norm(a[:, None] - b[None], axis=2)  # noqa: E731
    reach = [np.sort(away(x, x), axis=1)[:, k] for x in (real, made)]
    between = away(real.astype(float), made.astype(float))
    within = between < reach[0][:, None]
    return (
        within.any(0).mean(),
        (between < reach[1][None]).any(1).mean(),
        within.sum(0).mean() / k,
        (between.min(1) < reach[0]).mean(),
    )


@pytest.mark.parametrize("k", [1, 5])
def test_fidelity_is_that_of_all_distances(k):
    real, made = normal(1, 60, 4), 0.7 * normal(2, 45, 4) + 0.5
    found = fidelity(jnp.asarray(real), jnp.asarray(made), neighbours=k)
    np.testing.assert_allclose(found, counted(real, made, k), atol=1e-6)
    # Far from the origin, where squares would lose what tells samples apart.
    far = fidelity(jnp.asarray(real + 500), jnp.asarray(made + 500), neighbours=k)
    np.testing.assert_allclose(far, found, atol=0.03)


def test_limits_of_fidelity():
    real = jnp.asarray(normal(1, 30, 4))
    np.testing.assert_allclose(fidelity(real, real + 100), 0)
    same = fidelity(real, real)
    assert (float(same.precision), float(same.recall)) == (1, 1)
    assert float(same.coverage) == 1 and float(same.density) > 1
    assert np.isnan(fidelity(real, real.at[0, 0].set(jnp.nan))).all()
    assert np.isnan(fidelity(real[:5], real)).all()


@pytest.mark.slow
def test_fidelity_of_one_law_is_the_published():
    real, made = normal(0, 10_000, 1000), normal(1, 10_000, 1000)
    found = fidelity(jnp.asarray(real), jnp.asarray(made))
    # Three to four standard deviations over draws: a few samples near the middle are in the
    # balls of many, so that density varies most.
    np.testing.assert_allclose(found[:2], [0.4772, 0.4705], atol=0.05)
    np.testing.assert_allclose(found[2], 1.0555, atol=0.3)
    np.testing.assert_allclose(found[3], 0.9735, atol=0.03)


def test_kernel_distance_is_the_mean_over_pairs():
    first, second = normal(3, 9, 4), normal(4, 7, 4) + 0.3
    kernel = lambda a, b: (float(a @ b) / 4 + 1) ** 3  # noqa: E731
    within = [
        np.mean(
            [kernel(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j]
        )
        for x in (first, second)
    ]
    between = np.mean([kernel(a, b) for a in first for b in second])
    expected = sum(within) - 2 * between
    assert kernel_distance(first, second) == pytest.approx(expected, rel=1e-5)
    assert np.isnan(kernel_distance(first[:1], second))


def test_kernel_distance_is_unbiased_over_more_than_one_piece():
    found = [
        kernel_distance(normal(i, 300, 3), normal(100 + i, 300, 3)) for i in range(40)
    ]
    error = np.std(found) / np.sqrt(len(found))
    assert abs(np.mean(found)) < 4 * error and min(found) < 0
    assert kernel_distance(normal(0, 300, 3), normal(1, 300, 3) + 1) > 20 * max(found)


@pytest.mark.parametrize("sizes", [(40, 50), (5, 60), (4, 6)])
def test_frechet_distance_is_that_of_matrix_roots(sizes):
    first = normal(5, sizes[0], 8)
    second = 2 * normal(6, sizes[1], 8) + np.arange(8, dtype=np.float32)
    means = [x.mean(0, dtype=float) for x in (first, second)]
    a, b = (np.cov(x.astype(float), rowvar=False) for x in (first, second))
    # Of a product of two covariances the eigenvalues are real and not negative.
    common = np.sqrt(np.maximum(linalg.eigvals(a @ b).real, 0)).sum()
    apart = np.sum((means[0] - means[1]) ** 2)
    expected = apart + np.trace(a) + np.trace(b) - 2 * common
    assert frechet_distance(first, second) == pytest.approx(expected, rel=1e-5)


def test_limits_of_the_frechet_distance():
    first = normal(7, 6, 30)
    assert frechet_distance(first, first) == pytest.approx(0, abs=1e-9)
    shifted = frechet_distance(first, first + 2)
    assert shifted == pytest.approx(4 * 30, rel=1e-6)
    spread = np.trace(np.cov(first.astype(float), rowvar=False))
    about = first.mean(0) + 3 * (first - first.mean(0))
    assert frechet_distance(first, about) == pytest.approx(4 * spread, rel=1e-4)
    first[0, 0] = np.inf
    assert np.isnan(frechet_distance(first, about))


# Images


@pytest.mark.parametrize("exponent, size", [(0, 64), (2, 64), (4, 64), (2, 33)])
def test_slopes_are_those_that_noise_was_made_with(exponent, size):
    generator = np.random.default_rng(exponent)
    frequency = np.fft.fftfreq(size)
    radius = np.hypot(frequency[:, None], frequency)
    radius[0, 0] = np.inf
    noise = np.fft.fft2(generator.normal(size=(40, size, size)))
    images = np.fft.ifft2(noise * radius ** (-exponent / 2)).real
    found = np.asarray(spectral_slope(jnp.asarray(images, jnp.float32)))
    assert found.mean() == pytest.approx(-exponent, abs=0.15)
    assert 0.05 < found.std() < 0.35


def test_slope_is_the_line_through_rings():
    image = np.random.default_rng(0).random((1, 24, 20)).astype(np.float32)
    window = np.outer(np.hanning(24), np.hanning(20))
    power = np.abs(np.fft.fft2((image[0] - image.mean()) * window)) ** 2
    rows, columns = np.fft.fftfreq(24)[:, None], np.fft.fftfreq(20)[None]
    ring = np.rint(np.hypot(rows, columns) * 20)
    radii = np.arange(2, 11)
    means = [power[ring == radius].mean() for radius in radii]
    expected = stats.linregress(np.log(radii), np.log(means)).slope
    found = spectral_slope(jnp.asarray(image))[0]
    assert float(found) == pytest.approx(expected, abs=1e-4)
    # Neither brightness nor contrast matter.
    other = spectral_slope(jnp.asarray(0.2 + 0.01 * image))[0]
    assert float(other) == pytest.approx(expected, abs=1e-3)


def test_gradient_kurtosis_is_that_of_the_differences():
    images = np.random.default_rng(1).random((3, 9, 7)).astype(np.float32)
    found = gradient_kurtosis(jnp.asarray(images))
    for image, value in zip(images, found, strict=True):
        steps = [np.diff(image, axis=axis).ravel() for axis in (0, 1)]
        steps = np.concatenate(steps).astype(float)
        expected = np.mean(steps**4) / np.mean(steps**2) ** 2
        assert float(value) == pytest.approx(expected, rel=1e-4)
    noise = gradient_kurtosis(jnp.asarray(normal(2, 4, 128, 128)))
    np.testing.assert_allclose(noise, 3, atol=0.15)
    small = gradient_kurtosis(jnp.asarray(1e-12 * images))
    np.testing.assert_allclose(small, found, rtol=1e-4)


def test_constant_images_have_neither_slope_nor_kurtosis():
    flat = jnp.full((2, 16, 16), 0.3)
    assert np.isnan(spectral_slope(flat)).all()
    assert np.isnan(gradient_kurtosis(flat)).all()
    assert np.isnan(spectral_slope(jnp.asarray(normal(0, 2, 6, 6)))).all()


def test_scores_can_be_mapped():
    sets = jnp.asarray(normal(8, 3, 10, 4))
    both = jax.jit(jax.vmap(lambda x: vendi(feature_shares(x))))(sets)
    alone = [vendi(feature_shares(one)) for one in sets]
    np.testing.assert_allclose(both, alone, rtol=1e-5)
