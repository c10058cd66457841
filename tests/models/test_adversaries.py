"""Adversaries: gradients of one network alone, and the released way, step by step."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxbias.models.adversaries import FAKE, FOOLED, REAL, Adversaries
from jaxbias.models.cdcgan import Discriminator, Generator
from jaxbias.training import steps
from jaxbias.training.objectives import ADVERSARIAL
from jaxbias.training.steps import Task

GENERATOR, DISCRIMINATOR = Generator(width=4), Discriminator(width=4)
MODEL = Adversaries(GENERATOR, DISCRIMINATOR, noise=100, classes=10)
COUNT = 8


@pytest.fixture(scope="module")
def given():
    random = np.random.default_rng(0)
    images = random.uniform(-1, 1, (COUNT, 32, 32, 3)).astype(np.float32)
    targets = np.eye(10, dtype=np.float32)[random.integers(0, 10, COUNT)]
    return jnp.asarray(images), jnp.asarray(targets)


@pytest.fixture(scope="module")
def variables(given):
    return jax.jit(MODEL.init)(jax.random.key(0), given[0])


def column(params, variables, given, keys, number):
    logits, _ = MODEL.apply(
        {**variables, "params": params},
        given[0],
        train=True,
        keys=jax.random.clone(keys),
        targets=given[1],
        mutable=["batch_stats"],
    )[0]
    return jnp.sum(jax.nn.softplus(logits[:, number]))


@pytest.mark.parametrize(
    ("number", "mover"),
    [(FOOLED, "generator"), (REAL, "discriminator"), (FAKE, "discriminator")],
)
def test_each_column_moves_one_network(variables, given, key, number, mover):
    keys = jax.random.split(key, COUNT)
    slopes = jax.grad(column)(variables["params"], variables, given, keys, number)
    assert set(slopes) == {"generator", "discriminator"}
    for name, own in slopes.items():
        largest = max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(own))
        assert (largest > 0) == (name == mover)


def test_a_step_is_that_of_the_generator_and_then_of_the_discriminator(given, key):
    """As released: the discriminator is shown what the generator made before its step."""
    descent = optax.sgd(1.0)
    task = Task(
        model=MODEL,
        optimiser=descent,
        classes=10,
        mean=(0.5,) * 3,
        sd=(0.5,) * 3,
        objective=ADVERSARIAL,
    )
    pixels = jnp.asarray(np.round(127.5 * (np.asarray(given[0]) + 1)), jnp.uint8)
    labels = jnp.argmax(given[1], axis=1)
    state = steps.create(task, jax.random.key(0), 32)
    after, metrics = jax.jit(steps.step, static_argnums=0)(
        *(task, state, pixels, labels, jax.random.clone(key))
    )
    # What the step drew, as `steps.step` and the module take it from the key.
    _, drop, _ = jax.random.split(key, 3)
    made, classes = drawn(state, drop)
    images = 2 * (pixels / 255.0) - 1

    def judged(params, images, classes):
        variables = {
            "params": params,
            "batch_stats": state.batch_stats["discriminator"],
        }
        return DISCRIMINATOR.apply(
            *(variables, images, classes), train=True, mutable=["batch_stats"]
        )[0]

    def of_generator(params):
        images, classes = drawn(state, drop, params)
        judge = state.params["discriminator"]
        return jnp.mean(-jax.nn.log_sigmoid(judged(judge, images, classes)))

    first = state.params["generator"]
    slope = jax.grad(of_generator)(first)
    updates, _ = descent.update(slope, descent.init(first))
    moved = optax.apply_updates(first, updates)

    def of_discriminator(params):
        real = -jax.nn.log_sigmoid(judged(params, images, jax.nn.one_hot(labels, 10)))
        fake = -jax.nn.log_sigmoid(-judged(params, made, classes))
        return (jnp.mean(real) + jnp.mean(fake)) / 2

    second = state.params["discriminator"]
    slope = jax.grad(of_discriminator)(second)
    updates, _ = descent.update(slope, descent.init(second))
    expected = {
        "generator": moved,
        "discriminator": optax.apply_updates(second, updates),
    }

    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), after.params, expected
    )
    total = float(of_generator(first) + of_discriminator(second))
    assert float(metrics["loss"]) == pytest.approx(total, rel=1e-4)


def drawn(state, drop, params=None):
    """What the module makes in training from the stream of a step."""
    params = state.params["generator"] if params is None else params

    class Probe(Adversaries):
        def __call__(self, count):
            keys = jax.random.split(self.make_rng("dropout"), count)
            return jax.vmap(self._drawn)(keys)

    noise, classes = Probe(GENERATOR, DISCRIMINATOR, 100, 10).apply(
        {}, COUNT, rngs={"dropout": jax.random.clone(drop)}
    )
    variables = {"params": params, "batch_stats": state.batch_stats["generator"]}
    images, _ = GENERATOR.apply(
        *(variables, noise, classes), train=True, mutable=["batch_stats"]
    )
    return images, classes
