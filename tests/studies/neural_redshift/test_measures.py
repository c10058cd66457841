"""The measures experiment: rows against single probes, agreement, theory, the run."""

from dataclasses import replace
from functools import partial

import jax
import numpy as np
import pytest
import whole_runs
from scipy import stats

from jaxbias import devices, rng, sweeps
from jaxbias.cli import plain
from jaxbias.ledger import MissingError
from jaxbias.models.mlp import MLP
from jaxbias.models.priors import Prior, draw, scale
from jaxbias.numerics import grids, mean_field
from jaxbias.numerics.activations import resolve
from jaxbias.probes import complexity as probes
from jaxbias.probes import simplicity
from jaxbias.runs import RunDirectory, UsageError
from jaxbias.studies.neural_redshift.measures import (
    agreement,
    experiment,
    ledger,
    networks,
)
from jaxbias.studies.neural_redshift.measures.config import PRESETS, Config

SMALL = Config(
    activations=("relu", "tanh"),
    variants=("plain",),
    weight_scales=(1.0, 4.0),
    depths=(3,),
    width=16,
    n_networks=4,
    measures=("fourier", "dct", "lz76"),
    resolution=16,
    points=16,
    repeats=2,
    paths=8,
    path_steps=8,
    lanczos_steps=6,
    score_variants=("plain",),
    score_networks=2,
    score_resolution=16,
    score_dimension=3,
    score_depth=2,
    resamples=50,
)


def swept(config, num_devices=None, store=None):
    mesh = devices.mesh(num_devices)
    blocks = networks.blocks(config, jax.random.key(config.seed), mesh)
    return sweeps.sweep(blocks, mesh, store=store)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A whole run through the experiment's own door."""
    path = tmp_path_factory.mktemp("measures") / "run"
    return whole_runs.finished(experiment, SMALL, path)


def opened(path):
    return RunDirectory.open(
        path, study="neural_redshift", experiment="measures", config=plain(SMALL)
    )


def test_a_run_writes_its_tables_and_figures(run):
    table = run.read_table()
    assert len(table["network"]) == 2 * 2 * 4
    pairs = run.read_table("agreement.parquet")
    assert len(pairs["first"]) == 10 * 9 // 2
    assert len(run.read_table("scores.parquet")["simplicity"]) == 4
    for name in ("agreement", "scores"):
        assert (run.path / "figures" / f"{name}.png").stat().st_size > 10_000
    # Too little for any claim.
    assert {v["outcome"] for v in run.read_verdicts()} == {"not judged"}


def test_a_row_is_what_the_probes_say_of_that_network(run):
    table = run.read_table()
    row = 2 * 4 + 4 + 2  # tanh, the second scale, network 2
    assert table["activation"][row] == "tanh" and table["network"][row] == 2
    key = jax.random.key(0)
    module = MLP(width=16, depth=3, activations=("tanh",))
    template = jax.eval_shape(module.init, jax.random.key(0), np.zeros((1, 2)))
    weights = rng.stream(key, "weights", "tanh", "plain", "depth 3")
    params = draw(jax.random.fold_in(weights, 2), template["params"], Prior())
    params = scale(params, 4.0, Prior())
    predict = lambda p, x: module.apply({"params": p}, x)[0]  # noqa: E731
    grid = grids.grid(16)
    values = predict(params, grid.reshape(-1, 2)).reshape(1, 16, 16)
    found = probes.complexity(values, measures=SMALL.measures)
    for name in SMALL.measures:
        np.testing.assert_allclose(table[name][row], found[name][0], rtol=1e-3)
    data = jax.random.uniform(rng.stream(key, "data"), (16, 2), minval=-1.0, maxval=1.0)
    probe_key = rng.stream(key, "probes")
    read = jax.jit(partial(networks.readings_of, predict, config=SMALL))
    readings = read(params, data, key=probe_key)
    for name, value in zip(networks.PROBES, readings, strict=True):
        np.testing.assert_allclose(table[name][row], value, rtol=2e-3, err_msg=name)
    point = mean_field.fixed_point(resolve("tanh"), 16.0, 1 / 3)
    np.testing.assert_allclose(table["chi"][row], point.chi, rtol=1e-3)


