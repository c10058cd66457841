"""The zero-mean experiment: shifts, networks, correlations, the ledger, the run."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import whole_runs
from scipy import integrate, stats

from jaxbias import devices, rng, sweeps
from jaxbias.cli import plain
from jaxbias.models.mlp import MLP
from jaxbias.models.priors import Prior, draw
from jaxbias.numerics import grids
from jaxbias.numerics.activations import ACTIVATIONS, resolve
from jaxbias.probes import complexity as probes
from jaxbias.runs import RunDirectory, UsageError
from jaxbias.studies.neural_redshift.zero_mean import (
    correlations,
    experiment,
    ledger,
    shifted,
)
from jaxbias.studies.neural_redshift.zero_mean.config import PRESETS, Config

SMALL = Config(
    activations=("relu", "tanh"),
    means=(0.0, 1.0),
    variants=("plain",),
    bias_ranges=(0.0, 0.5),
    weight_scales=(2.0,),
    depths=(2, 3),
    width=12,
    n_networks=3,
    measures=("dct", "lz76"),
    resolution=12,
    correlation_depths=(1, 3),
    correlation_networks=30,
)


def opened(path):
    return RunDirectory.open(
        path, study="neural_redshift", experiment="zero-mean", config=plain(SMALL)
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("zero_mean") / "run"
    return whole_runs.finished(experiment, SMALL, path)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_moments_are_the_integrals(name):
    activation = resolve(name)

    def integral(power):
        def f(z):
            return float(activation(jnp.float32(z))) ** power * stats.norm.pdf(z)

        pieces = [
            integrate.quad(f, *ends, epsabs=1e-6)[0] for ends in ((-8, 0), (0, 8))
        ]
        return sum(pieces)

    found = shifted.moments(name)
    assert found.mean == pytest.approx(integral(1), abs=5e-5)
    assert found.sd == pytest.approx(np.sqrt(integral(2) - integral(1) ** 2), abs=1e-4)


def test_shifts_leave_the_means_asked_for():
    config = replace(SMALL, means=(-0.5, 0.0, 2.0))
    for name in ("relu", "tanh", "selu"):
        mean, sd = shifted.moments(name)
        as_is, *others = shifted.shifts(config, name)
        assert (as_is.constant, as_is.mean) == (0, mean / sd)
        for shift, wanted in zip(others, config.means, strict=True):
            assert (mean - shift.constant) / sd == pytest.approx(wanted, abs=1e-6)
    # Mean 0 by symmetry, and by design: exactly, so that no shift is one.
    for name in ("tanh", "sine", "selu"):
        assert shifted.moments(name).mean == 0
        assert shifted.shifts(config, name)[2].constant == 0


def test_a_row_is_that_network(run):
    table = run.read_table()
    row = np.flatnonzero(
        (table["activation"] == "relu")
        & (table["setting"] == "shifted")
        & (table["mean"] == 1)
        & (table["bias_range"] == 0.5)
        & (table["depth"] == 2)
        & (table["network"] == 1)
    )
    assert len(row) == 1
    constant = table["shift"][row][0]
    phi = lambda x: jax.nn.relu(x) - jnp.float32(constant)  # noqa: E731
    deep = MLP(width=12, depth=3)
    template = jax.eval_shape(deep.init, jax.random.key(0), np.zeros((1, 2)))["params"]
    key = rng.stream(jax.random.key(0), "weights", "grid", "relu")
    params = draw(jax.random.fold_in(key, 1), template, Prior())
    params = {k: v * (0.5 if k.endswith("bias") else 2.0) for k, v in params.items()}
    params |= {k: v[:1] for k, v in params.items() if k.startswith("hidden")}
    module = MLP(width=12, depth=2, activations=(phi,))
    values = module.apply({"params": params}, grids.grid(12).reshape(-1, 2))[0]
    found = probes.complexity(values.reshape(1, 12, 12), measures=SMALL.measures)
    for name in SMALL.measures:
        np.testing.assert_allclose(table[name][row], found[name], rtol=1e-3)


def test_odd_activations_are_the_same_numbers(run):
    table = run.read_table()
    tanh = table["activation"] == "tanh"
    pair = [
        table["dct"][tanh & (table["setting"] == setting) & (table["mean"] == 0)]
        for setting in ("as_is", "shifted")
    ]
    assert len(pair[0]) == 2 * 2 * 3
    np.testing.assert_array_equal(*pair)


def test_a_run_writes_its_tables_and_figures(run):
    table = run.read_table()
    assert len(table["dct"]) == 2 * 2 * 3 * 2 * 3
    found = run.read_table("correlations.parquet")
    assert len(found["angle"]) == 2 * 2 * 2 * 2 * 4
    for name in ("shifts", "correlation"):
        assert (run.path / "figures" / f"{name}.png").stat().st_size > 10_000
    assert {v["outcome"] for v in run.read_verdicts()} == {"not judged"}


def test_devices_and_interruptions_do_not_matter(run, tmp_path):
    with opened(tmp_path / "run") as store:
        key = jax.random.key(0)
        sweeps.sweep(
            shifted.blocks(SMALL, key, devices.mesh(1)), devices.mesh(1), store=store
        )
        for name in store.chunk_names()[::2]:
            (store.path / "chunks" / f"{name}.npz").unlink()
        mesh = devices.mesh()
        again = sweeps.sweep(shifted.blocks(SMALL, key, mesh), mesh, store=store)
    for columns, file in (
        (shifted.table(SMALL, again), "results.parquet"),
        (correlations.table(SMALL, again), "correlations.parquet"),
    ):
        stored = run.read_table(file)
        assert list(stored) == list(columns)
        for name, values in columns.items():
            np.testing.assert_array_equal(values, stored[name], err_msg=name)


def test_correlations_are_numpy_s():
    generator = np.random.default_rng(0)
    angle = 2 * np.pi * np.arange(8) / 8
    mixed = generator.normal(size=(4000, 2)) @ np.stack([np.cos(angle), np.sin(angle)])
    outputs = np.concatenate([mixed, np.full((1, 8), np.nan)]).astype(np.float32)
    values, errors = correlations.measured(outputs)
    # A random linear function: the cosine of the angle between inputs.
    np.testing.assert_allclose(values, np.cos(angle[1:5]), atol=0.05)
    several = [
        correlations.measured(
            generator.normal(size=(4000, 2)) @ np.stack([np.cos(angle), np.sin(angle)])
        )[0]
        for _ in range(30)
    ]
    np.testing.assert_allclose(
        errors[:3], np.std(several, axis=0)[:3], rtol=0.6, atol=1e-3
    )
    assert np.isnan(correlations.measured(np.zeros((5, 8)))[0]).all()


def test_predictions_are_the_arc_cosine_kernel():
    """Cho and Saul 2009: ReLU's correlation map in closed form, layer after layer."""
    config = replace(
        SMALL, variants=("plain", "layer_norm"), correlation_depths=(1, 2, 5)
    )
    found = correlations.predicted(config)

    def deeper(c):
        angle = np.arccos(c)
        return (np.sin(angle) + (np.pi - angle) * c) / np.pi

    expected = np.cos(2 * np.pi * np.asarray(correlations.STEPS) / 8)
    for depth in range(1, 6):
        expected = deeper(np.clip(expected, -1, 1))
        if depth in config.correlation_depths:
            at = config.correlation_depths.index(depth)
            for variant in (0, 1):
                # ReLU as it is, without biases: the same with layer norm.
                np.testing.assert_allclose(
                    found[variant, 0, 0, 0, at], expected, atol=5e-3
                )
    # Zero mean with layer norm: a right angle stays one.
    np.testing.assert_allclose(found[1, :, 1, 0, :, 1], 0, atol=5e-3)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"activations": ("rely",)}, "--activations"),
        ({"variants": ("plane",)}, "--variants"),
        ({"means": (1.0,)}, "--means: 0 must be among them"),
        ({"means": (0.0, float("nan"))}, "--means"),
        ({"bias_ranges": (-1.0,)}, "--bias-ranges: must be >= 0"),
        ({"measures": ("entropy",)}, "--measures: unknown"),
        ({"correlation_networks": 1}, "--correlation-networks"),
        ({"weight_scales": (0.0,)}, "--weight-scales"),
    ],
)
def test_bad_options_are_refused(change, message):
    with pytest.raises(UsageError, match=message):
        experiment.check(replace(SMALL, **change))


