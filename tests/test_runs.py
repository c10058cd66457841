"""Run directories: whole files, refusals, locks, and what a kill leaves behind."""

import csv
import hashlib
import io
import json
import logging
import os
import pickle
import socket
import subprocess
import sys
import tempfile
import textwrap
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jaxbias
from jaxbias import manifest as manifests
from jaxbias import runs, tables
from jaxbias.runs import BusyError, MetricsLog, RunDirectory, UsageError

ROOT = Path(jaxbias.__file__).resolve().parents[1]
CONFIG = {"seed": 0, "scale": 1.5, "model": {"width": 8, "act": "relu"}, "out": "a"}
COLUMNS = {
    "network": np.arange(4),
    "complexity": np.array([0.1, 1e20, np.nan, -np.inf], np.float32),
    "wide": np.array([0.1, 1 / 3, 1e-300, 0.0]),
    "degenerate": np.array([True, False, False, True]),
    "activation": ["relu", "tanh", 'a "quoted", one', "größer"],
}


def opened(path, config=CONFIG, **options):
    options = {"study": "redshift", "experiment": "uniform"} | options
    return RunDirectory.open(path, config=config, **options)


def script(code, *arguments, **environment):
    """Start Python on some code in a process of its own, with warnings as errors."""
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code)]
        + [str(argument) for argument in arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def output(process):
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out


def snapshot(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


# Writing


def test_import_loads_neither_jax_nor_pyarrow():
    code = "import sys, jaxbias.runs; print({'jax', 'pyarrow'} & set(sys.modules))"
    assert output(script(code)).strip() == "set()"


def test_write_atomic_replaces_whole_files(tmp_path):
    path = tmp_path / "a.bin"
    runs.write_atomic(path, b"one")
    inode = path.stat().st_ino
    runs.write_atomic(path, b"two")
    assert path.read_bytes() == b"two"
    assert path.stat().st_ino != inode, "the file was changed in place"
    assert path.stat().st_mode & 0o777 == 0o666 & ~_umask()
    assert os.listdir(tmp_path) == ["a.bin"]


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_write_atomic_leaves_nothing_when_the_rename_fails(tmp_path):
    (tmp_path / "folder" / "inside").mkdir(parents=True)
    with pytest.raises(OSError) as caught:
        runs.write_atomic(tmp_path / "folder", b"x")
    assert caught.value.filename == str(tmp_path / "folder")
    assert os.listdir(tmp_path) == ["folder"]


def test_write_json_holds_what_configs_hold(tmp_path):
    value = {
        "z": (1, 2),
        "a": Path("x/y"),
        "nan": float("nan"),
        "inf": -np.inf,
        "count": np.int64(3),
        "share": np.float32(0.5),
        "flag": np.bool_(True),
        "grid": np.array([[1.0, np.nan]]),
        "words": "größer ≤",
        "argument": os.fsdecode(b"\xff"),
    }
    runs.write_json(tmp_path / "a.json", value)
    data = (tmp_path / "a.json").read_bytes()
    assert data.endswith(b"}\n") and b'\n  "z": [\n' in data
    assert "größer ≤".encode() in data
    text = data.decode()
    read = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} in JSON"))
    assert list(read) == list(value)
    assert read == value | {
        "z": [1, 2],
        "a": "x/y",
        "nan": None,
        "inf": "-inf",
        "grid": [[1.0, None]],
    }
    with pytest.raises(TypeError):
        runs.write_json(tmp_path / "a.json", {"a": object()})
    assert (tmp_path / "a.json").read_bytes() == data


FULL_DISK = """
import resource, sys
import numpy as np
from jaxbias.runs import MetricsLog, RunDirectory

path, limit = sys.argv[1], resource.getrlimit(resource.RLIMIT_FSIZE)
noise = np.random.default_rng(0).random(30_000)
big, repeated = {"x": noise}, {"x": np.full(4_000, 1 / 3)}
with RunDirectory.open(path, study="s", experiment="e", config={}) as run:
    log = MetricsLog(run.path / "metrics.jsonl")
    run.save_chunk("a", {"x": np.arange(9)})
    run.write_table({"x": np.arange(9)})
    run.write_verdicts([{"id": "one"}])
    log.append({"step": 0})
    writes = {
        "manifest.json": lambda: run.update_manifest(note="x" * 200_000),
        "verdicts.json": lambda: run.write_verdicts([{"id": "x" * 200_000}]),
        "a.npz": lambda: run.save_chunk("a", big),
        "b.npz": lambda: run.save_chunk("b", big),
        "results.parquet": lambda: run.write_table(big),
        "metrics.jsonl": lambda: log.append({"note": "x" * 200_000}),
    }
    for size in (0, 1, 4_096, 20_000, 60_000):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, limit[1]))
        for name, write in writes.items():
            try:
                write()
            except OSError as error:
                assert error.filename.endswith(name), (error.filename, name)
            else:
                raise AssertionError(f"{name} was written at {size}")
    assert len(run.read_table()["x"]) == 9
    try:
        run.write_table(repeated)  # Small in Parquet, large as text.
    except OSError as error:
        assert error.filename.endswith("results.csv")
    else:
        raise AssertionError("the CSV was written")
    resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    log.append({"step": 1})
    log.close()
    print(run.manifest.get("note"), run.load_chunk("a")["x"].tolist())
"""


def test_full_disk_leaves_the_earlier_files_and_no_others(tmp_path):
    run = tmp_path / "run"
    assert output(script(FULL_DISK, run)).split(" ", 1) == [
        "None",
        "[0, 1, 2, 3, 4, 5, 6, 7, 8]\n",
    ]
    assert sorted(snapshot(run)) == [
        "chunks/a.npz",
        "manifest.json",
        "metrics.jsonl",
        "results.csv",
        "results.parquet",
        "verdicts.json",
    ]
    there = RunDirectory.load(run)
    # Nobody called finish(), so leaving the context marked the run.
    assert there.manifest["status"] == "interrupted"
    assert len(there.read_table()["x"]) == 4_000
    assert (run / "results.csv").read_text().splitlines() == ["x", *"012345678"]
    assert there.read_verdicts() == [{"id": "one"}]
    assert runs.read_metrics(run / "metrics.jsonl") == [{"step": 0}, {"step": 1}]


def test_full_disk_while_a_run_begins_leaves_an_empty_folder(tmp_path):
    code = """
        import os, resource, sys
        from jaxbias.runs import RunDirectory
        limit = resource.getrlimit(resource.RLIMIT_FSIZE)
        for size in (100, 0):
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, limit[1]))
            try:
                RunDirectory.open(sys.argv[1], study="s", experiment="e", config={})
            except Exception as error:
                print(type(error).__name__, os.listdir(sys.argv[1]))
    """
    lines = output(script(code, tmp_path / "run")).splitlines()
    # At 0 bytes it is the lock that cannot be written: then nothing is left of ours
    # but its empty file, and the folder still counts as empty.
    assert lines == ["OSError []", "UsageError ['.lock']"]
    opened(tmp_path / "run").release()


# Opening


def test_a_new_run_makes_its_folder_and_manifest(tmp_path):
    path = tmp_path / "deep" / "run"
    with opened(path, dtypes={"complexity": "float32"}) as run:
        manifest = json.loads((path / "manifest.json").read_bytes())
        assert manifest == run.manifest
        assert (path / ".lock").read_text() == f"{os.getpid()} {socket.gethostname()}"
        assert manifest["config"] == CONFIG
        assert not run.finished and manifest["status"] == "running"
        run.finish(seconds=1.5)
    manifest = json.loads((path / "manifest.json").read_bytes())
    assert manifest["status"] == "done" and manifest["seconds"] == 1.5
    assert os.listdir(path) == ["manifest.json"]
    (session,) = manifest["sessions"]
    assert session["versions"]["jaxbias"] == jaxbias.__version__
    assert session["argv"] == sys.argv


def test_a_finished_run_is_opened_unchanged_and_stays_done(tmp_path):
    with opened(tmp_path) as run:
        run.save_chunk("a", {"x": np.arange(2)})
        run.write_table(COLUMNS)
        run.update_manifest(status="done")  # Killed before the chunks were removed.
    before = snapshot(tmp_path)
    with pytest.raises(ZeroDivisionError), opened(tmp_path) as run:
        assert run.finished
        raise ZeroDivisionError
    del before["chunks/a.npz"]
    assert snapshot(tmp_path) == before
    assert not (tmp_path / "chunks").exists()


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (ValueError("two\n lines"), "failed", "ValueError: two lines"),
        (KeyboardInterrupt(), "interrupted", "KeyboardInterrupt:"),
        (SystemExit(2), "interrupted", "SystemExit: 2"),
    ],
)
def test_an_error_is_noted_in_one_line_until_the_run_is_resumed(
    tmp_path, error, status, line
):
    with pytest.raises(type(error)), opened(tmp_path):
        raise error
    manifest = RunDirectory.load(tmp_path).manifest
    assert (manifest["status"], manifest["error"]) == (status, line)
    with opened(tmp_path) as run:
        assert run.manifest["status"] == "running" and "error" not in run.manifest
        assert len(run.manifest["sessions"]) == 2
        run.finish()
    assert "error" not in RunDirectory.load(tmp_path).manifest


