"""Random networks: which are drawn, that they are measured, and what stays the same."""

import json
from dataclasses import asdict, replace
from functools import partial

import jax
import matplotlib.image
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import whole_runs

from jaxbias import devices, rng, sweeps
from jaxbias.cli import plain
from jaxbias.models.mlp import MLP, VARIANTS
from jaxbias.models.priors import PRIORS, draw
from jaxbias.numerics import grids
from jaxbias.probes.complexity import MEASURES
from jaxbias.runs import UsageError
from jaxbias.studies.neural_redshift.random_networks import cells, published
from jaxbias.studies.neural_redshift.random_networks import experiment as study
from jaxbias.studies.neural_redshift.random_networks.config import PARTS

SMALL = dict(
    activations=("relu", "tanh"),
    depths=(1, 2),
    curve_depth=2,
    control_depth=2,
    width=8,
    widths=(4, 8),
    resolution=16,
    resolutions=(8, 16),
    n_networks=3,
)
PAPER = replace(
    study.PRESETS["paper"]["smoke"],
    **SMALL,
    weight_scales=(1.0, 4.0),
    priors=("glorot_uniform", "glorot_ball"),
    bias_ranges=(0.25, 1.0),
    measures=("fourier", "chebyshev", "lz76"),
)
AUTHOR = replace(
    study.PRESETS["author_code"]["smoke"],
    **SMALL,
    weight_scales=(0.7197, 5.1795),
    parts=("heatmaps", "samples"),
)
HEATMAPS = replace(PAPER, parts=("heatmaps",))

LABELS = {
    "activation": pa.string(),
    "variant": pa.string(),
    "prior": pa.string(),
    "bias_range": pa.float64(),
    "depth": pa.int64(),
    "width": pa.int64(),
    "weight_scale": pa.float64(),
    "resolution": pa.int64(),
    "network": pa.int64(),
}
COLUMNS = LABELS | {"degenerate": pa.bool_(), "degenerate_reason": pa.string()}
COLUMNS |= {name: pa.float32() for name in MEASURES}


finished = partial(whole_runs.finished, study)


def measured(config, num_devices=None):
    """The table alone, by label: no figures, no files."""
    study.check(config)
    mesh = devices.mesh(num_devices)
    blocks, labels = cells.plan(config, jax.random.key(config.seed), mesh)
    found = sweeps.sweep(blocks, mesh, together=cells.together(config))
    return cells.table(labels, found)


def by_label(table):
    """Rows as a dictionary from labels to measures, bit for bit."""
    keys = zip(*(table[name].tolist() for name in LABELS), strict=True)
    values = np.stack([table[name] for name in MEASURES], axis=1).view(np.uint32)
    return dict(zip(keys, map(tuple, values.tolist()), strict=True))


@pytest.fixture(scope="module")
def paper(tmp_path_factory):
    return finished(PAPER, tmp_path_factory.mktemp("runs") / "paper")


@pytest.fixture(scope="module")
def author(tmp_path_factory):
    return finished(AUTHOR, tmp_path_factory.mktemp("runs") / "author")


@pytest.fixture(scope="module")
def base():
    return by_label(measured(HEATMAPS))


def expected_labels(config):
    """Every network of a run, written out part by part."""
    found = set()

    def add(activation, variant="plain", prior=config.prior, bias=1.0, **sizes):
        sizes = {"width": config.width, "resolution": config.resolution} | sizes
        scales = sizes.pop("scales", config.control_scales)
        for scale in scales:
            for network in range(config.n_networks):
                row = (activation, variant, prior, bias, sizes["depth"])
                row += (sizes["width"], scale, sizes["resolution"], network)
                found.add(row)

    for activation in config.activations:
        if "heatmaps" in config.parts:
            for depth in config.depths:
                add(activation, depth=depth, scales=config.weight_scales)
        if "curves" in config.parts:
            for variant in config.variants:
                scales = {"scales": config.weight_scales, "depth": config.curve_depth}
                add(activation, variant, **scales)
    for activation in config.controls:
        depth = {"depth": config.control_depth}
        if "width" in config.parts:
            for width in config.widths:
                add(activation, width=width, **depth)
        if "prior" in config.parts:
            for prior in config.priors:
                add(activation, prior=prior, **depth)
        if "bias" in config.parts:
            for bias in config.bias_ranges:
                add(activation, bias=bias, **depth)
        if "resolution" in config.parts:
            for resolution in config.resolutions:
                add(activation, resolution=resolution, **depth)
    if "unbiased" in config.parts:
        # Half of all whole-number frequencies up to 8 but 0: (17 x 17 - 1) / 2.
        add("sine", "unbiased", depth=1, width=144)
    return found


