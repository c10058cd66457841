"""Complex start: where networks begin, and the rules of the ledger."""

from dataclasses import replace

import jax
import numpy as np
import pytest
import whole_runs

from jaxbias.runs import UsageError
from jaxbias.studies.neural_redshift.complex_start import (
    experiment,
    published,
    trainings,
)
from jaxbias.studies.neural_redshift.complex_start.config import Config
from jaxbias.studies.neural_redshift.modulo import task

TINY = Config(
    moduli=(3,),
    hard_modulus=2,
    integers=4,
    activations=("tanh",),
    n_seeds=2,
    start_iterations=400,
    iterations=(2, 5),
    width=16,
    depth=1,
    learning_rate=0.03,
    resolution=8,
    measures=("dct",),
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("complex") / "run"
    return whole_runs.finished(experiment, TINY, folder)


def test_a_run_has_a_row_for_each_start_network_and_look(run):
    table = run.read_table()
    assert len(table["steps"]) == 3 * 2 * 3
    assert list(dict.fromkeys(table["start"].tolist())) == list(TINY.starts)
    assert {row["outcome"] for row in run.read_verdicts()} == {"not judged"}
    assert {p.name for p in (run.path / "figures").iterdir()} == {"over_training.png"}
    # Both complex starts differ from the random one, and from one another.
    first = table["train_loss"][table["steps"] == 0].reshape(3, 2)
    assert len(np.unique(first)) == 6


def test_the_trained_start_knows_every_point_of_the_hard_target():
    config = replace(TINY, hard_modulus=3)
    model = trainings.ComplexLearner(
        activations=("tanh",),
        depth=1,
        width=16,
        learning_rate=0.03,
        kind="trained",
        config=config,
    )
    params = jax.jit(lambda key: model.start(key, 2))(jax.random.key(0))
    integers = task.digits(jax.numpy.arange(16), 4, 2)
    outputs = model.predict(params, task.inputs(integers, 4, 1.0))
    right = (np.asarray(outputs) > 0) == np.asarray(task.labels(integers, 3))
    assert right.mean() > 0.9


def test_large_weights_are_the_random_ones_times_the_scale():
    common = dict(activations=("relu",), depth=1, width=4)
    key = jax.random.key(1)
    plain_start = trainings.Learner(**common).start(jax.random.clone(key), 2)
    large = trainings.ComplexLearner(**common, kind="large", config=TINY).start(key, 2)
    for name, leaf in plain_start.items():
        factor = 1 if "bias" in name else TINY.large_scale
        np.testing.assert_allclose(large[name], factor * leaf, rtol=1e-6)


def test_bad_options_are_one_line():
    for change, words in (
        ({"hard_modulus": 1}, "--hard-modulus"),
        ({"large_scale": 0.0}, "--large-scale"),
    ):
        with pytest.raises(UsageError, match=words):
            experiment.check(replace(TINY, **change))


JUDGED = Config(activations=("relu",), n_seeds=4, iterations=(1000,))


def columns(*, ended=0.1, new=0.5, fitted=1.0, networks=4):
    """Complexity 0.4 at complex starts and 0.1 after a usual training."""
    rows = []
    for start in JUDGED.starts:
        for network in range(networks):
            for steps in (0, 1000):
                usual = start == "random"
                dct = (0.05 if usual else 0.4) if steps == 0 else ended
                rows.append(
                    {
                        "activation": "relu",
                        "start": start,
                        "modulus": 10,
                        "prefactor": 1.0,
                        "steps": steps,
                        "dct": 0.1 if usual and steps else dct,
                        "train_accuracy": fitted,
                        "relative_accuracy": (1.0 if usual else new) + 0.01 * network,
                    }
                )
    return {name: np.asarray([row[name] for row in rows]) for name in rows[0]}


@pytest.mark.parametrize(
    "id, other",
    [
        ("complex-start-trained", {"ended": 0.3}),
        ("complex-start-large", {"ended": 0.3}),
        ("complex-start-accuracy", {"new": 1.0}),
        ("complex-start-accuracy", {"fitted": 0.9}),
    ],
)
def test_each_rule_can_go_either_way(id, other):
    def outcome(**options):
        rows = published.judge(columns(**options), JUDGED)
        (row,) = [row for row in rows if row["id"] == id]
        return row["outcome"]

    assert outcome() == "reproduced"
    assert outcome(**other) == "not reproduced"
    assert outcome(networks=3) == "not judged"
