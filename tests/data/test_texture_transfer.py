"""Texture transfer by descent: statistics against NumPy, texture taken, layout kept."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.random import clone
from scipy import ndimage

from jaxbias.data import texture_transfer
from jaxbias.data.texture_transfer import TransferConfig, gram, sliced

SIDE = 32
METHODS = {"gram": gram, "sliced": sliced}
ROW, COLUMN = np.mgrid[:SIDE, :SIDE]
SHORT = TransferConfig(steps=30, filters=16, directions=4)


def contents():
    """A disc and a bar, with a faint grain."""
    masks = [(ROW - 16) ** 2 + (COLUMN - 16) ** 2 < 90, abs(ROW - COLUMN) < 5]
    grain = 0.04 * np.random.default_rng(1).normal(size=(SIDE, SIDE, 1))
    images = [0.3 + 0.4 * m[..., None] * np.array([1, 0.9, 0.6]) + grain for m in masks]
    return np.clip(images, 0, 1).astype(np.float32)


def styles():
    """Slanted stripes, and smooth blotches."""
    noise = np.random.default_rng(2).normal(size=(SIDE, SIDE))
    waves = np.sin(2 * np.pi * (ROW + COLUMN) / 5.7)
    blotches = 2 * np.tanh(4 * ndimage.gaussian_filter(noise, 1.2, mode="wrap"))
    colours = np.array([[0.3, 0.2, -0.1], [0.15, -0.2, 0.1]])
    images = [
        0.5 + x[..., None] * c for x, c in zip((waves, blotches), colours, strict=True)
    ]
    return np.clip(images, 0, 1).astype(np.float32)


@pytest.fixture(scope="module", params=METHODS)
def made(request):
    keys = jax.random.split(jax.random.key(0), 2)
    method = METHODS[request.param]
    mapped = jax.jit(
        lambda *a: jax.lax.map(lambda e: method(e[0], e[1], e[2], SHORT), a)
    )
    pairs = jnp.asarray(contents()), jnp.asarray(styles())
    return np.asarray(mapped(keys, *pairs))


def covariance(image):
    """Of details' patches of 3 by 3 pixels, which responses to any filter follow from."""
    image = np.asarray(image, np.float64)
    image = image - ndimage.gaussian_filter(image, (3, 3, 0))
    squares = np.lib.stride_tricks.sliding_window_view(image, (3, 3), (0, 1))
    return np.cov(squares.reshape(len(squares) ** 2, -1).T)


def blurred(image):
    grey = np.asarray(image, np.float64).mean(-1)
    return ndimage.gaussian_filter(grey, 3.0)


def test_texture_is_the_styles_and_layout_the_contents(made):
    assert made.dtype == np.float32 and made.min() >= 0 and made.max() <= 1
    for image, content, style in zip(made, contents(), styles(), strict=True):
        off, before = (
            np.linalg.norm(covariance(x) - covariance(style)) for x in (image, content)
        )
        assert off < 0.85 * before
        kept = np.corrcoef(blurred(image).ravel(), blurred(content).ravel())[0, 1]
        taken = np.corrcoef(blurred(image).ravel(), blurred(style).ravel())[0, 1]
        assert kept > 0.8 > taken + 0.3
        np.testing.assert_allclose(image.mean((0, 1)), style.mean((0, 1)), atol=0.08)


def test_the_descent_lowers_what_it_is_to_lower(key):
    """By other filters too, and not by where it begins alone."""
    content, style = jnp.asarray(contents()[0]), jnp.asarray(styles()[1])
    planes = jnp.moveaxis(style, -1, 0)
    loss = texture_transfer._gram_loss(jax.random.key(5), planes, SHORT)
    ends = []
    for steps in (0, 30):
        config = TransferConfig(steps=steps, filters=16, edges=0.9)
        image = jax.jit(gram, static_argnums=3)(clone(key), content, style, config)
        ends.append(float(loss(jax.random.key(6), jnp.moveaxis(image, -1, 0))))
    assert ends[1] < 0.7 * ends[0]


def test_patches_and_their_products_are_numpys():
    rng = np.random.default_rng(3)
    image = rng.random((3, 12, 12)).astype(np.float32)
    bank = rng.normal(size=(4, 75)).astype(np.float32)
    found = bank @ np.asarray(texture_transfer._patches(jnp.asarray(image)))
    # A weight's place is (column, row, colour) of its filter.
    filters = bank.reshape(4, 5, 5, 3).transpose(0, 3, 2, 1)
    squares = np.lib.stride_tricks.sliding_window_view(image, (5, 5), (1, 2))
    expected = np.einsum("cyxab,fcab->fyx", squares, filters)
    np.testing.assert_allclose(found, expected.reshape(4, -1), atol=1e-4)
    kept = np.maximum(found, 0)
    means = (kept[:, None] * kept).mean(-1)
    np.testing.assert_allclose(
        texture_transfer._gram(jnp.asarray(found)), means, rtol=1e-4
    )


def test_sliced_distance_and_slope_are_those_of_sorting():
    rng = np.random.default_rng(4)
    found, wanted = rng.normal(size=(2, 5, 100)).astype(np.float32)
    rank = np.argsort(np.argsort(found, 1), 1)
    goal = np.take_along_axis(np.sort(wanted, 1), rank, 1)
    distance = jax.value_and_grad(texture_transfer._sliced)
    value, slope = distance(jnp.asarray(found), jnp.asarray(wanted))
    np.testing.assert_allclose(value, np.mean((found - goal) ** 2), rtol=1e-4)
    np.testing.assert_allclose(slope, 2 * (found - goal) / found.size, atol=1e-6)


@pytest.mark.slow
def test_constant_images_give_numbers(key):
    flat, style = jnp.full((16, 16, 3), 0.3), jnp.asarray(styles()[0][:16, :16])
    config = TransferConfig(steps=3, filters=4, directions=2)
    for method in METHODS.values():
        assert np.isfinite(method(clone(key), flat, style, config)).all()
        plain = method(clone(key), style, flat, config)
        np.testing.assert_allclose(plain.mean((0, 1)), 0.3, atol=0.08)


def test_mapped_pairs_are_single_ones_and_keys_matter():
    config = TransferConfig(steps=4, filters=4, directions=2)
    keys = jax.random.split(jax.random.key(7), 2)
    pairs = [jnp.asarray(x[:, :16, :16]) for x in (contents(), styles())]
    one = lambda key, content, style: gram(key, content, style, config)  # noqa: E731
    mapped = jax.jit(jax.vmap(one))(clone(keys), *pairs)
    single = jax.jit(one)
    looped = [single(clone(keys)[n], pairs[0][n], pairs[1][n]) for n in range(2)]
    np.testing.assert_allclose(mapped, looped, atol=2e-3)
    other = single(clone(keys)[1], pairs[0][0], pairs[1][0])
    assert abs(other - mapped[0]).mean() > 0.01


def test_what_is_refused(key):
    image = jnp.zeros((16, 16, 3))
    for method in METHODS.values():
        with pytest.raises(ValueError, match="16 pixels or more"):
            method(key, image[:12, :12], image[:12, :12])
        with pytest.raises(ValueError, match="two squares"):
            method(key, image, jnp.zeros((18, 18, 3)))
