"""RandAugment: operations against Pillow, magnitudes against the published tables."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps
from scipy import stats

from jaxbias.data import randaugment as ra

FILL = 77
"""A level that no test image is full of."""


@pytest.fixture(scope="module")
def pixels():
    """uint8, of different ranges and neither square nor even."""
    rng = np.random.default_rng(0)
    low, high = [0, 0, 30, 100, 5, 200, 0, 120], [256, 90, 240, 140, 250, 255, 2, 121]
    images = [rng.integers(a, b, (21, 26, 3)) for a, b in zip(low, high, strict=True)]
    images[4] = np.sort(images[4], axis=1)
    return np.stack(images).astype(np.uint8)


def as_float(pixels):
    return jnp.asarray(pixels / 255, jnp.float32)


def ours(name, pixels, amounts, interpolation="bilinear"):
    """In levels."""
    look_up = partial(ra.affine, interpolation=interpolation, fill=FILL / 255)
    amounts = jnp.asarray(amounts, jnp.float32)
    operate = jax.jit(partial(ra.operate, name, look_up=look_up))
    return np.asarray(operate(as_float(pixels), amounts), np.float64) * 255


def moved(matrix):
    def change(image, amount, resample):
        kind = Image.Transform.AFFINE
        fill = (FILL, FILL, FILL)
        return image.transform(
            image.size, kind, matrix(amount), resample=resample, fillcolor=fill
        )

    return change


MOVES = {
    "shear_x": (0.3, moved(lambda a: (1, a, 0, 0, 1, 0))),
    "shear_y": (0.3, moved(lambda a: (1, 0, 0, a, 1, 0))),
    "translate_x": (12, moved(lambda a: (1, 0, a, 0, 1, 0))),
    "translate_y": (12, moved(lambda a: (1, 0, 0, 0, 1, a))),
    "rotate": (
        *(30, lambda im, a, r: im.rotate(a, resample=r, fillcolor=(FILL, FILL, FILL))),
    ),
}


def with_pillow(change, pixels, amounts):
    pairs = zip(pixels, np.asarray(amounts, np.float32).tolist(), strict=True)
    images = [np.asarray(change(Image.fromarray(x), a)) for x, a in pairs]
    return np.stack(images).astype(np.float64)


# Operations


@pytest.mark.parametrize("name", MOVES)
def test_moves_are_pillow_s(name, pixels):
    most, change = MOVES[name]
    amounts = np.random.default_rng(1).uniform(-most, most, len(pixels))
    amounts[0] = 0
    with_resampling = lambda r: with_pillow(  # noqa: E731
        lambda image, a: change(image, a, r), pixels, amounts
    )
    found = ours(name, pixels, amounts, "nearest")
    expected = with_resampling(Image.Resampling.NEAREST)
    # Pillow counts in steps of 2^-16 pixels: where a place falls between two, they differ.
    assert (np.abs(found - expected) > 1e-3).mean() < 0.002
    found = ours(name, pixels, amounts)
    expected = with_resampling(Image.Resampling.BILINEAR)
    # Pillow cuts the fraction off.
    assert -0.01 < (found - expected).min() and (found - expected).max() < 1.01
    np.testing.assert_allclose(found[0], pixels[0], atol=1e-3)


def test_directions():
    image = np.zeros((1, 5, 5, 1), np.float32)
    image[0, 2, 3] = 1
    place = lambda matrices: np.argwhere(  # noqa: E731
        np.asarray(ra.affine(jnp.asarray(image), matrices))[0, ..., 0] > 0.9
    ).tolist()
    one = jnp.ones(1)
    assert place(ra.translate_x(one, 5, 5)) == [[2, 2]]
    assert place(ra.translate_y(one, 5, 5)) == [[1, 3]]
    assert place(ra.rotate(90 * one, 5, 5)) == [[1, 2]]


@pytest.mark.parametrize(
    "name, kind, below",
    [
        # Pillow cuts the fraction off; greys and blurs it rounds besides, which the blend
        # multiplies by up to 0.9, and the mean of a contrast twice.
        ("brightness", ImageEnhance.Brightness, 0.01),
        ("colour", ImageEnhance.Color, 0.5),
        ("contrast", ImageEnhance.Contrast, 0.95),
        ("sharpness", ImageEnhance.Sharpness, 0.5),
    ],
)
def test_blends_are_pillow_s(name, kind, below, pixels):
    amounts = np.asarray([0.1, 0.4, 0.73, 1.0, 1.27, 1.5, 1.8, 1.9])
    found = ours(name, pixels, amounts)
    expected = with_pillow(lambda image, a: kind(image).enhance(a), pixels, amounts)
    assert -below < (found - expected).min()
    assert (found - expected).max() < 1 + below
    np.testing.assert_allclose(found[3], pixels[3], atol=1e-3)


def test_small_images_have_nothing_to_sharpen():
    for shape in ((1, 2, 5, 3), (1, 1, 1, 3)):
        images = jax.random.uniform(jax.random.key(0), shape)
        sharp = ra.sharpness(images, jnp.full(1, 1.9))
        np.testing.assert_allclose(sharp, images, atol=1e-6)


def added(image, amount):
    table = [min(255, i + int(amount)) if i < 128 else i for i in range(256)]
    return image.point(table * 3)


TABLES = {
    "identity": ([0.0] * 8, lambda image, _: image),
    "posterize": (
        [1, 2, 3, 4, 5, 6, 7, 8],
        lambda im, a: ImageOps.posterize(im, int(a)),
    ),
    "solarize": ([0, 51, 60, 127.5, 128, 178.5, 255, 256], ImageOps.solarize),
    "solarize_add": ([0, 11, 55, 77, 99, 110, 128, 1], added),
    "equalize": ([0.0] * 8, lambda image, _: ImageOps.equalize(image)),
    "invert": ([0.0] * 8, lambda image, _: ImageOps.invert(image)),
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_are_exactly_pillow_s(name, pixels):
    amounts, change = TABLES[name]
    large = np.tile(pixels, (1, 2, 3, 1))  # Equalize leaves a few hundred pixels alone.
    for images in (pixels, large):
        expected = with_pillow(change, images, amounts)
        np.testing.assert_allclose(ours(name, images, amounts), expected, atol=1e-3)


def test_auto_contrast_is_pillow_s_but_for_its_rounding(pixels):
    found = ours("auto_contrast", pixels, np.zeros(8))
    expected = with_pillow(lambda im, _: ImageOps.autocontrast(im), pixels, np.zeros(8))
    low = pixels.min((1, 2), keepdims=True).astype(np.int64)
    room = pixels.max((1, 2), keepdims=True) - low
    # Floating-point numbers take Pillow from 86 to 85.99..., and that it cuts off.
    whole = (pixels - low) * 255 % np.maximum(room, 1) == 0
    np.testing.assert_allclose(found[~whole], expected[~whole], atol=1e-3)
    assert set(np.round(found - expected)[whole]) <= {0.0, 1.0}
    np.testing.assert_allclose(found[7], pixels[7], atol=1e-3)  # One level: left alone.


def test_no_bits_are_black_and_levels_are_rounded():
    grey = jnp.full((1, 2, 2, 3), 99.6 / 255)
    np.testing.assert_array_equal(ra.posterize(grey, jnp.zeros(1)), 0)
    np.testing.assert_allclose(ra.posterize(grey, jnp.full(1, 8.0)) * 255, 100)


# Magnitudes


def test_magnitudes_are_torchvision_s():
    """Against linspace(0, top, 31), as its `_augmentation_space` has them."""
    height, width = 32, 224
    bins = jnp.arange(31.0)
    symmetric = {
        "shear_x": np.linspace(0, 0.3, 31),
        "shear_y": np.linspace(0, 0.3, 31),
        "translate_x": np.trunc(np.linspace(0, 150 / 331 * width, 31)),
        "translate_y": np.trunc(np.linspace(0, 150 / 331 * height, 31)),
        "rotate": np.linspace(0, 30, 31),
    }
    for sign in (1.0, -1.0):
        found = ra.torchvision_amounts(bins, jnp.full(31, sign), height, width)
        for name, expected in symmetric.items():
            np.testing.assert_allclose(found[name], sign * expected, rtol=1e-5)
        for name in ("brightness", "colour", "contrast", "sharpness"):
            expected = 1 + sign * np.linspace(0, 0.9, 31)
            np.testing.assert_allclose(found[name], expected, rtol=1e-5)
        bits = [8] * 4 + [7] * 8 + [6] * 7 + [5] * 8 + [4] * 4
        np.testing.assert_array_equal(found["posterize"], bits)
        expected = np.linspace(255, 0, 31)
        np.testing.assert_allclose(found["solarize"], expected, atol=1e-4)
    order = "identity shear_x shear_y translate_x translate_y rotate brightness colour"
    order += " contrast sharpness posterize solarize auto_contrast equalize"
    assert list(found) == order.split()


@pytest.mark.parametrize("increasing", [False, True])
def test_magnitudes_are_timm_s(increasing):
    """Against the `_level_to_arg` functions, in Python's own numbers."""
    height, width = 32, 224
    amount = jax.jit(
        partial(ra.timm_amounts, increasing=increasing), static_argnums=(2, 3)
    )
    magnitudes = np.concatenate(
        [np.arange(11), np.random.default_rng(0).uniform(0, 10, 50)]
    )
    magnitudes = magnitudes.astype(np.float32)
    for sign in (1, -1):
        signs = jnp.full(len(magnitudes), float(sign))
        found = amount(jnp.asarray(magnitudes), signs, height, width)
        for i, m in enumerate(magnitudes.tolist()):
            bits, threshold = int(m / 10 * 4), int(m / 10 * 256)
            blend = m / 10 * 1.8 + 0.1
            if increasing:
                bits, threshold = 4 - bits, 256 - threshold
                blend = max(0.1, 1 + sign * (m / 10 * 0.9))
            expected = {
                "rotate": sign * m / 10 * 30,
                "posterize": bits,
                "solarize": threshold,
                "solarize_add": int(m / 10 * 110),
                **dict.fromkeys(
                    ("colour", "contrast", "brightness", "sharpness"), blend
                ),
                **dict.fromkeys(("shear_x", "shear_y"), sign * m / 10 * 0.3),
                "translate_x": sign * m / 10 * 0.45 * width,
                "translate_y": sign * m / 10 * 0.45 * height,
            }
            for name, value in expected.items():
                assert float(found[name][i]) == pytest.approx(value, rel=1e-5), (
                    name,
                    m,
                )
        # Compiled, a dict comes back in the order of the alphabet.
        assert set(found) == {"auto_contrast", "equalize", "invert", *expected}


