"""Image archives: what is read, and what is refused with the file named."""

import gzip
import os
import struct
from pathlib import Path

import numpy as np
import pytest

from jaxbias.data import archives
from jaxbias.data.archives import SourceError

SHARED = Path(__file__).parents[2].parent / "shared" / "data"


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def records(rng, count, labels=1, classes=10):
    """CIFAR records, and the images and labels that they hold."""
    images = rng.integers(0, 256, (count, 32, 32, 3), np.uint8)
    marks = rng.integers(0, classes, (count, labels), np.uint8)
    planes = images.transpose(0, 3, 1, 2).reshape(count, -1)
    return np.concatenate([marks, planes], axis=1).tobytes(), images, marks


@pytest.mark.parametrize("inner", ["", "cifar-10-batches-bin"])
def test_cifar10(tmp_path, rng, inner):
    folder = tmp_path / inner
    folder.mkdir(exist_ok=True)
    parts = [records(rng, 3) for _ in range(6)]
    for number, (data, *_) in enumerate(parts[:5], start=1):
        (folder / f"data_batch_{number}.bin").write_bytes(data)
    (folder / "test_batch.bin").write_bytes(parts[5][0])
    train, test = (archives.cifar10(tmp_path, split) for split in ("train", "test"))
    np.testing.assert_array_equal(
        train.images, np.concatenate([p[1] for p in parts[:5]])
    )
    marks = np.concatenate([p[2] for p in parts[:5]])[:, 0]
    np.testing.assert_array_equal(train.labels, marks)
    np.testing.assert_array_equal(test.images, parts[5][1])
    assert train.classes[3] == "cat" and len(train) == 15


def test_cifar100(tmp_path, rng):
    data, images, marks = records(rng, 5, labels=2, classes=20)
    (tmp_path / "train.bin").write_bytes(data)
    fine = archives.cifar100(tmp_path, "train")
    coarse = archives.cifar100(tmp_path, "train", coarse=True)
    np.testing.assert_array_equal(fine.images, images)
    np.testing.assert_array_equal(fine.labels, marks[:, 1])
    np.testing.assert_array_equal(coarse.labels, marks[:, 0])
    assert (len(fine.classes), len(coarse.classes)) == (100, 20)
    names = [f"name{i}" for i in range(20)]
    (tmp_path / "coarse_label_names.txt").write_text("\n".join(names))
    named = archives.cifar100(tmp_path, "train", coarse=True)
    assert named.classes == tuple(names)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file"),
        (b"", "0 bytes, not a whole number"),
        (bytes(3073 + 5), "3078 bytes, not a whole number"),
        (b"\x0a" + bytes(3072), "labels from 10 to 10, but there are 10 classes"),
    ],
)
def test_damaged_cifar_is_named(tmp_path, content, message):
    if content is not None:
        (tmp_path / "test_batch.bin").write_bytes(content)
    with pytest.raises(SourceError, match=message) as found:
        archives.cifar10(tmp_path, "test")
    assert str(tmp_path) in str(found.value)
    with pytest.raises(SourceError, match="split 'val': one of train, test"):
        archives.cifar10(tmp_path, "val")


def idx(array, code=0x08):
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
    return header + array.tobytes()


@pytest.mark.parametrize("packed", [False, True])
def test_mnist(tmp_path, rng, packed):
    images = rng.integers(0, 256, (7, 28, 28), np.uint8)
    labels = rng.integers(0, 10, 7, np.uint8)
    for name, array in (("images-idx3", images), ("labels-idx1", labels)):
        data = idx(array)
        path = tmp_path / f"t10k-{name}-ubyte"
        if packed:
            path.with_name(path.name + ".gz").write_bytes(gzip.compress(data))
        else:
            path.write_bytes(data)
    found = archives.mnist(tmp_path, "test")
    np.testing.assert_array_equal(found.images[..., 0], images)
    np.testing.assert_array_equal(found.labels, labels)
    with pytest.raises(SourceError, match="neither train-images-idx3-ubyte nor"):
        archives.mnist(tmp_path, "train")


@pytest.mark.parametrize(
    ("code", "dtype"),
    [(0x08, "u1"), (0x09, "i1"), (0x0B, ">i2"), (0x0C, ">i4"), (0x0D, ">f4")],
)
def test_idx_of_every_type(tmp_path, code, dtype):
    values = np.arange(6).reshape(2, 3).astype(dtype)
    (tmp_path / "a").write_bytes(idx(values, code))
    np.testing.assert_array_equal(archives.read_idx(tmp_path / "a"), values)


