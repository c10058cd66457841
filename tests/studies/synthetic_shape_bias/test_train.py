"""Train: every supervision learns, looks are read and resumed, refusals."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import whole_runs
from PIL import Image

from jaxbias.data.sixteen_categories import CATEGORIES
from jaxbias.files import UsageError
from jaxbias.models import catalogue
from jaxbias.studies.synthetic_shape_bias.train import (
    experiment,
    images,
    published,
    readouts,
    tasks,
)
from jaxbias.studies.synthetic_shape_bias.train.config import (
    PRESETS,
    Config,
    check_values,
)
from jaxbias.training import steps
from jaxbias.training.sets import Drawn

pytestmark = pytest.mark.usefixtures("cnn_tiny")

TINY = Config(
    data="coloured-noise",
    programs=4,
    images=64,
    size=16,
    model="cnn_tiny",
    epochs=2,
    batch=16,
    looks=2,
    transfer_images=100,
    resamples=100,
)


@pytest.mark.parametrize(
    ("total", "count", "expected"),
    [(100, 2, (0, 100)), (100, 4, (0, 1, 10, 100)), (3, 8, (0, 1, 2, 3))],
)
def test_looks_are_evenly_apart_in_their_logarithm(total, count, expected):
    assert readouts.steps_of(total, count) == expected


def test_images_are_kept_or_made_and_others_are_scored():
    found = images.opened(TINY)
    endless = images.opened(replace(TINY, endless=True))
    assert isinstance(endless.training, Drawn) and found.table is not None
    assert found.training.classes == ("0", "1", "2", "3")
    kept = found.training.sample(64)
    np.testing.assert_array_equal(endless.training.sample(64), kept)
    scored = found.scored.sample(64)
    assert not {one.tobytes() for one in kept} & {one.tobytes() for one in scored}
    table = np.asarray(found.table)
    np.testing.assert_allclose(table.mean(0), 0, atol=1e-5)
    assert np.all(np.isclose(table.std(0), 1, atol=1e-4) | (table.std(0) == 0))
    assert images.opened(replace(TINY, programs=None)).table is None


@pytest.mark.parametrize(
    "supervision",
    ["simclr", pytest.param("supcon", marks=pytest.mark.slow), "parameters"],
)
def test_features_are_those_of_the_network_alone(supervision):
    config = replace(TINY, supervision=supervision)
    found = images.opened(config)
    recipe = tasks.recipe_of(config)
    options = {"classes": 4, "size": 16, "epoch_steps": 4}
    task = tasks.maker(config, found)(
        recipe, **options, mean=(0.4, 0.5, 0.6), sd=(0.2, 0.3, 0.2)
    )
    state = steps.create(task, jax.random.key(0), 16)
    pixels = jnp.asarray(found.training.sample(16))
    labels = jnp.arange(16, dtype=jnp.int32) % 4
    run = jax.jit(lambda state: steps.step(task, state, pixels, labels, key(), seen()))
    key = lambda: jax.random.key(1)  # noqa: E731
    seen = lambda: steps.Seen(  # noqa: E731
        jax.random.key(2), jnp.arange(16), jnp.int32(0)
    )
    after, metrics = run(state)
    assert np.isfinite(metrics["loss"]) and 0 <= metrics["accuracy"] <= 1
    features = tasks.Features.of(task, config)
    index = jnp.arange(16)
    before, later = (
        np.asarray(features(features.weights(one), pixels, index)["features"])
        for one in (state, after)
    )
    network = catalogue.build("cnn_tiny", 4)
    mean, sd = np.asarray([0.4, 0.5, 0.6]), np.asarray([0.2, 0.3, 0.2])
    normal = ((np.asarray(pixels) / 255 - mean) / sd).astype(np.float32)
    own = {"params": state.params["network"]}
    own |= {k: v["network"] for k, v in {"batch_stats": state.batch_stats}.items() if v}
    expected = network.apply(own, jnp.asarray(normal))[1]["features"]
    np.testing.assert_allclose(before, expected, atol=1e-4)
    assert np.abs(later - before).max() > 1e-4


@pytest.fixture(scope="module")
def edges(tmp_path_factory):
    """Images of a shape alone: a line, at a height of its category."""
    root = tmp_path_factory.mktemp("edges")
    for number, name in enumerate(CATEGORIES):
        (root / name).mkdir()
        for copy in (1, 2):
            image = np.full((32, 32, 3), 255, np.uint8)
            image[2 * number : 2 * number + 2, copy:] = 0
            Image.fromarray(image).resize((224, 224)).save(
                root / name / f"{name}{copy}.png"
            )
    return root


def test_images_of_one_cue_come_at_the_size_of_the_stimuli(edges):
    (found,) = readouts.of_one_cue(replace(TINY, edges=str(edges)))
    assert (found.name, found.images.shape) == ("edges", (32, 16, 16, 3))
    assert np.bincount(found.labels).tolist() == [2] * 16
    assert not readouts.of_one_cue(TINY)


def test_patches_are_shuffled_in_each_image():
    found = images.transfer(TINY)
    whole = found.images[found.fitted :]
    assert set(found.shuffled) == {"jigsaw_quarter", "jigsaw_eighth"}
    for name, side in (("jigsaw_quarter", 4), ("jigsaw_eighth", 2)):
        own = found.shuffled[name]
        assert own.shape == whole.shape and (own != whole).any(axis=(1, 2, 3)).all()

        def patches(image, side=side):
            parts = image.reshape(16 // side, side, 16 // side, side, 3)
            return sorted(
                part.tobytes() for row in parts.swapaxes(1, 2) for part in row
            )

        assert patches(own[0]) == patches(whole[0])


@pytest.fixture(scope="module")
def directory(tmp_path_factory, edges):
    config = replace(TINY, supervision="cross-entropy", edges=str(edges))
    patch = pytest.MonkeyPatch()
    patch.setattr(readouts, "INSTANCES", 1)
    yield whole_runs.finished(experiment, config, tmp_path_factory.mktemp("r") / "run")
    patch.undo()


def test_a_run_has_a_row_for_each_look(directory):
    rows = directory.read_table()
    assert rows["step"].tolist() == [0, 8] and set(rows["seed"].tolist()) == {0}
    for name in ("solid", "textured"):
        assert (rows[f"{name}_low"] <= rows[f"{name}_bias"] + 1e-6).all()
        assert (rows[f"{name}_shape_decoded"] > 0.03).all()
    for name in ("transfer", "jigsaw_quarter", "jigsaw_eighth", "edges"):
        assert ((rows[name] > 0.03) & (rows[name] <= 1)).all()
    assert rows["spread"][0] != rows["spread"][-1]
    assert {row["id"] for row in directory.read_verdicts()} == {
        *("transfers", "training-moves-it", "decodable")
    }
    for name in ("curves", "images"):
        assert (directory.path / "figures" / f"{name}.png").stat().st_size > 8_000


def test_verdicts_follow_the_numbers():
    def outcome(**ends):
        rows = {"step": np.asarray([0, 10])} | {
            name: np.asarray(values) for name, values in (BASE | ends).items()
        }
        return [row["outcome"] for row in published.judge(TINY, rows)]

    BASE = {
        "transfer": [0.2, 0.5],
        "solid_bias": [0.5, 0.6],
        "textured_bias": [0.4, 0.4],
        "textured_shape_decoded": [0.2, 0.3],
    }
    assert outcome() == ["reproduced"] * 3
    assert outcome(transfer=[0.3, 0.35])[0] == "not reproduced"
    assert outcome(solid_bias=[0.5, 0.53])[1] == "not reproduced"
    assert outcome(textured_bias=[0.4, 0.7])[2] == "not judged"
    assert outcome(textured_shape_decoded=[0.2, 0.1])[2] == "not reproduced"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"programs": None, "supervision": "supcon"}, "supcon: needs --programs"),
        ({"programs": 1, "supervision": "parameters"}, "needs two --programs"),
        ({"supervision": "mae"}, "--model cnn_tiny: mae_32"),
        ({"model": "mae_32"}, "--model mae_32: mae_32"),
        ({"model": "x"}, "--model: no model 'x'"),
        ({"data": "x"}, "--data: no generator 'x'"),
        ({"data": "folder:x", "supervision": "parameters"}, "needs images that are"),
        ({"batch": 128}, "--batch: 128 for 64 images"),
        ({"looks": 1}, "--looks: must be >= 2"),
        ({"crop_area": (0.5, 0.1)}, "--crop-area"),
        ({"silhouettes": "/nowhere"}, "/nowhere"),
        ({"stimuli_size": 8}, "--stimuli-size: must be >= 16"),
        ({"transfer": "folder:nowhere"}, "--transfer: nowhere"),
    ],
)
def test_what_cannot_be_done_is_one_line(changes, message):
    with pytest.raises(UsageError) as error:
        experiment.check(replace(TINY, **changes))
    assert message in str(error.value) and "\n" not in str(error.value)


def test_every_preset_is_in_order():
    for by_name in PRESETS.values():
        for config in by_name.values():
            check_values(config)


def test_the_released_mode_is_that_of_the_authors_code():
    config = PRESETS["released"]["paper"]
    recipe = tasks.recipe_of(config)
    assert (recipe.schedule, recipe.forget, recipe.weight_decay) == (
        "constant",
        True,
        0,
    )
    assert (recipe.rate, recipe.batch, config.head) == (1e-3, 64, False)
    assert (config.size, config.stimuli_size, config.temperature) == (64, 32, 0.5)
    shown = readouts.shown(replace(TINY, size=32, stimuli_size=16))
    assert {one.images.shape[1] for one in shown} == {16}
