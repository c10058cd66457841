"""Canny's edges against a NumPy model of OpenCV's, and against OpenCV itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from jaxbias.numerics.edges import canny

SIDES = ((96, 64), (33, 57), (7, 5), (1, 9))


def pictures(height: int, width: int) -> np.ndarray:
    """Noise, two smooth fields, ramps, shapes, a constant and a spiral, in 8 bits."""
    generator = np.random.default_rng(height)
    noise = generator.normal(size=(2, height, width, 3))
    smooth = ndimage.gaussian_filter(noise[0], (2, 2, 0))
    fine = ndimage.gaussian_filter(noise[1], (0.8, 0.8, 0))
    y, x = np.mgrid[:height, :width]
    disc = (x - width / 2) ** 2 + (y - height / 3) ** 2 < (min(height, width) / 3) ** 2
    turns = np.hypot(x - width / 2, y - height / 2) / 4
    turns += np.arctan2(y - height / 2, x - width / 2) / (2 * np.pi)
    found = [
        generator.integers(0, 256, (height, width, 3)),
        128 + 60 * smooth / smooth.std(),
        128 + 60 * fine / fine.std(),
        np.stack([255 * x / width, 255 * y / height, (x + y) % 97 * 2.6], -1),
        np.stack([200 * disc, 255 * (x > width / 2), (x // 5 + y // 7) % 2 * 120], -1),
        np.full((height, width, 3), 77),
        # One long edge: from a strong start its faint part is found step by step.
        np.stack([(np.floor(turns) % 2) * (25 + 3.5 * turns**2)] * 3, -1),
    ]
    return np.clip(np.stack(found), 0, 255).astype(np.uint8)


def modelled(image: np.ndarray, low: int, high: int) -> np.ndarray:
    """What OpenCV does, in plain NumPy."""
    value = image.astype(int)
    for axis in (0, 1):
        pad = [(0, 0)] * 3
        pad[axis] = (1, 1)
        mode = "reflect" if value.shape[axis] > 1 else "edge"
        wide = np.moveaxis(np.pad(value, pad, mode), axis, 0)
        value = np.moveaxis(wide[:-2] + 2 * wide[1:-1] + wide[2:], 0, axis)
    wide = np.pad((value + 8) >> 4, ((1, 1), (1, 1), (0, 0)), "edge")
    rows = wide[:-2] + 2 * wide[1:-1] + wide[2:]
    columns = wide[:, :-2] + 2 * wide[:, 1:-1] + wide[:, 2:]
    x, y = rows[:, 2:] - rows[:, :-2], columns[2:] - columns[:-2]
    channel = (abs(x) + abs(y)).argmax(-1)[..., None]
    x, y = (np.take_along_axis(each, channel, -1)[..., 0] for each in (x, y))
    size = np.pad(abs(x) + abs(y), 1)
    kept = np.zeros(x.shape, bool)
    for i, j in np.ndindex(x.shape):
        near = size[i : i + 3, j : j + 3]
        here, steep, flat = near[1, 1], abs(y[i, j]) << 15, abs(x[i, j]) * 13573
        if steep < flat:
            ridge = here > near[1, 0] and here >= near[1, 2]
        elif steep > flat + (abs(x[i, j]) << 16):
            ridge = here > near[0, 1] and here >= near[2, 1]
        elif x[i, j] * y[i, j] < 0:
            ridge = here > near[0, 2] and here > near[2, 0]
        else:
            ridge = here > near[0, 0] and here > near[2, 2]
        kept[i, j] = ridge and here > low
    parts, _ = ndimage.label(kept, np.ones((3, 3)))
    strong = np.unique(parts[kept & (size[1:-1, 1:-1] > high)])
    return kept & np.isin(parts, strong)


def found(pixels: np.ndarray, **options: int) -> np.ndarray:
    return np.asarray(canny(jnp.asarray(pixels, jnp.float32) / 255, **options))[..., 0]


@pytest.mark.parametrize("sides", SIDES)
def test_no_pixel_differs_from_the_model(sides):
    pixels = pictures(*sides)
    expected = np.stack([modelled(image, 85, 255) for image in pixels])
    np.testing.assert_array_equal(found(pixels), expected)
    assert set(np.unique(found(pixels))) <= {0.0, 1.0}


@pytest.mark.parametrize("sides", SIDES)
def test_no_pixel_differs_from_opencv(sides):
    cv2 = pytest.importorskip("cv2")
    pixels = pictures(*sides)
    if min(sides) == 1:
        # OpenCV 5 blurs a single row in another way.
        pixels = pixels[-2:]
    expected = [cv2.Canny(cv2.GaussianBlur(p, (3, 3), 0), 85, 255) for p in pixels]
    np.testing.assert_array_equal(found(pixels) * 255, np.stack(expected))


def test_weak_edges_hold_where_a_path_leads_to_strong_ones():
    spiral = pictures(96, 64)[-1:]
    weak, strong = found(spiral, high=85), found(spiral, low=255)
    both = found(spiral)
    assert strong.sum() < both.sum() < weak.sum()
    # The path is far longer than what is grown before a look is taken.
    parts, _ = ndimage.label(both[0], np.ones((3, 3)))
    grown = strong[0] > 0
    for _ in range(8):
        grown = ndimage.binary_dilation(grown, np.ones((3, 3))) & (weak[0] > 0)
    assert grown.sum() < both.sum()
    for part in range(1, parts.max() + 1):
        assert strong[0][parts == part].any()


def test_compiled_equals_eager_and_images_do_not_touch():
    pixels = pictures(33, 57)
    alone = np.concatenate([found(image[None]) for image in pixels[[0, 4]]])
    np.testing.assert_array_equal(found(pixels)[[0, 4]], alone)
    with jax.disable_jit():
        np.testing.assert_array_equal(found(pixels[4:5, :12, :14]).shape, (1, 12, 14))
        eager = found(pixels[4:5, :12, :14])
    np.testing.assert_array_equal(eager, found(pixels[4:5, :12, :14]))


def test_values_are_rounded_to_levels():
    pixels = pictures(33, 57)[1:2]
    near = jnp.clip(jnp.asarray(pixels, jnp.float32) / 255 + 0.4 / 255, 0, 1)
    np.testing.assert_array_equal(np.asarray(canny(near))[..., 0], found(pixels))


def test_thresholds_in_the_wrong_order_are_refused():
    with pytest.raises(ValueError, match="0 <= low <= high"):
        canny(jnp.zeros((1, 4, 4, 3)), low=5, high=4)
