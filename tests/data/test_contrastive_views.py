"""Views of an image: what they keep, what they change, and how often."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxbias.data import views

SIDE, COUNT = 16, 400


def many(strength, area=views.AREA):
    """Views of one image of three colours."""
    image = jnp.broadcast_to(jnp.asarray([0.8, 0.5, 0.2])[None, None], (SIDE, SIDE, 3))
    keys = jax.random.split(jax.random.key(0), COUNT)
    one = lambda key: views.view(key, image, strength=strength, area=area)  # noqa: E731
    return np.asarray(jax.jit(jax.vmap(one))(keys))


def test_colours_change_and_go_as_often_as_published():
    found = many(0.5)
    colours = found.mean(axis=(1, 2))
    grey = np.ptp(colours, axis=1) < 1e-4
    kept = np.abs(colours - [0.8, 0.5, 0.2]).max(axis=1) < 1e-4
    assert abs(grey.mean() - 0.2) < 0.06
    # Neither jittered (a fifth) nor grey (four fifths).
    assert abs(kept.mean() - 0.2 * 0.8) < 0.06
    np.testing.assert_allclose(
        many(0.0), np.zeros_like(found) + [0.8, 0.5, 0.2], atol=1e-5
    )


def test_parts_and_mirror_images_are_shown():
    ramp = jnp.broadcast_to(jnp.linspace(0, 1, SIDE)[None, :, None], (SIDE, SIDE, 3))
    keys = jax.random.split(jax.random.key(1), COUNT)
    pair = jax.jit(jax.vmap(lambda key: views.pair(key, ramp, strength=0.0)))
    both = np.asarray(pair(keys)).reshape(COUNT, SIDE, SIDE, 2, 3)
    slopes = (both[:, :, -1] - both[:, :, 0])[:, SIDE // 2, :, 0]
    assert abs((slopes < 0).mean() - 0.5) < 0.06
    # The two views are drawn apart.
    assert abs(np.corrcoef(slopes.T)[0, 1]) < 0.2
    # A part of the image shows a part of the ramp.
    assert 0.2 < np.abs(slopes).min() < 0.5 and np.abs(slopes).max() < 1.001
