"""Augmentation: every operation against its definition."""

import colorsys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from scipy import stats

from jaxbias.data import augmentation as augment


def keys(count):
    return [jax.random.key(i) for i in range(count)]


@pytest.fixture(scope="module")
def images():
    return jax.random.uniform(jax.random.key(9), (6, 8, 10, 3))


def test_smoothed_targets():
    found = augment.smoothed(jnp.asarray([2, 0]), 4, 0.1)
    np.testing.assert_allclose(found[0], [0.025, 0.025, 0.925, 0.025], rtol=1e-6)
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-6)


def test_flips(images):
    which = jnp.asarray([True, False, True, False, False, True])
    found = np.asarray(augment.flip(images, which))
    for image, original, flipped in zip(found, images, which, strict=True):
        expected = original[:, ::-1] if flipped else original
        np.testing.assert_array_equal(image, expected)
    many = jnp.arange(2.0)[None, None, :, None] * jnp.ones((4000, 1, 1, 1))
    flipped = np.asarray(augment.random_flip(jax.random.key(0), many))[:, 0, 0, 0]
    assert flipped.mean() == pytest.approx(0.5, abs=0.04)


def test_alternating_flips_show_both_sides_in_two_epochs(images):
    index = jnp.asarray([5, 900, 3, 17, 2, 11])
    first, second, third = (
        np.asarray(
            augment.alternating_flip(jax.random.key(0), images, index, jnp.int32(epoch))
        )
        for epoch in range(3)
    )
    np.testing.assert_array_equal(first, second[:, :, ::-1])
    np.testing.assert_array_equal(first, third)
    # An image's side goes with its number, not with its place in the batch.
    back = augment.alternating_flip(
        jax.random.key(0), images[::-1], index[::-1], jnp.int32(0)
    )
    np.testing.assert_array_equal(back[::-1], first)
    same = [(a == b).all() for a, b in zip(first, np.asarray(images), strict=True)]
    assert 0 < sum(same) < 6


@pytest.mark.parametrize("reflect", [False, True])
def test_pad_and_crop_takes_every_place_alike(reflect):
    image = np.arange(1.0, 17).reshape(1, 4, 4, 1).astype(np.float32)
    many = jnp.asarray(np.repeat(image, 5000, axis=0))
    found = np.asarray(
        augment.pad_and_crop(jax.random.key(0), many, 1, reflect=reflect)
    )
    mode = "reflect" if reflect else "constant"
    wide = np.pad(image[0, ..., 0], 1, mode=mode)
    places = {
        wide[i : i + 4, j : j + 4].tobytes(): 0 for i in range(3) for j in range(3)
    }
    for crop in found[..., 0]:
        places[np.ascontiguousarray(crop).tobytes()] += 1
    assert len(places) == 9 and stats.chisquare(list(places.values())).pvalue > 1e-3


def test_boxes_are_torchvision_s():
    boxes = augment.random_boxes(jax.random.key(0), 20_000, 600, 800)
    top, left, h, w = (np.asarray(side) for side in boxes)
    assert (top >= 0).all() and (top + h <= 600).all()
    assert (left >= 0).all() and (left + w <= 800).all()
    assert all((side == np.round(side)).all() for side in (top, left, h, w))
    share = h * w / 480_000
    assert 0.07 < share.min() < 0.09 and share.max() > 0.95
    assert (w / h).min() > 0.7 and (w / h).max() < 1.4
    # Small boxes always fit: their logarithm of the ratio is uniform.
    small = share < 0.3
    ratio = (np.log(w / h)[small] + np.log(4 / 3)) / (2 * np.log(4 / 3))
    assert stats.kstest(ratio, "uniform").statistic < 0.03
    assert stats.kstest((left / (800 - w))[small], "uniform").statistic < 0.03


def test_a_box_that_never_fits_is_the_central_one():
    boxes = augment.random_boxes(
        jax.random.key(0), 3, 20, 100, area=(0.9, 1.0), ratio=(0.9, 1.1)
    )
    np.testing.assert_array_equal(boxes.height, 20)
    np.testing.assert_array_equal(boxes.width, 22)
    np.testing.assert_array_equal(boxes.left, 39)
    np.testing.assert_array_equal(boxes.top, 0)


