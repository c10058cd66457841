"""Unbiased training: the model fits what it can represent; the rules go either way."""

from dataclasses import replace

import jax
import numpy as np
import pytest
import whole_runs

from jaxbias import devices, sweeps
from jaxbias.runs import UsageError
from jaxbias.studies.neural_redshift.unbiased_training import (
    experiment,
    published,
    trainings,
)
from jaxbias.studies.neural_redshift.unbiased_training.config import Config

TINY = Config(
    moduli=(3, 2),
    integers=5,
    activations=("relu",),
    max_frequencies=(2, 3),
    input_scales=(0.8,),
    n_seeds=2,
    iterations=(5, 300),
    width=6,
    depth=1,
    learning_rate=0.05,
    resolution=8,
    measures=("dct",),
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("unbiased") / "run"
    return whole_runs.finished(experiment, TINY, folder)


def test_a_run_has_a_row_for_each_model_target_network_and_look(run):
    table = run.read_table()
    assert len(table["steps"]) == 3 * 2 * 2 * 3
    models = dict.fromkeys(table["model"].tolist())
    assert list(models) == ["relu", "unbiased 2", "unbiased 3"]
    assert np.isnan(table["prefactor"][table["max_frequency"] > 0]).all()
    assert {p.name for p in (run.path / "figures").iterdir()} == {"models.png"}
    assert {row["outcome"] for row in run.read_verdicts()} == {"not judged"}


def test_with_a_frequency_for_each_point_it_fits_all_of_them(run):
    table = run.read_table()
    last = (table["steps"] == 300) & (table["model"] == "unbiased 3")
    assert (table["train_accuracy"][last] == 1).all()
    first = (table["steps"] == 0) & (table["model"] == "unbiased 3")
    assert (table["train_loss"][last] < 0.2 * table["train_loss"][first]).all()


def test_devices_do_not_change_a_bit(run):
    mesh = devices.mesh(4)
    swept = sweeps.sweep(trainings.blocks(TINY, jax.random.key(0), mesh), mesh)
    for name, values in trainings.table(TINY, swept).items():
        np.testing.assert_array_equal(run.read_table()[name], values, err_msg=name)


def test_too_many_frequencies_are_refused_in_one_line():
    with pytest.raises(UsageError, match="--max-frequencies: 300 in 2 dimensions"):
        experiment.check(replace(TINY, max_frequencies=(300,)))


def columns(*, fitted=1.0, new=0.0, relu=1.0, dct=0.5, networks=4):
    """The last look of a run on two targets."""
    rows = []
    for model, most in (("relu", 0), ("unbiased 8", 8)):
        for modulus in (10, 7):
            rows += [
                {
                    "model": model,
                    "max_frequency": most,
                    "modulus": modulus,
                    "steps": 1000,
                    "train_accuracy": fitted,
                    "relative_accuracy": new if most else relu,
                    "dct": dct if most else 0.1,
                }
            ] * networks
    return {name: np.asarray([row[name] for row in rows]) for name in rows[0]}


@pytest.mark.parametrize(
    "id, other",
    [
        ("unbiased-useless", {"new": 0.5}),
        ("unbiased-useless", {"fitted": 0.9}),
        ("unbiased-relu-learns", {"relu": 0.5}),
        ("unbiased-relu-learns", {"new": 0.95}),
        ("unbiased-stays-complex", {"dct": 0.05}),
    ],
)
def test_each_rule_can_go_either_way(id, other):
    def outcome(**options):
        (row,) = [r for r in published.judge(columns(**options)) if r["id"] == id]
        return row["outcome"]

    assert outcome() == "reproduced"
    assert outcome(**other) == "not reproduced"
    assert outcome(networks=3) == "not judged"
