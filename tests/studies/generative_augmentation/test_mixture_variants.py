"""Mixture variants: classifiers at their optimum, the law, the run."""

from dataclasses import replace
from typing import get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import whole_runs
from scipy import optimize, special

from jaxbias import devices, sweeps
from jaxbias.data import gaussian_mixtures as mixtures
from jaxbias.runs import UsageError
from jaxbias.studies.generative_augmentation import law
from jaxbias.studies.generative_augmentation.variants import (
    classifiers,
    config,
    experiment,
    ledger,
    trials,
)
from jaxbias.studies.generative_augmentation.variants.config import PRESETS, Config

LAW = Config(
    parts=("classifier", "weight", "degradation"),
    classifiers=("linear",),
    weights=(0.1, 1.0, 3.0),
    degradations=(0.0, 0.3, 1.0),
    m_real=12,
    dim=5,
    gammas=(0.0, 1.0, 4.0),
    n_trials=3000,
    n_test=200,
)


def computed(given, num_devices=None):
    experiment.check(given)
    mesh = devices.mesh(num_devices)
    blocks = trials.blocks(given, jax.random.key(given.seed), mesh)
    return trials.table(given, sweeps.sweep(blocks, mesh))


def problem(classes, count=60, dim=4, seed=0):
    true = mixtures.Mixture(
        means=jnp.asarray(mixtures.centres(classes, dim)),
        factor=jnp.asarray(0.6 * mixtures.covariance_factor("full", dim)),
    )
    labels = mixtures.balanced_labels(count, classes)
    keys = jax.random.split(jax.random.key(seed))
    points = mixtures.sample(jax.random.normal(keys[0], (count, dim)), true, labels)
    weights = jax.random.uniform(keys[1], (count,), minval=0.1, maxval=2.0)
    return points, labels, weights / weights.sum()


def trained(name, classes, **kwargs):
    points, labels, weights = problem(classes, **kwargs)
    judge = classifiers.train(
        name, points, labels, weights, classes=classes, precision=jnp.float32(1 / 0.72)
    )
    return points, labels, weights, judge(points, labels)


def test_choices_are_the_same_in_every_room():
    """Config loads neither JAX nor the rooms that it configures."""
    assert get_args(config.Covariance) == mixtures.COVARIANCES
    assert get_args(config.Classifier) == get_args(classifiers.Classifier)
    assert get_args(config.Part) == config.PARTS


# Classifiers


@pytest.mark.parametrize("classes", [2, 4])
def test_logistic_regression_is_at_its_optimum(classes):
    points, labels, weights, found = trained("logistic", classes)
    x, y = np.asarray(points, np.float64), np.asarray(labels)
    share = np.asarray(weights, np.float64) / np.asarray(weights).sum()

    def objective(flat):
        slopes = flat[: 4 * classes].reshape(4, classes)
        scores = x @ slopes + flat[4 * classes :]
        losses = special.logsumexp(scores, axis=1) - scores[np.arange(len(y)), y]
        return share @ losses + classifiers.PENALTY / 2 * np.sum(slopes**2), scores

    best = optimize.minimize(
        lambda flat: objective(flat)[0], np.zeros(5 * classes), method="BFGS"
    )
    _, scores = objective(best.x)
    losses = special.logsumexp(scores, axis=1) - scores[np.arange(len(y)), y]
    np.testing.assert_allclose(found.losses, losses, atol=2e-3)
    assert np.mean(found.predicted == scores.argmax(1)) > 0.98


@pytest.mark.parametrize("classes", [2, 4])
def test_discriminant_analysis_by_hand(classes):
    points, labels, weights, found = trained("lda", classes)
    x, y, w = (np.asarray(a, np.float64) for a in (points, labels, weights))
    y = y.astype(int)
    w = w / w.sum()
    prior = np.asarray([w[y == c].sum() for c in range(classes)])
    means = np.stack([w[y == c] @ x[y == c] for c in range(classes)]) / prior[:, None]
    residual = x - means[y]
    covariance = (residual * w[:, None]).T @ residual
    s = classifiers.SHRINKAGE
    covariance = (1 - s) * covariance + s * np.trace(covariance) / 4 * np.eye(4)
    apart = x[:, None] - means
    distance = np.einsum("nci,ij,ncj->nc", apart, np.linalg.inv(covariance), apart)
    scores = np.log(prior) - distance / 2
    losses = special.logsumexp(scores, axis=1) - scores[np.arange(len(y)), y]
    np.testing.assert_allclose(found.losses, losses, rtol=2e-3, atol=1e-4)
    np.testing.assert_array_equal(found.predicted, scores.argmax(1))


