"""A step by hand, consecutive steps as one program or one by one, several devices."""

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
from jaxbias.training.steps import consecutive

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


def test_the_average_forgets_the_first_weights_faster(data):
    """Its half-life is no longer than a share of the steps taken (EDM)."""
    pixels, labels = (side[:10] for side in data)
    task = replace(MLP, ema_decay=0.9, ema_ramp=2.0)
    state = steps.create(task, jax.random.key(0), 8)
    for number in range(6):
        before, decay = state.ema, min(0.9, 0.5 ** (1 / (2 * (number + 1))))
        state, _ = steps.step(task, state, pixels, labels, jax.random.key(number))
        expected = jax.tree.map(
            lambda a, b, decay=decay: decay * a + (1 - decay) * b, before, state.params
        )
        same(state.ema, expected, rtol=1e-5, atol=1e-7)
    assert decay == 0.9


@pytest.mark.parametrize("task", [MLP, CNN], ids=["mlp", "cnn"])
def test_consecutive_steps_can_be_cut(data, task):
    pick = steps.of_set(*data)
    run = jax.jit(
        lambda state, key, chosen: consecutive(
            task, state, pick, key, chosen, 0, len(chosen)
        )
    )
    start = steps.create(task, jax.random.key(0), 8)
    key = partial(jax.random.key, 2)
    place = steps.placed(key(), 0, count=50, batch=16)
    whole, metrics = run(start, key(), place)
    assert {len(values) for values in metrics.values()} == {3}
    cut, first = run(start, key(), place[:1])
    cut, second = run(cut, key(), place[1:])
    same(cut, whole, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        np.concatenate([first["loss"], second["loss"]]), metrics["loss"], rtol=1e-5
    )
    again, _ = run(start, key(), place)
    same(again, whole, rtol=0, atol=0)


def test_rows_that_are_not_counted_do_nothing(data):
    pick = steps.of_set(*data)
    place = steps.placed(jax.random.key(2), 0, count=50, batch=16)
    run = jax.jit(partial(consecutive, MLP, pick=pick))
    start = steps.create(MLP, jax.random.key(0), 8)
    given = {"key": jax.random.key(2), "epoch": 0}
    one, _ = run(start, chosen=place[:1], count=1, **given)
    given["key"] = jax.random.clone(given["key"])
    same_one, metrics = run(start, chosen=place, count=1, **given)
    same(same_one, one, rtol=1e-6, atol=1e-7)
    assert metrics["loss"].shape == (3,) and not metrics["loss"][1:].any()


def test_single_steps_are_those_of_one_program(data):
    start = steps.create(CNN, jax.random.key(0), 8)
    key = partial(jax.random.key, 2)
    pick = steps.of_set(*data)
    place = steps.placed(key(), 0, count=50, batch=16)
    whole, _ = jax.jit(
        lambda state, key: consecutive(CNN, state, pick, key, place, 0, 2)
    )(start, key())
    one = jax.jit(
        lambda state, key, chosen: steps.numbered(CNN, state, pick, key, chosen, 0)
    )
    state = start
    for chosen in place[:2]:
        state, _ = one(state, key(), chosen)
    same(state, whole, rtol=1e-4, atol=1e-6)


def test_an_epoch_sees_every_image_once_in_a_new_order():
    first, second = (
        np.asarray(steps.placed(jax.random.key(0), epoch, count=50, batch=10)).ravel()
        for epoch in (0, 1)
    )
    assert sorted(first) == sorted(second) == list(range(50))
    assert (first != second).any()
    cut = steps.placed(jax.random.key(0), 0, count=50, batch=16)
    np.testing.assert_array_equal(cut.ravel(), first[:48])


