"""Dead leaves: their law, their shapes, what is seen, and what a program keeps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib.path import Path

from jaxbias.data.generators import dead_leaves
from jaxbias.data.generators.dead_leaves import KINDS, NUMBERS, Config, Outlines
from jaxbias.numerics.diversity import spectral_slope

SMALL = Config(size=16, kind="mixed", most=400, front=20)


def uniform(count, seed=0):
    values = np.random.default_rng(seed).random((count, NUMBERS), np.float32)
    return jnp.asarray(values)


def fresh(config, count, seed=0):
    """Images with a code each."""

    def one(key):
        own, rest = jax.random.split(key)
        return dead_leaves.draw(rest, dead_leaves.code(own, config), config)

    draw = jax.jit(lambda keys: jax.lax.map(one, keys))
    return np.asarray(draw(jax.random.split(jax.random.key(seed), count)))


def covers(found, config):
    """By brute force: all leaves at all pixels."""
    centre = np.arange(config.size) + 0.5
    place, radius, normal, distance = (np.asarray(x, np.float64) for x in found)
    x = centre[None, None, :] - place[:, 0, None, None]
    y = centre[None, :, None] - place[:, 1, None, None]
    inside = x**2 + y**2 <= radius[:, None, None] ** 2
    for chord in range(4):
        cosine, sine = (normal[:, chord, i, None, None] for i in (0, 1))
        inside &= x * cosine + y * sine <= distance[:, chord, None, None]
    return inside


@pytest.mark.parametrize("size", [16, 36, 100])
def test_the_first_leaf_that_covers_a_pixel_is_seen(size):
    config = Config(size=size, most=300, front=20)
    found = dead_leaves.outlines(uniform(300), config)
    inside = covers(found, config)
    first = np.where(inside.any(0), inside.argmax(0), 299)
    seen = np.asarray(jax.jit(dead_leaves.first_leaf, static_argnums=1)(found, config))
    # Borders are rounded differently in single precision.
    assert (seen != first).mean() < 2e-3
    # Some are covered by none: both must have met that case.
    assert (first == 299).any() and len(np.unique(seen)) > 40


def test_leaves_are_seen_through_each_other():
    config = Config(size=20, most=300, front=20, opacity=0.5)
    assert config.layers == 8
    found = dead_leaves.outlines(uniform(300), config)
    inside = covers(found, config)
    seen = dead_leaves.first_leaf(found, config)
    second = np.asarray(dead_leaves.first_leaf(found, config, seen))
    behind = inside & (np.arange(300)[:, None, None] > np.asarray(seen)[None])
    expected = np.where(behind.any(0), behind.argmax(0), 299)
    assert (second != expected).mean() < 1e-2
    # The same leaves at either opacity: mixtures of colours are less various.
    key = jax.random.key(0)
    code = dead_leaves.code(jax.random.clone(key), config)
    clear = np.asarray(dead_leaves.draw(jax.random.clone(key), code, config))
    solid = dead_leaves.draw(key, code, Config(size=20, most=300, front=20))
    assert clear.min() >= 0 and clear.max() <= 1
    assert len(np.unique(clear[..., 0])) > 1.5 * len(np.unique(solid[..., 0]))
    assert 0.5 < np.corrcoef(clear.ravel(), np.asarray(solid).ravel())[0, 1] < 0.99


def test_one_leaf_alone_is_drawn_whole():
    """Large tiles of few pixels: no leaf is missed at the border of one."""
    config = Config(size=20, most=2, front=1)
    for place in np.random.default_rng(1).random((20, 2)) * 20:
        found = Outlines(
            jnp.asarray(np.stack([place, [1e6, 1e6]]), jnp.float32),
            jnp.asarray([3.0, 1.0]),
            jnp.zeros((2, 4, 2)),
            jnp.ones((2, 4)),
        )
        seen = np.asarray(dead_leaves.first_leaf(found, config))
        np.testing.assert_array_equal(seen == 0, covers(found, config)[0])


def test_radii_have_the_published_law():
    config = Config(size=1000)
    number = dead_leaves._radius_number(uniform(200_000)[:, 2], config)
    radii = np.linspace(0.03, 1.0, 200)
    weights = radii**-3.0 - 1
    shares = np.bincount(np.asarray(number), minlength=200) / 200_000
    expected = weights / weights.sum()
    # The nearest cumulative share: half a step from the shares themselves.
    nearest = np.abs(
        np.cumsum(expected)[None] - np.linspace(0, 1, 100_001)[:, None]
    ).argmin(1)
    steps = np.bincount(nearest, minlength=200) / 100_001
    assert np.abs(shares - steps).max() < 3e-3
    assert (shares[:20] > 0).all() and shares[-1] < 1e-3
    # The mean square sets how many leaves cover an image; 0.0057 without the grid's steps.
    assert (shares * radii**2).sum() == pytest.approx(0.0057, rel=0.2)
    outlines = dead_leaves.outlines(uniform(1000), Config(size=16))
    assert float(outlines.radius.min()) == 1.0
    assert (np.asarray(outlines.radius) % 1 == 0).all()


@pytest.mark.parametrize("kind", range(len(KINDS)))
def test_mixed_leaves_are_what_they_are_called(kind):
    config = Config(size=200, most=300, front=20)
    leaves = uniform(40, seed=kind).at[:, 3].set((kind + 0.5) / len(KINDS))
    leaves = leaves.at[:, 2].set(0.95).at[:, :2].set(0.5)
    found = dead_leaves.outlines(leaves, config)
    radius = float(found.radius[0])
    assert radius > 15
    inside = covers(found, config)
    angles = 2 * np.pi * np.asarray(leaves[:, 4:8], np.float64)
    for number, one in enumerate(inside):
        if KINDS[kind] == "circle":
            assert one.sum() == pytest.approx(np.pi * radius**2, rel=0.02)
            continue
        own = angles[number]
        corners = {
            "square": np.pi / 4 + np.pi / 2 * np.arange(4),
            "oriented square": own[0] + np.pi / 4 + np.pi / 2 * np.arange(4),
            "rectangle": own[0] / 4 * np.asarray([1, -1, 1, -1])
            + np.pi * np.asarray([0, 1, 1, 2]),
            "triangle": np.sort(own[:3]),
            "quadrilateral": np.sort(own),
        }[KINDS[kind]]
        path = Path(100 + radius * np.stack([np.cos(corners), np.sin(corners)], 1))
        centre = np.arange(200) + 0.5
        points = np.stack(np.meshgrid(centre, centre), -1).reshape(-1, 2)
        expected = path.contains_points(points).reshape(200, 200)
        assert (one != expected).sum() <= 6, (one != expected).sum()


@pytest.mark.parametrize("kind", ["squares", "oriented"])
def test_squares_have_their_area_and_turn(kind):
    config = Config(size=200, kind=kind)
    leaves = uniform(20).at[:, 2].set(0.95).at[:, :2].set(0.5)
    inside = covers(dead_leaves.outlines(leaves, config), config)
    radius = float(dead_leaves.outlines(leaves, config).radius[0])
    areas = inside.sum((1, 2)) / (2 * radius**2)
    assert np.abs(areas - 1).max() < 0.1
    upright = inside.any(1).sum(1) / (np.sqrt(2) * radius)
    if kind == "squares":
        assert np.ptp(upright) == 0 and abs(upright[0] - 1) < 0.06
    else:
        assert upright.max() > 1.3 and upright.min() < 1.15


def test_spectra_are_those_of_nature_and_nothing_stays_open():
    config = Config(size=64, kind="mixed")
    images = fresh(config, 48)
    assert images.shape == (48, 64, 64, 3)
    assert 0 <= images.min() and images.max() <= 1
    slopes = np.asarray(spectral_slope(jnp.asarray(images.mean(-1))))
    # Of 128 images of an independent program: -2.10.
    assert abs(slopes.mean() + 2.10) < 0.15
    # Colours and their places are uniform.
    assert np.abs(images.mean((0, 3)) - 0.5).mean() < 0.06
    leaves = dead_leaves.outlines(uniform(config.most), config)
    seen = dead_leaves.first_leaf(leaves, config)
    assert int(seen.max()) < config.most - 1


def test_images_of_a_program_share_the_leaves_in_front():
    config = Config(size=32, kind="mixed")
    code = dead_leaves.code(jax.random.key(0), config)
    draw = jax.jit(
        lambda keys: jax.lax.map(lambda k: dead_leaves.draw(k, code, config), keys)
    )
    same = np.asarray(draw(jax.random.split(jax.random.key(1), 24)))
    other = fresh(config, 24)
    assert np.abs(same - same.mean(0)).mean() < 0.95 * np.abs(other - 0.5).mean()
    still = Config(size=32, kind="mixed", moved=0.0)
    once = jax.jit(lambda key: dead_leaves.draw(key, code, still))
    kept = [np.asarray(once(jax.random.key(seed))) for seed in range(2)]
    front = dead_leaves.outlines(code.front, still)
    covered = covers(front, still).any(0)
    assert 0.02 < covered.mean() < 1
    np.testing.assert_array_equal(kept[0][covered], kept[1][covered])
    assert (kept[0][~covered] != kept[1][~covered]).any()
    described = dead_leaves.parameters(code, config)
    assert described.shape == (48 * 6,) and float(jnp.abs(described).max()) <= 10


@pytest.mark.slow
def test_leaves_with_textures_show_them_at_their_own_pixels(monkeypatch):
    config = Config(size=16, kind="textures", front=40, most=400, moved=0.0, textures=3)
    plain = Config(size=16, kind="mixed", front=40, most=400, moved=0.0)
    drawn = dead_leaves._texture
    shape = jax.eval_shape(lambda key: drawn(key, 16), jax.random.key(0))
    assert shape.shape == (16, 16, 3) and shape.dtype == jnp.float32
    # What they are is tested with `statistical`, and takes seconds to compile.
    noise = lambda key, size: jax.random.uniform(key, (size, size, 3))  # noqa: E731
    monkeypatch.setattr(dead_leaves, "_texture", noise)
    key = jax.random.key(2)
    code = dead_leaves.code(jax.random.clone(key), config)
    assert len(np.unique(code.textures.reshape(3, -1), axis=0)) == 3
    # The same leaves, in colours: the first of them says which texture.
    in_colours = dead_leaves.code(jax.random.clone(key), plain)
    np.testing.assert_array_equal(code.front, in_colours.front)
    assert in_colours.textures.shape == (0, 16, 16, 3)
    number = np.floor(3 * np.asarray(dead_leaves.draw(key, in_colours, plain))[..., 0])
    image = dead_leaves.draw(jax.random.clone(key), code, config)
    assert set(np.unique(number)) == {0, 1, 2}
    for own in range(3):
        np.testing.assert_array_equal(
            image[number == own], code.textures[own][number == own]
        )


def test_moved_places_stay_uniform():
    config = Config(size=16, most=4_001, front=4_000, moved=0.3)
    code = dead_leaves.code(jax.random.key(0), config)
    grey = Config(size=16, most=4_001, front=4_000, moved=0.0)
    seen = []
    for asked in (config, grey):
        monkey = pytest.MonkeyPatch()
        with monkey.context() as patch:
            patch.setattr(
                dead_leaves, "outlines", lambda leaves, _: seen.append(leaves[:-1, :2])
            )
            patch.setattr(
                dead_leaves, "first_leaf", lambda *_: jnp.zeros((16, 16), jnp.int32)
            )
            dead_leaves.draw(jax.random.key(1), code, asked)
    moved, stayed = (np.asarray(x) for x in seen)
    np.testing.assert_allclose(stayed, code.front[:, :2], atol=1e-6)
    assert moved.min() >= 0 and moved.max() <= 1
    assert 0.1 < np.abs(moved - stayed).max() <= 0.3 + 1e-6
    counts = np.histogram(moved, 10, (0, 1))[0] / moved.size
    assert np.abs(counts - 0.1).max() < 0.02


@pytest.mark.slow
def test_vmap_and_jit_change_nothing():
    draw = lambda key, code: dead_leaves.draw(key, code, SMALL)  # noqa: E731
    code = jax.vmap(lambda key: dead_leaves.code(key, SMALL))
    codes = code(jax.random.split(jax.random.key(0), 3))
    keys = lambda: jax.random.split(jax.random.key(1), 3)  # noqa: E731
    many = jax.jit(jax.vmap(draw))(keys(), codes)
    for number, key in enumerate(keys()):
        alone = draw(key, jax.tree.map(lambda x, n=number: x[n], codes))
        assert (np.asarray(alone) != np.asarray(many[number])).mean() < 0.01


@pytest.mark.parametrize(
    "changes",
    [
        {"size": 8},
        {"sigma": 0.0},
        {"radii": (0.5, 0.1)},
        {"front": 9_999},
        {"textures": 0},
    ],
)
def test_what_makes_no_sense_is_refused(changes):
    with pytest.raises(ValueError, match="are needed"):
        Config(**({"size": 32} | changes))