def test_the_paper_s_classifier_by_hand():
    points, labels, weights, found = trained("linear", 2)
    x, w = np.asarray(points), np.asarray(weights)[:, None]
    sign = 2 * np.asarray(labels)[:, None] - 1
    theta = (w * sign * x).sum(0) / w.sum()
    losses = ((x - sign * theta) ** 2).sum(1) / (2 * 0.36)
    np.testing.assert_allclose(found.losses, losses, rtol=1e-4)
    np.testing.assert_array_equal(found.predicted, x @ theta > 0)


def test_the_nearest_mean_of_several_classes():
    points, labels, weights, found = trained("linear", 4)
    x, y, w = (np.asarray(a) for a in (points, labels, weights))
    means = np.stack(
        [np.average(x[y == c], axis=0, weights=w[y == c]) for c in range(4)]
    )
    apart = ((x[:, None] - means) ** 2).sum(-1)
    np.testing.assert_array_equal(found.predicted, apart.argmin(1))
    np.testing.assert_allclose(
        found.losses, apart[np.arange(len(y)), y] / 0.72, rtol=1e-3
    )


@pytest.mark.parametrize("name", get_args(classifiers.Classifier))
def test_a_point_of_weight_zero_is_not_there(name):
    points, labels, weights = problem(2)
    kept = jnp.where(jnp.arange(60) < 40, weights, 0.0)

    def losses(count, share):
        judge = classifiers.train(
            *(
                name,
                points[:count],
                labels[:count],
                share[:count] / share[:count].sum(),
            ),
            classes=2,
            precision=jnp.float32(1 / 0.72),
        )
        return judge(points, labels).losses

    np.testing.assert_allclose(
        losses(60, kept), losses(40, weights), rtol=2e-3, atol=2e-4
    )


# The law


@pytest.fixture(scope="module")
def table():
    return computed(LAW)


def test_losses_and_gaps_are_the_closed_forms(table):
    assert not np.isnan(table["law_gap"]).any()
    for name in ("test_loss", "gap"):
        z = (table[name] - table[f"law_{name}"]) / table[f"{name}_se"]
        assert np.abs(z).max() < 4.5
        assert len(set(table[f"law_{name}"])) > 10


def test_the_closed_forms_contain_the_paper_s():
    at = np.asarray([10.0, 30.0]), np.asarray([1.0, 6.0]), np.asarray([5.0, 50.0])
    np.testing.assert_allclose(
        law.mixed_test_nll(*at, 1.0, 0.0, 0.6), law.mean_test_nll(*at)
    )
    np.testing.assert_allclose(law.mixed_gap(*at, 1.0, 0.0, 0.6), law.mean_gap(*at))


def test_the_first_variant_is_the_paper_s_experiment(table):
    base = (table["weight"] == 1) & (table["degradation"] == 0)
    m, gamma, dim = (table[name][base] for name in ("m_real", "gamma", "dim"))
    risk = law.zero_one_risk(m, gamma, dim, 0.6)
    off = np.abs(table["test_error"][base] - risk)
    assert (off < 4 * table["test_error_se"][base] + 1e-3).all()
    folded = law.mean_abs_gap(m, gamma, dim, 200)
    assert np.abs(table["abs_gap"][base] / folded - 1).max() < 0.05


def test_the_law_says_nothing_where_it_was_not_derived(run):
    table = run.read_table()
    assert set(table["classes"]) > {2} and set(table["covariance"]) > {"isotropic"}
    assert set(table["classifier"]) > {"linear"}
    known = ~np.isnan(table["law_gap"])
    assert (table["classifier"][known] == "linear").all()
    assert (table["classes"][known] == 2).all()
    assert (table["covariance"][known] == "isotropic").all() and known.any()


# What stays the same


LATER = ("classifier", "covariance")


