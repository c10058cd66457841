"""Transforms and corruptions: each against its definition."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from jaxbias.data import corruptions, transforms
from jaxbias.data.transforms import transform

WEIGHTS = np.asarray((0.299, 0.587, 0.114))


@pytest.fixture(scope="module")
def pixels():
    levels = np.random.default_rng(0).integers(0, 256, (4, 24, 32, 3))
    levels[3] = (30, 99, 201)
    return levels.astype(np.uint8)


@pytest.fixture(scope="module")
def images(pixels):
    return jnp.asarray(pixels, jnp.float32) / 255


def sorted_pixels(image):
    flat = np.asarray(image).reshape(-1, image.shape[-1])
    return flat[np.lexsort(flat.T)]


# What is taken away


def test_grey_has_three_equal_channels(images):
    found = np.asarray(transforms.grey(images))
    expected = np.repeat((np.asarray(images) @ WEIGHTS)[..., None], 3, -1)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_mean_colour_is_cut_off_to_levels(pixels, images):
    found = np.asarray(transforms.mean_colour(images)) * 255
    expected = pixels.mean((1, 2), keepdims=True).astype(np.uint8)
    np.testing.assert_allclose(found, np.broadcast_to(expected, found.shape), atol=1e-4)
    # Every level is its own mean: none is lost to rounding.
    ramp = jnp.broadcast_to(
        jnp.arange(256.0)[:, None, None, None] / 255, (256, 3, 5, 3)
    )
    np.testing.assert_allclose(transforms.mean_colour(ramp), ramp, atol=1e-7)


def test_pictures_have_three_equal_channels_from_0_to_1(images):
    for change in (transforms.canny, transforms.oriented_gradients):
        found = np.asarray(change(images))
        assert found.shape == images.shape
        assert found[:3].min() == 0 and found[:3].max() == 1
        assert not found[3].any()
        np.testing.assert_array_equal(found[..., 0], found[..., 1])
        np.testing.assert_array_equal(found[..., 0], found[..., 2])


# Places


@pytest.mark.parametrize("length", [1, 2, 24, 1000])
def test_orders_are_permutations(length):
    found = np.asarray(transforms.orders(jax.random.key(0), 50, length))
    expected = np.broadcast_to(np.arange(length), (50, length))
    np.testing.assert_array_equal(np.sort(found, 1), expected)
    if length > 2:
        assert len(np.unique(found, axis=0)) == 50


def test_orders_of_many_places_are_permutations():
    # More than the place has bits for in a word.
    found = np.asarray(transforms.orders(jax.random.key(0), 2, 2**16 + 1))
    np.testing.assert_array_equal(np.sort(found, 1), [np.arange(2**16 + 1)] * 2)
    assert (found[0] != found[1]).mean() > 0.99


def test_every_order_is_as_likely():
    found = np.asarray(transforms.orders(jax.random.key(1), 24_000, 4))
    counts = np.unique(found, axis=0, return_counts=True)[1]
    assert len(counts) == 24
    # 23 degrees of freedom; 99.9 % are below 49.7.
    assert ((counts - 1000) ** 2 / 1000).sum() < 49.7


def test_ties_of_random_bits_are_broken_both_ways():
    # With 16 bits for each of 40,000 places thousands of pairs are tied.
    found = np.asarray(transforms.orders(jax.random.key(2), 8, 40_000))
    rank = np.argsort(found, axis=1)
    for step in (1, 2, 1024):
        # Of two places, which comes first; 8 x 20,000 pairs: 5 deviations are 0.006.
        first = (rank[:, :-step] < rank[:, step:])[:, :: 2 * step]
        assert abs(first.mean() - 0.5) < 2.5 / np.sqrt(first.size)
    drift = found - np.arange(40_000)[None]
    assert (
        abs(drift.mean()) < 1e-9 and abs(np.corrcoef(found[0], found[1])[0, 1]) < 0.03
    )


@pytest.mark.parametrize("side", [1, 4, 8])
@pytest.mark.parametrize("fixed", [False, True])
def test_patches_move_whole(images, side, fixed):
    found = np.asarray(
        transforms.patch_shuffle(jax.random.key(3), images, side, fixed=fixed)
    )
    rows, columns = 24 // side, 32 // side

    def patches(batch):
        cut = np.asarray(batch).reshape(-1, rows, side, columns, side, 3)
        return cut.swapaxes(2, 3).reshape(len(batch), rows * columns, -1)

    old, new = patches(images), patches(found)
    orders = []
    for before, after in zip(old[:3], new[:3], strict=True):
        orders.append([int((before == patch).all(1).argmax()) for patch in after])
        assert sorted(orders[-1]) == list(range(rows * columns))
        np.testing.assert_array_equal(before[orders[-1]], after)
    assert (orders[0] == orders[1] == orders[2]) == fixed
    if side == 1:
        again = transforms.pixel_shuffle(jax.random.key(3), images, fixed=fixed)
        np.testing.assert_array_equal(again, found)


def test_patches_that_do_not_fill_are_refused(images):
    for side in (0, 5, 16, 32):
        with pytest.raises(ValueError, match="do not fill 24 x 32"):
            transforms.patch_shuffle(jax.random.key(0), images, side)
    with pytest.raises(ValueError, match="an order of 5 places for 24 x 32"):
        transforms.rearranged(images, np.zeros((1, 5), np.int32))


# Frequencies


def filtered(image, radius, order, high):
    """The published steps: a mask on the centred spectrum, and its real inverse."""
    grey = np.asarray(image, np.float64) @ WEIGHTS
    height, width = grey.shape
    y, x = np.mgrid[:height, :width]
    distance = np.hypot(y - height // 2, x - width // 2)
    if order is None:
        keep = (distance > radius) if high else (distance <= radius)
    else:
        keep = 1 / (1 + (distance / radius) ** (2 * order))
        keep = 1 - keep if high else keep
    spectrum = np.fft.fftshift(np.fft.fft2(grey)) * keep
    plane = np.fft.ifft2(np.fft.ifftshift(spectrum)).real
    return (plane - plane.min()) / (plane.max() - plane.min())


@pytest.mark.parametrize("sides", [(24, 32), (23, 17)])
@pytest.mark.parametrize("order", [None, 1, 2])
def test_filters_equal_the_full_transform(images, sides, order):
    cut = images[:3, : sides[0], : sides[1]]
    for change, high in ((transforms.low_pass, False), (transforms.high_pass, True)):
        found = np.asarray(change(cut, 5.0, order=order))
        assert found.shape == cut.shape
        expected = np.stack([filtered(image, 5.0, order, high) for image in cut])
        for channel in range(3):
            np.testing.assert_allclose(found[..., channel], expected, atol=2e-5)


@pytest.mark.parametrize("order", [None, 2])
def test_low_and_high_add_up_to_everything(order):
    for height, width in ((24, 32), (23, 17)):
        low, high = (
            transforms.kept(height, width, 6.0, order, high=high)
            for high in (False, True)
        )
        np.testing.assert_allclose(low + high, 1, atol=1e-7)
        if order is None:
            assert set(np.unique(low)) == {0.0, 1.0}
            # Coefficients on the circle are low.
            assert low[6, 0] == low[0, 6] == 1 and low[7, 0] == low[6, 1] == 0


@pytest.mark.parametrize("level", [0.0, 0.37, 1.0])
@pytest.mark.parametrize("order", [None, 2])
def test_a_constant_image_is_black(level, order):
    constant = jnp.full((1, 24, 32, 3), level)
    for change in (transforms.low_pass, transforms.high_pass):
        np.testing.assert_array_equal(change(constant, 4.0, order=order), 0)


def test_radii_that_are_none_are_refused(images):
    with pytest.raises(ValueError, match="must be positive"):
        transforms.low_pass(images, 0.0)
    with pytest.raises(ValueError, match="must be positive"):
        transforms.high_pass(images, 3.0, order=0)


def test_the_paper_s_radius_is_scaled():
    assert transforms.paper_radius(224) == 40
    assert transforms.paper_radius(56) == 10
    assert transforms.paper_radius(112, radius=30.0) == 15


# Corruptions


def test_noise_has_its_spread_and_is_cut_off():
    middle = jnp.full((2, 64, 64, 3), 0.5)
    found = np.asarray(corruptions.gaussian_noise(jax.random.key(0), middle, 0.05))
    assert found.std() == pytest.approx(0.05, rel=0.03)
    assert found.mean() == pytest.approx(0.5, abs=2e-3)
    assert (found[0] != found[1]).mean() > 0.99
    wild = np.asarray(corruptions.gaussian_noise(jax.random.key(0), middle, 2.0))
    assert wild.min() == 0 and wild.max() == 1


@pytest.mark.parametrize("radius", [0.4, 3, 5, 20])
def test_blur_is_pillow_s(pixels, images, radius):
    found = np.asarray(corruptions.gaussian_blur(images, float(radius))) * 255
    for image, blurred in zip(pixels, found, strict=True):
        filtered = Image.fromarray(image).filter(ImageFilter.GaussianBlur(radius))
        # Pillow rounds after each of six passes.
        np.testing.assert_allclose(blurred, np.asarray(filtered), atol=3.0)
        assert np.abs(blurred - np.asarray(filtered)).mean() < 0.6


def test_blur_keeps_a_point_s_sum_and_variance():
    point = jnp.zeros((1, 65, 65, 3)).at[0, 32, 32].set(1.0)
    found = np.asarray(corruptions.gaussian_blur(point, 3.0))[0, ..., 0]
    assert found.sum() == pytest.approx(1, abs=1e-5)
    offset = np.arange(65) - 32
    assert (found.sum(1) * offset**2).sum() == pytest.approx(9, rel=1e-3)
    np.testing.assert_allclose(corruptions.gaussian_blur(point, 0.0), point, atol=1e-7)


def test_low_resolution_is_pillow_s(pixels, images):
    found = np.asarray(corruptions.low_resolution(images, 8)) * 255
    for image, coarse in zip(pixels, found, strict=True):
        small = Image.fromarray(image).resize((8, 8), Image.Resampling.BILINEAR)
        expected = small.resize((32, 24), Image.Resampling.BILINEAR)
        np.testing.assert_allclose(coarse, np.asarray(expected), atol=2.0)
    with pytest.raises(ValueError, match="a resolution of 25 for images of 24"):
        corruptions.low_resolution(images, 25)


def test_jitter_changes_colours_of_each_image_in_its_own_way(images):
    np.testing.assert_allclose(
        corruptions.jitter(jax.random.key(0), images, 0.0), images, atol=1e-6
    )
    same = jnp.tile(images[:1], (64, 1, 1, 1))
    found = np.asarray(corruptions.jitter(jax.random.key(0), same, 1.0))
    assert found.min() >= 0 and found.max() <= 1
    assert len(np.unique(found.mean((1, 2, 3)).round(5))) > 60


# By name

NAMED = (
    *("none", "grey", "mean-rgb", "canny", "hog", "low-pass", "high-pass"),
    *("butterworth-low-pass", "butterworth-high-pass", "low-pass-3", "high-pass-2.5"),
    *("pixel-shuffle-random", "pixel-shuffle-fixed"),
    *("patch-shuffle-random-4", "patch-shuffle-fixed-8"),
    *("jitter-1.0", "noise-0.2", "blur-3", "low-resolution-6"),
)


def squares(images):
    return images[:, :24, :24]


@pytest.mark.parametrize("name", NAMED)
def test_by_name_and_compiled_equals_eager(images, name):
    found = transform(name, 24)
    assert found.name == name
    cut, key = squares(images)[:2], jax.random.key(5)
    result = np.asarray(found.apply(key, cut))
    assert result.shape == cut.shape and result.dtype == np.float32
    assert np.isfinite(result).all() and result.min() >= 0 and result.max() <= 1
    compiled = jax.jit(found.apply)(jax.random.clone(key), cut)
    np.testing.assert_allclose(compiled, result, atol=1e-5)
    random = name.startswith(("jitter", "noise")) or "random" in name
    other = np.asarray(found.apply(jax.random.key(6), cut))
    assert (other != result).any() == random
    if "shuffle" in name:
        for image, shuffled in zip(cut, result, strict=True):
            np.testing.assert_array_equal(sorted_pixels(shuffled), sorted_pixels(image))


def test_every_name_is_listed():
    kinds = {name.rsplit("-", 1)[0] for name in NAMED} | set(NAMED)
    listed = {n[:-2] if n[-2:] in ("-R", "-K", "-S") else n for n in transforms.NAMES}
    assert listed <= kinds


def test_when_and_with_what_colours():
    before = {name for name in NAMED if transform(name, 24).before}
    assert before == {"mean-rgb", "canny", "hog"}
    bare = {name for name in NAMED if not transform(name, 24).normalise}
    assert bare == {n for n in NAMED if "pass" in n} | {"canny", "hog"}


def test_paper_s_lengths_by_name(images):
    cut, key = squares(images), jax.random.key(0)
    for name, order, paper in (("", None, 40), ("butterworth-", 2, 30)):
        for kind, change in (
            ("low-pass", transforms.low_pass),
            ("high-pass", transforms.high_pass),
        ):
            found = transform(name + kind, 24).apply(key, cut)
            expected = change(cut, paper * 24 / 224, order=order)
            np.testing.assert_array_equal(found, expected)


def test_the_fixed_permutation_is_the_same_everywhere(images):
    cut = squares(images)
    first = transform("pixel-shuffle-fixed", 24).apply(jax.random.key(1), cut)
    transform.cache_clear()
    again = transform("pixel-shuffle-fixed", 24).apply(jax.random.key(2), cut[::-1])
    np.testing.assert_array_equal(first, again[::-1])
    # Results that are compared later rest on this permutation.
    places = jnp.arange(9.0).reshape(1, 3, 3, 1) * jnp.ones((1, 1, 1, 3))
    order = transform("pixel-shuffle-fixed", 3).apply(jax.random.key(0), places)
    found = np.asarray(order)[0, ..., 0].ravel().astype(int).tolist()
    assert found == [4, 8, 5, 1, 2, 3, 6, 7, 0]
    # Made inside of a compiled program it is still a constant.
    transform.cache_clear()

    def shuffled(batch):
        found = transform("patch-shuffle-fixed-8", 24)
        return found.apply(jax.random.key(0), batch)

    inside = jax.jit(shuffled)(cut)
    np.testing.assert_array_equal(inside, shuffled(cut))


def test_two_are_stacked_on_channels(images):
    cut = squares(images)
    found = transform("canny+grey", 24)
    result = found.apply(jax.random.key(0), cut)
    np.testing.assert_array_equal(result[..., :3], transforms.canny(cut))
    np.testing.assert_array_equal(result[..., 3:], transforms.grey(cut))
    assert found.name == "canny+grey" and not found.before and not found.normalise
    assert (
        transform("canny+hog", 24).before and transform("grey+mean-rgb", 24).normalise
    )
    # Each part draws for itself.
    twice = transform("noise-0.2+noise-0.2", 24).apply(jax.random.key(0), cut)
    assert (twice[..., :3] != twice[..., 3:]).any()


UNKNOWN = (
    *("", "+", "grey+", "gray", "Canny", "low-pass-", "low-pass--3", "low-pass-0"),
    *("patch-shuffle-fixed", "patch-shuffle-random-2.5", "pixel-shuffle", "hog-3"),
    *("noise", "blur-x", "canny+nothing", "none-1", "low-resolution-1e2"),
)


@pytest.mark.parametrize("name", UNKNOWN)
def test_unknown_names_are_refused_with_what_there_is(name):
    with pytest.raises(ValueError, match="there are none, grey, mean-rgb, canny"):
        transform(name, 24)


def test_names_that_do_not_suit_the_size_are_refused():
    for name in ("patch-shuffle-random-5", "patch-shuffle-fixed-0"):
        with pytest.raises(ValueError, match="do not fill 24 x 24"):
            transform(name, 24)
    with pytest.raises(ValueError, match="a resolution of 32"):
        transform("low-resolution-32", 24)


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="abcdehilnoprstuwxy-+.0123456789KRS", max_size=24))
def test_any_name_is_taken_or_refused(name):
    try:
        assert transform(name, 8).name == name
    except ValueError as error:
        assert str(error)


def test_names_are_fit_for_files():
    assert all(Path(name).name == name for name in NAMED)
