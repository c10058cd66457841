"""Objectives other than classification, through everything that trains one."""

import json
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxbias import devices
from jaxbias.data.archives import ImageSet
from jaxbias.files import read_metrics
from jaxbias.models import mae
from jaxbias.models.catalogue import Entry
from jaxbias.models.plain import ImageMLP
from jaxbias.runs import RunDirectory
from jaxbias.terminal import Reporter
from jaxbias.training import build, fit, optimisers, sets, steps
from jaxbias.training.evaluation import Evaluator, whole
from jaxbias.training.feeds import IMAGES
from jaxbias.training.loop import NonFiniteError
from jaxbias.training.objectives import (
    CLASSIFICATION,
    RECONSTRUCTION,
    Objective,
    classify,
    contrast,
    match,
    supervised_contrast,
)
from jaxbias.training.recipes import RECIPES, Running
from jaxbias.training.steps import Task

ENTRY = Entry(
    make=lambda _, dtype: mae.MaskedAutoencoder(16, 1, 2, 8, 1, 2, 4, dtype=dtype),
    size=8,
    source="here",
)
MAKE = partial(build.task, entry=ENTRY, objective=RECONSTRUCTION)
RECIPE = replace(
    RECIPES["small"],
    model="tiny_mae",
    augment=("flip",),
    batch=8,
    epochs=3,
    optimiser="adamw",
    rate=3e-3,
    schedule="constant",
)
HALF = (0.5,) * 3


@pytest.fixture(scope="module")
def images():
    """Gratings, so that what is hidden follows from what is seen."""
    rng = np.random.default_rng(0)
    phase, row, column = rng.uniform(0, 6, (20, 1, 1)), *np.mgrid[:16, :16]
    grey = 128 + 100 * np.sin(phase + (row + column)[None])
    pixels = np.repeat(grey[..., None], 3, axis=-1).astype(np.uint8)
    return ImageSet(pixels, np.arange(20) % 2, ("a", "b"))


def task_of(**changes):
    recipe = replace(RECIPE, **changes)
    return MAKE(recipe, classes=2, size=16, epoch_steps=2, mean=HALF, sd=HALF)


def given(images):
    return jnp.asarray(images.images), jnp.asarray(images.labels, jnp.int32)


def same(first, second):
    for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_steps_lower_the_loss_of_a_masked_autoencoder(images):
    task = task_of(ema_decay=0.5)
    judge = Evaluator(
        task, lambda: whole(images, 20), batch=20, mesh=devices.mesh(1, axis=IMAGES)
    )
    state = steps.create(task, jax.random.key(0), 16)
    before = judge(state)
    run = jax.jit(partial(steps.following, task))
    # Augmentation and masks are drawn anew at each step.
    first, metrics = run(state, *given(images), jnp.arange(20), jax.random.key(1), 0)
    assert judge(first).loss < before.loss
    assert set(metrics) == {"loss", "accuracy", "gradient_norm", "lost"}
    assert np.isnan(metrics["accuracy"]) and int(metrics["lost"]) == -1
    state = first
    for _ in range(30):
        state, metrics = run(state, *given(images), jnp.arange(20), jax.random.key(1))
    after = judge(state)
    assert after.loss < 0.8 * before.loss
    assert np.isnan(after.accuracy) and (after.predicted == -1).all()
    with pytest.raises(ValueError, match="no classes"):
        after.confusion(2)


@pytest.mark.slow
def test_masks_at_evaluation_follow_from_the_number_of_an_image(images):
    task = task_of()
    state = steps.create(task, jax.random.key(0), 16)
    pixels, labels = given(images)
    targets = jax.nn.one_hot(labels, 2)
    index = jnp.arange(20)
    expected, _ = steps.scored(task, state, pixels, targets, index)
    for batch, count in ((20, 1), (8, 4)):
        mesh = devices.mesh(count, axis=IMAGES)
        judge = Evaluator(task, partial(whole, images, batch), batch=batch, mesh=mesh)
        found = judge(state).losses
        np.testing.assert_allclose(found, expected, rtol=1e-4)
        np.testing.assert_array_equal(judge(state).losses, found)
    other, _ = steps.scored(task, state, pixels, targets, index + 20)
    assert np.abs(other - expected).min() > 0
    with pytest.raises(ValueError, match="only classification"):
        Evaluator(task, partial(whole, images, 4), batch=4, mesh=mesh, views="flip")


class Cut(Exception):
    """Ends a training at a step."""


def fitted(folder, images, **running):
    prepared = sets.Prepared(images, images, 16, sets.Skipped(images))
    with RunDirectory.open(folder, study="s", experiment="e", config={}) as run:
        return fit.fit(
            replace(RECIPE, accumulate=2),
            Running(**running),
            *(prepared, prepared, run, Reporter(quiet=True)),
            make=MAKE,
        )


