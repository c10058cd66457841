"""The prior over Boolean functions: networks and counts by hand, and the run."""

import math
from collections import Counter
from dataclasses import replace

import jax
import numpy as np
import pytest
import whole_runs

from jaxbias import devices, rng, sweeps
from jaxbias.runs import UsageError
from jaxbias.studies.neural_redshift.boolean_prior import (
    evidence,
    experiment,
    functions,
    networks,
    published,
    trial,
)
from jaxbias.studies.neural_redshift.boolean_prior.config import PRESETS, Config

SMALL = Config(
    sigma_ws=(1.0, 8.0), depths=(2,), n_networks=1500, width=12, bits=5, sigma_b=0.3
)


@pytest.fixture(scope="module")
def found():
    return trial.evidence(SMALL, devices.mesh())


def swept(config, num_devices, store=None):
    mesh = devices.mesh(num_devices)
    blocks = networks.blocks(config, jax.random.key(config.seed), mesh)
    return sweeps.sweep(blocks, mesh, store=store)


def drawn(config, depth, batches):
    """Weights and biases of the first networks, from the same numbers, as the layout is."""
    n, w = config.bits, config.width
    # Leaves lie in the alphabet's order.
    shapes = {
        "hidden_bias": (depth - 1, w),
        "hidden_kernel": (depth - 1, w, w),
        "input_bias": (w,),
        "input_kernel": (n, w),
        "output_bias": (1,),
        "output_kernel": (w, 1),
    }
    total = sum(math.prod(shape) for shape in shapes.values())
    padded = -(-total // networks.DRAW_MULTIPLE) * networks.DRAW_MULTIPLE
    key = rng.stream(jax.random.key(config.seed), "boolean prior")
    words = (f"depth {depth}", f"width {w}", f"bits {n}")
    stream = rng.stream(key, "network", *words)
    for batch in range(batches):
        normal = jax.random.normal(
            jax.random.fold_in(jax.random.clone(stream), batch),
            (networks.BATCH, padded),
        )
        for row in np.asarray(normal, np.float64):
            start, parts = 0, {}
            for name, shape in shapes.items():
                count = math.prod(shape)
                parts[name] = row[start : start + count].reshape(shape)
                start += count
            yield parts


def by_hand(config, parts, activation, sigma_w):
    """A network's outputs in float64."""
    bits = np.arange(2**config.bits)[:, None] >> np.arange(config.bits)[::-1] & 1
    h = bits.astype(np.float64)
    layers = [(parts["input_kernel"], parts["input_bias"])]
    layers += list(zip(parts["hidden_kernel"], parts["hidden_bias"], strict=True))
    for kernel, bias in layers:
        h = h @ kernel * sigma_w / np.sqrt(len(kernel)) + config.sigma_b * bias
        h = np.tanh(h) if activation == "tanh" else np.maximum(h, 0)
    kernel, bias = parts["output_kernel"], parts["output_bias"]
    out = h @ kernel * sigma_w / np.sqrt(len(kernel)) + config.sigma_b * bias
    return out[:, 0]


def test_counts_are_those_of_networks_evaluated_by_hand():
    config = replace(SMALL, n_networks=20 * networks.BATCH)
    columns = swept(config, 1)
    numbers = [c for c in networks.conditions(config) if c.source == "network"]
    for number, condition in enumerate(numbers):
        packed, finite = networks.tables_of(config, columns, number)
        assert finite.all()
        labels, sure = [], []
        for parts in drawn(config, 2, 20):
            out = by_hand(config, parts, condition.activation, condition.sigma_w)
            labels.append("".join("01"[int(v > 0)] for v in out))
            sure.append(np.abs(out).min() > 1e-4)
        here = functions.hexadecimal(packed, config.bits)
        there = [f"{int(one, 2):08x}" for one in labels]
        # Outputs that float32 cannot tell from 0 may fall on either side.
        assert np.mean(sure) > 0.8
        for one, other, safe in zip(here, there, sure, strict=True):
            assert one == other or not safe
        kept = np.asarray(sure)
        tallied = functions.tally(packed[kept])
        names, counts = np.unique(np.asarray(there)[kept], return_counts=True)
        order = np.lexsort((names, -counts))
        assert functions.hexadecimal(tallied.functions, 5) == list(names[order])
        np.testing.assert_array_equal(tallied.counts, counts[order])


@pytest.mark.parametrize("words", [1, 2, 4])
def test_the_tally_is_exact(words):
    packed = np.random.default_rng(0).integers(0, 3, (500, words)).astype(np.uint32)
    # Differ in the highest and in the lowest bit alone.
    packed[:2] = 0
    packed[0, 0], packed[1, -1] = 2**31, 1
    found = functions.tally(packed)
    expected = Counter(map(tuple, packed.tolist()))
    assert expected == dict(
        zip(map(tuple, found.functions.tolist()), found.counts.tolist(), strict=True)
    )
    order = [
        (-int(c), *f)
        for f, c in zip(found.functions.tolist(), found.counts, strict=True)
    ]
    assert order == sorted(order)


def test_measures_of_known_functions():
    bits = 5
    index = np.arange(32)
    known = {
        "constant": np.ones(32, bool),
        "first bit": index >= 16,
        "parity": np.array([bin(i).count("1") % 2 for i in index]) == 1,
    }
    packed = np.array(
        [[int("".join("01"[int(b)] for b in row), 2)] for row in known.values()],
        np.uint32,
    )
    tally = functions.Tally(packed, np.array([3, 2, 1]))
    (measured,) = functions.measure([tally], bits, devices.mesh(1))
    np.testing.assert_allclose(measured.sensitivity, [0, 1 / 5, 1])
    np.testing.assert_array_equal(measured.ones, [32, 16, 16])
    np.testing.assert_array_equal(measured.weights, np.eye(6)[[0, 1, 5]])
    # 0^16 1^16 is 0, 0..01, 1..1 either way.
    np.testing.assert_allclose(measured.complexity[:2], [5, 15])
    np.testing.assert_array_equal(measured.constant, [True, False, False])


def same(one, other):
    for name, values in one.items():
        np.testing.assert_array_equal(values, other[name], err_msg=name)


class Memory(dict):
    """A store in memory."""

    save_chunk = dict.__setitem__
    load_chunk = dict.get

    def chunk_names(self):
        return sorted(self)


def test_devices_pieces_numbers_and_resumption_do_not_matter(monkeypatch):
    config = replace(SMALL, sigma_ws=(2.0,), n_networks=200)
    fewer = replace(config, n_networks=37)
    whole, store = swept(config, 4), Memory()
    monkeypatch.setitem(networks.PIECE, "cpu", 3)
    some = swept(fewer, 1)
    for number in range(len(networks.conditions(config))):
        packed, _ = networks.tables_of(config, whole, number)
        few, _ = networks.tables_of(fewer, some, number)
        np.testing.assert_array_equal(few, packed[:37])
    monkeypatch.setitem(networks.PIECE, "cpu", 6)
    same(whole, swept(config, 2, store))
    # A run that was killed: some chunks are gone.
    for name in list(store)[1::3]:
        del store[name]
    same(whole, swept(config, 2, store))


def test_summaries_are_those_of_a_list_of_all_networks(found):
    packed = np.concatenate([[row] * n for row, n in _rows(found.found[0])])
    one = found.found[0]
    row = one.summary(5)
    share = np.unique(packed, return_counts=True)[1] / 1500
    assert row["entropy_bits"] == pytest.approx(-(share * np.log2(share)).sum())
    assert row["functions"] == len(share) and row["networks"] == 1500
    ones = np.array([bin(int(v)).count("1") for v in packed])
    assert row["constant"] == pytest.approx(np.mean((ones == 0) | (ones == 32)))
    assert row["imbalance"] == pytest.approx(np.abs(2 * ones / 32 - 1).mean())
    np.testing.assert_array_equal(
        one.balance(32)["networks"], np.bincount(ones, minlength=33)
    )
    assert one.spectrum()["weight"].sum() == pytest.approx(1)
    assert row["mean_degree"] == pytest.approx(5 * row["sensitivity"])
    assert one.levels()["networks"].sum() == 1500
    assert one.ranks()["networks"][0] == one.tally.counts[0]
    listed = one.listed(10_000, 5)
    assert (listed["networks"] > 1).all()
    assert len(listed["rank"]) == (one.tally.counts > 1).sum()


def _rows(one):
    return zip(one.tally.functions[:, 0], one.tally.counts, strict=True)


def test_what_is_not_finite_is_flagged_and_left_out():
    config = replace(SMALL, n_networks=20, activations=("jax.numpy.log",))
    found = trial.evidence(config, devices.mesh(1)).found[0]
    assert found.degenerate + found.networks == 20 and found.degenerate > 10


def test_the_envelope_bounds_what_was_found_often():
    complexity = np.array([7.0, 21.0, 35.0, 49.0, 63.0])
    most = np.array([4000, 500, 60, 11, 9])
    fit = evidence.envelope(complexity, most, 10_000)
    assert fit.levels == 4 and fit.correlation < -0.99
    bound = 2 ** -(fit.slope * complexity + fit.offset) * 10_000
    assert (bound[:4] >= most[:4] * (1 - 1e-9)).all()
    assert np.isclose(bound[:4], most[:4]).any()
    assert math.isnan(evidence.envelope(complexity, most // 100 + 1, 10_000).slope)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"depths": (0,)}, "--depths: must be >= 1"),
        ({"bits": 1}, "--bits: must be >= 2"),
        ({"bits": 11}, "--bits: must be at most 10"),
        ({"sigma_ws": (-1.0,)}, "--sigma-ws: must be > 0"),
        ({"sigma_b": -1.0}, "--sigma-b: must be >= 0"),
        ({"activations": ("rleu",)}, "--activations: unknown activation"),
        ({"activations": ()}, "--activations: at least one"),
        ({"n_networks": 2**31}, "--n-networks: truth tables of"),
    ],
)
def test_bad_options_are_refused(change, message):
    with pytest.raises(UsageError, match=message):
        experiment.check(replace(Config(), **change))


def test_presets_are_accepted():
    for config in PRESETS.values():
        experiment.check(config)


def test_a_run(tmp_path):
    run = whole_runs.finished(experiment, SMALL, tmp_path / "run")
    assert len(run.read_table()["functions"]) == 2 * 2 + 2
    for name in ("functions", "complexities", "ranks", "balance", "spectra"):
        assert set(run.read_table(f"{name}.parquet")["source"]) <= {
            *("network", "perceptron", "uniform")
        }
    assert {v["outcome"] for v in run.read_verdicts()} == {"not judged"}
    for name in ("probability", "ranks", "complexities", "balance", "spectra"):
        assert (run.path / "figures" / f"{name}.png").stat().st_size > 10_000


# What the papers say, made up: counts that fall with complexity, or do not.
BITS = 7


def made_up(rng_, *, biased, zipf=True, constants=True):
    """A condition's tally and measures, without networks."""
    ranks = np.arange(1, 30_001)
    counts = np.maximum(1, (20_000 / ranks ** (1.0 if zipf else 0.3)).astype(int))
    if not biased:
        counts = np.ones(120_000, np.int64)
    size = len(counts)
    complexity = 7 + 3.5 * np.round(3 * np.log2(np.arange(1, size + 1)))
    complexity = complexity if biased else 140 + 3.5 * rng_.integers(0, 6, size)
    sensitivity = np.full(size, 0.4)
    if constants:
        sensitivity[:2] = 0
    ones = np.arange(size) % 128
    weights = np.full((size, BITS + 1), 1 / (BITS + 1))
    return (
        functions.Tally(np.zeros((size, 4), np.uint32), counts),
        functions.Measured(complexity, sensitivity, ones, weights),
    )


def story(**changes):
    """Evidence in which every claim holds, but for the changes by condition."""
    rng_ = np.random.default_rng(0)
    config = Config(sigma_ws=(1.0, 4.0))
    kinds = {
        ("network", "relu"): {"biased": True},
        ("network", "tanh", 1.0): {"biased": True},
        ("network", "tanh", 4.0): {"biased": False, "constants": False},
        ("perceptron",): {"biased": False, "constants": False},
        ("uniform",): {"biased": False, "constants": False},
    }
    found = []
    for condition in networks.conditions(config):
        words = (condition.source, condition.activation, condition.sigma_w)
        (kind,) = (v for k, v in kinds.items() if k == words[: len(k)])
        kind = kind | changes.get(condition.activation or condition.source, {})
        if condition.depth == 10:
            kind = kind | changes.get(f"deep {condition.activation}", {})
        found.append(evidence.Found(condition, *made_up(rng_, **kind), 0))
    return evidence.Evidence(found, config)


def outcomes(evidence_):
    return {v["id"]: v["outcome"] for v in published.judge(evidence_)}


def perceptrons(found):
    """Half of them with as many ones as zeros."""
    for one in found.found:
        if one.condition.source == "perceptron":
            one.measured.ones[::2] = 64
    return found


def repeated(found):
    """A uniform function that came up twice."""
    for one in found.found:
        if one.condition.source == "uniform":
            one.tally.counts[0] = 2
    return found


BREAKS = {
    "bias-relu": lambda: story(relu={"biased": False}),
    "bias-tanh-ordered": lambda: story(tanh={"biased": False}),
    "orders-of-magnitude": lambda: story(relu={"biased": False}),
    "zipf": lambda: story(relu={"zipf": False}),
    "constants-first": lambda: story(relu={"constants": False}),
    "chaos-weakens": lambda: story(tanh={"biased": False}),
    "chaos-random": lambda: story(**{"deep tanh": {"biased": True}}),
    "relu-always": lambda: story(**{"deep relu": {"biased": False}}),
    "random-never-repeat": lambda: repeated(story()),
    "perceptron-uniform": lambda: perceptrons(story()),
}


def test_a_story_in_which_all_is_as_published():
    assert set(outcomes(story()).values()) == {"reproduced"}


@pytest.mark.parametrize("entry", BREAKS)
def test_every_entry_can_fail(entry):
    found = outcomes(BREAKS[entry]())
    assert found[entry] == "not reproduced"
    assert set(BREAKS) == set(found)
