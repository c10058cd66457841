"""Each geometric change against its definition, and what the generator is told of it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbias.data import geometric_augmentation as geometric
from jaxbias.data.geometric_augmentation import FACTOR, SHIFT, Changes, Geometric

SIZE = 16
NOTHING = Changes(*(jnp.zeros(3) for _ in Changes._fields))


@pytest.fixture(scope="module")
def images():
    values = np.random.default_rng(0).normal(size=(3, SIZE, SIZE, 2))
    return jnp.asarray(values, jnp.float32)


def done(images, **changes):
    wanted = {name: jnp.full(3, value) for name, value in changes.items()}
    return np.asarray(geometric.moved(images, NOTHING._replace(**wanted)))


def test_flips_are_exact_and_nothing_is_nothing(images):
    np.testing.assert_array_equal(done(images), images)
    np.testing.assert_array_equal(done(images, mirrored=1.0), images[:, :, ::-1])
    np.testing.assert_array_equal(done(images, upturned=1.0), images[:, ::-1])


def test_whole_pixels_are_moved_and_reflections_come_in(images):
    found = done(images, right=3 / (SHIFT * SIZE), down=-2 / (SHIFT * SIZE))
    wide = np.pad(images, ((0, 0), (0, 2), (3, 0), (0, 0)), mode="reflect")
    np.testing.assert_allclose(found, wide[:, 2:, :SIZE], atol=1e-6)
    # Again and again, however far.
    found = done(images, right=(2 * SIZE - 2) / (SHIFT * SIZE))
    np.testing.assert_allclose(found, images, atol=1e-6)


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_quarter_turns_are_counter_clockwise(images, quarters):
    found = done(images, turn=quarters * np.pi / 2)
    expected = np.rot90(images, quarters, axes=(1, 2))
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize(
    "changes",
    [
        {"scale": 1.3},
        {"turn": 0.4},
        {"stretch": 1.5, "direction": 0.7},
        {"scale": -0.5, "turn": -1.0, "stretch": 0.8, "direction": 2.0},
        {"mirrored": 1.0, "turn": 0.3, "scale": 0.5, "right": 0.4, "down": -0.6},
    ],
    ids=lambda changes: "-".join(changes),
)
def test_changes_are_the_published_matrices(changes):
    """On a quadratic function of the place, on which the interpolation is exact."""
    get = lambda name: changes.get(name, 0.0)  # noqa: E731

    def turn(angle):
        c, s = np.cos(angle), np.sin(angle)
        return np.asarray([[c, -s], [s, c]])

    grow = lambda x, y: np.diag([FACTOR**x, FACTOR**y])  # noqa: E731
    direction, stretch = get("direction"), get("stretch")
    forward = np.diag([1 - 2 * get("mirrored"), 1 - 2 * get("upturned")])
    forward = grow(get("scale"), get("scale")) @ forward
    forward = turn(-get("turn")) @ forward
    forward = turn(direction) @ grow(stretch, -stretch) @ turn(-direction) @ forward
    shift = SHIFT * SIZE * np.asarray([get("right"), get("down")])
    middle = (SIZE - 1) / 2
    after = np.stack(np.meshgrid(*[np.arange(SIZE) - middle] * 2), axis=-1)
    before = (after - shift) @ np.linalg.inv(forward).T

    def function(places):
        x, y = places[..., 0] / SIZE, places[..., 1] / SIZE
        return 0.3 + x - 2 * y + x**2 - 1.5 * x * y + 0.5 * y**2

    image = jnp.asarray(function(after), jnp.float32)[None, :, :, None]
    found = done(jnp.tile(image, (3, 1, 1, 2)), **changes)
    # Where no reflection weighs.
    inside = (np.abs(before) <= middle - 2).all(-1)
    assert inside.mean() > 0.3
    np.testing.assert_allclose(
        found[1, ..., 1][inside], function(before)[inside], atol=1e-5
    )


def test_numbers_tell_what_was_done(images, key):
    keys = jax.random.split(key, 2_000)
    changes = geometric.drawn(jax.random.clone(keys), 1.0)
    told = np.asarray(changes.told)
    assert told.shape == (2_000, geometric.NUMBERS)
    # The cosine of a small angle is 1.
    assert (np.delete(told, (0, 1, 3), axis=1) != 0).all()
    assert set(told[:, :2].ravel()) == {0.0, 1.0}
    assert np.abs(told[:, :2].mean(0) - 0.5).max() < 0.05
    # Normal, all but the angle, whose cosine and sine they are; none follows another.
    turn = np.arctan2(told[:, 4], told[:, 3] + 1)
    np.testing.assert_allclose(turn, changes.turn, atol=1e-4)
    np.testing.assert_allclose(
        np.hypot(told[:, 5], told[:, 6]), np.abs(changes.stretch), atol=1e-4
    )
    deviations = np.stack([changes.scale, changes.stretch, *told[:, 7:].T]).std(1)
    np.testing.assert_allclose(deviations, 1, atol=0.06)
    np.testing.assert_allclose(np.std(changes.turn), np.pi / 3**0.5, rtol=0.04)
    apart = np.corrcoef(np.stack(changes)) - np.eye(len(changes))
    assert np.abs(apart).max() < 0.1
    # And the images are those of the changes that are told.
    found, said = Geometric(1.0)(jax.random.clone(keys[:3]), images)
    first = Changes(*(values[:3] for values in changes))
    np.testing.assert_allclose(said, told[:3], atol=1e-6)
    np.testing.assert_allclose(found, geometric.moved(images, first), atol=1e-5)


def test_changes_are_as_frequent_as_asked_for(key):
    told = np.asarray(geometric.drawn(jax.random.split(key, 4_000), 0.12).told)
    shares = (told != 0).mean(0)
    np.testing.assert_allclose(shares[[2, 4, 5, 7]], 0.12, atol=0.02)
    np.testing.assert_allclose(shares[:2], [0.5, 0.06], atol=0.03)
    # Both numbers of one change are there or not.
    for pair in ((5, 6), (7, 8)):
        assert ((told[:, pair[0]] != 0) == (told[:, pair[1]] != 0)).all()


def test_no_share_is_no_change(images, key):
    found, told = jax.jit(Geometric(0.0))(jax.random.split(key, 3), images)
    np.testing.assert_array_equal(found, images)
    assert not told.any()
    assert Geometric(0.1) == Geometric(0.1) and hash(Geometric(0.1))
