"""Shortcut: the three sets, what is seen of trainings, the rules of the ledger."""

from dataclasses import replace

import jax
import numpy as np
import pytest
import whole_runs

from jaxbias import devices, sweeps
from jaxbias.numerics import sequences
from jaxbias.runs import UsageError
from jaxbias.studies.neural_redshift.shortcut import (
    experiment,
    images,
    published,
    trainings,
)
from jaxbias.studies.neural_redshift.shortcut.config import Config

TINY = Config(
    activations=("relu", "sine"),
    prefactors=(1.0, 2.0),
    n_seeds=1,
    train_images=50,
    test_images=30,
    iterations=(3, 40),
    width=8,
    depth=1,
    learning_rate=0.01,
)


# The sets


def test_labels_follow_digit_and_colour_as_each_set_says():
    sets = images.sets(replace(TINY, train_images=400, test_images=200, band=2))
    assert sets.train.shape == (28, 30)
    for name, one in ({"train": sets.train} | sets.tests).items():
        pictures = one.x.reshape(-1, 28, 30)
        band = pictures[:, :, 28:]
        colour = band[:, 0, 0]
        assert (band == colour[:, None, None]).all(), name
        same = np.isclose(colour, one.y, atol=1e-6)
        share = {"train": 1.0, "colour": 1.0, "digit": 0.1}[name]
        # Three in a hundred training images have a random colour, a tenth of them right.
        assert abs(same.mean() - share) < 0.08, name
        assert one.x.min() >= 0 and one.x.max() <= 1
    assert (~np.isclose(sets.train.x.reshape(-1, 28, 30)[:, 0, 28], sets.train.y)).any()


def test_the_digit_of_the_colour_set_says_nothing():
    """Digits of two sets by the nearest mean of the training set's."""
    sets = images.sets(replace(TINY, train_images=600, test_images=200))
    train = sets.train.x.reshape(-1, 28, 29)[:, :, :28].reshape(600, -1)
    labels = np.round(sets.train.y * 9).astype(int)
    means = np.stack([train[labels == digit].mean(axis=0) for digit in range(10)])

    def right(one):
        pictures = one.x.reshape(-1, 28, 29)[:, :, :28].reshape(len(one.x), -1)
        apart = ((pictures[:, None] - means[None]) ** 2).sum(axis=2)
        return (apart.argmin(axis=1) == np.round(one.y * 9)).mean()

    assert right(sets.tests["digit"]) > 0.7 and right(sets.tests["colour"]) < 0.25


def test_other_digits_are_read_from_files(tmp_path):
    random = np.random.default_rng(0)
    arrays = {
        "train_images": random.integers(0, 256, (60, 12, 12, 3), dtype=np.uint8),
        "train_labels": np.arange(60) % 10,
        "test_images": random.integers(0, 256, (60, 12, 12, 3), dtype=np.uint8),
        "test_labels": np.arange(60) % 10,
    }
    np.savez(tmp_path / "digits.npz", **arrays)
    config = replace(TINY, digits=f"npz:{tmp_path / 'digits.npz'}")
    experiment.check(config)
    assert images.sets(config).train.shape == (12, 13)
    with pytest.raises(UsageError, match="--train-images: 61 images are needed"):
        experiment.check(replace(config, train_images=61))
    arrays["train_labels"] = arrays["test_labels"] = np.arange(60) % 3
    np.savez(tmp_path / "three.npz", **arrays)
    with pytest.raises(UsageError, match="--digits: 3 classes, 10 are needed"):
        experiment.check(replace(config, digits=f"npz:{tmp_path / 'three.npz'}"))


# Trainings


def test_path_complexity_counts_phrases_and_ups_and_downs():
    values = np.random.default_rng(0).normal(size=(4, 50)).astype(np.float32)
    phrases, variation = trainings.path_complexity(jax.numpy.asarray(values))
    expected = np.abs(np.diff(values, axis=1)).sum(axis=1).mean() / values.std()
    assert float(variation) == pytest.approx(expected, rel=1e-5)
    symbols = np.asarray(sequences.quantise(jax.numpy.asarray(values.ravel()), 10))
    words, word = set(), ()
    for symbol in symbols.tolist():
        word = (*word, symbol)
        if word not in words:
            words.add(word)
            word = ()
    assert float(phrases) == len(words)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shortcut") / "run"
    return whole_runs.finished(experiment, TINY, folder)


