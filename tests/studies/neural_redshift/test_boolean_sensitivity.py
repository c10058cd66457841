"""Sensitivity of random sequence models: by hand, and the run."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import whole_runs

from jaxbias import devices, sweeps
from jaxbias.numerics import boolean
from jaxbias.runs import UsageError
from jaxbias.studies.neural_redshift.sensitivity import (
    experiment,
    networks,
    published,
)
from jaxbias.studies.neural_redshift.sensitivity.config import PRESETS, Config

SMALL = Config(
    length=4,
    lengths=(6,),
    full_cube=5,
    samples=9,
    ranges=(0.5,),
    others=("xavier",),
    n_networks=6,
    width=8,
    depth=2,
    heads=2,
)


def computed(config, num_devices):
    mesh = devices.mesh(num_devices)
    blocks = networks.blocks(config, jax.random.key(config.seed), mesh)
    return networks.table(config, sweeps.sweep(blocks, mesh))


@pytest.fixture(scope="module")
def table():
    return computed(SMALL, 2)


def test_sampled_strings_come_with_their_neighbours(key):
    found = networks.strings(SMALL, 6, key)
    assert found.shape == (9, 7, 6) and set(np.unique(found)) == {0, 1}
    for one in found:
        np.testing.assert_array_equal(one[1:] != one[:1], np.eye(6) == 1)
    assert len(np.unique(found[:, 0], axis=0)) > 3
    np.testing.assert_array_equal(networks.strings(SMALL, 4, key), boolean.cube(4))


def test_samples_tell_what_the_whole_cube_tells(key):
    """A function of 6 bits on all strings, and on sampled ones."""
    weights = np.random.default_rng(0).normal(size=(6, 5))
    function = lambda x: np.tanh(3 * x @ weights).sum(-1) - 1  # noqa: E731
    whole = networks.statistics(jnp.asarray(function(boolean.cube(6)), jnp.float32))
    config = replace(SMALL, samples=4000)
    drawn = function(networks.strings(config, 6, key))
    found = networks.statistics(jnp.asarray(drawn, jnp.float32))
    np.testing.assert_allclose(found, whole, atol=0.03)
    assert 0.05 < whole[0] < 0.6
    labels = drawn > 0
    expected = (labels[:, 1:] != labels[:, :1]).mean()
    assert float(found[0]) == pytest.approx(expected, abs=1e-6)


def test_networks_are_those_that_the_table_says(table):
    """An LSTM's row from its weights, drawn and evaluated apart."""
    programs = networks.Programs(SMALL, devices.mesh(1))
    condition = networks.Condition(
        model="lstm", length=4, prior="uniform", weight_range=10.0
    )
    seen = []

    class Spy(networks.Programs):
        def measure(self, model, length):
            return lambda points, factor, params: seen.append((points, factor, params))

    key = networks.rng.stream(jax.random.key(0), "sensitivity")
    spy = Spy(SMALL, programs.mesh)
    evaluate = networks._evaluate(spy, condition, boolean.cube(4), key)
    evaluate({"network": jnp.arange(6, dtype=jnp.uint32)})
    ((points, factor, params),) = seen
    assert factor == 10
    kernel = np.asarray(params["hidden_kernel"])
    assert -1 <= kernel.min() < -0.9 and 0.9 < kernel.max() < 1
    module = programs.module("lstm")
    chosen = (table["model"] == "lstm") & (table["length"] == 4)
    chosen &= (table["prior"] == "uniform") & (table["weight_range"] == 10)
    rows = np.flatnonzero(chosen)
    apply = jax.jit(lambda p: module.apply({"params": p}, points)[0])
    for number, row in enumerate(rows):
        scaled = jax.tree.map(lambda leaf: 10 * leaf[number], params)  # noqa: B023
        labels = np.asarray(apply(scaled)) > 0
        assert table["ones"][row] == pytest.approx(labels.mean())
        flipped = np.arange(16)[:, None] ^ (1 << np.arange(4))
        changed = (labels[flipped] != labels[:, None]).mean()
        assert table["sensitivity"][row] == pytest.approx(changed)


def test_every_condition_is_there_once(table):
    labels = ("model", "length", "prior", "weight_range")
    rows = list(zip(*(table[name] for name in labels), strict=True))
    # Three models, each with 2 lengths, a range and a prior more; 2 random functions.
    kinds = {tuple(map(str, row)) for row in rows}
    assert len(kinds) == 3 * 4 + 2 and len(rows) == 6 * len(kinds)
    assert SMALL.combinations == 3 * 4
    random = table["model"] == networks.RANDOM
    assert 0.2 < table["sensitivity"][random].mean() < 0.8
    assert not table["degenerate"].any()
    varied = ~table["constant"] & ~random
    expected = 2 * table["ones"] * (1 - table["ones"])
    np.testing.assert_allclose(
        (table["relative_sensitivity"] * expected)[varied],
        table["sensitivity"][varied],
        rtol=1e-5,
    )