def test_unknown_status_is_refused(tmp_path):
    with opened(tmp_path) as run:
        with pytest.raises(ValueError, match="'finished' is none of"):
            run.update_manifest(status="finished")
        assert run.manifest["status"] == "running"


def refusal(path, *arguments, **options):
    with pytest.raises(UsageError) as caught:
        opened(path, *arguments, **options)
    assert caught.value.exit_code == 2
    message = str(caught.value)
    assert str(path) in message and "\n" not in message
    return message


def test_a_path_that_is_or_leads_through_a_file_is_refused(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("mine")
    assert "it is a file" in refusal(path)
    assert "Not a directory" in refusal(path / "below")
    assert "File name too long" in refusal(tmp_path / ("x" * 300))
    assert "null" in refusal(tmp_path / "a\0b")
    assert snapshot(tmp_path) == {"notes.txt": b"mine"}


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize(
    "files",
    [
        {"thesis.tex": b"years", ".lock": b"theirs"},
        {"manifest.json": b'{"name": "a web app"}', "index.html": b""},
        {"manifest.json": b'{"format": "jaxbias ru'},
        {"results.parquet": b"PAR1", "chunks/a.npz": b"x"},
    ],
)
def test_a_foreign_folder_is_refused_and_not_touched(tmp_path, files, overwrite):
    for name, data in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    message = refusal(tmp_path, overwrite=overwrite)
    assert "nothing in it was touched" in message
    assert snapshot(tmp_path) == files
    with pytest.raises(UsageError, match="not a run directory"):
        RunDirectory.load(tmp_path)


UNWRITABLE = """
import os, sys
from jaxbias.runs import RunDirectory, UsageError, environment
environment()  # Imports what another user may not read.
if os.geteuid() == 0:
    os.seteuid(65534)
for name in ("open", "shut", "shut/below"):
    try:
        RunDirectory.open(f"{sys.argv[1]}/{name}", study="s", experiment="e", config={})
        print("opened")
    except UsageError as error:
        print(error)
"""


def test_a_folder_without_permission_is_refused_and_kept():
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        base = Path(name)
        base.chmod(0o755)  # pytest's own folders are shut to other users.
        for folder in ("open", "shut"):
            (base / folder).mkdir()
        with opened(base / "shut", study="s", experiment="e", config={}) as run:
            run.write_table(COLUMNS)
        if os.geteuid() == 0:
            for folder in ("open", "shut"):
                os.chown(base / folder, 65534, 65534)
        (base / "shut").chmod(0o500)
        before = snapshot(base / "shut")
        lines = output(script(UNWRITABLE, base)).splitlines()
        assert lines == [
            "opened",
            f"{base}/shut: not writable: Permission denied",
            f"{base}/shut/below: not writable: Permission denied",
        ]
        assert snapshot(base / "shut") == before
        (base / "shut").chmod(0o700)


def test_a_difference_names_each_field_and_changes_nothing(tmp_path):
    with opened(tmp_path, dtypes={"default": "float32"}) as run:
        run.save_chunk("a", {"x": np.arange(2)})
    before = snapshot(tmp_path)
    model = {"width": 16, "act": "relu"}
    config = {"seed": 1, "scale": 1.5, "model": model, "out": "b", "new": [1, 2]}
    message = refusal(tmp_path, config, dtypes={"default": "float64"})
    for part in (
        "seed: there 0, here 1",
        "model.width: there 8, here 16",
        'out: there "a", here "b"',
        "new: there none, here [1, 2]",
        'dtypes.default: there "float32", here "float64"',
    ):
        assert part in message
    assert "scale" not in message and "act" not in message
    assert snapshot(tmp_path) == before
    refusal(tmp_path)  # No dtypes at all differ too.
    assert '"shape"' in refusal(tmp_path, study="shape")
    assert 'experiment: there "uniform"' in refusal(tmp_path, experiment="gaussian")


def test_fields_that_are_not_compared_may_differ(tmp_path):
    skipped = {"not_compared": {"out", "model"}}
    with opened(tmp_path, **skipped) as run:
        run.save_chunk("a", {"x": np.arange(2)})
    changed = CONFIG | {"out": "b", "model": {"width": 9}}
    with opened(tmp_path, changed, **skipped) as run:
        assert run.load_chunk("a") is not None
    assert "out: there" in refusal(tmp_path, changed)
    assert "seed: there 0, here 1" in refusal(tmp_path, CONFIG | {"seed": 1}, **skipped)


@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers(-9, 9) | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.text(max_size=3), inner, max_size=3)
        ),
        max_leaves=6,
    )
)
@settings(max_examples=15, deadline=None)
def test_any_config_compares_equal_to_itself_after_a_round_trip(value):
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(2):
            opened(folder, {"field": value, "pair": (1, value)}).release()


