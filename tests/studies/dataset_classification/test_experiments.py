"""Whole runs of the experiments, on small images that are made here."""

from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest

import jaxbias.cli
from jaxbias.runs import RunDirectory, UsageError
from jaxbias.studies import dataset_classification
from jaxbias.studies.dataset_classification import cases, runner
from jaxbias.studies.dataset_classification.cases import Case
from jaxbias.terminal import Reporter

EXPERIMENTS = dataset_classification.EXPERIMENTS
MADE = "A", "B", "C"


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """Three sources of 8 x 8, brighter from one to the next."""
    folder = tmp_path_factory.mktemp("sources")
    rng = np.random.default_rng(0)
    for number, name in enumerate(MADE):
        images = rng.integers(0, 200, (1050, 8, 8, 3)) + 25 * number
        labels = np.arange(1050) % 2
        np.savez(folder / f"{name}.npz", images=images.astype(np.uint8), labels=labels)
    return tuple(f"{name}={folder / name}.npz" for name in MADE)


@pytest.fixture
def unaudited(monkeypatch):
    """Runs without the look for leaks, which has tests of its own."""
    monkeypatch.setattr(runner, "look_for_leaks", lambda *args: None)


def module_of(name):
    return import_module(EXPERIMENTS[name][0])


def config_of(name, given, **changes):
    """The smoke preset on these sources, shorter."""
    small = {"sources": given, "per_source": 90, "samples_seen": 800, "batch": 30}
    config = module_of(name).PRESETS["smoke"]
    return replace(config, **(small | {"model": "mlp", "size": 8} | changes))


def run(name, config, path):
    module = module_of(name)
    module.check(config)
    with RunDirectory.open(
        path,
        study="dataset_classification",
        experiment=name,
        config=jaxbias.cli.plain(config),
    ) as directory:
        module.run(config, directory, Reporter(quiet=True))
        directory.finish()
    return directory


def test_name_that_dataset(sources, tmp_path):
    config = config_of("name-that-dataset", sources, samples_seen=3_000)
    directory = run("name-that-dataset", config, tmp_path / "run")
    rows = directory.read_table()
    assert rows["case"].tolist() == ["sources", "control"]
    assert rows["accuracy"][0] > 0.55 > 0.45 > rows["accuracy"][1]
    assert (rows["low"] < rows["accuracy"]).all() and rows["chance"][0] == 1 / 3
    # Brightness alone tells as much as there is.
    assert rows["baseline"][0] > 0.6
    each = directory.read_table("predictions.parquet")
    assert len(each["loss"]) == 630 and set(each["source"]) == set(MADE)
    right = np.mean(each["source"] == each["predicted"])
    assert right == pytest.approx(rows["accuracy"][0])
    own = each["loss"][each["source"] == "B"]
    assert (np.diff(own) >= 0).all()
    audited = directory.read_table("audit_classifiers.parquet")
    told = dict(zip(audited["classifier"], audited["accuracy"], strict=True))
    assert told["mean colour"] > 0.6 and told["labels permuted"] < 0.5
    outcomes = {row["id"]: row["outcome"] for row in directory.read_verdicts()}
    assert outcomes == {
        "name-that-dataset": "reproduced",
        "no-difference-no-accuracy": "reproduced",
    }
    figures = {path.stem for path in (directory.path / "figures").iterdir()}
    assert figures == {"confusion", "examples", "leaks"}
    assert not list((directory.path / "checkpoints").iterdir())
    module_of("name-that-dataset").show(directory, Reporter(quiet=True))


def made_up(case: Case, pool, config, directory, reporter, baseline, measure):
    """An outcome without a training: whatever, but of the right shapes."""
    training, validation = pool.pick(case.split)
    rng = np.random.default_rng(len(case.name))
    columns = {"number_parameters": np.asarray(7.0 + len(case.name))}
    columns |= {f"number_{k}": np.asarray(9.0) for k in ("steps", "batch")}
    if measure is not None:
        columns |= {f"number_probe_{k}": np.asarray(0.4) for k in ("accuracy", "low")}
        columns["number_probe_high"] = np.asarray(0.5)
    for name, half in (
        ("validation", validation),
        ("training", training),
        ("baseline", validation),
    ):
        labels = half.source.labels
        seeds = 1 if name != "training" or case.judge_training else 0
        columns[f"{name}_labels"] = np.tile(labels, (seeds, 1))
        columns[f"{name}_predicted"] = rng.integers(0, 2, (seeds, len(labels)))
        columns[f"{name}_losses"] = rng.random((seeds, len(labels)))
    return columns


@pytest.mark.usefixtures("unaudited")
def test_a_cut_run_goes_on_with_the_case_that_it_was_in(sources, tmp_path, monkeypatch):
    config = config_of("pseudo-datasets", sources, images=(10, 20))
    monkeypatch.setattr(cases, "_trained", made_up)
    whole = run("pseudo-datasets", config, tmp_path / "whole")
    count = []

    def cut(*args):
        count.append(args[0].name)
        if len(count) == 2:
            raise KeyboardInterrupt
        return made_up(*args)

    monkeypatch.setattr(cases, "_trained", cut)
    with pytest.raises(KeyboardInterrupt):
        run("pseudo-datasets", config, tmp_path / "cut")
    again = run("pseudo-datasets", config, tmp_path / "cut")
    assert count == ["10-none", "20-none", "20-none"]
    for name in ("results.parquet", "verdicts.json"):
        assert (again.path / name).read_bytes() == (whole.path / name).read_bytes()


TRAINED = [name for name in EXPERIMENTS if name not in ("cross-dataset",)]