@pytest.mark.slow
def test_a_training_that_is_cut_ends_as_if_it_had_not_been(
    images, tmp_path, monkeypatch
):
    undisturbed = fitted(tmp_path / "whole", images, save_every=2)
    advance = fit.Resident.advance

    def cut(self, state, first, count):
        if first == 3:
            raise Cut
        return advance(self, state, first, count)

    with monkeypatch.context() as patch, pytest.raises(Cut):
        patch.setattr(fit.Resident, "advance", cut)
        fitted(tmp_path / "cut", images, save_every=2)
    again = fitted(tmp_path / "cut", images, save_every=2)
    for one, two in zip(undisturbed.states, again.states, strict=True):
        same(one, two)
        assert int(one.step) == 6
    logs = [
        (tmp_path / name / "metrics.jsonl").read_bytes() for name in ("whole", "cut")
    ]
    assert logs[0] == logs[1]
    rows = read_metrics(tmp_path / "cut" / "metrics.jsonl")
    assert {r["accuracy"] for r in rows} == {None}
    assert all(r["loss"] > 0 for r in rows)


@pytest.mark.slow
def test_the_best_checkpoint_is_that_of_the_lowest_loss(images, tmp_path, monkeypatch):
    """By the mean of seeds that are trained together; one that is not finite is worst."""
    losses = iter([2.0, 4.0, 0.5, 1.5, 1.0, 3.0, 1.0, float("nan")])
    monkeypatch.setattr(
        "jaxbias.training.evaluation.Scores.loss", property(lambda _: next(losses))
    )
    monkeypatch.setattr(fit.build, "total_steps", lambda recipe, epoch_steps: 8)
    fitted(tmp_path, images, n_seeds=2, seed_axis="vmap")
    folder = tmp_path / "checkpoints" / "seeds"
    kept = {
        int(path.stem): json.loads(path.read_text())["score"]
        for path in folder.glob("*.json")
    }
    assert kept == {4: -1.0, 6: -2.0, 8: None}


def test_a_loss_that_is_not_finite_ends_it(images, tmp_path):
    def lost(output, found, targets):
        losses, right = RECONSTRUCTION.score(output, found, targets)
        return losses * jnp.nan, right

    make = partial(MAKE, objective=Objective(score=lost, draws=True))
    prepared = sets.Prepared(images, images, 16, sets.Skipped(images))
    with (
        RunDirectory.open(tmp_path, study="s", experiment="e", config={}) as run,
        pytest.raises(NonFiniteError, match="step 1"),
    ):
        fit.fit(
            *(RECIPE, Running(), prepared, prepared, run, Reporter(quiet=True)),
            make=make,
        )


def test_classification_is_the_default_and_means_what_it_did(images):
    task = build.task(
        replace(RECIPE, model="mlp"),
        **{"classes": 2, "size": 16, "epoch_steps": 2, "mean": HALF, "sd": HALF},
    )
    assert task.objective is CLASSIFICATION
    logits = jnp.asarray([[2.0, 1.0], [0.0, 3.0]])
    targets = jnp.asarray([[0.1, 0.9], [0.2, 0.8]])
    losses, right = classify(logits, {}, targets)
    np.testing.assert_array_equal(losses, optax.softmax_cross_entropy(logits, targets))
    assert right.dtype == bool and right.tolist() == [False, True]
    state = steps.create(task, jax.random.key(0), 16)
    mesh = devices.mesh(1, axis=IMAGES)
    scores = Evaluator(task, partial(whole, images, 20), batch=20, mesh=mesh)(state)
    logits = np.asarray(steps.logits(task, state, given(images)[0]))
    np.testing.assert_array_equal(scores.predicted, logits.argmax(-1))
    assert scores.right is None
    assert scores.accuracy == np.mean(logits.argmax(-1) == images.labels)


def nearest(outputs, found, targets):
    """InfoNCE of two views of each image that follow each other (SimCLR)."""
    del found, targets
    z = outputs / jnp.linalg.norm(outputs, axis=-1, keepdims=True)
    alike = jnp.where(jnp.eye(len(z), dtype=bool), -jnp.inf, z @ z.T / 0.2)
    partner = jnp.arange(len(z)) ^ 1
    losses = optax.softmax_cross_entropy_with_integer_labels(alike, partner)
    right = alike.argmax(-1) == partner
    return losses.reshape(-1, 2).mean(1), right.reshape(-1, 2).mean(1)