def test_resized_crops():
    ramp = np.linspace(0, 1, 16, dtype=np.float32)
    image = np.stack(np.broadcast_arrays(ramp[:, None], ramp), -1)[None]
    crop = jax.jit(augment.resized_crop, static_argnums=2)
    whole = augment.Boxes(*(jnp.asarray([v]) for v in (0.0, 0.0, 16.0, 16.0)))
    same = crop(jnp.asarray(image), whole, 16)
    np.testing.assert_allclose(same, image, atol=1e-6)
    box = augment.Boxes(*(jnp.asarray([v]) for v in (4.0, 2.0, 8.0, 8.0)))
    exact = crop(jnp.asarray(image), box, 8)
    np.testing.assert_allclose(exact, image[:, 4:12, 2:10], atol=1e-6)
    # A quarter of the size: averages over four by four pixels and a little around.
    small = np.asarray(crop(jnp.asarray(image), whole, 4))
    means = image.reshape(1, 4, 4, 4, 4, 2).mean((2, 4))
    np.testing.assert_allclose(small[:, 1:3, 1:3], means[:, 1:3, 1:3], atol=1e-5)
    found = augment.random_resized_crop(jax.random.key(0), jnp.asarray(image), 5)
    assert found.shape == (1, 5, 5, 2)


def test_erasing_fills_boxes_of_the_right_share(images):
    many = jnp.tile(images[:1], (4000, 1, 1, 1))
    found = np.asarray(augment.random_erasing(jax.random.key(0), many, probability=0.4))
    changed = (found != np.asarray(many)).any(-1)
    share = changed.mean((1, 2))
    assert (share > 0).mean() == pytest.approx(0.4, abs=0.03)
    assert share.max() < 0.45
    # A rectangle: rows times columns.
    for mask in changed[share > 0][:50]:
        assert mask.sum() == mask.any(0).sum() * mask.any(1).sum()
    fill = found[changed]
    assert fill.mean() == pytest.approx(float(images[0].mean()), abs=0.03)


# Colours


def test_brightness_and_its_limits(images):
    found = augment.brightness(images, jnp.full(6, 1.5))
    np.testing.assert_allclose(
        found, np.clip(1.5 * np.asarray(images), 0, 1), rtol=1e-6
    )
    np.testing.assert_array_equal(augment.brightness(images, jnp.zeros(6)), 0)


def test_contrast_and_saturation_by_hand(images):
    weights = np.asarray(augment.LUMINANCE)
    grey = (np.asarray(images) * weights).sum(-1, keepdims=True)
    mean = grey.mean((1, 2), keepdims=True)
    for change, other in ((augment.contrast, mean), (augment.saturation, grey)):
        np.testing.assert_allclose(change(images, jnp.ones(6)), images, atol=1e-6)
        half = 0.5 * np.asarray(images) + 0.5 * other
        np.testing.assert_allclose(change(images, jnp.full(6, 0.5)), half, atol=1e-6)


@pytest.mark.parametrize("turn", [-0.5, -0.2, 0.0, 0.13, 1 / 3])
def test_hue_is_that_of_the_standard_library(images, turn):
    grey = jnp.full((1, 1, 1, 3), 0.4)
    few = jnp.concatenate([images[:1, :4, :4].reshape(1, 16, 1, 3), grey], axis=1)
    found = np.asarray(augment.hue(few, jnp.full(1, turn)))[0, :, 0]
    for pixel, new in zip(np.asarray(few)[0, :, 0], found, strict=True):
        h, s, v = colorsys.rgb_to_hsv(*pixel.tolist())
        expected = colorsys.hsv_to_rgb((h + turn) % 1, s, v)
        np.testing.assert_allclose(new, expected, atol=1e-5)


def test_jitter_draws_for_every_image(images):
    same = jnp.tile(images[:1], (50, 1, 1, 1))
    ranges = dict(
        brightness_range=0.4, contrast_range=0.4, saturation_range=0.4, hue_range=0.1
    )
    found = np.asarray(augment.colour_jitter(jax.random.key(0), same, **ranges))
    assert len({image.tobytes() for image in found}) == 50
    assert found.min() >= 0 and found.max() <= 1
    np.testing.assert_array_equal(augment.colour_jitter(jax.random.key(0), same), same)


