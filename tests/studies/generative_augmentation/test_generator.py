"""The generator experiment: whole tiny runs, what is drawn, measures, refusals."""

from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import whole_runs

from jaxbias.data import generated
from jaxbias.files import UsageError
from jaxbias.numerics import diversity
from jaxbias.runs import RunDirectory
from jaxbias.studies.generative_augmentation.generator import (
    experiment,
    networks,
    published,
    samples,
)
from jaxbias.studies.generative_augmentation.generator.config import (
    CDCGAN,
    EDM,
    PRESETS,
    STYLEGAN2,
    Config,
    check_values,
)
from jaxbias.terminal import Reporter
from jaxbias.training import steps

TINY = replace(CDCGAN["smoke"], width=4, most_images=100, epochs=1, samples=30)
TINY = replace(TINY, measured=30)
DENOISER = replace(
    EDM["smoke"], width=8, factors=(1,), most_images=100, epochs=1, steps=2, measured=20
)

STYLES = replace(STYLEGAN2["smoke"], most_images=100, batch=20)


@pytest.mark.slow
@pytest.mark.parametrize(
    "config", [TINY, DENOISER, STYLES], ids=["gan", "edm", "styles"]
)
def test_a_run_trains_draws_and_measures(tmp_path, config):
    directory = whole_runs.finished(experiment, config, tmp_path / "run")
    found = generated.read(
        [directory.path / samples.FILE], classes=[str(i) for i in range(10)], size=32
    )
    assert len(found.images) == config.samples and not found.notes
    rows = directory.read_table()
    assert rows["images"].tolist() == ["samples", "training", "noise"] * 2
    assert np.isfinite(rows["kid"]).all() and (rows["vendi"] >= 1).all()
    outcomes = {row["id"]: row["outcome"] for row in directory.read_verdicts()}
    assert outcomes["as-large"] == "not judged" != outcomes["not-noise"]
    for name in ("samples", "training_images", "curves", "nearest"):
        assert (directory.path / "figures" / f"{name}.png").stat().st_size > 8_000


def a_task(config):
    options = {"classes": 10, "size": 32, "epoch_steps": 4}
    make = networks.maker(config)
    return make(networks.recipe_of(config), **options, mean=(0.5,) * 3, sd=(0.5,) * 3)


def test_weights_are_as_many_as_published():
    for by_preset in PRESETS.values():
        config = by_preset["paper"]
        task = a_task(config)
        state = jax.eval_shape(
            lambda task=task: steps.create(task, jax.random.key(0), 32)
        )
        count = sum(leaf.size for leaf in jax.tree.leaves(state.params))
        assert count == published.PARAMETERS[config.kind]


def test_edm_is_trained_on_what_augmentation_does_and_told_of_it(key):
    config = replace(DENOISER, augmented=0.5)
    task = a_task(config)
    assert networks.recipe_of(config).augment == ()
    assert networks.recipe_of(DENOISER).augment == ("flip",)
    # Two tasks of one config share their programs.
    assert task.model == a_task(config).model and hash(task.model)
    state = steps.create(task, jax.random.key(0), 32)
    told = state.params["network"]["augmented"]["kernel"]
    assert told.shape == (9, config.width)
    random = np.random.default_rng(0)
    pixels = jnp.asarray(random.integers(0, 256, (8, 32, 32, 3)), jnp.uint8)
    after, metrics = jax.jit(steps.step, static_argnums=0)(
        task, state, pixels, jnp.arange(8) % 10, key
    )
    assert np.isfinite(float(metrics["loss"])) and int(after.lost) == -1
    assert (after.params["network"]["augmented"]["kernel"] != told).any()


def test_images_follow_from_key_and_class(key):
    task = a_task(TINY)
    state = steps.create(task, jax.random.key(0), 32)
    draw = networks.drawer(TINY, task, state)
    labels = jnp.arange(6) % 10
    first, again, other = (
        np.asarray(draw(jax.random.clone(key), own))
        for own in (labels, labels, labels + 1)
    )
    assert first.shape == (6, 32, 32, 3) and first.dtype == np.uint8
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    # By the batch's own statistics images depend on each other.
    apart = networks.drawer(replace(TINY, one_class=True), task, state)
    assert (np.asarray(apart(key, labels)) != first).any()


def test_styles_are_drawn_by_the_average_of_the_weights(key):
    config = replace(STYLES, average=1_000.0)
    task = a_task(config)
    shapes = jax.eval_shape(lambda: steps.create(task, jax.random.key(0), 32))
    # Drawn by NumPy: compiling what draws all layers would be most of this test.
    random = np.random.default_rng(0)
    state = jax.tree.map(
        lambda leaf: jnp.asarray(random.normal(size=leaf.shape), leaf.dtype), shapes
    )
    average = jax.tree.map(lambda x: x + 0.1, state.params)
    draw = networks.drawer(config, task, replace(state, ema=average))
    labels = jnp.arange(4)
    first, again, trained = (
        np.asarray(draw.func({"params": weights}, jax.random.clone(key), labels))
        for weights in (average, average, state.params)
    )
    assert first.shape == (4, 32, 32, 3) and first.dtype == np.uint8
    np.testing.assert_array_equal(first, draw(jax.random.clone(key), labels))
    np.testing.assert_array_equal(first, again)
    assert (first != trained).any() and first.std() > 1
    assert (first != np.asarray(draw(key, labels + 1))).any()
    assert task.model.change is not None
    assert a_task(replace(config, target=1.0)).model.change is None