@pytest.mark.parametrize(
    "part",
    ["classes", *(pytest.param(one, marks=pytest.mark.slow) for one in LATER)],
)
def test_devices_do_not_matter(part):
    given = replace(
        LAW,
        parts=(part,),
        classifiers=get_args(classifiers.Classifier),
        classes=(3,),
        covariances=("full",),
        generators=("low_rank", "full"),
        n_trials=60,
    )
    first, second = computed(given), computed(given, 1)
    exact = first["classifier"] != "logistic"
    assert exact.any()
    for name, values in first.items():
        np.testing.assert_array_equal(values[exact], second[name][exact], err_msg=name)
        if values.dtype == np.float64:
            # L-BFGS is rounded otherwise on one device: the classifier's docstring says so.
            np.testing.assert_allclose(values, second[name], rtol=1e-4, atol=1e-6)


def test_variants_share_their_draws():
    given = Config(parts=("weight",), n_trials=50, n_test=100, gammas=(0.0, 1.0))
    table = computed(given)
    plain_ = table["gamma"] == 0
    assert plain_.sum() == 4 and len(set(table["test_loss"][plain_])) == 1


def test_each_variant_is_computed_once():
    found = trials.cells(Config())
    assert len(found) == 28
    assert sorted(found[trials.Cell()]) == sorted(set(config.PARTS) - {"covariance"})


@pytest.mark.parametrize(
    "change, message",
    [
        ({"m_real": 10}, "--m-real: 10 points do not give 4 classes"),
        ({"m_real": 8}, "--m-real: 8 points do not give 8 classes two"),
        ({"dim": 5}, "--classes: 8 need 7 dimensions, got 5"),
        ({"gammas": (0.1,)}, "--gammas: 0.1 times 24 real points"),
        ({"gammas": (-1.0,)}, "--gammas: must be >= 0"),
        ({"classes": (1,)}, "--classes: must be >= 2"),
        ({"weights": (0.0,)}, "--weights: must be > 0"),
        ({"degradations": (1.5,)}, "--degradations: must be at most 1"),
        ({"sigma": 0.0}, "--sigma: must be > 0"),
        ({"parts": ()}, "--parts: at least one"),
        ({"gammas": (1e6,)}, "--gammas: more than"),
    ],
)
def test_bad_options_are_refused(change, message):
    with pytest.raises(UsageError, match=message):
        experiment.check(replace(Config(), **change))


# A run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    given = PRESETS["smoke"]
    folder = tmp_path_factory.mktemp("runs") / "run"
    return whole_runs.finished(experiment, given, folder)


def test_a_run_of_the_smoke_preset(run):
    assert len(run.read_table()["gap"]) == 28 * 3
    assert {v["outcome"] for v in run.read_verdicts()} == {"reproduced"}
    names = {path.stem for path in (run.path / "figures").iterdir()}
    assert names == {"variants", "covariances"}


BREAKS = {
    "classifier-law": ("gap", lambda t: t["gap"] + 1),
    "weight-law": ("test_loss", lambda t: t["test_loss"] + t["weight"] + 1),
    "degradation-law": ("test_loss", lambda t: t["test_loss"] - t["degradation"]),
    "degradation-hurts": ("test_loss", lambda t: t["test_loss"] - 9 * t["degradation"]),
    "weight-light": ("test_loss", lambda t: t["test_loss"] - t["weight"]),
    "labels-alike": (
        "abs_gap",
        lambda t: t["abs_gap"] * (1 + 2 * (t["labels"] == "bernoulli")),
    ),
    "linear-gains-nothing": ("test_error", lambda t: t["test_error"] - t["gamma"] / 50),
    "structure-helps": ("test_error", lambda t: t["test_error"] + t["gamma"]),
}


@pytest.mark.parametrize("entry", BREAKS)
def test_every_entry_can_fail(run, entry):
    table = run.read_table()
    name, change = BREAKS[entry]
    found = {
        v["id"]: v["outcome"]
        for v in ledger.judge(table | {name: change(table)}, PRESETS["smoke"])
    }
    assert found[entry] == "not reproduced"
    assert set(BREAKS) == set(found)


def test_parts_that_were_not_run_are_not_judged(run):
    table = run.read_table()
    nothing = {name: values[:0] for name, values in table.items()}
    found = ledger.judge(nothing, PRESETS["smoke"])
    assert {v["outcome"] for v in found} == {"not judged"}
