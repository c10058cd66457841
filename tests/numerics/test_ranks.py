"""Rank correlations of columns against SciPy's, resampled and shuffled."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from jaxbias.numerics import ranks


def columns(seed, count=21, ties=False):
    found = np.random.default_rng(seed).normal(size=(count, 3))
    return np.round(found * 2) if ties else found


def test_ranks_are_scipys_with_ties():
    values = columns(0, ties=True)
    expected = stats.rankdata(values, axis=0)
    np.testing.assert_array_equal(ranks.ranks(jnp.asarray(values)), expected)


def test_correlations_are_scipys():
    x, y = columns(0, ties=True), columns(1)
    found = jax.jit(ranks.spearman)(jnp.asarray(x), jnp.asarray(y))
    for i in range(3):
        for j in range(3):
            expected = stats.spearmanr(x[:, i], y[:, j]).statistic
            np.testing.assert_allclose(found[i, j], expected, atol=1e-6)


def test_a_constant_column_has_no_correlation():
    found = ranks.spearman(jnp.ones((5, 1)), jnp.arange(5.0)[:, None])
    assert np.isnan(found).all()


def test_resamples_spread_as_the_correlation_does(key):
    """The deviation of resamples is that of new samples of the same law."""
    random = np.random.default_rng(0)

    def sample():
        x = random.normal(size=(60, 1))
        return x, 0.8 * x + 0.6 * random.normal(size=(60, 1))

    new = [ranks.spearman(*map(jnp.asarray, sample())).item() for _ in range(300)]
    x, y = map(jnp.asarray, sample())
    found = np.asarray(ranks.bootstrapped(x, y, key, resamples=500))
    assert found.shape == (500, 1, 1)
    # Resamples have ties, which new samples have not: somewhat more spread.
    assert 0.7 < found.std() / np.std(new) < 1.6
    assert abs(found.mean() - ranks.spearman(x, y).item()) < 0.05


def test_shuffled_rows_give_the_null_distribution(key):
    x, y = jnp.asarray(columns(0)), jnp.asarray(columns(1))
    found = np.asarray(ranks.permuted(x, y, key, permutations=2000))
    # Var = 1 / (n - 1), whatever the ranks.
    np.testing.assert_allclose(found.var(axis=0), 1 / 20, rtol=0.15)
    assert np.abs(found.mean(axis=0)).max() < 0.02
    # The p of the test is Student's, where there are no ties.
    here = np.asarray(ranks.spearman(x, y))
    p = (np.abs(found) >= np.abs(here)).mean(axis=0)
    for i in range(3):
        expected = stats.spearmanr(np.asarray(x)[:, i], np.asarray(y)[:, i]).pvalue
        assert abs(p[i, i] - expected) < 0.04


def test_chance_is_that_of_shuffles_and_none_of_a_constant(key):
    x, y = jnp.asarray(columns(0)), jnp.asarray(columns(1))
    x = x.at[:, 2].set(1.0)
    found = ranks.chance(x, y, key, permutations=2000)
    for i, j in ((0, 0), (0, 1), (1, 2)):
        pair = np.asarray(x)[:, i], np.asarray(y)[:, j]
        for p, side in ((found.either, "two-sided"), (found.rising, "greater")):
            expected = stats.spearmanr(*pair, alternative=side).pvalue
            assert abs(p[i, j] - expected) < 0.05
    assert np.isnan(found.either[2]).all() and np.isnan(found.rising[2]).all()
    itself = ranks.chance(x, x, jax.random.key(1), permutations=999)
    assert itself.rising[0, 0] == itself.either[1, 1] == 1 / 1000
