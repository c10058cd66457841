"""Files of generated images: layouts, conversions that are said, refusals in one line."""

import io
import json
import zipfile

import numpy as np
import pytest
from PIL import Image

from jaxbias.data import generated
from jaxbias.data.archives import SourceError

CLASSES = ("cat", "dog", "owl")


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (9, 8, 8, 3)).astype(np.uint8)


LABELS = np.asarray([2, 0, 1, 1, 0, 2, 2, 1, 0])


def read(*paths):
    return generated.read(paths, classes=CLASSES, size=8)


@pytest.mark.parametrize("names", [("image", "label"), ("arr_0", "arr_1")])
def test_parts_of_npz_follow_one_another(tmp_path, images, names):
    for number, (own, labels) in enumerate([(images, LABELS), (images[:2], [1, 0])]):
        arrays = dict(zip(names, (own, np.asarray(labels)), strict=True))
        np.savez(tmp_path / f"{number}.npz", **arrays)
    found = read(tmp_path / "0.npz", tmp_path / "1.npz")
    np.testing.assert_array_equal(found.images.images, [*images, *images[:2]])
    assert found.images.labels.tolist() == [*LABELS, 1, 0]
    assert found.images.classes == CLASSES and not found.notes


@pytest.mark.parametrize("by_name", [False, True])
def test_a_folder_has_an_array_of_each_class(tmp_path, images, by_name):
    for number, name in enumerate(CLASSES):
        word = name if by_name else number
        np.save(tmp_path / f"{word}.npy", images[LABELS == number])
    found = read(tmp_path)
    assert found.images.labels.tolist() == [0] * 3 + [1] * 3 + [2] * 3
    np.testing.assert_array_equal(found.images.images[:3], images[LABELS == 0])
    assert "order of their classes" in found.notes[0]
    (tmp_path / f"{word}.npy").unlink()
    with pytest.raises(SourceError, match="no 2.npy"):
        read(tmp_path)


def test_a_zip_file_has_pictures_and_a_list(tmp_path, images):
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w") as archive:
        pairs = []
        for number, (image, label) in enumerate(zip(images, LABELS, strict=True)):
            data = io.BytesIO()
            Image.fromarray(image).save(data, "PNG")
            archive.writestr(f"00000/img{number}.png", data.getvalue())
            pairs.append([f"00000/img{number}.png", int(label)])
        archive.writestr("dataset.json", json.dumps({"labels": pairs}))
    found = read(path)
    np.testing.assert_array_equal(found.images.images, images)
    assert found.images.labels.tolist() == LABELS.tolist()
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(SourceError, match="set.zip"):
        read(path)


@pytest.mark.parametrize(
    ("change", "note"),
    [
        (lambda x: x.transpose(0, 3, 1, 2), "channels were first"),
        (lambda x: (x / 255).astype(np.float32), "float32 from 0 to 1"),
        (lambda x: (x / 127.5 - 1).astype(np.float64), "float64 from -1 to 1"),
        (lambda x: x.astype(np.float32), "float32 from 0 to 255"),
        (lambda x: x.astype(np.int64), "int64"),
    ],
)
def test_what_is_known_is_converted_and_said(images, change, note):
    images[0, 0, 0], images[0, 0, 1] = 0, 255
    found, notes = generated.pixels_of(change(images), "x")
    assert found.dtype == np.uint8 and note in notes[0]
    np.testing.assert_array_equal(found, images)


