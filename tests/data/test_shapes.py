"""Shapes that are drawn: the same anywhere, and neither too easy nor too hard."""

import numpy as np
import pytest

from jaxbias.data.archives import SourceError
from jaxbias.data.shapes import CONTRAST, SHAPES, _colours, shapes


def test_an_image_depends_on_seed_split_and_number_alone():
    first, more = shapes("train", count=30), shapes("train", count=1_030)
    assert np.array_equal(first.images, more.images[:30])
    assert np.array_equal(shapes("train", count=30).images, first.images)
    for other in (shapes("test", count=30), shapes("train", count=30, seed=1)):
        assert not (other.images == first.images).all(axis=(1, 2, 3)).any()
    with pytest.raises(SourceError, match="split 'val': one of train, test"):
        shapes("val")
    for nothing in (dict(count=0), dict(count=-1), dict(size=0)):
        with pytest.raises(SourceError, match="at least 1"):
            shapes("train", **nothing)


def test_what_a_set_is():
    found = shapes("test", size=24, count=105)
    assert found.images.shape == (105, 24, 24, 3) and found.images.dtype == np.uint8
    assert found.classes == tuple(SHAPES) and len(found.classes) == 10
    assert np.bincount(found.labels).tolist() == [11] * 5 + [10] * 5
    assert len(shapes("train")) == 20_000 and len(shapes("test")) == 2_000


def test_every_shape_fits_and_none_fills_its_square():
    grid = np.linspace(-1.4, 1.4, 281)
    x, y = np.meshgrid(grid, grid)
    radius = np.hypot(x, y)
    areas = {}
    for name, shape in SHAPES.items():
        inside = shape(x[None], y[None])[0] < 0
        areas[name] = inside.mean() * 2.8**2
        assert radius[inside].max() < 1.3, name
        assert 0.5 < areas[name] < 2.8, (name, areas[name])
    assert len({round(area, 2) for area in areas.values()}) > 7


def test_colour_and_place_do_not_tell_the_class():
    """A linear classifier on the pixels is little better than chance."""
    train, test = shapes("train", count=3_000, size=16), shapes("test", size=16)

    def features(images):
        flat = images.reshape(len(images), -1) / 255
        return np.concatenate([flat, np.ones((len(flat), 1))], axis=1)

    x = features(train.images)
    weights = np.linalg.solve(
        x.T @ x + np.eye(x.shape[1]), x.T @ np.eye(10)[train.labels]
    )
    right = (features(test.images) @ weights).argmax(1) == test.labels
    assert right.mean() < 0.3


def test_the_shape_stands_out_from_the_ground():
    """The two brightest and darkest tenths of each image are far apart."""
    grey = np.sort(shapes("test", count=300).images.mean(-1).reshape(300, -1), axis=1)
    tenth = grey.shape[1] // 20
    apart = grey[:, -tenth:].mean(1) - grey[:, :tenth].mean(1)
    assert (apart > 60).all()


def test_no_colours_are_too_close_or_too_bright():
    for seed in range(10):
        ground, figure = _colours(np.random.default_rng(seed))
        for colours in (ground, figure):
            assert colours.min() >= 0 and colours.max() <= 255
        apart = np.abs(ground.mean(-1) - figure.mean(-1))
        assert apart.min() > CONTRAST - 1e-9


def outline_and_spread(images):
    """Two numbers of each shape that neither place, size, turn nor colour change."""
    pixels = images.astype(np.float64)
    sides = pixels[:, 0], pixels[:, -1], pixels[:, :, 0], pixels[:, :, -1]
    ground = np.median(np.concatenate(sides, axis=1), axis=1)[:, None, None]
    wide = np.pad(np.abs(pixels - ground).mean(-1) > 30, ((0, 0), (1, 1), (1, 1)))
    shifts = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)]
    mask = (sum(np.roll(wide, by, (1, 2)).astype(int) for by in shifts) > 4) * 1.0
    area = np.maximum(mask.sum((1, 2)), 1)
    edge = sum(np.abs(np.diff(mask, axis=axis)).sum((1, 2)) for axis in (1, 2))
    along = np.arange(mask.shape[1])
    row, column = (mask.sum(axis) @ along / area for axis in (2, 1))
    squares = (along[:, None] - row[:, None, None]) ** 2
    squares = squares + (along - column[:, None, None]) ** 2
    return np.log([edge**2 / area + 1, (mask * squares).sum((1, 2)) / area**2 + 0.01])


def test_the_outline_tells_the_class():
    """Length of the edge and spread, both for the area: the nearest neighbours vote."""
    known, asked = shapes("train", count=1_500), shapes("test", count=300)
    features = outline_and_spread(known.images)
    scale = features.std(axis=1)[:, None, None]
    apart = (outline_and_spread(asked.images)[:, :, None] - features[:, None]) / scale
    nearest = np.argsort((apart**2).sum(0), axis=1)[:, :15]
    votes = (known.labels[nearest][:, :, None] == np.arange(10)).sum(1)
    assert (votes.argmax(1) == asked.labels).mean() > 0.85
