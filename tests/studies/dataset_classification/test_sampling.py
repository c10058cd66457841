"""From what a person names to equal samples of several sources."""

import numpy as np
import pytest
from PIL import Image

from jaxbias.data import procedural
from jaxbias.data.archives import ImageSet, SourceError
from jaxbias.files import UsageError
from jaxbias.studies.dataset_classification.config import Common
from jaxbias.studies.dataset_classification.images import (
    Part,
    Pool,
    Split,
    samples_of,
    smallest_size,
    whole_sources,
)
from jaxbias.studies.dataset_classification.sampling import Sample, named, sample


def npz(path, count, value, size=8):
    """`count` images, each of a level of its own from `value` on."""
    levels = np.arange(value, value + count).astype(np.uint8)
    images = np.broadcast_to(levels[:, None, None, None], (count, size, size, 3))
    np.savez(path, images=images, labels=np.zeros(count, int))
    return path


def drawn(*sources, **changes):
    options = {
        **{"per_source": None, "validation_per_source": None, "share": 0.25},
        **{"seed": 0, "shorter_side": 500, "quality": None},
    }
    return sample(tuple(sources), **(options | changes))


def levels(part):
    return [int(part[i][0][0, 0, 0]) for i in range(len(part))]


@pytest.fixture
def sources(tmp_path):
    return (
        f"a={npz(tmp_path / 'a.npz', 20, 0)}",
        f"b=npz:{npz(tmp_path / 'b.npz', 12, 100)}",
    )


def test_sources_give_as_many_images_and_none_twice(sources):
    found = drawn(*sources)
    assert found.names == ("a", "b")
    assert [len(part) for part in found.training] == [9, 9]
    assert [len(part) for part in found.validation] == [3, 3]
    assert len(found.notes) == 2 and "as many as b has" in found.notes[0]
    for training, validation in zip(found.training, found.validation, strict=True):
        both = levels(training) + levels(validation)
        assert len(set(both)) == 12
    fewer = drawn(*sources, per_source=4, validation_per_source=2)
    assert fewer.notes == ()
    for whole, part in zip(found.training, fewer.training, strict=True):
        assert levels(part) == levels(whole)[:4]
    # What is held out does not depend on the seed; the order does.
    other = drawn(*sources, seed=1)
    assert {*levels(other.validation[1])} == {*levels(found.validation[1])}
    assert levels(other.training[1]) != levels(found.training[1])


def test_one_source_alone_has_its_classes_told_apart(tmp_path):
    rng = np.random.default_rng(0)
    for split, count in (("train", 6), ("val", 2)):
        for name in ("x", "y", "z"):
            for number in range(count + (name == "z")):
                path = tmp_path / split / name / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                pixels = rng.integers(0, 255, (9, 9, 3), np.uint8)
                Image.fromarray(pixels).save(path)
    found = drawn(str(tmp_path))
    assert found.names == ("x", "y", "z")
    assert [len(part) for part in found.training] == [6, 6, 6]
    assert [len(part) for part in found.validation] == [2, 2, 2]
    assert "/val/" in found.validation[0].name(0)
    # The same folders, named one by one: images at any depth.
    one = drawn(*(f"{n}={tmp_path}/train/{n}" for n in "xy"), share=0.5)
    assert [len(part) for part in one.training] == [3, 3]
    halves = drawn(f"all={tmp_path}", f"x={tmp_path}/train/x")
    assert "/val/" in halves.validation[0].name(0)


def test_an_npz_file_may_hold_both_splits_and_names(tmp_path):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (12, 8, 8, 3), np.uint8)
    np.savez(
        tmp_path / "three.npz",
        train_images=images[:8],
        train_labels=np.arange(8) % 2,
        val_images=images[8:],
        val_labels=np.arange(4) % 2,
        dataset_names=np.asarray(["one", "two"]),
    )
    found = drawn(str(tmp_path / "three.npz"))
    assert found.names == ("one", "two")
    assert [len(part) for part in found.training] == [4, 4]
    assert [len(part) for part in found.validation] == [2, 2]


