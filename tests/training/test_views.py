"""What a network is shown of an image: in training as at evaluation."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbias import devices
from jaxbias.data.archives import ImageSet
from jaxbias.training import build, fit, sets, steps
from jaxbias.training.build import Shown
from jaxbias.training.evaluation import Evaluator, whole
from jaxbias.training.feeds import IMAGES
from jaxbias.training.loop import Log
from jaxbias.training.recipes import RECIPES
from jaxbias.training.steps import Seen

RECIPE = replace(RECIPES["small"], model="mlp", augment=(), batch=8)
HALF = (0.5,) * 3


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (20, 12, 12, 3), np.uint8)
    return ImageSet(pixels, np.arange(20) % 2, ("a", "b"))


def pixels(images):
    return jnp.asarray(images.images)


def noisy(keys, images):
    """Each image under noise of its own key."""
    draw = lambda key, image: image + jax.random.normal(key, image.shape)  # noqa: E731
    return jax.vmap(draw)(keys, images)


def doubled(keys, images):
    del keys
    return jnp.concatenate([images, 1 - images], axis=-1)


def task_of(shown, **changes):
    recipe = replace(RECIPE, **changes)
    return build.task(
        recipe, classes=2, size=12, epoch_steps=2, mean=HALF, sd=HALF, shown=shown
    )


def augmented(task, images, number=0):
    whole = steps.as_floats(pixels(images)[:8])
    key = jax.random.key(number)
    seen = Seen(jax.random.key(9), jnp.arange(8), jnp.int32(0))
    return task.augment(key, whole, jnp.eye(2)[images.labels[:8]], seen)[0]


def test_the_central_square_is_seen_in_training_and_after(images):
    task = task_of(Shown(size=8))
    expected = images.images[:, 2:10, 2:10] / 255
    np.testing.assert_allclose(augmented(task, images), expected[:8], atol=1e-6)
    shown = steps.shown(replace(task, mean=(0.0,) * 3, sd=(1.0,) * 3), pixels(images))
    np.testing.assert_allclose(shown, expected, atol=1e-6)
    cropped = task_of(Shown(size=8), augment=("resized-crop", "flip"))
    assert augmented(cropped, images).shape == (8, 8, 8, 3)


@pytest.mark.parametrize("before", [True, False])
def test_a_change_comes_before_or_after_cropping(images, before):
    def tiled(keys, x):
        return jnp.tile(x.mean((1, 2), keepdims=True), (1, *x.shape[1:3], 1))

    task = task_of(Shown(size=4, change=tiled, before=before))
    part = images.images[:8] if before else images.images[:8, 4:8, 4:8]
    expected = part.mean((1, 2), keepdims=True) / 255
    found = augmented(task, images)
    np.testing.assert_allclose(found, np.tile(expected, (1, 4, 4, 1)), atol=1e-5)


def test_channels_of_a_view_have_their_own_moments(images):
    shown = Shown(change=doubled, mean=(0.0,) * 6, sd=(2.0,) * 6)
    task = task_of(shown)
    state = steps.create(task, jax.random.key(0), 12)
    seen = steps.shown(task, pixels(images))
    assert seen.shape == (20, 12, 12, 6)
    np.testing.assert_allclose(2 * seen[..., :3] + 2 * seen[..., 3:], 1.0, atol=1e-6)
    assert steps.logits(task, state, pixels(images)).shape == (20, 2)


@pytest.mark.parametrize(("batch", "count"), [(20, 1), (8, 4)])
def test_what_an_image_is_shown_as_depends_on_its_number_alone(images, batch, count):
    task = task_of(Shown(change=noisy))
    state = steps.create(task, jax.random.key(0), 12)
    mesh = devices.mesh(count, axis=IMAGES)
    judge = Evaluator(task, lambda: whole(images, batch), batch=batch, mesh=mesh)
    logits = np.asarray(steps.logits(task, state, pixels(images)))
    losses = -np.asarray(jax.nn.log_softmax(logits))[np.arange(20), images.labels]
    np.testing.assert_allclose(judge(state).losses, losses, rtol=1e-4, atol=1e-5)


def test_training_draws_anew_at_each_step_and_views_change_no_other_draw(images):
    task = task_of(Shown(change=noisy))
    first, second = augmented(task, images, 0), augmented(task, images, 1)
    assert np.abs(first - second).min() > 0
    crop = {"augment": ("crop", "flip")}
    plain = augmented(task_of(build.WHOLE, **crop), images)
    same = lambda keys, x: x  # noqa: E731
    assert np.array_equal(augmented(task_of(Shown(change=same), **crop), images), plain)


def test_cases_share_a_log(tmp_path):
    path = tmp_path / "metrics.jsonl"
    for case, steps_done in (("one", 3), ("two", 2), ("one", 4)):
        log = Log(path, seeds=[0], writer=True, case=case)
        log.begin(1)
        for step in range(1, steps_done + 1):
            log.write("train", step, {"loss": np.asarray(1.0)})
        log.close()
    kept = Log(path, seeds=[0], writer=False, case="two").rows("train")
    assert [row["step"] for row in kept] == [1, 2]
    kept = Log(path, seeds=[0], writer=False, case="one").rows("train")
    # Its first step is that of the first time, and those after it are written anew.
    assert [row["step"] for row in kept] == [1, 1, 2, 3, 4]


def test_a_model_that_cannot_take_the_images_is_named(images):
    task = task_of(build.WHOLE, model="alexnet")
    prepared = sets.Prepared(images, images, 12, sets.Skipped(images))
    with pytest.raises(fit.SourceError, match="--size 12: the model does not take"):
        fit.parameter_count(task, prepared)
