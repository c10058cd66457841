"""Batches: a function of seed and step alone, and what becomes of bad images."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jaxbias.data.archives import SourceError, from_arrays
from jaxbias.data.images import ImageFolder
from jaxbias.data.pipelines import Skipped, Stream, in_order, load

ROOT = Path(__file__).parents[2]
SHARED = Path(__file__).parents[3] / "shared" / "data" / "nasty"


@pytest.fixture(scope="module")
def numbered():
    """Images that tell their number in every pixel."""
    pixels = np.arange(23, dtype=np.uint8).reshape(-1, 1, 1, 1)
    return from_arrays(np.broadcast_to(pixels, (23, 8, 8, 3)), np.arange(23) % 3)


@pytest.fixture
def folder(tmp_path):
    """Thirty images of two sizes in two classes, two of them not images at all."""
    rng = np.random.default_rng(0)
    for number in range(30):
        place = tmp_path / "ab"[number % 2] / f"{number:02d}.png"
        place.parent.mkdir(exist_ok=True)
        if number in (4, 17):
            place.write_bytes(b"<html>not found</html>")
        else:
            shape = (8, 8, 3) if number % 3 else (20, 12, 3)
            Image.fromarray(rng.integers(0, 255, shape, np.uint8)).save(place)
    return ImageFolder.open(tmp_path)


def stream(source, **options):
    options = {"size": 8, "batch": 6, "seed": 1} | options
    skipped = options.pop("skipped", None) or Skipped(source)
    return Stream(source, skipped, **options)


def take(opened, count):
    try:
        return [next(opened) for _ in range(count)]
    finally:
        opened.close()


def equal(first, second):
    for one, two in zip(first, second, strict=True):
        assert all(map(np.array_equal, one, two))


def test_each_epoch_is_every_image_once(numbered):
    batches = take(stream(numbered), 23)
    index = np.concatenate([index for _, _, index in batches])
    for epoch in range(6):
        assert sorted(index[epoch * 23 : (epoch + 1) * 23]) == list(range(23))
    assert (index[:23] != index[23:46]).any()
    for pixels, labels, index in batches:
        assert pixels.dtype == np.uint8 and pixels.shape == (6, 8, 8, 3)
        assert np.array_equal(pixels[:, 0, 0, 0], index)
        assert np.array_equal(labels, index % 3)


def test_it_can_be_taken_up_at_every_step(numbered):
    whole = take(stream(numbered), 12)
    for first in range(12):
        equal(take(stream(numbered, first=first), 12 - first), whole[first:])
    others = take(stream(numbered, seed=2), 3)
    assert any(
        not np.array_equal(a[2], b[2]) for a, b in zip(others, whole, strict=False)
    )


@pytest.mark.parametrize("processes", [2, 3])
def test_processes_share_each_batch(numbered, processes):
    whole = take(stream(numbered), 8)
    parts = [
        take(stream(numbered, process=number, processes=processes), 8)
        for number in range(processes)
    ]
    for step, batch in enumerate(whole):
        joined = [
            np.concatenate(x) for x in zip(*[p[step] for p in parts], strict=True)
        ]
        assert all(map(np.array_equal, joined, batch))


def test_workers_read_what_threads_read(folder):
    skip = Skipped(folder, "skip", most=0.2), Skipped(folder, "skip", most=0.2)
    threads = take(stream(folder, skipped=skip[0]), 10)
    workers = take(stream(folder, skipped=skip[1], workers=2), 10)
    equal(workers, threads)
    assert skip[0].reasons == skip[1].reasons and set(skip[0].reasons) == {2, 23}


class Failing:
    """A source whose image 20 cannot be read for a reason that is nobody's policy."""

    classes, labels = ("a",), np.zeros(40, np.int64)

    def __len__(self):
        return 40

    def __getitem__(self, index):
        time.sleep(0.01)
        if index == 20:
            raise RuntimeError("the disk is gone: image 20")
        return np.zeros((8, 8, 3), np.uint8), 0

    def name(self, index):
        return f"image {index}"


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_of_a_reader_reaches_the_training(workers):
    with pytest.raises(RuntimeError, match="the disk is gone: image 20"):
        take(stream(Failing(), workers=workers), 10)


KILLED = """
import multiprocessing, sys
from pathlib import Path
from jaxbias.data.images import ImageFolder
from jaxbias.data.pipelines import Skipped, Stream

if __name__ == "__main__":
    folder = ImageFolder.open(Path(sys.argv[1]))
    skipped = Skipped(folder, "skip", most=0.2)
    opened = Stream(folder, skipped, size=8, batch=6, seed=1, workers=2)
    next(opened)
    for process in multiprocessing.active_children():
        process.kill()
    try:
        while True:
            next(opened)
    except RuntimeError as error:
        print("stopped:", error)
"""


