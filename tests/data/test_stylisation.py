"""Weight-free stylisation: statistics from the style, shape from the content."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from jaxbias.data import stylisation
from jaxbias.data.stylisation import joined, split, stylised

SIDE = 32
ROW, COLUMN = np.mgrid[:SIDE, :SIDE]


def textures():
    """Fine and coarse, of four colours; float32, 0 to 1."""
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(SIDE, SIDE))
    waves = [
        np.sin(2 * np.pi * (ROW + COLUMN) / 4.5),
        np.sign(np.sin(2 * np.pi * ROW / 8) * np.sin(2 * np.pi * COLUMN / 8 + 0.3)),
        noise / 3,
        ndimage.gaussian_filter(noise, 2, mode="wrap") * 5,
    ]
    middle = [[0.6, 0.5, 0.3], [0.4, 0.5, 0.5], [0.5, 0.4, 0.6], [0.4, 0.5, 0.4]]
    colour = [[0.3, 0.2, 0.1], [0.3, -0.2, 0.1], [0.3, 0.3, 0.2], [0.2, 0.3, -0.2]]
    pairs = zip(waves, np.array(middle), np.array(colour), strict=True)
    images = [m + w[..., None] * c for w, m, c in pairs]
    return np.clip(images, 0, 1).astype(np.float32)


def shapes():
    """A disc, a cross and a triangle with a faint texture."""
    y, x = (ROW - 15.5) / 16, (COLUMN - 15.5) / 16
    masks = [
        y**2 + x**2 < 0.4,
        (abs(x) < 0.22) | (abs(y) < 0.22),
        (y < 0.6) & (abs(x) < (y + 0.7) / 1.6),
    ]
    grain = 0.05 * np.random.default_rng(1).normal(size=(SIDE, SIDE, 1))
    images = [
        0.25 + 0.5 * m[..., None] * np.array([1, 0.9, 0.7]) + grain for m in masks
    ]
    return np.clip(images, 0, 1).astype(np.float32)


@pytest.fixture(scope="module")
def conflicts():
    """(shape, texture, side, side, 3)."""
    content, style = shapes(), textures()
    pairs = (
        jnp.asarray(np.repeat(content, 4, 0)),
        jnp.asarray(np.tile(style, (3, 1, 1, 1))),
    )
    made = jax.jit(lambda c, s: jax.lax.map(lambda x: stylised(*x), (c, s)))(*pairs)
    return np.asarray(made).reshape(3, 4, SIDE, SIDE, 3)


def edges(image):
    """Of grey, blurred so that edges one pixel away still agree."""
    grey = ndimage.gaussian_filter(np.asarray(image, np.float64).mean(-1), 2.0)
    return np.hypot(ndimage.sobel(grey, 0), ndimage.sobel(grey, 1))


def alike(first, second):
    return np.corrcoef(edges(first).ravel(), edges(second).ravel())[0, 1]


def energies(image):
    """A texture's signature: log energy of differences of Gaussians and of gradients."""
    image = np.asarray(image, np.float64)
    blurred = [image, *(ndimage.gaussian_filter(image, (s, s, 0)) for s in (0.7, 1.4))]
    bands = [a - b for a, b in zip(blurred[:-1], blurred[1:], strict=True)]
    slopes = [np.diff(image, axis=0)[:, 1:], np.diff(image, axis=1)[1:]]
    parts = [*bands, *slopes, slopes[0] + slopes[1], slopes[0] - slopes[1]]
    return np.log(np.stack([(p**2).mean((0, 1)) for p in parts]) + 1e-5).ravel()


