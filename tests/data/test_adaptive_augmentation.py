"""Adaptive augmentation: each change by its definition, none at 0, and how often."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbias.data import adaptive_augmentation as ada

SIZE = 16

changed = jax.jit(ada.changed)
draw = jax.jit(ada.drawn, static_argnums=2)


def waves(size, linear=None, shift=(0.0, 0.0)):
    """A smooth image by formula, as its reflections too: as it is, or where it goes."""
    middle = (size - 1) / 2
    grid = np.stack(np.meshgrid(*2 * [np.arange(size) - middle], indexing="ij"), -1)
    inverse = np.linalg.inv(np.eye(2) if linear is None else linear)
    y, x = np.moveaxis((grid - np.asarray(shift)) @ inverse.T, -1, 0) + middle
    # Mirrored at the outermost pixels.
    unit = np.pi / (size - 1)
    parts = [
        np.cos(unit * x),
        np.cos(unit * y) * np.cos(unit * x),
        np.cos(2 * unit * y),
    ]
    return np.stack(parts, -1).astype(np.float32)[None]


def with_one(**changes):
    made = {name: jnp.asarray(value)[None] for name, value in changes.items()}
    return ada.nothing(1)._replace(**made)


@pytest.fixture(scope="module")
def noise():
    return jnp.asarray(
        np.random.default_rng(0).normal(size=(1, SIZE, SIZE, 3)).astype(np.float32)
    )


def test_the_filter_is_orthogonal_and_has_six_vanishing_moments():
    taps = ada.WAVELET
    assert taps.sum() == pytest.approx(2**0.5)
    for shift in range(6):
        product = taps[2 * shift :] @ taps[: len(taps) - 2 * shift]
        assert product == pytest.approx(float(shift == 0), abs=1e-9)
    places, signs = np.arange(12), (-1.0) ** np.arange(12)
    for power in range(6):
        assert (signs * places**power) @ taps == pytest.approx(0, abs=1e-8)


def test_nothing_is_done_at_0(key, noise):
    keys = jax.random.split(key, 1)
    found = jax.jit(ada.augmented)(keys, noise, jnp.float32(0))
    np.testing.assert_allclose(found, noise, atol=1e-5)


@pytest.mark.parametrize("quarters", range(4))
def test_pixels_are_mirrored_turned_and_moved(noise, quarters):
    changes = with_one(mirrored=True, quarters=quarters, moved=np.array([2, -1]))
    found = changed(noise, changes)[0]
    expected = np.rot90(np.asarray(noise)[0, :, ::-1], quarters)
    wide = np.pad(expected, ((2, 2), (2, 2), (0, 0)), mode="reflect")
    np.testing.assert_allclose(found, wide[0:SIZE, 3 : SIZE + 3], atol=1e-5)


def turn(angle):
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


@pytest.mark.parametrize(
    ("linear", "shift"),
    [
        (1.2 * np.eye(2), (0.0, 0.0)),
        (np.diag([0.9, 1 / 0.9]), (0.0, 0.0)),
        (turn(0.6), (0.0, 0.0)),
        (np.eye(2), (1.3, -2.6)),
        (np.diag([1.1, 1 / 1.1]) @ turn(-2.0), (0.7, 0.2)),
    ],
    ids=["scale", "shape", "turn", "shift", "all"],
)
def test_images_are_scaled_turned_and_shifted(linear, shift):
    image = jnp.asarray(waves(SIZE))
    changes = with_one(linear=np.float32(linear), shift=np.float32(shift))
    found = changed(image, changes)
    # Bilinear interpolation of doubled pixels is near the waves, not on them.
    np.testing.assert_allclose(found, waves(SIZE, linear, shift), atol=0.02)


def test_a_right_angle_is_a_quarter(noise):
    smooth = jnp.asarray(waves(SIZE))
    turned = changed(smooth, with_one(linear=np.float32(turn(np.pi / 2))))
    quarter = changed(smooth, with_one(quarters=1))
    np.testing.assert_allclose(turned, quarter, atol=0.01)


def test_far_away_there_is_nothing(noise):
    found = changed(noise, with_one(shift=np.float32([0, 6 * SIZE])))
    assert float(jnp.abs(found).max()) == 0


def drawn(probability, count=4_000):
    keys = jax.random.split(jax.random.key(5), count)
    return ada.Changes(*map(np.asarray, draw(keys, jnp.float32(probability), 32)))


def test_what_is_drawn_has_its_law():
    changes = drawn(1)
    assert changes.mirrored.mean() == pytest.approx(0.5, abs=0.03)
    assert np.bincount(changes.quarters) / 4_000 == pytest.approx([0.25] * 4, abs=0.03)
    assert np.abs(changes.moved).max() == 4
    assert changes.moved.std() == pytest.approx(8 / 12**0.5, rel=0.05)
    assert changes.shift.std() == pytest.approx(4, rel=0.05)
    # Both scales make the singular values; their product is the first alone, squared.
    first = np.log2(np.linalg.det(changes.linear)) / 2
    assert first.std() == pytest.approx(0.2, rel=0.05)
    values = np.log2(np.linalg.svd(changes.linear)[1])
    second = (values[:, 0] - values[:, 1]) / 2
    assert np.sqrt((second**2).mean()) == pytest.approx(0.2, rel=0.05)
    # Grey is an axis of all that is done to colours.
    grey = np.full(3, 3**-0.5)
    along = changes.colours @ grey
    factor = along @ grey
    np.testing.assert_allclose(along, factor[:, None] * grey, atol=1e-5)
    assert (factor < 0).mean() == pytest.approx(0.5, abs=0.03)
    assert np.log2(np.abs(factor)).std() == pytest.approx(0.5, rel=0.05)
    assert (changes.offset / factor).std() == pytest.approx(0.2, rel=0.05)
    across = np.abs(np.linalg.det(changes.colours) / factor) ** 0.5
    assert np.log2(across / np.abs(factor)).std() == pytest.approx(1, rel=0.05)
    plane = np.array([1, -1, 0]) / 2**0.5
    cosine = (changes.colours @ plane @ plane) / across
    # Of an angle that is uniform, and its pair of axes.
    assert np.mean(cosine**2) == pytest.approx(0.5, abs=0.03)


def test_a_share_is_changed():
    changes = drawn(0.3)
    unchanged = {
        "moved": (changes.moved == 0).all(1),
        "shift": (changes.shift == 0).all(1),
        "offset": changes.offset == 0,
    }
    # An eighth of all moves along a side are less than half a pixel.
    expected = {"moved": 0.7 + 0.3 / 64, "shift": 0.7, "offset": 0.7}
    for name, own in unchanged.items():
        assert own.mean() == pytest.approx(expected[name], abs=0.03), name
    assert changes.mirrored.mean() == pytest.approx(0.15, abs=0.02)
    symmetric = np.abs(changes.linear[:, 0, 1]) < 1e-7
    assert symmetric.mean() == pytest.approx(0.7, abs=0.03)
    nothing = drawn(0)
    for own, other in zip(nothing, ada.nothing(4_000), strict=True):
        np.testing.assert_array_equal(own, other)


def test_colours_are_what_they_are_called(noise):
    pixels = np.asarray(noise)
    third = ada.hue_rotation(jnp.float32(2 * np.pi / 3))
    found = changed(noise, with_one(colours=third, offset=np.float32(0.25)))
    np.testing.assert_allclose(found, np.roll(pixels, 1, -1) + 0.25, atol=1e-5)


def test_gradients_are_those_of_a_linear_map(key, noise):
    """What the generator learns through."""
    images = jnp.concatenate([noise, 2 * noise[:, ::-1]])
    other = jax.random.normal(jax.random.key(3), images.shape)

    @jax.jit
    def products(images, keys):
        made = ada.drawn(keys, jnp.float32(0.9), SIZE)
        linear = lambda x: changed(x, made._replace(offset=jnp.zeros(2)))  # noqa: E731
        found, back = jax.vjp(linear, images)
        return found, jnp.sum(found * other), jnp.sum(images * back(other)[0])

    found, there, here = products(images, jax.random.split(key, 2))
    assert float(there) == pytest.approx(float(here), rel=1e-3)
    assert (jnp.abs(found - images).max((1, 2, 3)) > 0.1).all()
