"""Sources by name, their splits, and the line that says why one cannot be used."""

import numpy as np
import pytest
from PIL import Image

from jaxbias.data.archives import SourceError, from_arrays
from jaxbias.data.sources import Source, hold_out, open_source, open_splits


@pytest.fixture
def pictures(tmp_path):
    """Folders a and b of ten pictures each."""
    root = tmp_path / "pictures"
    for name in "ab":
        (root / name).mkdir(parents=True)
        for number in range(10):
            Image.new("RGB", (9, 9), (number, 0, 0)).save(root / name / f"{number}.png")
    return root


def halves(root):
    """The same under train/ and val/."""
    for split in ("train", "val"):
        (root / split).mkdir()
    for name in "ab":
        (root / name).rename(root / "train" / name)
        (root / "val" / name).mkdir()
        Image.new("RGB", (9, 9)).save(root / "val" / name / "x.png")


def npz(path, labels=(0, 1, 1), **options):
    images = np.zeros((len(labels), 8, 8, 3), np.uint8)
    np.savez(path, images=images, labels=np.asarray(labels), **options)
    return path


def test_a_path_is_recognised_by_what_it_holds(tmp_path, pictures):
    assert isinstance(open_source(str(pictures)), Source)
    assert open_source(str(pictures)).classes == ("a", "b")
    assert len(open_source(str(npz(tmp_path / "x.npz")))) == 3
    record = bytes([3]) + bytes(3072)
    cifar = tmp_path / "cifar"
    cifar.mkdir()
    for number in range(1, 6):
        (cifar / f"data_batch_{number}.bin").write_bytes(record * 2)
    (cifar / "test_batch.bin").write_bytes(record)
    assert len(open_source(str(cifar))) == 10
    train, test = open_splits(f"cifar10:{cifar}")
    assert (len(train), len(test)) == (10, 1) and train.classes[3] == "cat"


def test_shapes_need_no_files():
    train, test = open_splits("shapes")
    assert train.classes == test.classes and len(train) > len(test) > 500


def test_train_and_val_folders(pictures):
    halves(pictures)
    train, validation = open_splits(str(pictures))
    assert (len(train), len(validation)) == (20, 2)
    assert len(open_source(f"folder:{pictures}#val")) == 2


def test_without_a_second_split_images_are_held_out_by_name(pictures, tmp_path):
    train, held = open_splits(str(pictures), share=0.2)
    assert (len(train), len(held)) == (16, 4)
    assert sorted(held.labels) == [0, 0, 1, 1]
    names = {train.name(i) for i in range(16)} | {held.name(i) for i in range(4)}
    assert len(names) == 20
    pixels, label = held[0]
    assert label == held.labels[0] and pixels.shape == (9, 9, 3)
    # The same ones wherever the folder is, and whatever else is in it.
    moved = tmp_path / "elsewhere"
    pictures.rename(moved)
    (moved / "c").mkdir()
    for number in range(3):
        Image.new("RGB", (9, 9)).save(moved / "c" / f"{number}.png")
    _, again = open_splits(str(moved), share=0.2)
    where = [again.name(i).removeprefix(str(moved)) for i in range(len(again))]
    before = [held.name(i).removeprefix(str(pictures)) for i in range(len(held))]
    assert [name for name in where if not name.startswith("/c/")] == before


def test_a_named_validation_source(tmp_path, pictures):
    train, held = open_splits(
        str(npz(tmp_path / "x.npz")), f"npz:{npz(tmp_path / 'y.npz')}"
    )
    assert (len(train), len(held)) == (3, 3)
    with pytest.raises(SourceError, match="classes differ"):
        open_splits(str(pictures), str(tmp_path / "x.npz"))


def test_npy_files(tmp_path):
    np.save(tmp_path / "i.npy", np.zeros((4, 8, 8), np.uint8))
    np.save(tmp_path / "l.npy", np.asarray([0, 1, 0, 1]))
    source = open_source(f"npy:{tmp_path}/i.npy,{tmp_path}/l.npy")
    assert len(source) == 4 and source[1][0].shape == (8, 8, 1)
    with pytest.raises(SourceError, match="two files are needed"):
        open_source(f"npy:{tmp_path}/i.npy")


def test_what_cannot_be_used_is_one_line(tmp_path, pictures):
    (pictures / "empty").mkdir()
    np.savez(tmp_path / "p.npz", images=np.asarray([{}], object), labels=np.zeros(1))
    wrong = {
        f"folder:{pictures}": "empty: no images are in this class's folder",
        f"{pictures / 'nowhere'}": "nowhere: not there",
        f"{pictures / 'a' / '1.png'}": "1.png: not a folder",
        "cifar10:": "a path or name is missing",
        "imagenet:/x": "no kind of source 'imagenet': one of shapes, cifar10",
        f"npz:{tmp_path / 'p.npz'}": "p.npz: ",
        f"npz:{npz(tmp_path / 'n.npz', (0, -1))}": "n.npz: labels from -1 to 0",
        f"cifar10:{tmp_path}": "data_batch_1.bin: No such file",
        "tfds:no_such_set": "no_such_set",
        f"tar:{tmp_path}": str(tmp_path),
        "shapes#nowhere": "split 'nowhere'",
        f"folder:{pictures}#nowhere": "has no folder 'nowhere'",
    }
    for text, message in wrong.items():
        with pytest.raises(SourceError) as caught:
            open_source(text)
        assert message.lower() in str(caught.value).lower(), text
        assert "\n" not in str(caught.value)


def test_a_class_of_one_image_cannot_be_parted():
    source = from_arrays(np.zeros((3, 8, 8, 3), np.uint8), np.asarray([0, 0, 1]))
    with pytest.raises(SourceError, match="class '1' has one image"):
        hold_out(source, 0.5)