def test_shape_is_the_contents_and_texture_the_styles(conflicts):
    content, style = shapes(), textures()
    made = conflicts
    assert made.dtype == np.float32 and made.min() >= 0 and made.max() <= 1
    kept = [[alike(x, c) for x in row] for c, row in zip(content, made, strict=True)]
    taken = [[alike(x, s) for x, s in zip(row, style, strict=True)] for row in made]
    signatures = np.stack([energies(x) for x in (*style, *content)])
    away = [
        [np.linalg.norm(signatures - energies(x), axis=1).argmin() for x in row]
        for row in made
    ]
    assert np.mean(kept) > np.mean(taken) + 0.3
    # Never the content's; stripes of 3 pixels are taken for the chequers, at 32 pixels.
    named = np.array(away)
    assert named.max() < 4
    assert (named == np.arange(4))[:, 1:].all()


def test_bands_of_the_result_have_the_styles_statistics():
    rng = np.random.default_rng(2)
    first, second = (
        ndimage.gaussian_filter(
            rng.normal(size=(SIDE, SIDE, 3)), (s, s, 0), mode="wrap"
        )
        for s in (1.5, 0.7)
    )
    # Far from black and white, where nothing is cut off.
    content, style = (
        jnp.asarray(0.5 + 0.08 * x / x.std(), jnp.float32) for x in (first, second)
    )
    made = split(stylised(content, style))
    own, wanted = split(content), split(style)
    spreads = [np.asarray(x.std((1, 2))) for x in (made, wanted, own)]
    np.testing.assert_allclose(made.mean((1, 2)), wanted.mean((1, 2)), atol=0.01)
    off = np.abs(np.log(spreads[0] / spreads[1]))
    before = np.abs(np.log(spreads[2] / spreads[1]))
    # Of a sum of bands, each is a little of its neighbours; the coarsest keep the content.
    assert off[:2].max() < 0.3 < before[:2].max()
    assert off.mean() < before.mean() / 2


def test_an_image_in_its_own_style_stays():
    for image in (*textures()[2:], *shapes()[:2]):
        image = jnp.asarray(image)
        np.testing.assert_allclose(stylised(image, image), image, atol=1e-4)


def test_bands_are_the_image_in_orthonormal_colours():
    image = textures()[3]
    np.testing.assert_allclose(joined(split(jnp.asarray(image))), image, atol=1e-5)
    basis = stylisation.OPPONENT
    np.testing.assert_allclose(basis @ basis.T, np.eye(3), atol=1e-12)


def test_strength_is_traced_and_0_is_the_content():
    content, style = jnp.asarray(shapes()[0]), jnp.asarray(textures()[1])
    make = jax.jit(lambda s: stylised(content, style, strength=s))
    full, half, none = make(1.0), make(0.5), make(0.0)
    np.testing.assert_array_equal(none, content)
    eager = stylised(content, style)
    np.testing.assert_allclose(full, eager, atol=1e-5)
    far, near = (float(jnp.abs(x - content).mean()) for x in (full, half))
    assert 0 < near < far


def test_constant_images_are_no_accident():
    flat, style = jnp.full((16, 16, 3), 0.3), jnp.asarray(textures()[2][:16, :16])
    np.testing.assert_allclose(stylised(style, flat).mean((0, 1)), 0.3, atol=0.02)
    assert np.isfinite(stylised(flat, style)).all()


@pytest.mark.parametrize("side", [16, 17, 32])
def test_patches_cover_every_pixel(side):
    quilt = stylisation._quilt(side)
    np.testing.assert_allclose(quilt.weight.sum(1), 1, rtol=1e-6)
    # Where each patch comes from its own place, a pixel comes from itself.
    source = quilt.pixels[quilt.own, 0][quilt.block] + quilt.offset
    points = np.broadcast_to(np.arange(side**2)[:, None], source.shape)
    counted = quilt.weight > 0
    np.testing.assert_array_equal(source[counted], points[counted])


def test_what_is_refused():
    image = jnp.zeros((16, 16, 3))
    with pytest.raises(ValueError, match="16 pixels or more"):
        stylised(image[:12, :12], image[:12, :12])
    with pytest.raises(ValueError, match="two squares"):
        stylised(image, jnp.zeros((18, 18, 3)))
