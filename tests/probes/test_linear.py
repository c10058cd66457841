"""Linear probes: the optimum of a convex problem, so it can be told when it is found."""

import jax
import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from jaxbias.probes import linear
from jaxbias.probes.linear import fit


def draw(count=300, features=6, classes=3, spread=1.5, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(count) % classes)
    centres = rng.normal(size=(classes, features)) * spread
    x = centres[labels] + rng.normal(size=(count, features))
    # Features of unlike scales, and two that are nearly one.
    x = x * np.geomspace(1e-3, 1e3, features) + np.arange(features)
    x = np.concatenate([x, x[:, :1] + 1e-6 * rng.normal(size=(count, 1))], axis=1)
    return x.astype(np.float32), labels


def standard(fitted, x):
    return (x.astype(float) - fitted.mean) / fitted.scale


@pytest.mark.parametrize("penalty", [1.0, 1e-2, 1e-5])
def test_the_gradient_is_zero(penalty):
    x, labels = draw()
    fitted = fit(x, labels, 3, penalties=[penalty])
    z = standard(fitted, x)
    error = softmax(z @ fitted.weights + fitted.bias, axis=1) - np.eye(3)[labels]
    gradient = z.T @ error / len(x) + penalty * fitted.weights
    assert np.abs(gradient).max() < 1e-5
    assert np.abs(error.mean(0)).max() < 1e-5
    assert fitted.gradient < 1e-5 and (fitted.penalty, fitted.losses) == (penalty, ())
    assert abs(fitted.bias.sum()) < 1e-4


@pytest.mark.parametrize(("spread", "penalty"), [(0.3, 1e-3), (1.5, 1e-2), (5.0, 1e-4)])
def test_scikit_learn_finds_the_same(spread, penalty):
    models = pytest.importorskip("sklearn.linear_model")
    x, labels = draw(spread=spread)
    fitted = fit(x, labels, 3, penalties=[penalty])
    reference = models.LogisticRegression(
        C=1 / (len(x) * penalty), tol=1e-10, max_iter=50_000
    )
    reference.fit(standard(fitted, x), labels)
    y, _ = draw(spread=spread, seed=0)
    expected = reference.predict_proba(standard(fitted, y))
    assert np.abs(fitted.probabilities(y) - expected).max() < 1e-3


def test_the_best_penalty_is_that_of_held_out_folds():
    x, labels = draw(count=90, spread=0.4)
    penalties = (1.0, 1e-1, 1e-3, 1e-5)
    fitted = fit(x, labels, 3, penalties=penalties[::-1], folds=3)
    assert fitted.penalties == penalties
    # By hand: the images of each class are dealt out in turn.
    fold = np.empty(90, int)
    fold[np.argsort(labels, kind="stable")] = np.arange(90) % 3
    z, losses = standard(fitted, x), []
    for penalty in penalties:
        missed = np.empty(90)
        for part in range(3):
            out = fold == part
            one = _by_hand(z[~out], labels[~out], penalty)
            logs = log_softmax(z[out] @ one[:-1] + one[-1], axis=1)
            missed[out] = -logs[np.arange(out.sum()), labels[out]]
        losses.append(missed.mean())
    np.testing.assert_allclose(fitted.losses, losses, rtol=2e-3)
    assert fitted.penalty == penalties[int(np.argmin(losses))]
    alone = fit(x, labels, 3, penalties=[fitted.penalty])
    np.testing.assert_allclose(alone.weights, fitted.weights, atol=1e-4)


def _by_hand(z, labels, penalty):
    """Newton's method in double precision, the Hessian written out."""
    z = np.column_stack([z, np.ones(len(z))])
    weights, targets = np.zeros((z.shape[1], 3)), np.eye(3)[labels]
    ridge = np.full(z.shape[1], penalty)
    ridge[-1] = 1e-9
    for _ in range(30):
        p = softmax(z @ weights, axis=1)
        gradient = z.T @ (p - targets) / len(z) + ridge[:, None] * weights
        blocks = np.einsum("nk,kl->nkl", p, np.eye(3)) - p[:, :, None] * p[:, None]
        hessian = np.einsum("ni,nkl,nj->ikjl", z, blocks, z) / len(z)
        hessian = hessian.reshape(gradient.size, -1)
        hessian += np.diag(np.repeat(ridge, 3))
        weights -= np.linalg.solve(hessian, gradient.ravel()).reshape(weights.shape)
    return weights


def test_separable_classes_are_separated():
    x = np.eye(4, dtype=np.float32)[np.arange(40) % 4]
    fitted = fit(x, np.arange(40) % 4, 4)
    assert fitted.accuracy(x, np.arange(40) % 4) == 1 and fitted.gradient < 1e-4
    assert fitted.penalty == 1e-4
    np.testing.assert_array_equal(fitted.predict(x[:4]), np.arange(4))


def test_constants_are_ignored_and_nothing_but_them_gives_shares():
    labels = np.asarray([0] * 30 + [1] * 10)
    x = np.full((40, 2), 1 / 3, np.float32)
    fitted = fit(x, labels, 2, penalties=[0.1])
    assert np.isinf(fitted.scale).all()
    other = np.full((3, 2), 99.0, np.float32)
    np.testing.assert_allclose(fitted.probabilities(other), [[0.75, 0.25]] * 3, 1e-4)


def test_the_same_data_give_the_same_probe_on_any_device():
    x, labels = draw(count=90)
    options = {"penalties": (1.0, 0.1, 0.01, 1e-3), "folds": 3}
    first = fit(x, labels, 3, **options)
    second = fit(jax.numpy.asarray(x), labels, 3, **options)
    np.testing.assert_array_equal(first.weights, second.weights)
    assert first.losses == second.losses


def test_scale_and_order_of_features_do_not_matter():
    x, labels = draw()
    order = np.random.default_rng(0).permutation(x.shape[1])
    first = fit(x, labels, 3, penalties=[0.01])
    second = fit(3 * x[:, order] - 2, labels, 3, penalties=[0.01])
    np.testing.assert_allclose(
        second.probabilities(3 * x[:, order] - 2), first.probabilities(x), atol=1e-3
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features": np.full((6, 2), np.nan, np.float32)}, "not finite"),
        ({"features": np.zeros((6, 0), np.float32)}, "for 6 labels"),
        ({"labels": np.asarray([0, 0, 0, 1, 1, 2])}, "from 0 to 2, but there are 2"),
        ({"labels": np.asarray([0, 0, 0, 0, 0, 1])}, "class 1 has 1 images, 2 are"),
        ({"penalties": []}, "above 0"),
        ({"penalties": [1.0, 0.0]}, "above 0"),
        ({"folds": 1}, "1 folds cannot choose"),
    ],
)
def test_what_cannot_be_fitted_is_refused(change, message):
    arguments = {
        "features": np.zeros((6, 2), np.float32),
        "labels": np.arange(6) % 2,
        "classes": 2,
    }
    with pytest.raises(ValueError, match=message):
        linear.fit(**(arguments | change))


def test_a_fit_that_has_converged_stays_where_it_is():
    # Conjugate gradients on a gradient of nothing once moved some of these away.
    for seed in range(20):
        x, labels = draw(count=200, spread=1.0, seed=seed)
        for penalty in (1e-1, 1e-3, 1e-4):
            assert fit(x, labels, 3, penalties=[penalty]).gradient < 2e-5
