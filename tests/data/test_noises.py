"""Noise in colour: the spectra and the lattices asked, and the colours of a class."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbias.data.generators import noises
from jaxbias.data.generators.noises import Code, Config

PERLIN = Config(size=24, octaves=2)
COLOURED = Config(size=24, kind="coloured")


def of(law):
    return Code(jnp.asarray(law), jnp.full(3, 0.5), 0.1 * jnp.eye(3))


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.5])
def test_coloured_noise_has_the_amplitude_asked(exponent):
    draw = jax.jit(lambda key: noises.coloured(key, 32, jnp.float32(exponent), 600))
    found = np.asarray(draw(jax.random.key(1)), float)
    assert abs(found.mean((1, 2))).max() < 1e-5
    np.testing.assert_allclose(found.std((1, 2)), 1, atol=1e-5)
    power = (abs(np.fft.fft2(found)) ** 2).mean(0)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(32), np.fft.fftfreq(32)))
    used = frequency > 0
    slope = np.polyfit(np.log(frequency[used]), np.log(power[used]), 1)[0]
    # Of fields at one deviation each, steep ones are a little flatter on average.
    assert slope == pytest.approx(-2 * exponent, abs=0.05 + 0.05 * exponent)


def summed(size, cells, begin, angles):
    """Perlin's noise from its definition: a weighted sum of slopes times distances."""
    image = np.zeros((size, size))
    for row in range(size):
        for column in range(size):
            x = begin[0] + cells[0] * column / size
            y = begin[1] + cells[1] * row / size
            for node_y in (int(y), int(y) + 1):
                for node_x in (int(x), int(x) + 1):
                    right, below = x - node_x, y - node_y
                    fade = [1 - 3 * d**2 + 2 * abs(d) ** 3 for d in (right, below)]
                    slope = (
                        np.cos(angles[node_y, node_x]),
                        np.sin(angles[node_y, node_x]),
                    )
                    image[row, column] += (
                        fade[0] * fade[1] * (slope[0] * right + slope[1] * below)
                    )
    return image


def test_gradient_noise_is_the_sum_of_its_definition(key):
    cells = np.asarray([3.3, 5.1], np.float32)
    found = noises._gradient_noise(jax.random.clone(key), 20, jnp.asarray(cells), 9)
    place_key, slope_key = jax.random.split(key)
    begin = np.asarray(jax.random.uniform(place_key, (2,)), float)
    angles = 2 * np.pi * np.asarray(jax.random.uniform(slope_key, (81,)), float)
    expected = summed(20, cells, begin, angles.reshape(9, 9))
    np.testing.assert_allclose(found, expected, atol=2e-6)


def test_octaves_add_up_and_invisible_ones_are_left_out():
    def octaves(count):
        config = Config(size=32, cells=(2.0, 16.0), octaves=count)
        law = lambda n, p: (jnp.full(2, n), p, config)  # noqa: E731
        keys = jax.random.split(jax.random.key(2), 60)
        one = lambda key, n, p: noises.perlin(key, 32, *law(n, p))  # noqa: E731
        many = jax.jit(jax.vmap(one, in_axes=(0, None, None)))
        clone = lambda: jax.tree.map(jax.random.clone, keys)  # noqa: E731
        return lambda n, p=0.5: np.asarray(many(clone(), np.float32(n), np.float32(p)))

    def rough(fields):
        return (np.diff(fields, axis=2) ** 2).mean()

    single, triple = octaves(1), octaves(3)
    fine, coarse = single(12), single(2)
    np.testing.assert_allclose(fine.std((1, 2)), 1, atol=1e-4)
    assert abs(fine.mean((1, 2))).max() < 1e-4
    # A slope of one cell is as many times as steep as there are more cells.
    assert rough(fine) / rough(coarse) == pytest.approx(36, rel=0.3)
    assert rough(triple(2)) > 1.5 * rough(coarse)
    assert rough(triple(2, 0.9)) > 1.5 * rough(triple(2))
    # Of 12 cells in 16 pixels even the first octave is too fine, and is there.
    law = jnp.full(2, 12.0), jnp.float32(0.5)
    found = noises.perlin(jax.random.key(3), 16, *law, PERLIN)
    assert np.asarray(found).std() == pytest.approx(1, abs=1e-4)


def test_directions_are_as_asked():
    law = jnp.asarray([10.0, 2.0]), jnp.float32(0.5)
    config = Config(size=48, octaves=1)
    fields = [
        noises.perlin(key, 48, *law, config)
        for key in jax.random.split(jax.random.key(3), 4)
    ]
    across = (np.diff(fields, axis=2) ** 2).mean()
    down = (np.diff(fields, axis=1) ** 2).mean()
    assert across / down == pytest.approx(25, rel=0.5)


@pytest.mark.parametrize("config", [PERLIN, COLOURED], ids=["perlin", "coloured"])
def test_images_have_the_colours_of_their_class(config, key):
    axes = 0.05 * jnp.asarray([[1.0, 0, 0], [0, 0.5, 0], [0.6, 0, 0.3]])
    mean = jnp.asarray([0.4, 0.5, 0.6])
    law = [4.0, 6.0, 0.5] if config.kind == "perlin" else [1.0]
    code = of(law)._replace(mean=mean, axes=axes)
    image = np.asarray(jax.jit(noises.draw, static_argnums=2)(key, code, config))
    assert image.shape == (24, 24, 3) and image.dtype == np.float32
    assert image.min() > 0 and image.max() < 1
    np.testing.assert_allclose(image.mean((0, 1)), mean, atol=1e-5)
    # Fields are nearly uncorrelated, and so the image's are as the axes have it.
    found = np.cov(image.reshape(-1, 3).T)
    np.testing.assert_allclose(found, np.asarray(axes.T @ axes), atol=0.001)


@pytest.mark.parametrize("config", [PERLIN, COLOURED], ids=["perlin", "coloured"])
def test_codes_follow_their_law(config):
    keys = jax.random.split(jax.random.key(4), 2_000)
    codes = jax.jit(jax.vmap(lambda key: noises.code(key, config)))(keys)
    flat = jax.vmap(lambda code: noises.parameters(code, config))(codes)
    numbers = 3 if config.kind == "perlin" else 1
    assert flat.shape == (2_000, numbers + 12)
    share = np.asarray(flat)[:, :numbers]
    assert share.min() > -1e-5 and share.max() < 1 + 1e-5
    np.testing.assert_allclose(share.mean(0), 0.5, atol=0.03)
    np.testing.assert_allclose(share.std(0), 12**-0.5, atol=0.02)
    limits = config.cells if config.kind == "perlin" else config.exponent
    law = np.asarray(codes.law)[:, 0]
    assert limits[0] <= law.min() * 1.001 and law.max() <= limits[1] * 1.001
    length = np.linalg.norm(codes.axes, axis=2)
    np.testing.assert_allclose(length.max(0), [0.35, 0.15, 0.08], rtol=0.01)
    np.testing.assert_allclose(length.min(0), [0.175, 0.075, 0.04], rtol=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("config", [PERLIN, COLOURED], ids=["perlin", "coloured"])
def test_vmap_changes_nothing(config):
    keys = jax.random.split(jax.random.key(5), (3, 2))

    def one(keys):
        return noises.draw(keys[1], noises.code(keys[0], config), config)

    alone = jax.jit(one)
    plain = np.stack([alone(pair) for pair in keys])
    many = jax.jit(jax.vmap(one))(keys)
    np.testing.assert_allclose(plain, many, atol=2e-5)
    assert abs(plain[0] - plain[1]).mean() > 0.05