def test_presets_are_usable():
    for config in PRESETS.values():
        experiment.check(replace(config, activations=("relu",)))


# Tables in which every claim holds, to be broken claim by claim.

CONFIG = replace(
    PRESETS["quick"], depths=(1, 6), n_networks=6, measures=("dct",), resolution=16
)


def invented():
    generator = np.random.default_rng(0)
    parts = []
    for cell in shifted.cells(CONFIG):
        rows = shifted.rows_of(CONFIG, cell.activation)
        count = len(rows["network"])
        parts.append({k: np.repeat(v, count) for k, v in cell._asdict().items()} | rows)
    columns = {k: np.concatenate([p[k] for p in parts]) for k in parts[0]}
    # The same noise for the same draw, whatever the shift.
    noise = generator.normal(size=100)[columns["network"]]
    away = np.minimum(np.abs(columns["mean"]), 2) * (1 + 0.02 * noise)
    columns["dct"] = 0.3 - 0.05 * away + 0.001 * noise
    columns["degenerate"] = np.zeros(len(columns["dct"]), bool)
    rows = {}
    for cell in shifted.correlation_cells(CONFIG):
        for setting in ("as_is", "zero_mean"):
            for bias_range in CONFIG.bias_ranges:
                for angle in (45.0, 90.0):
                    zero = setting == "zero_mean" or cell.activation in ("tanh", "sine")
                    value = 0.0 if zero else 0.7
                    row = {
                        **cell._asdict(),
                        "setting": setting,
                        "bias_range": bias_range,
                        "angle": angle,
                        "correlation": value + 0.02 * generator.normal(),
                        "correlation_se": 0.02,
                        "predicted": value,
                    }
                    for name, one in row.items():
                        rows.setdefault(name, []).append(one)
    return columns, {name: np.asarray(values) for name, values in rows.items()}