def test_a_score_is_that_of_the_network(run):
    scores = run.read_table("scores.parquet")
    key = jax.random.key(0)
    module = MLP(width=16, depth=2, activations=("tanh",))
    template = jax.eval_shape(module.init, jax.random.key(0), np.zeros((1, 3)))
    weights = rng.stream(key, "score", "tanh", "plain")
    params = draw(jax.random.fold_in(weights, 1), template["params"], Prior())
    plane = simplicity.plane(rng.stream(key, "plane"), 3, resolution=16)
    values = module.apply({"params": params}, plane.reshape(-1, 3))[0]
    expected = simplicity.simplicity(values.reshape(16, 16))
    np.testing.assert_allclose(scores["simplicity"][3], expected.value, rtol=1e-3)


@pytest.mark.slow
def test_devices_and_interruptions_do_not_matter(run, tmp_path):
    whole = run.read_table()
    with opened(tmp_path / "run") as store:
        swept(SMALL, 1, store)
        names = store.chunk_names()
        assert len(names) > 2
        for name in names[::2]:
            (store.path / "chunks" / f"{name}.npz").unlink()
        again = swept(SMALL, None, store)
    columns, scores = networks.tables(SMALL, again)
    for name in (*SMALL.measures, *networks.PROBES):
        np.testing.assert_allclose(columns[name], whole[name], rtol=1e-6, err_msg=name)
    stored = run.read_table("scores.parquet")["simplicity"]
    np.testing.assert_array_equal(scores["simplicity"], stored)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"activations": ("rely",)}, "--activations"),
        ({"variants": ("plane",)}, "--variants"),
        ({"score_variants": ("plane",)}, "--score-variants"),
        ({"measures": ("dct",)}, "--measures: two or more"),
        ({"measures": ("dct", "entropy")}, "--measures: unknown"),
        ({"noise": 0.0}, "--noise"),
        ({"points": 1}, "--points: must be >= 2"),
        ({"score_dimension": 1}, "--score-dimension: must be >= 2"),
        ({"weight_scales": (-1.0,)}, "--weight-scales"),
        ({"depths": ()}, "--depths"),
        ({"lanczos_steps": 0}, "--lanczos-steps"),
    ],
)
def test_bad_options_are_refused(change, message):
    with pytest.raises(UsageError, match=message):
        experiment.check(replace(SMALL, **change))


def test_presets_are_usable():
    for config in PRESETS.values():
        experiment.check(config)


# A table in which every claim holds, to be broken claim by claim.

CONFIG = Config(
    activations=("relu", "gelu", "tanh", "sine"),
    variants=("plain", "layer_norm_residual"),
    weight_scales=(0.5, 1.0, 2.0, 4.0),
    depths=(3, 6),
    n_networks=6,
    measures=("fourier", "dct"),
    score_variants=("plain", "layer_norm_residual"),
    score_networks=8,
    resamples=50,
)


def invented():
    generator = np.random.default_rng(0)
    rows = {}
    for a, activation in enumerate(CONFIG.activations):
        bounded = activation in ("tanh", "sine")
        for variant in CONFIG.variants:
            for weight_scale in CONFIG.weight_scales:
                chaos = weight_scale >= 2 and variant == "plain"
                for depth in CONFIG.depths:
                    for network in range(CONFIG.n_networks):
                        dct = 0.02 + 0.004 * a + 0.002 * (variant == "plain")
                        if chaos and bounded:
                            dct = {3: 0.1, 6: 0.3 + 0.04 * weight_scale}[depth]
                        row = {
                            "activation": activation,
                            "variant": variant,
                            "depth": depth,
                            "weight_scale": weight_scale,
                            "network": network,
                            "dct": dct + 1e-4 * generator.normal(),
                            "chi": weight_scale**2 / 2
                            if variant == "plain"
                            else np.nan,
                            "slope": weight_scale**2 / 2 if bounded else 1.0,
                            "fixed_point": bounded or weight_scale < 1.5,
                            "degenerate": False,
                        }
                        for name, value in row.items():
                            rows.setdefault(name, []).append(value)
    columns = {name: np.asarray(values) for name, values in rows.items()}
    dct = columns["dct"]
    columns |= {
        "fourier": 0.15 + dct,
        "path_variation": 60 * dct,
        "jacobian": 10 ** (20 * dct),
        "walsh_degree": 1 + 5 * dct,
        "noise_sensitivity": np.where(
            dct > 0.3, 1 + 0.01 * generator.normal(size=len(dct)), 3 * dct
        ),
        "flip_share": dct,
        "sharpness": 10 ** generator.normal(size=len(dct)),
    }
    scores = {"activation": [], "variant": [], "network": [], "simplicity": []}
    for a, activation in enumerate(CONFIG.activations):
        for variant in CONFIG.score_variants:
            for network in range(8):
                value = 0.02 - 0.002 * a - 0.001 * (variant == "plain")
                scores["activation"].append(activation)
                scores["variant"].append(variant)
                scores["network"].append(network)
                scores["simplicity"].append(value + 1e-5 * generator.normal())
    scores = {name: np.asarray(values) for name, values in scores.items()}
    return columns, scores