def test_several_views_of_an_image_in_a_batch():
    """Of images whose colours stay, under noise: partners find each other."""
    rng = np.random.default_rng(0)
    colours = rng.integers(60, 200, (16, 1, 1, 3))
    images = ImageSet(
        np.tile(colours, (1, 8, 8, 1)).astype(np.uint8), np.arange(16) % 2, ("a", "b")
    )

    def twice(keys, images):
        two = jax.vmap(lambda key: jax.random.split(key))(keys).reshape(-1)
        noise = jax.vmap(lambda key: jax.random.normal(key, images.shape[1:]))(two)
        return jnp.repeat(images, 2, axis=0) + 0.2 * noise

    def augment(key, images, targets, seen):
        own = steps.keys_of(key, seen.index)
        return twice(own, images), jnp.repeat(targets, 2, axis=0)

    task = Task(
        model=ImageMLP(classes=8, width=16, depth=1),
        optimiser=optimisers.adamw(1e-2),
        classes=2,
        mean=HALF,
        sd=(0.25,) * 3,
        augment=augment,
        view=twice,
        accumulate=2,
        objective=Objective(score=nearest),
    )
    mesh = devices.mesh(1, axis=IMAGES)
    judge = Evaluator(task, partial(whole, images, 16), batch=16, mesh=mesh)
    state = steps.create(task, jax.random.key(0), 8)
    before = judge(state)
    run = jax.jit(partial(steps.following, task))
    for epoch in range(40):
        told = jnp.arange(16), jax.random.key(1), epoch
        state, metrics = run(state, *given(images), *told)
    after = judge(state)
    assert len(after.losses) == 16
    assert after.loss < before.loss and after.accuracy > before.accuracy
    assert float(metrics["accuracy"]) > 0.5


def test_contrast_is_cross_entropy_over_all_other_views():
    rng = np.random.default_rng(0)
    projections = rng.normal(size=(5, 2, 7)).astype(np.float32)
    projections[:, 1] = projections[:, 0] + 0.8 * projections[:, 1]
    score = jax.jit(lambda given: contrast(0.3).score(given, {}, jnp.zeros((5, 2))))
    losses, right = score(jnp.asarray(projections))
    views = projections.reshape(10, 7).astype(np.float64)
    views /= np.linalg.norm(views, axis=1, keepdims=True)
    for image in range(5):
        each, hits = [], []
        for place in (2 * image, 2 * image + 1):
            others = [k for k in range(10) if k != place]
            cosines = np.asarray([views[place] @ views[k] for k in others])
            own = others.index(place ^ 1)
            each.append(np.log(np.exp(cosines / 0.3).sum()) - cosines[own] / 0.3)
            hits.append(cosines.argmax() == own)
        np.testing.assert_allclose(losses[image], np.mean(each), rtol=1e-5)
        assert right[image] == np.mean(hits)
    assert 0 < right.mean() < 1, "nothing to tell apart"


def test_supervised_contrast_averages_over_the_views_of_a_class():
    rng = np.random.default_rng(1)
    labels = np.asarray([0, 1, 0, 2, 0])
    projections = rng.normal(size=(5, 2, 7)).astype(np.float32)
    projections += 1.5 * np.eye(7, dtype=np.float32)[labels][:, None]
    targets = jax.nn.one_hot(labels, 3)
    score = jax.jit(lambda given: supervised_contrast(0.3).score(given, {}, targets))
    losses, right = score(jnp.asarray(projections))
    views = projections.reshape(10, 7).astype(np.float64)
    views /= np.linalg.norm(views, axis=1, keepdims=True)
    classes = np.repeat(labels, 2)
    for image in range(5):
        each, hits = [], []
        for place in (2 * image, 2 * image + 1):
            others = [k for k in range(10) if k != place]
            cosines = np.asarray([views[place] @ views[k] for k in others])
            chances = np.exp(cosines / 0.3) / np.exp(cosines / 0.3).sum()
            own = [i for i, k in enumerate(others) if classes[k] == classes[place]]
            each.append(-np.log(chances[own]).mean())
            hits.append(classes[others[cosines.argmax()]] == classes[place])
        np.testing.assert_allclose(losses[image], np.mean(each), rtol=1e-5)
        assert right[image] == np.mean(hits)
    assert 0 < right.mean() < 1, "nothing to tell apart"
    # With nobody else of its class, an image has its other view alone.
    plain, _ = contrast(0.3).score(jnp.asarray(projections), {}, targets)
    np.testing.assert_allclose(losses[jnp.asarray([1, 3])], plain[np.asarray([1, 3])])
    assert np.isfinite(jax.grad(lambda p: score(p)[0].sum())(projections)).all()


def test_a_match_is_cross_entropy_over_programs():
    cosines = jnp.asarray([[0.5, 0.1], [0.2, 0.9]])
    losses, right = match(0.1).score(cosines, {}, jnp.eye(2)[jnp.asarray([0, 0])])
    expected = np.log1p(np.exp([-4.0, 7.0]))
    np.testing.assert_allclose(losses, expected, rtol=1e-5)
    assert right.tolist() == [True, False]