def test_labels_are_brought_to_whole_numbers():
    hot = np.eye(3)[LABELS]
    for labels, note in (
        (hot, "one-hot"),
        (LABELS.astype(np.float32), "float32"),
        (LABELS[:, None], None),
        (np.sort(LABELS), "in the order"),
    ):
        found, notes = generated.labels_of(labels, 3, "x")
        assert sorted(found.tolist()) == sorted(LABELS.tolist())
        assert found.dtype == np.int64
        assert (note in notes[0]) if note else not notes


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda i, y: (i[:, :4], y), r"images of \(4, 8, 3\)"),
        (lambda i, y: (i[..., :1], y), "no colour images"),
        (lambda i, y: (i, y[:4]), "9 images and 4 labels"),
        (lambda i, y: (i, y + 1), "labels from 1 to 3, but there are 3"),
        (lambda i, y: (i, y - 1), "labels from -1 to 1"),
        (lambda i, y: (i, y + 0.5), "not whole numbers"),
        (lambda i, y: (i, y.astype(str)), "labels are <U"),
        (lambda i, y: (i, np.ones((9, 3))), "neither classes nor one-hot"),
        (lambda i, y: (i.astype(np.float32) * 3, y), "of no known range"),
        (lambda i, y: (i / np.float32(0), y), "not finite"),
        (lambda i, y: (i.astype(np.int16) - 9, y), "not 0 to 255"),
        (lambda i, y: (i[:0], y[:0]), "no generated images"),
    ],
)
@pytest.mark.filterwarnings("ignore:(divide|invalid)")
def test_what_says_nothing_is_refused(tmp_path, images, change, message):
    own, labels = change(images, LABELS)
    np.savez(tmp_path / "bad.npz", image=own, label=labels)
    with pytest.raises(SourceError, match=message) as error:
        read(tmp_path / "bad.npz")
    assert "\n" not in str(error.value)


def test_damaged_and_nameless_files_are_refused(tmp_path, images):
    path = tmp_path / "cut.npz"
    np.savez(path, image=images, label=LABELS)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(SourceError, match="cut.npz"):
        read(path)
    np.savez(path, image=images)
    with pytest.raises(SourceError, match="holds image, not images and labels"):
        read(path)
    with pytest.raises(SourceError, match=r"gone.npz: No such file"):
        read(tmp_path / "gone.npz")


def test_fewer_are_part_of_more():
    whole = generated.nested(100, 100, seed=3)
    assert sorted(whole.tolist()) == list(range(100))
    np.testing.assert_array_equal(generated.nested(100, 30, seed=3), whole[:30])
    assert (generated.nested(100, 30, seed=4) != whole[:30]).any()
    with pytest.raises(SourceError, match="101 of 100"):
        generated.nested(100, 101, seed=0)


@pytest.mark.parametrize("by_name", [False, True])
def test_a_folder_has_pictures_of_each_class(tmp_path, images, by_name):
    for number, (image, label) in enumerate(zip(images, LABELS, strict=True)):
        folder = tmp_path / (CLASSES[label] if by_name else str(label))
        folder.mkdir(exist_ok=True)
        Image.fromarray(image).save(folder / f"{number:06d}.png")
    found = read(tmp_path)
    assert found.images.labels.tolist() == sorted(LABELS)
    np.testing.assert_array_equal(
        found.images.images, images[np.argsort(LABELS, kind="stable")]
    )
    (tmp_path / "emu").mkdir()
    Image.fromarray(images[0]).save(tmp_path / "emu" / "0.png")
    with pytest.raises(SourceError, match="'emu' is no class"):
        read(tmp_path)


def test_flat_pixels_have_labels_beside_them(tmp_path, images):
    images.tofile(tmp_path / "images.bin")
    np.save(tmp_path / "labels.npy", LABELS)
    both = tmp_path / f"images.bin+{tmp_path / 'labels.npy'}"
    found = read(both)
    np.testing.assert_array_equal(found.images.images, images)
    assert found.images.labels.tolist() == LABELS.tolist()
    with pytest.raises(SourceError, match="labels are needed: images.bin"):
        read(tmp_path / "images.bin")
    (tmp_path / "images.bin").write_bytes(images.tobytes()[:-5])
    with pytest.raises(SourceError, match="cut short"):
        read(both)
    (tmp_path / "labels.npy").unlink()
    images.tofile(tmp_path / "images.bin")
    with pytest.raises(SourceError, match="labels.npy"):
        read(both)


def test_pictures_without_labels_are_refused(tmp_path, images):
    """As EDM's generate.py writes them: NNNNNN.png, of no class."""
    for number, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / f"{number:06d}.png")
    with pytest.raises(SourceError) as error:
        read(tmp_path)
    assert "\n" not in str(error.value)
