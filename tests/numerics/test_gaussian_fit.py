"""Fits of Gaussians against SciPy's `curve_fit`, a dense search, and known answers."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import curve_fit

from jaxbias.numerics.gaussian_fit import MOST, WIDEST, fit, fits

X = np.arange(7.0)
CORNERS = [[4] * 7, [0] * 7, [2] * 7, [0, 0, 0, 0, 2, 0, 0], [1, 0, 0, 0, 0, 0, 0]]
# 0, 0, 0, 0, 2, 2, 0 is people's; the last has a negative sigma on the way.
KNOWN = [[0, 0, 0, 0, 2, 2, 0], [0, 1, 2, 3, 4, 4, 4], [1, 2, 3, 3, 3, 4, 3]]


def gaussian(x, amplitude, mu, sigma):
    return amplitude * np.exp(-((x - mu) ** 2) / (2 * sigma**2))


def by_curve_fit(values):
    """The published call; None where it gives up."""
    bounds = ((0, -np.inf, -np.inf), (4, np.inf, np.inf))
    with warnings.catch_warnings():
        # No covariance of what is undetermined.
        warnings.simplefilter("ignore")
        try:
            found = curve_fit(gaussian, X, values, p0=(1, 0, 1), bounds=bounds)[0]
        except RuntimeError:
            return None
    return found


def some(count, seed=0):
    return np.random.default_rng(seed).integers(0, 5, (count, 7))


@pytest.fixture(scope="module")
def published():
    """Vectors of thresholds, and what `curve_fit` makes of them."""
    vectors = np.concatenate([KNOWN, some(120)])
    found = {number: by_curve_fit(vector) for number, vector in enumerate(vectors)}
    done = {number: each for number, each in found.items() if each is not None}
    assert len(done) > 0.95 * len(vectors)
    return vectors[list(done)], np.stack(list(done.values()))


@pytest.fixture(scope="module")
def together(published):
    values = jnp.asarray(published[0], jnp.float32)
    return jax.tree.map(np.asarray, fits(values))


def test_one_fit_is_that_of_curve_fit(published):
    for vector, (amplitude, mu, sigma) in zip(*published, strict=True):
        found = fit(tuple(map(float, vector)))
        assert found.amplitude == pytest.approx(amplitude, abs=1e-6)
        assert found.mu == pytest.approx(mu, rel=1e-6, abs=1e-6)
        assert found.sigma == pytest.approx(abs(sigma), rel=1e-6)
        left = gaussian(X, amplitude, mu, sigma) - vector
        assert found.residual == pytest.approx(np.sqrt(np.mean(left**2)), abs=1e-6)


def test_many_fits_are_the_best_of_a_dense_search(published, together):
    vectors = published[0].astype(float)
    mu = np.concatenate([np.linspace(-3, 9, 97), -3 - np.geomspace(0.2, 60, 20)])
    mu = np.concatenate([mu, 6 - mu[97:]])
    places = np.stack(np.meshgrid(mu, np.geomspace(0.2, WIDEST, 50)), -1).reshape(-1, 2)
    shapes = gaussian(X, 1.0, places[:, :1], places[:, 1:])
    powers, products = np.sum(shapes**2, axis=1) + 1e-12, vectors @ shapes.T
    heights = np.clip(products / powers, 0, MOST)
    left = np.sum(vectors**2, axis=1)[:, None] + heights * (
        heights * powers - 2 * products
    )
    assert (7 * together.residual**2 <= left.min(axis=1) + 1e-3).all()


def test_many_fits_are_no_worse_than_curve_fit(published, together):
    vectors, found = published
    left = gaussian(X, *found.T[..., None]) - vectors
    squares = np.sum(left**2, axis=1)
    # Sigma is bounded: where more than 64 is better, it is by hardly anything.
    assert (7 * together.residual**2 < squares + 0.03).all()
    assert together.undetermined[7 * together.residual**2 > squares + 1e-3].all()
    best = (squares < 7 * together.residual**2 + 1e-3) & ~together.undetermined
    assert best.mean() > 0.6
    mine = np.stack([together.amplitude, together.mu, together.sigma], axis=1)
    expected = np.stack([*found.T[:2], np.abs(found[:, 2])], axis=1)
    # Flat minima far away are known to a hundredth.
    np.testing.assert_allclose(mine[best], expected[best], rtol=0.02, atol=0.01)


def test_gaussians_are_found_again():
    generator = np.random.default_rng(1)
    lows, highs = (0.5, -1, 0.6), (MOST, 7, 4)
    known = generator.uniform(lows, highs, size=(40, 3))
    values = gaussian(X, *known.T[..., None])
    many = fits(jnp.asarray(values, jnp.float32))
    found = np.stack([many.amplitude, many.mu, many.sigma], axis=1)
    np.testing.assert_allclose(found, known, atol=5e-3)
    assert (np.asarray(many.residual) < 1e-4).all()
    one = fit(tuple(values[0]))
    np.testing.assert_allclose([float(e) for e in one[:3]], known[0], atol=1e-3)


@pytest.mark.parametrize("values", CORNERS)
def test_what_many_gaussians_fit_is_undetermined(values):
    assert fit(tuple(map(float, values))).undetermined
    assert fits(jnp.asarray([values], jnp.float32)).undetermined[0]


@pytest.mark.parametrize("values", KNOWN)
def test_what_one_gaussian_fits_is_determined(values):
    assert not fit(tuple(map(float, values))).undetermined
    assert not fits(jnp.asarray([values], jnp.float32)).undetermined[0]


def test_two_points_determine_nothing():
    assert fit((1.0, 2.0)).undetermined
    assert fits(jnp.asarray([[1.0, 2.0]])).undetermined[0]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_value_that_is_no_number_makes_its_fit_nan(bad):
    values = np.asarray([KNOWN[1], KNOWN[1]], np.float32)
    values[0, 3] = bad
    many, one = fits(jnp.asarray(values)), fit(tuple(map(float, values[0])))
    assert one.undetermined and np.isnan([float(e) for e in one[:4]]).all()
    assert many.undetermined[0] and np.isnan([each[0] for each in many[:4]]).all()
    alone = fits(jnp.asarray(values[1:]))
    np.testing.assert_allclose([e[1] for e in many], [e[0] for e in alone], rtol=1e-5)


def test_no_points_are_refused():
    with pytest.raises(ValueError, match="no points"):
        fit(())
