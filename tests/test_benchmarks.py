"""The benchmark runs, and its table keeps what earlier runs wrote."""

import csv
import importlib
import subprocess
import sys

import jax
import numpy as np
import pytest

from benchmarks import (
    __main__ as command,
)
from benchmarks import (
    generators,
    machine,
    random_networks,
    reading,
    scaling,
    scaling_worker,
    training,
    trainings,
)
from jaxbias import devices
from jaxbias.studies.neural_redshift.modulo.config import Config


@pytest.fixture(scope="module")
def ours() -> random_networks.Ours:
    case = random_networks.Case(
        activation="tanh", depth=2, variant="gated", resolution=32, networks=8
    )
    return random_networks.Ours(case, devices.mesh(2))


def test_stages_are_timed_and_named(ours):
    found = ours.stages()
    stages = ("draw", "evaluate", *random_networks.MEASURES)
    assert set(found) == {*(f"{stage}_ms" for stage in stages), "first_call_s"}
    assert all(seconds > 0 for seconds in found.values())


def test_the_other_side_gets_the_weights_that_are_measured_here():
    case = random_networks.Case(activation="tanh", depth=3, resolution=32, networks=8)
    ours = random_networks.Ours(case, devices.mesh(1))
    layers = ours.layers(2)
    grid = np.asarray(ours.grid, np.float64).reshape(-1, 2)
    values = np.asarray(ours.evaluate(ours.draw())).reshape(len(ours.networks), -1)
    for network in range(2):
        h = grid
        for kernel, bias in layers[:-1]:
            h = np.tanh(h @ kernel[network] + bias[network])
        expected = (h @ layers[-1][0][network])[:, 0] + layers[-1][1][network]
        np.testing.assert_allclose(values[network], expected, rtol=2e-4, atol=1e-5)


def test_no_ratio_of_programs_that_differ():
    ours = {n: np.asarray([0.2, 5.0, 130.0]) for n in random_networks.MEASURES}
    assert random_networks.agree(ours, ours)
    assert not random_networks.agree(ours, ours | {"lz76": ours["lz76"] + 1})
    assert not random_networks.agree(ours, ours | {"fourier": ours["fourier"] * 1.01})


def test_the_table_keeps_earlier_rows(tmp_path):
    path = tmp_path / "results" / "table.csv"
    machine.write([{"a": 1, "b": 0.123456}], path)
    machine.write([{"a": 2, "c": "new"}], path)
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows == [
        {"a": "1", "b": "0.1235", "c": ""},
        {"a": "2", "b": "", "c": "new"},
    ]


def test_flops_are_those_of_the_products():
    case = random_networks.Case(activation="relu")
    # Four hidden layers of 64 on 64 x 64 points, as the plan of the benchmark says.
    assert case.flops == pytest.approx(102.2e6, rel=0.01)


def test_the_yardsticks_are_positive():
    mesh = devices.mesh(1)
    assert machine.matmul_rate(mesh, size=64) > 0
    assert machine.copy_rate(mesh, megabytes=1) > 0
    assert machine.peak_memory() > 2**20


@pytest.mark.parametrize(
    ("model", "published"),
    # Multiplications of the papers and of timm, twice: an addition counts too.
    [("resnet18_cifar", 2 * 0.556e9), ("vit_tiny", 2 * 1.26e9)],
)
def test_flops_of_image_models_are_the_published_ones(model, published):
    found = training.forward_flops(training.CASES[model])
    assert found == pytest.approx(published, rel=0.02)


def test_steps_of_image_models_are_timed():
    case = training.Case(model="cnn4", batch=2, classes=3)
    ours = training.Ours(case)
    found = ours.compile()
    assert found["compile_s"] > 0 and found["program_memory_mb"] > 0
    times = training.alternated({"ours": ours.step}, seconds=0)["ours"]
    assert len(times) == 5 and min(times) > 0


def test_photographs_are_read_by_every_reader(tmp_path):
    reading.write_files(tmp_path, 70)
    found = reading.readers(tmp_path)
    for (_, reader), read in found.items():
        # Workers take seconds to start; Grain leaves out a batch that is not full.
        if reader != "grain processes":
            assert read() == (64 if "grain" in reader else 70)


def test_transforms_are_timed_beside_the_other_side():
    from benchmarks import transform_baselines, transforms

    pixels = transforms.pictures(32, 4)
    ours = transforms.cases(32, len(pixels))
    others = transform_baselines.baselines(32)
    # What has a side of its own is measured under the same name.
    assert {n for n in others if not n.endswith("-32")} <= set(ours)
    for name in ("mean-rgb", "jitter-1.0"):
        row = transforms.measure(
            name, ours[name], pixels, rounds=2, copy=1e9, other=others[name]
        )
        assert row["images_per_s"] > 0 and row["ratio"] > 0 and row["compile_s"] > 0
        assert ("difference" in row) == (name == "mean-rgb")
        assert row.get("difference", 0) < 1e-6


