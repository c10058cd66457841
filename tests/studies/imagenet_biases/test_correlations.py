"""Correlations: the table and its faults, the statistics, the audit, the ledger, a run."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import whole_runs
from scipy import stats

from jaxbias.runs import UsageError
from jaxbias.studies.imagenet_biases.correlations import (
    audit,
    evidence,
    experiment,
    figures,
    published,
    table,
)
from jaxbias.studies.imagenet_biases.correlations.config import Config

PUBLISHED = Path(__file__).parents[4] / "shared" / "data" / "imagenet_biases"
CATEGORIES = {
    "baseline": 1,
    "training_recipes": 10,
    "augmentation": 12,
    "stylized": 3,
    "adversarial_training": 15,
    "contrastive": 6,
    "freezing": 1,
}


def drawn_columns(seed=0):
    """A table of 48 random models, by column; accuracies are of whole images."""
    random = np.random.default_rng(seed)
    names = [f"{kind}_{i}" for kind, count in CATEGORIES.items() for i in range(count)]
    quality = random.normal(size=48)
    columns: dict[str, Any] = {"model": names}
    for parts in table.BIASES.values():
        for part in parts:
            columns[part] = np.exp(0.3 * quality + 0.3 * random.normal(size=48))
    for cut in figures.CUT_OFFS:
        for kind in figures.FILTERS:
            columns.setdefault(f"metric/bandpass/{kind}/{cut:g}", random.random(48))
    for parts in table.GROUPS.values():
        for part in parts:
            images = audit.IMAGES.get(part, 5000)
            right = np.round(
                images * (0.5 + 0.1 * quality + 0.02 * random.normal(size=48))
            )
            columns[table.column_of(part)] = 100 * np.clip(right, 1, images) / images
    for name in (*audit.COMMON, *audit.EXTRA):
        for severity in range(1, 6):
            columns[table.column_of(f"{name}_{severity}")] = 100 * random.random(48)
    return columns


def write(folder, columns):
    """Both files of a table; gives a configuration that reads them."""
    names = columns["model"]
    # In another order than that of the categories, with one model that has none.
    order = np.random.default_rng(1).permutation(len(names))
    with (folder / "table.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerow(["other", *[""] * (len(columns) - 1)])
        for row in order:
            values = (columns[name][row] for name in columns)
            writer.writerow(v if isinstance(v, str) else f"{v:.12g}" for v in values)
    found = {
        kind: [name for name in names if name.rpartition("_")[0] == kind]
        for kind in CATEGORIES
    }
    (folder / "categories.json").write_text(json.dumps(found))
    return Config(
        table=str(folder / "table.csv"),
        categories=str(folder / "categories.json"),
        resamples=200,
        permutations=200,
    )


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return write(tmp_path_factory.mktemp("table"), drawn_columns())


@pytest.fixture(scope="module")
def run(config, tmp_path_factory):
    return whole_runs.finished(experiment, config, tmp_path_factory.mktemp("c") / "run")


def read(config):
    return table.Table.read(config.table, config.categories, config.adversarial)


# The table


def test_models_biases_and_groups_are_the_files(config):
    found, columns = read(config), drawn_columns()
    assert list(found.models) == columns["model"]
    assert found.categories.tolist() == [n.rpartition("_")[0] for n in columns["model"]]
    cuts = [columns[f"metric/bandpass/LFC/{cut}"] for cut in (0.1, 0.2, 0.3, 0.4, 0.5)]
    np.testing.assert_allclose(found.biases["low_frequency"], np.mean(cuts, axis=0))
    parts = ("imagenet", "imagenet-v2", "imagenet-real")
    expected = np.mean([columns[f"top1_acc/{name}"] for name in parts], axis=0)
    np.testing.assert_allclose(found.groups["ID"], expected)
    counts = {name: int(found.subset(name).sum()) for name in table.SUBSETS}
    assert counts == evidence.MODELS


def test_what_a_model_lacks_is_left_out(tmp_path):
    columns = drawn_columns()
    del columns["top1_acc/PGD-40/low"], columns["metric/criticalband/bw_norm"]
    columns["top1_acc/stylized"][3] = np.nan
    found = read(write(tmp_path, columns))
    assert "bandwidth" not in found.biases and len(found.biases) == 5
    assert list(found.groups) == ["ID", "Robustness"]
    assert "stylized" not in found.benchmarks and "imagenet-r" in found.benchmarks


@pytest.mark.parametrize(
    "spoil, message",
    [
        (lambda t, c: t.write_text("a,b\n1,2\n"), "no header with a column model"),
        (lambda t, c: t.write_text("model,shape-bias\nx,1,2\n"), "line 2: 3 values"),
        (lambda t, c: t.unlink(), "No such file"),
        (lambda t, c: t.write_bytes(b"\xff\xfe\x00"), "--table"),
        (lambda t, c: c.write_text("[1]"), "not lists of models"),
        (lambda t, c: c.write_text("{"), "--categories"),
        (lambda t, c: c.write_text('{"a": ["nobody"]}'), "nobody is no model of"),
        (lambda t, c: c.write_text('{"baseline": ["baseline_0"]}'), "1 models, 3"),
    ],
)
def test_files_that_do_not_fit_are_refused(tmp_path, spoil, message):
    config = write(tmp_path, drawn_columns())
    spoil(Path(config.table), Path(config.categories))
    with pytest.raises(UsageError, match=message):
        experiment.check(config)


def test_missing_options_and_columns_are_refused(tmp_path):
    with pytest.raises(UsageError, match="--table: benchmark.csv is needed"):
        experiment.check(Config())
    columns = drawn_columns()
    wrong = columns | {"shape-bias": ["much"] * 48}
    with pytest.raises(UsageError, match="column shape-bias"):
        experiment.check(write(tmp_path, wrong))
    few = {name: columns[name] for name in ("model", "top1_acc/imagenet")}
    with pytest.raises(UsageError, match="no bias is there"):
        experiment.check(write(tmp_path, few))
    few = {name: columns[name] for name in ("model", "shape-bias")}
    with pytest.raises(UsageError, match="no benchmark is there"):
        experiment.check(write(tmp_path, few))


# Statistics


def test_cells_are_scipys(config, run):
    source, cells = read(config), run.read_table()
    assert len(cells["bias"]) == 6 * 3 * (4 + 10)
    row = 17
    chosen = source.subset(cells["subset"][row])
    x = source.biases[cells["bias"][row]][chosen]
    y = source.groups[cells["target"][row]][chosen]
    value, p = stats.spearmanr(x, y)
    assert cells["spearman"][row] == pytest.approx(value)
    assert cells["p"][row] == pytest.approx(p)
    # The leave-one-out range holds the value without the first network.
    without = stats.spearmanr(x[1:], y[1:])[0]
    assert cells["one_out_low"][row] - 1e-9 <= without
    assert without <= cells["one_out_high"][row] + 1e-9
    assert (cells["low"] <= cells["spearman"] + 0.05).all()
    assert (cells["high"] >= cells["spearman"] - 0.05).all()


def test_corrections_are_for_all_cells_of_the_groups(run):
    cells = run.read_table()
    group = cells["kind"] == "group"
    assert group.sum() == 72
    expected = np.minimum(1, 72 * cells["p"][group])
    np.testing.assert_allclose(cells["p_bonferroni"][group], expected)
    expected = stats.false_discovery_control(cells["p"][group])
    np.testing.assert_allclose(cells["p_bh"][group], expected)


# The audit


@pytest.mark.parametrize("images", [326, 800, 50_048])
def test_the_number_of_images_is_read_off(images):
    right = np.random.default_rng(0).integers(1, images, 40)
    assert audit.images_counted(100 * right / images) == images


def test_numbers_that_count_nothing_are_none():
    assert audit.images_counted(np.random.default_rng(0).random(40) * 100) == 0


def test_repairs_change_their_group_alone(config, run):
    effects = run.read_table("effects.parquet")
    assert set(effects["repair"]) == {
        "ID without ReaL",
        "PGD over 50,000 images",
        "fifteen corruptions",
    }
    pgd = effects["repair"] == "PGD over 50,000 images"
    np.testing.assert_allclose(effects["after"][pgd], effects["before"][pgd])
    source = read(config)
    scores = np.mean(
        [source.benchmarks[n] for n in ("imagenet", "imagenet-v2")], axis=0
    )
    row = np.flatnonzero(
        (effects["repair"] == "ID without ReaL")
        & (effects["subset"] == "Total")
        & (effects["bias"] == "shape")
    )[0]
    expected = stats.spearmanr(source.biases["shape"], scores)[0]
    assert effects["after"][row] == pytest.approx(expected)


# The ledger


def test_a_run_writes_its_tables_and_figures(run):
    for name in ("pairs", "predictions", "denominators"):
        assert run.read_table(f"{name}.parquet")
    drawn = {path.name for path in (run.path / "figures").iterdir()}
    names = ("heat_maps", "scatter", "prediction", "band_pass")
    assert drawn == {f"{name}.png" for name in names}
    outcomes = {row["id"]: row["outcome"] for row in run.read_verdicts()}
    # A random table of the same size: nothing is the paper's.
    assert outcomes["biases-groups"] == outcomes["biases-pairs"] == "not reproduced"
    assert outcomes["audit-real"] == outcomes["audit-pgd"] == "reproduced"


def test_each_rule_can_go_either_way(config):
    found = evidence.gathered(read(config), config)

    def outcome(id, **changes):
        (entry,) = [entry for entry in published.ENTRIES if entry.id == id]
        return entry.judge(replace(found, **changes)).outcome

    def cells(values, p=0.001, **columns):
        """Cells of printed or given correlations."""
        rows = {name: column.copy() for name, column in found.cells.items()}
        for row, kind in enumerate(rows["kind"]):
            if kind == "group":
                place = tuple(rows[name][row] for name in ("bias", "target", "subset"))
                rows["spearman"][row] = value = values(*place)
                rows["p"][row] = p if value else 0.5
        return rows | columns

    def printed(bias, target, subset):
        row = published.CORRELATIONS[bias][list(table.GROUPS).index(target)]
        return row[table.SUBSETS.index(subset)]

    paper = cells(printed)
    ids = ("biases-groups", "biases-none", "biases-texture", "biases-high")
    for id in (*ids, "biases-adversarial"):
        assert outcome(id, cells=paper) == "reproduced", id
    off = cells(lambda *place: printed(*place) + 0.01)
    assert outcome("biases-groups", cells=off) == "not reproduced"
    one_way = cells(lambda *_: 0.9)
    ids = ("biases-none", "biases-texture", "biases-adversarial")
    for id in ids:
        assert outcome(id, cells=one_way) == "not reproduced", id
    assert outcome("biases-high", cells=cells(lambda *_: -0.9)) == "not reproduced"

    pairs = {name: column.copy() for name, column in found.pairs.items()}
    for row, (first, second) in enumerate(
        zip(pairs["first"], pairs["second"], strict=True)
    ):
        pairs["spearman"][row] = value = published.BETWEEN[first, second]
        pairs["p"][row] = 0.001 if value else 0.5
    assert outcome("biases-pairs", pairs=pairs) == "reproduced"
    assert outcome("biases-pairs", pairs=found.pairs) == "not reproduced"

    counted = found.denominators | {"counted": np.full(8, 326)}
    for id in ("audit-real", "audit-pgd"):
        assert outcome(id) == "reproduced"
        assert outcome(id, denominators=counted) == "not reproduced"

    strong = cells(lambda *_: 0.9) | {"p_bonferroni": np.zeros(len(paper["p"]))}
    weak = strong | {"p_bonferroni": np.ones(len(paper["p"]))}
    assert outcome("audit-tests", cells=strong) == "reproduced"
    assert outcome("audit-tests", cells=weak) == "not reproduced"

    quiet = found.effects | {"p_after": np.ones(len(found.effects["p_after"]))}
    loud = found.effects | {"p_after": np.zeros(len(found.effects["p_after"]))}
    assert outcome("audit-centre", cells=paper, effects=quiet) == "reproduced"
    assert outcome("audit-centre", cells=paper, effects=loud) == "not reproduced"

    high = found.predictions | {"r2": np.full(len(found.predictions["r2"]), 0.9)}
    low = found.predictions | {"r2": np.full(len(found.predictions["r2"]), 0.4)}
    assert outcome("biases-together", predictions=high) == "reproduced"
    assert outcome("biases-together", predictions=low) == "not reproduced"


def test_another_table_is_not_held_against_the_paper(tmp_path):
    columns = {name: values[:30] for name, values in drawn_columns().items()}
    config = write(tmp_path, columns)
    found = evidence.gathered(read(config), config)
    verdicts = {row["id"]: row for row in published.judge(found)}
    assert verdicts["biases-groups"]["outcome"] == "not judged"
    assert "30 of them" in verdicts["biases-groups"]["here"]


@pytest.mark.skipif(not PUBLISHED.exists(), reason="the published table is not here")
def test_the_published_table(tmp_path):
    config = Config(
        table=str(PUBLISHED / "benchmark.csv"),
        categories=str(PUBLISHED / "r50_categories.json"),
        resamples=200,
        permutations=200,
    )
    run = whole_runs.finished(experiment, config, tmp_path / "run")
    verdicts = {row["id"]: row for row in run.read_verdicts()}
    assert verdicts["biases-groups"]["here"] == "72 of 72"
    assert verdicts["biases-pairs"]["here"] == "15 of 15"
    assert "326 images" in verdicts["audit-real"]["here"]
    assert "50,048 images" in verdicts["audit-pgd"]["here"]
    assert verdicts["audit-tests"]["here"].startswith("of 40: 21 by Bonferroni")
    assert "0.36 (p 0.040)" in verdicts["audit-centre"]["here"]
    counted = run.read_table("denominators.parquet")
    right = [
        n for n in counted["benchmark"] if n not in ("imagenet-real", "PGD-40/low")
    ]
    for name in right:
        row = counted["benchmark"] == name
        assert (counted["counted"][row] == counted["images"][row]).all(), name
