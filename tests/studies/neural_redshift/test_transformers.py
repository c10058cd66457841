"""What untrained GPT-2 writes: the table against networks one by one, and the ledger."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import whole_runs

from jaxbias import devices, rng, sweeps
from jaxbias.models import gpt2
from jaxbias.runs import UsageError
from jaxbias.studies.neural_redshift.transformers import (
    evidence,
    experiment,
    published,
    sequences,
)
from jaxbias.studies.neural_redshift.transformers.config import (
    AUTHOR_CODE,
    PAPER,
    PRESETS,
)

SMALL = replace(
    PAPER,
    **{"activations": ("relu", "sine"), "gammas": (1.0, 4.0), "depths": (1, 2)},
    **{"tokens": 12, "draws": 5, "prompts": 2, "layers": 2, "width": 24, "heads": 2},
    **{"vocabulary": 40, "init_std": 0.2},
)


class Store(dict):
    """Chunks in memory."""

    def save_chunk(self, name, arrays):
        self[name] = arrays

    def load_chunk(self, name):
        return self[name]

    def chunk_names(self):
        return list(self)


def computed(config, num_devices=None, store=None):
    mesh = devices.mesh(num_devices)
    blocks = sequences.blocks(config, jax.random.key(config.seed), mesh)
    return sequences.table(config, sweeps.sweep(blocks, mesh, store=store))


@pytest.fixture(scope="module")
def table():
    return computed(SMALL)


def phrases(sequence):
    """LZ78 of any symbols, as a set of words."""
    found, word = set(), ()
    for symbol in sequence:
        word = (*word, int(symbol))
        if word not in found:
            found.add(word)
            word = ()
    return len(found)


def test_each_row_is_a_network_by_itself(table):
    """Batches of conditions change nothing: one network, one sequence at a time."""
    stream = rng.stream(jax.random.key(SMALL.seed), "transformers")
    for draw, activation, gamma, depth in ((0, "relu", 4.0, 2), (4, "sine", 1.0, 1)):
        model = sequences.network(SMALL).clone(
            activations=(activation,), depths=(depth,)
        )
        weights, tokens = jax.random.split(jax.random.fold_in(stream, draw))
        params = gpt2.draw(weights, sequences.network(SMALL), kernel_std=0.2)
        first = sequences.first_tokens(SMALL, tokens, jnp.arange(2))
        for prompt in range(2):
            written = gpt2.generate(
                *(model, params, first[prompt, None, None]),
                **{"tokens": 12, "gamma": jnp.asarray([gamma])},
            )[0]
            row = (table["draw"] == draw) & (table["activation"] == activation)
            row &= (table["gamma"] == gamma) & (table["depth"] == depth)
            row &= table["prompt"] == prompt
            assert row.sum() == 1
            assert table["lz78"][row] == pytest.approx(phrases(written) / 13)
            assert table["distinct"][row] == len(set(np.asarray(written).tolist()))


def test_devices_and_parts_do_not_matter(table, monkeypatch):
    for name, values in computed(SMALL, 1).items():
        np.testing.assert_array_equal(values, table[name], err_msg=name)
    assert sequences.at_once(SMALL) == 2
    monkeypatch.setitem(sequences.BATCH_BYTES, "cpu", 1)
    assert sequences.at_once(SMALL) == 1
    again = computed(SMALL)
    order = np.lexsort(
        [again[k] for k in ("prompt", "gamma", "activation", "depth", "draw")]
    )
    there = np.lexsort(
        [table[k] for k in ("prompt", "gamma", "activation", "depth", "draw")]
    )
    for name, values in again.items():
        np.testing.assert_array_equal(values[order], table[name][there], err_msg=name)


def test_a_resumed_run_is_an_undisturbed_one(table):
    store = Store()
    computed(SMALL, 1, store)
    assert len(store) == 3
    del store[sorted(store)[1]]
    for name, values in computed(SMALL, 1, store).items():
        np.testing.assert_array_equal(values, table[name], err_msg=name)


def test_authors_first_tokens_are_numbered(key):
    config = replace(AUTHOR_CODE, vocabulary=40)
    first = sequences.first_tokens(config, key, jnp.arange(3, 6))
    np.testing.assert_array_equal(first, [3, 4, 5])
    random = replace(config, first_tokens="random")
    keys = jax.random.clone(key)
    first = sequences.first_tokens(random, keys, jnp.arange(400))
    assert set(np.asarray(first).tolist()) == set(range(40))


def test_measures_of_known_sequences():
    constant = sequences.complexity(jnp.full(101, 7))
    assert float(constant["lz78"]) == pytest.approx(13 / 101)
    assert sequences.floor(101) == 13 / 101
    assert float(constant["lz78_60"]) == pytest.approx(10 / 61)
    distinct = sequences.complexity(50_256 - jnp.arange(51))
    assert float(distinct["lz78"]) == 1 and float(distinct["distinct"]) == 51
    assert float(distinct["lz76"]) == 51
    assert "lz78_60" not in distinct
    stopped = sequences.complexity(jnp.asarray([3, 4, gpt2.STOPPED]))
    assert bool(stopped["degenerate"]) and np.isnan(float(stopped["lz78"]))


def test_spread_tells_draws_from_first_tokens():
    generator = np.random.default_rng(0)
    draws = generator.normal(0.5, 0.2, (4000, 1))
    found = evidence.spread(draws + generator.normal(0, 0.3, (4000, 4)))
    assert found.mean == pytest.approx(0.5, abs=0.02)
    assert found.between == pytest.approx(0.2, rel=0.05)
    assert found.within == pytest.approx(0.3, rel=0.05)
    assert found.se == pytest.approx(np.sqrt((0.04 + 0.09 / 4) / 4000), rel=0.05)
    assert np.isnan(evidence.spread(draws).within)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"gammas": (0.0,)}, "--gammas: must be > 0"),
        ({"depths": (13,)}, "--depths: must be at most 12"),
        ({"heads": 7}, "--heads: must divide the width"),
        ({"tokens": 2000}, "--tokens: must be at most"),
        ({"activations": ("step",)}, "--activations: unknown activation 'step'"),
        ({"draws": 10**6, "prompts": 100}, "--draws: 39,000,000,000 sequences"),
        (
            {"first_tokens": "numbered", "prompts": 50, "vocabulary": 40},
            "--prompts: 50 numbered tokens of 40",
        ),
    ],
)
def test_bad_options_are_refused(change, message):
    with pytest.raises(UsageError, match=message):
        experiment.check(replace(PAPER, **change))


def test_presets_are_valid():
    for setting, presets in PRESETS.items():
        for config in presets.values():
            assert config.setting == setting
            experiment.check(config)


def test_a_run(tmp_path):
    config = replace(SMALL, draws=4, gammas=(1.0, 2.0, 5.0))
    run = whole_runs.finished(experiment, config, tmp_path / "run")
    assert len(run.read_table()["lz78"]) == 2 * 2 * 3 * 4 * 2
    summary = run.read_table("summary.parquet")
    assert len(summary["lz78_sd_draws"]) == 2 * 2 * 3
    assert len(run.read_verdicts()) == len(published.ENTRIES)
    for name in ("gamma", "depth", "spread"):
        assert (run.path / "figures" / f"{name}.png").stat().st_size > 10_000


LEDGER = replace(
    PAPER, gammas=(0.5, 1.0, 5.0), depths=(1, 12), tokens=60, draws=8, prompts=3
)
AS_PUBLISHED = {
    "gelu": (0.2, 0.298, 0.719),
    "relu": (0.18, 0.246, 0.7),
    "selu": (0.5, 0.7, 0.8),
    "tanh": (0.3, 0.473, 0.951),
    "gaussian": (0.17, 0.180, 0.96),
    "sine": (0.4, 0.6, 0.94),
}


def made(means=AS_PUBLISHED, *, noise=0.01, shallow=0.3, constant=10 / 61):
    """A table in which each activation's means by gamma are given, at 12 layers."""
    generator = np.random.default_rng(1)
    config = LEDGER
    grid = np.asarray([means[name] for name in config.activations])
    deep = np.stack([0.5 + shallow * (grid - 0.5), grid])[..., None, None]
    shape = (2, len(grid), 3, config.draws, config.prompts)
    values = deep + noise * generator.normal(size=shape)
    labels = np.meshgrid(
        *(config.depths, range(len(grid)), config.gammas),
        *(range(config.draws), range(config.prompts)),
        indexing="ij",
    )
    names = ("depth", "activation", "gamma", "draw", "prompt")
    columns = {name: label.ravel() for name, label in zip(names, labels, strict=True)}
    columns["activation"] = np.asarray(config.activations, object)[
        columns["activation"]
    ]
    columns["lz78"] = np.maximum(values.ravel(), 10 / 61)
    columns["distinct"] = np.full(values.size, 5.0)
    columns["lz78"][0], columns["distinct"][0] = constant, 1
    columns["lz78_60"] = values.ravel()
    return columns


