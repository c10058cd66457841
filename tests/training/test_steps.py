"""A step by hand, an epoch as its steps, evaluation of every image."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxbias.data import augmentation
from jaxbias.models.plain import ImageMLP, SmallCNN
from jaxbias.training import optimisers, steps

MLP = steps.Task(
    model=ImageMLP(classes=3, width=16, depth=1),
    optimiser=optimisers.sgd(0.1),
    classes=3,
    mean=(0.5, 0.4, 0.3),
    sd=(0.2, 0.2, 0.25),
)
CNN = replace(MLP, model=SmallCNN(classes=3, width=4))


@pytest.fixture(scope="module")
def data():
    """Bright patches in one of three places, on noise."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 50)
    pixels = rng.integers(0, 100, (50, 8, 8, 3), np.uint8)
    for image, label in zip(pixels, labels, strict=True):
        image[:, 3 * label : 3 * label + 2] += 120
    return jnp.asarray(pixels), jnp.asarray(labels)


def same(first, second, **tolerance):
    assert jax.tree.structure(first) == jax.tree.structure(second)
    for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), **tolerance)


def test_a_step_by_hand(data):
    pixels, labels = (side[:10] for side in data)
    task = replace(MLP, smoothing=0.1)
    state = steps.create(task, jax.random.key(0), 8)
    after, metrics = jax.jit(partial(steps.step, task))(
        state, pixels, labels, jax.random.key(1)
    )
    x = (np.asarray(pixels) / 255 - np.asarray(task.mean)) / np.asarray(task.sd)
    targets = np.eye(3)[np.asarray(labels)] * 0.9 + 0.1 / 3

    def loss(params):
        logits, _ = task.model.apply({"params": params}, jnp.asarray(x, jnp.float32))
        return -jnp.mean(jnp.sum(targets * jax.nn.log_softmax(logits), -1))

    value, gradient = jax.value_and_grad(loss)(state.params)
    assert metrics["loss"] == pytest.approx(float(value), rel=1e-4)
    assert metrics["gradient_norm"] == pytest.approx(
        float(optax.tree.norm(gradient)), rel=1e-4
    )
    expected = jax.tree.map(lambda p, g: p - 0.1 * g, state.params, gradient)
    same(after.params, expected, rtol=1e-4, atol=1e-6)
    assert int(after.step) == 1 and after.ema is None


def test_parts_of_a_batch_give_its_gradient(data):
    pixels, labels = (side[:12] for side in data)
    state = steps.create(MLP, jax.random.key(0), 8)
    whole, _ = steps.step(MLP, state, pixels, labels, jax.random.key(1))
    parts, _ = steps.step(
        replace(MLP, accumulate=4), state, pixels, labels, jax.random.key(1)
    )
    same(parts.params, whole.params, rtol=1e-4, atol=1e-6)


