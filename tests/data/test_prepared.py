"""Prepared TensorFlow-Datasets sets: read without TensorFlow, and what is amiss said."""

import io
import json
import multiprocessing
import operator
import pickle
import shlex
import shutil
import socket
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from jaxbias.data.archives import SourceError
from jaxbias.data.images import ImageError, decode
from jaxbias.data.prepared import TfdsSource, split_names

NAMES = ["cat", "dog", "bird"]


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*_):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def encoded(number):
    """Images of every kind that `decode` knows more of than others, by their number."""
    rng = np.random.default_rng(number)
    image = Image.fromarray(rng.integers(0, 256, (6, 7, 3), np.uint8))
    if number % 4 == 1:
        image = Image.fromarray(rng.integers(0, 2**16, (6, 7), np.uint16))
    elif number % 4 == 2:
        image = image.quantize(8)
    elif number % 4 == 3:
        image = Image.fromarray(rng.integers(0, 256, (6, 7, 4), np.uint8))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def prepare(folder):
    """A small set; its records are known by their feature `number`."""
    features = {
        "image": tfds.features.Image(),
        "second": tfds.features.Image(),
        "label": tfds.features.ClassLabel(names=NAMES),
        "number": tfds.features.Scalar(np.int64),
        "bare": tfds.features.ClassLabel(num_classes=2),
        "unlabelled": tfds.features.ClassLabel(num_classes=4),
    }

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self, features=tfds.features.FeaturesDict(features)
        )

    def _split_generators(self, manager):
        return {"train": self.generate(0, 11), "test": self.generate(100, 3)}

    def generate(self, first, count):
        for i in range(first, first + count):
            yield (
                i,
                {
                    "image": encoded(i),
                    "second": Image.open(io.BytesIO(encoded(0))),
                    "label": i % 3,
                    "number": i,
                    "bare": i % 2,
                    "unlabelled": -1,
                },
            )

    kind = type(
        "tiny",
        (tfds.core.GeneratorBasedBuilder,),
        {
            "VERSION": tfds.core.Version("1.0.0"),
            "_info": _info,
            "_split_generators": _split_generators,
            "_generate_examples": generate,
            "generate": generate,
            "__module__": __name__,
        },
        skip_registration=True,
    )
    kind(data_dir=folder, file_format="array_record").download_and_prepare()
    return folder


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    tfds.disable_progress_bar()
    return prepare(tmp_path_factory.mktemp("sets"))


@pytest.fixture
def copy(prepared, tmp_path):
    """A folder of sets to damage, and the set's own folder in it."""
    shutil.copytree(prepared, tmp_path / "sets")
    return tmp_path / "sets", tmp_path / "sets" / "tiny" / "1.0.0"


def numbers(source):
    return [source.records[i]["number"] for i in range(len(source))]


def test_images_and_labels(prepared):
    source = TfdsSource.open("tiny", "train", data_dir=prepared)
    found = numbers(source)
    assert sorted(found) == list(range(11)) and len(source) == 11
    assert source.classes == tuple(NAMES) and source.labels.dtype == np.int64
    assert source.labels.tolist() == [number % 3 for number in found]
    for i in (7, 0, 10, -1):
        pixels, label = source[i]
        np.testing.assert_array_equal(pixels, decode(encoded(found[i])))
        assert pixels.dtype == np.uint8 and (type(label), label) == (int, found[i] % 3)
    assert source.name(7) == "tiny/train[7]"
    assert len(list(source)) == 11
    with pytest.raises(IndexError):
        source[11]


def test_parts_of_splits(prepared):
    whole = numbers(TfdsSource.open("tiny", "train", data_dir=prepared))
    for split, expected in (
        ("train[:4]", whole[:4]),
        ("train[4:]", whole[4:]),
        ("train[:50%]", whole[:6]),
        ("train[2:3]", whole[2:3]),
    ):
        source = TfdsSource.open("tiny", split, data_dir=prepared)
        assert numbers(source) == expected and len(source.labels) == len(expected)
        assert source.name(0) == f"tiny/{split}[0]"
    test = TfdsSource.open("tiny:1.*.*", "test", data_dir=str(prepared))
    assert sorted(numbers(test)) == [100, 101, 102]


def test_splits_are_told(prepared):
    source = TfdsSource.open("tiny", "train[:2]", data_dir=prepared)
    assert source.splits == split_names("tiny", data_dir=prepared) == ("train", "test")


