"""Correlations against SciPy, and their intervals against known ones."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from jaxbias.numerics.statistics import (
    bootstrap_correlation,
    partial_spearman,
    pearson,
    sign_flips,
    spearman,
)


def pair(count: int, mix: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    x, noise = np.random.default_rng(seed).normal(size=(2, count))
    return x, mix * x + np.sqrt(1 - mix**2) * noise


@pytest.mark.parametrize("mix", [-0.9, 0.0, 0.3, 1.0])
@pytest.mark.parametrize("count", [2, 3, 50])
def test_coefficients_equal_scipys(count, mix):
    x, y = pair(count, mix)
    np.testing.assert_allclose(pearson(x, y), stats.pearsonr(x, y)[0], atol=1e-12)
    expected = stats.spearmanr(x, y)[0]
    np.testing.assert_allclose(spearman(x, y), expected, atol=1e-12)


def test_ties_share_their_mean_rank():
    x = np.array([1, 1, 2, 2, 2, 3, 9])
    y = np.array([5, 4, 4, 4, 6, 6, 6])
    np.testing.assert_allclose(spearman(x, y), stats.spearmanr(x, y)[0], atol=1e-12)


@settings(deadline=None, database=None, max_examples=100)
@given(arrays(np.float64, (2, 6), elements=st.integers(-5, 5).map(float)))
def test_small_integers_equal_scipy(xy):
    x, y = xy
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        assert np.isnan(pearson(x, y)) and np.isnan(spearman(x, y))
    else:
        np.testing.assert_allclose(pearson(x, y), stats.pearsonr(x, y)[0], atol=1e-9)
        np.testing.assert_allclose(spearman(x, y), stats.spearmanr(x, y)[0], atol=1e-9)


@pytest.mark.parametrize("ranks", [False, True])
@pytest.mark.parametrize("constant", [0.0, 1.0, 0.1, 1e9 + 0.1])
def test_a_measure_that_does_not_vary_reads_nan(constant, ranks):
    # The mean of three times 0.1 is not 0.1: what is left must not pass for a spread.
    flat, varied = np.full(9, constant), np.arange(9.0)
    measure = spearman if ranks else pearson
    for x, y in ((flat, varied), (varied, flat), (flat, flat)):
        assert np.isnan(measure(x, y))
        found = bootstrap_correlation(x, y, np.arange(9) // 3, ranks=ranks)
        assert np.isnan([found.value, found.low, found.high]).all()


def test_a_nan_is_not_hidden():
    x, y = pair(20, 0.5)
    x[3] = np.nan
    assert np.isnan(pearson(x, y))
    assert np.isnan(bootstrap_correlation(x, y, np.arange(20)).value)


@pytest.mark.parametrize("ranks", [False, True])
def test_the_bootstrap_equals_one_over_single_rows(ranks):
    """Resample rows one by one, with the same draws of groups."""
    x, y = pair(60, 0.6)
    groups = np.random.default_rng(5).integers(0, 12, 60)
    found = bootstrap_correlation(x, y, groups, ranks=ranks, resamples=200, seed=3)
    if ranks:
        x, y = stats.rankdata(x), stats.rankdata(y)
    labels = np.unique(groups)
    weights = np.random.default_rng(3).multinomial(
        len(labels), np.full(len(labels), 1 / len(labels)), 200
    )
    drawn = []
    for weight in weights:
        rows = np.concatenate(
            [
                np.tile(np.flatnonzero(groups == g), w)
                for g, w in zip(labels, weight, strict=True)
            ]
        ).astype(int)
        drawn.append(stats.pearsonr(x[rows], y[rows])[0])
    np.testing.assert_allclose(found.value, stats.pearsonr(x, y)[0], rtol=1e-10)
    expected = np.percentile(drawn, [2.5, 97.5])
    np.testing.assert_allclose([found.low, found.high], expected, rtol=1e-8)


def test_the_interval_is_that_of_fisher_for_independent_rows():
    x, y = pair(400, 0.5, seed=1)
    found = bootstrap_correlation(x, y, np.arange(400), resamples=2000)
    centre = np.arctanh(found.value)
    expected = np.tanh([centre - 1.96 / np.sqrt(397), centre + 1.96 / np.sqrt(397)])
    np.testing.assert_allclose([found.low, found.high], expected, atol=0.02)
    assert found.low < 0.5 < found.high


def test_copies_within_a_group_do_not_narrow_the_interval():
    x, y = pair(40, 0.5, seed=2)
    single = bootstrap_correlation(x, y, np.arange(40))
    copied = bootstrap_correlation(
        np.repeat(x, 10), np.repeat(y, 10), np.repeat(np.arange(40), 10)
    )
    ungrouped = bootstrap_correlation(
        np.repeat(x, 10), np.repeat(y, 10), np.arange(400)
    )
    for field in ("value", "low", "high"):
        np.testing.assert_allclose(getattr(copied, field), getattr(single, field))
    assert ungrouped.high - ungrouped.low < 0.5 * (single.high - single.low)


def test_labels_may_be_words_and_confidence_widens():
    x, y = pair(60, 0.3)
    groups = np.arange(60) // 4
    words = np.array([f"network {g:02d}" for g in groups])
    assert bootstrap_correlation(x, y, words) == bootstrap_correlation(x, y, groups)
    wide = bootstrap_correlation(x, y, groups, confidence=0.99)
    narrow = bootstrap_correlation(x, y, groups, confidence=0.5)
    assert wide.low < narrow.low < wide.value < narrow.high < wide.high


def test_the_seed_decides_the_interval():
    x, y = pair(30, 0.3)
    one, again, other = (
        bootstrap_correlation(x, y, np.arange(30), seed=s) for s in (1, 1, 2)
    )
    assert one == again != other and one.value == other.value


@pytest.mark.parametrize("count", [2, 3, 4])
def test_few_single_networks_give_an_interval_within_the_range(count):
    # Many resamples hold one network only and have no correlation at all.
    for seed in range(20):
        x, y = pair(count, 0.2, seed)
        found = bootstrap_correlation(x, y, np.arange(count), resamples=200)
        assert -1 - 1e-9 <= found.low <= found.high <= 1 + 1e-9


def test_partial_correlation_is_that_of_residuals():
    random = np.random.default_rng(0)
    z, w = random.normal(size=(2, 40))
    x, y = z + random.normal(size=40), z - w + random.normal(size=40)
    ranked = [stats.rankdata(one) for one in (x, y, z, w)]
    design = np.stack([np.ones(40), *ranked[2:]], axis=1)
    left = [
        one - design @ np.linalg.lstsq(design, one, rcond=None)[0] for one in ranked[:2]
    ]
    expected = np.corrcoef(*left)[0, 1]
    value, p = partial_spearman(x, y, [z, w, np.ones(40)])
    assert value == pytest.approx(expected)
    t = expected * np.sqrt(36 / (1 - expected**2))
    assert p == pytest.approx(2 * stats.t.sf(abs(t), 36))
    assert np.isnan(partial_spearman(x, y, [x * 2])[0])
    assert np.isnan(partial_spearman(x[:4], y[:4], [z[:4], w[:4]])[0])


@pytest.mark.parametrize("count", [6, 14])
def test_signs_of_pairs_are_found_and_chance_is_not(count):
    rising = np.linspace(0.1, 1, count)
    found = sign_flips(rising, resamples=5_000, seed=0)
    assert found.rising <= (1 / 64 if count == 6 else 0.001)
    assert found.falling == 1
    turned = sign_flips(-rising, resamples=5_000, seed=0)
    assert (turned.rising, turned.falling) == (found.falling, found.rising)
    both = sign_flips(np.zeros(count), resamples=500, seed=0)
    assert both.rising == both.falling == 1
    assert np.isnan(sign_flips(np.zeros(0), resamples=10, seed=0).rising)


def test_one_of_several_readings_is_enough():
    random = np.random.default_rng(0)
    table = random.normal(size=(6, 4))
    table[:, 2] = 0.01 * np.linspace(1, 1.2, 6)
    found = sign_flips(table, resamples=10, seed=0)
    # Of 64 flips this one alone, and its opposite.
    assert (found.rising, found.either) == (1 / 64, 2 / 64) and found.falling > 0.1


def test_p_of_signs_is_even_under_chance():
    draws = np.random.default_rng(0).normal(size=(400, 8))
    found = [sign_flips(one, resamples=10, seed=0).rising for one in draws]
    assert abs(np.mean(np.asarray(found) <= 0.1) - 0.1) < 4 * np.sqrt(0.09 / 400)
    several = np.stack([draws, draws[::-1], draws + draws[::-1]], axis=-1)
    found = [sign_flips(one, resamples=10, seed=0).either for one in several]
    assert abs(np.mean(np.asarray(found) <= 0.1) - 0.1) < 4 * np.sqrt(0.09 / 400)