def test_devices_and_pieces_do_not_matter(table, monkeypatch):
    monkeypatch.setitem(networks.PIECE, "cpu", 2)
    config = replace(SMALL, models=("lstm",))
    chosen = (table["model"] == "lstm") | (table["model"] == networks.RANDOM)
    for name, values in computed(config, 1).items():
        np.testing.assert_array_equal(values, table[name][chosen], err_msg=name)


def test_what_is_not_finite_is_flagged():
    program = networks.Programs(SMALL, devices.mesh(1)).finish()
    good = networks.statistics(jnp.asarray([1.0, -1.0, 1.0, 1.0]))
    bad = networks.statistics(jnp.asarray([1.0, -1.0, jnp.nan, 1.0]))
    found = program(jnp.stack([good, bad]))
    np.testing.assert_array_equal(found["degenerate"], [False, True])
    np.testing.assert_array_equal(found["sensitivity"], [0.5, np.nan])
    np.testing.assert_array_equal(found["ones"], [0.75, np.nan])


@pytest.mark.parametrize(
    "change, message",
    [
        ({"heads": 3}, "--heads: must divide"),
        ({"lengths": (0,)}, "--lengths: must be >= 1"),
        ({"full_cube": 17}, "--full-cube: must be at most 16"),
        ({"ranges": (0.0,)}, "--ranges: must be > 0"),
        ({"models": ()}, "--models: at least one"),
        ({"n_networks": 10**7}, "--n-networks: "),
    ],
)
def test_bad_options_are_refused(change, message):
    with pytest.raises(UsageError, match=message):
        experiment.check(replace(Config(), **change))


def test_presets_are_accepted():
    for config in PRESETS.values():
        experiment.check(config)


def test_a_run(tmp_path):
    config = replace(SMALL, models=("transformer",), lengths=(4,), others=())
    run = whole_runs.finished(experiment, config, tmp_path / "run", check=False)
    assert len(run.read_table()["sensitivity"]) == 6 * (2 + 1)
    assert {v["outcome"] for v in run.read_verdicts()} == {"not judged"}
    assert (run.path / "figures" / "sensitivity.png").stat().st_size > 10_000


TOLD = Config(n_networks=100)

MEANS = {
    ("transformer", "uniform"): 0.15,
    ("transformer", "normal"): 0.1,
    ("transformer", "xavier"): 0.05,
    ("lstm", "uniform"): 0.4,
    ("lstm", "normal"): 0.3,
    ("lstm", "xavier"): 0.2,
    ("mlp", "uniform"): 0.3,
    ("mlp", "normal"): 0.3,
    ("mlp", "xavier"): 0.3,
    (networks.RANDOM, ""): 0.5,
}


def story(**changes):
    """A table in which every claim holds, but for the changed means."""
    chosen = networks.conditions(TOLD)
    noise = np.random.default_rng(0).normal(0, 0.01, (len(chosen), TOLD.n_networks))
    means = MEANS | {tuple(k.split("_")): v for k, v in changes.items() if "_" in k}
    middle = np.array([means[one.model, one.prior] for one in chosen])
    falling = changes.get("falling", True)
    for number, one in enumerate(chosen):
        if one.model == "transformer" and falling:
            middle[number] -= 0.005 * one.length
    if "random" in changes:
        middle[-1] = changes["random"]
    values = (middle[:, None] + noise).ravel().astype(np.float32)
    return networks.table(
        TOLD,
        {
            "sensitivity": values,
            "ones": np.full(len(values), 0.5, np.float32),
            "degenerate": np.zeros(len(values), bool),
        },
    )


BREAKS = {
    "transformers-below-lstms": {"transformer_uniform": 0.5},
    "below-normal": {"lstm_normal": 0.05},
    "below-xavier": {"lstm_xavier": 0.0},
    "transformers-low": {"transformer_uniform": 0.35},
    "falls-with-length": {"falling": False},
    "random-half": {"random": 0.45},
}


def outcomes(columns, config=TOLD):
    found = published.judge(published.Evidence(columns, config))
    return {v["id"]: v["outcome"] for v in found}


def test_a_story_in_which_all_is_as_published():
    assert set(outcomes(story()).values()) == {"reproduced"}


@pytest.mark.parametrize("entry", BREAKS)
def test_every_entry_can_fail(entry):
    found = outcomes(story(**BREAKS[entry]))
    assert found[entry] == "not reproduced"
    assert set(found) == set(BREAKS)
    assert list(found.values()).count("not reproduced") <= 2