# End to end


@pytest.mark.parametrize("name", ["paper", "author"])
def test_a_run_has_one_row_a_network(name, request):
    run = request.getfixturevalue(name)
    config = {"paper": PAPER, "author": AUTHOR}[name]
    table = run.read_table()
    rows = list(zip(*(table[label].tolist() for label in LABELS), strict=True))
    assert len(set(rows)) == len(rows)
    assert set(rows) == expected_labels(config)


@pytest.mark.parametrize("name", ["paper", "author"])
def test_columns_have_their_names_and_types(name, request):
    run = request.getfixturevalue(name)
    schema = pq.read_schema(run.path / "results.parquet")
    assert dict(zip(schema.names, schema.types, strict=True)) == COLUMNS
    assert schema.names == list(COLUMNS)
    header = (run.path / "results.csv").read_text().splitlines()[0]
    assert header.split(",") == list(COLUMNS)


def test_measures_that_were_not_taken_are_nan(paper, author):
    table = paper.read_table()
    for name in MEASURES:
        if name in PAPER.measures:
            assert np.isfinite(table[name]).all()
        else:
            assert np.isnan(table[name]).all()
    table = author.read_table()
    assert all(np.isfinite(table[name]).all() for name in MEASURES)
    assert not table["degenerate"].any() and set(table["degenerate_reason"]) == {""}


def test_figures_are_pictures_of_what_was_run(paper, author):
    for run, names in (
        (paper, ["agreement", "controls", "curves", "samples"]),
        (author, ["agreement", "samples"]),
    ):
        measures = run.manifest["config"]["measures"]
        names = sorted([*names, *(f"heatmaps_{measure}" for measure in measures)])
        figures = sorted((run.path / "figures").iterdir())
        assert [figure.name for figure in figures] == [f"{n}.png" for n in names]
        for figure in figures:
            picture = matplotlib.image.imread(figure, format="png")
            assert min(picture.shape[:2]) > 100 and picture.std() > 0.01


def test_verdicts_are_one_an_entry(paper, author):
    for run in (paper, author):
        rows = json.loads((run.path / "verdicts.json").read_text())
        assert [row["id"] for row in rows] == [e.id for e in published.ENTRIES]
        judged = {row["id"] for row in rows if row["outcome"] != "not judged"}
        # Three networks a cell say nothing; the readings of the measure do.
        assert judged == {"plane-reading", "noise-reading"}
        assert {r["outcome"] for r in rows if r["id"] in judged} == {"reproduced"}


def test_only_what_belongs_to_a_finished_run_is_left(paper):
    names = {path.name for path in paper.path.iterdir()}
    tables = {f"{t}.{kind}" for t in ("results",) for kind in ("parquet", "csv")}
    tables |= {"samples.parquet"} | ({"samples.csv"} & names)
    assert names == tables | {"manifest.json", "verdicts.json", "figures"}


