"""Cue-conflict images: names, folders, the sixteen categories, pixels, what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jaxbias.data import sixteen_categories
from jaxbias.data.cue_conflict import Cues, Stimuli, cues_of, numbered, sources
from jaxbias.data.sixteen_categories import CATEGORIES, CIFAR10, IMAGENET, ITSELF
from jaxbias.files import UsageError

SHARED = Path(__file__).parents[3] / "shared" / "data"
MAPPING = SHARED / "imagenet_biases" / "sixteen_class_mapping.json"

COUNTS = {
    **{"airplane": 1, "bear": 4, "bicycle": 2, "bird": 49, "boat": 5, "bottle": 7},
    **{"car": 3, "cat": 6, "chair": 4, "clock": 3, "dog": 109, "elephant": 2},
    **{"keyboard": 2, "knife": 1, "oven": 1, "truck": 8},
}


def test_classes_of_imagenet_are_as_many_as_published():
    assert {name: len(own) for name, own in IMAGENET.items()} == COUNTS
    every = [number for own in IMAGENET.values() for number in own]
    assert len(every) == len(set(every)) == 207
    assert 0 <= min(every) and max(every) < 1000
    assert tuple(IMAGENET) == tuple(CIFAR10) == tuple(ITSELF) == CATEGORIES
    assert list(CATEGORIES) == sorted(CATEGORIES)


@pytest.mark.skipif(not MAPPING.exists(), reason="the published mapping is not here")
def test_classes_of_imagenet_are_the_published_ones():
    published = json.loads(MAPPING.read_text())["imagenet_indices"]
    assert {name: list(own) for name, own in IMAGENET.items()} == published


def test_classes_of_cifar_have_the_names_of_their_categories():
    from jaxbias.data.archives import CIFAR10_CLASSES

    named = {name: CIFAR10_CLASSES[own[0]] for name, own in CIFAR10.items() if own}
    other = {"car": "automobile", "boat": "ship"}
    assert named == {name: other.get(name, name) for name in named}
    assert len(named) == 7 and sixteen_categories.ITSELF["truck"] == (15,)


@pytest.mark.parametrize(
    "name, cues",
    [
        ("cat7-elephant1.png", Cues("cat", 7, "elephant", 1)),
        ("0001_s5n_s01_0_bird_00_bird3-bird2.png", Cues("bird", 3, "bird", 2)),
        ("a/b_c/truck10-oven3.JPG", Cues("truck", 10, "oven", 3)),
        ("C:\\x\\dog1-cat2.jpeg", Cues("dog", 1, "cat", 2)),
        ("knife1-knife2", Cues("knife", 1, "knife", 2)),
    ],
)
def test_names_say_the_cues(name, cues):
    assert cues_of(name, conflict=True) == cues
    assert cues_of(cues.name, conflict=True) == cues


def test_names_of_one_cue():
    found = cues_of("0144_edg_s01_0_boat_00_boat8.png", conflict=False)
    assert found == Cues("boat", 8) and found.name == "boat8"
    np.testing.assert_array_equal(numbered(["boat", "", "truck"]), [4, -1, 15])


@pytest.mark.parametrize(
    "name, conflict, message",
    [
        ("cat7.png", True, "not named as cat7-elephant1.png"),
        ("cat7-dog1.png", False, "not named as cat7.png"),
        ("cat-dog1.png", True, "not named"),
        ("cat7-dog1.txt", True, "not named"),
        ("cat7-dog1-1.png", True, "not named"),
        ("cat7-fish1.png", True, "'fish' is none of the sixteen"),
        ("lion7.png", False, "'lion' is none"),
        ("", True, "not named"),
    ],
)
def test_other_names_are_refused(name, conflict, message):
    with pytest.raises(ValueError, match=message):
        cues_of(name, conflict=conflict)


def test_sources_are_numbered_by_category_and_number():
    names = ["dog1-cat2", "cat9-dog1", "cat10-dog1", "dog1-cat1"]
    cues = [cues_of(name, conflict=True) for name in names]
    of, strata = sources(cues, "shape")
    np.testing.assert_array_equal(of, [2, 0, 1, 2])
    np.testing.assert_array_equal(strata, [7, 7, 10])
    of, strata = sources(cues, "texture")
    np.testing.assert_array_equal(of, [1, 2, 2, 0])


def stimuli(root, conflict=True, side=8):
    """A folder with two images of each shape, each of one grey level."""
    for place, shape in enumerate(CATEGORIES):
        (root / shape).mkdir(parents=True)
        for number in (1, 2):
            texture = f"-{CATEGORIES[(place + number) % 16]}1" if conflict else ""
            pixels = np.full((side, side, 3), 10 * place + number, np.uint8)
            path = root / shape / f"{shape}{number}{texture}.png"
            Image.fromarray(pixels).save(path)
    return root


def test_a_folder_is_read_in_order(tmp_path):
    found = Stimuli.open(stimuli(tmp_path / "s"))
    assert len(found) == 32 and found.paths[0].name == "airplane1-bear1.png"
    np.testing.assert_array_equal(found.shapes, np.repeat(np.arange(16), 2))
    expected = (np.arange(16)[:, None] + [1, 2]) % 16
    np.testing.assert_array_equal(found.textures, expected.ravel())
    images = found.images(8)
    assert images.shape == (32, 8, 8, 3) and images.dtype == np.uint8
    expected = 10 * np.arange(16)[:, None] + [1, 2]
    np.testing.assert_array_equal(images[:, 0, 0, 0], expected.ravel())
    assert found.images(4).shape == (32, 4, 4, 3)


def test_images_of_the_size_come_as_they_are(tmp_path):
    root = stimuli(tmp_path / "s", conflict=False)
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    Image.fromarray(pixels).save(root / "airplane" / "airplane1.png")
    found = Stimuli.open(root, conflict=False)
    np.testing.assert_array_equal(found.images(8)[0], pixels)
    assert (found.textures == -1).all()


@pytest.mark.parametrize(
    "spoil, message",
    [
        (lambda r: [p.unlink() for p in (r / "bear").iterdir()], "bear: no images"),
        (
            lambda r: (r / "bear").rename(r / "Bear"),
            "folder Bear is none of the sixteen",
        ),
        (lambda r: (r / "bear").rename(r.parent / "bear"), "folder bear is missing"),
        (lambda r: (r / "lion").mkdir(), "lion: no images"),
        (
            lambda r: (r / "cat" / "cat1-chair1.png").rename(r / "cat" / "cat1.png"),
            "cat1.png: 'cat1.png' is not named as",
        ),
        (
            lambda r: (r / "cat" / "cat1-chair1.png").rename(
                r / "dog" / "cat1-dog1.png"
            ),
            "cat1-dog1.png: a cat in another category's folder",
        ),
        (
            lambda r: (r / "cat" / "x_cat1-chair1.png").write_bytes(b""),
            "x_cat1-chair1.png: the same image as cat1-chair1.png",
        ),
    ],
)
def test_folders_that_do_not_fit_are_refused(tmp_path, spoil, message):
    root = stimuli(tmp_path / "s")
    spoil(root)
    with pytest.raises(UsageError, match=message) as error:
        Stimuli.open(root)
    assert "\n" not in str(error.value)


def test_a_missing_folder_and_a_damaged_image_are_refused(tmp_path):
    with pytest.raises(UsageError, match="No such file"):
        Stimuli.open(tmp_path / "none")
    root = stimuli(tmp_path / "s")
    (root / "oven" / "oven2-airplane1.png").write_bytes(b"no image")
    with pytest.raises(UsageError, match="oven2-airplane1.png"):
        Stimuli.open(root).images(8)


@pytest.mark.skipif(not SHARED.exists(), reason="the official images are not here")
def test_the_official_images():
    found = Stimuli.open(SHARED / "cue_conflict")
    assert len(found) == 1280
    pairs = np.zeros((16, 16), int)
    np.add.at(pairs, (found.shapes, found.textures), 1)
    assert (pairs == 5).all()
    assert [len(sources(found.cues, which)[1]) for which in ("shape", "texture")] == [
        *(160, 48)
    ]
    for name in ("edges", "filled-silhouettes"):
        silhouettes = Stimuli.open(SHARED / name, conflict=False)
        assert len(silhouettes) == 160
    few = Stimuli(silhouettes.paths[:2], silhouettes.cues[:2]).images()
    assert few.shape == (2, 224, 224, 3) and few.min() == 0 and few.max() == 255
