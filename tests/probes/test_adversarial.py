"""PGD against a loop with the gradient of a linear model, its constraints, and counts."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbias.probes import adversarial
from jaxbias.probes.adversarial import count, pgd

CLASSES = 4
SHAPE = (3, 3, 2)


def linear(params, images):
    return images.reshape(images.shape[0], -1) @ params


@pytest.fixture(scope="module")
def weights():
    return jax.random.normal(jax.random.key(1), (18, CLASSES))


@pytest.fixture(scope="module")
def images():
    return jax.random.uniform(jax.random.key(2), (12, *SHAPE))


@pytest.fixture(scope="module")
def labels():
    return jax.random.randint(jax.random.key(3), (12,), 0, CLASSES)


def loop(weights, images, labels, norm, radius, step_size, steps):
    """PGD from the images themselves, one by one, in double precision."""
    weights, labels = np.asarray(weights, float), np.asarray(labels)
    found = []
    for image, label in zip(np.asarray(images, float), labels, strict=True):
        clean = image.ravel()
        x = clean
        for _ in range(steps):
            logits = x @ weights
            chances = np.exp(logits - logits.max())
            chances /= chances.sum()
            slope = weights @ (chances - np.eye(CLASSES)[label])
            if norm == "linf":
                x = x + step_size * np.sign(slope)
                x = np.minimum(np.maximum(x, clean - radius), clean + radius)
            else:
                moved = x + step_size * slope / np.sqrt(slope @ slope) - clean
                x = clean + moved * min(1, radius / np.sqrt(moved @ moved))
            x = np.minimum(np.maximum(x, 0), 1)
        found.append(x.reshape(image.shape))
    return np.stack(found)


NAMES = ("norm", "num_steps", "keep", "unroll")
attack = jax.jit(pgd, static_argnums=0, static_argnames=NAMES)


def loss(logits, labels):
    logits = np.asarray(logits, float)
    chosen = np.take_along_axis(logits, np.asarray(labels)[:, None], 1)[:, 0]
    return np.log(np.exp(logits).sum(1)) - chosen


# A step of four times the radius jumps between corners, as in the paper's attack.
@pytest.mark.parametrize(
    ("norm", "radius", "step_size"),
    [("linf", 0.1, 0.03), ("linf", 0.1, 0.4), ("l2", 0.5, 0.2)],
)
def test_a_linear_model_is_attacked_as_by_a_loop(
    weights, images, labels, norm, radius, step_size
):
    found = attack(
        *(linear, weights, images, labels, None),
        **dict(norm=norm, radius=radius, step_size=step_size, num_steps=7),
    )
    expected = loop(weights, images, labels, norm, radius, step_size, 7)
    np.testing.assert_allclose(found, expected, atol=2e-5)
    if norm == "linf":
        written_out = attack(
            *(linear, weights, images, labels, None),
            **dict(norm=norm, radius=radius, step_size=step_size, num_steps=7),
            unroll=True,
        )
        np.testing.assert_allclose(written_out, found, atol=1e-6)


def test_the_worst_point_on_the_way_is_kept(weights, images, labels):
    """A loss with many hills: steps of half the ball's width end off their best."""

    def hilly(params, images):
        return 3 * jnp.sin(4 * linear(params, images))

    def after(steps, keep):
        given = dict(norm="linf", radius=0.3, step_size=0.3, num_steps=steps, keep=keep)
        found = attack(hilly, weights, images, labels, None, **given)
        return found, loss(hilly(weights, found), labels)

    points, path = zip(*(after(steps, "last") for steps in range(4)), strict=True)
    best = np.argmax(path, axis=0)
    assert len(set(best)) > 2
    found, reached = after(3, "worst")
    np.testing.assert_allclose(reached, np.max(path, axis=0), rtol=1e-5)
    expected = np.stack(points)[best, np.arange(12)]
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_attacks_stay_in_the_ball_and_in_the_box(weights, images, labels, norm, key):
    found = attack(
        *(linear, weights, images, labels, key),
        **dict(norm=norm, radius=0.3, step_size=0.2, num_steps=7),
    )
    difference = np.asarray(found - images).reshape(12, -1)
    lengths = (
        np.abs(difference).max(1)
        if norm == "linf"
        else np.linalg.norm(difference, axis=1)
    )
    assert lengths.max() <= 0.3 + 1e-6
    assert lengths.min() > 0.1
    assert float(found.min()) >= 0 and float(found.max()) <= 1
    before, after = (loss(linear(weights, x), labels) for x in (images, found))
    assert (after > before).all()


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_radius_of_0_changes_nothing(weights, images, labels, norm, key):
    found = attack(
        *(linear, weights, images, labels, key),
        **dict(norm=norm, radius=0.0, step_size=0.2, num_steps=7),
    )
    np.testing.assert_array_equal(found, images)


def test_radii_side_by_side_are_a_loop(weights, images, labels, key):
    radii = jnp.asarray([0.05, 0.2])

    def run(radius):
        return attack(
            *(linear, weights, images, labels, jax.random.clone(key)),
            **dict(norm="l2", radius=radius, step_size=radius / 3, num_steps=7),
        )

    together = jax.vmap(run)(radii)
    alone = jnp.stack([run(radius) for radius in radii])
    np.testing.assert_allclose(together, alone, atol=1e-6)
    length = np.linalg.norm(np.asarray(alone - images[None]).reshape(2, 12, -1), axis=2)
    assert (length[0] < length[1]).all()


