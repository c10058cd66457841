"""The ledger of Neural Redshift: every rule can say yes, no, and that it cannot tell."""

import json
from dataclasses import replace

import numpy as np
import pytest

from jaxbias.ledger import Entry, MissingError, held, judge_all, not_judged
from jaxbias.probes.complexity import MEASURES
from jaxbias.studies.neural_redshift.random_networks import cells, published, rules
from jaxbias.studies.neural_redshift.random_networks.config import (
    ACTIVATIONS,
    AUTHOR_AMPLITUDES,
    AUTHOR_CODE,
    PARTS,
    PRESETS,
)
from jaxbias.studies.neural_redshift.random_networks.evidence import Evidence, Sample

PAPER = replace(PRESETS["paper"]["smoke"], n_networks=20)
AUTHOR = replace(AUTHOR_CODE, n_networks=20, parts=("heatmaps",))
CALIBRATIONS = {"plane-reading", "noise-reading"}
OF_AUTHORS = {e.id for e in published.ENTRIES if e.id.startswith("author-")}
OF_PAPER = {e.id for e in published.ENTRIES} - OF_AUTHORS - CALIBRATIONS


def world(config, value, **changes):
    """A table whose networks scatter a little around what `value` says of each cell.

    `value` takes a cell and a weight scale, and gives a mean Fourier complexity as a
    share of the range; a change replaces what is made of it: "share", "spread" (share of
    the range), "degenerate", or a measure.
    """
    rows = [
        (cell, weight_scale, network)
        for cell, scales in cells.cells(config).items()
        for weight_scale in scales
        for network in range(config.n_networks)
    ]
    # Every cell has the same scatter: mean 0, standard deviation 1.
    scatter = np.linspace(-1, 1, config.n_networks) if config.n_networks > 1 else [0.0]
    scatter = np.asarray(scatter) / max(np.std(scatter), 1e-9)
    low, high = Evidence({}, config).plane_and_noise()
    share = changes.pop("share", lambda cell, scale: value(cell, scale))
    spread = changes.pop("spread", lambda cell: 0.01)
    degenerate = changes.pop("degenerate", lambda cell, scale: False)
    fourier = [
        low + (high - low) * (share(c, s) + spread(c) * scatter[n]) for c, s, n in rows
    ]
    columns = {
        name: np.asarray([getattr(cell, name) for cell, _, _ in rows])
        for name in ("activation", "variant", "prior", "bias_range", "depth", "width")
    }
    columns |= {
        "resolution": np.asarray([cell.resolution for cell, _, _ in rows]),
        "weight_scale": np.asarray([scale for _, scale, _ in rows]),
        "network": np.asarray([network for _, _, network in rows]),
        "degenerate": np.asarray([bool(degenerate(c, s)) for c, s, _ in rows]),
    }
    for number, name in enumerate(MEASURES):
        values = np.asarray(fourier) * (1 + 10 * number)
        if name in changes:
            values = [changes[name](c, s) + scatter[n] for c, s, n in rows]
        if name not in config.measures:
            values = np.full(len(rows), np.nan)
        columns[name] = np.where(
            columns["degenerate"], np.nan, np.asarray(values, float)
        ).astype(np.float32)
    return Evidence(columns, config)


def as_published(cell, scale):
    """The paper's findings, as shares of the range from a plane to white noise."""
    size = np.log2(scale / 0.5) / 4
    depth = (cell.depth - 1) / 5
    if cell.variant == "unbiased":
        return 1.0
    if cell.variant == "layer_norm":
        return 0.05 + 0.1 * size
    if cell.variant == "residual":
        return 0.05 + 0.12 * size
    if cell.variant == "gated":
        return 0.05 + (0.5 if cell.activation == "relu" else 0.95) * size
    if cell.activation in ("tanh", "gaussian", "sine"):
        return 0.05 + 0.85 * size * depth
    return 0.05 + (0.01 if cell.activation == "relu" else 0.1) * size * depth