def test_samples_are_the_networks_of_the_table(paper):
    found = paper.read_table("samples.parquet")
    table = paper.read_table()
    pixels = PAPER.resolution**2
    assert len(found["value"]) == 2 * 2 * pixels
    place = 0
    for activation in PAPER.activations:
        for scale in PAPER.weight_scales:
            rows = slice(place, place := place + pixels)
            assert set(found["activation"][rows]) == {activation}
            assert set(found["weight_scale"][rows]) == {scale}
            image = np.full((PAPER.resolution,) * 2, np.nan)
            image[found["row"][rows], found["column"][rows]] = found["value"][rows]
            row = {"activation": activation, "variant": "plain", "depth": 2}
            row |= {"weight_scale": scale, "network": 0, "resolution": 16, "width": 8}
            row |= {"prior": "glorot_uniform", "bias_range": 1.0}
            np.testing.assert_allclose(
                numpy_fourier(image), only(table, row)["fourier"], rtol=2e-4
            )


def test_every_preset_can_be_run():
    for presets in study.PRESETS.values():
        for config in presets.values():
            study.check(config)
            assert len(cells.cells(config)) > 20


def test_presets_carry_the_published_settings():
    for name, presets in study.PRESETS.items():
        for config in presets.values():
            assert config.setting == name and config.width == 64 and config.seed == 0
    paper, author = (
        study.PRESETS["paper"]["quick"],
        study.PRESETS["author_code"]["quick"],
    )
    assert (paper.prior, paper.resolution) == ("glorot_uniform", 64)
    assert (author.prior, author.resolution) == ("uniform", 300)
    assert (paper.fourier_binning, author.fourier_binning) == ("radial", "author")
    assert author.weight_scales[0] == 0.1 and author.weight_scales[-1] == 100
    assert len(author.weight_scales) == 15
    # exp(-x^2) is a Gaussian of this width.
    assert 2 * author.gaussian_width**2 == pytest.approx(1, abs=1e-6)


# The networks are those that their labels say


def numpy_fourier(values):
    """Mean frequency, weighted by amplitude, over that of the grid's corner."""
    values = np.asarray(values, np.float64)
    axes = [np.fft.fftfreq(n) for n in values.shape]
    radius = np.sqrt(sum(f**2 for f in np.meshgrid(*axes, indexing="ij")))
    amplitude = np.abs(np.fft.fftn(values)) * (radius > 0)
    return (amplitude * radius).sum() / amplitude.sum() / (0.5 * values.ndim**0.5)


def numpy_network(x, activation, row, seed=0, function=np.tanh):
    """A network's values in float64, from its labels and the library's draw alone."""
    depth, width = row["depth"], row["width"]
    words = (activation, row["variant"], f"depth {depth}", f"width {width}")
    stream = rng.stream(jax.random.key(seed), "weights", *words)
    module = MLP(width=width, depth=depth, variant=VARIANTS[row["variant"]])
    example = jax.ShapeDtypeStruct((1, x.shape[-1]), np.float32)
    template = jax.eval_shape(module.init, jax.random.key(0), example)["params"]
    prior = replace(PRIORS[row["prior"]], bias_range=row["bias_range"])
    drawn = draw(jax.random.fold_in(stream, row["network"]), template, prior)
    p = {name: np.asarray(leaf, np.float64) for name, leaf in drawn.items()}
    biases = row["weight_scale"] if prior.bias_scale == "with_weights" else 1.0
    for name in p:
        p[name] *= biases if name.endswith("bias") else row["weight_scale"]
    for layer in range(depth):
        kind, index = ("input", ...) if layer == 0 else ("hidden", layer - 1)
        w = {name: p[f"{kind}_{name}"][index] for name in ("kernel", "bias")}
        z = inner = x @ w["kernel"] + w["bias"]
        if row["variant"] == "layer_norm":
            centred = z - z.mean(-1, keepdims=True)
            inner = centred / np.sqrt((centred**2).mean(-1, keepdims=True))
        out = function(inner)
        if row["variant"] == "residual":
            out = out + z
        if row["variant"] == "gated":
            gate = x @ p[f"{kind}_gate_kernel"][index] + p[f"{kind}_gate_bias"][index]
            out = out / (1 + np.exp(-gate))
        x = out
    return (x @ p["output_kernel"])[..., 0] + p["output_bias"][0]