def test_a_killed_worker_is_an_error_and_not_a_wait(folder, tmp_path):
    """In a process of its own: what a worker held is cleared up with it, and noisily."""
    script = tmp_path / "read.py"
    script.write_text(KILLED)
    done = subprocess.run(
        [sys.executable, script, folder.root],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert "stopped: Worker process was terminated unexpectedly" in done.stdout


def test_too_few_images_and_uneven_processes_are_refused(numbered):
    with pytest.raises(SourceError, match="23 images do not fill a batch of 24"):
        stream(numbered, batch=24)
    with pytest.raises(SourceError, match="a batch of 6 over 4 processes"):
        stream(numbered, processes=4)


def test_a_bad_image_is_an_error_that_names_it(folder):
    with pytest.raises(SourceError, match=r"(a/04|b/17)\.png: "):
        take(stream(folder), 5)
    with pytest.raises(SourceError, match=r"a/04\.png: "):
        load(folder, 8, Skipped(folder))
    with pytest.raises(SourceError, match=r"a/04\.png: "):
        list(in_order(folder, Skipped(folder), size=8, batch=7))


def test_bad_images_are_skipped_counted_and_listed(folder):
    streamed, loaded, ordered = (Skipped(folder, "skip", most=0.1) for _ in range(3))
    index = np.concatenate([b[2] for b in take(stream(folder, skipped=streamed), 10)])
    assert not {2, 23} & set(index.tolist()) and len(index) == 60
    whole = load(folder, 8, loaded)
    assert len(whole) == 28 and whole.classes == ("a", "b")
    parts = list(in_order(folder, ordered, size=8, batch=7))
    assert np.array_equal(np.concatenate([p for p, _ in parts]), whole.images)
    assert np.array_equal(np.concatenate([y for _, y in parts]), whole.labels)
    for skipped in (streamed, loaded, ordered):
        columns = skipped.columns()
        assert columns["index"].tolist() == [2, 23]
        assert [Path(name).name for name in columns["image"]] == ["04.png", "17.png"]
        assert all("cannot identify" in reason for reason in columns["reason"])


def test_more_bad_images_than_allowed_are_an_error_with_counts(folder):
    for use in (
        lambda skipped: load(folder, 8, skipped),
        lambda skipped: take(stream(folder, skipped=skipped), 12),
    ):
        with pytest.raises(
            SourceError, match="2 of 30 images cannot be used, over 5.00%"
        ):
            use(Skipped(folder, "skip", most=0.05))


def test_a_class_without_a_usable_image_is_named(tmp_path):
    for name, data in (("good", None), ("bad", b"nothing")):
        (tmp_path / name).mkdir()
        path = tmp_path / name / "1.png"
        if data is None:
            Image.new("RGB", (8, 8)).save(path)
        else:
            path.write_bytes(data)
    source = ImageFolder.open(tmp_path)
    with pytest.raises(SourceError, match="class 'bad': none of its images"):
        load(source, 8, Skipped(source, "skip", most=1.0))


def test_arrays_of_the_right_size_are_not_copied(numbered):
    assert load(numbered, 8, Skipped(numbered)) is numbered
    smaller = load(numbered, 4, Skipped(numbered))
    assert smaller.images.shape == (23, 4, 4, 3)
    assert np.array_equal(smaller.images[:, 0, 0, 0], np.arange(23))


def test_squares_are_central_and_smooth(tmp_path):
    wide = np.zeros((10, 30, 3), np.uint8)
    wide[:, 10:20] = 200
    (tmp_path / "a").mkdir()
    Image.fromarray(wide).save(tmp_path / "a" / "1.png")
    source = ImageFolder.open(tmp_path)
    assert (load(source, 5, Skipped(source)).images == 200).all()


@pytest.mark.skipif(not SHARED.exists(), reason="the odd files are not there")
def test_odd_files_train_or_are_listed(tmp_path):
    shutil.copytree(SHARED, tmp_path / "a", ignore=shutil.ignore_patterns("*.json"))
    source = ImageFolder.open(tmp_path)
    skipped = Skipped(source, "skip", most=0.6)
    whole = load(source, 16, skipped)
    assert len(whole) + len(skipped.reasons) == len(source) == 30
    bad = {Path(source.name(index)).name for index in skipped.reasons}
    assert {
        "empty.jpg",
        "text.jpg",
        "truncated_half.jpg",
        "bomb_10000x10000.png",
    } <= bad
    assert not {"gray16.png", "cmyk.jpg", "exif_rot90.jpg", "rgba.png"} & bad
