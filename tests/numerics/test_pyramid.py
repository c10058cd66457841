"""Pyramids against filters that are run over the pixels, and their limits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.ndimage import correlate1d

from jaxbias.numerics import pyramid

TAPS = np.asarray([1, 4, 6, 4, 1]) / 16 * np.sqrt(2)


def blurred(image):
    """Mirrored at the pixel on the edge, which is not repeated."""
    for axis in (0, 1):
        image = correlate1d(image, TAPS, axis=axis, mode="mirror")
    return image


def enlarged(small, shape):
    spread = np.zeros(shape)
    spread[::2, ::2] = small
    return blurred(spread)


def alone(image, count):
    """What is put back together from one level after the other."""
    sizes = [np.asarray(image, float)]
    for _ in range(count - 1):
        sizes.append(blurred(sizes[-1])[::2, ::2])
    found = []
    for level in range(count):
        left = sizes[level]
        if level + 1 < count:
            left = left - enlarged(sizes[level + 1], left.shape)
        for larger in sizes[:level][::-1]:
            left = enlarged(left, larger.shape)
        found.append(left)
    return np.stack(found)


def noise(height, width, seed=0):
    drawn = np.random.default_rng(seed).normal(size=(height, width))
    return drawn.astype(np.float32)


# 33 x 48: odd, and not square. 5 and 20 come to a level of 5 pixels.
@pytest.mark.parametrize(
    ("height", "width", "count"),
    [(224, 224, 7), (32, 32, 4), (33, 48, 4), (5, 5, 2), (20, 20, 4)],
)
def test_levels_are_those_of_filters_over_the_pixels(height, width, count):
    image = noise(height, width)
    found = np.asarray(pyramid.bands(jnp.asarray(image)))
    expected = alone(image, count)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=2e-6)
    np.testing.assert_allclose(found.sum(0), image, atol=2e-6)


def test_compiled_is_eager_and_mapped_is_a_loop():
    images = jnp.asarray(np.stack([noise(32, 32, seed) for seed in (0, 1)]))
    eager = np.stack([pyramid.bands(image) for image in images])
    compiled = jax.jit(pyramid.bands)
    np.testing.assert_allclose(compiled(images[1]), eager[1], atol=1e-6)
    np.testing.assert_allclose(jax.vmap(compiled)(images), eager, atol=1e-6)


def test_products_are_at_full_precision():
    program = jax.make_jaxpr(pyramid.bands)(jnp.zeros((32, 32)))
    found = [e.params["precision"] for e in program.eqns if "dot" in e.primitive.name]
    assert len(found) == 4 * (pyramid.levels(32) - 1)
    assert {p for pair in found for p in pair} == {jax.lax.Precision.HIGHEST}


@pytest.mark.parametrize(("size", "count"), [(4, 1), (5, 2), (32, 4), (64, 5)])
def test_an_image_is_halved_as_long_as_five_pixels_are_left(size, count):
    assert pyramid.levels(size) == count
    assert len(pyramid.factors(size)) == count


def test_too_small_an_image_is_refused():
    with pytest.raises(ValueError, match="4 pixels a side, got 3"):
        pyramid.levels(3)


def test_a_constant_is_all_in_the_last_level():
    found = np.asarray(pyramid.bands(jnp.full((32, 32), 0.7)))
    np.testing.assert_allclose(found[-1], 0.7, atol=1e-6)
    np.testing.assert_allclose(found[:-1], 0, atol=1e-6)


def test_an_image_of_four_pixels_is_one_level():
    image = noise(4, 4)
    np.testing.assert_array_equal(pyramid.bands(jnp.asarray(image))[0], image)


def test_each_level_has_half_of_the_pixels_of_the_one_before():
    ranks = [
        np.linalg.matrix_rank(grow @ shrink) for shrink, grow in pyramid.factors(224)
    ]
    assert ranks == [224, 112, 56, 28, 14, 7, 4]


def test_a_nan_reaches_every_level():
    image = jnp.asarray(noise(32, 32)).at[5, 5].set(jnp.nan)
    assert np.isnan(pyramid.bands(image)).any(axis=(1, 2)).all()


@pytest.mark.parametrize("size", [4, 9])
def test_the_power_of_noise_is_that_of_all_its_pixels(size):
    """Pixels of white noise are independent: the powers of what each gives add up."""
    each = np.eye(size * size, dtype=np.float32).reshape(-1, size, size)
    found = np.asarray(jax.vmap(pyramid.bands)(jnp.asarray(each)), float)
    expected = np.sum(np.abs(np.fft.fft2(found)) ** 2, axis=0) / size**4
    np.testing.assert_allclose(pyramid.noise_power(size), expected, atol=1e-6)
    # Level by level its sum is the mean square.
    squares = np.sum(found**2, axis=(0, 2, 3)) / size**2
    total = pyramid.noise_power(size).sum(axis=(1, 2))
    np.testing.assert_allclose(total, squares, rtol=1e-5)