def test_a_training_here_is_that_of_what_the_other_side_gets():
    """One step of Adam moves each weight by the rate, against its gradient."""
    config = Config(
        activations=("tanh",), prefactors=(0.5, 2.0), width=4, depth=2, integers=4
    )
    mesh = devices.mesh(1)
    given = trainings.drawn(config, 2, jax.random.key(0))
    ours = trainings.Ours(config, given, mesh)
    ours.compile(1)
    ours.seconds()
    sent = ours.sent()
    rate, small = config.learning_rate, 1e-6

    def loss(weights, number):
        h = sent["x"][number].astype(np.float64)
        for kernel, bias in zip(weights[:-2:2], weights[1:-2:2], strict=True):
            h = np.tanh((h @ kernel + bias) * sent["prefactors"][number])
        logits = (h @ weights[-2] + weights[-1])[:, 0]
        y = sent["y"][number]
        return np.mean(np.logaddexp(0, logits) - y * logits)

    for number in range(2):
        start = [np.asarray(w[number], np.float64) for w in sent["weights"]]
        stepped = [w.copy() for w in start]
        for leaf, weights in enumerate(start):
            for place in np.ndindex(weights.shape):
                moved = [w.copy() for w in start]
                moved[leaf][place] += small
                slope = (loss(moved, number) - loss(start, number)) / small
                stepped[leaf][place] -= rate * np.sign(slope)
        assert ours.losses[number] == pytest.approx(loss(stepped, number), rel=1e-4)


def test_generators_are_timed_beside_the_other_side():
    asked = []

    def ask(task, **request):
        asked.append((task, request["count"]))
        return request["count"] * 0.01

    row = generators.image_row("coloured-noise", 16, devices.mesh(2), ask, 2, 1e9)
    assert row["released images_per_s"] == pytest.approx(100)
    # One for each core to see how long they take, then turns of more than a second.
    assert [count for _, count in asked[1:]] == [150, 150] and asked[0][1] < 150
    assert row["ratio"] == pytest.approx(row["images_per_s"] / 100, rel=0.6)
    assert generators.image_row("coloured-noise", 16, devices.mesh(1), None, 1, 1e9)


@pytest.mark.parametrize(
    "kind",
    [
        "cdcgan",
        pytest.param("edm", marks=pytest.mark.slow),
        pytest.param("stylegan2", marks=pytest.mark.slow),
    ],
)
def test_generators_of_images_are_the_same_on_both_sides(kind):
    pytest.importorskip("torch")
    from dataclasses import replace

    from benchmarks import image_generators
    from jaxbias.studies.generative_augmentation.generator.config import PRESETS

    config = replace(PRESETS[kind]["smoke"], width=8, batch=4, steps=3)
    if kind == "edm":
        config = replace(config, factors=(2,))
    if kind == "stylegan2":
        config = replace(image_generators.unaugmented(config), average=10.0)
    case = image_generators.case("smoke", config, 3)
    rows = image_generators.rows_of(case, 0, 1e9, forms=("eager", "contiguous"))
    assert [row["part"] for row in rows] == ["training", "sampling"]
    for row in rows:
        assert row["difference"] < 1e-4 and row["ratio"] > 0 < row["share_of_matmul"]
        assert row["ours_images_per_s"] > 0 < row["contiguous_images_per_s"]


@pytest.mark.parametrize(
    "job",
    [
        # Of the mixture a whole batch of trials is computed, however few are wanted.
        pytest.param(job, marks=[pytest.mark.slow] * (job == "gaussian-mixture"))
        for job in scaling_worker.JOBS
    ],
)
def test_a_device_has_as_much_work_whatever_their_number(job, monkeypatch):
    monkeypatch.setattr(devices, "start", lambda **options: None)
    worker = scaling_worker.Worker()
    found = worker.begin(job, jax.device_count(), 1e-9)
    assert found["items"] == jax.device_count() and found["first_call_s"] > 0
    assert found["where"]["device"].startswith(f"{jax.device_count()} x ")
    turn = worker.timed()
    assert turn["seconds"] > 0 and turn["processor"] > 0