def rerun(number, off=0.0):
    """Measures as in the independent rerun, where it has them."""

    def value(cell, scale):
        found = published.RERUN.get((cell.activation, cell.variant))
        if cell.depth != 6 or found is None or scale not in published.RERUN_SCALES:
            return (1 + 20 * as_published(cell, scale)) * (1, 40)[number]
        return found[published.RERUN_SCALES.index(scale)][number] + off

    return value


def paper(config=PAPER, **changes):
    known = {"chebyshev": rerun(0), "lz76": rerun(1)}
    return world(config, as_published, **(known | changes))


def author_value(activation, scale, depth):
    """The authors' heatmaps, and something like them where they are not at hand."""
    known = published.author_heatmaps()
    if activation in known:
        return known[activation][scale, depth]
    if activation in published._SUMMARIES:
        return published._SUMMARIES[activation][0]
    first = {"sine": 0.7197, "sigmoid": 8.4834}.get(activation, np.inf)
    rows = published.author_extract(activation) if first < np.inf else {}
    return rows.get((scale, depth), 0.499 if scale >= first and depth == 7 else 0.15)


def author(config=AUTHOR, shift=0.0, move=0, **changes):
    """The authors' world, with values shifted or moved along the amplitudes."""
    low, high = Evidence({}, config).plane_and_noise()

    def there(cell, scale):
        index = list(AUTHOR_AMPLITUDES).index(scale) - move
        scale = AUTHOR_AMPLITUDES[min(max(index, 0), 14)]
        return scale, author_value(cell.activation, scale, cell.depth)

    def value(cell, scale):
        return (there(cell, scale)[1] + shift - low) / (high - low)

    def rounding(cell, scale):
        scale, found = there(cell, scale)
        # Networks of small weights cannot be complex: noise, there as here.
        return scale < 0.5 and found > 0.25

    return world(config, value, **({"degenerate": rounding} | changes))


def outcomes(evidence):
    return {row["id"]: row["outcome"] for row in published.judge(evidence)}


@pytest.fixture(scope="module")
def found_in_paper():
    return outcomes(paper())


@pytest.fixture(scope="module")
def found_in_author():
    return outcomes(author())


# The ledger as data


def test_entries_are_whole_and_their_ids_unique():
    ids = [entry.id for entry in published.ENTRIES]
    assert len(set(ids)) == len(ids) == 32
    for entry in published.ENTRIES:
        for name in ("id", "source", "claim", "expected", "tolerance"):
            assert getattr(entry, name).strip(), (entry.id, name)
        assert entry.certainty in ("read", "computed", "remembered")


def test_the_authors_heatmaps_are_four_of_105_cells():
    found = published.author_heatmaps()
    assert list(found) == ["relu", "gelu", "tanh", "gaussian"]
    for values in found.values():
        wanted = {(a, d) for a in AUTHOR_AMPLITUDES for d in range(1, 8)}
        assert len(values) == 105 and set(values) == wanted
        # The pictures' colours end at 0.5; a plane reads 0.1417.
        assert 0.11 < min(values.values()) and max(values.values()) <= 0.5
    assert found["relu"][0.1, 1] == 0.179 and found["relu"][0.1638, 7] == 0.187


def test_extracts_are_rows_of_the_authors_grid():
    for activation in ("sine", "sigmoid"):
        values = published.author_extract(activation)
        amplitudes = sorted({amplitude for amplitude, _ in values})
        assert len(values) == 42 and set(amplitudes) < set(AUTHOR_AMPLITUDES)
        assert {depth for _, depth in values} == set(range(1, 8))
        assert all(0.11 < value <= 0.5 for value in values.values())


def test_the_rerun_is_of_thirteen_architectures():
    assert len(published.RERUN) == 13
    for (activation, variant), values in published.RERUN.items():
        assert activation in ACTIVATIONS
        assert variant in PRESETS["paper"]["quick"].variants
        assert len(values) == len(published.RERUN_SCALES)