def test_other_features(prepared):
    source = TfdsSource.open(
        "tiny", "test", data_dir=prepared, image="second", label="bare"
    )
    np.testing.assert_array_equal(source[1][0], decode(encoded(0)))
    assert source.classes == ("0", "1")
    assert source.labels.tolist() == [number % 2 for number in numbers(source)]


def test_tensorflow_is_not_loaded_nor_tfds_before_it_is_needed(prepared):
    code = f"""
import sys
import jaxbias.data.prepared as prepared
assert "tensorflow_datasets" not in sys.modules
source = prepared.TfdsSource.open("tiny", "train", data_dir={str(prepared)!r})
source[3]
assert "tensorflow" not in sys.modules
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


# What is refused


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("tinny", {}, "not prepared in .*, and no set that TensorFlow Datasets knows$"),
        ("cifar1O", {}, "no set that .* knows; did you mean cifar10?"),
        ("huggingface:tiny", {}, "no set that"),
        ("", {}, "Parsing builder name string"),
        ("ti ny", {}, "Parsing builder name string ti ny failed"),
        ("../tiny", {}, "Parsing builder name string"),
        (
            "tiny:2.0.0",
            {},
            "holds 1.0.0, but not what is asked for. To prepare it: pip",
        ),
        ("tiny/large", {}, "holds 1.0.0, but not what is asked for"),
        ("tiny", {"split": "val"}, r"tiny/val: Unknown split 'val'.*'train', 'test'"),
        ("tiny", {"split": "train["}, "Error parsing split"),
        ("tiny", {"split": "train[50:]"}, r"Requested slice \[50:11\]"),
        ("tiny", {"split": "train[5:5]"}, "0 length"),
        ("tiny", {"image": "photo"}, "no feature 'photo'; it has .*image"),
        ("tiny", {"label": "labels"}, "no feature 'labels'; it has .*label"),
        ("tiny", {"image": "label"}, "'label' is of kind ClassLabel, not Image"),
        ("tiny", {"label": "number"}, "'number' is of kind .*, not ClassLabel"),
        ("tiny", {"label": "unlabelled"}, "labels from -1 to -1, but there are 4"),
        ("tiny", {"data_dir": "gs://bucket/sets"}, "gs://.*: not a folder"),
    ],
)
def test_what_is_refused(prepared, name, options, message):
    options = {"split": "train", "data_dir": prepared} | options
    with pytest.raises(SourceError, match=message) as found:
        TfdsSource.open(name, **options)
    assert "\n" not in str(found.value)


def command(message):
    """The Python line of a message, as a shell would pass it on."""
    words = shlex.split(message[message.index("pip install tensorflow-cpu") :])
    assert words[:6] == ["pip", "install", "tensorflow-cpu", "&&", "python", "-c"]
    assert len(words) == 7
    return compile(words[6], "command", "exec") and words[6]


@pytest.mark.parametrize("inner", ["none there", "it's $HOME"])
def test_a_known_set_that_is_not_prepared(tmp_path, inner):
    with pytest.raises(SourceError, match="cifar10: not prepared in") as found:
        TfdsSource.open("cifar10", "train", data_dir=tmp_path / inner)
    message = str(found.value)
    assert f"{tmp_path / inner}. Preparing needs TensorFlow once" in message
    assert f"data_dir={str(tmp_path / inner)!r}" in command(message)
    assert "\n" not in message
    assert not (tmp_path / inner).exists()


def test_the_usual_folder(monkeypatch, tmp_path, prepared):
    monkeypatch.setattr(tfds.core.constants, "DATA_DIR", str(tmp_path))
    with pytest.raises(SourceError, match=f"not prepared in {tmp_path}") as found:
        TfdsSource.open("cifar10", "train")
    assert "data_dir" not in command(str(found.value))
    monkeypatch.setattr(tfds.core.constants, "DATA_DIR", str(prepared))
    assert len(TfdsSource.open("tiny", "test")) == 3


@pytest.mark.parametrize("kind", ["tfrecord", "parquet"])
def test_files_without_random_access(copy, kind):
    folder, inner = copy
    for path in inner.glob("*array_record*"):
        path.rename(path.with_name(path.name.replace("array_record", kind)))
    info = inner / "dataset_info.json"
    info.write_text(info.read_text().replace("array_record", kind))
    assert json.loads(info.read_text())["fileFormat"] == kind
    with pytest.raises(SourceError, match=f"tiny: prepared as {kind}") as found:
        TfdsSource.open("tiny", "train", data_dir=folder)
    assert f"Remove {inner} or choose another folder" in str(found.value)
    assert "file_format='array_record'" in command(str(found.value))


def test_floats_in_the_guise_of_colours(copy):
    folder, inner = copy
    path = inner / "features.json"
    features = json.loads(path.read_text())
    image = features["featuresDict"]["features"]["image"]["image"]
    image |= {"dtype": "float32", "shape": {"dimensions": ["-1", "-1", "1"]}}
    path.write_text(json.dumps(features))
    with pytest.raises(SourceError, match="tiny: 'image' has .*float32.* values"):
        TfdsSource.open("tiny", "train", data_dir=folder)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("dataset_info.json", None, "tiny: .*dataset_info.json"),
        ("dataset_info.json", lambda d: b"{", "tiny: .*JSON"),
        ("features.json", None, "holds 1.0.0, but not what"),
        ("features.json", lambda d: b"{", "tiny: Expecting property name"),
        ("tiny-train.*", None, r"tiny/train\[0\]: .*No such file"),
        ("tiny-train.*", lambda d: b"", r"tiny/train\[0\]: .*64KB"),
        ("tiny-train.*", lambda d: b"<html>", r"tiny/train\[0\]: .*64KB"),
        ("tiny-train.*", lambda d: d[:65_600], r"tiny/train\[0\]: "),
    ],
)
def test_damaged_sets_are_named(copy, name, change, message):
    folder, inner = copy
    (path,) = inner.glob(name)
    data = path.read_bytes()
    path.unlink()
    if change:
        path.write_bytes(change(data))
    with pytest.raises(SourceError, match=message) as found:
        TfdsSource.open("tiny", "train", data_dir=folder)
    assert "\n" not in str(found.value)


def test_a_damaged_record_is_named(copy):
    folder, inner = copy
    source = TfdsSource.open("tiny", "train", data_dir=folder)
    (path,) = inner.glob("tiny-train.*")
    data = bytearray(path.read_bytes())
    written = np.flatnonzero(np.frombuffer(bytes(data), np.uint8))
    data[written[len(written) // 2]] ^= 1
    path.write_bytes(data)
    (bad,) = [i for i in range(11) if _is_damaged(source, i)]
    with pytest.raises(SourceError, match=rf"tiny/train\[{bad}\]: Corrupted"):
        TfdsSource.open("tiny", "train", data_dir=folder)


def _is_damaged(source, index):
    try:
        source[index]
    except ImageError as error:
        assert str(error).startswith(f"tiny/train[{index}]: Corrupted")
        return True
    return False


def test_an_image_that_cannot_be_decoded_is_named(prepared):
    source = TfdsSource.open("tiny", "train", data_dir=prepared)
    object.__setattr__(source, "records", [{"image": b"nothing"}] * 11)
    with pytest.raises(ImageError, match=r"^tiny/train\[4\]: cannot identify"):
        source[4]


# Threads and processes


def test_threads_share_a_source(prepared):
    source = TfdsSource.open("tiny", "train", data_dir=prepared)
    expected = [image.tobytes() for image, _ in source]
    indices = np.random.default_rng(0).integers(0, 11, 1000).tolist()
    with ThreadPoolExecutor(8) as threads:
        found = threads.map(source.__getitem__, indices)
        for index, (image, _) in zip(indices, found, strict=True):
            assert image.tobytes() == expected[index]


def test_pickles_read_on(prepared):
    source = TfdsSource.open("tiny", "train", data_dir=prepared)
    again = pickle.loads(pickle.dumps(source))
    for i in range(11):
        np.testing.assert_array_equal(again[i][0], source[i][0])
    assert again.labels.tolist() == source.labels.tolist()
    assert again.name(3) == source.name(3)


def test_worker_processes_read_for_themselves(prepared):
    source = TfdsSource.open("tiny", "train", data_dir=prepared)
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as workers:
        image, label = workers.submit(operator.getitem, source, 5).result()
    np.testing.assert_array_equal(image, source[5][0])
    assert label == source.labels[5]
