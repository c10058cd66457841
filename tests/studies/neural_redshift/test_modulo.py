"""Modulo addition: the task, the trainings against NumPy, the rules of the ledger."""

from dataclasses import replace
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import whole_runs

from jaxbias import devices, rng, sweeps
from jaxbias.runs import UsageError
from jaxbias.studies.neural_redshift.modulo import (
    experiment,
    published,
    search,
    task,
    trainings,
)
from jaxbias.studies.neural_redshift.modulo.config import Config
from jaxbias.studies.neural_redshift.modulo.evidence import Evidence

TINY = Config(
    moduli=(3, 2),
    integers=4,
    activations=("tanh", "relu"),
    prefactors=(1.0, 2.0),
    n_seeds=2,
    iterations=(2, 6),
    width=5,
    depth=1,
    learning_rate=0.05,
    resolution=8,
    measures=("dct", "lz78"),
)


# The task


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_the_task_is_every_sum_below_half_the_modulus(dimension):
    key = jax.random.key(3)
    numbers = task.place(key, 4**dimension, 10**6)
    integers = np.asarray(task.digits(numbers, 4, dimension))
    found = {tuple(map(int, row)) for row in integers}
    assert found == set(product(range(4), repeat=dimension))
    for modulus in (2, 3, 5):
        labels = np.asarray(task.labels(jnp.asarray(integers), modulus))
        expected = [sum(map(int, row)) % modulus <= modulus / 2 for row in integers]
        assert labels.tolist() == expected


def test_published_shares_of_labels():
    """Section 4.1 with N = 16 and two dimensions; counted by hand elsewhere."""
    integers = task.digits(jnp.arange(256), 16, 2)
    shares = [float(task.labels(integers, m).mean()) for m in (10, 7, 4)]
    assert shares == pytest.approx([0.602, 0.578, 0.75], abs=5e-4)
    assert float(task.majority(task.labels(integers, 4))) == pytest.approx(0.75)
    assert float(task.majority(~task.labels(integers, 4))) == pytest.approx(0.75)


def test_inputs_span_the_scale():
    x = np.asarray(task.inputs(jnp.asarray([[0, 15], [5, 10]]), 16, 3.0))
    np.testing.assert_allclose(x, [[-3, 3], [-1, 1]], rtol=1e-6)


# Trainings