def test_rows_are_what_verdicts_json_holds():
    entry = Entry(
        id="a",
        source="b",
        claim="c",
        expected="d",
        tolerance="e",
        certainty="read",
        judge=lambda evidence: held(evidence > 1, "measured"),
    )
    rows = judge_all([entry, replace(entry, judge=lambda _: not_judged("why"))], 2)
    common = {"id": "a", "source": "b", "claim": "c", "expected": "d"}
    common |= {"tolerance": "e", "certainty": "read"}
    assert rows == [
        common | {"outcome": "reproduced", "here": "measured"},
        common | {"outcome": "not judged", "here": "why"},
    ]
    assert judge_all([entry], 1)[0]["outcome"] == "not reproduced"
    assert json.loads(json.dumps(rows)) == rows


# Yes


def test_a_world_as_published_is_reproduced(found_in_paper):
    assert {i for i, outcome in found_in_paper.items() if outcome == "reproduced"} == (
        OF_PAPER | CALIBRATIONS
    )
    assert {found_in_paper[i] for i in OF_AUTHORS} == {"not judged"}


def test_the_authors_world_reproduces_their_heatmaps(found_in_author):
    assert {found_in_author[i] for i in OF_AUTHORS} == {"reproduced"}


# No


def of(*activations):
    return lambda cell: cell.activation in activations


def swapped(first, second):
    """Two activations in one another's place."""
    other = {first: second, second: first}

    def share(cell, scale):
        name = other.get(cell.activation, cell.activation)
        return as_published(replace(cell, activation=name), scale)

    return {"share": share}


def as_variant(there, here):
    """One architecture as complex as another."""

    def share(cell, scale):
        variant = there if cell.variant == here else cell.variant
        return as_published(replace(cell, variant=variant), scale)

    return {"share": share}


def times(variant, factor):
    """An architecture's rise over the weight scale multiplied."""

    def share(cell, scale):
        if cell.variant != variant:
            return as_published(cell, scale)
        plain = as_published(replace(cell, variant="plain"), scale)
        return 0.05 + factor * (plain - 0.05)

    return {"share": share}


def depends(name, value):
    """A label that should change nothing adds a fifth of the range."""

    def share(cell, scale):
        return as_published(cell, scale) + 0.2 * (getattr(cell, name) == value)

    return {"share": share}


def falling(cell, scale):
    gelu = cell.activation == "gelu" and cell.variant == "plain"
    return 0.2 - as_published(cell, scale) if gelu else as_published(cell, scale)


AGAINST_PAPER = {
    "relu-flat": swapped("relu", "tanh"),
    "relu-variance": {
        "spread": lambda cell: 0.1 if cell.activation == "relu" else 0.01
    },
    "relu-like-slight": {"share": falling},
    "tanh-rises-with-scale": swapped("relu", "tanh"),
    "tanh-rises-with-depth": swapped("relu", "tanh"),
    "gaussian-rises-with-scale": swapped("relu", "gaussian"),
    "gaussian-rises-with-depth": swapped("relu", "gaussian"),
    "sine-rises-with-scale": swapped("relu", "sine"),
    "sine-rises-with-depth": swapped("relu", "sine"),
    "relu-like-lower": swapped("selu", "sine"),
    "layer-norm-flattens": as_variant("plain", "layer_norm"),
    "residual-lowers": times("residual", 1.05),
    "residual-lowest": as_variant("plain", "residual"),
    "gating-raises-relu": times("gated", 0.5),
    "gating-raises-all": times("gated", 0.5),
    "width-no-effect": depends("width", 32),
    "bias-no-effect": depends("bias_range", 2.0),
    "prior-no-effect": depends("prior", "glorot_ball"),
    "unbiased-noise": {
        "share": lambda c, s: 0.5 if c.variant == "unbiased" else as_published(c, s)
    },
    "measures-agree": {"lz78": lambda cell, scale: -100 * as_published(cell, scale)},
    "independent-rerun": {"chebyshev": rerun(0, off=1.0), "lz76": rerun(1, off=-5)},
}


@pytest.mark.parametrize("name", AGAINST_PAPER)
def test_a_world_that_differs_is_not_reproduced(name):
    assert outcomes(paper(**AGAINST_PAPER[name]))[name] == "not reproduced"


@pytest.mark.parametrize("shift", [-0.1, 0.1])
def test_other_heatmaps_are_not_the_authors(shift):
    found = outcomes(author(shift=shift))
    heatmaps = OF_AUTHORS - {"author-onsets"}
    assert {found[i] for i in heatmaps} == {"not reproduced"}