def test_another_schema_is_refused(tmp_path, monkeypatch):
    with opened(tmp_path) as run:
        run.finish()
    monkeypatch.setattr(manifests, "SCHEMA", 2)
    assert "schema: there 1, here 2" in refusal(tmp_path)


def test_other_versions_are_refused_while_the_run_is_unfinished(tmp_path, monkeypatch):
    with opened(tmp_path):
        pass
    monkeypatch.setattr(jaxbias, "__version__", "99.0")
    message = refusal(tmp_path)
    assert 'versions.jaxbias: there "0.' in message and 'here "99.0"' in message
    monkeypatch.undo()
    with opened(tmp_path) as run:
        run.finish()
    monkeypatch.setattr(jaxbias, "__version__", "99.0")
    with opened(tmp_path) as run:
        assert run.finished


def test_changed_source_is_warned_of(tmp_path, monkeypatch, caplog):
    with opened(tmp_path):
        pass
    assert "source has changed" not in caplog.text
    monkeypatch.setattr(manifests, "_git", lambda *_: "another commit")
    with opened(tmp_path):
        assert "the source has changed" in caplog.text


def test_a_damaged_but_recognised_manifest_is_refused_in_one_line(tmp_path):
    (tmp_path / "manifest.json").write_text('{"format": "jaxbias run"}')
    assert 'study: there "", here "redshift"' in refusal(tmp_path)


def filled(path):
    """A run with one of every file of ours, and two files of the user's."""
    with opened(path) as run:
        run.save_chunk("a", {"x": np.arange(2)})
        run.write_table(COLUMNS)
        run.write_table(COLUMNS, "cells.parquet")
        run.write_verdicts([{"id": "one"}])
        runs.write_atomic(run.figure_path("curve"), b"png")
        with MetricsLog(path / "metrics.jsonl") as log:
            log.append({"step": 0})
        (path / "checkpoints" / "3").mkdir(parents=True)
        (path / "checkpoints" / "3" / "data").write_bytes(b"x")
        run.update_manifest(status="done")
    (path / "notes.txt").write_text("mine")
    (path / "figures" / "poster.svg").write_text("mine")