def numpy_training(config, network, prefactor, modulus, activation):
    """Losses and accuracies of one hidden layer under Adam, written out."""
    key = jax.random.key(config.seed)
    split = jax.random.fold_in(rng.stream(key, "split", "dimension 2"), network)
    weights = jax.random.fold_in(rng.stream(key, "weights", "dimension 2"), network)
    place, _ = jax.random.split(split)
    numbers = np.asarray(jax.random.permutation(place, config.integers**2))
    integers = np.stack([numbers % config.integers, numbers // config.integers], 1)
    x = (2 * integers / (config.integers - 1) - 1).astype(np.float64)
    y = (integers.sum(1) % modulus <= modulus / 2).astype(np.float64)
    n_train = round(0.75 * len(y))
    start = trainings.learner(config).start(weights, 2)
    names = ("input_kernel", "input_bias", "output_kernel", "output_bias")
    params = [np.asarray(start[name], np.float64) for name in names]

    def forward(params):
        inner = prefactor * (x @ params[0] + params[1])
        hidden = np.tanh(inner) if activation == "tanh" else np.maximum(inner, 0)
        return inner, hidden, (hidden @ params[2])[:, 0] + params[3][0]

    first, second = ([np.zeros_like(p) for p in params] for _ in range(2))
    rows = []
    for step in range(config.iterations[-1] + 1):
        inner, hidden, out = forward(params)
        if step in (0, *config.iterations):
            loss = np.log1p(np.exp(-np.abs(out))) + np.maximum(out, 0) - out * y
            right = (out > 0) == (y > 0.5)
            rows.append(
                [right[:n_train].mean(), right[n_train:].mean(), loss[:n_train].mean()]
            )
        error = ((1 / (1 + np.exp(-out))) - y)[:n_train, None] / n_train
        slope = 1 - hidden**2 if activation == "tanh" else (inner > 0).astype(float)
        back = (error @ params[2].T) * slope[:n_train] * prefactor
        grads = [x[:n_train].T @ back, back.sum(0)]
        grads += [hidden[:n_train].T @ error, error.sum(0)]
        for i, grad in enumerate(grads):
            first[i] = 0.9 * first[i] + 0.1 * grad
            second[i] = 0.999 * second[i] + 0.001 * grad**2
            rate = config.learning_rate / (1 - 0.9 ** (step + 1))
            root = np.sqrt(second[i] / (1 - 0.999 ** (step + 1))) + 1e-8
            params[i] = params[i] - rate * first[i] / root
    return np.asarray(rows)


def swept(config, num_devices=1, **options):
    mesh = devices.mesh(num_devices)
    blocks = trainings.blocks(config, jax.random.key(config.seed), mesh)
    return sweeps.sweep(blocks, mesh, **options)


@pytest.fixture(scope="module")
def tiny():
    return trainings.table(TINY, swept(TINY))


@pytest.mark.parametrize(
    "network, prefactor, modulus, activation",
    [(0, 1.0, 3, "tanh"), (1, 2.0, 2, "tanh"), (1, 2.0, 3, "relu")],
)
def test_a_training_is_numpys(tiny, network, prefactor, modulus, activation):
    chosen = (
        (tiny["activation"] == activation)
        & (tiny["modulus"] == modulus)
        & (tiny["prefactor"] == prefactor)
        & (tiny["network"] == network)
    )
    assert tiny["steps"][chosen].tolist() == [0, 2, 6]
    expected = numpy_training(TINY, network, prefactor, modulus, activation)
    names = ("train_accuracy", "test_accuracy", "train_loss")
    found = np.stack([tiny[name][chosen] for name in names], axis=1)
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=1e-6)


def test_relative_accuracy_is_zero_for_the_majority_and_one_for_all(tiny):
    base, found = tiny["test_majority"], tiny["test_accuracy"]
    relative = tiny["relative_accuracy"]
    usable = base < 1
    assert usable.any() and np.isnan(relative[~usable]).all()
    np.testing.assert_allclose(
        relative[usable] * (1 - base[usable]) + base[usable], found[usable], rtol=1e-5
    )


def test_devices_do_not_change_a_bit(tiny):
    other = trainings.table(TINY, swept(TINY, num_devices=4))
    for name, values in tiny.items():
        np.testing.assert_array_equal(other[name], values, err_msg=name)


def test_three_dimensions_are_measured_on_a_plane():
    config = replace(
        TINY, dimensions=(3,), activations=("relu",), moduli=(3,), n_seeds=1
    )
    found = trainings.table(config, swept(config))
    assert len(found["dct"]) == 6 and (found["dct"] > 0).all()
    # A network of three inputs alone has a hundredfold of the points for testing.
    assert set(found["dimension"]) == {3}


@pytest.mark.parametrize("module, several", [(experiment, False), (search, True)])
def test_a_run_ends_with_table_figures_and_verdicts(tmp_path, module, several):
    config = replace(TINY, activations=("tanh",), train_fractions=(0.5, 0.75))
    if not several:
        config = replace(config, train_fractions=(0.75,))
    run = whole_runs.finished(module, config, tmp_path / "run")
    settings = 1 + several
    assert len(run.read_table()["steps"]) == settings * 2 * 2 * 2 * 3
    verdicts = run.read_verdicts()
    assert len(verdicts) == len(published.ENTRIES)
    assert {row["outcome"] for row in verdicts} == {"not judged"}
    drawn = {path.name for path in (run.path / "figures").iterdir()}
    assert drawn == {"accuracy.png", "complexity.png"} | (
        {"search.png"} if several else set()
    )


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"moduli": (1,)}, "--moduli"),
        ({"integers": 1}, "--integers"),
        ({"prefactors": (1.0, 1.0)}, "twice"),
        ({"prefactors": (-1.0,)}, "--prefactors"),
        ({"train_fractions": (1.0,)}, "for testing"),
        ({"train_fractions": (0.01,)}, "leaves 0 to train on"),
        ({"iterations": (6, 2)}, "--iterations: must rise"),
        ({"dimensions": (40,)}, "--dimensions"),
        ({"activations": ("reluu",)}, "--activations"),
        ({"prior": "cauchy"}, "--prior"),
        ({"measures": ("beauty",)}, "--measures"),
        ({"seed": -1}, "--seed"),
    ],
)
def test_what_cannot_be_run_is_said_in_one_line(changes, words):
    with pytest.raises(UsageError, match=words) as error:
        experiment.check(replace(TINY, **changes))
    assert "\n" not in str(error.value)


