"""Feeds: any device count, any way over the seeds and any cut give the same training."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbias import devices
from jaxbias.data.archives import ImageSet
from jaxbias.models.plain import ImageMLP, SmallCNN
from jaxbias.training import build, optimisers, steps
from jaxbias.training.evaluation import Evaluator, viewed, whole
from jaxbias.training.feeds import (
    IMAGES,
    SEEDS,
    Making,
    Resident,
    Selected,
    Streamed,
    laid,
)
from jaxbias.training.objectives import Objective
from jaxbias.training.recipes import Recipe
from jaxbias.training.sets import Pool

MLP = steps.Task(
    model=ImageMLP(classes=3, width=16, depth=1),
    optimiser=optimisers.sgd(0.1),
    classes=3,
    mean=(0.5, 0.4, 0.3),
    sd=(0.2, 0.2, 0.25),
)
CNN = replace(MLP, model=SmallCNN(classes=3, width=4))


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (50, 8, 8, 3), np.uint8)
    return ImageSet(pixels, rng.integers(0, 3, 50), ("a", "b", "c"))


def fresh(task, seed=0):
    return steps.create(task, jax.random.key(seed), 8)


def key(seed=0):
    return jax.random.key(100 + seed)


def stacked(task, seeds):
    states = [fresh(task, seed) for seed in seeds]
    state = jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)
    return state, jnp.stack([key(seed) for seed in seeds])


def same(first, second, **tolerance):
    for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), **tolerance)


def run(feed, state, first, last):
    found = []
    while first < last:
        count = min(feed.most(first), last - first)
        state, metrics = feed.advance(state, first, count)
        found.append(metrics["loss"])
        first += count
    return state, np.concatenate(found, axis=-1)


@pytest.fixture(scope="module")
def alone(images):
    """Seven steps, over three epochs, on one device."""
    feed = Resident(CNN, images, key(), batch=16, mesh=devices.mesh(1, axis=IMAGES))
    return run(feed, fresh(CNN), 0, 7)


def test_pinned_numbers(alone):
    """Change these where the random numbers, the model or a step are meant to change."""
    expected = [1.1509, 1.305, 1.008, 0.8026, 0.9448, 0.8104, 0.6705]
    np.testing.assert_allclose(alone[1], expected, rtol=2e-3)


@pytest.mark.parametrize(
    ("count", "one_program"),
    [(4, True), (1, False), pytest.param(4, False, marks=pytest.mark.slow)],
)
def test_devices_and_programs_change_rounding_alone(images, alone, count, one_program):
    mesh = devices.mesh(count, axis=IMAGES)
    feed = Resident(CNN, images, key(), batch=16, mesh=mesh, one_program=one_program)
    state, losses = run(feed, fresh(CNN), 0, 7)
    np.testing.assert_allclose(losses, alone[1], rtol=1e-4)
    same(state, alone[0], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("count", [1, pytest.param(4, marks=pytest.mark.slow)])
def test_images_that_are_made_are_those_that_are_kept(images, alone, count):
    data = jnp.asarray(images.images), jnp.asarray(images.labels, jnp.int32)
    given = []

    def draw(data, index):
        given.append(index.shape)
        return data[0][index], data[1][index]

    mesh = devices.mesh(count, axis=IMAGES)
    feed = Making(CNN, draw, data, key(), count=50, batch=16, mesh=mesh)
    state, losses = run(feed, fresh(CNN), 0, 7)
    np.testing.assert_allclose(losses, alone[1], rtol=1e-4)
    same(state, alone[0], rtol=1e-3, atol=1e-4)
    assert set(given) == {(16 // count,)}, "each device makes its own alone"


def test_numbers_of_endless_images_go_on():
    """The loss of a task whose images are their numbers shows which it was given."""

    def draw(data, index):
        pixels = jnp.broadcast_to(index[:, None, None, None], (len(index), 8, 8, 3))
        return pixels.astype(jnp.uint8), jnp.zeros_like(index)

    def score(logits, found, targets):
        return targets[:, 0] * 0 + found["first"], jnp.zeros(len(targets))

    class Model(ImageMLP):
        def __call__(self, images, train=False):
            logits, _ = super().__call__(images, train)
            return logits, {"first": images[:, 0, 0, 0]}

    task = replace(MLP, model=Model(classes=3, width=4, depth=1), mean=(0.0,) * 3)
    task = replace(task, sd=(1.0,) * 3, objective=Objective(score=score))
    found = {}
    for endless in (False, True):
        mesh = devices.mesh(1, axis=IMAGES)
        options = {"count": 10, "endless": endless, "batch": 5, "mesh": mesh}
        _, losses = run(Making(task, draw, (), key(), **options), fresh(task), 0, 6)
        found[endless] = losses.reshape(3, 2).sum(1) * 5 * 255
    np.testing.assert_allclose(found[False], [45] * 3, rtol=1e-5)
    np.testing.assert_allclose(found[True], [45, 145, 245], rtol=1e-5)


def test_parameters_cut_over_the_devices(images, alone):
    mesh = devices.mesh(4, axis=IMAGES)
    layout = laid(fresh(CNN), mesh, seeds="none", sharded=True)
    feed = Resident(CNN, images, key(), batch=16, mesh=mesh, layout=layout)
    state, losses = run(feed, jax.device_put(fresh(CNN), layout), 0, 7)
    np.testing.assert_allclose(losses, alone[1], rtol=1e-4)
    same(state, alone[0], rtol=1e-3, atol=1e-4)
    kernels = [x for x in jax.tree.leaves(state.params) if x.ndim == 4]
    assert all(x.addressable_shards[0].data.size * 4 == x.size for x in kernels)


def test_a_training_can_be_cut_anywhere_to_the_bit(images, alone):
    mesh = devices.mesh(1, axis=IMAGES)
    for cut in (1, 3, 4):
        state, first = run(
            Resident(CNN, images, key(), batch=16, mesh=mesh), fresh(CNN), 0, cut
        )
        state, second = run(
            Resident(CNN, images, key(), batch=16, mesh=mesh), state, cut, 7
        )
        assert np.array_equal(np.append(first, second), alone[1])
        same(state, alone[0], rtol=0, atol=0)


@pytest.mark.parametrize(
    ("task", "axis"),
    [
        (MLP, "vmap"),
        pytest.param(CNN, "vmap", marks=pytest.mark.slow),
        (CNN, "devices"),
    ],
)
def test_seeds_together_are_those_seeds_alone(images, task, axis):
    single = [
        run(
            Resident(task, images, key(s), batch=16, mesh=devices.mesh(1, axis=IMAGES)),
            fresh(task, s),
            *(0, 4),
        )
        for s in range(2)
    ]
    mesh = devices.mesh(2, axis=SEEDS if axis == "devices" else IMAGES)
    state, keys = stacked(task, range(2))
    feed = Resident(task, images, keys, batch=16, mesh=mesh, seeds=axis)
    state, losses = run(feed, state, 0, 4)
    assert losses.shape == (2, 4)
    np.testing.assert_allclose(losses, [one[1] for one in single], rtol=1e-4)
    for seed, (one, _) in enumerate(single):
        own = jax.tree.map(lambda leaf, seed=seed: leaf[seed], state)
        same(own, one, rtol=1e-3, atol=1e-4)


def test_a_lost_seed_leaves_the_others_alone(images):
    """To the bit: what another seed does is not seen."""
    mesh = devices.mesh(1, axis=IMAGES)

    def losses(poison):
        state, keys = stacked(MLP, range(3))
        kernel = state.params["dense1"]["kernel"]
        if poison:
            kernel = kernel.at[1].set(jnp.nan)
        params = state.params | {"dense1": state.params["dense1"] | {"kernel": kernel}}
        feed = Resident(MLP, images, keys, batch=16, mesh=mesh, seeds="vmap")
        return run(feed, replace(state, params=params), 0, 5)

    (good, right), (bad, wrong) = losses(False), losses(True)
    assert np.array_equal(right[[0, 2]], wrong[[0, 2]]) and np.isnan(wrong[1]).all()
    assert bad.lost.tolist() == [-1, 0, -1] and good.lost.tolist() == [-1, -1, -1]
    others = [jax.tree.map(lambda x: x[jnp.array([0, 2])], s) for s in (good, bad)]
    same(*others, rtol=0, atol=0)


@pytest.mark.parametrize("count", [1, 4])
def test_a_stream_of_the_same_batches_gives_the_same_steps(images, alone, count):
    opened = []

    def open_at(first):
        opened.append(first)
        for step in range(first, 99):
            epoch, number = divmod(step, 3)
            chosen = np.asarray(steps.placed(key(), epoch, count=50, batch=16))[number]
            yield images.images[chosen], images.labels[chosen], chosen

    mesh = devices.mesh(count, axis=IMAGES)
    feed = Streamed(CNN, open_at, key(), epoch_steps=3, mesh=mesh)
    state, first = run(feed, fresh(CNN), 0, 4)
    feed.close()
    state, second = run(feed, state, 4, 7)
    assert opened == [0, 4]
    np.testing.assert_allclose(np.append(first, second), alone[1], rtol=1e-4)
    same(state, alone[0], rtol=1e-3, atol=1e-4)
    feed.close()


def test_one_program_serves_every_step(images):
    mesh = devices.mesh(1, axis=IMAGES)
    layout = laid(fresh(CNN), mesh, seeds="none", sharded=False)
    feed = Resident(CNN, images, key(), batch=16, mesh=mesh, layout=layout)
    run(feed, jax.device_put(fresh(CNN), layout), 0, 7)
    assert feed._run._cache_size() == 1 and feed._place._cache_size() == 1
    with pytest.raises(ValueError, match="50 images do not fill a batch of 51"):
        Resident(CNN, images, key(), batch=51, mesh=devices.mesh(1, axis=IMAGES))


@pytest.mark.parametrize("batch", [8, 50, 64])
def test_evaluation_counts_every_image_once(images, batch):
    state = fresh(CNN)
    logits = np.asarray(steps.logits(CNN, state, jnp.asarray(images.images)))
    losses = -np.asarray(jax.nn.log_softmax(logits))[np.arange(50), images.labels]
    mesh = devices.mesh(2, axis=IMAGES)
    judge = Evaluator(CNN, lambda: whole(images, batch), batch=batch, mesh=mesh)
    scores = judge(state)
    np.testing.assert_allclose(scores.losses, losses, rtol=1e-4, atol=1e-5)
    assert np.array_equal(scores.predicted, logits.argmax(-1))
    assert scores.accuracy == (logits.argmax(-1) == images.labels).mean()
    counts = scores.confusion(3)
    assert counts.sum() == 50 and np.trace(counts) == round(scores.accuracy * 50)


def test_views_are_means_over_moved_and_mirrored_images(images):
    state, pixels = fresh(CNN), images.images[:5]

    def logits(x):
        return np.asarray(steps.logits(CNN, state, jnp.asarray(x)))

    mirrored = pixels[:, :, ::-1]
    both = (logits(pixels) + logits(mirrored)) / 2
    given = CNN, state, jnp.asarray(pixels), jnp.arange(5)
    found = viewed(*given, "flip")
    np.testing.assert_allclose(found, both, rtol=1e-4, atol=1e-5)
    wide = np.pad(pixels, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
    expected = both / 2
    for moved in (wide[:, :-2, :-2], wide[:, 2:, 2:]):
        expected += (logits(moved) + logits(moved[:, :, ::-1])) / 8
    found = viewed(*given, "flip-and-shift")
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    found = viewed(*given, "none")
    np.testing.assert_allclose(found, logits(pixels), rtol=1e-4, atol=1e-5)


def test_parts_of_any_size_share_one_program(images, alone):
    """The whole as a part gives the same training, and a smaller one compiles nothing."""
    mesh = devices.mesh(1, axis=IMAGES)
    pool = Pool(images, most=60)
    laid_pool = pool.laid(jax.NamedSharding(mesh, jax.P()))
    assert pool.laid(jax.NamedSharding(mesh, jax.P()))[0] is laid_pool[0]
    options = {"most": pool.most, "batch": 16, "mesh": mesh}
    feed = Selected(CNN, laid_pool, np.arange(50), key(), **options)
    state, losses = run(feed, fresh(CNN), 0, 7)
    np.testing.assert_allclose(losses, alone[1], rtol=1e-4)
    same(state, alone[0], rtol=1e-3, atol=1e-4)
    step = feed._run._cache_size()
    few = Selected(CNN, laid_pool, np.array([3, 4] * 20), key(), **options)
    _, losses = run(few, fresh(CNN), 0, 4)
    assert losses.shape == (4,) and np.isfinite(losses).all()
    assert few._run is feed._run and feed._run._cache_size() == step
    with pytest.raises(ValueError, match="61 numbers, but at most 60"):
        Selected(CNN, laid_pool, np.zeros(61, int), key(), **options)


def test_trainings_of_any_length_are_equal_tasks():
    """A schedule follows the pace that its state has, not one that is compiled in."""
    recipe = Recipe(schedule="one-cycle-epochs", epochs=4, cycle_momentum=True)
    options = {"classes": 3, "size": 8, "mean": (0.5,) * 3, "sd": (0.5,) * 3}
    made = [build.task(recipe, epoch_steps=steps, **options) for steps in (2, 5)]
    assert made[0] == made[1] and made[0].pace != made[1].pace
    rng = np.random.default_rng(0)
    params = {"w": jnp.asarray(rng.normal(size=3), jnp.float32)}
    update = jax.jit(made[0].optimiser.update)
    for pace in (build.pace_of(recipe, 2), build.pace_of(recipe, 5)):
        by_hand = optimisers.sgd(
            build.rate(recipe, pace),
            momentum_decay=build._momentum(recipe, pace),
            nesterov=True,
            weight_decay=5e-4,
        )
        ours, theirs = made[0].optimiser.init(params), by_hand.init(params)
        for _ in range(8):
            gradient = {"w": jnp.asarray(rng.normal(size=3), jnp.float32)}
            found, ours = update(gradient, ours, params, pace=pace)
            expected, theirs = by_hand.update(gradient, theirs, params)
            np.testing.assert_allclose(found["w"], expected["w"], rtol=1e-5)
    assert update._cache_size() == 1