def test_overwrite_removes_what_is_ours_and_only_that(tmp_path):
    filled(tmp_path)
    assert len(snapshot(tmp_path)) == 12
    with opened(tmp_path, CONFIG | {"seed": 1}, overwrite=True) as run:
        assert not run.finished and run.chunk_names() == []
        assert run.manifest["config"]["seed"] == 1
        assert run.manifest["tables"] == []
    assert sorted(snapshot(tmp_path)) == [
        "figures/poster.svg",
        "manifest.json",
        "notes.txt",
    ]
    assert not (tmp_path / "checkpoints").exists()


def test_an_overwrite_that_was_cut_short_is_completed(tmp_path, monkeypatch):
    filled(tmp_path)

    def full_disk(*_):
        raise OSError(5, "broken", "x")

    with monkeypatch.context() as patch:
        patch.setattr(RunDirectory, "_remove_files", full_disk)
        with pytest.raises(OSError, match="broken"):
            opened(tmp_path, overwrite=True)
    assert not RunDirectory.load(tmp_path).finished, "a finished run without results"
    with opened(tmp_path) as run:
        assert not run.finished and run.chunk_names() == []
        assert len(run.manifest["sessions"]) == 1


def test_a_forged_manifest_cannot_delete_outside_its_folder(tmp_path):
    (tmp_path / "precious.parquet").write_text("mine")
    with opened(tmp_path / "run") as run:
        run.update_manifest(tables=["../precious.parquet", "/etc/x.parquet"])
    opened(tmp_path / "run", overwrite=True).release()
    assert (tmp_path / "precious.parquet").exists()


def test_leftovers_of_a_killed_process_are_removed(tmp_path):
    with opened(tmp_path) as run:
        run.save_chunk("a", {"x": np.arange(2)})
    for name in (".jaxbias-tmp-1-ab", "chunks/.jaxbias-tmp-1-ab"):
        (tmp_path / name).write_bytes(b"half")
    with opened(tmp_path) as run:
        assert run.chunk_names() == ["a"]
        assert sorted(os.listdir(tmp_path / "chunks")) == ["a.npz"]
        assert sorted(os.listdir(tmp_path)) == [".lock", "chunks", "manifest.json"]


def test_a_process_that_is_not_the_writer_writes_nothing(tmp_path):
    path = tmp_path / "run"
    with opened(path, writer=False) as other:
        other.save_chunk("a", {"x": np.arange(2)})
        other.write_table(COLUMNS)
        other.write_verdicts([])
        other.update_manifest(note=1)
        other.figure_path("a")
        other.finish()
        assert not other.finished and not path.exists()
        with opened(path) as run:  # It does not lock either.
            run.save_chunk("a", {"x": np.arange(2)})
            assert other.load_chunk("a")["x"].tolist() == [0, 1]
            (path / "chunks" / "a.npz").write_bytes(b"damaged")
            assert other.load_chunk("a") is None
            assert run.chunk_names() == ["a"]
            run.finish()
        assert other.finished


# The lock

HOLDER = """
import sys
from jaxbias.runs import RunDirectory
run = RunDirectory.open(sys.argv[1], study="redshift", experiment="uniform",
                        config={"seed": 0})
print("locked", flush=True)
sys.stdin.readline()
run.release()
print("released", flush=True)
sys.stdin.readline()
"""


def test_a_live_holder_is_named_and_a_killed_one_taken_over(tmp_path):
    holder = script(HOLDER, tmp_path)
    try:
        assert holder.stdout.readline() == "locked\n"
        before = snapshot(tmp_path)
        for overwrite in (False, True):
            with pytest.raises(BusyError) as caught:
                opened(tmp_path, {"seed": 0}, overwrite=overwrite)
            assert caught.value.exit_code == 3
            assert str(caught.value) == (
                f"{tmp_path}: in use by process {holder.pid} on {socket.gethostname()}"
            )
        assert snapshot(tmp_path) == before
    finally:
        holder.kill()
        holder.communicate()
    assert (tmp_path / ".lock").exists(), "the holder had time to clean up"
    with opened(tmp_path, {"seed": 0}) as run:
        assert (tmp_path / ".lock").read_text().split()[0] == str(os.getpid())
        assert len(run.manifest["sessions"]) == 2
    assert not (tmp_path / ".lock").exists()


def test_a_lock_is_free_once_released_though_its_process_lives(tmp_path):
    holder = script(HOLDER, tmp_path)
    try:
        assert holder.stdout.readline() == "locked\n"
        holder.stdin.write("\n")
        holder.stdin.flush()
        assert holder.stdout.readline() == "released\n"
        opened(tmp_path, {"seed": 0}).release()
    finally:
        holder.kill()
        holder.communicate()


def test_one_process_cannot_open_a_run_twice(tmp_path):
    with opened(tmp_path):
        with pytest.raises(BusyError, match=str(os.getpid())):
            opened(tmp_path)
        assert (tmp_path / ".lock").exists()
    opened(tmp_path).release()


def test_a_refused_opening_releases_the_lock(tmp_path):
    opened(tmp_path).release()
    for _ in range(2):
        refusal(tmp_path, CONFIG | {"seed": 1})
    assert not (tmp_path / ".lock").exists()


FORK = """
import os, sys
from jaxbias.runs import RunDirectory
def opened():
    return RunDirectory.open(sys.argv[1], study="s", experiment="e", config={})
end, of_parent = os.pipe()
run = opened()
if os.fork() == 0:
    os.close(of_parent)
    os.read(end, 1)  # Lives until the parent has ended.
    os._exit(0)
run.release()
opened().release()
"""