# What is drawn


def test_every_operation_is_drawn_alike():
    names, which, amount = ra.drawn(jax.random.key(0), 28_000, 32, 32)
    counts = np.bincount(np.asarray(which), minlength=15)
    assert len(names) == 15 and counts[14] == 0
    assert stats.chisquare(counts[:14]).pvalue > 1e-3
    turned = np.asarray(amount)[np.asarray(which) == names.index("rotate")]
    assert set(np.round(turned, 4)) == {-9.0, 9.0}
    assert (turned > 0).mean() == pytest.approx(0.5, abs=0.05)


def test_timm_leaves_half_out_and_adds_noise():
    names, which, amount = ra.drawn(
        *(jax.random.key(0), 60_000, 32, 32),
        **dict(space="timm", magnitude_std=0.5, increasing=True),
    )
    counts = np.bincount(np.asarray(which), minlength=16)
    assert counts[15] / 60_000 == pytest.approx(0.5, abs=0.01)
    assert stats.chisquare(counts[:15]).pvalue > 1e-3
    turned = np.asarray(amount)[np.asarray(which) == names.index("rotate")]
    level = np.abs(turned) / 3
    # N(9, 0.5), of which 2.3 % lie above 10 and are put there.
    assert level.max() == pytest.approx(10) and (level > 9.9999).mean() < 0.05
    cut = stats.norm(9, 0.5).rvs(100_000, random_state=0).clip(0, 10)
    assert level.mean() == pytest.approx(cut.mean(), abs=0.05)
    assert level.std() == pytest.approx(cut.std(), abs=0.05)
    assert np.corrcoef(np.sign(turned), level)[0, 1] == pytest.approx(0, abs=0.1)