# Several images


def test_mixup_mixes_images_and_targets_alike(images):
    targets = jnp.eye(6)
    mixed, new = augment.mixup(jax.random.key(0), images, targets, 0.8)
    share = np.diagonal(np.asarray(new))
    for i, s in enumerate(share):
        expected = s * np.asarray(images[i]) + (1 - s) * np.asarray(images[5 - i])
        np.testing.assert_allclose(mixed[i], expected, atol=1e-5)
    np.testing.assert_allclose(new.sum(1), 1, rtol=1e-5)
    many = jnp.zeros((4000, 1, 1, 1)), jnp.tile(jnp.eye(2), (2000, 1))
    _, shares = augment.mixup(jax.random.key(1), *many, 0.8)
    drawn = np.asarray(shares[::2, 0])
    assert stats.kstest(drawn, stats.beta(0.8, 0.8).cdf).pvalue > 1e-3


@pytest.mark.parametrize("alpha", [0.5, 1.0, 8.0])
def test_symmetric_beta_has_its_distribution(alpha):
    drawn = np.asarray(augment.symmetric_beta(jax.random.key(2), alpha, 20_000))
    assert stats.kstest(drawn, stats.beta(alpha, alpha).cdf).pvalue > 1e-3
    assert drawn.min() >= 0 and drawn.max() <= 1


@pytest.mark.parametrize("mix", [augment.mixup, augment.cutmix])
def test_devices_that_share_a_batch_exchange_once(mix):
    """Independent exchanges, or a loop that asks all, can come to a standstill."""
    spread = NamedSharding(Mesh(np.asarray(jax.devices()), ("images",)), P("images"))
    shapes = (8, 8, 8, 3), (8, 10)
    given = (jax.ShapeDtypeStruct(s, jnp.float32, sharding=spread) for s in shapes)
    program = jax.jit(lambda key, *batch: mix(key, *batch, 0.8))
    text = program.lower(jax.random.key(0), *given).compile().as_text()
    assert text.count(" collective-permute(") == 1
    for exchange in ("all-reduce", "all-gather", "all-to-all"):
        assert f" {exchange}(" not in text


def test_cutmix_covers_what_the_targets_say():
    count = 2000
    images = jnp.tile(jnp.arange(2.0)[:, None, None, None], (count // 2, 12, 16, 1))
    targets = jnp.tile(jnp.eye(2), (count // 2, 1))
    mixed, new = augment.cutmix(jax.random.key(0), images, targets, 1.0)
    covered = np.asarray((mixed != images).mean((1, 2, 3)))
    own = np.asarray((new * targets).sum(1))
    np.testing.assert_allclose(own, 1 - covered, atol=1e-5)
    rng = np.random.default_rng(0)
    expected = []
    for _ in range(20_000):
        side = np.sqrt(1 - rng.beta(1, 1))
        area = 1
        for length in (12, 16):
            half, middle = int(side * length) // 2, rng.integers(length)
            area *= min(middle + half, length) - max(middle - half, 0)
        expected.append(area / 192)
    error = np.hypot(covered.std() / np.sqrt(count), np.std(expected) / np.sqrt(20_000))
    assert abs(covered.mean() - np.mean(expected)) < 4 * error
    for mask in np.asarray(mixed != images)[:50, ..., 0]:
        assert mask.sum() == mask.any(0).sum() * mask.any(1).sum()


@pytest.mark.parametrize(("side", "size"), [(24, 24), (24, 16), (40, 12), (12, 30)])
def test_both_forms_of_a_resized_crop_are_the_same(key, side, size):
    draw, box = jax.random.split(key)
    images = jax.random.uniform(draw, (6, side, side, 3))
    boxes = augment.random_boxes(box, 6, side, side)
    one = jax.jit(augment._scaled, static_argnums=2)(images, boxes, size)
    two = jax.jit(augment._looked_up, static_argnums=2)(images, boxes, size)
    np.testing.assert_allclose(two, one, atol=5e-5)
