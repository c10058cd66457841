"""Gaussian mixtures: what is drawn, and what generators make of it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from jaxbias.data import gaussian_mixtures as mixtures


def mixture(classes=2, dim=3, kind="isotropic", scale=1.0):
    return mixtures.Mixture(
        means=jnp.asarray(mixtures.centres(classes, dim)),
        factor=jnp.asarray(scale * mixtures.covariance_factor(kind, dim)),
    )


def normals(seed, *shape):
    return jax.random.normal(jax.random.key(seed), shape)


@pytest.mark.parametrize("classes, dim", [(2, 1), (2, 7), (3, 2), (4, 10), (8, 7)])
def test_centres_lie_at_distance_one_and_equally_far_apart(classes, dim):
    means = mixtures.centres(classes, dim)
    assert means.shape == (classes, dim)
    np.testing.assert_allclose(np.linalg.norm(means, axis=1), 1, rtol=1e-5)
    apart = np.linalg.norm(means[:, None] - means, axis=-1)
    apart = apart[~np.eye(classes, dtype=bool)]
    np.testing.assert_allclose(apart, np.sqrt(2 * classes / (classes - 1)), rtol=1e-5)


def test_two_centres_are_the_paper_s():
    np.testing.assert_allclose(mixtures.centres(2, 4), [[-0.5] * 4, [0.5] * 4])


@pytest.mark.parametrize("classes, dim", [(1, 3), (5, 3)])
def test_impossible_class_numbers_are_refused(classes, dim):
    with pytest.raises(ValueError, match="classes"):
        mixtures.centres(classes, dim)


@pytest.mark.parametrize("kind", mixtures.COVARIANCES)
@pytest.mark.parametrize("dim", [1, 2, 6])
def test_covariances_have_mean_variance_one(kind, dim):
    factor = mixtures.covariance_factor(kind, dim)
    assert np.trace(factor @ factor.T) == pytest.approx(dim, rel=1e-5)
    np.testing.assert_array_equal(factor, np.tril(factor))


def test_covariances_are_what_they_are_called():
    dim = 8
    covariance = {
        kind: (lambda f: f @ f.T)(mixtures.covariance_factor(kind, dim))
        for kind in mixtures.COVARIANCES
    }
    np.testing.assert_allclose(covariance["isotropic"], np.eye(dim))
    diagonal = np.diag(covariance["diagonal"])
    np.testing.assert_allclose(covariance["diagonal"], np.diag(diagonal), atol=1e-6)
    assert diagonal.max() / diagonal.min() == pytest.approx(16, rel=1e-4)
    values = np.linalg.eigvalsh(covariance["low_rank"])
    np.testing.assert_allclose(values[:-2], 0.2, rtol=1e-4)
    assert values[-2] > 1
    correlation = covariance["full"][0, 1] / covariance["full"][0, 0]
    assert correlation == pytest.approx(0.7, rel=1e-5)


def test_samples_have_the_mixture_s_moments():
    true = mixture(3, 4, "full", 0.5)
    labels = mixtures.balanced_labels(30_000, 3)
    points = np.asarray(mixtures.sample(normals(0, 30_000, 4), true, labels))
    for c in range(3):
        of_class = points[np.asarray(labels) == c]
        np.testing.assert_allclose(of_class.mean(0), true.means[c], atol=0.02)
        np.testing.assert_allclose(
            np.cov(of_class.T), true.factor @ true.factor.T, atol=0.02
        )


def test_labels():
    np.testing.assert_array_equal(mixtures.balanced_labels(5, 2), [0, 1, 0, 1, 0])
    drawn = np.asarray(mixtures.random_labels(jax.random.key(0), 9000, 3))
    assert stats.chisquare(np.bincount(drawn, minlength=3)).pvalue > 1e-3


# Fits


def drawn(count=24, classes=2, dim=5, kind="full", seed=0):
    true = mixture(classes, dim, kind)
    labels = mixtures.balanced_labels(count, classes)
    return mixtures.sample(normals(seed, count, dim), true, labels), labels


def pooled(points, labels, classes):
    points, labels = np.asarray(points, np.float64), np.asarray(labels)
    means = np.stack([points[labels == c].mean(0) for c in range(classes)])
    residual = points - means[labels]
    return means, residual.T @ residual / (len(points) - classes)


@pytest.mark.parametrize("kind", mixtures.COVARIANCES)
def test_fits_are_the_pooled_estimates_of_their_kind(kind):
    points, labels = drawn(classes=3)
    means, covariance = pooled(points, labels, 3)
    fitted = mixtures.fit(points, labels, 3, kind)
    np.testing.assert_allclose(fitted.means, means, rtol=1e-4, atol=1e-5)
    found = np.asarray(fitted.covariance())
    if kind == "isotropic":
        expected = np.eye(5) * np.trace(covariance) / 5
    elif kind == "diagonal":
        expected = np.diag(np.diag(covariance))
    elif kind == "full":
        expected = covariance
    else:
        values, vectors = np.linalg.eigh(covariance)
        values[:3] = values[:3].mean()
        expected = vectors * values @ vectors.T
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_the_paper_s_estimate_for_two_balanced_classes():
    """Class-weighted unbiased variances are the pooled ones."""
    points, labels = drawn(10)
    parts = [np.asarray(points)[np.asarray(labels) == c].var(0, ddof=1) for c in (0, 1)]
    fitted = mixtures.fit(points, labels, 2, "diagonal")
    np.testing.assert_allclose(fitted.noise**2, np.mean(parts, axis=0), rtol=1e-4)


def test_a_class_without_points_gets_the_common_mean():
    points, _ = drawn(12)
    labels = jnp.zeros(12, jnp.int32)
    fitted = mixtures.fit(points, labels, 2, "diagonal")
    np.testing.assert_allclose(fitted.means[1], points.mean(0), rtol=1e-5)
    expected = np.asarray(points).var(0, ddof=1)
    np.testing.assert_allclose(fitted.noise**2, expected, rtol=1e-4)


@pytest.mark.parametrize("kind", mixtures.COVARIANCES)
def test_generated_points_have_the_generator_s_moments(kind):
    points, labels = drawn(16, dim=4)
    fitted = mixtures.fit(points, labels, 2, kind)
    count = 40_000
    many = mixtures.balanced_labels(count, 2)
    factors = normals(2, count, mixtures.factor_count(kind, 16, 4))
    new = mixtures.generate(normals(1, count, 4), factors, fitted, many)
    means, covariance = pooled(new, many, 2)
    np.testing.assert_allclose(means, fitted.means, atol=0.04)
    np.testing.assert_allclose(covariance, fitted.covariance(), atol=0.08)


def test_degrading_makes_classes_alike():
    fitted = mixtures.fit(*drawn(), 2, "diagonal")
    same = mixtures.degrade(fitted, jnp.float32(0))
    np.testing.assert_allclose(same.means, fitted.means, rtol=1e-6)
    alike = mixtures.degrade(fitted, jnp.float32(1))
    np.testing.assert_allclose(alike.means[0], alike.means[1], atol=1e-6)
    half = mixtures.degrade(fitted, jnp.float32(0.5))
    np.testing.assert_allclose(
        half.means[1] - half.means[0],
        (fitted.means[1] - fitted.means[0]) / 2,
        rtol=1e-4,
    )


# Total variation


def test_total_variation_is_the_integral_in_one_dimension():
    true = mixture(2, 1)
    fitted = mixtures.Generator(
        means=true.means + 0.7, factors=jnp.zeros((1, 1)), noise=jnp.asarray([1.6])
    )
    here = float(true.means[0, 0])
    difference = lambda x: abs(  # noqa: E731
        stats.norm.pdf(x, here, 1) - stats.norm.pdf(x, here + 0.7, 1.6)
    )
    expected = integrate.quad(difference, -12, 12, limit=200)[0] / 2
    found = mixtures.total_variation(normals(0, 200_000, 1), true, fitted)
    assert found == pytest.approx(expected, abs=0.005)


def test_total_variation_of_shifted_classes():
    true = mixture(2, 6, "full", 0.8)
    shift = 0.3 * true.factor[:, 0]
    fitted = mixtures.Generator(
        means=true.means + shift[None], factors=true.factor, noise=jnp.zeros(6)
    )
    expected = 2 * stats.norm.cdf(0.15) - 1
    found = mixtures.total_variation(normals(0, 100_000, 6), true, fitted)
    assert found == pytest.approx(expected, abs=0.005)


def test_total_variation_of_the_same_and_of_a_singular_distribution():
    true = mixture(2, 6, "diagonal")
    same = mixtures.Generator(true.means, true.factor, jnp.zeros(6))
    draws = normals(0, 100, 6)
    assert mixtures.total_variation(draws, true, same) == pytest.approx(0, abs=1e-4)
    points, labels = drawn(6, dim=6)
    flat = mixtures.fit(points, labels, 2, "full")
    assert mixtures.total_variation(draws, true, flat) == 1