@pytest.mark.slow
def test_both_ways_of_applying_agree(pixels):
    names = (*ra.MOVES, *ra.CHANGES)
    which = jnp.arange(len(names))
    images = jnp.tile(as_float(pixels[:1]), (len(names), 1, 1, 1))
    amount = jnp.asarray(
        [0.2, -0.1, 3.5, 4, 20, 0, 1.2, 0.3, 1.5, 0.2, 5, 99, 40, 0, 0, 0]
    )
    options = dict(names=names, look_up=partial(ra.affine, fill=0.3))
    one = np.asarray(jax.jit(partial(ra.one_by_one, **options))(images, which, amount))
    every = np.asarray(
        jax.jit(partial(ra.all_at_once, **options))(images, which, amount)
    )
    np.testing.assert_allclose(one, every, atol=1e-5)
    assert len({image.tobytes() for image in one}) == len(names)
    for i, name in enumerate(names):
        alone = ra.operate(name, images[:1], amount[i : i + 1], options["look_up"])
        np.testing.assert_allclose(one[i], alone[0], atol=1e-5)


def test_it_is_the_draws_one_after_the_other(pixels):
    images = as_float(np.tile(pixels, (2, 1, 1, 1)))
    options = dict(space="timm", magnitude_std=0.5, increasing=True)
    found = ra.randaugment(jax.random.key(3), images, **options)
    expected = images
    for key in jax.random.split(jax.random.key(3), 2):
        names, which, amount = ra.drawn(key, 16, 21, 26, **options)
        expected = ra.one_by_one(
            *(expected, which, amount),
            names=names,
            look_up=partial(ra.affine, fill=128 / 255),
        )
    # A value midway between two levels may be rounded either way by a later operation.
    assert (np.abs(np.asarray(found - expected)) > 1e-5).mean() < 0.01
    assert (np.asarray(found) != np.asarray(images)).any((1, 2, 3)).sum() > 8