@pytest.mark.parametrize("move", [-3, 3])
def test_other_onsets_are_not_the_authors(move):
    assert outcomes(author(move=move))["author-onsets"] == "not reproduced"


def test_an_onset_may_be_one_step_off(found_in_author):
    assert outcomes(author(move=1))["author-onsets"] == "reproduced"


def test_other_readings_are_not_the_authors(monkeypatch):
    monkeypatch.setattr(rules, "fourier_range", lambda *_: (0.143, 0.5405))
    found = outcomes(paper(replace(PAPER, n_networks=1)))
    assert {found[i] for i in CALIBRATIONS} == {"not reproduced"}


def test_every_rule_has_been_made_to_say_no():
    assert set(AGAINST_PAPER) | OF_AUTHORS | CALIBRATIONS == {
        entry.id for entry in published.ENTRIES
    }


def test_opposite_verdicts_leave_the_others_alone(found_in_paper):
    found = outcomes(paper(**AGAINST_PAPER["width-no-effect"]))
    changed = {i for i in found if found[i] != found_in_paper[i]}
    assert changed == {"width-no-effect"}


# Cannot tell

NEEDS = {
    "heatmaps": {"relu-flat", "relu-variance", "relu-like-slight", "relu-like-lower"}
    | {f"{a}-rises-with-{b}" for a in rules.STEEP for b in ("scale", "depth")},
    "curves": {"layer-norm-flattens", "residual-lowers", "residual-lowest"}
    | {"gating-raises-relu", "gating-raises-all", "independent-rerun"},
    "width": {"width-no-effect"},
    "prior": {"prior-no-effect"},
    "bias": {"bias-no-effect"},
    "resolution": set(),
    "unbiased": {"unbiased-noise"},
    "samples": set(),
}


@pytest.mark.parametrize("part", PARTS)
def test_without_a_part_its_claims_alone_are_open(found_in_paper, part):
    parts = tuple(name for name in PARTS if name != part)
    rows = published.judge(paper(replace(PAPER, parts=parts)))
    opened = {row["id"] for row in rows if row["outcome"] == "not judged"}
    assert opened == NEEDS[part] | OF_AUTHORS
    for row in rows:
        if row["id"] in NEEDS[part]:
            assert row["here"] == f"the part {part!r} was not run"


@pytest.mark.parametrize("make", [paper, author])
@pytest.mark.parametrize("count", [1, 4])
def test_few_networks_leave_every_claim_open(make, count):
    config = replace(make().config, n_networks=count)
    rows = published.judge(make(config))
    judged = {row["id"] for row in rows if row["outcome"] != "not judged"}
    assert judged == CALIBRATIONS
    reasons = {row["here"] for row in rows if "networks a cell" in row["here"]}
    assert reasons == {f"{count} networks a cell, {n} are needed" for n in (5, 20)}


def test_spreads_need_more_networks_than_directions():
    found = outcomes(paper(replace(PAPER, n_networks=8)))
    assert {i for i in OF_PAPER if found[i] == "not judged"} == {"independent-rerun"}


@pytest.mark.parametrize("make", [paper, author])
def test_without_the_fourier_measure_its_claims_are_open(make):
    measures = ("chebyshev", "legendre", "lz76", "lz78")
    found = outcomes(make(replace(make().config, measures=measures)))
    judged = {i for i, outcome in found.items() if outcome != "not judged"}
    others = {"measures-agree"}
    if make is paper:
        others.add("independent-rerun")
    assert judged == CALIBRATIONS | others


def test_one_measure_agrees_with_nothing():
    assert outcomes(paper(replace(PAPER, measures=("fourier",))))["measures-agree"] == (
        "not judged"
    )