def outcomes(columns, config=LEDGER):
    found = published.judge(evidence.Evidence(columns, config))
    return {verdict["id"]: verdict["outcome"] for verdict in found}


def test_every_entry_can_be_reproduced():
    assert set(outcomes(made()).values()) == {"reproduced"}


def but(**means):
    return {"means": AS_PUBLISHED | means}


BREAKS = {
    "floor": {"constant": 0.2},
    "gelu-simple": but(gelu=(0.2, 0.7, 0.8)),
    "relu-lower": but(relu=(0.2, 0.35, 0.7)),
    "selu-higher": but(selu=(0.2, 0.25, 0.8)),
    "tanh-higher": but(tanh=(0.2, 0.25, 0.951)),
    "sine-higher": but(sine=(0.2, 0.298, 0.9)),
    "gaussian-begins-low": but(gaussian=(0.17, 0.4, 0.96)),
    "gaussian-ends-high": but(gaussian=(0.17, 0.18, 0.705)),
    "rises-with-gamma": but(selu=(0.5, 0.9, 0.8)),
    "depth-magnifies": {"shallow": 1.5},
} | {
    f"rerun-{name}-gamma-{gamma:g}": but(
        **{name: tuple(x + 0.1 for x in AS_PUBLISHED[name])}
    )
    for name, gamma in published.REFERENCE
}


@pytest.mark.parametrize("entry", BREAKS)
def test_every_entry_can_fail(entry):
    # Small noise: what is no difference at all is known to be none.
    options = {"noise": 0.001} | BREAKS[entry]
    assert outcomes(made(**options))[entry] == "not reproduced"
    assert set(BREAKS) == {entry.id for entry in published.ENTRIES}


def test_what_a_run_cannot_tell_is_not_judged():
    found = outcomes(made(), replace(LEDGER, width=384))
    assert {v for k, v in found.items() if k.startswith("rerun")} == {"not judged"}
    noisy = outcomes(made(AS_PUBLISHED | {"relu": (0.2, 0.29, 0.7)}, noise=0.3))
    assert noisy["relu-lower"] == "not judged"
    rows = made()
    few = {name: values[rows["draw"] < 2] for name, values in rows.items()}
    found = outcomes(few, replace(LEDGER, draws=2))
    assert {v for k, v in found.items() if k != "floor"} == {"not judged"}
    rows["lz78"] = np.where(rows["activation"] == "gelu", np.nan, rows["lz78"])
    assert outcomes(rows)["gelu-simple"] == "not judged"