def test_a_forked_child_does_not_keep_a_released_lock(tmp_path):
    output(script(FORK, tmp_path))


RACE = """
import sys, time
from jaxbias.files import lock_folder, unlock_folder, BusyError
from pathlib import Path
folder, wins = Path(sys.argv[1]), 0
sys.stdin.readline()
while wins < 25:
    try:
        descriptor = lock_folder(folder)
    except BusyError:
        continue
    (folder / "critical").open("x").close()
    time.sleep(0.0005)
    (folder / "critical").unlink()
    unlock_folder(folder, descriptor)
    wins += 1
"""


def test_the_lock_excludes_though_its_file_is_removed_and_made_again(tmp_path):
    processes = [script(RACE, tmp_path) for _ in range(3)]
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    for process in processes:
        output(process)
    assert os.listdir(tmp_path) == []


# Chunks

ARRAYS = {
    "complexity": np.linspace(0, 1, 7, dtype=np.float32),
    "file": np.arange(6).reshape(2, 3).T,
    "empty": np.zeros((0, 3), bool),
    "scalar": np.array(3.0),
    "words": np.array(["a", "größer"]),
}


def test_chunks_round_trip_and_are_plain_npz_files(tmp_path):
    with opened(tmp_path) as run:
        assert run.load_chunk("c=1,d-2.5") is None and run.chunk_names() == []
        run.save_chunk("c=1,d-2.5", ARRAYS)
        run.save_chunk("b", {})
        assert run.chunk_names() == ["b", "c=1,d-2.5"]
        assert run.load_chunk("b") == {}
        loaded = run.load_chunk("c=1,d-2.5")
        with np.load(tmp_path / "chunks" / "c=1,d-2.5.npz") as public:
            for name, array in ARRAYS.items():
                np.testing.assert_array_equal(loaded[name], array, strict=True)
                np.testing.assert_array_equal(public[name], array, strict=True)
            assert list(loaded) == list(ARRAYS) == public.files
        run.clear_chunks()
        assert run.chunk_names() == [] and run.load_chunk("b") is None


@pytest.mark.parametrize("name", ["../a", "a/b", "", ".a", "a\n", "x" * 300])
def test_names_that_are_not_plain_are_refused(tmp_path, name):
    with opened(tmp_path) as run:
        for use in (
            lambda: run.save_chunk(name, {}),
            lambda: run.load_chunk(name),
            lambda: run.figure_path(name),
            lambda: run.write_table(COLUMNS, name),
        ):
            with pytest.raises(ValueError, match="plain file name"):
                use()


def test_object_arrays_are_not_saved(tmp_path):
    with opened(tmp_path) as run:
        with pytest.raises(ValueError, match="allow_pickle"):
            run.save_chunk("a", {"x": np.array([{}], dtype=object)})
        assert run.chunk_names() == []


class Payload:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (self.path, "w"))