@pytest.mark.parametrize("kept", [("relu",), ("tanh", "sine"), ("jax.nn.softplus",)])
def test_claims_on_activations_that_were_not_run_are_open(kept):
    found = outcomes(paper(replace(PAPER, activations=kept, controls=("swish",))))
    # What is still claimed needs no other activation.
    allowed = {f"{a}-rises-with-{b}" for a in kept for b in ("scale", "depth")}
    allowed |= {"residual-lowest", "measures-agree", "unbiased-noise"}
    allowed |= {f"{name}-no-effect" for name in ("width", "bias", "prior")}
    if "relu" in kept:
        allowed |= {"relu-flat", "relu-variance", "gating-raises-relu"}
    judged = {i for i in OF_PAPER if found[i] != "not judged"}
    assert judged <= allowed
    found = outcomes(
        author(replace(AUTHOR, activations=kept[:1]), share=lambda c, s: 0)
    )
    judged = {i for i in OF_AUTHORS if found[i] != "not judged"}
    assert judged <= {f"author-heatmap-{kept[0]}"}


def test_short_spans_leave_trends_open():
    trends = {i for i in OF_PAPER if "rises-with" in i or i.startswith("relu-like")}
    trends |= {"relu-flat"}
    for change in ({"depths": (4, 5)}, {"weight_scales": (1.0, 2.0, 4.0)}):
        found = outcomes(paper(replace(PAPER, **change)))
        assert {found[i] for i in trends} == {"not judged"}


def test_one_value_of_a_control_shows_no_effect_of_it():
    config = replace(
        PAPER, widths=(64,), priors=("glorot_uniform",), bias_ranges=(1.0,)
    )
    found = outcomes(paper(config))
    for name in ("width", "prior", "bias"):
        assert found[f"{name}-no-effect"] == "not judged"


@pytest.mark.parametrize("make", [paper, author])
def test_networks_that_cannot_be_measured_leave_every_claim_open(make):
    found = outcomes(make(degenerate=lambda cell, scale: True))
    judged = {i for i, outcome in found.items() if outcome != "not judged"}
    assert judged == CALIBRATIONS


def test_the_smallest_scale_that_can_be_measured_is_taken(found_in_paper):
    found = outcomes(paper(degenerate=lambda cell, scale: scale == 0.5))
    assert {i for i in OF_PAPER if found[i] != found_in_paper[i]} == set()
    found = outcomes(paper(degenerate=lambda cell, scale: scale < 4))
    assert found["tanh-rises-with-scale"] == "not judged"


@pytest.mark.parametrize("level", [0.05, 0.5])
def test_where_nothing_rises_no_share_of_a_rise_is_judged(level):
    same = {name: lambda cell, scale: 20.0 for name in ("chebyshev", "lz76", "lz78")}
    none = {"spread": lambda cell: 0.0, "share": lambda cell, scale: level}
    found = outcomes(paper(**none, **same))
    assert found["relu-flat"] == "reproduced"
    assert found["tanh-rises-with-scale"] == "not reproduced"
    for name in ("layer-norm-flattens", "residual-lowers", "measures-agree"):
        assert found[name] == "not judged"
    # A plain network that falls is no measure of another's rise either.
    fall = {"share": lambda cell, scale: 0.5 - as_published(cell, scale) / 2}
    found = outcomes(paper(**fall))
    for name in ("layer-norm-flattens", "residual-lowers"):
        assert found[name] == "not judged"


SETTINGS = [
    {"prior": "glorot_normal"},
    {"resolution": 32},
    {"width": 32},
    {"gaussian_width": 2.0},
    {"prefactor": 2.0},
    {"input_dim": 1},
]


@pytest.mark.parametrize("change", SETTINGS, ids=lambda change: next(iter(change)))
def test_tables_are_compared_with_runs_of_the_same_settings_only(change):
    found = outcomes(author(replace(AUTHOR, **change)))
    assert {found[i] for i in OF_AUTHORS} == {"not judged"}
    found = outcomes(paper(replace(PAPER, **change)))
    assert found["independent-rerun"] == "not judged"