def test_efficiency_is_held_against_what_the_cores_allow(monkeypatch):
    class Side:
        def __init__(self, module):
            assert module == scaling.WORKER

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def ask(self, task, **request):
            if task == "begin":
                self.count = request["count"]
                where = {"device": "x", "cores": 2}
                found = {"items": 8 * self.count, "unit": "trials", "where": where}
                return found | {"first_call_s": 9.0}
            if task == "memory":
                return 2**20 * self.count
            # One device uses half a core more than it has to itself.
            return {"seconds": 1.0 * self.count, "processor": 1.5}

    monkeypatch.setattr(scaling, "OtherSide", Side)
    rows = list(scaling.measured("gaussian-mixture", [1, 2, 4], 3, 1.0))
    assert [row["trials_per_s"] for row in rows] == [8, 8, 8]
    assert [row["efficiency"] for row in rows] == [1, 1 / 2, 1 / 4]
    limits = [1, 2 / 3, 1 / 3]
    assert [row["efficiency_limit"] for row in rows] == pytest.approx(limits)
    assert [row["share_of_cores"] for row in rows] == pytest.approx([1, 3 / 4, 3 / 4])
    assert [row["peak_memory_mb"] for row in rows] == [1, 2, 4]
    cells = command.cells("scaling", {k: f"{v}" for k, v in rows[1].items()})
    assert cells[1] == "case gaussian-mixture, devices 2" and cells[3] == "8.0 trials/s"
    assert cells[4].startswith("efficiency 0.5; efficiency_limit 0.666")


def test_every_benchmark_is_listed_with_its_time(capsys):
    assert command.main(["--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    modules = {
        path.stem: importlib.import_module(f"benchmarks.{path.stem}")
        for path in command.HERE.glob("[!_]*.py")
        if "def main(" in path.read_text()
    }
    assert [line.split()[0] for line in lines] == sorted(modules)
    for line, (_, module) in zip(lines, sorted(modules.items()), strict=True):
        assert callable(module.main) and module.__doc__.splitlines()[0] in line
        assert line.endswith(" on two cores)")


def test_help_and_list_import_neither_jax_nor_a_benchmark():
    for option in ("--help", "--list"):
        code = (
            f"import runpy, sys; sys.argv[1:] = [{option!r}]\n"
            "try: runpy.run_module('benchmarks', run_name='__main__', alter_sys=True)\n"
            "except SystemExit as stop: assert stop.code in (None, 0)\n"
            "assert not {'jax', 'numpy', 'benchmarks.machine'} & set(sys.modules)"
        )
        subprocess.run(
            [sys.executable, "-c", code], cwd=command.HERE.parent, check=True
        )


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["transforms", "speed"], "error: no benchmark speed: one of bias_probes, "),
        (["--markdown", "nowhere"], "error: --markdown: no CSV files in nowhere"),
        (["--fast"], "error: unrecognized arguments: --fast"),
    ],
)
def test_what_is_not_usable_is_one_line_and_exit_2(argv, said, capsys):
    with pytest.raises(SystemExit) as stop:
        command.main(argv)
    err = capsys.readouterr().err
    assert stop.value.code == 2 and err.startswith(said) and err.count("\n") == 1


def test_named_benchmarks_run_in_turn_and_a_failure_is_told(monkeypatch, capsys):
    ran = []

    def run(argv, **_):
        ran.append(argv[1:])
        return subprocess.CompletedProcess(argv, int("transforms" in argv[-1]))

    monkeypatch.setattr(command.subprocess, "run", run)
    assert command.main(["random-networks"]) == 0
    assert command.main(["transforms", "generation"]) == 1
    names = ("random_networks", "transforms", "generation")
    assert ran == [["-m", f"benchmarks.{name}"] for name in names]
    assert "failed: transforms" in capsys.readouterr().err


def test_the_table_has_a_row_for_each_that_was_measured(capsys):
    assert command.main(["--markdown"]) == 0
    header, rule, *lines = capsys.readouterr().out.splitlines()
    assert header.count("|") == rule.count("|") == len(command.HEADINGS) + 1
    shown = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    place = 0
    for path in sorted(machine.RESULTS.glob("*.csv")):
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                found = dict(zip(command.HEADINGS, shown[place], strict=True))
                place += 1
                assert path.stem.startswith(found["benchmark"]) and found["measured"]
                assert found["on"].startswith(row["device"]) and found["speed"]
                for column, value in row.items():
                    if value and column.startswith("ratio"):
                        assert value in found["ratio to the peer"]
                    if value and column in ("share_of_matmul", "share_of_normals"):
                        assert value in found["ratio to the machine's limit"]
                    if value and column.endswith("memory_mb"):
                        assert value in found["memory, MB"]
    assert place == len(shown) > 250
