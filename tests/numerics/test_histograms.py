"""Histogram matching against NumPy's histograms and sorting, and its limits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxbias.numerics import histograms


def drawn(pixels, seed=0):
    rng = np.random.default_rng(seed)
    values = [
        rng.normal(size=pixels),
        rng.uniform(3, 4, pixels),
        rng.gamma(1, 1, pixels),
    ]
    return np.asarray(values, np.float32)


TABLES = np.stack(
    [
        np.quantile(
            np.random.default_rng(9).laplace(size=10**5), histograms.probabilities()
        ),
        np.linspace(-1, 2, histograms.KNOTS) ** 3,
        np.linspace(5, 6, histograms.KNOTS),
    ]
).astype(np.float32)


def test_probabilities_rise_and_are_dense_at_both_ends():
    at = histograms.probabilities()
    assert (at[0], at[-1], len(at)) == (0, 1, histograms.KNOTS)
    assert (np.diff(at) > 0).all()
    np.testing.assert_allclose(at, 1 - at[::-1], atol=1e-12)
    assert at[1] < 3 / histograms.KNOTS**2


def test_quantiles_between_knots_are_on_straight_lines():
    share = np.random.default_rng(1).uniform(size=(3, 200)).astype(np.float32)
    share[:, :4] = 0, 1, 1e-6, 1 - 1e-6
    found = histograms.at_probability(jnp.asarray(TABLES), jnp.asarray(share))
    at = histograms.probabilities().astype(np.float32)
    expected = [np.interp(x, at, table) for x, table in zip(share, TABLES, strict=True)]
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-4)


@pytest.mark.parametrize("bins", [16, 256])
def test_values_move_as_their_histograms_say(bins):
    values = drawn(1_000)
    found = jax.jit(histograms.match, static_argnums=2)(
        values, jnp.asarray(TABLES), bins
    )
    at = histograms.probabilities()
    for own, table, got in zip(values, TABLES, np.asarray(found), strict=True):
        counts, edges = np.histogram(own.astype(float), bins)
        share = np.append(0, np.cumsum(counts)) / own.size
        expected = np.interp(own, edges, np.interp(share, at, table))
        # A value next to an edge may be counted on its other side.
        assert np.quantile(abs(got - expected), 0.98) < 2e-3 * np.ptp(table)
        assert got.min() == pytest.approx(table[0], abs=1e-4)
        assert got.max() == pytest.approx(table[-1], abs=1e-4)
        assert (np.diff(got[np.argsort(own)]) >= -1e-5).all()


def test_a_matched_map_has_the_distribution_asked():
    found = np.asarray(
        histograms.match(jnp.asarray(drawn(20_000)), jnp.asarray(TABLES), 800)
    )
    at = histograms.probabilities()
    for got, table in zip(found, TABLES, strict=True):
        law = lambda x, table=table: np.interp(x, table, at)  # noqa: E731
        assert stats.kstest(got, law).statistic < 0.01


def test_quantiles_are_those_of_sorted_values():
    values = drawn(5_000, seed=2)
    found = np.asarray(histograms.quantiles(jnp.asarray(values), 512))
    at = histograms.probabilities()
    expected = np.quantile(values, at, axis=1).T
    np.testing.assert_allclose(found[:, 0], expected[:, 0], rtol=1e-6)
    np.testing.assert_allclose(found[:, -1], expected[:, -1], rtol=1e-6)
    # Farther out there is more than one bin from a value to the next.
    gap = abs(found - expected)[:, (at > 0.05) & (at < 0.95)]
    assert (gap < 1.2 * np.ptp(values, axis=1, keepdims=True) / 512).all()
    # Of two values, no others are made up but for a hundredth.
    two = jnp.where(jnp.arange(400) < 100, 0.0, 1.0)[None]
    table = np.asarray(histograms.quantiles(two, 256))[0]
    assert ((table > 0.01) & (table < 0.99)).sum() <= 3
    assert (table < 0.5).mean() == pytest.approx((at < 0.25).mean(), abs=0.01)


def test_a_constant_has_no_order_and_spoils_no_other_map():
    values = drawn(300)
    values[1] = 2.0
    found = np.asarray(histograms.match(jnp.asarray(values), jnp.asarray(TABLES), 64))
    alone = histograms.match(jnp.asarray(values[2:]), jnp.asarray(TABLES[2:]), 64)
    assert np.isnan(found[1]).all()
    np.testing.assert_allclose(found[2:], alone, atol=1e-5)
    constant = jnp.full((1, 300), 2.0)
    assert np.isnan(histograms.match(constant, jnp.asarray(TABLES[:1]))).all()
    assert np.isnan(histograms.quantiles(constant)).all()


def test_vmap_changes_nothing():
    many = jnp.stack([drawn(200, seed) for seed in range(3)])
    match = jax.jit(lambda values: histograms.match(values, jnp.asarray(TABLES), 32))
    plain = jnp.stack([match(values) for values in many])
    np.testing.assert_allclose(jax.vmap(match)(many), plain, atol=1e-5)
