"""Recipes: the published numbers, and what a recipe becomes."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbias.data import augmentation
from jaxbias.training import build
from jaxbias.training.recipes import RECIPES, Recipe
from jaxbias.training.steps import Seen, as_floats


def seen(count=6, epoch=0):
    return Seen(jax.random.key(9), jnp.arange(count), jnp.int32(epoch))


@pytest.fixture
def batch():
    rng = np.random.default_rng(0)
    pixels = jnp.asarray(rng.integers(0, 255, (6, 16, 16, 3), np.uint8))
    return as_floats(pixels), jax.nn.one_hot(jnp.arange(6) % 3, 3)


def test_plain_has_the_published_rates_and_momenta():
    """Values of the authors' scheduler, stepped once an epoch."""
    plain = RECIPES["plain"]
    rate, momentum = build.rate(plain, 98), build._momentum(plain, 98)
    for epoch, (lr, mom) in {
        0: (0.008, 0.95),
        1: (0.152, 0.875),
        2: (0.19999, 0.85),
        10: (0.1963, 0.8519),
        50: (0.1008, 0.8996),
        90: (0.00418, 0.9479),
        99: (8e-7, 0.95),
    }.items():
        for step in (98 * epoch, 98 * epoch + 97):
            assert float(rate(step)) == pytest.approx(lr, rel=2e-3, abs=1e-9)
            assert float(momentum(step)) == pytest.approx(mom, abs=1e-4)
    assert (plain.weight_decay, plain.decay_everything, plain.batch) == (
        5e-4,
        True,
        512,
    )


def test_the_schedules_reach_their_peak_and_end_low():
    for name in ("one-cycle", "cosine", "triangular"):
        recipe = Recipe(schedule=name, rate=0.3, epochs=4)
        rates = np.asarray([build.rate(recipe, 50)(step) for step in range(200)])
        assert rates.max() == pytest.approx(0.3, rel=0.02)
        assert rates[-1] < 0.03 and 20 < rates.argmax() < 80
    constant = build.rate(Recipe(schedule="constant", rate=0.3), 50)
    assert float(constant(0)) == float(constant(99)) == pytest.approx(0.3)


def changed(recipe, batch, key=0, **told):
    change = jax.jit(build.augment(recipe, 16))
    return change(jax.random.key(key), *batch, seen(**told))


def test_no_augmentation_changes_nothing(batch):
    images, targets = changed(Recipe(augment=()), batch)
    assert np.array_equal(images, batch[0]) and np.array_equal(targets, batch[1])


@pytest.mark.parametrize(
    "name",
    [
        *("crop", "flip", "alternating-flip", "resized-crop", "randaugment"),
        "timm-randaugment",
        *("colour-jitter", "erasing", "mixup", "cutmix"),
    ],
)
def test_each_change_is_the_one_of_its_name(batch, name):
    recipe = Recipe(augment=(name,), padding=2)
    keys = jax.random.split(jax.random.key(0), 2)
    images, targets = changed(recipe, batch)
    own, last = keys
    expected = {
        "crop": lambda: augmentation.pad_and_crop(own, batch[0], 2),
        "flip": lambda: augmentation.random_flip(own, batch[0]),
        "resized-crop": lambda: augmentation.random_resized_crop(own, batch[0], 16),
        "erasing": lambda: augmentation.random_erasing(own, batch[0]),
    }
    if name in expected:
        np.testing.assert_allclose(images, expected[name](), atol=1e-5)
    different = np.abs(np.asarray(images) - np.asarray(batch[0])).max(axis=(1, 2, 3))
    # Erasing takes a quarter of the images.
    assert (different > 0.01).sum() >= (1 if name == "erasing" else 2)
    mixes = name in ("mixup", "cutmix")
    assert bool(np.array_equal(targets, batch[1])) != mixes
    np.testing.assert_allclose(targets.sum(-1), 1.0, rtol=1e-5)


def test_alternating_flips_show_both_sides_in_two_epochs(batch):
    recipe = Recipe(augment=("alternating-flip",))
    first, _ = changed(recipe, batch, key=1, epoch=0)
    second, _ = changed(recipe, batch, key=2, epoch=1)
    assert np.array_equal(first[:, :, ::-1], second)


def test_one_of_two_mixes_is_taken(batch):
    recipe = Recipe(augment=("mixup", "cutmix"))
    whole = []
    for key in range(12):
        images, _ = changed(recipe, batch, key=key)
        # Cutmix keeps pixels, mixup has new ones.
        old = np.asarray(batch[0]).reshape(-1, 3)
        new = np.asarray(images).reshape(-1, 3)
        kept = (new[:, None] == old[None]).all(-1).any(-1).mean()
        whole.append(kept > 0.9)
    assert 2 <= sum(whole) <= 10


def test_a_task_has_the_recipe_in_it():
    recipe = replace(
        RECIPES["modern"], model="convnext_toy", epochs=2, batch=8, accumulate=2
    )
    options = {"classes": 4, "size": 32, "epoch_steps": 30}
    moments = {"mean": (0.1, 0.2, 0.3), "sd": (0.4, 0.5, 0.6)}
    task = build.task(recipe, **options, **moments)
    assert task.mean == (0.485, 0.456, 0.406)
    assert (task.accumulate, task.ema_decay, task.smoothing) == (2, 0.9999, 0.1)
    task = build.task(replace(recipe, normalise="data"), **options, **moments)
    assert (task.mean, task.sd) == (moments["mean"], moments["sd"])
    task = build.task(RECIPES["plain"], **options, **moments)
    assert task.mean[0] == pytest.approx(0.48145466)
    grey = build.task(RECIPES["small"], **options, mean=(0.1,), sd=(0.2,))
    assert len(grey.mean) == len(grey.sd) == 1
