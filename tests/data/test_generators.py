"""Every generator: images by number, sizes, what tells programs apart, refusals."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbias.data.generators import catalogue
from jaxbias.data.generators.catalogue import (
    GENERATORS,
    UnknownGeneratorError,
    generator,
    named,
)

SMALL = {"stylegan-random": {"channels": 8, "latents": 8}}


@cache
def made(name, size=16):
    return generator(name, size, **SMALL.get(name, {}))


@cache
def drawing(name, of_set):
    """Images of one compiled program."""
    own = made(name)
    return jax.jit(lambda index, table: catalogue.images(own, 3, index, table))


@cache
def table(name):
    return jax.jit(partial(catalogue.codes, made(name), 3, 2))()


# The first of each module, which are the quickest to compile.
ONE_OF_A_MODULE = {
    one.module: name for name, one in reversed(list(GENERATORS.items()))
}.values()


@pytest.mark.parametrize(
    "name",
    [
        name if name in ONE_OF_A_MODULE else pytest.param(name, marks=pytest.mark.slow)
        for name in GENERATORS
    ],
)
def test_images_follow_from_their_numbers_and_their_programs(name):
    draw = drawing(name, True)
    whole, labels = draw(jnp.arange(6, dtype=jnp.int32), table(name))
    assert whole.shape == (6, 16, 16, 3) and whole.dtype == jnp.uint8
    assert labels.tolist() == [0, 1, 0, 1, 0, 1]
    again, _ = draw(jnp.asarray([4, 4, 5, 1, 0, 9], jnp.int32), table(name))
    np.testing.assert_array_equal(again[:5], whole[np.asarray([4, 4, 5, 1, 0])])
    kept, of_kept = catalogue.kept(made(name), 3, np.arange(6), table(name))
    apart = np.abs(kept.astype(int) - np.asarray(whole, int))
    # Another program rounds otherwise, and ranks of nearly equal values change places.
    assert apart.mean() < 3 if "wmm" in name else not apart.any()
    assert of_kept.tolist() == labels.tolist()
    # Images of a program differ, and so do programs.
    assert (whole[0] != whole[2]).any() and (whole[0] != whole[1]).any()
    own = made(name)
    described = np.asarray(jax.vmap(own.parameters)(table(name)))
    assert described.ndim == 2 and np.isfinite(described).all()
    assert (described[0] != described[1]).any() and np.abs(described).max() < 20


def test_each_image_of_no_table_has_a_program_of_its_own():
    own = made("coloured-noise")
    index = jnp.arange(4, dtype=jnp.int32)
    pixels, labels = catalogue.images(own, 3, index)
    assert labels.tolist() == [0] * 4
    key = jax.random.fold_in(
        catalogue.rng.stream(jax.random.key(3), "images"), jnp.int32(2)
    )
    np.testing.assert_array_equal(pixels[2], np.round(255 * own.sample(key)))
    other, _ = catalogue.images(own, 4, index)
    assert (np.asarray(other) != np.asarray(pixels)).any()


def test_an_unknown_generator_or_size_is_refused():
    with pytest.raises(catalogue.UnknownGeneratorError, match="'x': one of stylegan"):
        generator("x", 32)
    with pytest.raises(ValueError, match="8 pixels"):
        generator("stylegan-sparse", 8)


def test_a_generator_as_it_is_typed():
    assert named("fractal", 32) == generator("fractal", 32)
    leaves = named("dead-leaves-mixed@sigma=1.5,radii=0.1~1,most=500", 32)
    expected = {"sigma": 1.5, "radii": (0.1, 1.0), "most": 500}
    assert leaves == generator("dead-leaves-mixed", 32, **expected)
    one = named("spectrum@exponent=2", 32).config
    assert one.exponent == (2.0, 2.0) and one.kind == "spectrum"
    assert named("stylegan-sparse@bias=0~0.2", 32).config.bias == (0.0, 0.2)
    assert named("fractal@colour=time", 32).config.colour == "time"


def test_images_are_mixed_with_white_noise(key):
    plain, half = (named(f"perlin@white={share}", 32) for share in (0, 0.5))
    white = named("perlin@white=1,cells=4", 32)
    assert plain == generator("perlin", 32)
    code = plain.code(jax.random.clone(key))
    own, noise = jax.random.split(jax.random.clone(key))
    flat = white.draw(jax.random.clone(key), code)
    np.testing.assert_allclose(
        half.draw(key, code), (plain.draw(own, code) + flat) / 2, atol=1e-6
    )
    np.testing.assert_array_equal(flat.ravel(), jax.random.uniform(noise, (flat.size,)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fractals@weight=1", "no generator 'fractals'"),
        ("fractal@size=8", "fractal has no 'size': one of law, filled"),
        ("fractal@weight", "weight=: a number is needed"),
        ("fractal@tries=1.5", "tries=1.5: a whole number is needed"),
        ("fractal@colour=blue", "one of grey, time"),
        ("dead-leaves-mixed@radii=0.1~x", "radii=0.1~x: a number"),
    ],
)
def test_what_cannot_be_read_is_refused(text, message):
    with pytest.raises(UnknownGeneratorError, match=message):
        named(text, 32)


def test_values_that_a_generator_does_not_allow_are_refused():
    with pytest.raises(ValueError, match="a sigma above 0"):
        named("dead-leaves-mixed@sigma=-1", 32)
    with pytest.raises(ValueError, match="opacity 0: above 0"):
        named("dead-leaves-mixed@opacity=0", 32)
    with pytest.raises(ValueError, match="white 2: 0 to 1"):
        named("perlin@white=2", 32)