def archive(entries, compression=zipfile.ZIP_STORED):
    """A zip file with a seal's worth of comment, which is left off."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        for name, data in entries.items():
            file.writestr(name, data)
        file.comment = bytes(64)
    return buffer.getvalue()[:-64]


def npy(array):
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def lying_header():
    buffer = io.BytesIO()
    header = {"descr": "<f4", "fortran_order": False, "shape": (10**12,)}
    np.lib.format.write_array_header_1_0(buffer, header)
    return buffer.getvalue() + bytes(8)


def damaged_files(tmp_path):
    """What may lie where a chunk should be: (file, whether to forge the seal)."""
    payload = npy(np.array([Payload(str(tmp_path / "executed"))], dtype=object))
    huge = {"x.npy": npy(np.zeros(2 * 10**7, np.uint8))}
    return {
        "empty": (b"", False),
        "not a zip": (b"<html>quota exceeded</html>" * 9, False),
        "alien": (archive({"x.npy": npy(np.arange(3))}) + bytes(64), False),
        "pickle": (archive({"x.npy": payload}) + bytes(64), False),
        "forged pickle": (archive({"x.npy": payload}), True),
        "forged bomb": (archive(huge, zipfile.ZIP_DEFLATED), True),
        "forged header": (archive({"x.npy": lying_header()}), True),
        "forged not npy": (archive({"x.npy": b"text"}), True),
        "forged not a zip": (b"text", True),
    }


KINDS = list(damaged_files(Path("unused")))


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_chunk_is_named_removed_and_computed_again(tmp_path, caplog, kind):
    data, forged = damaged_files(tmp_path)[kind]
    with opened(tmp_path / "run") as run:
        run.save_chunk("a", ARRAYS)
        path, owner = run._chunk("a")
        path.write_bytes(tables._sealed(data, owner) if forged else data)
        assert run.load_chunk("a", max_bytes=10**7) is None
        assert str(path) in caplog.text and "computed again" in caplog.text
        assert [record.levelno for record in caplog.records] == [logging.WARNING]
        assert not path.exists() and run.chunk_names() == []
        run.save_chunk("a", ARRAYS)
        assert run.load_chunk("a") is not None
    assert not (tmp_path / "executed").exists()


def test_the_pickle_of_these_tests_would_execute(tmp_path):
    pickle.loads(pickle.dumps(Payload(str(tmp_path / "executed")))).close()
    assert (tmp_path / "executed").exists()


def test_the_bomb_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    data, _ = damaged_files(tmp_path)["forged bomb"]
    assert len(data) < 10**5
    monkeypatch.setattr(zipfile.ZipFile, "read", lambda *_: pytest.fail("unpacked"))
    with pytest.raises(ValueError, match="bytes unpacked, more than"):
        tables.unpack_chunk(tables._sealed(data, b""), b"", 10**7)


def test_a_header_that_claims_too_much_is_refused_before_it_is_believed(monkeypatch):
    monkeypatch.setattr(np.lib.format, "read_array", lambda *_, **__: pytest.fail())
    for claim in (lying_header(), npy(np.array([{}], dtype=object))):
        with pytest.raises(ValueError, match="an array of"):
            tables._read_array(claim)


def test_a_file_over_the_cap_is_not_read(tmp_path, monkeypatch, caplog):
    with opened(tmp_path) as run:
        run.save_chunk("a", ARRAYS)
        monkeypatch.setattr(Path, "read_bytes", lambda _: pytest.fail("read"))
        assert run.load_chunk("a", max_bytes=100) is None
        assert "more than 100 bytes" in caplog.text


def test_every_flipped_bit_and_every_truncation_of_a_chunk_is_found(tmp_path):
    data = tables.pack_chunk({"x": np.arange(3), "y": np.ones(2)}, b"owner")
    assert len(tables.unpack_chunk(data, b"owner", 10**6)) == 2
    damaged = [data[:length] for length in range(len(data))]
    for position in range(len(data)):
        flipped = bytearray(data)
        flipped[position] ^= 1 << position % 8
        damaged.append(bytes(flipped))
    for number, version in enumerate(damaged):
        with pytest.raises(ValueError, match="checksum"):
            tables.unpack_chunk(version, b"owner", 10**6)
            pytest.fail(f"damage {number} was read")


def test_chunks_of_another_run_or_name_are_not_taken(tmp_path, caplog):
    with opened(tmp_path / "one") as run:
        run.save_chunk("a", ARRAYS)
        data = (tmp_path / "one" / "chunks" / "a.npz").read_bytes()
        (tmp_path / "one" / "chunks" / "b.npz").write_bytes(data)
        assert run.load_chunk("b") is None and run.load_chunk("a") is not None
    for number, changed in enumerate(
        [{"config": CONFIG | {"seed": 1}}, {"experiment": "x"}, {"dtypes": {"a": "b"}}]
    ):
        with opened(tmp_path / str(number), **changed) as run:
            run.save_chunk("b", {})
            run._chunk("a")[0].write_bytes(data)
            assert run.load_chunk("a") is None
    assert caplog.text.count("not this run's") == 4


# Tables


def test_tables_round_trip(tmp_path):
    with opened(tmp_path) as run:
        run.write_table(COLUMNS)
        read = run.read_table()
    assert list(read) == list(COLUMNS)
    for name, column in COLUMNS.items():
        np.testing.assert_array_equal(read[name], np.asarray(column), strict=True)
    read["network"][0] = 7  # The arrays are the caller's own.


def test_small_tables_have_a_csv_with_floats_as_they_are(tmp_path):
    with opened(tmp_path) as run:
        run.write_table(COLUMNS)
    text = (tmp_path / "results.csv").read_bytes().decode()
    assert "\r" not in text and text.endswith("\n")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert rows[0] == {
        "network": "0",
        "complexity": "0.1",
        "wide": "0.1",
        "degenerate": "True",
        "activation": "relu",
    }
    assert [row["complexity"] for row in rows[1:]] == ["1e+20", "nan", "-inf"]
    assert [row["activation"] for row in rows] == COLUMNS["activation"]
    wide = np.array([row["wide"] for row in rows], np.float64)
    np.testing.assert_array_equal(wide, COLUMNS["wide"])


def test_large_tables_have_no_csv(tmp_path):
    with opened(tmp_path) as run:
        run.write_table({"x": np.arange(4_999)})
        assert (tmp_path / "results.csv").exists()
        run.write_table({"x": np.arange(5_000)})
        assert not (tmp_path / "results.csv").exists(), "a CSV of other results"
        assert len(run.read_table()["x"]) == 5_000


def test_the_table_says_whose_it_is_but_not_when_or_on_what(tmp_path):
    import pyarrow.parquet as pq

    with opened(tmp_path) as run:
        run.write_table(COLUMNS)
    metadata = pq.read_schema(tmp_path / "results.parquet").metadata
    assert json.loads(metadata[b"jaxbias"]) == {
        "study": "redshift",
        "experiment": "uniform",
        "schema": 1,
    }
    column = pq.read_metadata(tmp_path / "results.parquet").row_group(0).column(0)
    assert column.compression == "ZSTD"


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"a": np.arange(2), "b": np.arange(3)}, "different lengths.*'b': 3"),
        ({"a": np.arange(2), "grid": np.ones((2, 2))}, "column grid"),
        ({"a": [1, "x"]}, "column a"),
        ({"a": [[1], [2]]}, "column a: must have one plain value"),
        ({"a": np.array([object()])}, "column a"),
    ],
)
def test_untidy_columns_are_refused_by_name(tmp_path, columns, message):
    with opened(tmp_path) as run:
        with pytest.raises(ValueError, match=message):
            run.write_table(columns)
        assert not (tmp_path / "results.parquet").exists()


def test_missing_and_damaged_tables_are_usage_errors(tmp_path):
    with opened(tmp_path) as run:
        with pytest.raises(UsageError, match="results.parquet: there is no such table"):
            run.read_table()
        run.write_table({"x": np.random.default_rng(0).random(500)})
        data = (tmp_path / "results.parquet").read_bytes()
        flipped = bytearray(data)
        flipped[len(data) // 2] ^= 1
        for damaged in (b"", data[:-9], data[: len(data) // 2], bytes(flipped)):
            (tmp_path / "results.parquet").write_bytes(damaged)
            with pytest.raises(UsageError, match="results.parquet: damaged") as caught:
                run.read_table()
            assert "\n" not in str(caught.value)


TABLE = """
import hashlib, sys
import numpy as np
from jaxbias.runs import RunDirectory
rng = np.random.default_rng(0)
names = sorted({"relu", "tanh", "gelu", "sin"})
config = {name: number for number, name in enumerate(names)}
if len(sys.argv) > 2:
    config = dict(reversed(config.items()))
