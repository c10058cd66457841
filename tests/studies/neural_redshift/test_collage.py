"""Collages: the tiles and what tells the class, whole runs, the rules of the ledger."""

from dataclasses import replace

import jax
import numpy as np
import pytest
import whole_runs

from jaxbias import devices, sweeps
from jaxbias.runs import UsageError
from jaxbias.studies.neural_redshift.shortcut import (
    collage,
    collage_ledger,
    collages,
    trainings,
)
from jaxbias.studies.neural_redshift.shortcut.config import CollageConfig

TINY = CollageConfig(
    activations=("relu", "sine"),
    prefactors=(1.0,),
    n_seeds=1,
    train_images=60,
    test_images=40,
    iterations=(40,),
    width=8,
    depth=1,
    learning_rate=0.01,
    tile=8,
)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """Digits and pictures whose every pixel is 20 times their class, as a configuration."""
    folder = tmp_path_factory.mktemp("plain")
    labels = np.arange(100) % 10
    for name, shape in (("digits", (7, 7, 1)), ("pictures", (12, 9, 3))):
        images = np.broadcast_to(
            (20 * labels).astype(np.uint8)[:, None, None, None], (100, *shape)
        )
        halves = {"train": slice(0, 60), "test": slice(60, 100)}
        arrays = {
            f"{split}_{kind}": values[half]
            for split, half in halves.items()
            for kind, values in (("images", images), ("labels", labels))
        }
        np.savez(folder / f"{name}.npz", **arrays)  # type: ignore[arg-type]
    paths = {n: f"npz:{folder / n}.npz" for n in ("digits", "pictures")}
    return replace(TINY, **paths)


def classes(one, tile=8):
    """The class of each half, read off its pixels."""
    both = np.round(one.x.reshape(-1, 2, tile, tile, 3) * 255 / 20)
    assert (both == both[:, :, :1, :1, :1]).all()
    return both[:, 0, 0, 0, 0], both[:, 1, 0, 0, 0]


def test_halves_are_of_the_classes_that_each_set_says(plain):
    collage.check(plain)
    sets = collages.sets(plain)
    digits, pictures = classes(sets["both"].train)
    assert (digits == pictures).all() and (digits == sets["both"].train.y).all()
    digits, pictures = classes(sets["picture"].train)
    assert (pictures == sets["picture"].train.y).all()
    assert (digits == pictures).mean() < 0.3
    assert (np.bincount(digits.astype(int)) == 6).all()
    for part in sets.values():
        digits, pictures = classes(part.tests["digit"])
        assert (digits == part.tests["digit"].y).all()
        assert (pictures == part.tests["picture"].y).all()
        assert (digits == pictures).mean() < 0.3
        np.testing.assert_array_equal(part.tests["digit"].x, part.tests["picture"].x)


def test_images_that_are_too_few_are_refused(plain):
    with pytest.raises(UsageError, match="--train-images: 61 need 7 of each class"):
        collage.check(replace(plain, train_images=61))
    with pytest.raises(UsageError, match="--test-images: 41 need 5 of each class"):
        collage.check(replace(plain, test_images=41))
    with pytest.raises(UsageError, match="--train-images"):
        collage.check(replace(plain, train_images=9))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return whole_runs.finished(collage, TINY, tmp_path_factory.mktemp("collage") / "r")


def test_a_run_learns_and_ends_with_figures(run):
    table = run.read_table()
    assert table["told_by"].tolist() == ["both"] * 4 + ["picture"] * 4
    error = table["train_error"].reshape(4, 2)
    assert (error[:, 1] < error[:, 0]).all()
    assert {row["outcome"] for row in run.read_verdicts()} == {"not judged"}
    drawn = {path.name for path in (run.path / "figures").iterdir()}
    assert drawn == {"curves.png", "examples.png"}


def test_accuracies_of_a_start_are_numpys(run):
    """Both parts begin with the same weights, and answer with the largest output."""
    key = trainings.rng.stream(jax.random.key(0), "weights")
    start = trainings.learner(TINY).start(jax.random.fold_in(key, np.uint32(0)), 384)
    names = ("input_kernel", "input_bias", "output_kernel", "output_bias")
    params = [np.asarray(start[name], np.float64) for name in names]
    table = run.read_table()
    for part, sets in collages.sets(TINY).items():
        row = (table["told_by"] == part) & (table["activation"] == "relu")
        row &= table["steps"] == 0
        for cue, one in sets.tests.items():
            hidden = np.maximum(one.x @ params[0] + params[1], 0)
            answers = (hidden @ params[2] + params[3]).argmax(axis=1)
            expected = (answers == one.y).mean()
            assert table[f"{cue}_accuracy"][row][0] == pytest.approx(expected, abs=1e-6)


def test_devices_do_not_change_a_bit(run):
    mesh = devices.mesh(4)
    sets = collages.sets(TINY)["picture"]
    swept = sweeps.sweep(trainings.blocks(TINY, sets, jax.random.key(0), mesh), mesh)
    for name, values in trainings.table(TINY, swept).items():
        np.testing.assert_array_equal(run.read_table()[name][4:], values, err_msg=name)


# The ledger's rules

JUDGED = CollageConfig(
    n_seeds=1,
    iterations=(1000,),
    activations=("relu", "sine"),
    prefactors=(1.0, 2.0, 4.0),
)
KNOWN = {
    "relu": {"path_variation": [1, 1, 1], "picture_accuracy": [0.1, 0.1, 0.1]},
    "sine": {"path_variation": [1, 2, 3], "picture_accuracy": [0.1, 0.2, 0.3]},
}
ALONE = {"relu": 0.3, "sine": 0.3}


def tables(relu=None, sine=None, alone=None):
    """The two tables, as known but for changes."""
    found = {}
    for part in ("both", "picture"):
        columns = {"activation": [], "steps": []}
        for activation, changes in (("relu", relu), ("sine", sine)):
            known = KNOWN[activation] | (changes or {})
            if part == "picture":
                value = (alone or ALONE)[activation]
                known = known | {"picture_accuracy": [value] * 3}
            for place in range(3):
                for steps in (0, 1000):
                    columns["activation"].append(activation)
                    columns["steps"].append(steps)
                    for name in ("path_variation", "picture_accuracy"):
                        columns.setdefault(name, []).append(known[name][place])
        found[part] = {name: np.asarray(values) for name, values in columns.items()}
    return found


@pytest.mark.parametrize(
    "id, changes",
    [
        ("collage-relu", {"relu": {"picture_accuracy": [0.1, 0.1, 0.2]}}),
        ("collage-steered", {"sine": {"picture_accuracy": [0.1, 0.1, 0.1]}}),
        ("collage-complexity", {"sine": {"path_variation": [1, 0.9, 0.8]}}),
    ],
)
def test_each_rule_can_go_either_way(id, changes):
    def outcome(found, config=JUDGED):
        (row,) = [r for r in collage_ledger.judge(found, config) if r["id"] == id]
        return row["outcome"]

    assert outcome(tables()) == "reproduced"
    assert outcome(tables(**changes)) == "not reproduced"
    assert outcome(tables(), replace(JUDGED, iterations=(999,))) == "not judged"


def test_a_picture_that_nothing_can_learn_judges_nothing():
    found = tables(alone={"relu": 0.11, "sine": 0.3})
    rows = {row["id"]: row for row in collage_ledger.judge(found, JUDGED)}
    assert rows["collage-relu"]["outcome"] == "not judged"
