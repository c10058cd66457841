"""The Walsh-Hadamard transform against its matrix, and weights of known functions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbias.numerics import boolean, walsh


def matrix(bits):
    """(-1)^(x . S), from the bits one by one."""
    size = 2**bits
    return np.array(
        [
            [
                (-1) ** sum((x >> i) & (s >> i) & 1 for i in range(bits))
                for x in range(size)
            ]
            for s in range(size)
        ]
    )


transform, weights = jax.jit(walsh.transform), jax.jit(walsh.weights)


def parity(bits):
    return (boolean.cube(bits).sum(1) % 2).astype(np.int32)


@pytest.mark.parametrize("bits", [1, 2, 5])
def test_the_transform_is_the_matrix(bits):
    values = np.random.default_rng(bits).normal(size=2**bits).astype(np.float32)
    expected = matrix(bits) @ values
    np.testing.assert_allclose(transform(jnp.asarray(values)), expected, atol=1e-5)


def test_twice_is_the_identity_times_its_size(key):
    values = jax.random.randint(key, (128,), -9, 9)
    again = transform(transform(values))
    np.testing.assert_array_equal(again, 128 * values)


def test_weights_are_squared_coefficients_summed_by_degree():
    labels = np.random.default_rng(0).integers(0, 2, 32)
    coefficients = matrix(5) @ (-1) ** labels
    degree = [bin(s).count("1") for s in range(32)]
    expected = np.bincount(degree, coefficients**2)
    labels = jnp.asarray(labels)
    np.testing.assert_array_equal(walsh.weights(labels), expected)
    np.testing.assert_array_equal(weights(labels), expected)


def test_weights_of_known_functions():
    for bits in (1, 7):
        whole = 4**bits
        found = weights(jnp.asarray(parity(bits)))
        assert found[bits] == whole and found.sum() == whole
        assert weights(jnp.ones(2**bits, jnp.int32))[0] == whole
    # Majority of three: half of each single bit, minus half of all three.
    majority = (boolean.cube(3).sum(1) >= 2).astype(np.int32)
    np.testing.assert_array_equal(weights(jnp.asarray(majority)), [0, 48, 0, 16])


def test_the_mean_degree_is_the_total_influence(key):
    labels = jax.random.bernoulli(key, 0.3, (20, 128)).astype(jnp.int32)
    found = np.asarray(jax.jit(jax.vmap(walsh.weights))(labels)) / 4**7
    np.testing.assert_allclose(found.sum(1), 1)
    influence = 7 * np.asarray(jax.jit(jax.vmap(boolean.sensitivity))(labels))
    np.testing.assert_allclose(found @ np.arange(8), influence, rtol=1e-6)


def test_mean_degree_of_known_functions(key):
    degree = jax.jit(walsh.mean_degree)
    number = jnp.arange(256, dtype=jnp.float32)
    assert float(degree(3 * number - 7)) == pytest.approx(1, abs=1e-4)
    assert float(degree(parity(8).astype(np.float32))) == pytest.approx(8, abs=1e-4)
    assert np.isnan(degree(jnp.ones(256)))
    values = jax.random.normal(key, (256,))
    squares = ((matrix(8) @ np.asarray(values, np.float64)) ** 2)[1:]
    bits = np.array([bin(s).count("1") for s in range(1, 256)])
    expected = (bits * squares).sum() / squares.sum()
    assert float(degree(values)) == pytest.approx(expected, rel=1e-4)
    # Influence: squared change at a flip, in units of four variances, summed over bits.
    flipped = np.asarray(values)[np.arange(256)[:, None] ^ (1 << np.arange(8))]
    change = (np.asarray(values)[:, None] - flipped) ** 2
    influence = change.mean(axis=0).sum() / (4 * np.asarray(values).var())
    assert float(degree(values)) == pytest.approx(influence, rel=1e-4)


@pytest.mark.parametrize("size", [1, 3, 100])
def test_other_sizes_are_refused(size):
    with pytest.raises(ValueError, match="2\\^n values"):
        walsh.transform(jnp.zeros(size))


def test_weights_that_would_overflow_are_refused():
    with pytest.raises(ValueError, match="31 bits"):
        walsh.weights(jnp.zeros(2**16, jnp.int32))
