"""Denoisers: what is drawn, what is learnt from it, and what a network is told."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxbias.data.geometric_augmentation import Geometric
from jaxbias.models.denoiser import UNTRAINED, Denoiser
from jaxbias.numerics import diffusion
from jaxbias.training import steps
from jaxbias.training.objectives import DENOISING
from jaxbias.training.steps import Task


class Told(nn.Module):
    """A linear map of an image's values, its time and its class."""

    @nn.compact
    def __call__(self, images, times, classes, augmented, train):
        assert augmented is None
        x = nn.Dense(3, name="values")(images)
        x = x + nn.Dense(3, name="times")(times[:, None])[:, None, None]
        if classes is not None:
            x = x + nn.Dense(3, name="classes", use_bias=False)(classes)[:, None, None]
        return x


@pytest.fixture(scope="module")
def images():
    values = np.random.default_rng(0).normal(0, 0.5, (64, 4, 4, 3))
    return jnp.asarray(values, jnp.float32)


def test_noise_follows_from_keys_and_is_taken_off_as_preconditioned(images, key):
    model = Denoiser(Told(), classes=3)
    classes = jnp.asarray(np.eye(3, dtype=np.float32)[np.arange(64) % 3])
    first, second = jax.random.split(key)
    variables = model.init(first, images)
    keys = jax.random.split(second, 64)
    same = lambda count: jax.random.clone(keys)[:count]  # noqa: E731
    found, known = model.apply(variables, images, keys=same(64), targets=classes)
    again, _ = model.apply(variables, images[:8], keys=same(8), targets=classes[:8])
    np.testing.assert_allclose(found[:8], again, atol=1e-5)
    np.testing.assert_array_equal(known["clean"], images)
    # Levels as their weights tell them: near half the median of the law.
    data = diffusion.DATA
    roots = np.sqrt(np.asarray(known["weight"]))
    assert (roots > 1 / data).all()
    other, _ = model.apply(variables, images, keys=same(64), targets=classes[::-1])
    assert float(jnp.abs(other - found).max()) > 1e-3


def test_without_draws_it_denoises_what_it_is_given(images):
    model = Denoiser(Told())
    variables = model.init(jax.random.key(0), images)
    assert "classes" not in variables["params"]["network"]
    found, known = model.apply(variables, images)
    level = jnp.full(64, UNTRAINED)
    denoised = model.apply(variables, images, level, method="denoised")
    np.testing.assert_array_equal(found, denoised)
    np.testing.assert_allclose(known["weight"], diffusion.weight(level))
    # A network that gives nothing leaves the share that is data.
    nothing = jax.tree.map(jnp.zeros_like, variables)
    level = jnp.asarray(np.geomspace(0.01, 80, 64), jnp.float32)
    factors = diffusion.preconditioning(level)
    np.testing.assert_allclose(
        model.apply(nothing, images, level, method="denoised"),
        factors.skip[:, None, None, None] * images,
        rtol=1e-6,
    )


class OfChanges(nn.Module):
    """What it is told of augmentation, and nothing else: a number for every channel."""

    @nn.compact
    def __call__(self, images, times, classes, augmented, train):
        x = nn.Dense(3, name="changes", use_bias=False)(augmented)
        return jnp.broadcast_to(x[:, None, None], images.shape)