def test_nothing_named_is_three_generators(monkeypatch):
    monkeypatch.setattr(procedural, "COUNTS", {"train": 8, "test": 4})
    monkeypatch.setattr(procedural, "PIECE", 8)
    found = drawn(per_source=3, validation_per_source=2)
    assert len(found.names) == 3
    assert [len(part) for part in found.training] == [3, 3, 3]
    one, two = found.training[0][0][0], found.training[2][0][0]
    assert one.shape == two.shape and not np.array_equal(one, two)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (("a=x", "a=y"), "'a' stands twice"),
        (("a=x", "y"), "NAME=SOURCE is wanted, got 'y'"),
        (("=x", "b=y"), "NAME=SOURCE is wanted"),
        (("a=", "b=y"), "NAME=SOURCE is wanted"),
        (("a=x",), "two sources or more"),
    ],
)
def test_names_that_cannot_be_used(texts, message):
    with pytest.raises(UsageError, match=message):
        named(texts)


def test_sources_that_cannot_be_used(tmp_path, sources):
    (tmp_path / "empty").mkdir()
    np.savez(tmp_path / "one.npz", images=np.zeros((1, 8, 8, 3), np.uint8), labels=[0])
    np.savez(
        tmp_path / "same.npz", images=np.zeros((4, 8, 8, 3), np.uint8), labels=[0] * 4
    )
    for text, message in {
        f"c={tmp_path}/empty": "no images are in it",
        f"c={tmp_path}/absent": "not there",
        f"c={tmp_path}/one.npz": "one image: none can be held out",
    }.items():
        with pytest.raises(SourceError, match=message):
            drawn(*sources, text)
    with pytest.raises(SourceError, match="two sources or more are needed"):
        drawn(str(tmp_path / "same.npz"))


def sets(*counts, side=8):
    rng = np.random.default_rng(0)
    return tuple(
        ImageSet(
            rng.integers(0, 255, (count, side, side, 3), np.uint8),
            np.zeros(count, int),
            ("x",),
        )
        for count in counts
    )


@pytest.mark.parametrize("resident", ["yes", "no"])
def test_a_case_takes_stretches_of_the_pool(resident):
    training, validation = sets(10, 10), sets(6, 6)
    pool = Pool(Sample(("a", "b"), training, validation), Common(resident=resident))
    assert pool.size == 8 and pool.per_source == 10
    first, second = pool.pick(whole_sources(("b", "a"), 4))
    assert first.source.classes == ("b", "a")
    pixels, labels = next(first.batches(99))
    assert labels.tolist() == [0] * 4 + [1] * 4
    assert np.array_equal(pixels[:4], training[1].images[:4])
    assert np.array_equal(next(second.batches(99))[0][6:], validation[0].images)
    split = samples_of("a", 3, 3, pool)
    pixels, labels = next(pool.pick(split)[0].batches(99))
    assert np.array_equal(pixels, training[0].images[:9])
    held = next(pool.pick(split)[1].batches(99))
    assert np.array_equal(held[0], validation[0].images)
    assert held[1].tolist() == [0, 0, 1, 1, 2, 2]
    assert pool.names_of(split) == [validation[0].name(i) for i in range(6)]
    with pytest.raises(SourceError, match="a: 11 training images are asked for, 10"):
        pool.pick(Split((Part(name="a", source="a", training=(0, 11)),)))


def test_images_that_cannot_be_used_are_left_out_of_the_stretches(tmp_path):
    for name in "ab":
        for number in range(6):
            path = tmp_path / name / f"{number}.png"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(np.full((9, 9, 3), number, np.uint8)).save(path)
    found = drawn(*(f"{n}={tmp_path / n}" for n in "ab"), share=0.5)
    bad = found.validation[0].name(1)
    (tmp_path / bad).write_bytes(b"<html>")
    pool = Pool(found, Common(most_bad=0.5))
    assert len(pool.validation.skipped.reasons) == 1
    split = whole_sources(("a", "b"), pool.per_source)
    assert len(pool.pick(split)[1]) == 5
    names = pool.names_of(split)
    assert bad not in names and len(names) == 5
    assert names[2:] == [found.validation[1].name(i) for i in range(3)]


def test_sizes_are_the_models_or_those_of_the_smallest_source():
    assert smallest_size(sets(2, side=40), "cnn4") == 32
    assert smallest_size((*sets(2, side=40), *sets(2, side=23)), "cnn4") == 20