def test_as_many_of_each_class_are_drawn():
    config = replace(TINY, samples=25)
    mixed = samples.labels_of(config, 10)
    assert np.bincount(mixed).tolist() == [3] * 5 + [2] * 5
    blocks = samples.labels_of(replace(config, one_class=True), 10)
    assert sorted(np.bincount(blocks).tolist()) == [2] * 5 + [3] * 5
    assert (np.diff(blocks) >= 0).all()


@pytest.mark.parametrize("one_class", [False, True])
def test_pieces_are_alike_and_of_one_class_if_asked_for(
    tmp_path, monkeypatch, one_class
):
    monkeypatch.setattr(samples, "AT_ONCE", 8)
    config = replace(TINY, samples=33, one_class=one_class)
    seen = []

    def draw(key, labels):
        seen.append(np.asarray(labels))
        return (
            np.zeros((len(labels), 32, 32, 3), np.uint8) + seen[-1][:, None, None, None]
        )

    with RunDirectory.open(
        tmp_path / "run", study="x", experiment="x", config={}
    ) as directory:
        found = samples.drawn(draw, config, 3, directory, Reporter(quiet=True))
    assert {len(labels) for labels in seen} == {8}
    assert found["label"].tolist() == samples.labels_of(config, 3).tolist()
    assert (found["image"] == found["label"][:, None, None, None]).all()
    assert all(len(set(labels.tolist())) == 1 for labels in seen) == one_class


def test_verdicts_tell_noise_and_copies():
    random = np.random.default_rng(0)
    ramp = np.linspace(0, 150, 32)[None, None, :, None] + np.zeros((60, 32, 1, 3))
    real = (ramp + 100 * random.random((60, 1, 1, 3))).astype(np.uint8)
    rest = (ramp + 100 * random.random((60, 1, 1, 3))).astype(np.uint8)
    made = (ramp + 100 * random.random((60, 1, 1, 3))).astype(np.uint8)
    noise = random.integers(0, 256, made.shape).astype(np.uint8)
    config = replace(TINY, measured=60)

    def judged(own):
        evidence = published.Evidence(
            *(config, 5, 10),
            samples.quality(own, rest, real, most=60, seed=0),
            samples.nearest(own, rest, real, config),
        )
        return {row["id"]: row["outcome"] for row in published.judge(evidence)}

    assert judged(made)["not-noise"] == judged(made)["not-copied"] == "reproduced"
    assert judged(noise)["not-noise"] == "not reproduced"
    assert judged(real)["not-copied"] == "not reproduced"


def test_distances_are_taken_on_inception_too_if_its_weights_are_given(monkeypatch):
    rng = np.random.default_rng(0)
    made, rest, real = (
        rng.integers(0, 256, (40, 8, 8, 3)).astype(np.uint8) for _ in "abc"
    )
    loaded = []
    monkeypatch.setattr(samples.inception, "load", loaded.append)
    monkeypatch.setattr(
        samples.inception,
        "layers",
        lambda weights, pixels, index: {"features": 10.0 * pixels[:, 0, 0]},
    )
    plain = samples.quality(made, rest, real, most=40, seed=0)
    found = samples.quality(made, rest, real, most=40, seed=0, weights="file.pth")
    assert loaded == [Path("file.pth")]
    assert set(found["feature"]) - set(plain["feature"]) == {"inception"}
    (row,) = np.flatnonzero(
        (found["feature"] == "inception") & (found["images"] == "samples")
    )
    # As they are: no feature is brought to one scale with the others.
    wanted = diversity.frechet_distance(
        *(10.0 * one[:, 0, 0].astype(np.float32) for one in (rest, made))
    )
    np.testing.assert_allclose(found["frechet"][row], wanted, rtol=1e-6)


def test_what_are_not_its_weights_is_refused_in_one_line(tmp_path):
    (tmp_path / "weights.pth").write_bytes(b"not at all")
    with pytest.raises(UsageError, match="--inception: .*weights.pth") as raised:
        experiment.check(replace(Config(), inception=str(tmp_path / "weights.pth")))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": 5}, "--width: even"),
        ({"kind": "edm", "width": 6}, "--width: a multiple of 4"),
        ({"kind": "stylegan2"}, "--factors: four for stylegan2"),
        ({"target": 2.0}, "--target: must be at most 1"),
        ({"span": 0.0}, "--span"),
        ({"factors": ()}, "--factors: one to four"),
        ({"factors": (1, 0)}, "--factors: one to four"),
        ({"measured": 40}, "--measured: 40 of 30"),
        ({"augmented": 1.1}, "--augmented: must be at most 1"),
        ({"dropout": 1.0}, "--dropout: below 1"),
        ({"steps": 1}, "--steps: must be >= 2"),
    ],
)
def test_what_cannot_be_done_is_one_line(changes, message):
    with pytest.raises(UsageError) as error:
        experiment.check(replace(TINY, **changes))
    assert message in str(error.value) and "\n" not in str(error.value)


def test_every_preset_is_in_order():
    assert Config() == CDCGAN["paper"]
    for by_preset in PRESETS.values():
        for config in by_preset.values():
            check_values(config)