def test_the_average_of_the_weights(data):
    pixels, labels = (side[:10] for side in data)
    task = replace(MLP, ema_decay=0.9)
    state = steps.create(task, jax.random.key(0), 8)
    after, _ = steps.step(task, state, pixels, labels, jax.random.key(1))
    expected = jax.tree.map(lambda a, b: 0.9 * a + 0.1 * b, state.params, after.params)
    same(after.ema, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("task", [MLP, CNN], ids=["mlp", "cnn"])
def test_an_epoch_is_its_steps_and_can_be_cut(data, task):
    run = jax.jit(
        partial(steps.epoch, task), static_argnames=("batch", "first", "steps")
    )
    start = steps.create(task, jax.random.key(0), 8)
    key = partial(jax.random.key, 2)
    whole, metrics = run(start, *data, key(), batch=16)
    assert {len(values) for values in metrics.values()} == {3}
    cut, first = run(start, *data, key(), batch=16, steps=1)
    cut, second = run(cut, *data, key(), batch=16, first=1)
    same(cut, whole, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        np.concatenate([first["loss"], second["loss"]]), metrics["loss"], rtol=1e-5
    )
    again, _ = run(start, *data, key(), batch=16)
    same(again, whole, rtol=0, atol=0)


def test_an_epoch_of_single_steps_is_the_one_in_one_program(data):
    start = steps.create(CNN, jax.random.key(0), 8)
    (first, here), (second, there) = (
        steps.epoch_runner(CNN, batch=16, one_program=whole)(
            start, *data, jax.random.key(2), first=1
        )
        for whole in (True, False)
    )
    same(second, first, rtol=1e-4, atol=1e-6)
    same(there, here, rtol=1e-4, atol=1e-6)
    assert len(here["loss"]) == 2
    with pytest.raises(ValueError, match="50 images do not fill a batch of 51"):
        steps.epoch_runner(CNN, batch=51)(start, *data, jax.random.key(0))


def test_an_epoch_sees_every_image_once_in_a_new_order():
    first, second = (
        np.asarray(steps.order(jax.random.key(0), epoch, 50)) for epoch in (0, 1)
    )
    assert sorted(first) == sorted(second) == list(range(50))
    assert (first != second).any()
    with pytest.raises(ValueError, match="50 images do not fill a batch of 64"):
        state = steps.create(MLP, jax.random.key(0), 8)
        pixels = jnp.zeros((50, 8, 8, 3), jnp.uint8)
        labels = jnp.zeros(50, jnp.int32)
        steps.epoch(MLP, state, pixels, labels, jax.random.key(0), batch=64)


def test_training_learns_and_augmentation_takes_part(data):
    def augment(key, images, targets):
        crop, mix = jax.random.split(key)
        images = augmentation.pad_and_crop(crop, images, 1)
        return augmentation.mixup(mix, images, targets, 0.2)

    task = replace(CNN, augment=augment, ema_decay=0.8)
    run = jax.jit(partial(steps.epoch, task, batch=25))
    judge = jax.jit(partial(steps.evaluate, task, batch=16, averaged=True))
    state = steps.create(task, jax.random.key(0), 8)
    before = judge(state, *data)["accuracy"]
    for _ in range(25):
        state, metrics = run(state, *data, jax.random.key(3))
    assert int(state.step) == 50
    assert judge(state, *data)["accuracy"] > max(0.9, before)
    assert metrics["loss"].mean() < 0.9


@pytest.mark.parametrize("batch", [7, 50, 64])
def test_evaluation_counts_every_image_once(data, batch):
    pixels, labels = data
    state = steps.create(CNN, jax.random.key(0), 8)
    found = steps.evaluate(CNN, state, pixels, labels, batch=batch)
    variables = {"params": state.params, "batch_stats": state.batch_stats}
    logits, _ = CNN.model.apply(variables, CNN.normalised(steps.as_floats(pixels)))
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
    assert found["loss"] == pytest.approx(float(losses.mean()), rel=1e-4)
    assert found["accuracy"] == pytest.approx(
        float((logits.argmax(-1) == labels).mean())
    )


def test_several_devices_train_as_one(data):
    pixels, labels = (side[:48] for side in data)
    mesh = jax.make_mesh((4,), ("images",))
    spread = jax.NamedSharding(mesh, jax.P("images"))
    whole = jax.NamedSharding(mesh, jax.P())
    state = steps.create(CNN, jax.random.key(0), 8)
    run = jax.jit(partial(steps.step, CNN))
    alone, one = run(state, pixels, labels, jax.random.key(1))
    together, four = run(
        jax.device_put(state, whole),
        jax.device_put(pixels, spread),
        jax.device_put(labels, spread),
        jax.random.key(1),
    )
    # Batch statistics are those of the whole batch on any number of devices.
    same(together.params, alone.params, rtol=1e-4, atol=1e-5)
    same(together.batch_stats, alone.batch_stats, rtol=1e-4, atol=1e-5)
    same(four, one, rtol=1e-4, atol=1e-5)
