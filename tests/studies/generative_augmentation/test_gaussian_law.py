"""The exact law and the bounds, against a simulation that shares no code with them."""

import numpy as np
import pytest
from scipy import stats

from jaxbias.studies.generative_augmentation import bounds, law

GAMMAS = np.asarray([0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0])


def simulated(m, gamma, dim, *, sigma, mu, trials, seed=0):
    """Mean losses of the paper's experiment in x and y themselves, point by point.

    Returns:
        Training and population test loss, and the fitted classifiers, trial by trial.
    """
    rng = np.random.default_rng(seed)
    labels = np.tile([-1.0, 1.0], m // 2)
    train, test, thetas = [], [], []
    for _ in range(trials):
        x = labels[:, None] * mu + sigma * rng.normal(size=(m, dim))
        means = {y: x[labels == y].mean(0) for y in (-1.0, 1.0)}
        # Class-weighted unbiased variances, one for each coordinate.
        pooled = sum(0.5 * x[labels == y].var(0, ddof=1) for y in (-1.0, 1.0))
        more = np.tile([-1.0, 1.0], round(gamma * m) // 2)
        drawn = np.asarray([means[y] for y in more]).reshape(-1, dim)
        drawn = drawn + np.sqrt(pooled) * rng.normal(size=drawn.shape)
        points, signs = np.concatenate([x, drawn]), np.concatenate([labels, more])
        theta = (signs[:, None] * points).mean(0)
        residual = points - signs[:, None] * theta
        train.append((residual**2).sum(1).mean() / (2 * sigma**2))
        test.append(dim / 2 + ((theta - mu) ** 2).sum() / (2 * sigma**2))
        thetas.append(theta)
    return np.asarray(train), np.asarray(test), np.asarray(thetas)


def z_score(sample, expected):
    return (sample.mean() - expected) / (sample.std(ddof=1) / np.sqrt(len(sample)))


CASES = [
    (4, 0.0, 3),
    (4, 1.0, 1),
    (4, 3.0, 7),
    (10, 0.0, 2),
    (10, 0.4, 5),
    (10, 1.0, 20),
    (12, 2.5, 1),
    (30, 6.0, 4),
]


@pytest.mark.parametrize("m, gamma, dim", CASES)
def test_moments_are_those_of_points_drawn_one_by_one(m, gamma, dim):
    mu = np.full(dim, 1 / np.sqrt(dim))
    trials = 3000
    train, test, _ = simulated(m, gamma, dim, sigma=0.6, mu=mu, trials=trials)
    gap = test - train
    assert abs(z_score(gap, law.mean_gap(m, gamma, dim))) < 4
    assert abs(z_score(test, law.mean_test_nll(m, gamma, dim))) < 4
    assert abs(z_score(train, law.mean_train_nll(m, gamma, dim))) < 4
    # The variance of a variance needs the fourth moment.
    centred = (gap - gap.mean()) ** 2
    assert abs(z_score(centred, law.variance_gap(m, gamma, dim))) < 4


def test_the_gap_depends_on_neither_sigma_nor_mu():
    """The same random numbers at another sigma and another mean, to rounding."""
    found = [
        simulated(10, 2.0, 6, sigma=sigma, mu=np.asarray(mu), trials=20)
        for sigma, mu in ((0.6, [0.4] * 6), (3.0, [0.4] * 6), (0.6, range(6)))
    ]
    gaps = [test - train for train, test, _ in found]
    for gap in gaps[1:]:
        np.testing.assert_allclose(gap, gaps[0], rtol=0, atol=1e-12)


@pytest.mark.parametrize("m, gamma, dim", [(10, 0.0, 5), (10, 0.0, 1), (20, 2.0, 10)])
def test_the_risk_of_random_classifiers_is_the_quadrature(m, gamma, dim):
    mu = np.full(dim, 1 / np.sqrt(dim))
    *_, theta = simulated(m, gamma, dim, sigma=0.6, mu=mu, trials=3000)
    risk = stats.norm.sf(theta @ mu / np.linalg.norm(theta, axis=1) / 0.6)
    error = risk.std(ddof=1) / np.sqrt(len(risk)) if dim > 1 else 0
    assert abs(risk.mean() - law.zero_one_risk(m, gamma, dim, 0.6)) < 4 * error + 1e-3


@pytest.mark.parametrize(
    "m, dim, gamma, expected",
    [
        (10, 50, 0, 0.1620),
        (10, 50, 1, 0.1800),
        (10, 50, 100, 0.1629),
        (10, 100, 0, 0.2207),
        (10, 100, 5, 0.2322),
        (100, 50, 0, 0.0623),
    ],
)
def test_risks_of_an_independent_program(m, dim, gamma, expected):
    assert law.zero_one_risk(m, gamma, dim, 0.6) == pytest.approx(expected, abs=6e-4)


def test_the_risk_with_endless_data_is_the_best_one():
    assert law.bayes_risk(0.6) == pytest.approx(0.0478, abs=5e-5)
    endless = law.zero_one_risk(10**7, 0.0, 50, 0.6)
    assert endless == pytest.approx(law.bayes_risk(0.6), rel=1e-5)


def test_the_excess_is_a_quarter_more_at_gamma_one_and_comes_back():
    assert law.excess(10, 1.0) / law.excess(10, 0.0) == pytest.approx(1.25)
    fine = law.excess(10, np.linspace(0, 50, 501))
    assert np.argmax(fine) == 10 and np.all(fine >= fine[0])
    assert law.excess(10, 1e9) == pytest.approx(0.1)


def test_many_generated_points_leave_the_spread_of_the_fit():
    m, dim = 10, 3
    limit = dim * (1 / (2 * (m - 2)) + 1 / m**2)
    assert law.mean_gap(m, 1e9, dim) == pytest.approx(0, abs=1e-8)
    assert law.variance_gap(m, 1e9, dim) == pytest.approx(limit, rel=1e-6)


def test_without_noise_the_folded_normal_is_the_mean():
    assert law.mean_abs_gap(10, 0.0, 10**6) == pytest.approx(1e5, rel=1e-3)


# Smallest dimension at which gamma = 1, 2, 5, 50 lowers the mean |gap|.
THRESHOLDS = {10: (5, 4, 3, 3), 20: (8, 5, 4, 3), 50: (15, 10, 6, 3)}


@pytest.mark.parametrize("m, expected", THRESHOLDS.items())
def test_where_augmentation_begins_to_lower_the_gap(m, expected):
    dims = np.arange(1, 40)
    plain = law.mean_abs_gap(m, 0.0, dims)
    found = [
        int(dims[np.argmax(law.mean_abs_gap(m, gamma, dims) < plain)])
        for gamma in (1.0, 2.0, 5.0, 50.0)
    ]
    assert found == list(expected)


def test_the_generator_is_as_far_as_its_fit_is_wrong():
    rng = np.random.default_rng(0)
    m, dim, trials = 12, 4, 20_000
    moved = rng.normal(size=(trials, dim)) * np.sqrt(2 / m)
    variance = rng.chisquare(m - 2, (trials, dim)) / (m - 2)
    kl = 0.5 * (variance - 1 - np.log(variance) + moved**2).sum(1)
    assert abs(z_score(kl, law.mean_kl(m, dim))) < 4
    assert law.mean_kl(10**4, 1) == pytest.approx(0.5 * (2e-4 + 1e-4), rel=1e-3)
    assert law.pinsker(0.02) == pytest.approx(0.1) and law.pinsker(50.0) == 1


def test_generations_forget_as_a_martingale_does():
    rng = np.random.default_rng(0)
    m, chains, fits = 10, 20_000, 6
    variance, place = np.ones(chains), np.zeros(chains)
    for _ in range(fits):
        place = place + rng.normal(size=chains) * np.sqrt(2 * variance / m)
        variance = variance * rng.chisquare(m - 2, chains) / (m - 2)
    law_ = law.replaced_generations(m, fits - 1)
    assert abs(z_score(variance, law_.variance)) < 4
    assert abs(z_score(np.log(variance), law_.log_variance)) < 4
    assert abs(z_score(place**2, law_.displacement)) < 4


# Bounds


def test_the_bound_is_that_of_the_authors_notebook():
    low = bounds.gaussian_mixture(40, GAMMAS, 1).total
    high = bounds.gaussian_mixture(10, GAMMAS, 50).total
    np.testing.assert_allclose(
        low, [1.174, 6.187, 5.574, 4.235, 3.210, 2.352, 1.519, 1.080], atol=6e-4
    )
    np.testing.assert_allclose(
        high,
        [149.01, 113.06, 94.00, 74.51, 65.49, 60.12, 56.32, 54.80],
        atol=6e-3,
    )


def test_terms_by_hand():
    """m = 40, gamma = 1, d = 1, every term written out."""
    m, log = 40, np.log(40)
    bound = 1 + log
    beta = bound / 80
    terms = bounds.gaussian_mixture(m, 1.0, 1)
    assert terms.divergence == 0
    assert terms.stability == pytest.approx(
        (2 * bound * np.sqrt(m) + m * np.sqrt(m) * beta) / 80
    )
    assert terms.concentration == pytest.approx(beta * log)
    assert terms.generator == pytest.approx(m * log * bound * np.sqrt(1 / m) * log / 80)
    assert terms.total == pytest.approx(terms.divergence + terms.mixed)


def test_the_variants_differ_where_they_are_said_to():
    notebook = bounds.gaussian_mixture(10, GAMMAS, 50)
    remembered = bounds.gaussian_mixture(10, GAMMAS, 50, "remembered")
    for name in ("divergence", "stability"):
        np.testing.assert_array_equal(
            getattr(notebook, name), getattr(remembered, name)
        )
    # As many generated points as real ones: m_S log m_G is m_G log m_G.
    assert notebook.total[1] == remembered.total[1]
    assert (remembered.concentration[2:] > notebook.concentration[2:]).all()
    assert remembered.generator[0] == 0 < notebook.generator[0]


def test_without_generated_points_the_bound_is_that_of_plain_stability():
    m = np.asarray([10.0, 100.0, 1000.0])
    terms = bounds.general(
        m, 0.0, loss_bound=2.0, stability=1 / m, divergence=1.0, sensitivity=0.0
    )
    np.testing.assert_allclose(terms.total, np.log(m) / m + 2 / np.sqrt(m))


def test_the_most_efficient_amount_is_the_first_that_will_do():
    amount = bounds.most_efficient_amount(10, 50)
    for m_generated, expected in ((amount - 2, False), (amount, True)):
        terms = bounds.gaussian_mixture(10, m_generated / 10, 50)
        limit = terms.divergence * (10 + m_generated) / m_generated
        assert (terms.mixed <= limit) == expected
    assert bounds.most_efficient_amount(40, 1) is None


def test_orders_of_the_theorem():
    orders = bounds.theorem_orders(100.0)
    assert orders["no generated points"] == pytest.approx(0.1 * np.log(100))
    assert orders["as many as real ones"] == pytest.approx(0.1 * np.log(100) ** 2)
