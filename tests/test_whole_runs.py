"""Whole runs as processes: killed, resumed, on other devices, over two processes."""

import hashlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import CACHE

ROOT = Path(__file__).parents[1]
TINY = (
    *("--preset", "smoke", "--parts", "heatmaps", "--activations", "relu", "tanh"),
    *("--weight-scales", "1", "8", "--depths", "1", "2", "--resolution", "16"),
    *("--width", "8", "--measures", "fourier", "lz76", "--quiet"),
)


def _start(out: Path, *options: str, **environment: str) -> subprocess.Popen:
    cache = {"XDG_CACHE_HOME": f"{CACHE}-runs"}
    command = [sys.executable, "-m", "experiments.neural_redshift", *TINY, *options]
    return subprocess.Popen(
        [*command, "--out", str(out)],
        cwd=ROOT,
        env=os.environ | cache | environment,
        stderr=subprocess.PIPE,
        text=True,
    )


def _finish(process: subprocess.Popen) -> tuple[int, str]:
    _, errors = process.communicate(timeout=200)
    return process.returncode, errors


def _digest(out: Path) -> str:
    return hashlib.sha256((out / "results.parquet").read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> tuple[str, float]:
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    began = time.monotonic()
    code, errors = _finish(_start(out, "--n-networks", "2000"))
    assert code == 0, errors
    return _digest(out), time.monotonic() - began


def _kill_and_resume(out: Path, undisturbed: tuple[str, float], kills: int) -> None:
    expected, seconds = undisturbed
    moments = random.Random(kills)
    for _ in range(kills):
        process = _start(out, "--n-networks", "2000")
        try:
            process.communicate(timeout=moments.uniform(0.3, 0.9) * seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
    code, errors = _finish(_start(out, "--n-networks", "2000"))
    assert code == 0, errors
    assert _digest(out) == expected


def test_a_killed_run_resumes_to_the_same_bytes(tmp_path, undisturbed):
    _kill_and_resume(tmp_path / "run", undisturbed, kills=3)


@pytest.mark.slow
def test_a_run_killed_ten_times_resumes_to_the_same_bytes(tmp_path, undisturbed):
    _kill_and_resume(tmp_path / "run", undisturbed, kills=10)


@pytest.mark.parametrize("devices", ["1", "4"])
def test_devices_and_hash_seeds_do_not_change_a_byte(tmp_path, undisturbed, devices):
    options = ("--n-networks", "2000", "--cpu-devices", devices)
    code, errors = _finish(_start(tmp_path / "run", *options, PYTHONHASHSEED=devices))
    assert code == 0, errors
    assert _digest(tmp_path / "run") == undisturbed[0]


def test_two_processes_give_the_bytes_of_one(tmp_path, undisturbed):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    cluster = ("--distributed", "--coordinator", f"localhost:{port}")
    processes = [
        _start(
            tmp_path / "run",
            *("--n-networks", "2000", "--cpu-devices", "1", "--num-processes", "2"),
            *cluster,
            *("--process-id", str(number)),
        )
        for number in (0, 1)
    ]
    for process in processes:
        code, errors = _finish(process)
        assert code == 0, errors
    assert _digest(tmp_path / "run") == undisturbed[0]


def _wait_for_the_lock(out: Path) -> None:
    deadline = time.monotonic() + 60
    while not (out / "manifest.json").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_an_interrupted_run_says_how_to_go_on(tmp_path, stop):
    process = _start(tmp_path / "run", "--n-networks", "1000000")
    _wait_for_the_lock(tmp_path / "run")
    time.sleep(0.5)
    process.send_signal(stop)
    code, errors = _finish(process)
    assert code == 130
    assert "the same command resumes" in errors and "Traceback" not in errors


def test_a_second_process_is_turned_away(tmp_path):
    first = _start(tmp_path / "run", "--n-networks", "1000000")
    try:
        _wait_for_the_lock(tmp_path / "run")
        code, errors = _finish(_start(tmp_path / "run", "--n-networks", "1000000"))
        assert code == 3
        assert errors.count("\n") == 1 and str(first.pid) in errors
    finally:
        first.kill()
        first.communicate()