def outcomes(columns, rows, config=CONFIG):
    evidence = ledger.Evidence(columns, rows, config)
    return {v["id"]: v["outcome"] for v in ledger.judge(evidence)}


def higher(columns, rows, *, where):
    return columns | {"dct": columns["dct"] + 0.2 * where(columns)}, rows


def unshifted(name):
    return lambda c: (c["activation"] == name) & (c["setting"] == "as_is")


def correlated(columns, rows, **change):
    return columns, rows | {k: f(rows) for k, f in change.items()}


BREAKS = {
    f"{where}-{name}": partial(higher, where=unshifted(name))
    for where in ("theory", "study")
    for name in ledger.OF_ANOTHER_MEAN
} | {
    "odd-unchanged": partial(higher, where=unshifted("sine")),
    "theory-tanh-away": partial(higher, where=lambda c: c["mean"] == 1),
    "study-tanh-away": partial(higher, where=lambda c: c["mean"] == -1),
    "peak-at-zero": partial(higher, where=lambda c: c["mean"] == 0.5),
    "selu-like-odd": partial(higher, where=unshifted("relu")),
    "outputs-decorrelate": partial(
        correlated, correlation=lambda r: r["correlation"] + 0.4
    ),
    "outputs-as-predicted": partial(
        correlated, predicted=lambda r: r["predicted"] + 0.2
    ),
}


def test_claims_that_hold_are_reproduced():
    found = outcomes(*invented())
    assert set(found) == set(BREAKS)
    assert set(found.values()) == {"reproduced"}, found


@pytest.mark.parametrize("entry", BREAKS)
def test_every_entry_can_fail(entry):
    assert outcomes(*BREAKS[entry](*invented()))[entry] == "not reproduced"


def test_independence_of_relu_itself_breaks_the_only_if():
    columns, rows = invented()
    asis = rows["setting"] == "as_is"
    rows["correlation"] = np.where(asis, 0.1, rows["correlation"])
    assert outcomes(columns, rows)["outputs-decorrelate"] == "not reproduced"


def test_degenerate_networks_do_not_count():
    columns, rows = invented()
    columns["degenerate"] = columns["activation"] == "relu"
    found = outcomes(columns, rows)
    assert found["theory-relu"] == "not judged"
    assert found["theory-gelu"] == "reproduced"


def test_a_difference_is_the_paired_interval_of_scipy():
    columns, rows = invented()
    evidence = ledger.Evidence(columns, rows, CONFIG)
    found = evidence.difference("relu", *ledger.THEORY, 0.0, None)
    pair = [
        evidence.values("relu", *ledger.THEORY, mean=mean).mean(axis=1)
        for mean in (0.0, None)
    ]
    interval = stats.ttest_rel(*pair).confidence_interval()
    np.testing.assert_allclose([found.low, found.high], interval, rtol=1e-6)
