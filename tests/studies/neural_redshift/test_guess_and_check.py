"""Guess and check: sums against a loop over networks, and the rules of the ledger."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import whole_runs

from jaxbias import devices, rng, sweeps
from jaxbias.runs import UsageError
from jaxbias.studies.neural_redshift.guess_and_check import (
    experiment,
    guesses,
    published,
)
from jaxbias.studies.neural_redshift.guess_and_check.config import Config

TINY = Config(
    activations=("relu",),
    weight_scales=(1.0, 4.0),
    max_frequency=2,
    integers=4,
    modulus=3,
    train_points=(1, 3),
    n_networks=2000,
    n_splits=3,
    width=4,
    depth=1,
)


def swept(num_devices, **options):
    mesh = devices.mesh(num_devices)
    blocks = guesses.blocks(TINY, jax.random.key(0), mesh)
    return guesses.table(TINY, sweeps.sweep(blocks, mesh, **options))


@pytest.fixture(scope="module")
def table():
    return swept(1)


def test_labels_are_the_targets_in_each_splits_order():
    given = guesses.splits(TINY, jax.random.key(4))
    assert given.labels.shape == (2, 3, 16)
    for split in range(3):
        order = np.asarray(given.order[split])
        assert sorted(order.tolist()) == list(range(16))
        sums = order // 4 + order % 4
        expected = np.where(sums % 3 <= 1.5, 1, -1)
        np.testing.assert_array_equal(given.labels[1, split], expected)
        # A line through the middle: opposite points differ.
        placed = np.empty(16)
        placed[order] = given.labels[0, split]
        np.testing.assert_array_equal(placed, -placed[::-1])


def test_a_network_is_held_against_every_split_as_in_a_loop():
    given = guesses.splits(TINY, jax.random.key(4))
    outputs = np.random.default_rng(0).normal(size=16).astype(np.float32)
    found = np.asarray(guesses.held_against(TINY, jnp.asarray(outputs), given))
    assert found.shape == (2, 2, 3, 2, 2)
    scaled = outputs / outputs.std()
    for target in range(2):
        for split in range(3):
            ours = scaled[np.asarray(given.order[split])]
            labels = np.asarray(given.labels[target, split])
            accuracy = (ours * labels > 0)[3:].mean()
            for place, size in enumerate((1, 3)):
                fits = bool((ours * labels > 0)[:size].all())
                close = ((ours - labels)[:size] ** 2).mean() < 0.5
                for criterion, value in enumerate((fits, close)):
                    row = found[criterion, target, split, place]
                    expected = [value, value * accuracy]
                    np.testing.assert_allclose(row, expected, rtol=1e-5)
    assert 0 < found[..., 0].mean() < 1


def test_sums_are_those_of_a_loop_over_networks(table):
    model = guesses.models(TINY)[-1]
    assert model.name == "unbiased"
    key = jax.random.key(0)
    given = guesses.splits(TINY, rng.stream(key, "splits"))
    stream = rng.stream(key, "networks", "unbiased")
    x = jnp.asarray([[n % 4, n // 4] for n in range(16)], jnp.float32) * 2 / 3 - 1

    @jax.jit
    def one(number):
        params = model.learner.start(jax.random.fold_in(stream, number), 2)
        return guesses.held_against(TINY, model.learner.predict(params, x), given)

    total = sum(np.asarray(one(np.uint32(n)), np.float64) for n in range(2000))
    chosen = table["model"] == "unbiased"
    fits = table["fits"][chosen].reshape(2, 2, 3, 2)
    np.testing.assert_allclose(fits, total[..., 0], atol=2)
    accuracy = table["accuracy"][chosen].reshape(2, 2, 3, 2)
    np.testing.assert_allclose(accuracy, total[..., 1] / total[..., 0], atol=2e-3)


def test_half_of_all_networks_get_one_point_right(table):
    """A network and its negative are equally likely but for the biases' sum."""
    chosen = (table["criterion"] == "signs") & (table["train_points"] == 1)
    share = table["fits"][chosen & (table["model"] == "unbiased")] / 2000
    np.testing.assert_allclose(share, 0.5, atol=5 * np.sqrt(0.25 / 2000))


def test_devices_and_pieces_do_not_change_a_bit(table):
    for name, values in swept(2).items():
        np.testing.assert_array_equal(values, table[name], err_msg=name)


def test_a_run_ends_with_table_and_figure(tmp_path):
    run = whole_runs.finished(experiment, TINY, tmp_path / "run")
    assert len(run.read_table()["fits"]) == 3 * 2 * 2 * 3 * 2
    assert {row["outcome"] for row in run.read_verdicts()} == {"not judged"}
    assert {p.name for p in (run.path / "figures").iterdir()} == {"accuracy.png"}


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"n_networks": 1500}, "a multiple of 1,000"),
        ({"train_points": (3, 1)}, "must rise"),
        ({"train_points": (16,)}, "leave none for testing"),
        ({"activations": ("nothing",)}, "--activations"),
        ({"prior": "cauchy"}, "--prior"),
    ],
)
def test_what_cannot_be_run_is_said_in_one_line(changes, words):
    with pytest.raises(UsageError, match=words):
        experiment.check(replace(TINY, **changes))


JUDGED = Config(activations=("relu", "sine"), train_points=(2, 10), n_splits=10)
EXPECTED = {"relu": (0.7, 0.9), "sine": (0.5, 0.55), "unbiased": (0.5, 0.5)}


def columns(changes=None, fits=50):
    """Accuracies by model at few and at many points."""
    known = EXPECTED | (changes or {})
    spread = np.linspace(-0.01, 0.01, JUDGED.n_splits)
    rows = []
    for model in guesses.models(JUDGED):
        for criterion in guesses.CRITERIA:
            for target in JUDGED.targets:
                for split in range(JUDGED.n_splits):
                    for place, points in enumerate(JUDGED.train_points):
                        rows.append(
                            {
                                "model": model.name,
                                "weight_scale": model.weight_scale,
                                "criterion": criterion,
                                "target": target,
                                "split": split,
                                "train_points": points,
                                "fits": fits,
                                "accuracy": known[model.name][place] + spread[split],
                            }
                        )
    return {name: np.asarray([row[name] for row in rows]) for name in rows[0]}


@pytest.mark.parametrize(
    "id, changes",
    [
        ("guess-relu", {"relu": (0.5, 0.6)}),
        ("guess-relu", {"relu": (0.95, 0.9)}),
        ("guess-relu-mse", {"relu": (0.5, 0.6)}),
        ("guess-unbiased", {"unbiased": (0.5, 0.6)}),
        ("guess-sine", {"sine": (0.5, 0.95)}),
    ],
)
def test_each_rule_can_go_either_way(id, changes):
    def outcome(*args, **options):
        rows = published.judge(columns(*args, **options), JUDGED)
        (row,) = [row for row in rows if row["id"] == id]
        return row["outcome"]

    assert outcome() == "reproduced"
    assert outcome(changes) == "not reproduced"
    assert outcome(fits=5) == "not judged"
