"""Drawn cue-conflict stimuli: labels, colours, strengths, controls, and what k-NN finds."""

import jax
import numpy as np
import pytest

from jaxbias.data import procedural_conflict
from jaxbias.data.procedural_conflict import ConflictConfig, Strength, apart_colours

SOLID = ConflictConfig(size=32)
TEXTURED = ConflictConfig(size=32, ground="texture")


@pytest.fixture(scope="module")
def solid():
    return procedural_conflict.stimuli(jax.random.key(0), SOLID)


def neighbour_accuracy(features, labels):
    """Share of images whose nearest other, by cosine, is of their class."""
    features = np.asarray(features, np.float64).reshape(len(features), -1)
    features = features / np.linalg.norm(features, axis=1, keepdims=True)
    alike = features @ features.T
    np.fill_diagonal(alike, -1)
    labels = np.asarray(labels)
    return (labels[alike.argmax(1)] == labels).mean()


def test_every_pair_of_different_classes_comes_as_often(solid):
    images, shapes, textures = map(np.asarray, solid)
    assert images.shape == (1200, 32, 32, 3) and images.dtype == np.float32
    assert images.min() >= 0 and images.max() <= 1
    counts = np.zeros((16, 16), int)
    np.add.at(counts, (shapes, textures), 1)
    np.testing.assert_array_equal(counts, 5 * (1 - np.eye(16, dtype=int)))


def test_shape_is_in_the_layout_texture_in_the_spectrum_and_colour_in_none(solid):
    images, shapes, textures = map(np.asarray, solid)
    colour = images.mean((1, 2)) - 0.5
    for labels in (shapes, textures):
        # Chance is 74 of 1,199; this is four deviations more.
        assert neighbour_accuracy(colour, labels) < 0.09
    grey = images.mean(-1)
    thumbnails = grey.reshape(-1, 8, 4, 8, 4).mean((2, 4))
    thumbnails -= thumbnails.mean((1, 2), keepdims=True)
    assert neighbour_accuracy(thumbnails, shapes) > 0.6
    assert neighbour_accuracy(thumbnails, textures) < 0.12
    power = np.fft.fftshift(abs(np.fft.fft2(grey)) ** 2, (1, 2))[:, :, 16:]
    cells = np.log(power.reshape(-1, 16, 2, 8, 2).mean((2, 4)) + 1e-3)
    assert neighbour_accuracy(cells - cells.mean(0), textures) > 0.3


def test_an_image_depends_on_key_and_number_alone(solid):
    draw = jax.jit(lambda k, s, t: procedural_conflict.sample(k, s, t, SOLID))
    for number in (0, 1, 700, 1199):
        own = jax.random.fold_in(jax.random.key(0), number)
        image = draw(own, solid.shapes[number], solid.textures[number])
        # A pixel on an edge may fall to either side.
        assert (abs(image - solid.images[number]) > 1e-3).mean() < 2e-3
    # Five of one pair are five images.
    images = np.asarray(solid.images[:5])
    assert abs(np.diff(images, axis=0)).mean((1, 2, 3)).min() > 0.02


@pytest.mark.parametrize("count", [2, 4])
def test_colours_are_uniform_but_apart(count):
    keys = jax.random.split(jax.random.key(1), 500)
    colours = jax.jit(jax.vmap(lambda k: apart_colours(k, count, 0.3)))(keys)
    colours = np.asarray(colours)
    gaps = abs(colours[:, :, None] - colours[:, None]).mean(-1) + np.eye(count)
    assert (gaps.min((1, 2)) >= 0.3).mean() > (0.999 if count == 2 else 0.97)
    first = np.sort(colours[:, 0].ravel())
    assert abs(first - np.linspace(0, 1, first.size)).max() < 0.06
    # Without the farthest ones being preferred: mean difference of uniform pairs above 0.3.
    pairs = np.random.default_rng(0).random((20_000, 2, 3))
    wanted = abs(pairs[:, 0] - pairs[:, 1]).mean(-1)
    wanted = wanted[wanted >= 0.3].mean()
    assert abs(gaps[:, 0, 1].mean() - wanted) < 0.02


def test_strength_is_traced_and_takes_cues_away():
    traces = []

    @jax.jit
    def drawn(key, shape, strength):
        traces.append(1)
        return procedural_conflict.sample(key, shape, 4, TEXTURED, strength)

    def draw(shape, strength):
        return drawn(jax.random.key(2), shape, strength)

    full = Strength(1.0, 1.0, 1.0)
    image = draw(3, full)
    # Without contrast two colours and what is between are left.
    flat = np.asarray(draw(3, full._replace(contrast=0.0)))
    ends = flat[0, 0], flat[16, 16]
    share = (flat - ends[0]) @ (ends[1] - ends[0]) / ((ends[1] - ends[0]) ** 2).sum()
    between = ends[0] + share[..., None] * (ends[1] - ends[0])
    np.testing.assert_allclose(flat, between, atol=1e-5)
    assert ((share > 1e-3) & (share < 1 - 1e-3)).mean() < 0.25
    # Without opacity the shape is gone and the texture is there.
    gone = draw(3, full._replace(opacity=0.0))
    np.testing.assert_array_equal(gone, draw(9, full._replace(opacity=0.0)))
    assert np.std(gone) > 0.05 and abs(gone - image).mean() > 0.02
    half = draw(3, full._replace(opacity=0.5))
    np.testing.assert_allclose(half, (gone + image) / 2, atol=1e-5)
    # Half the size covers a quarter.
    small = draw(3, full._replace(scale=0.5))
    changed = [(abs(x - gone).sum(-1) > 1e-3).mean() for x in (image, small)]
    assert 0.15 < changed[1] / changed[0] < 0.45
    assert len(traces) == 1


def test_agreeing_cues_are_of_one_class():
    config = ConflictConfig(size=32)
    found = procedural_conflict.agreeing(jax.random.key(3), config, instances=2)
    assert found.shapes.tolist() == found.textures.tolist()
    assert np.bincount(np.asarray(found.shapes)).tolist() == [2] * 16
    key = jax.random.fold_in(jax.random.key(3), 7)
    own = procedural_conflict.sample(key, 3, 3, config)
    np.testing.assert_allclose(found.images[7], own, atol=1e-6)


def test_controls_have_one_cue():
    key = jax.random.key(3)
    shapes = procedural_conflict.controls(key, SOLID, "shape", instances=3)
    textures = procedural_conflict.controls(key, SOLID, "texture", instances=3)
    expected = np.repeat(np.arange(16), 3)
    np.testing.assert_array_equal(shapes.shapes, expected)
    np.testing.assert_array_equal(textures.textures, expected)
    assert (np.asarray(shapes.textures) == -1).all()
    assert (np.asarray(textures.shapes) == -1).all()
    for image in np.asarray(shapes.images):
        corner = abs(image - image[0, 0]).sum(-1)
        share = corner / corner.max()
        # A figure of one colour on one ground; only outlines are between.
        assert 0.05 < (share > 0.99).mean() < 0.7
        assert ((share > 0.01) & (share < 0.99)).mean() < 0.25
    # Textures go to the border.
    rims = np.asarray(textures.images)[:, 0].std(1).mean(-1)
    assert (rims > 0.01).mean() > 0.8


def test_small_images_are_refused(key):
    with pytest.raises(ValueError, match="4 pixels a cycle"):
        procedural_conflict.sample(key, 0, 1, ConflictConfig(size=16))