def test_two_linear_classes_are_worst_at_the_corner_of_the_sign(key):
    """Logits w x and 0: the loss of class 0 is largest at x - radius sign(w)."""
    w = jax.random.normal(jax.random.key(5), (18,))
    params = jnp.stack([w, jnp.zeros(18)], axis=1)
    images = jax.random.uniform(jax.random.key(6), (4, *SHAPE), minval=0.2, maxval=0.8)
    zeros = jnp.zeros(4, jnp.int32)
    run = partial(attack, linear, params, images, zeros, radius=0.1, num_steps=7)
    found = run(key, norm="linf", step_size=0.05)
    np.testing.assert_allclose(
        found, images - 0.1 * jnp.sign(w).reshape(1, *SHAPE), atol=1e-6
    )
    # In l2 it is the direction of the weights; steps of any length end there.
    found = run(None, norm="l2", step_size=0.07)
    toward = (0.1 * w / jnp.linalg.norm(w)).reshape(1, *SHAPE)
    np.testing.assert_allclose(found, images - toward, atol=1e-6)


def test_small_gradients_have_a_direction_and_zero_has_none(images, labels):
    tiny = 1e-25 * jax.random.normal(jax.random.key(1), (18, CLASSES))
    given = dict(norm="l2", radius=0.3, step_size=0.1, num_steps=7)
    found = attack(linear, tiny, images, labels, None, **given)
    assert (
        np.linalg.norm(np.asarray(found - images).reshape(12, -1), axis=1).min() > 0.1
    )
    still = attack(linear, 0 * tiny, images, labels, None, **given)
    np.testing.assert_array_equal(still, images)


def test_starts_are_uniform_in_the_ball(key):
    images = jnp.zeros((4000, 2, 1))
    keys = jax.random.split(key)
    cube = np.asarray(adversarial.random_in_ball(keys[0], images, 0.5, "linf"))
    assert np.abs(cube).max() <= 0.5
    np.testing.assert_allclose(cube.var(0), 0.25 / 3, rtol=0.1)
    disc = np.asarray(adversarial.random_in_ball(keys[1], images, 0.5, "l2"))
    length = np.linalg.norm(disc.reshape(4000, -1), axis=1)
    assert length.max() <= 0.5 + 1e-6
    # Half of a disc lies within its radius over the root of two.
    assert np.mean(length < 0.5 / 2**0.5) == pytest.approx(0.5, abs=0.04)
    np.testing.assert_allclose(disc.mean(0), 0, atol=0.02)


def test_counts_have_the_true_denominator(weights, images):
    before = np.asarray(linear(weights, images)).argmax(1)
    labels = jnp.asarray(np.where(np.arange(12) < 8, before, (before + 1) % CLASSES))
    moved = images.at[:3].set(0.0).at[8].set(jnp.nan)
    zero = int(np.asarray(linear(weights, moved[:1])).argmax())
    real = jnp.arange(12) < 10
    found = count(linear, weights, images, moved, labels, real)
    robust = 5 + int((before[:3] == zero).sum())
    assert tuple(map(int, found)) == (10, 8, robust, 1)
    assert np.isnan(found.accuracy())
    # The one that cannot be read is left out.
    found = count(linear, weights, images, moved, labels, real.at[8].set(False))
    assert float(found.accuracy()) == pytest.approx(8 / 9)
    assert float(found.robust_accuracy()) == pytest.approx(robust / 9)
    total = jax.tree.map(jnp.add, found, found)
    assert (int(total.images), int(total.right)) == (18, 16)
    none = count(linear, weights, images, images, labels, jnp.zeros(12, bool))
    assert np.isnan(none.robust_accuracy())


def test_an_image_that_becomes_right_under_attack_counts_as_wrong(weights, images):
    after = images[::-1]
    labels = jnp.asarray(np.asarray(linear(weights, after)).argmax(1))
    found = count(linear, weights, images, after, labels)
    before = np.asarray(linear(weights, images)).argmax(1) == labels
    assert int(found.images) == 12
    assert int(found.robust) == int(found.right) == before.sum() < 12


def test_printed_accuracies_are_repaired():
    # Section 8, E14, and section 0.5.
    assert adversarial.true_accuracy(18.39) == pytest.approx(18.31, abs=5e-3)
    assert adversarial.true_accuracy(61.22) == pytest.approx(61.19, abs=1e-2)
    assert adversarial.true_accuracy(100 * 48 / 50_048) == pytest.approx(0, abs=1e-9)
    assert adversarial.printed_accuracy(0.0) == pytest.approx(0.0959, abs=5e-5)
    given = np.asarray([0.5, 20.0, 100.0])
    back = adversarial.true_accuracy(adversarial.printed_accuracy(given))
    np.testing.assert_allclose(back, given)
    assert adversarial.true_accuracy(50.0, images=100, batch=50) == 50
