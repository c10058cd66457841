"""Several sources as one, and images made alike."""

import io

import numpy as np
import pytest
from PIL import Image

from jaxbias.data.archives import ImageSet
from jaxbias.data.images import ImageFolder
from jaxbias.data.joined import Alike, Joined, shuffled
from jaxbias.data.sources import Source, Subset


def arrays(count, seed=0, where="images", side=8):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 255, (count, side, side, 3), np.uint8)
    return ImageSet(pixels, np.arange(count) % 2, ("a", "b"), where)


def test_the_class_of_a_joined_image_is_its_source():
    parts = arrays(3, 1), arrays(5, 2), arrays(1, 3)
    joined = Joined(("x", "y", "z"), parts)
    assert isinstance(joined, Source) and len(joined) == 9
    assert joined.classes == ("x", "y", "z")
    assert joined.labels.tolist() == [0, 0, 0, 1, 1, 1, 1, 1, 2]
    for index in range(9):
        pixels, label = joined[index]
        inner = index - (0, 3, 8)[label]
        assert label == joined.labels[index]
        assert np.array_equal(pixels, parts[label].images[inner])
        assert joined.name(index) == parts[label].name(inner)
    assert np.array_equal(joined[-1][0], parts[2].images[0])
    with pytest.raises(IndexError):
        joined[9]


def jpeg(pixels, quality):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality, subsampling=2)
    return np.asarray(Image.open(file))


def test_images_made_alike_are_shrunk_and_encoded_in_one_way():
    rng = np.random.default_rng(0)
    large = rng.integers(0, 255, (1, 40, 60, 3), np.uint8)
    source = ImageSet(large, np.zeros(1, int), ("a",))
    pixels, label = Alike(source, shorter_side=20, quality=None)[0]
    assert pixels.shape == (20, 30, 3) and label == 0
    expected = Image.fromarray(large[0]).resize((30, 20), Image.Resampling.BICUBIC)
    assert np.array_equal(pixels, np.asarray(expected))
    same = Alike(source, shorter_side=40, quality=50)[0][0]
    assert np.array_equal(same, jpeg(large[0], 50))
    assert np.array_equal(Alike(source, shorter_side=99, quality=None)[0][0], large[0])


def test_grey_images_become_rgb():
    grey = np.arange(64, dtype=np.uint8).reshape(1, 8, 8, 1)
    source = ImageSet(grey, np.zeros(1, int), ("a",))
    assert np.array_equal(Alike(source, quality=None)[0][0], np.repeat(grey[0], 3, -1))


def test_samples_are_nested_and_know_neither_place_nor_order(tmp_path):
    places = []
    for folder in ("here", "there"):
        for number in range(12):
            path = tmp_path / folder / f"{number}.png"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(np.full((2, 2, 3), number, np.uint8)).save(path)
        found = ImageFolder.flat(tmp_path / folder)
        order = shuffled(found, 0)
        assert sorted(order) == list(range(12))
        places.append([found[int(i)][0][0, 0, 0] for i in order])
        backwards = Subset(found, np.arange(12)[::-1])
        again = [backwards[int(i)][0][0, 0, 0] for i in shuffled(backwards, 0)]
        assert again == places[-1]
        assert shuffled(found, 1).tolist() != order.tolist()
    assert places[0] == places[1] != sorted(places[0])
    one, two = arrays(20, where="one.npz"), arrays(20, where="two.npz")
    assert np.array_equal(shuffled(one, 0), shuffled(two, 0))