def only(table, labels):
    """The one row with the given labels."""
    chosen = np.ones(len(table["network"]), bool)
    for name, value in labels.items():
        chosen &= table[name] == value
    (row,) = np.flatnonzero(chosen)
    return {name: values[row].item() for name, values in table.items()}


FUNCTIONS = {"relu": lambda x: np.maximum(x, 0), "tanh": np.tanh}
USUAL = {"variant": "plain", "prior": "glorot_uniform", "bias_range": 1.0, "depth": 2}
USUAL |= {"width": 8, "resolution": 16, "weight_scale": 4.0, "network": 1}


@pytest.mark.parametrize(
    ("activation", "change"),
    [
        ("tanh", {}),
        ("tanh", {"depth": 1, "weight_scale": 1.0, "network": 2}),
        ("relu", {"variant": "gated"}),
        ("relu", {"variant": "residual", "network": 0}),
        ("tanh", {"variant": "layer_norm"}),
        ("tanh", {"width": 4}),
        ("relu", {"bias_range": 0.25}),
        ("tanh", {"prior": "glorot_ball", "weight_scale": 1.0}),
        ("relu", {"resolution": 8}),
    ],
)
def test_a_row_is_the_network_that_its_labels_say(paper, activation, change):
    row = only(paper.read_table(), USUAL | {"activation": activation} | change)
    x = np.asarray(grids.grid(row["resolution"]), np.float64)
    values = numpy_network(x, activation, row, function=FUNCTIONS[activation])
    assert row["fourier"] == pytest.approx(numpy_fourier(values), rel=2e-4)


def test_a_row_of_the_authors_setting_scales_its_biases_too(author):
    labels = {"activation": "tanh", "depth": 2, "weight_scale": 5.1795, "network": 1}
    row = only(author.read_table(), labels)
    assert (row["prior"], row["variant"]) == ("uniform", "plain")
    values = numpy_network(np.asarray(grids.grid(16), np.float64), "tanh", row)
    frequency = np.arange(9)
    quadrant = np.abs(np.fft.fft2(values))[:9, :9]
    quadrant[0, 0] = 0
    radius = np.round(np.hypot(*np.meshgrid(frequency, frequency)))
    expected = (quadrant * radius).sum() / quadrant.sum() / np.round(np.hypot(8, 8))
    assert row["fourier"] == pytest.approx(expected, rel=2e-4)


def test_the_weight_scale_scales_the_same_network():
    # One hidden layer of ReLUs, all weights scaled: the function is scaled and shifted.
    config = replace(
        HEATMAPS, activations=("relu",), prior="uniform", depths=(1,), n_networks=6
    )
    table = measured(replace(config, weight_scales=(0.5, 1.0, 8.0)))
    values = table["fourier"].reshape(3, 6)
    np.testing.assert_allclose(values[1:], values[[0, 0]], rtol=1e-3)
    assert np.ptp(values[0]) > 0.01


def test_resolution_prior_and_bias_range_keep_the_draw():
    mesh = devices.mesh(1)
    config = replace(PAPER, activations=("tanh",), n_networks=2, controls=("tanh",))
    config = replace(config, control_scales=(1.0,), parts=("resolution", "bias"))
    config = replace(config, resolutions=(16, 31), bias_ranges=(1.0, 0.5))
    blocks, labels = cells.plan(config, jax.random.key(0), mesh)
    found = {}
    for number, block in enumerate(blocks):
        inputs = {k: sweeps.to_mesh(v, mesh) for k, v in block.inputs.items()}
        key = (labels["resolution"][2 * number], labels["bias_range"][2 * number])
        found[key] = np.asarray(block.evaluate(inputs))
    assert sorted(found) == [(16, 0.5), (16, 1.0), (31, 1.0)]
    # Every second point of the finer grid is a point of the other.
    fine = found[31, 1.0][:, ::2, ::2]
    np.testing.assert_allclose(fine, found[16, 1.0], atol=1e-5)
    row = USUAL | {"weight_scale": 1.0, "bias_range": 0.5}
    expected = numpy_network(np.asarray(grids.grid(16), np.float64), "tanh", row)
    np.testing.assert_allclose(found[16, 0.5][1], expected, atol=1e-5)


