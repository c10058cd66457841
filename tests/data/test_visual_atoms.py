"""Contours: lines as a serial loop draws them, waves and noise of the law asked."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbias.data.generators import visual_atoms
from jaxbias.data.generators.visual_atoms import Code, Config

FEW = Config(size=32, vertices=(5, 40), contours=(1, 6))


def atom(vertices=200, contours=1, radius=40, noise=0.0, frequency=(0, 0)):
    return Code(
        vertices=jnp.int32(vertices),
        contours=jnp.int32(contours),
        radius=jnp.int32(radius),
        oval=jnp.ones(2),
        noise=jnp.float32(noise),
        frequency=jnp.asarray(frequency, jnp.int32),
        growth=jnp.float32(0),
    )


def line(image, start, end, level):
    """A step at a time along the longer side, halves rounded up."""
    way = np.asarray(end) - start
    steps = max(abs(way).max(), 1)
    for step in range(steps):
        column, row = np.floor(start + step * way / steps + 0.5).astype(int)
        if 0 <= column < len(image) and 0 <= row < len(image):
            image[row, column] = level


@pytest.mark.parametrize("count", [1, 4, 9])
def test_an_outline_is_lines_from_corner_to_corner(count):
    rng = np.random.default_rng(count)
    corners = rng.integers(-4, 24, (2, 9))
    found = visual_atoms.outlined(
        jnp.zeros((20, 20)), jnp.asarray(corners), jnp.int32(count), jnp.float32(7)
    )
    expected = np.zeros((20, 20))
    for number in range(count):
        line(expected, corners[:, number], corners[:, (number + 1) % count], 7)
    assert expected.any()
    np.testing.assert_array_equal(found, expected)


@pytest.fixture(scope="module")
def drawn():
    """Images of 512 by 512, whose lengths are pixels."""
    config = Config(size=512, vertices=(200, 400), contours=(1, 30))
    return jax.jit(lambda key, code: visual_atoms.draw(key, code, config))


def test_contours_are_closed_and_grow_by_their_waves(drawn, key):
    """In polar coordinates about the middle, which the image itself tells."""
    code = atom(vertices=400, contours=30, radius=50, noise=1.0, frequency=(5, 5))
    for one in jax.random.split(key, 8):
        image = np.asarray(drawn(one, code))[..., 0]
        middle_key, _, _ = jax.random.split(jax.random.clone(one), 3)
        across, down = np.asarray(jax.random.randint(middle_key, (2,), 0, 1025)) / 2
        if min(across, down, 512 - across, 512 - down) > 140:
            break
    row, column = np.nonzero(image)
    away = np.hypot(column - across, row - down)
    angle = np.arctan2(row - down, column - across) % (2 * np.pi)
    # Where the wave takes back what a contour grows by, noise alone moves it.
    assert 43 < away.min() < 51
    # The outermost contour: 30 times 1 + sin(5 angle), and noise of 30^(1/2) times its own.
    sector = (angle / (2 * np.pi) * 50).astype(int)
    outer = np.asarray([away[sector == number].max() for number in range(50)])
    expected = 50 + 30 * (1 + np.sin(5 * 2 * np.pi * (np.arange(50) + 0.5) / 50))
    assert np.corrcoef(outer, expected)[0, 1] > 0.95
    assert abs(outer - expected).max() < 15
    # Closed: at every angle there is a contour.
    assert len(set((angle / (2 * np.pi) * 120).astype(int))) == 120


def test_a_circle_has_its_radius_and_a_level_of_grey(drawn, key):
    image = np.asarray(drawn(jax.random.clone(key), atom(radius=45)))
    assert image.shape == (512, 512, 3) and image.dtype == np.float32
    levels = np.unique(image)
    assert len(levels) == 2 and levels[0] == 0 and 0 < levels[1] <= 1
    middle_key, _, _ = jax.random.split(key, 3)
    across, down = np.asarray(jax.random.randint(middle_key, (2,), 0, 1025)) / 2
    row, column = np.nonzero(image[..., 0])
    away = np.hypot(column - across, row - down)
    np.testing.assert_allclose(away, 45, atol=1.5)


def test_noise_is_that_of_a_random_place_on_a_line():
    found = np.asarray(visual_atoms.noise(jax.random.key(1), 40_000)).ravel()
    rng = np.random.default_rng(0)
    slopes = rng.integers(0, 16, (2, 80_000))
    slopes = np.where(slopes & 8, -1.0, (slopes & 7) + 1.0)
    place = rng.random(80_000)
    fade = 6 * place**5 - 15 * place**4 + 10 * place**3
    expected = 0.4 * ((1 - fade) * slopes[0] * place + fade * slopes[1] * (place - 1))
    levels = np.linspace(0.01, 0.99, 25)
    apart = np.quantile(found, levels) - np.quantile(expected, levels)
    assert abs(apart).max() < 0.02
    assert found.std() == pytest.approx(expected.std(), rel=0.02)
    right, down = found.reshape(2, -1)
    assert abs(np.corrcoef(right, down)[0, 1]) < 0.02


def test_codes_follow_their_law():
    config = Config(size=32, frequency=(0, 3))
    keys = jax.random.split(jax.random.key(2), 4_000)
    codes = jax.jit(jax.vmap(lambda key: visual_atoms.code(key, config)))(keys)
    for value, (low, high) in (
        (codes.vertices, (200, 1_000)),
        (codes.contours, (1, 200)),
        (codes.radius, (0, 50)),
        (codes.oval, (1, 2)),
        (codes.noise, (0, 4)),
        (codes.growth, (0, 0.01)),
    ):
        share = (np.asarray(value) - low) / (high - low)
        assert share.min() >= 0 and share.max() <= 1
        assert share.max() > 0.98 and share.min() < 0.02
        assert share.mean() == pytest.approx(0.5, abs=0.02)
    first, second = np.asarray(codes.frequency).T
    table = np.histogram2d(first, second, bins=np.arange(5) - 0.5)[0] / 4_000
    # A second one is drawn until it differs, but two zeros may stay.
    expected = (1 - np.eye(4)) / 12
    expected[0] = 1 / 16
    np.testing.assert_allclose(table, expected, atol=0.02)
    flat = jax.vmap(lambda code: visual_atoms.parameters(code, config))(codes)
    assert flat.shape == (4_000, 9)
    assert flat.min() >= 0 and flat.max() <= 1


@pytest.mark.slow
def test_vmap_changes_nothing():
    keys = jax.random.split(jax.random.key(3), (4, 2))

    def one(keys):
        code = visual_atoms.code(keys[0], FEW)
        return visual_atoms.draw(keys[1], code, FEW)

    plain = np.asarray(jax.jit(lambda keys: jax.lax.map(one, keys))(keys))
    many = np.asarray(jax.jit(jax.vmap(one))(jax.tree.map(jax.random.clone, keys)))
    # A corner may fall on the other side of an edge by rounding.
    assert (plain == many).mean() > 0.995
    assert plain.max() > 0.1 and len(np.unique(plain)) > 4
