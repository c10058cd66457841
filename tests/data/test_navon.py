"""Navon's letters: dots by hand, places, labels, what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbias.data import navon
from jaxbias.data.navon import LETTERS, NavonConfig

H = ["10001", "10001", "10001", "11111", "10001", "10001", "10001"]
T = ["11111", *6 * ["00100"]]


def dots(rows):
    return np.array([list(map(int, row)) for row in rows])


def shares(image):
    """How far each pixel is from the corner's colour, as a share of the farthest."""
    away = abs(np.asarray(image) - np.asarray(image)[0, 0]).sum(-1)
    return away / away.max()


def test_a_t_of_hs_is_what_it_should_be(key):
    # One pixel a dot, and as much free on both sides.
    config = NavonConfig(size=63, scale=(55 / 63, 55 / 63), shift=0.0)
    image = navon.sample(key, LETTERS.index("T"), LETTERS.index("H"), config)
    tile = np.pad(dots(H), ((0, 1), (0, 1)))
    letter = np.vstack([np.hstack([dot * tile for dot in row]) for row in dots(T)])
    expected = np.zeros((63, 63))
    expected[4:60, 17:47] = letter
    np.testing.assert_allclose(shares(image), expected, atol=1e-4)


def test_letters_are_distinct():
    glyphs = navon._dots()
    assert glyphs.shape == (26, 7, 5)
    apart = abs(glyphs[:, None] - glyphs).sum((2, 3)) + 99 * np.eye(26)
    assert apart.min() >= 2


@pytest.fixture(scope="module")
def drawn():
    return navon.stimuli(jax.random.key(3), NavonConfig(), letters="HTEL", instances=3)


def test_all_pairs_are_there_and_whole(drawn):
    assert drawn.images.shape == (36, 64, 64, 3)
    pairs = list(zip(np.array(drawn.shapes), np.array(drawn.textures), strict=True))
    numbers = [LETTERS.index(letter) for letter in "HTEL"]
    expected = [(a, b) for a in numbers for b in numbers if a != b for _ in range(3)]
    assert pairs == expected
    count = navon._dots().sum((1, 2))
    for image, (big, small) in zip(np.asarray(drawn.images), pairs, strict=True):
        cover = shares(image)
        # Nothing is cut off at the border, whatever the size and the place.
        tall = np.flatnonzero(cover.any(1))
        height = tall[-1] - tall[0] + 1
        assert 0.84 * 64 < height <= 64
        dot = np.sqrt(cover.sum() / (count[big] * count[small]))
        assert 0.86 * 64 / 55 * 0.99 < dot < 0.98 * 64 / 55 * 1.15


def test_colours_are_apart_and_images_differ(drawn):
    images = np.asarray(drawn.images)
    ends = images.max((1, 2)) - images.min((1, 2))
    assert ends.mean(1).min() > 0.25 and images.min() >= 0 and images.max() <= 1
    assert abs(images[:1] - images[1:]).mean((1, 2, 3)).min() > 0.01


def test_what_is_refused(key):
    with pytest.raises(ValueError, match="take 55"):
        navon.sample(key, 0, 1, NavonConfig(size=54))
    for letters in ("HH", "Hh"):
        with pytest.raises(ValueError, match="each once"):
            navon.stimuli(key, NavonConfig(), letters=letters)


@pytest.mark.slow
def test_letters_are_traced():
    traces = []

    @jax.jit
    def draw(key, big, small):
        traces.append(1)
        return navon.sample(key, big, small, NavonConfig())

    keys = jax.random.split(jax.random.key(5), 3)
    looped = [draw(k, jnp.int32(n), jnp.int32(n + 1)) for n, k in enumerate(keys)]
    config = NavonConfig()
    one = lambda k, n: navon.sample(k, n, n + 1, config)  # noqa: E731
    np.testing.assert_allclose(jax.vmap(one)(keys, jnp.arange(3)), looped, atol=1e-5)
    assert len(traces) == 1