# What changes the table, and what does not


def test_the_seed_changes_every_network(base):
    other = by_label(measured(replace(HEATMAPS, seed=1)))
    assert set(other) == set(base)
    fourier = MEASURES.index("fourier")
    assert all(other[row][fourier] != base[row][fourier] for row in base)


def test_networks_of_a_run_differ_from_one_another(base):
    fourier = [values[MEASURES.index("fourier")] for values in base.values()]
    assert len(set(fourier)) == len(fourier) == 24


@pytest.mark.parametrize(
    "change",
    [
        {"activations": ("sine", "tanh", "jax.nn.softplus", "relu")},
        {"depths": (2, 4, 1)},
        {"weight_scales": (4.0, 2.0, 1.0)},
        {"n_networks": 7},
        {"parts": PARTS},
        {"measures": MEASURES},
        {"controls": ("gelu",)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_more_networks_and_measures_leave_those_that_were_there(base, change):
    found = by_label(measured(replace(HEATMAPS, **change)))
    assert set(base) < set(found) or "measures" in change or "controls" in change
    for row, values in base.items():
        for name, value, there in zip(MEASURES, found[row], values, strict=True):
            if name in HEATMAPS.measures:
                assert value == there, (row, name)


@pytest.mark.parametrize("num_devices", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_devices_do_not_change_a_bit(paper, num_devices):
    config = replace(PAPER, parts=("curves", "prior", "unbiased"))
    table = paper.read_table()
    there, found = by_label(table), by_label(measured(config, num_devices))
    assert set(found) == expected_labels(config)
    for row, values in found.items():
        assert values == there[row], row


# Inputs of other dimensions


@pytest.mark.parametrize(("dimension", "resolution"), [(1, 16), (3, 8)])
def test_inputs_of_other_dimensions_are_measured_on_the_full_grid(
    tmp_path, dimension, resolution
):
    config = replace(HEATMAPS, input_dim=dimension, resolution=resolution, n_networks=2)
    run = finished(config, tmp_path / "run")
    table = run.read_table()
    assert not table["degenerate"].any() and len(table["network"]) == 16
    row = only(table, {"activation": "tanh", "depth": 2, "weight_scale": 4.0} | ONE)
    x = np.asarray(grids.grid(resolution, dimension), np.float64)
    assert x.shape == (resolution,) * dimension + (dimension,)
    expected = numpy_fourier(numpy_network(x, "tanh", row))
    assert row["fourier"] == pytest.approx(expected, rel=2e-4)
    assert "samples.png" not in {p.name for p in (run.path / "figures").iterdir()}


ONE = {"network": 1}


def test_inputs_of_many_dimensions_are_measured_on_random_planes(tmp_path):
    config = replace(HEATMAPS, input_dim=5, planes=3, depths=(2,), n_networks=2, seed=3)
    assert config.grid_dimension(16) == 2
    table = finished(config, tmp_path / "run").read_table()
    assert not table["degenerate"].any() and len(table["network"]) == 8
    row = only(table, {"activation": "relu", "weight_scale": 1.0} | ONE)
    key = rng.stream(jax.random.key(3), "planes")
    planes = np.asarray(grids.random_planes(key, 3, 16, 5), np.float64)
    values = numpy_network(planes, "relu", row, seed=3, function=FUNCTIONS["relu"])
    each = [numpy_fourier(plane) for plane in values]
    assert np.ptp(each) > 0.001
    assert row["fourier"] == pytest.approx(np.mean(each), rel=2e-4)


# Functions of the user's, and networks that cannot be measured


def test_any_function_is_an_activation_by_its_import_path(tmp_path, monkeypatch):
    (tmp_path / "my_functions.py").write_text(
        "import jax.numpy as jnp\n\nhalf = jnp.float32(0.5)\n\n"
        "def kink(x):\n    return jnp.abs(x) * half\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    names = ("relu", "jax.nn.softplus", "my_functions.kink")
    config = replace(HEATMAPS, activations=names, weight_scales=(4.0,), depths=(2,))
    run = finished(config, tmp_path / "run")
    table = run.read_table()
    assert list(dict.fromkeys(table["activation"])) == list(names)
    x = np.asarray(grids.grid(16), np.float64)
    for name, function in (
        ("jax.nn.softplus", lambda z: np.logaddexp(z, 0)),
        ("my_functions.kink", lambda z: 0.5 * np.abs(z)),
    ):
        row = only(table, {"activation": name, "network": 1})
        values = numpy_network(x, name, row, function=function)
        assert row["fourier"] == pytest.approx(numpy_fourier(values), rel=2e-4)


@pytest.mark.slow
def test_networks_that_cannot_be_measured_say_why(tmp_path):
    names = ("tanh", "jax.numpy.zeros_like", "jax.numpy.log")
    config = replace(HEATMAPS, activations=names, weight_scales=(1e-3, 1.0))
    config = replace(config, depths=(1,), measures=MEASURES)
    run = finished(config, tmp_path / "run")
    table = run.read_table()
    reasons = {}
    for name in names:
        for scale in config.weight_scales:
            chosen = (table["activation"] == name) & (table["weight_scale"] == scale)
            reasons[name, scale] = set(table["degenerate_reason"][chosen])
    assert reasons == {
        ("tanh", 1e-3): {"rounding"},
        ("tanh", 1.0): {""},
        ("jax.numpy.zeros_like", 1e-3): {"constant"},
        ("jax.numpy.zeros_like", 1.0): {"constant"},
        ("jax.numpy.log", 1e-3): {"non_finite"},
        ("jax.numpy.log", 1.0): {"non_finite"},
    }
    flagged = table["degenerate_reason"] != ""
    np.testing.assert_array_equal(table["degenerate"], flagged)
    for name in MEASURES:
        constant = table["degenerate_reason"] == "constant"
        assert np.isnan(table[name][flagged & ~constant]).all()
        assert np.isfinite(table[name][~flagged | constant]).all()
        lowest = table[name][~flagged].min()
        assert (table[name][constant] < lowest).all()
    assert (run.path / "figures" / "heatmaps_lz76.png").stat().st_size > 1000


@pytest.mark.slow
def test_a_run_of_nothing_but_constants_ends_well(tmp_path):
    config = replace(
        PAPER,
        activations=("jax.numpy.zeros_like",),
        controls=("jax.numpy.zeros_like",),
        variants=("plain", "gated"),
        n_networks=5,
        measures=("fourier", "lz76"),
        parts=tuple(part for part in PARTS if part != "unbiased"),
    )
    run = finished(config, tmp_path / "run")
    assert run.read_table()["degenerate"].all()
    judged = {r["id"] for r in run.read_verdicts() if r["outcome"] != "not judged"}
    assert judged == {"plane-reading", "noise-reading"}


# Checks


def test_a_configuration_is_checked_by_the_library_too():
    for change, part in (
        ({"depths": (0,)}, "--depths"),
        ({"weight_scales": (float("nan"),)}, "--weight-scales"),
        ({"activations": ()}, "--activations"),
        ({"variants": ("odd",)}, "--variants"),
        ({"seed": 2**32}, "--seed"),
    ):
        with pytest.raises(UsageError, match=part):
            study.check(replace(PAPER, **change))


def test_a_configuration_is_plain_values():
    assert plain(PAPER) == json.loads(json.dumps(asdict(PAPER)))
    assert replace(PAPER) == PAPER and hash(PAPER) == hash(replace(PAPER))