@pytest.mark.parametrize(
    "change",
    [
        {"levels": 5},
        {"traversal": "row"},
        {"polynomial_order": "max"},
        {"degree": 10},
        {"curve_depth": 5},
        {"weight_scales": (0.5, 1.0, 2.0, 8.0)},
        {"measures": ("fourier", "lz76")},
        {"variants": ("plain", "gated")},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_rerun_is_compared_whole_and_with_the_same_measures_only(change):
    found = outcomes(paper(replace(PAPER, **change)))
    assert found["independent-rerun"] == "not judged"


def test_an_explicit_default_degree_is_the_same_measure():
    found = outcomes(paper(replace(PAPER, degree=20)))
    assert found["independent-rerun"] == "reproduced"


# Evidence


def test_a_share_is_0_for_a_plane_and_1_for_noise():
    evidence = Evidence({}, PAPER)
    plane, noise = evidence.plane_and_noise()
    assert evidence.share(plane) == 0 and evidence.share(noise) == 1
    assert plane == pytest.approx(0.19, abs=0.005)
    assert noise == pytest.approx(0.54, abs=0.005)


@pytest.mark.parametrize(("dimension", "resolution"), [(1, 64), (3, 16), (5, 32)])
def test_the_range_is_that_of_the_grid_at_hand(dimension, resolution):
    config = replace(PAPER, input_dim=dimension, resolution=resolution)
    axes = config.grid_dimension(resolution)
    assert axes == (2 if dimension == 5 else dimension)
    frequency = np.meshgrid(*[np.fft.fftfreq(resolution)] * axes, indexing="ij")
    radius = np.sqrt(sum(f**2 for f in frequency)) / (0.5 * np.sqrt(axes))
    line = np.linspace(-1, 1, resolution)
    plane = sum(np.meshgrid(*[line] * axes, indexing="ij"))
    amplitude = np.abs(np.fft.fftn(plane)) * (radius > 0)
    found = Evidence({}, config).plane_and_noise()
    assert found[0] == pytest.approx((amplitude * radius).sum() / amplitude.sum(), 1e-3)
    # White noise has the same amplitude everywhere.
    assert found[1] == pytest.approx(radius[radius > 0].mean(), rel=0.05)


def test_samples_leave_degenerate_networks_out():
    evidence = paper()
    where = {"activation": "tanh", "depth": 3, "weight_scale": 8.0}
    chosen = np.flatnonzero(evidence.rows(**where))
    assert len(chosen) == PAPER.n_networks
    columns = {name: values.copy() for name, values in evidence.columns.items()}
    columns["degenerate"][chosen[:8]] = True
    columns["fourier"][chosen[:8]] = np.nan
    sample = Evidence(columns, PAPER).sample(**where)
    assert sample.count == 12
    values = columns["fourier"][chosen[8:]].astype(np.float64)
    assert sample.mean == pytest.approx(values.mean())
    assert sample.sd == pytest.approx(values.std(ddof=1))
    assert sample.error == pytest.approx(values.std(ddof=1) / np.sqrt(12))
    columns["degenerate"][chosen[:11]] = True
    with pytest.raises(MissingError, match="tanh, 3, 8.0 are degenerate"):
        Evidence(columns, PAPER).sample(**where)


def test_missing_networks_and_measures_are_named():
    evidence = paper(replace(PAPER, measures=("fourier",)))
    with pytest.raises(MissingError, match="no networks with mish"):
        evidence.sample(activation="mish")
    with pytest.raises(MissingError, match="lz76 was not measured"):
        evidence.sample("lz76", activation="relu")


def test_a_grid_has_a_row_a_scale_and_a_column_a_depth():
    evidence = paper(degenerate=lambda cell, scale: (cell.depth, scale) == (3, 2.0))
    found = evidence.grid("fourier", "sine", PAPER.depths)
    assert found.shape == (5, 3)
    assert np.argwhere(np.isnan(found)).tolist() == [[2, 1]]
    for i, scale in enumerate(PAPER.weight_scales):
        for j, depth in enumerate(PAPER.depths):
            if (i, j) != (2, 1):
                cell = cells.Cell(
                    activation="sine",
                    variant="plain",
                    prior="glorot_uniform",
                    bias_range=1.0,
                    depth=depth,
                    width=64,
                    resolution=64,
                )
                share = evidence.share(found[i, j])
                assert share == pytest.approx(as_published(cell, scale), abs=1e-5)


def test_one_network_has_no_spread():
    assert np.isnan(Sample(np.ones(1)).sd) and Sample(np.ones(1)).mean == 1