WHOLE = idx(np.arange(6, dtype=np.uint8).reshape(2, 3))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not an idx file"),
        (b"<html>", "not an idx file"),
        (WHOLE[:6], "ends within its header"),
        (WHOLE[:-1], "says 6 bytes of values, holds 5"),
        (WHOLE + b"x", "says 6 bytes of values, holds 7"),
        # A lying header: nothing of that size is allocated.
        (struct.pack(">BBBB2I", 0, 0, 8, 2, 2**32 - 1, 2**32 - 1), "holds 0"),
    ],
)
def test_damaged_idx_is_named(tmp_path, data, message):
    path = tmp_path / "a-idx"
    path.write_bytes(data)
    with pytest.raises(SourceError, match=message) as found:
        archives.read_idx(path)
    assert str(path) in str(found.value)


# Without the time in it, which would be part of the test's name.
CUT = gzip.compress(WHOLE, mtime=0)[:-9]


@pytest.mark.parametrize("data", [b"no gzip", CUT], ids=["none", "cut"])
def test_damaged_gzip_is_named(tmp_path, data):
    path = tmp_path / "a.gz"
    path.write_bytes(data)
    with pytest.raises(SourceError, match=r"a\.gz"):
        archives.read_idx(path)


def test_a_gzip_bomb_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MOST_BYTES", 10_000)
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(bytes(10**6)))
    with pytest.raises(SourceError, match="unpacks to more than"):
        archives.read_idx(path)


@pytest.mark.parametrize("names", archives.KEYS)
def test_npz_of_every_layout(tmp_path, rng, names):
    images = rng.integers(0, 256, (5, 4, 4, 3), np.uint8)
    labels = np.asarray([0, 2, 1, 0, 2])
    np.savez(tmp_path / "a.npz", **dict(zip(names, (images, labels), strict=True)))
    found = archives.from_npz(tmp_path / "a.npz")
    np.testing.assert_array_equal(found.images, images)
    assert found.classes == ("0", "1", "2") and found.labels.dtype == np.int64


def test_npy_files_are_mapped(tmp_path, rng):
    images = rng.integers(0, 256, (5, 4, 4), np.uint8)
    np.save(tmp_path / "images.npy", images)
    np.save(tmp_path / "labels.npy", np.zeros((5, 1), np.int32))
    found = archives.from_npy(
        tmp_path / "images.npy", tmp_path / "labels.npy", classes=["one"]
    )
    assert isinstance(found.images.base, np.memmap)
    assert found.images.shape == (5, 4, 4, 1)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.zeros(3)}, "holds x, not images and labels"),
        ({}, "holds nothing"),
        ({"images": np.zeros((2, 4, 4, 3))}, "holds images, not"),
        ((np.zeros((2, 4, 4, 3)), np.zeros(2, int)), "float64"),
        ((np.zeros((2, 3, 9, 9), np.uint8), np.zeros(2, int)), "channels first"),
        ((np.zeros((2, 4, 4, 4), np.uint8), np.zeros(2, int)), "not uint8"),
        ((np.zeros((2, 4, 4, 3), np.uint8), np.zeros(3, int)), "2 images and 3 labels"),
        ((np.zeros((0, 4, 4, 3), np.uint8), np.zeros(0, int)), "0 images"),
        ((np.zeros((2, 4, 4, 3), np.uint8), np.zeros(2)), "not whole numbers"),
        ((np.zeros((2, 4, 4, 3), np.uint8), np.asarray([0, -1])), "labels from -1"),
        ((np.zeros((1, 4, 4, 3), np.uint8), np.asarray(["a"], object)), "pickle"),
    ],
)
def test_other_npz_are_refused(tmp_path, arrays, message):
    path = tmp_path / "a.npz"
    if isinstance(arrays, tuple):
        arrays = dict(zip(("images", "labels"), arrays, strict=True))
    np.savez(path, **arrays)
    with pytest.raises(SourceError, match=message) as found:
        archives.from_npz(path)
    assert str(path) in str(found.value)


def test_files_that_are_no_npz_are_refused(tmp_path):
    (tmp_path / "a.npz").write_bytes(b"PK\x03\x04 and no more")
    for name in ("a.npz", "absent.npz"):
        with pytest.raises(SourceError, match=name):
            archives.from_npz(tmp_path / name)
    with pytest.raises(SourceError, match=r"absent\.npy"):
        archives.from_npy(tmp_path / "absent.npy", tmp_path / "absent.npy")


@pytest.mark.skipif(not (SHARED / "mnist").is_dir(), reason="no MNIST at hand")
def test_the_real_mnist():
    train, test = (archives.mnist(SHARED / "mnist", s) for s in ("train", "test"))
    assert (len(train), len(test)) == (60_000, 10_000)
    assert np.bincount(test.labels).tolist() == [
        *(980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009)
    ]
    assert os.path.getsize(SHARED / "mnist" / "train-images-idx3-ubyte.gz") > 10**6
