"""Noise sensitivity: closed forms of linear functions and classifiers, and limits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxbias.probes.sensitivity import noise_sensitivity, noisy, random_positions

WEIGHTS = jnp.asarray([1.0, -2.0, 0.5, 3.0])


def linear(params, x):
    return x @ params


@pytest.fixture
def data():
    return jax.random.normal(jax.random.key(7), (2000, 4)) * jnp.asarray(
        [[1.0, 2.0, 0.5, 1.0]]
    )


def expected(data, positions=4):
    """s^2 |w|^2, or its share of positions, over twice the variance of w x."""
    w = np.asarray(WEIGHTS)
    return 0.2**2 * (w @ w) * positions / 4 / (2 * np.var(np.asarray(data) @ w))


@pytest.mark.parametrize("positions", [None, 1, 3])
def test_a_linear_function_has_a_closed_form(data, key, positions):
    found = noise_sensitivity(
        linear, WEIGHTS, data, key, scale=0.2, positions=positions
    )
    assert int(found.degenerate) == 0
    assert float(found.value) == pytest.approx(expected(data, positions or 4), rel=0.08)


def test_a_linear_classifier_has_a_closed_form(key):
    x = jax.random.normal(jax.random.key(3), (4000, 4))
    found = noise_sensitivity(linear, WEIGHTS, x, key, kind="classifier", scale=0.3)
    # Two Gaussians of correlation r differ in sign with probability acos(r) / pi.
    exact = np.arccos(1 / np.sqrt(1 + 0.3**2)) / np.pi
    error = np.sqrt(exact * (1 - exact) / 4000)
    assert abs(float(found.value) - exact) < 4 * error


def test_several_classes_change_as_a_loop_says(key):
    x = jax.random.normal(jax.random.key(3), (300, 4))
    w = jax.random.normal(jax.random.key(4), (4, 5))
    predict = lambda p, z: z @ p  # noqa: E731
    found = noise_sensitivity(predict, w, x, key, kind="classifier", repeats=3)
    changed = []
    for one in jax.random.split(jax.random.clone(key), 3):
        moved = noisy(x, one, scale=0.1)
        before, after = (np.argmax(np.asarray(z @ w), axis=1) for z in (x, moved))
        changed.append(np.mean(before != after))
    assert float(found.value) == pytest.approx(np.mean(changed))


def test_a_function_of_unrelated_values_reads_one(key):
    x = jax.random.normal(jax.random.key(3), (2000, 2))
    wild = lambda p, z: jnp.sin(1e4 * z[:, 0])  # noqa: E731
    found = noise_sensitivity(wild, None, x, key)
    assert float(found.value) == pytest.approx(1, abs=0.05)


def test_the_scale_of_the_output_does_not_count(data, key):
    one = noise_sensitivity(linear, WEIGHTS, data, key)
    other = noise_sensitivity(
        lambda p, x: 30 * linear(p, x) + 5, WEIGHTS, data, jax.random.clone(key)
    )
    np.testing.assert_allclose(one.value, other.value, rtol=1e-3)


@pytest.mark.parametrize("kind", ["regression", "classifier"])
def test_degenerate_functions_are_flagged(data, key, kind):
    def read(function, key):
        return noise_sensitivity(function, None, data, key, kind=kind)

    keys = jax.random.split(key, 3)
    constant = read(lambda p, x: jnp.full(x.shape[0], 3.0), keys[0])
    assert (float(constant.value), int(constant.degenerate)) == (0, 1)
    broken = read(lambda p, x: x[:, 0] / 0 * 0, keys[1])
    assert np.isnan(broken.value) and int(broken.degenerate) == 2
    if kind == "regression":
        flat = read(lambda p, x: 1e3 + 1e-4 * x[:, 0], keys[2])
        assert np.isnan(flat.value) and int(flat.degenerate) == 3


def test_positions_take_all_channels_of_a_pixel(key):
    mask = np.asarray(random_positions(key, (6, 5, 3), 4, axes=2))
    assert mask.shape == (6, 5, 3)
    assert (mask == mask[..., :1]).all()
    assert mask[..., 0].sum() == 4
    images = jnp.zeros((7, 6, 5, 3))
    noise = np.asarray(
        noisy(images, jax.random.key(1), scale=1.0, positions=4, position_axes=2)
    )
    touched = (noise != 0).any(axis=-1)
    assert (touched.sum(axis=(1, 2)) == 4).all()
    # Each image has its own.
    assert len({one.tobytes() for one in touched}) > 1
    assert noise[touched].std() == pytest.approx(1, abs=0.35)
    assert stats.kstest(noise[touched].ravel(), "norm").pvalue > 1e-3
    with pytest.raises(ValueError, match="positions must be 1 to 30"):
        random_positions(jax.random.key(2), (6, 5, 3), 31, axes=2)


def test_jit_over_networks_and_scales_is_a_loop(data, key):
    networks = jax.random.normal(jax.random.key(5), (3, 4))
    scales = jnp.asarray([0.1, 0.2, 0.5])

    def read(w, s):
        return noise_sensitivity(linear, w, data, jax.random.clone(key), scale=s).value

    together = jax.jit(jax.vmap(read))(networks, scales)
    alone = [read(w, s) for w, s in zip(networks, scales, strict=True)]
    np.testing.assert_allclose(together, jnp.stack(alone), rtol=1e-5)