@pytest.mark.slow
def test_compiled_and_not_are_the_same(pixels):
    images = as_float(pixels[:4, :8, :9])
    compiled = ra.randaugment(jax.random.key(5), images)
    with jax.disable_jit():
        eager = ra.randaugment(jax.random.key(5), images)
    np.testing.assert_allclose(compiled, eager, atol=1e-5)


def test_the_key_decides_and_every_image_draws_for_itself(pixels):
    same = jnp.tile(as_float(pixels[:1]), (40, 1, 1, 1))
    found = np.asarray(ra.randaugment(jax.random.key(0), same))
    np.testing.assert_array_equal(found, ra.randaugment(jax.random.key(0), same))
    assert (found != np.asarray(ra.randaugment(jax.random.key(1), same))).any()
    assert len({image.tobytes() for image in found}) > 30
    assert found.min() >= 0 and found.max() <= 1
    # What is drawn for an image does not hang on what the others are.
    other = same.at[1:].set(0.5)
    np.testing.assert_array_equal(ra.randaugment(jax.random.key(0), other)[0], found[0])


def test_options(pixels):
    images = as_float(pixels)
    none = ra.randaugment(jax.random.key(0), images, num_ops=0)
    np.testing.assert_array_equal(none, images)
    nearest = ra.randaugment(
        *(jax.random.key(0), images), num_ops=1, interpolation="nearest", fill=0.5
    )
    assert nearest.shape == images.shape
    single = images[..., :1]
    found = ra.randaugment(jax.random.key(2), single)
    wide = ra.randaugment(jax.random.key(2), jnp.tile(single, 3))
    assert found.shape == single.shape
    np.testing.assert_allclose(found, wide[..., :1], atol=1e-5)
    # Torchvision fills with black, timm with grey.
    white = jnp.ones((200, 9, 9, 3))
    dark = ra.randaugment(jax.random.key(0), white, num_ops=1)
    grey = ra.randaugment(jax.random.key(0), white, num_ops=1, space="timm")
    corner = lambda images: np.unique(np.asarray(images)[:, 0, 0])  # noqa: E731
    assert 0.0 in corner(dark)
    assert np.isclose(corner(grey), 128 / 255).any()


@pytest.mark.parametrize(
    "options",
    [
        *(dict(magnitude=31.0), dict(magnitude=11.0, space="timm"), dict(num_ops=-1)),
        *(dict(increasing=True), dict(magnitude_std=-0.1)),
    ],
)
def test_nonsense_is_refused(options, pixels):
    with pytest.raises(ValueError):
        ra.randaugment(jax.random.key(0), as_float(pixels), **options)