def test_a_run_learns_and_ends_with_figures(run):
    table = run.read_table()
    assert len(table["steps"]) == 2 * 2 * 3
    error = table["train_error"].reshape(4, 3)
    assert (error[:, 2] < error[:, 0]).all()
    assert {row["outcome"] for row in run.read_verdicts()} == {"not judged"}
    drawn = {path.name for path in (run.path / "figures").iterdir()}
    assert drawn == {"curves.png", "examples.png"}


def test_accuracy_of_a_start_is_numpys(run):
    sets, table = images.sets(TINY), run.read_table()
    row = (table["activation"] == "relu") & (table["prefactor"] == 2.0)
    row &= table["steps"] == 0
    key = jax.random.fold_in(
        trainings.rng.stream(jax.random.key(0), "weights"), np.uint32(0)
    )
    start = trainings.learner(TINY).start(key, 28 * 29)
    names = ("input_kernel", "input_bias", "output_kernel", "output_bias")
    params = [np.asarray(start[name], np.float64) for name in names]
    for cue, one in sets.tests.items():
        name = f"{cue}_accuracy"
        hidden = np.maximum(2 * (one.x @ params[0] + params[1]), 0)
        output = (hidden @ params[2])[:, 0] + params[3]
        expected = 1 - np.abs(output - one.y).mean()
        assert table[name][row][0] == pytest.approx(expected, rel=1e-4)


def test_devices_do_not_change_a_bit(run):
    mesh = devices.mesh(4)
    blocks = trainings.blocks(TINY, images.sets(TINY), jax.random.key(0), mesh)
    for name, values in trainings.table(TINY, sweeps.sweep(blocks, mesh)).items():
        np.testing.assert_array_equal(run.read_table()[name], values, err_msg=name)


# The ledger's rules

JUDGED = Config(n_seeds=1, iterations=(1000,), activations=published.TUNABLE)
RISING = np.array([10.0, 20, 30, 40, 50, 60])
COLOUR = np.array([0.95, 0.9, 0.85, 0.8, 0.7, 0.6])
DIGIT = np.array([0.7, 0.8, 0.85, 0.9, 0.8, 0.7])


def columns(changes=None):
    """Curves over the prefactor, the same for each activation but for changes."""
    found = {name: [] for name in ("activation", "steps", *trainings.seen(JUDGED))}
    for activation in JUDGED.activations:
        fall = 0.1 if activation == "sine" else 0.0
        known = {
            "lz78": RISING,
            "colour_accuracy": COLOUR,
            "digit_accuracy": DIGIT - fall * (np.arange(6) == 5),
        } | (changes or {})
        for place in range(6):
            for steps in (0, 1000):
                found["activation"].append(activation)
                found["steps"].append(steps)
                for name in trainings.seen(JUDGED):
                    found[name].append(known.get(name, np.zeros(6))[place])
    return {name: np.asarray(values) for name, values in found.items()}


@pytest.mark.parametrize(
    "id, changes",
    [
        ("shortcut-complexity", {"lz78": RISING[::-1]}),
        ("shortcut-colour", {"colour_accuracy": COLOUR[::-1]}),
        ("shortcut-digit", {"digit_accuracy": np.sort(DIGIT)}),
        ("shortcut-sine", {"digit_accuracy": DIGIT}),
        ("shortcut-simple", {"lz78": RISING[::-1]}),
    ],
)
def test_each_rule_can_go_either_way(id, changes):
    def outcome(changes=None, config=JUDGED):
        rows = published.judge(columns(changes), config)
        (row,) = [row for row in rows if row["id"] == id]
        return row["outcome"]

    assert outcome() == "reproduced"
    assert outcome(changes) == "not reproduced"
    assert outcome(config=replace(JUDGED, iterations=(999,))) == "not judged"
