"""Features of frozen networks: in pieces as at once, of any layer, fit for a probe."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbias.models import mae
from jaxbias.models.plain import SmallCNN
from jaxbias.probes import features, linear
from jaxbias.training import optimisers, steps
from jaxbias.training.objectives import RECONSTRUCTION

CNN = steps.Task(
    model=SmallCNN(classes=3, width=4),
    optimiser=optimisers.sgd(0.1),
    classes=3,
    mean=(0.5,) * 3,
    sd=(0.25,) * 3,
)
MAE = steps.Task(
    model=mae.MaskedAutoencoder(16, 2, 2, 8, 1, 2, 4),
    optimiser=optimisers.sgd(0.1),
    classes=3,
    mean=(0.5,) * 3,
    sd=(0.25,) * 3,
    objective=RECONSTRUCTION,
)


def named(task, state, pixels, index):
    return steps.outputs(task, state, steps.shown(task, pixels, index))[1]


@pytest.fixture(scope="module")
def images():
    """Red, green or blue in part."""
    rng = np.random.default_rng(0)
    labels = np.arange(90) % 3
    pixels = rng.integers(0, 200, (90, 8, 8, 3), np.uint8)
    for image, label in zip(pixels, labels, strict=True):
        image[1:7, 1:7, label] += 55
    return pixels, labels


def pieces(pixels, size):
    return (pixels[i : i + size] for i in range(0, len(pixels), size))


@pytest.mark.parametrize("task", [CNN, MAE], ids=["cnn", "mae"])
def test_pieces_are_the_whole(images, task):
    state = steps.create(task, jax.random.key(0), 8)
    apply = partial(named, task)
    expected = jax.jit(apply)(state, jnp.asarray(images[0]), jnp.arange(90))
    found = features.extract(apply, state, pieces(images[0], 40))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected["features"], rtol=1e-4, atol=1e-5)


def test_layers_are_averaged_over_places(images):
    state = steps.create(CNN, jax.random.key(0), 8)
    given = jnp.asarray(images[0]), jnp.arange(90)
    layers = jax.jit(partial(named, CNN))(state, *given)
    name, layer = next((k, v) for k, v in layers.items() if v.ndim == 4)
    found = features.extract(partial(named, CNN), state, [images[0]], layer=name)
    np.testing.assert_allclose(found, np.mean(layer, axis=(1, 2)), rtol=1e-4, atol=1e-5)
    state = steps.create(MAE, jax.random.key(0), 8)
    tokens = jax.jit(partial(named, MAE))(state, *given)["block1"]
    found = features.extract(partial(named, MAE), state, [images[0]], layer="block1")
    np.testing.assert_allclose(found, np.mean(tokens, axis=1), rtol=1e-4, atol=1e-5)


def test_numbers_of_images_and_one_program():
    traced = []

    def apply(weights, pixels, index):
        traced.append(pixels.shape)
        mean = pixels.astype(jnp.float32).mean(axis=(1, 2))
        return {"features": weights[None] * index[:, None] + mean}

    pixels = np.full((11, 2, 2, 3), 7, np.uint8)
    batches = [pixels[:4], pixels[:0], pixels[4:7], pixels[7:11]]
    for weight in (1.0, 2.0):
        weights = jnp.full(3, weight)
        found = features.extract(apply, weights, batches)
        expected = np.tile(weight * np.arange(11)[:, None] + 7, (1, 3))
        np.testing.assert_array_equal(found, expected)
    assert traced == [(4, 2, 2, 3)]


def test_what_cannot_be_extracted_is_said():
    def apply(weights, pixels, index):
        return {"features": pixels.astype(jnp.float32).mean((1, 2)) + weights}

    pixels = np.zeros((5, 2, 2, 3), np.uint8)
    extract = partial(features.extract, apply, jnp.zeros(()))
    with pytest.raises(ValueError, match="no layer 'block9': one of features"):
        extract([pixels], layer="block9")
    with pytest.raises(ValueError, match="batch of 5 images after one of 2"):
        extract([pixels[:2], pixels])
    with pytest.raises(ValueError, match="no images"):
        extract([])


def test_a_probe_on_features(images):
    pixels, labels = images
    state = steps.create(MAE, jax.random.key(0), 8)
    found = features.extract(
        partial(named, MAE), state, [pixels], layer="mean_features"
    )
    probe = linear.fit(found[:60], labels[:60], 3, penalties=(1e-3,))
    assert probe.accuracy(found[60:], labels[60:]) > 0.8
