"""The command line: what it refuses and how, its help, and the life of a run."""

import contextlib
import errno
import importlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import pytest

import jaxbias
from jaxbias import cli
from jaxbias.runs import BusyError, UsageError
from jaxbias.studies import neural_redshift
from jaxbias.studies.neural_redshift.random_networks import (
    experiment as random_networks,
)

ROOT = Path(jaxbias.__file__).resolve().parents[1]
PROGRAM = "python -m experiments.neural_redshift"
SECONDS = 10
"""Much more than a refusal takes, for machines that do other things too."""


@pytest.fixture(autouse=True)
def terminate():
    """`guarded` takes over the process's signal; give it back."""
    handler = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, handler)


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """Run a command in this process, in an empty folder, on the devices there are."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli, "_start", lambda options: None)

    def run(*argv, main=False):
        if main:
            code = cli.guarded(lambda: cli._main(argv))
        else:
            code = cli.guarded(lambda: cli._run_study("neural_redshift", argv, PROGRAM))
        out, err = capsys.readouterr()
        return code, out, err

    return run


def process(*argv, path=(), **environment):
    """Run a command in a process of its own."""
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "experiments.neural_redshift", *argv],
        env=os.environ
        | {
            "PYTHONPATH": os.pathsep.join([*map(str, path), str(ROOT)]),
            "XDG_CACHE_HOME": str(jax.config.jax_compilation_cache_dir),
        }
        | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done, time.monotonic() - began


def assert_one_line(err, *parts):
    assert err.startswith("error: ") and err.endswith("\n"), err
    assert err.count("\n") == 1 and "\x1b" not in err, err
    assert err.isascii() or "─" not in err
    for part in parts:
        assert part in err


# Refusals

REFUSED = [
    # Not numbers, or not whole ones
    ("--n-networks three", "--n-networks", "'three'"),
    ("--n-networks 1.5", "--n-networks", "'1.5'"),
    ("--n-networks 1e3", "--n-networks", "'1e3'"),
    ("--n-networks", "--n-networks", "1 value"),
    ("--n-networks 3 4", "4"),
    ("--depths 1 x", "--depths", "'x'"),
    ("--weight-scales a", "--weight-scales", "'a'"),
    ("--seed x", "--seed", "'x'"),
    ("--cpu-devices x", "--cpu-devices", "'x'"),
    ("--degree nan", "--degree", "'nan'"),
    ("--quiet yes", "yes"),
    # Out of range
    ("--depths 0", "--depths", "> 0", "got 0"),
    ("--depths 1 -2", "--depths", "> 0", "got -2"),
    ("--depths 1001", "--depths", "at most 1000"),
    ("--n-networks -3", "--n-networks", "> 0", "got -3"),
    ("--n-networks 0", "--n-networks", "> 0"),
    ("--n-networks 1000000000", "--n-networks", "at most 100000000"),
    ("--n-networks 5000000", "--n-networks", "at most 100,000,000"),
    (f"--n-networks {10**400}", "--n-networks"),
    ("--weight-scales nan", "--weight-scales", "> 0", "nan"),
    ("--weight-scales -1", "--weight-scales", "> 0", "got -1.0"),
    ("--weight-scales 1 0", "--weight-scales", "> 0", "got 0.0"),
    ("--weight-scales inf", "--weight-scales", "1e-37 to 1e+38", "inf"),
    ("--weight-scales 1e300", "--weight-scales", "1e-37 to 1e+38"),
    ("--weight-scales 1e-300", "--weight-scales", "1e-37 to 1e+38"),
    ("--control-scales nan", "--control-scales", "> 0"),
    ("--bias-ranges -1", "--bias-ranges", "> 0"),
    ("--prefactor nan", "--prefactor", "> 0"),
    ("--gaussian-width 0", "--gaussian-width", "> 0"),
    ("--curve-depth 0", "--curve-depth", "> 0"),
    ("--control-depth 1001", "--control-depth", "at most 1000"),
    ("--width 0", "--width", "> 0"),
    ("--width 99999999", "--width", "at most 16384"),
    ("--widths 0", "--widths", "> 0"),
    ("--resolution 3", "--resolution", "at least 4"),
    ("--resolution 5000", "--resolution", "at most 4096"),
    ("--resolutions 3", "--resolutions", "4"),
    ("--input-dim 0", "--input-dim", "> 0"),
    ("--input-dim 5000", "--input-dim", "at most 1000"),
    ("--planes 0", "--planes", "> 0"),
    ("--planes 1000000000", "--planes", "at most 1000"),
    ("--levels 1", "--levels", "at least 2"),
    ("--levels 257", "--levels", "at most 256"),
    ("--seed 4294967296", "--seed", "0 to 4294967295"),
    ("--seed -1", "--seed", "0 to 4294967295"),
    ("--degree 0", "--degree", "at least 1"),
    ("--degree -1", "--degree", "at least 1"),
    ("--cpu-devices 0", "--cpu-devices", "1 to "),
    ("--cpu-devices 100000", "--cpu-devices", "1 to "),
    # Unknown names
    ("--depth 0", "--depth", "perhaps --depths?"),
    ("--unknown 3", "--unknown"),
    ("extra", "'extra'", "random-networks"),
    ("--preset full", "--preset", "smoke, quick, paper", "'full'"),
    ("--preset", "--preset"),
    ("--setting mine", "--setting", "paper, author_code", "'mine'"),
    ("--setting", "--setting"),
    ("--parts maps", "--parts", "heatmaps", "'maps'"),
    ("--activations rely", "--activations", "relu", "'rely'"),
    ("--activations jax.nn.rely", "--activations", "relu", "'jax.nn.rely'"),
    ("--activations no.such.module", "--activations", "relu"),
    ("--activations ..relu", "--activations"),
    ("--controls rely", "--controls", "relu", "'rely'"),
    ("--variants odd", "--variants", "layer_norm", "'odd'"),
    ("--prior flat", "--prior:", "glorot_uniform", "'flat'"),
    ("--priors flat", "--priors:", "glorot_uniform", "'flat'"),
    ("--measures fourrier", "--measures", "fourier", "fourrier"),
    ("--traversal zigzag", "--traversal", "hilbert", "'zigzag'"),
    ("--fourier-binning odd", "--fourier-binning", "radial", "'odd'"),
    ("--polynomial-order odd", "--polynomial-order", "euclid", "'odd'"),
    # Functions that are no activations
    ("--activations os.getcwd", "--activations", "os.getcwd"),
    ("--activations json.dumps", "--activations", "json.dumps"),
    ("--activations jax.numpy.sum", "--activations", "shape"),
    ("--activations jax.numpy.isnan", "--activations", "type"),
    ("--controls jax.nn.one_hot", "--controls", "jax.nn.one_hot"),
    # Lists
    ("--activations", "--activations", "at least one"),
    ("--weight-scales", "--weight-scales", "at least one"),
    ("--parts", "--parts", "at least one"),
    ("--measures", "--measures", "at least one"),
    ("--depths 1 2 1", "--depths", "twice"),
    ("--weight-scales 1 1.0", "--weight-scales", "twice"),
    ("--activations relu relu", "--activations", "twice"),
    ("--variants plain plain", "--variants", "twice"),
    ("--measures lz76 lz76", "--measures", "twice"),
    ("--controls tanh tanh", "--controls", "twice"),
    # Settings that do not go together
    ("--resolution 8 --degree 20", "--degree", "20", "at most 7"),
    ("--traversal hilbert --resolution 24", "--traversal", "power of two", "24"),
    ("--traversal hilbert --resolutions 64 48", "--traversal", "power of two", "48"),
    ("--traversal snake --input-dim 3", "--traversal", "two dimensions", "3"),
    ("--traversal hilbert --input-dim 3", "--traversal", "two dimensions", "3"),
    ("--parts samples", "--parts", "heatmaps"),
    ("--parts unbiased --input-dim 4", "--parts", "heatmaps"),
    ("--coordinator localhost:1", "--coordinator", "--distributed"),
    ("--num-processes 2", "--num-processes", "--distributed"),
    ("--process-id 0", "--process-id", "--distributed"),
    ("--distributed --num-processes 2", "--coordinator", "all three"),
]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case[0][:40])
def test_bad_values_are_refused_in_one_line(command, tmp_path, case):
    line, *parts = case
    code, out, err = command(*line.split())
    assert (code, out) == (2, "")
    assert_one_line(err, *parts)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("count", "number"), [(0, 0), (-1, 0), (2, 2), (2, -1)])
def test_process_numbers_are_checked(command, count, number):
    argv = f"--coordinator localhost:1 --num-processes {count} --process-id {number}"
    code, out, err = command("--distributed", *argv.split())
    assert (code, out) == (2, "")
    assert_one_line(err, "--num-processes" if count < 1 else "--process-id")


def test_a_bad_value_beside_another_preset_is_still_found(command):
    for argv in ("--preset smoke --depths 0", "--setting=author_code --depths 0"):
        code, _, err = command(*argv.split())
        assert code == 2
        assert_one_line(err, "--depths")


def test_the_jaxbias_command_refuses_alike(command, tmp_path):
    for argv, parts in (
        (["no_study"], ["'no_study'", "neural_redshift", "report"]),
        (["neural_redshift", "--depths", "0"], ["--depths", "> 0"]),
        (["report"], ["runs", "--out"]),
        (["report", "there"], ["--out"]),
        (["report", "there", "--out", "here"], ["there"]),
        (["report", "there", "--out", "here", "--odd"], ["--odd"]),
    ):
        code, out, err = command(*argv, main=True)
        assert (code, out) == (2, "")
        assert_one_line(err, *parts)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def without_jax(tmp_path_factory):
    """A folder that, first on the path, makes any import of JAX an error."""
    folder = tmp_path_factory.mktemp("path")
    for package in ("jax", "flax"):
        (folder / f"{package}.py").write_text("raise AssertionError('imported')\n")
    return folder


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("--depths 0 --out here", "--depths"),
        ("--weight-scales nan --out here --overwrite", "--weight-scales"),
        ("--process-id 1", "--distributed"),
    ],
)
def test_a_process_refuses_values_at_once_and_without_jax(
    tmp_path, without_jax, monkeypatch, line, part
):
    monkeypatch.chdir(tmp_path)
    done, seconds = process(*line.split(), path=[without_jax])
    assert (done.returncode, done.stdout) == (2, "")
    assert_one_line(done.stderr, part)
    assert seconds < SECONDS
    assert list(tmp_path.iterdir()) == []


def test_a_process_refuses_names_before_it_makes_its_folder(tmp_path):
    out = tmp_path / "deep" / "run"
    done, seconds = process("--activations", "rely", "--out", str(out))
    assert (done.returncode, done.stdout) == (2, "")
    assert_one_line(done.stderr, "--activations", "relu")
    assert seconds < SECONDS
    assert list(tmp_path.iterdir()) == []


def test_an_ascii_terminal_gets_the_same_line():
    done, _ = process("--parts", "maps", PYTHONIOENCODING="ascii")
    assert done.returncode == 2
    assert_one_line(done.stderr, "--parts", "'heatmaps'")
    assert "---" not in done.stderr


def test_a_colour_terminal_gets_the_same_line():
    terminal, end = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-m", "experiments.neural_redshift", "--depth", "3"],
        env=os.environ | {"PYTHONPATH": str(ROOT), "TERM": "xterm-256color"},
        stdin=end,
        stdout=end,
        stderr=end,
    )
    os.close(end)
    shown = b""
    with contextlib.suppress(OSError):  # So a terminal ends on Linux.
        while piece := os.read(terminal, 4096):
            shown += piece
    os.close(terminal)
    assert child.wait(timeout=60) == 2
    text = shown.decode().replace("\r\n", "\n")
    assert_one_line(text, "--depth", "perhaps --depths?")


# Help


def test_help_lists_the_experiments(command):
    for argv in (["--help"], ["-h"]):
        code, out, err = command(*argv)
        assert (code, err) == (0, "")
        for name, (_, line) in neural_redshift.EXPERIMENTS.items():
            (found,) = [row for row in out.splitlines() if row.startswith(f"  {name} ")]
            assert line in found
            assert ("(default)" in found) == (name == neural_redshift.DEFAULT)
        assert PROGRAM in out


def test_help_of_the_whole_lists_the_studies(command):
    for argv in ([], ["--help"]):
        code, out, err = command(*argv, main=True)
        assert (code, err) == (0, "")
        assert "neural_redshift" in out and "report" in out
    code, out, _ = command("neural_redshift", "--help", main=True)
    assert code == 0 and "jaxbias neural_redshift" in out


@pytest.mark.parametrize("setting", random_networks.PRESETS)
@pytest.mark.parametrize("preset", cli.PRESETS)
def test_help_of_an_experiment_shows_the_defaults_of_its_preset(
    tmp_path, monkeypatch, capsys, preset, setting
):
    monkeypatch.setenv("COLUMNS", "200")
    argv = ["random-networks", "--preset", preset, "--setting", setting, "--help"]
    with pytest.raises(SystemExit) as stop:
        cli._run_study("neural_redshift", argv, PROGRAM)
    assert not stop.value.code
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    config = random_networks.PRESETS[setting][preset]
    for name, value in (
        ("--depths", " ".join(map(str, config.depths))),
        ("--n-networks", config.n_networks),
        ("--resolution", config.resolution),
        ("--prior", config.prior),
        ("--preset", preset),
    ):
        # From an option's name to its default: no other option in between.
        entry = text.split(f" {name} ", 1)[1].split(" --", 1)[0]
        assert f"(default: {value})" in entry


EXPERIMENTS = [
    (study, name)
    for study, module in cli.STUDIES.items()
    for name in importlib.import_module(module).EXPERIMENTS
]


@pytest.mark.parametrize(("study", "name"), EXPERIMENTS)
def test_every_experiment_fits_the_house(capsys, tmp_path, monkeypatch, study, name):
    monkeypatch.chdir(tmp_path)
    described = importlib.import_module(cli.STUDIES[study])
    module = importlib.import_module(described.EXPERIMENTS[name][0])
    assert described.DEFAULT in described.EXPERIMENTS and described.TITLE
    several = hasattr(module, "PRESETS_BY")
    presets = module.PRESETS.values() if several else [module.PRESETS]
    for by_name in presets:
        assert tuple(by_name) == cli.PRESETS
        for config in by_name.values():
            module.check_values(config)
    assert cli.guarded(lambda: cli._run_study(study, [name, "--seed", "-1"], "x")) == 2
    assert_one_line(capsys.readouterr().err, "--seed")
    script = Path(cli.__file__).parents[1] / "experiments" / f"{study}.py"
    assert f'run_study("{study}")' in script.read_text()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("study", "name"), EXPERIMENTS)
def test_every_experiment_is_described_without_jax(without_jax, study, name):
    code = f"from jaxbias import cli; cli._run_study({study!r}, [{name!r}, '-h'], 'x')"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(without_jax), str(ROOT)])},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "--seed" in done.stdout and "--coordinator" in done.stdout


TIME = r"(\d s\b|seconds?\b|minutes?\b|hours?\b|days?\b|wants (a GPU|GPUs|one)\b)"


@pytest.mark.parametrize(("study", "name"), EXPERIMENTS)
def test_help_says_how_long_each_preset_takes_and_what_is_published(study, name):
    described = importlib.import_module(cli.STUDIES[study])
    module = importlib.import_module(described.EXPERIMENTS[name][0])
    text = " ".join(module.__doc__.split())
    for preset in cli.PRESETS:
        # From the preset's name to a time, with no other preset or sentence between.
        others = rf"\b({'|'.join(cli.PRESETS)})\b|\.\s[A-Z]"
        assert re.search(rf"(?<!the )\b{preset}\b((?!{others}).)*?{TIME}", text), preset
    assert "ublished" in text


def test_help_needs_no_jax(without_jax):
    done, seconds = process("random-networks", "--help", path=[without_jax])
    assert (done.returncode, done.stderr) == (0, "")
    assert "--weight-scales" in done.stdout and "--coordinator" in done.stdout
    assert seconds < SECONDS


# The life of a run


@pytest.fixture
def runs(monkeypatch):
    """In place of the experiment: a run that notes its config and writes a little."""
    made = []

    def run(config, directory, reporter):
        made.append(config)
        directory.write_table({"network": [0, 1]})
        verdict = {"outcome": "not judged", "claim": "a claim", "source": "Fig. 1"}
        directory.write_verdicts([verdict | {"here": "too few"}])

    monkeypatch.setattr(random_networks, "run", run)
    return made


def manifest(folder):
    return json.loads((folder / "manifest.json").read_text())


def test_a_run_leaves_a_manifest_of_what_was_done(command, runs, tmp_path):
    code, out, err = command("--preset", "smoke", "--seed", "7", "--out", "here")
    assert (code, err) == (0, "")
    (config,) = runs
    assert config.seed == 7
    for part in ("random-networks, smoke, in here", "a claim", "Fig. 1", "too few"):
        assert part in out
    assert "0 reproduced, 0 not reproduced, 1 not judged" in out
    found = manifest(tmp_path / "here")
    assert (found["study"], found["experiment"]) == (
        "neural_redshift",
        "random-networks",
    )
    assert found["status"] == "done" and found["seed"] == 7
    assert found["config"] == cli.plain(config)
    assert found["environment"]["device"]["devices"] == jax.device_count()
    timings = found["timings"]
    parts = timings["compile_seconds"] + timings["run_seconds"]
    assert timings["total_seconds"] == pytest.approx(parts, abs=0.01)


def test_a_finished_run_prints_its_result_and_computes_nothing(command, runs, tmp_path):
    _, first, _ = command("--out", "here")
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "here").rglob("*")}
    code, again, err = command("--out", "here")
    assert (code, err) == (0, "") and len(runs) == 1
    assert "here is finished; its result:" in again
    result = first[first.index("┏") :]
    assert again.endswith(result) and "a claim" in result
    assert before == {p: p.stat().st_mtime_ns for p in (tmp_path / "here").rglob("*")}


def test_quiet_prints_nothing(command, runs):
    for _ in range(2):
        assert command("--out", "here", "--quiet") == (0, "", "")
    assert len(runs) == 1


def test_another_config_is_refused_naming_the_fields(command, runs, tmp_path):
    command("--preset", "smoke", "--out", "here")
    before = (tmp_path / "here" / "manifest.json").read_bytes()
    argv = "--preset smoke --out here --seed 1 --depths 1 2 --levels 5"
    code, out, err = command(*argv.split())
    assert (code, out) == (2, "")
    assert_one_line(err, "here", "seed: there 0, here 1", "depths: there [1, 3, 6]")
    assert "levels: there 10, here 5" in err and "width" not in err
    assert (tmp_path / "here" / "manifest.json").read_bytes() == before
    assert len(runs) == 1


def test_overwrite_starts_anew(command, runs, tmp_path):
    command("--out", "here")
    code, out, err = command("--out", "here", "--seed", "1", "--overwrite")
    assert (code, err) == (0, "") and "finished" not in out
    assert [config.seed for config in runs] == [0, 1]
    assert manifest(tmp_path / "here")["config"]["seed"] == 1


def test_the_same_settings_under_another_preset_are_the_same_run(command, runs):
    command("--preset", "smoke", "--out", "here")
    smoke = random_networks.PRESETS["paper"]["smoke"]
    argv = []
    for name in ("weight_scales", "depths", "n_networks", "widths", "resolutions"):
        value = getattr(smoke, name)
        values = value if isinstance(value, tuple) else (value,)
        argv += [f"--{name.replace('_', '-')}", *map(str, values)]
    code, out, _ = command("--out", "here", *argv)
    assert code == 0 and "finished" in out and len(runs) == 1


def test_the_default_folder_is_the_same_for_the_same_settings(command, runs, tmp_path):
    for _ in range(2):
        command("--preset", "smoke")
    (first,) = (tmp_path / "runs" / "neural_redshift").iterdir()
    assert first.name.startswith("random-networks-") and len(runs) == 1
    command("random-networks", "--preset", "smoke", "--seed", "1")
    command("random-networks", "--preset", "smoke", "--activations", "tanh", "relu")
    command("--preset", "quick")
    folders = {p.name for p in (tmp_path / "runs" / "neural_redshift").iterdir()}
    assert len(folders) == 4 and len(runs) == 4
    config = random_networks.PRESETS["paper"]["smoke"]
    found = cli.default_directory("neural_redshift", "random-networks", config)
    assert tmp_path / found == first


def test_the_default_folder_is_the_same_in_every_process():
    code = (
        "from jaxbias import cli\n"
        "from jaxbias.studies.neural_redshift.random_networks.config import PAPER\n"
        "print(cli.default_directory('neural_redshift', 'random-networks', PAPER))\n"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1


def test_every_option_reaches_the_experiment(command, runs):
    argv = (
        "--parts heatmaps width --activations sine jax.nn.softplus --variants gated "
        "--weight-scales 0.25 3 --depths 2 5 --width 9 --resolution 10 --n-networks 11 "
        "--measures lzw --seed 12 --prior uniform --curve-depth 13 --controls sine "
        "--control-scales 1.5 --control-depth 14 --widths 15 --priors glorot_ball "
        "--bias-ranges 0.125 --resolutions 16 --input-dim 3 --planes 17 --prefactor 0.5 "
        "--gaussian-width 2 --fourier-binning author --degree 3 "
        "--polynomial-order euclid --levels 18 --traversal row --setting author_code"
    )
    assert command(*argv.split())[0] == 0
    assert runs == [
        random_networks.Config(
            setting="author_code",
            parts=("heatmaps", "width"),
            activations=("sine", "jax.nn.softplus"),
            variants=("gated",),
            weight_scales=(0.25, 3.0),
            depths=(2, 5),
            width=9,
            resolution=10,
            n_networks=11,
            measures=("lzw",),
            seed=12,
            prior="uniform",
            curve_depth=13,
            controls=("sine",),
            control_scales=(1.5,),
            control_depth=14,
            widths=(15,),
            priors=("glorot_ball",),
            bias_ranges=(0.125,),
            resolutions=(16,),
            input_dim=3,
            planes=17,
            prefactor=0.5,
            gaussian_width=2.0,
            fourier_binning="author",
            degree=3,
            polynomial_order="euclid",
            levels=18,
            traversal="row",
        )
    ]


@pytest.mark.parametrize(
    ("error", "code", "line", "status"),
    [
        (
            UsageError("the data is not there"),
            2,
            "error: the data is not there",
            "failed",
        ),
        (BusyError("x: in use"), 3, "error: x: in use", "failed"),
        (
            KeyboardInterrupt(),
            130,
            "interrupted; the same command resumes",
            "interrupted",
        ),
        (
            OSError(errno.ENOSPC, "No space left on device", "here/a"),
            1,
            "error: No space left on device (here/a)",
            "failed",
        ),
        (MemoryError("too much\nfor this"), 1, "error: too much", "failed"),
        (MemoryError(), 1, "error: out of memory", "failed"),
        (
            jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: 9 bytes\nmore"),
            1,
            "error: RESOURCE_EXHAUSTED: 9 bytes",
            "failed",
        ),
    ],
)
def test_what_goes_wrong_is_one_line_and_a_code(
    command, monkeypatch, tmp_path, error, code, line, status
):
    def run(config, directory, reporter):
        raise error

    monkeypatch.setattr(random_networks, "run", run)
    found, _, err = command("--out", "here")
    assert (found, err) == (code, line + "\n")
    assert manifest(tmp_path / "here")["status"] == status


def test_a_bug_is_shown_with_its_traceback(command, monkeypatch, tmp_path):
    def run(config, directory, reporter):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(random_networks, "run", run)
    with pytest.raises(ZeroDivisionError):
        command("--out", "here")
    found = manifest(tmp_path / "here")
    assert (found["status"], found["error"]) == ("failed", "ZeroDivisionError: a bug")


def test_a_failed_run_is_taken_up_again(command, runs, monkeypatch, tmp_path):
    def failing(config, directory, reporter):
        raise UsageError("not yet")

    with monkeypatch.context() as patch:
        patch.setattr(random_networks, "run", failing)
        assert command("--out", "here")[0] == 2
    code, out, _ = command("--out", "here")
    assert code == 0 and len(runs) == 1 and "finished" not in out
    found = manifest(tmp_path / "here")
    assert found["status"] == "done" and "error" not in found
    assert len(found["sessions"]) == 2


def test_a_termination_signal_is_an_interruption(capsys):
    code = cli.guarded(lambda: os.kill(os.getpid(), signal.SIGTERM) or time.sleep(5))
    assert code == 130
    assert capsys.readouterr().err == "interrupted; the same command resumes\n"


@pytest.mark.parametrize("kind", ["file", "foreign", "below a file"])
def test_an_unusable_folder_is_refused_and_not_touched(command, runs, tmp_path, kind):
    place = tmp_path / "here"
    if kind == "foreign":
        place.mkdir()
    mine = place / "mine.txt" if kind == "foreign" else place
    mine.write_text("mine")
    out = place / "run" if kind == "below a file" else place
    code, _, err = command("--out", str(out), "--overwrite")
    assert code == 2 and runs == []
    assert_one_line(err, str(out))
    assert mine.read_text() == "mine"
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [mine]
