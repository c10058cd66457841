"""Checkpoints: what is damaged is named and not used; what is said to be saved is."""

import json
import logging
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxbias.training.checkpoints import CheckpointError, Checkpoints, load

ROOT = Path(__file__).parents[2]


def a_state(step):
    params = {"w": jnp.full((40, 50), step, jnp.float32) + jnp.arange(50.0)[None]}
    return {
        "step": jnp.int32(step),
        "params": params,
        "opt": optax.adam(0.1).init(params),
        "key": jax.random.key(step),
        "none": None,
        "empty": {},
    }


def as_numpy(tree):
    return [
        np.asarray(
            jax.random.key_data(x)
            if jnp.issubdtype(x.dtype, jax.dtypes.prng_key)
            else x
        )
        for x in jax.tree.leaves(tree)
    ]


def same(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    return all(map(np.array_equal, as_numpy(a), as_numpy(b)))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Steps 1 and 2."""
    folder = tmp_path_factory.mktemp("saved")
    kept = Checkpoints(folder)
    for step in (1, 2):
        kept.save(step, a_state(step))
    kept.close()
    return folder


def files_of(folder, step):
    place = folder / f"{step:08d}"
    inside = [path for path in place.rglob("*") if path.is_file()]
    return [path.relative_to(folder) for path in inside] + [Path(f"{step:08d}.json")]


def restored(folder):
    kept = Checkpoints(folder)
    try:
        return kept.restore(a_state(0))
    finally:
        kept.close()


def test_what_was_saved_comes_back(saved):
    found = restored(saved)
    assert found.step == 2 and same(found.state, a_state(2))
    assert found.state["opt"][0].mu["w"].shape == (40, 50)


def test_nothing_saved_is_nothing_restored(tmp_path):
    assert restored(tmp_path / "new") is None


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def zero(path):
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 64] = bytes(len(data[middle : middle + 64]))
    path.write_bytes(data)


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize("damage", [flip, zero, cut, Path.unlink])
def test_each_damaged_file_is_named_and_the_step_before_is_used(
    saved, tmp_path, caplog, damage
):
    names = files_of(saved, 2)
    assert len(names) > 8
    for number, name in enumerate(names):
        folder = tmp_path / str(number)
        shutil.copytree(saved, folder)
        damage(folder / name)
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            found = restored(folder)
        assert found.step == 1 and same(found.state, a_state(1)), name
        # A step without its last file was never finished.
        named = (
            name.name if name.suffix != ".json" or damage != Path.unlink else "00000002"
        )
        assert any(named in record.getMessage() for record in caplog.records), name


def test_arrays_without_a_template(saved, tmp_path):
    found = load(saved)
    assert np.array_equal(found["params"]["w"], np.asarray(a_state(2)["params"]["w"]))
    assert float(load(saved, 1)["params"]["w"][0, 0]) == 1.0
    folder = tmp_path / "copy"
    shutil.copytree(saved, folder)
    flip(folder / files_of(folder, 2)[0])
    assert int(load(folder)["step"]) == 1
    for wrong, step in ((folder, 2), (folder, 7), (tmp_path, None)):
        with pytest.raises(CheckpointError, match=str(tmp_path)):
            load(wrong, step)


def test_no_whole_step_is_one_error_that_names_the_files(saved, tmp_path, caplog):
    folder = tmp_path / "copy"
    shutil.copytree(saved, folder)
    names = [files_of(folder, step)[0] for step in (1, 2)]
    for name in names:
        flip(folder / name)
    with pytest.raises(CheckpointError) as caught:
        restored(folder)
    assert all(name.name in str(caught.value) for name in names)


def test_another_dtype_or_shape_is_refused_where_orbax_would_cast(saved, caplog):
    kept = Checkpoints(saved)
    template = a_state(0)
    template["params"]["w"] = template["params"]["w"].astype(jnp.bfloat16)
    with pytest.raises(CheckpointError, match=r"\['w'\] is float32\[40, 50\], not bf"):
        kept.restore(template)
    kept.close()


def test_the_last_and_the_best_are_kept(tmp_path):
    kept = Checkpoints(tmp_path, keep_last=2, keep_best=1)
    for step, score in enumerate([0.1, 0.9, 0.3, None, 0.2], 1):
        kept.save(step, a_state(step), score=score)
    kept.wait()
    assert kept.steps() == [2, 4, 5]
    folders = {int(path.name) for path in tmp_path.iterdir() if path.is_dir()}
    assert folders == {2, 4, 5}
    kept.save(5, a_state(6))  # Already there.
    assert same(kept.restore(a_state(0)).state, a_state(5))
    kept.close()


def test_the_state_may_be_used_up_while_it_is_written(tmp_path):
    kept = Checkpoints(tmp_path)
    state = {"w": jnp.arange(2_000_000.0)}
    use_up = jax.jit(
        lambda state: jax.tree.map(lambda x: x * 0 - 1, state), donate_argnums=0
    )
    kept.save(1, state)
    state = use_up(state)
    kept.wait()
    found = kept.restore({"w": jnp.zeros(2_000_000)})
    assert np.array_equal(found.state["w"], np.arange(2_000_000.0, dtype=np.float32))
    kept.close()


def test_a_write_that_fails_is_an_error_and_the_step_before_stays(
    tmp_path, monkeypatch
):
    kept = Checkpoints(tmp_path)
    kept.save(1, a_state(1))
    kept.wait()

    def fail(path, data):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("jaxbias.training.checkpoints.write_atomic", fail)
    kept.save(2, a_state(2))
    with pytest.raises(OSError, match="No space left"):
        kept.wait()
    monkeypatch.undo()
    assert kept.restore(a_state(0)).step == 1
    kept.close()


KILLED = """
import os, sys, threading, signal
import jax, jax.numpy as jnp
from jaxbias.training.checkpoints import Checkpoints
from pathlib import Path

def said(step):
    if step == 3:
        print("saved", step, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

kept = Checkpoints(Path(sys.argv[1]), said=said)
for step in range(1, 9):
    kept.save(step, {"w": jnp.full(100_000, step, jnp.float32)})
kept.wait()
"""


def test_what_was_said_to_be_saved_survives_a_kill(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=120,
    )
    assert "saved 3" in done.stdout and done.returncode == -9
    kept = Checkpoints(tmp_path)
    found = kept.restore({"w": jnp.zeros(100_000)})
    assert found.step == 3 and float(found.state["w"][7]) == 3.0
    kept.close()


def test_what_a_killed_process_left_is_removed(saved, tmp_path, caplog):
    folder = tmp_path / "copy"
    shutil.copytree(saved, folder)
    (folder / "00000003").mkdir()
    (folder / "00000003" / "half").write_bytes(b"x")
    (folder / "00000004.orbax-checkpoint-tmp").mkdir()
    kept = Checkpoints(folder)
    assert kept.restore(a_state(0)).step == 2
    assert sorted(path.name for path in folder.iterdir()) == [
        *("00000001", "00000001.json", "00000002", "00000002.json")
    ]
    kept.close()


def test_the_manifest_is_plain(saved):
    body = json.loads((saved / "00000002.json").read_bytes())
    assert set(body) == {"sha256", "step", "score", "tree", "files"}
    assert body["tree"]["['params']['w']"] == "float32[40, 50]"
    assert all(len(digest) == 64 for digest in body["files"].values())