def test_images_are_augmented_in_training_alone_and_it_is_told_how(images, key):
    augment = Geometric(0.5)
    model = Denoiser(OfChanges(), augment=augment, changes=augment.numbers)
    plain = Denoiser(OfChanges(), augment=Geometric(0.0), changes=augment.numbers)
    first, second = jax.random.split(key)
    variables = model.init(first, images)
    keys = jax.random.split(second, 64)
    same = lambda: jax.random.clone(keys)  # noqa: E731
    found, known = model.apply(variables, images, train=True, keys=same())
    again, same_known = model.apply(variables, images, train=True, keys=same())
    np.testing.assert_array_equal(found, again)
    changed = np.abs(known["clean"] - images).max((1, 2, 3)) > 0
    assert 0.8 < changed.mean() < 1
    # The noise is that of an augmentation that changes nothing, on other images.
    own, _ = plain.apply(variables, images, train=True, keys=same())
    np.testing.assert_allclose(found[~changed], own[~changed], atol=1e-6)
    assert (np.abs(found - own).max((1, 2, 3)) > 1e-3)[changed].all()
    # What it is told is added to what noise leaves, and is what was done.
    level = jnp.sqrt(1 / (same_known["weight"] - 1 / diffusion.DATA**2))
    ours = jax.vmap(lambda key: jax.random.split(key)[0])(same())
    clean, told = augment(ours, images)
    np.testing.assert_array_equal(clean, known["clean"])
    factors = diffusion.preconditioning(level)
    share = np.asarray(told @ variables["params"]["network"]["changes"]["kernel"])
    noise = jax.tree.map(jnp.zeros_like, variables)
    left, _ = model.apply(noise, images, train=True, keys=same())
    np.testing.assert_allclose(
        (found - left)[:, 0, 0], factors.out[:, None] * share, atol=1e-4
    )
    # Not at evaluation, with draws or without, nor when images are drawn.
    for given in (lambda: {"keys": same()}, dict):
        found, known = model.apply(variables, images, **given())
        expected, _ = model.apply(noise, images, **given())
        np.testing.assert_array_equal(known["clean"], images)
        np.testing.assert_array_equal(found, expected)
    told = jnp.ones((64, augment.numbers))
    args = variables, images, jnp.ones(64)
    kept = model.apply(*args, method="denoised")
    other = model.apply(*args, told=told, method="denoised")
    assert float(jnp.abs(kept - other).max()) > 0.1


def test_losses_are_the_weighted_errors_over_all_pixels(images, key):
    model = Denoiser(Told())
    variables = model.init(jax.random.key(0), images)
    keys = jax.random.split(key, 64)
    found, known = model.apply(variables, images, keys=keys)
    losses, right = DENOISING.score(found, known, jnp.zeros((64, 1)))
    errors = np.asarray((found - images) ** 2).sum((1, 2, 3))
    np.testing.assert_allclose(losses, np.asarray(known["weight"]) * errors, rtol=1e-5)
    assert np.isnan(np.asarray(right)).all()


def test_steps_tell_the_network_its_classes_and_lower_the_loss(key):
    # Images of a class are of one colour: to be told is to know.
    labels = jnp.asarray(np.arange(64) % 3, jnp.int32)
    colours = jnp.asarray([[250, 10, 10], [10, 250, 10], [10, 10, 250]], jnp.uint8)
    pixels = jnp.broadcast_to(colours[labels][:, None, None], (64, 4, 4, 3))
    losses = {}
    for classes in (0, 3):
        task = Task(
            model=Denoiser(Told(), classes=classes),
            optimiser=optax.adam(0.02),
            classes=3,
            mean=(0.5,) * 3,
            sd=(0.5,) * 3,
            objective=DENOISING,
        )
        state = steps.create(task, jax.random.key(0), 4)
        run = jax.jit(steps.step, static_argnums=0)
        seen = []
        for number in range(200):
            own = jax.random.fold_in(jax.random.clone(key), number)
            state, metrics = run(task, state, pixels, labels, own)
            seen.append(float(metrics["loss"]))
        assert np.mean(seen[-20:]) < 0.7 * np.mean(seen[:5])
        index = jnp.arange(64)
        targets = jax.nn.one_hot(labels, 3)
        first, _ = steps.scored(task, state, pixels, targets, index)
        again, _ = steps.scored(task, state, pixels[:5], targets[:5], index[:5])
        np.testing.assert_allclose(first[:5], again, rtol=1e-3)
        losses[classes] = float(first.mean())
    assert losses[3] < 0.8 * losses[0]