@pytest.mark.usefixtures("unaudited")
@pytest.mark.parametrize("name", TRAINED)
def test_every_experiment_plans_judges_and_draws(sources, tmp_path, monkeypatch, name):
    monkeypatch.setattr(cases, "_trained", made_up)
    given = sources[:2] if name == "two-way-shift" else sources
    changes = {"images": (10, 30)} if name == "samples-by-augmentation" else {}
    config = config_of(name, given, **changes)
    directory = run(name, config, tmp_path / "run")
    rows = directory.read_table()
    assert len(set(rows["case"])) == len(rows["case"]) > 0
    assert len(directory.read_verdicts()) > 0
    assert list((directory.path / "figures").glob("*.png"))
    if name == "play":
        page = (directory.path / "game.html").read_text()
        assert page.startswith("<!doctype html>")


@pytest.mark.slow
def test_cross_dataset(tmp_path):
    rng = np.random.default_rng(0)
    texts = []
    for number, name in enumerate("PQ"):
        labels = np.arange(300) % 3
        images = rng.integers(0, 100, (300, 8, 8, 3))
        # The class is a colour, which is another one in the other source.
        images[np.arange(300), :, :, (labels + number) % 3] += 120
        path = tmp_path / f"{name}.npz"
        np.savez(
            path,
            images=images.astype(np.uint8),
            labels=labels,
            class_names=np.asarray(["x", "y", "z"]),
        )
        texts.append(f"{name}={path}")
    config = config_of("cross-dataset", tuple(texts), per_source=None)
    directory = run(
        "cross-dataset", replace(config, samples_seen=3_000), tmp_path / "r"
    )
    rows = directory.read_table()
    same = rows["trained_on"] == rows["tested_on"]
    assert (rows["accuracy"][same] > 0.9).all()
    assert (rows["accuracy"][~same] < 0.2).all()
    (verdict,) = directory.read_verdicts()
    assert verdict["outcome"] == "reproduced"
    module_of("cross-dataset").show(directory, Reporter(quiet=True))
    with pytest.raises(UsageError, match="not every source has w"):
        run("cross-dataset", replace(config, classes=("x", "w")), tmp_path / "s")


@pytest.mark.slow
@pytest.mark.usefixtures("unaudited")
def test_transfer_probes_a_network_of_each_number_of_sources(sources, tmp_path):
    target = sources[0].partition("=")[2]
    config = config_of("transfer", sources[:2], target=target, samples_seen=300)
    rows = run("transfer", config, tmp_path / "run").read_table()
    assert rows["sources"].tolist() == [0, 2]
    # The target's labels have nothing to do with its images.
    assert (np.abs(rows["probe_accuracy"] - 0.5) < 0.3).all()
    assert rows["steps"][1] == 10
    with pytest.raises(UsageError, match="--layer: no layer .no.: one of"):
        run("transfer", replace(config, layer="no"), tmp_path / "other")


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("name-that-dataset", {"batch": 1}, "--batch: must be >= 2"),
        ("name-that-dataset", {"quality": 96}, "--quality: must be at most 95"),
        ("name-that-dataset", {"margin": 0.9}, "--margin: must be >= 1"),
        ("name-that-dataset", {"hold_out": 1.0}, "--hold-out: must be above 0"),
        ("name-that-dataset", {"model": "resnet9"}, "--model: no model 'resnet9'"),
        ("name-that-dataset", {"sources": ("a=x", "a=x")}, "--sources: the same"),
        ("name-that-dataset", {"sources": ("a=x", "a=y")}, "'a' stands twice"),
        ("name-that-dataset", {"sources": ("a=x", "b=y")}, "x: not there"),
        ("name-that-dataset", {"per_source": 20}, "--control: A has 20 images for 3"),
        ("transforms", {"transforms": ("none", "nope")}, "no transform 'nope'"),
        ("transforms", {"transforms": ("none", "none")}, "the same value twice"),
        ("corruptions", {"corruptions": ("low-resolution-99",)}, "a resolution of 99"),
        ("combinations", {"fewest": 4}, "--fewest: 4 of 3 sources"),
        ("combinations", {"fewest": 3, "most": 2}, "--most: must be at least"),
        ("architectures", {"models": ("mlp", "x")}, "--models: no model 'x'"),
        ("architectures", {"models": ()}, "--models: one or more"),
        ("pseudo-datasets", {"source": "D"}, "--source: one of A, B, C; got 'D'"),
        ("pseudo-datasets", {"images": (9,)}, "--images: must be >= 10"),
        ("pseudo-datasets", {"images": (99,)}, "--images: A has 90, for 3 samples"),
        ("two-way-shift", {}, "--sources: two are compared, got 3"),
        ("cross-dataset", {"classes": ("x",)}, "--classes: two or more"),
        ("transfer", {"target": "nowhere"}, "--target: nowhere: not there"),
    ],
)
def test_what_cannot_be_done_is_one_line(sources, tmp_path, name, changes, message):
    config = config_of(name, sources, **changes)
    with pytest.raises(UsageError) as error:
        run(name, config, tmp_path / "run")
    assert message in str(error.value) and "\n" not in str(error.value)


def test_a_source_of_three_images_is_one_line(sources, tmp_path):
    few = np.zeros((3, 8, 8, 3), np.uint8)
    np.savez(tmp_path / "few.npz", images=few, labels=np.zeros(3, int))
    config = config_of("name-that-dataset", (*sources, f"few={tmp_path}/few.npz"))
    with pytest.raises(UsageError, match="2 training images of each, 10 .* as few has"):
        run("name-that-dataset", config, tmp_path / "run")
