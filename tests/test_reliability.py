"""Whole processes: killed, told to stop, out of disk, two at once, on many devices."""

import random
import resource
import signal
import socket
import time
from pathlib import Path

import pytest
from processes import (
    Command,
    cluster,
    digests,
    manifest,
    no_process_outlives_its_test,  # noqa: F401, a fixture of every test
    said,
)

from jaxbias.files import TEMPORARY
from jaxbias.last_line import LOST
from jaxbias.runs import RunDirectory


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The files of a run that nothing happened to."""
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    code, text, err = Command(out).result()
    assert (code, err) == (0, "")
    assert "640 networks" in text and "2 reproduced" in text
    return digests(out)


def assert_finished(out, undisturbed, *options, **settings):
    """Run until done; the files are then those of an undisturbed run, and no others."""
    code, _, err = Command(out, *options, **settings).result()
    assert (code, err) == (0, "")
    assert digests(out) == undisturbed
    assert manifest(out)["status"] == "done" and not (out / "chunks").exists()


def assert_whole(out, undisturbed):
    """Whatever stands under a final name can be used."""
    if not (out / "manifest.json").exists():
        return
    run = RunDirectory.load(out)
    for name in run.chunk_names():
        chunk = run.load_chunk(name)
        start, stop = map(int, name.split("-"))
        assert chunk is not None
        assert {len(values) for values in chunk.values()} == {stop - start}
    for name, digest in digests(out).items():
        part_of_it = TEMPORARY in name or name == ".lock" or name.startswith("chunks")
        assert part_of_it or digest == undisturbed[name], name


# Killed


def kill_at_a_random_moment(command, moment, chance):
    """Kill while the process starts, while it computes, or while it writes results."""
    if moment == "start":
        time.sleep(chance.uniform(0.1, 1.5))
    elif moment == "sweep":
        there, more = len(command.chunks()), chance.randint(1, 3)
        command.wait_for(lambda: len(command.chunks()) >= there + more)
        time.sleep(chance.uniform(0, 0.04))
    else:
        command.wait_for((command.out / "results.parquet").exists)
        time.sleep(chance.uniform(0, 0.4))
    command.process.send_signal(signal.SIGKILL)
    return command.result()[0]


def assert_survives(tmp_path, undisturbed, moments, seed, **settings):
    chance, codes, begun = random.Random(seed), [], 0
    for moment in moments:
        command = Command(tmp_path / "run", **settings)
        codes.append(kill_at_a_random_moment(command, moment, chance))
        assert_whole(tmp_path / "run", undisturbed)
        begun += (tmp_path / "run" / "manifest.json").exists()
    # A test in which every process was done before it was killed would show nothing.
    assert codes.count(-signal.SIGKILL) >= len(moments) - 1
    assert_finished(tmp_path / "run", undisturbed, **settings)
    assert 1 < len(manifest(tmp_path / "run")["sessions"]) <= begun + 1


def test_killed_at_any_moment_a_run_ends_with_the_same_bytes(tmp_path, undisturbed):
    moments = ["start", "sweep", "sweep", "results"]
    assert_survives(tmp_path, undisturbed, moments, seed=1)


MIXTURE = {"study": "generative_augmentation", "networks": 600}


@pytest.fixture(scope="module")
def mixture(tmp_path_factory):
    """The files of a run of the other study."""
    out = tmp_path_factory.mktemp("mixture") / "run"
    assert Command(out, **MIXTURE).result()[0] == 0
    return digests(out)


@pytest.mark.slow
def test_a_killed_simulation_ends_with_the_same_bytes(tmp_path, mixture):
    moments = ["sweep", "sweep", "results"]
    assert_survives(tmp_path, mixture, moments, seed=2, **MIXTURE)


@pytest.fixture(scope="module")
def longer(tmp_path_factory):
    """The files of a run of five times as many chunks."""
    out = tmp_path_factory.mktemp("longer") / "run"
    assert Command(out, networks=400).result()[0] == 0
    return digests(out)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_killed_ten_times_a_run_ends_with_the_same_bytes(tmp_path, longer, seed):
    moments = random.Random(seed).choices(
        ["start", "sweep", "results"], [2, 6, 2], k=10
    )
    # Once results are written nothing is left to sweep.
    moments.sort(key=lambda moment: moment == "results")
    assert_survives(tmp_path, longer, moments, seed, networks=400)


# Told to stop


@pytest.mark.parametrize(
    "name", [pytest.param("SIGINT", marks=pytest.mark.slow), "SIGTERM"]
)
def test_a_signal_stops_a_run_that_the_same_command_resumes(
    tmp_path, undisturbed, name
):
    out = tmp_path / "run"
    command = Command(out)
    command.wait_for_chunks(2)
    began = time.monotonic()
    command.process.send_signal(getattr(signal, name))
    code, _, err = command.result()
    assert time.monotonic() - began < 5
    assert (code, err) == (130, "interrupted; the same command resumes\n")
    assert manifest(out)["status"] == "interrupted"
    assert len(command.chunks()) >= 2 and not (out / ".lock").exists()
    assert_whole(out, undisturbed)
    if name == "SIGTERM":
        assert_finished(out, undisturbed)


# Two at once


def test_a_second_process_on_the_same_folder_is_refused(tmp_path):
    out = tmp_path / "run"
    first = Command(out, networks=5000)
    first.wait_for_chunks(1)
    code, text, err = Command(out, networks=5000).result()
    assert (code, text) == (3, "")
    holder = f"in use by process {first.process.pid} on {socket.gethostname()}"
    assert err == f"error: {out}: {holder}\n"
    assert first.process.poll() is None, "the first had ended: nothing was tested"
    first.process.send_signal(signal.SIGTERM)
    assert first.result()[0] == 130


# No room


@pytest.mark.parametrize(
    ("limit", "chunks", "file"),
    [
        (300, 2, "chunks"),
        pytest.param(7_000, 0, "results.parquet", marks=pytest.mark.slow),
        pytest.param(40_000, 0, "results.csv", marks=pytest.mark.slow),
    ],
)
def test_a_full_disk_is_one_line_and_what_was_written_stays(
    tmp_path, undisturbed, limit, chunks, file
):
    out = tmp_path / "run"
    command = Command(out)
    if chunks:
        command.wait_for_chunks(chunks)
    resource.prlimit(command.process.pid, resource.RLIMIT_FSIZE, (limit, limit))
    code, _, err = command.result()
    assert code == 1
    *earlier, last = err.splitlines()
    assert last.startswith("error: File too large") and file in last
    # Where even the manifest finds no room, that is said too.
    assert all(line.startswith("WARNING: the end of the run") for line in earlier)
    assert len(command.chunks()) >= max(chunks, 1)
    assert not list(out.rglob(f"{TEMPORARY}*")) and not (out / ".lock").exists()
    assert_whole(out, undisturbed)
    assert_finished(out, undisturbed)


@pytest.mark.parametrize("place", ["a file", "/proc/jaxbias-run"])
def test_a_folder_that_cannot_be_is_refused(tmp_path, place):
    out = tmp_path / place
    if place == "a file":
        out.write_text("mine")
    elif not Path("/proc").exists():
        pytest.skip("no /proc here")
    code, text, err = Command(out).result()
    assert (code, text) == (2, "")
    assert err.startswith(f"error: {out}: ") and err.count("\n") == 1
    assert place != "a file" or out.read_text() == "mine"


# Other processes, devices and hosts


@pytest.mark.parametrize(
    ("devices", "hash_seed"),
    [pytest.param(2, "1", marks=pytest.mark.slow), (4, "random")],
)
def test_devices_and_hash_seeds_do_not_change_a_byte(
    tmp_path, undisturbed, devices, hash_seed
):
    out = tmp_path / "run"
    assert_finished(out, undisturbed, devices=devices, hash_seed=hash_seed)
    assert manifest(out)["environment"]["device"]["devices"] == devices


@pytest.mark.slow
def test_other_devices_resume_to_the_same_bytes(tmp_path, undisturbed):
    command = Command(tmp_path / "run", devices=2)
    command.wait_for_chunks(3)
    command.process.send_signal(signal.SIGKILL)
    command.result()
    assert_finished(tmp_path / "run", undisturbed, devices=4)


def test_two_processes_give_the_bytes_of_one(tmp_path, undisturbed):
    out = tmp_path / "run"
    (code, text, err), other = (command.result() for command in cluster(out))
    assert (code, said(err)) == (0, "") and "on 2 cpu devices" in text
    assert (other[0], said(other[1]), said(other[2])) == (0, "", "")
    assert digests(out) == undisturbed
    device = manifest(out)["environment"]["device"]
    assert (device["processes"], device["devices"]) == (2, 2)
    # Refused by the one that has the files, and so by both.
    for code, text, err in (
        command.result() for command in cluster(out, "--seed", "1")
    ):
        assert (code, said(text)) == (2, "")
        assert said(err).startswith("error: ") and said(err).count("\n") == 1
    assert digests(out) == undisturbed


@pytest.mark.slow
def test_a_process_that_is_told_to_stop_does_not_wait_for_the_others(
    tmp_path, undisturbed
):
    out = tmp_path / "run"
    commands = cluster(out, networks=5000)
    commands[0].wait_for_chunks(2)
    began = time.monotonic()
    commands[0].process.send_signal(signal.SIGTERM)
    code, _, err = commands[0].result()
    assert time.monotonic() - began < 10
    assert code == 130
    assert said(err) == "interrupted; the same command resumes\n"
    # The other one cannot go on alone.
    code, _, err = commands[1].result()
    assert (code, said(err)) == (1, f"{LOST}\n")
    assert time.monotonic() - began < 60
    assert manifest(out)["status"] == "interrupted"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("count", "number", "then"), [(2, 0, 1), (2, 1, 1), (4, 0, 2), (4, 2, 2)]
)
def test_a_killed_process_ends_the_others_and_another_number_resumes(
    tmp_path, longer, count, number, then
):
    out = tmp_path / "run"
    commands = cluster(out, count=count, networks=400)
    commands[0].wait_for_chunks(2)
    began = time.monotonic()
    commands.pop(number).process.send_signal(signal.SIGKILL)
    results = [command.result() for command in commands]
    assert time.monotonic() - began < 60
    line = f"{LOST}\n"
    assert [said(err) for _, _, err in results] == [line] * (count - 1)
    assert all(code for code, _, _ in results)
    assert_whole(out, longer)
    if then == 1:
        assert_finished(out, longer, networks=400)
    else:
        results = [c.result() for c in cluster(out, count=then, networks=400)]
        assert [(code, said(err)) for code, _, err in results] == [(0, "")] * then
        assert digests(out) == longer
    assert manifest(out)["environment"]["device"]["processes"] == then
