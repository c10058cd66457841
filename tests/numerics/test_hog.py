"""Oriented gradients against loops in NumPy, and against scikit-image."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from jaxbias.numerics import hog

SIDES = ((64, 48), (33, 57), (24, 31))


def pictures(height: int, width: int) -> np.ndarray:
    """Noise, a smooth field, shapes, grey noise and a constant."""
    generator = np.random.default_rng(width)
    noise = generator.uniform(size=(2, height, width, 3))
    smooth = ndimage.gaussian_filter(noise[1], (2, 2, 0))
    y, x = np.mgrid[:height, :width]
    shapes = np.stack([0.3 + 0.5 * (x > y), (x // 5 + y // 7) % 2, y / height], -1)
    grey = np.repeat(noise[1][..., :1], 3, -1)
    constant = np.full((height, width, 3), 0.4)
    return np.stack([noise[0], smooth, shapes, grey, constant]).astype(np.float32)


def modelled(image: np.ndarray) -> np.ndarray:
    """Histograms, one pixel after the other, in float64."""
    roots = np.sqrt(image.astype(np.float64))
    height, width, _ = image.shape
    x, y = np.zeros_like(roots), np.zeros_like(roots)
    y[1:-1] = roots[2:] - roots[:-2]
    x[:, 1:-1] = roots[:, 2:] - roots[:, :-2]
    found = np.zeros((height // 8, width // 8, 9))
    for i, j in np.ndindex(height // 8 * 8, width // 8 * 8):
        sizes = np.hypot(x[i, j], y[i, j])
        k = sizes.argmax()
        angle = np.rad2deg(np.arctan2(y[i, j, k], x[i, j, k])) % 180
        found[i // 8, j // 8, int(angle // 20)] += sizes[k] / 64
    return found


@pytest.mark.parametrize("sides", SIDES)
def test_histograms_are_those_of_single_pixels(sides):
    images = pictures(*sides)
    expected = np.stack([modelled(image) for image in images])
    found = np.asarray(hog.histograms(jnp.asarray(images)))
    # A gradient at the edge of its sector may fall to either side in float32.
    assert (np.abs(found - expected) > 1e-5).mean() < 2e-3


@pytest.mark.parametrize("sides", SIDES)
def test_picture_and_descriptor_are_scikit_image_s(sides):
    feature = pytest.importorskip("skimage.feature")
    images = pictures(*sides)
    drawn = np.asarray(hog.picture(jnp.asarray(images)))
    described = np.asarray(hog.descriptor(jnp.asarray(images)))
    for image, picture, features in zip(images, drawn, described, strict=True):
        expected, lines = feature.hog(
            image, visualize=True, transform_sqrt=True, channel_axis=-1
        )
        assert features.shape == expected.shape
        assert (np.abs(picture - lines) > 1e-5).mean() < 1e-3
        assert (np.abs(features - expected) > 1e-4).mean() < 1e-2


def test_lines_are_bresenham_s():
    draw = pytest.importorskip("skimage.draw")
    for start in np.ndindex(4, 4):
        for end in np.ndindex(8, 8):
            rows, columns = draw.line(*start, *end)
            expected = list(zip(rows.tolist(), columns.tolist(), strict=True))
            assert hog.bresenham(start, end) == expected


@pytest.mark.parametrize("turn", [0, 1])
def test_a_ramp_has_one_orientation_and_is_drawn_along_its_edges(turn):
    ramp = np.linspace(0.1, 0.9, 32, dtype=np.float32) ** 2
    image = np.broadcast_to(ramp[None, :, None], (32, 32, 3))
    image = np.ascontiguousarray(np.rot90(image, turn))[None]
    found = np.asarray(hog.histograms(jnp.asarray(image)))[0, 1:3, 1:3]
    # The root of the ramp is straight: 0.8 / 31 a pixel, and twice that across two.
    sector = 0 if turn == 0 else 4
    np.testing.assert_allclose(found[..., sector], 1.6 / 31, rtol=1e-4)
    assert np.delete(found, sector, -1).max() == 0
    drawn = np.asarray(hog.picture(jnp.asarray(image)))[0, 8:16, 8:16] > 0
    rows, columns = np.nonzero(drawn)
    along, across = (rows, columns) if turn == 0 else (columns, rows)
    assert np.ptp(along) >= 5 and np.ptp(across) <= 1


def test_limits():
    constant = jnp.full((2, 24, 24, 3), 0.3)
    assert not hog.descriptor(constant).any() and not hog.picture(constant).any()
    small = jnp.asarray(pictures(17, 23)[:1])
    drawn = np.asarray(hog.picture(small))[0]
    assert drawn[:16, :16].any() and not drawn[16:].any() and not drawn[:, 16:].any()
    with pytest.raises(ValueError, match="a block has 24 x 24"):
        hog.descriptor(small)
    with pytest.raises(ValueError, match="a cell has 8 x 8"):
        hog.picture(small[:, :7])
    assert np.isfinite(np.asarray(hog.picture(small - 0.5))).all()


def test_compiled_equals_eager():
    images = jnp.asarray(pictures(24, 31)[:2])
    with jax.disable_jit():
        eager = hog.descriptor(images), hog.picture(images)
    np.testing.assert_allclose(hog.descriptor(images), eager[0], atol=1e-6)
    np.testing.assert_allclose(hog.picture(images), eager[1], atol=1e-6)