def test_augmentation_is_told_what_it_sees(data):
    """Numbers of the images, the epoch, and a key that stays the same."""
    pixels, labels = data

    def augment(key, images, targets, seen):
        told = jnp.stack([seen.index[0], seen.epoch]).astype(jnp.float32)
        draw = jax.random.uniform(seen.key, (1,))
        return images, jnp.zeros_like(targets).at[0].set(jnp.append(told, draw))

    task = replace(MLP, augment=augment)
    seen = []

    def optimiser_sees(batch_task, state, chosen, epoch):
        # The loss of a linear target shows the target itself.
        pick = steps.of_set(pixels, labels)
        key = jax.random.key(2)
        _, metrics = steps.numbered(batch_task, state, pick, key, chosen, epoch)
        return metrics["loss"]

    for step in (0, 2, 3):
        state = replace(steps.create(task, jax.random.key(0), 8), step=jnp.int32(step))
        place = steps.placed(jax.random.key(2), step // 3, count=50, batch=16)
        chosen = place[step % 3]
        logits = steps.logits(task, state, pixels[chosen[0]][None])
        told = jnp.array([chosen[0], step // 3], jnp.float32)
        _, _, still = jax.random.split(jax.random.key(2), 3)
        target = jnp.append(told, jax.random.uniform(still, (1,)))
        expected = -(target * jax.nn.log_softmax(logits[0])).sum() / 16
        found = optimiser_sees(task, state, chosen, step // 3)
        assert float(found) == pytest.approx(float(expected), rel=1e-4)
        seen.append(float(found))
    assert len(set(seen)) == 3


def test_training_learns_and_augmentation_takes_part(data):
    def augment(key, images, targets, seen):
        crop, mix = jax.random.split(key)
        images = augmentation.pad_and_crop(crop, images, 1)
        return augmentation.mixup(mix, images, targets, 0.2)

    task = replace(CNN, augment=augment, ema_decay=0.8)
    pick = steps.of_set(*data)
    run = jax.jit(
        lambda state, key, chosen: consecutive(task, state, pick, key, chosen, 0, 2)
    )

    def accuracy(state):
        return float((steps.logits(task, state, data[0]).argmax(-1) == data[1]).mean())

    state = steps.create(task, jax.random.key(0), 8)
    before = accuracy(state)
    for epoch in range(25):
        place = steps.placed(jax.random.key(3), epoch, count=50, batch=25)
        state, metrics = run(state, jax.random.key(3), place)
    assert int(state.step) == 50
    assert accuracy(state) > max(0.9, before)
    assert metrics["loss"].mean() < 0.9


def test_a_loss_that_is_not_finite_changes_nothing_and_is_remembered(data):
    pixels, labels = (side[:10] for side in data)

    def augment(key, images, targets, seen):
        return images, jnp.where(seen.epoch == 1, jnp.nan, targets)

    task = replace(CNN, augment=augment, ema_decay=0.9)
    run = jax.jit(partial(steps.following, task))
    given = pixels, labels, jnp.arange(10)
    state = steps.create(task, jax.random.key(0), 8)
    for _ in range(2):
        state, metrics = run(state, *given, jax.random.key(1), 0)
        assert int(metrics["lost"]) == -1
    for epoch in (1, 1, 2, 2):  # Epoch 1 is not finite, epoch 2 would be.
        after, metrics = run(state, *given, jax.random.key(1), epoch)
        assert int(after.step) == int(state.step) + 1
        assert int(after.lost) == int(metrics["lost"]) == 2
        same(replace(after, step=state.step, lost=state.lost), state, rtol=0, atol=0)
        state = after


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


def test_an_attack_moves_what_the_network_is_trained_on(data):
    pixels, labels = (side[:10] for side in data)

    def attack(predict, params, images, classes, key):
        # Against the gradient of each image's loss, by hand.
        def loss(moved):
            logits = jax.nn.log_softmax(predict(params, moved))
            return -jnp.sum(logits[jnp.arange(10), classes])

        return images + 0.1 * jnp.sign(jax.grad(loss)(images))

    def run(attack):
        task = replace(MLP, attack=attack)
        state = steps.create(task, jax.random.key(0), 8)
        one = jax.jit(partial(steps.step, task))
        return state, one(state, pixels, labels, jax.random.key(1))

    state, (_, plain) = run(None)
    _, (_, harder) = run(attack)
    assert float(harder["loss"]) > float(plain["loss"]) + 0.1
    # One that leaves images as they are changes nothing else.
    _, (still, easy) = run(lambda predict, params, images, classes, key: images)
    _, (after, _) = run(None)
    same(still.params, after.params)
    assert float(easy["loss"]) == float(plain["loss"])
    images = steps.as_floats(pixels)

    def loss(params, images):
        logits, _ = MLP.model.apply({"params": params}, MLP.normalised(images))
        return -jnp.mean(jax.nn.log_softmax(logits)[jnp.arange(10), labels])

    slope = jnp.sign(jax.grad(loss, argnums=1)(state.params, images))
    gradient = jax.grad(loss)(state.params, images + 0.1 * slope)
    expected = float(optax.tree.norm(gradient))
    assert harder["gradient_norm"] == pytest.approx(expected, rel=1e-3)
