"""Masked autoencoders against NumPy, the published size, and a network without masks."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbias.models import mae
from jaxbias.models.layers import layer_norm
from jaxbias.models.vit import Block

TINY = mae.MaskedAutoencoder(
    *(16, 2, 2),  # The encoder.
    *(8, 1, 2),  # The decoder.
    patch=4,
)
PATCHES = 6 * 4


@pytest.fixture(scope="module")
def images():
    return jax.random.normal(jax.random.key(5), (3, 24, 16, 3))


@pytest.fixture(scope="module")
def variables(images):
    """No bias is 0, no scale is 1, and blocks do more than at the start."""
    fresh = jax.jit(TINY.init)(jax.random.key(0), images)
    rng = np.random.default_rng(0)
    draw = lambda x: x + 0.2 * rng.normal(size=x.shape).astype(np.float32)  # noqa: E731
    return jax.tree.map(draw, fresh)


@jax.jit
def masked(variables, images, keys):
    return TINY.apply(variables, images, keys=keys)


@jax.jit
def whole(variables, images):
    return TINY.apply(variables, images)


def keys(seed=1, count=3):
    return jax.random.split(jax.random.key(seed), count)


def count(params):
    return sum(leaf.size for leaf in jax.tree.leaves(params))


def cut(images, size):
    """Patches by two loops."""
    _, height, width, _ = images.shape
    return np.stack(
        [
            images[:, top : top + size, left : left + size].reshape(len(images), -1)
            for top in range(0, height, size)
            for left in range(0, width, size)
        ],
        axis=1,
    )


@pytest.mark.parametrize("name", mae.MODELS)
def test_parameters(name):
    entry = mae.MODELS[name]
    model = entry.make(1000, jnp.float32)
    x = jnp.zeros((1, entry.size, entry.size, 3))
    params = jax.eval_shape(model.init, jax.random.key(0), x)["params"]
    decoder = {k: v for k, v in params.items() if k.startswith("decoder_")}
    places = (entry.size // model.patch) ** 2 + 1
    positions = places * (model.width + model.decoder_width)
    if name == "mae_base":
        # The published count has the fixed positions, of the class token too.
        assert count(params) + positions == 111_907_840
        assert len([k for k in params if k.startswith("block")]) == 12
        assert len([k for k in decoder if "block" in k]) == 8
    else:
        assert 3e5 < count(params) < 2e6


def test_positions():
    found = mae.sine_positions(3, 5, 16)
    assert found.shape == (15, 16) and found.dtype == np.float32
    for row in range(3):
        for column in range(5):
            for i in range(4):
                for half, place in ((0, column), (8, row)):
                    angle = place / 10_000 ** (i / 4)
                    here = found[row * 5 + column]
                    assert here[half + i] == pytest.approx(np.sin(angle), abs=1e-6)
                    assert here[half + 4 + i] == pytest.approx(np.cos(angle), abs=1e-6)
    with pytest.raises(ValueError, match="multiple of 4"):
        mae.sine_positions(3, 5, 10)


def test_patches_and_back(images):
    found = mae.patches(images, 4)
    np.testing.assert_array_equal(found, cut(np.asarray(images), 4))
    np.testing.assert_array_equal(mae.images_of(found, 4, 24, 16), images)
    with pytest.raises(ValueError, match="5 do not fill 24 by 16"):
        mae.patches(images, 5)


@pytest.mark.parametrize("share", [0.75, 0.5])
def test_the_share_that_is_masked_and_no_patch_above_others(share):
    """Each image draws its own, and each patch is masked as often."""
    model = TINY.clone(masked=share, decoder_depth=0, depth=0)
    many = jnp.zeros((800, 24, 16, 3))
    variables = jax.jit(model.init)(jax.random.key(0), many[:1])
    run = jax.jit(lambda keys: model.apply(variables, many, keys=keys)[1]["mask"])
    mask = np.asarray(run(keys(count=800)))
    assert set(np.unique(mask)) == {0.0, 1.0}
    np.testing.assert_array_equal(mask.sum(1), PATCHES * share)
    # Four standard errors, of 24 patches.
    assert np.abs(mask.mean(0) - share).max() < 4 * (share * (1 - share) / 800) ** 0.5
    assert (mask[0] != mask[1]).any()


def test_masks_follow_from_keys_alone(images, variables):
    prediction, found = masked(variables, images, keys())
    other = jnp.roll(images, 1, axis=0).at[2].set(0)
    moved, place = masked(variables, other, jnp.roll(keys(), 1))
    np.testing.assert_array_equal(found["mask"][:1], place["mask"][1:2])
    np.testing.assert_allclose(prediction[:1], moved[1:2], rtol=1e-4, atol=1e-5)

    @jax.jit
    def drawn(key):
        return TINY.apply(variables, images, True, rngs={"dropout": key})[1]["mask"]

    one, two, again = (drawn(jax.random.key(seed)) for seed in (1, 2, 1))
    assert (one != two).any() and (one == again).all()


def test_the_encoder_sees_only_what_is_kept(images, variables):
    """Other pixels under the mask change the targets, and nothing that is predicted."""
    prediction, found = masked(variables, images, keys())
    hidden = jnp.broadcast_to(found["mask"][:, :, None], (3, PATCHES, 48))
    noise = 9 * jax.random.normal(jax.random.key(8), (3, 24, 16, 3))
    other = jnp.where(mae.images_of(hidden, 4, 24, 16) > 0, noise, images)
    again, changed = masked(variables, other, keys())
    np.testing.assert_array_equal(prediction, again)
    assert (changed["targets"] != found["targets"]).any()
    assert found["block2"].shape == (3, 1 + PATCHES // 4, 16)
    seen = jnp.where(mae.images_of(hidden, 4, 24, 16) > 0, images, noise)
    far = np.abs(masked(variables, seen, keys())[0] - prediction)
    assert far.max(axis=2).min() > 1e-3


def test_unmasked_is_a_vision_transformer(images, variables):
    params = variables["params"]
    x: Any = cut(np.asarray(images), 4) @ params["patches"]["kernel"]
    x = x + params["patches"]["bias"][None, None] + mae.sine_positions(6, 4, 16)[None]
    token = jnp.broadcast_to(params["token"], (3, 1, 16))
    x = jnp.concatenate([token, x], axis=1)
    prediction, found = whole(variables, images)
    for name in ("block1", "block2"):
        x = Block(2, 64).apply({"params": params[name]}, x, False)
        np.testing.assert_allclose(found[name], x, rtol=1e-4, atol=1e-5)
    x = layer_norm().apply({"params": params["norm"]}, x)
    np.testing.assert_allclose(found["features"], x[:, 0], rtol=1e-4, atol=1e-5)
    mean = x[:, 1:].mean(axis=1)
    np.testing.assert_allclose(found["mean_features"], mean, rtol=1e-4, atol=1e-5)
    assert prediction.shape == (3, PATCHES, 48) and not found["mask"].any()


def test_a_mask_of_nothing_only_changes_the_order(images, variables):
    nothing = TINY.clone(masked=0.0)
    run = jax.jit(lambda keys: nothing.apply(variables, images, keys=keys))
    shuffled, found = run(keys())
    prediction, expected = whole(variables, images)
    np.testing.assert_allclose(shuffled, prediction, rtol=1e-3, atol=1e-5)
    assert np.abs(found["block1"] - expected["block1"]).max() > 1e-3
    np.testing.assert_allclose(found["features"], expected["features"], atol=1e-4)


def test_the_decoder_by_hand(images, variables):
    """Kept tokens at their own places, mask tokens at all others."""
    params = variables["params"]
    prediction, found = masked(variables, images, keys())
    x: Any = layer_norm().apply({"params": params["norm"]}, found["block2"])
    into = params["decoder_patches"]
    x = np.asarray(x @ into["kernel"] + into["bias"][None, None])
    # The order of the kept is that of the noise.
    noise = [np.asarray(jax.random.uniform(k, (PATCHES,))) for k in keys()]
    placed = np.tile(np.asarray(params["mask_token"]), (3, PATCHES, 1))
    for image, draw in enumerate(noise):
        kept = np.argsort(draw)[: PATCHES // 4]
        assert (np.asarray(found["mask"])[image, kept] == 0).all()
        placed[image, kept] = x[image, 1:]
    placed = placed + mae.sine_positions(6, 4, 8)[None]
    x = jnp.concatenate([x[:, :1], placed], axis=1)
    x = Block(2, 32).apply({"params": params["decoder_block1"]}, x, False)
    x = np.asarray(layer_norm().apply({"params": params["decoder_norm"]}, x))[:, 1:]
    last = params["pixels"]
    expected = x @ last["kernel"] + last["bias"][None, None]
    np.testing.assert_allclose(prediction, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("normalise", [True, False])
def test_the_whole_loss_in_numpy(images, variables, normalise):
    model = TINY.clone(normalise_patches=normalise)
    run = jax.jit(lambda keys: model.apply(variables, images, keys=keys))
    prediction, found = run(keys())
    values = cut(np.asarray(images, np.float64), 4)
    if normalise:
        mean = values.mean(axis=-1, keepdims=True)
        variance = values.var(axis=-1, keepdims=True) * 48 / 47
        values = (values - mean) / np.sqrt(variance + 1e-6)
    error = (np.asarray(prediction, np.float64) - values) ** 2
    masked = np.asarray(found["mask"]) == 1
    each = mae.losses(prediction, found["targets"], found["mask"])
    expected = [e[m].mean() for e, m in zip(error, masked, strict=True)]
    np.testing.assert_allclose(each, expected, rtol=1e-5)
    assert float(each.mean()) == pytest.approx(error[masked].mean(), rel=1e-5)


def test_the_loss_ignores_patches_that_were_seen(images, variables):
    prediction, found = masked(variables, images, keys())

    def loss(prediction):
        return mae.losses(prediction, found["targets"], found["mask"]).mean()

    gradient = np.asarray(jax.grad(loss)(prediction))
    seen = np.asarray(found["mask"]) == 0
    assert (gradient[seen] == 0).all() and (gradient[~seen] != 0).all()


def test_half_precision_is_near(images, variables):
    prediction, found = masked(variables, images, keys())
    half = TINY.clone(dtype=jnp.bfloat16)
    run = jax.jit(lambda keys: half.apply(variables, images, keys=keys))
    rough, other = run(keys())
    assert rough.dtype == other["features"].dtype == jnp.float32
    np.testing.assert_allclose(found["targets"], other["targets"], atol=1e-5)
    assert 0 < np.abs(rough - prediction).max() < 0.1 * np.abs(prediction).max()