run = RunDirectory.open(sys.argv[1], study="s", experiment="e", config=config)
run.save_chunk("a", {"x": rng.random(9)})
run.write_table({
    "x": rng.random(3_000, np.float32),
    "flag": rng.random(3_000) < 0.5,
    "name": rng.choice(names, 3_000),
})
for name in ("results.parquet", "results.csv", "chunks/a.npz"):
    print(name, hashlib.sha256((run.path / name).read_bytes()).hexdigest())
print(hash("a"))
"""


def test_two_processes_write_the_same_bytes(tmp_path):
    first, second = (
        output(script(TABLE, tmp_path / seed, *more, PYTHONHASHSEED=seed)).splitlines()
        for seed, more in (("1", ()), ("2", ("reversed",)))
    )
    assert first[:3] == second[:3]
    assert first[3] != second[3], "the hash seeds had no effect"
    table = (tmp_path / "1" / "results.parquet").read_bytes()
    assert hashlib.sha256(table).hexdigest() in first[0]


def test_a_resumed_run_writes_the_bytes_of_an_undisturbed_one(tmp_path):
    with opened(tmp_path / "whole") as run:
        run.write_table(COLUMNS)
        run.finish()
    with pytest.raises(KeyboardInterrupt), opened(tmp_path / "cut") as run:
        run.save_chunk("a", {"x": COLUMNS["wide"]})
        raise KeyboardInterrupt
    with opened(tmp_path / "cut") as run:
        run.write_table(COLUMNS | {"wide": run.load_chunk("a")["x"]})
        run.finish()
    for name in ("results.parquet", "results.csv"):
        whole, cut = (tmp_path / run / name for run in ("whole", "cut"))
        assert whole.read_bytes() == cut.read_bytes()


def test_verdicts_round_trip(tmp_path):
    rows = [{"id": "r1", "outcome": "not judged", "here": "no data", "value": 0.5}]
    with opened(tmp_path) as run:
        assert run.read_verdicts() == []
        run.write_verdicts(rows)
        assert RunDirectory.load(tmp_path).read_verdicts() == rows


def test_figures_are_png_files_in_their_folder(tmp_path):
    with opened(tmp_path) as run:
        path = run.figure_path("curve-v1.2")
        assert path == run.figure_path("curve-v1.2.png")
        assert path == tmp_path / "figures" / "curve-v1.2.png"
        runs.write_atomic(path, b"png")


# Metrics


def test_a_row_is_one_write_of_one_line(tmp_path, monkeypatch):
    writes, write = [], os.write
    with MetricsLog(tmp_path / "m.jsonl") as log:
        monkeypatch.setattr(os, "write", lambda f, d: writes.append(d) or write(f, d))
        log.append({"step": 0, "loss": np.float32(0.5), "note": "two\nlines"})
        log.append({"step": 1, "loss": float("nan")})
    assert [line.count(b"\n") for line in writes] == [1, 1]
    assert all(line.endswith(b"\n") for line in writes)
    assert runs.read_metrics(tmp_path / "m.jsonl") == [
        {"step": 0, "loss": 0.5, "note": "two\nlines"},
        {"step": 1, "loss": None},
    ]


@pytest.mark.parametrize("torn", [b'{"step": 1', b"\0\0\0", b"x" * 200_000])
def test_a_torn_last_line_is_cut_and_the_log_goes_on(tmp_path, caplog, torn):
    path = tmp_path / "m.jsonl"
    path.write_bytes(b'{"step": 0}\n' + torn)
    assert runs.read_metrics(path) == [{"step": 0}]
    assert "line 2 is torn" in caplog.text
    with MetricsLog(path) as log:
        assert f"cut a torn last line of {len(torn)} bytes" in caplog.text
        log.append({"step": 1})
    assert path.read_bytes() == b'{"step": 0}\n{"step": 1}\n'


def test_a_log_that_is_only_a_torn_line_becomes_empty(tmp_path):
    path = tmp_path / "m.jsonl"
    path.write_bytes(b'{"st')
    MetricsLog(path).close()
    assert path.read_bytes() == b"" and runs.read_metrics(path) == []


@pytest.mark.parametrize("line", [b'{"step": ', b"", b"[1]", b"\xff\xfe", b"3"])
def test_a_broken_line_in_the_middle_is_an_error_that_names_it(tmp_path, line):
    path = tmp_path / "m.jsonl"
    path.write_bytes(b'{"step": 0}\n' + line + b'\n{"step": 2}\n')
    with pytest.raises(ValueError, match="m.jsonl: line 2 is broken"):
        runs.read_metrics(path)


def test_rows_after_a_checkpoint_can_be_dropped(tmp_path):
    path = tmp_path / "m.jsonl"
    with MetricsLog(path, sync_every=2) as log:
        for step in range(5):
            log.append({"step": step})
    runs.keep_metrics(path, lambda row: row["step"] <= 2)
    assert [row["step"] for row in runs.read_metrics(path)] == [0, 1, 2]
    with MetricsLog(path) as log:
        log.append({"step": 3})
    assert path.read_text().count("\n") == 4


# Kills

KILLS = """
import os, random, signal, sys, time
import numpy as np
import pyarrow.parquet
from jaxbias.runs import MetricsLog, RunDirectory, read_metrics