# The ledger's rules

JUDGED = Config(
    prefactors=(0.25, 0.5, 1.0, 2.0, 4.0),
    activations=("relu", "gelu", "gaussian", "sine"),
    n_seeds=1,
    iterations=(1000,),
)
ALL = {(name, m): 1.0 for name in JUDGED.activations for m in (10, 7, 4)}
PUBLISHED = {(name, m): 0.2 for name in ("relu", "gelu") for m in (7, 4)} | {
    ("relu", 10): 1.0,
    ("gelu", 10): 0.95,
    ("sine", 10): 1.0,
    ("sine", 7): 0.95,
    ("sine", 4): 0.0,
}
TOPS = {10: -1.0, 7: 0.0, 4: 1.0}


def evidence(best, *, tops=None, fitted=1.0, config=JUDGED, at=None):
    """A table in which each activation has the given best relative accuracy.

    The Gaussian's curve over log2(prefactor) is a parabola about the given places.
    """
    names = (*trainings.statistics(config), "test_majority")
    rows = []
    for setting, activation, modulus in trainings.cases(config):
        for prefactor in config.prefactors:
            wanted = best.get((activation, modulus), 1.0)
            if at is not None and setting != at:
                wanted = 1.0 if activation == "relu" else 0.0
            if activation == "gaussian" and tops:
                wanted -= 0.1 * (np.log2(prefactor) - tops[modulus]) ** 2
            for steps in (0, *config.iterations):
                row = dict.fromkeys(names, 0.0)
                row["test_majority"] = 0.6
                row["test_accuracy"] = 0.6 + 0.4 * wanted * (steps > 0)
                row["train_accuracy"] = fitted
                rows += [[row[name] for name in names]] * config.n_seeds
    return Evidence(trainings.table(config, {"seen": np.asarray(rows)}), config)


def verdict(id, found):
    (row,) = [row for row in published.judge(found) if row["id"] == id]
    return row["outcome"]


@pytest.mark.parametrize(
    "id, yes, no",
    [
        ("modulo-relu-ten", PUBLISHED, ALL | {("gelu", 10): 0.5}),
        ("modulo-relu-seven", PUBLISHED, ALL),
        ("modulo-relu-four", PUBLISHED, ALL),
        ("modulo-tuned-seven", PUBLISHED, ALL | {("sine", 7): 1.0}),
        ("modulo-some-all", PUBLISHED, {key: 0.8 for key in ALL}),
        ("modulo-not-all", PUBLISHED, ALL),
    ],
)
def test_each_rule_can_go_either_way(id, yes, no):
    assert verdict(id, evidence(yes)) == "reproduced"
    assert verdict(id, evidence(no)) == "not reproduced"


def test_relu_that_does_not_even_fit_is_not_what_was_published():
    found = evidence(PUBLISHED, fitted=0.9)
    assert verdict("modulo-relu-seven", found) == "not reproduced"


def test_the_peak_must_move_right():
    assert verdict("modulo-peak", evidence(ALL, tops=TOPS)) == "reproduced"
    back = evidence(ALL, tops={10: 1.0, 7: 0.0, 4: -1.0})
    assert verdict("modulo-peak", back) == "not reproduced"
    assert evidence(ALL, tops=TOPS).peak("gaussian", 4) == pytest.approx(2.0)
    flat = evidence({key: 0.0 for key in ALL}, tops=None)
    assert verdict("modulo-peak", flat) == "not judged"


def test_the_search_finds_the_setting_that_does_it():
    config = replace(JUDGED, train_fractions=(0.5, 0.75), input_scales=(1.0, 7.5))
    at = config.settings()[2]
    found = evidence(PUBLISHED | {("sine", 4): 0.95}, config=config, at=at)
    assert verdict("modulo-search-seven", found) == "reproduced"
    assert verdict("modulo-search-four", found) == "reproduced"
    none = evidence({key: 0.5 for key in ALL}, config=config)
    assert verdict("modulo-search-seven", none) == "not reproduced"
    assert verdict("modulo-search-four", none) == "not reproduced"


def test_short_trainings_judge_nothing():
    found = evidence(ALL, config=replace(JUDGED, iterations=(999,)))
    assert {row["outcome"] for row in published.judge(found)} == {"not judged"}