def outcomes(columns, scores, config=CONFIG):
    evidence = agreement.Evidence(columns, scores, config)
    return {v["id"]: v["outcome"] for v in ledger.judge(evidence)}


def spoiled(name, change, columns, scores):
    return columns | {name: change(columns)}, scores


def shuffled(name, columns):
    return np.random.default_rng(1).permutation(columns[name])


def lower_blocks(columns, scores):
    block = scores["variant"] != "plain"
    return columns, scores | {"simplicity": scores["simplicity"] - 0.01 * block}


def upside_down(columns, scores):
    return columns, scores | {"simplicity": 0.05 - scores["simplicity"]}


BREAKS = {
    "variation-follows-fourier": partial(
        *(spoiled, "fourier", partial(shuffled, "fourier"))
    ),
    "functions-agree": partial(*(spoiled, "jacobian", partial(shuffled, "jacobian"))),
    "bits-agree": partial(
        *(spoiled, "walsh_degree", partial(shuffled, "walsh_degree"))
    ),
    "weights-do-not-follow": partial(*(spoiled, "sharpness", lambda c: c["dct"])),
    "noise-saturates": partial(
        *(spoiled, "noise_sensitivity", lambda c: c["dct"] ** 2)
    ),
    # Ordered cells are those of small chi: turned round.
    "chi-separates": partial(*(spoiled, "chi", lambda c: 1 / c["chi"])),
    "chi-alone-does-not": partial(
        *(
            spoiled,
            "dct",
            lambda c: (
                c["dct"] + 0.1 * ((c["activation"] == "relu") & (c["depth"] == 6))
            ),
        )
    ),
    "simba-blocks": lower_blocks,
    "simba-follows": upside_down,
}


def test_claims_that_hold_are_reproduced():
    found = outcomes(*invented())
    assert set(found) == set(BREAKS)
    assert set(found.values()) == {"reproduced"}, found


@pytest.mark.parametrize("entry", BREAKS)
def test_every_entry_can_fail(entry):
    assert outcomes(*BREAKS[entry](*invented()))[entry] == "not reproduced"


def test_correlations_are_scipy_s_without_degenerate_networks():
    columns, scores = invented()
    columns["degenerate"] = np.arange(len(columns["dct"])) % 7 == 0
    columns["jacobian"][columns["degenerate"]] = 1e30
    evidence = agreement.Evidence(columns, scores, CONFIG)
    kept = ~columns["degenerate"]
    x, y = columns["dct"][kept], columns["sharpness"][kept]
    rank = evidence.correlation("dct", "sharpness", ranks=True)
    assert rank.value == pytest.approx(stats.spearmanr(x, y)[0])
    assert rank.low < rank.value < rank.high
    line = evidence.correlation("sharpness", "dct", ranks=False)
    assert line.value == pytest.approx(stats.pearsonr(x, np.log10(y))[0])
    # Theory knows plain networks alone.
    assert (
        evidence.both("chi", "dct").sum()
        == (kept & (columns["variant"] == "plain")).sum()
    )
    matrix = evidence.matrix(ranks=True)
    np.testing.assert_array_equal(matrix, matrix.T)
    pairs = agreement.table(evidence)
    at = (pairs["first"] == "dct") & (pairs["second"] == "sharpness")
    assert pairs["spearman"][at] == rank.value
    with pytest.raises(MissingError, match="not measured"):
        evidence.values("lz76")


def test_who_disagrees_is_found_and_named():
    columns, scores = invented()
    row = 17
    columns["path_variation"][row] = 1e9 * (1 + columns["dct"][row])
    columns["dct"][row] = -1.0
    evidence = agreement.Evidence(columns, scores, CONFIG)
    found = agreement.disagreements(evidence, "path_variation", "dct", 4)
    assert found[0] == row
    assert evidence.name_of(row) in ("relu, depth 6, scale 1", "relu, depth 3, scale 1")
    assert len({evidence.name_of(i) for i in found[:2]}) == 2
    worst = agreement.worst_pairs(evidence, 2)
    assert all("sharpness" in pair for pair in worst)
    order = agreement.clustered(evidence)
    assert sorted(order) == list(range(len(evidence.names)))