folder, kills = sys.argv[1], int(sys.argv[2])
noise = np.random.default_rng(0).random(4_000)

def opened():
    return RunDirectory.open(folder, study="s", experiment="e", config={})

def write_for_ever(progress):
    run = opened()
    log = MetricsLog(run.path / "metrics.jsonl")
    round = 0
    while True:
        round += 1
        writes = [
            lambda: run.save_chunk(f"c{round % 3}", {"x": noise + round}),
            lambda: run.write_table({"x": noise + round}),
            lambda: run.write_verdicts([{"id": f"{round}" * 2_000}]),
            lambda: [log.append({"note": "x" * 500}) for _ in range(20)],
        ]
        for write in writes:
            write()
            os.write(progress, b".")

leftovers, seen = 0, set()
waits = random.Random(0)
for kill in range(kills):
    progress, of_child = os.pipe()
    child = os.fork()
    if child == 0:
        write_for_ever(of_child)
    os.close(of_child)
    for _ in range(waits.randrange(14)):
        assert os.read(progress, 1) == b".", "the writer failed"
    time.sleep(waits.uniform(0, 0.004))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(progress)
    names = [name for _, _, files in os.walk(folder) for name in files]
    leftovers += any(name.startswith(".jaxbias-tmp-") for name in names)
    seen |= {name for name in names if not name.startswith(".")}
    with opened() as run:
        for name in run.chunk_names():
            assert (np.diff(run.load_chunk(name)["x"] - noise) < 1e-9).all(), name
        if (run.path / "results.parquet").exists():
            assert len(run.read_table()["x"]) == 4_000
        if (run.path / "results.csv").exists():
            assert (run.path / "results.csv").read_text().count("\\n") == 4_001
        assert len(run.read_verdicts()) <= 1
        MetricsLog(run.path / "metrics.jsonl").close()
        read_metrics(run.path / "metrics.jsonl")
        assert "damaged" not in str(run.manifest)
    names = [name for _, _, files in os.walk(folder) for name in files]
    assert not any(name.startswith(".") for name in names), names
print(leftovers, *sorted(seen))
"""


def test_kills_in_the_middle_of_writes_leave_whole_files(tmp_path):
    process = script(KILLS, tmp_path / "run", 14)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert "damaged" not in err and "torn" not in err
    leftovers, *seen = out.split()
    assert int(leftovers) > 0, "no kill hit a write: the test shows nothing"
    assert {"results.parquet", "c1.npz", "verdicts.json", "metrics.jsonl"} <= set(seen)


# The environment


def test_the_environment_is_described_without_devices():
    described = runs.environment()
    assert described["versions"]["numpy"] == np.__version__
    assert described["python"].split(".")[:2] == [str(n) for n in sys.version_info[:2]]
    assert described["cpus"] == os.cpu_count()
    assert json.loads(json.dumps(described)) == described


def test_absent_packages_have_no_version(monkeypatch):
    def absent(name):
        raise manifests.importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(manifests.importlib.metadata, "version", absent)
    versions = runs.environment()["versions"]
    assert versions.pop("jaxbias") == jaxbias.__version__
    assert set(versions.values()) == {None}


def git(folder, *arguments):
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    command = ["git", "-C", folder, *identity, *arguments]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    return done.stdout.strip()


def test_the_commit_of_a_checkout_is_recorded_and_no_other(tmp_path, monkeypatch):
    package = tmp_path / "jaxbias"
    package.mkdir()
    (package / "a.py").write_text("")
    monkeypatch.setattr(manifests, "__file__", str(package / "manifest.py"))
    assert runs.environment()["commit"] is None
    git(tmp_path, "init", "-q")
    assert runs.environment()["commit"] is None  # A checkout without a commit.
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "x")
    described = runs.environment()
    assert described["commit"] == git(tmp_path, "rev-parse", "HEAD")
    assert described["dirty"] is False
    (package / "a.py").write_text("x = 1")
    assert runs.environment()["dirty"] is True
    # Installed below somebody else's checkout.
    installed = package / "site-packages" / "jaxbias"
    installed.mkdir(parents=True)
    monkeypatch.setattr(manifests, "__file__", str(installed / "manifest.py"))
    assert runs.environment()["commit"] is None
    # No git on the machine.
    monkeypatch.setattr(manifests, "__file__", str(package / "manifest.py"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert runs.environment()["dirty"] is None


def test_rows_and_columns_are_each_others_other_way():
    rows = [{"name": "a", "count": 1, "share": 0.5}, {"name": "b", "count": 2}]
    rows[1]["share"] = 0.25
    found = tables.rows_of(tables.columns_of(rows))
    assert found == rows and type(found[0]["count"]) is int
    assert tables.rows_of({}) == []
