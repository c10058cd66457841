"""Variation along paths through data."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbias.probes.paths import path_values, path_variation


def _linear(params, x):
    return jnp.einsum("...d,d->...", x, params)


def test_a_linear_function_reads_the_distance_of_its_end_values(key):
    data = jax.random.normal(key, (7, 3))
    weights = jnp.asarray([1.0, -2.0, 0.5])
    found = path_variation(_linear, weights, data, jax.random.key(1), num_paths=400)
    values = np.asarray(data @ weights)
    apart = np.abs(values[:, None] - values[None])
    expected = apart.sum() / (7 * 6)
    spread = apart[~np.eye(7, dtype=bool)].std() / np.sqrt(400)
    assert abs(float(found) - expected) < 4 * spread


def test_paths_start_and_end_at_distinct_data_points(key):
    data = jnp.arange(5.0)[:, None]
    values = path_values(lambda _, x: x[:, 0], None, data, key, num_paths=200)
    ends = np.asarray(values[:, [0, -1]])
    assert np.isin(ends, np.arange(5.0)).all()
    assert (ends[:, 0] != ends[:, 1]).all()
    # Every ordered pair is as likely as any other.
    assert len({tuple(pair) for pair in ends}) == 20


def test_a_wave_reads_its_number_of_half_periods(key):
    data = jnp.asarray([[0.0], [1.0]])
    found = path_variation(
        lambda _, x: jnp.cos(6 * jnp.pi * x[:, 0]), None, data, key, num_steps=601
    )
    np.testing.assert_allclose(found, 6 * 2, rtol=1e-4)


def test_normalised_variation_ignores_the_scale_of_the_output(key):
    data = jax.random.normal(key, (6, 2))

    def measure(scale, key):
        def predict(params, x):
            return scale * jnp.sin(3 * x @ jnp.asarray([1.0, 2.0])) + scale

        return path_variation(predict, None, data, key, normalise=True)

    one, other = measure(1.0, jax.random.key(2)), measure(300.0, jax.random.key(2))
    np.testing.assert_allclose(one, other, rtol=1e-4)


def test_each_output_is_measured_by_itself_and_jit_agrees(key):
    data = jax.random.normal(key, (6, 2))

    def predict(params, x):
        return jnp.stack([x[:, 0], jnp.zeros(x.shape[0])], axis=1)

    measure = jax.jit(lambda d, k: path_variation(predict, None, d, k))
    eager = path_variation(predict, None, data, jax.random.key(3))
    np.testing.assert_allclose(measure(data, jax.random.key(3)), eager, rtol=1e-5)
    assert eager[1] == 0 and eager[0] > 0


@pytest.mark.parametrize(("count", "steps"), [(1, 5), (4, 1)])
def test_too_few_points_are_refused(key, count, steps):
    with pytest.raises(ValueError, match="two data points"):
        path_variation(_linear, jnp.ones(2), jnp.ones((count, 2)), key, num_steps=steps)
