"""Whole trainings: killed, told to stop, damaged, on other devices and processes."""

import random
import resource
import signal
import time

import jax
import numpy as np
import pyarrow.parquet
import pytest
from PIL import Image
from processes import (
    Command,
    cluster,
    digests,
    manifest,
    no_process_outlives_its_test,  # noqa: F401, a fixture of every test
    said,
)

import jaxbias.cli
from jaxbias.files import read_metrics
from jaxbias.last_line import LOST
from jaxbias.training import checkpoints

EPOCHS = 5
STEPS = EPOCHS * 20
SETTINGS = {"study": "train", "networks": EPOCHS}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """400 small images of three classes, and 60 more to validate on."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for name, count in (("train", 400), ("test", 60)):
        labels = np.arange(count) % 3
        images = rng.integers(0, 120, (count, 8, 8, 3), np.uint8)
        for image, label in zip(images, labels, strict=True):
            image[..., label] += 100
        np.savez(folder / f"{name}.npz", images=images, labels=labels)
    return folder


def options(data, *more):
    paths = ["--data", f"npz:{data}/train.npz", "--validation", f"npz:{data}/test.npz"]
    return *paths, *more


def result_files(out):
    """Tables, figures and the log; Orbax gives its own files random names."""
    return {
        name: digest
        for name, digest in digests(out).items()
        if not name.startswith("checkpoints")
    }


def arrays(out, step=STEPS, name="seed-0"):
    """Everything in a checkpoint: weights, statistics, optimiser."""
    return jax.tree.leaves(checkpoints.load(out / "checkpoints" / name, step))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, data):
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    code, text, err = Command(out, *options(data), **SETTINGS).result()
    assert (code, err) == (0, ""), err
    assert "cnn4 on 400 images of 3 classes, 8 x 8, on the device" in text
    return out


def assert_same_training(out, undisturbed):
    assert result_files(out) == result_files(undisturbed)
    for one, two in zip(arrays(out), arrays(undisturbed), strict=True):
        assert np.array_equal(one, two)


def test_what_a_run_leaves(undisturbed):
    steps = [r["step"] for r in read_metrics(undisturbed / "metrics.jsonl")]
    assert sorted(set(steps)) == list(range(1, STEPS + 1))
    assert len(steps) == STEPS + EPOCHS
    table = pyarrow.parquet.read_table(undisturbed / "results.parquet").to_pydict()
    assert table["epoch"] == list(range(1, EPOCHS + 1))
    assert table["accuracy"][-1] > 0.9
    images = pyarrow.parquet.read_table(undisturbed / "predictions.parquet")
    assert images.num_rows == 60
    right = np.asarray(images["label"]) == np.asarray(images["predicted"])
    assert right.mean() == table["accuracy"][-1]
    for name in ("curves", "confusion"):
        assert (undisturbed / "figures" / f"{name}.png").stat().st_size > 5_000
    assert manifest(undisturbed)["parameters"] > 200_000


@pytest.mark.slow
def test_another_process_and_hash_seed_give_the_same_bits(tmp_path, data, undisturbed):
    out = tmp_path / "run"
    more = {"hash_seed": "random", **SETTINGS}
    assert Command(out, *options(data), **more).result()[0] == 0
    assert_same_training(out, undisturbed)


def checkpoint_steps(out):
    return [int(p.stem) for p in (out / "checkpoints" / "seed-0").glob("0*.json")]


def kill(command, moment, chance):
    """While it starts, while it trains, while a checkpoint is written."""
    folder = command.out / "checkpoints" / "seed-0"
    if moment == "start":
        time.sleep(chance.uniform(0.5, 4))
    elif moment == "steps":
        before = max(checkpoint_steps(command.out), default=0)
        more = chance.randint(5, 25)
        command.wait_for(
            lambda: max(checkpoint_steps(command.out), default=0) >= before + more
        )
        time.sleep(chance.uniform(0, 0.05))
    else:
        seen = set(folder.glob("*"))

        def unfinished():
            new = set(folder.glob("*")) - seen
            return any(not p.with_suffix(".json").exists() for p in new if p.is_dir())

        command.wait_for(unfinished)
        time.sleep(chance.uniform(0, 0.01))
    command.process.send_signal(signal.SIGKILL)
    return command.result()[0]


def assert_survives(out, data, undisturbed, moments, seed):
    chance = random.Random(seed)
    codes = [
        kill(Command(out, *options(data), **SETTINGS), moment, chance)
        for moment in moments
    ]
    # A test in which every process was done before it was killed would show nothing.
    assert codes.count(-signal.SIGKILL) >= len(moments) - 2
    code, _, _ = Command(out, *options(data), **SETTINGS).result()
    assert code == 0
    assert_same_training(out, undisturbed)


def test_killed_and_resumed_the_parameters_are_the_same_bits(
    tmp_path, data, undisturbed
):
    moments = ["steps", "checkpoint"]
    assert_survives(tmp_path / "run", data, undisturbed, moments, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_killed_ten_times_the_parameters_are_the_same_bits(
    tmp_path, data, undisturbed, seed
):
    moments = ["start", "steps", "checkpoint", "checkpoint", "steps"] * 2
    assert_survives(tmp_path / "run", data, undisturbed, moments, seed)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_signal_saves_and_the_same_command_resumes(tmp_path, data, undisturbed, name):
    out = tmp_path / "run"
    command = Command(out, *options(data), **SETTINGS)
    assert command.wait_for(lambda: checkpoint_steps(out))
    began = time.monotonic()
    command.process.send_signal(signal.Signals[name])
    code, _, err = command.result()
    assert (code, err) == (130, "interrupted; the same command resumes\n")
    assert time.monotonic() - began < 5
    saved = max(checkpoint_steps(out))
    rows = [r["step"] for r in read_metrics(out / "metrics.jsonl")]
    assert max(rows) == saved < STEPS and manifest(out)["status"] == "interrupted"
    assert Command(out, *options(data), **SETTINGS).result()[0] == 0
    assert_same_training(out, undisturbed)


@pytest.mark.slow
def test_a_damaged_checkpoint_is_named_and_the_one_before_used(
    tmp_path, data, undisturbed
):
    out = tmp_path / "run"
    command = Command(out, *options(data), **SETTINGS)
    assert command.wait_for(lambda: len(checkpoint_steps(out)) > 1)
    command.process.kill()
    command.result()
    newest = max(checkpoint_steps(out))
    place = out / "checkpoints" / "seed-0" / f"{newest:08d}"
    largest = max(
        (p for p in place.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size
    )
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 4
    largest.write_bytes(content)
    code, _, err = Command(out, *options(data), **SETTINGS).result()
    assert code == 0 and largest.name in err and "the step before it" in err
    assert_same_training(out, undisturbed)


@pytest.mark.slow
def test_streamed_and_killed_it_is_the_same_training(tmp_path, data):
    more = options(data, "--resident", "no")
    settings = {"study": "train", "networks": 3}
    whole = tmp_path / "whole"
    assert Command(whole, *more, **settings).result()[0] == 0
    out = tmp_path / "run"
    command = Command(out, *more, **settings)
    assert command.wait_for(lambda: checkpoint_steps(out))
    command.process.kill()
    command.result()
    assert Command(out, *more, **settings).result()[0] == 0
    assert result_files(out) == result_files(whole)
    for one, two in zip(arrays(out, 60), arrays(whole, 60), strict=True):
        assert np.array_equal(one, two)


@pytest.mark.parametrize(
    ("resident", "count"),
    [
        ("yes", 2),
        pytest.param("yes", 4, marks=pytest.mark.slow),
        pytest.param("no", 2, marks=pytest.mark.slow),
        pytest.param("no", 4, marks=pytest.mark.slow),
    ],
)
def test_several_processes_train_as_one(tmp_path, data, resident, count):
    more = options(data, "--resident", resident)
    settings = {"study": "train", "networks": 2}
    alone, together = tmp_path / "alone", tmp_path / "together"
    assert Command(alone, *more, devices=2, **settings).result()[0] == 0
    commands = cluster(together, *more, count=count, **settings)
    results = [command.result() for command in commands]
    assert [code for code, _, _ in results] == [0] * count, results
    assert said(results[1][1]) == ""
    for one, two in zip(arrays(alone, 40), arrays(together, 40), strict=True):
        np.testing.assert_allclose(two, one, rtol=1e-4, atol=1e-5)
    first, second = (read_metrics(out / "metrics.jsonl") for out in (alone, together))
    for one, two in zip(first, second, strict=True):
        assert one["step"] == two["step"]
        assert two["loss"] == pytest.approx(one["loss"], rel=1e-4)


@pytest.mark.slow
def test_killed_among_four_processes_two_go_on(tmp_path, data, undisturbed):
    out = tmp_path / "run"
    commands = cluster(out, *options(data), count=4, **SETTINGS)
    assert commands[0].wait_for(lambda: checkpoint_steps(out))
    began = time.monotonic()
    commands.pop(3).process.kill()
    results = [command.result() for command in commands]
    assert time.monotonic() - began < 60
    line = f"{LOST}\n"
    assert [said(err) for _, _, err in results] == [line] * 3
    assert all(code for code, _, _ in results)
    saved = max(checkpoint_steps(out))
    assert saved < STEPS
    results = [command.result() for command in cluster(out, *options(data), **SETTINGS)]
    assert [code for code, _, _ in results] == [0, 0], results
    assert manifest(out)["environment"]["device"]["processes"] == 2
    # Devices add up the shares of a batch in another order.
    for one, two in zip(arrays(undisturbed), arrays(out), strict=True):
        np.testing.assert_allclose(two, one, rtol=1e-3, atol=1e-4)
    steps = [r["step"] for r in read_metrics(out / "metrics.jsonl") if "loss" in r]
    assert sorted(set(steps)) == list(range(1, STEPS + 1))


@pytest.mark.slow
def test_a_loss_that_is_not_finite_is_one_line_with_the_step(tmp_path, data):
    out = tmp_path / "run"
    command = Command(out, *options(data, "--rate", "1e30"), **SETTINGS)
    code, _, err = command.result()
    assert code == 1 and err.count("\n") == 1
    assert err.startswith("error: step ") and "not finite" in err
    step = int(err.split()[2].rstrip(":"))
    assert all(saved < step for saved in checkpoint_steps(out))
    assert manifest(out)["status"] == "failed"


@pytest.mark.slow
@pytest.mark.parametrize("limit", [60_000, 300_000])
def test_a_full_disk_is_one_line_and_earlier_steps_stay(
    tmp_path, data, undisturbed, limit
):
    out = tmp_path / "run"
    command = Command(out, *options(data), **SETTINGS)
    assert command.wait_for(lambda: checkpoint_steps(out))
    resource.prlimit(command.process.pid, resource.RLIMIT_FSIZE, (limit, limit))
    code, _, err = command.result()
    assert code == 1 and err.count("\n") == 1, err
    assert err.startswith("error: File too large") and "checkpoints" in err
    assert Command(out, *options(data), **SETTINGS).result()[0] == 0
    assert_same_training(out, undisturbed)


@pytest.mark.slow
def test_skipped_images_are_listed_and_more_than_allowed_refused(tmp_path):
    folder = tmp_path / "pictures"
    rng = np.random.default_rng(0)
    for number in range(60):
        place = folder / "ab"[number % 2] / f"{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 255, (9, 12, 3), np.uint8)
        Image.fromarray(pixels).save(place)
    (folder / "a" / "0.png").write_bytes(b"<html>")
    argv = ["--data", str(folder), "--hold-out", "0.2", "--bad-images", "skip"]
    settings = {"study": "train", "networks": 2}
    out = tmp_path / "run"
    code, text, err = Command(out, *argv, "--most-bad", "0.1", **settings).result()
    assert (code, err) == (0, "") and "warning: 1 of" in text
    (listed,) = out.glob("skipped_*.csv")
    assert "a/0.png" in listed.read_text() and "cannot identify" in listed.read_text()
    code, _, err = Command(
        tmp_path / "b", *argv, "--most-bad", "0", **settings
    ).result()
    assert code == 2 and err.count("\n") == 1 and "1 of " in err and "a/0.png" in err


def run(capsys, out, *argv):
    """The command in this process: its exit code and what it says on stderr."""
    code = jaxbias.cli.guarded(
        lambda: jaxbias.cli._run_study("train", [*argv, "--out", str(out)], "x")
    )
    return code, capsys.readouterr().err


def test_bad_data_is_one_line_and_exit_code_2(tmp_path, data, capsys, monkeypatch):
    monkeypatch.setattr(jaxbias.cli, "_start", lambda options: None)
    (tmp_path / "folder" / "empty").mkdir(parents=True)
    np.savez(tmp_path / "p.npz", images=np.asarray([{}], object), labels=np.zeros(1))
    wrong = {
        ("--data", f"folder:{tmp_path}/folder"): "empty",
        ("--data", f"npz:{tmp_path}/p.npz"): "p.npz",
        ("--data", "tfds:no_such_set"): "no_such_set",
        ("--data", f"npz:{data}/train.npz", "--batch", "500"): "do not fill a batch",
        ("--model", "resnet1000"): "--model: no model 'resnet1000'",
        ("--rise", "0"): "--rise: must be above 0",
        ("--epochs", "0"): "--epochs: must be >= 1",
        ("--accumulate", "3"): "--accumulate: must divide the batch",
        ("--recipe", "none"): "--recipe: one of small, plain",
        ("--rate", "nan"): "--rate",
        ("--crop-area", "1", "0.5"): "--crop-area",
    }
    for number, (argv, message) in enumerate(wrong.items()):
        code, err = run(capsys, tmp_path / f"out{number}", "--preset", "smoke", *argv)
        assert code == 2 and err.startswith("error: ") and err.count("\n") == 1, err
        assert message in err
