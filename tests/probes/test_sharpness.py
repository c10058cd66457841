"""Lanczos against NumPy's eigenvalues, of matrices and of explicit Hessians."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from jaxbias.models.mlp import MLP
from jaxbias.probes.sharpness import (
    extreme_eigenvalues,
    function_sharpness,
    hessian_extremes,
    lanczos,
)


def symmetric(values, seed=0):
    q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(len(values),) * 2))
    return (q * values @ q.T).astype(np.float32)


def product(matrix):
    return lambda v: jnp.matmul(matrix, v, precision="highest")


@pytest.mark.parametrize(
    "values",
    [
        np.linspace(-3, 7, 40),
        -np.linspace(1, 9, 40),  # No positive one: a 0 would be made up.
        np.r_[np.zeros(37), 2.0, 5.0, -6.0],
        np.r_[np.full(39, -4.0), -1.0],
    ],
)
@pytest.mark.parametrize("reorthogonalise", [True, False])
def test_the_ends_are_numpy_s(key, values, reorthogonalise):
    matrix = symmetric(values)
    found = extreme_eigenvalues(
        *(product(matrix), jax.random.normal(key, (40,)), 30),
        reorthogonalise=reorthogonalise,
    )
    exact = np.linalg.eigvalsh(matrix)
    np.testing.assert_allclose(found.largest, exact[-1], atol=2e-3)
    np.testing.assert_allclose(found.smallest, exact[0], atol=2e-3)
    assert found.finite
    top = exact[np.argmax(np.abs(exact))]
    np.testing.assert_allclose(found.top(), top, atol=2e-3)


def test_the_reduction_is_numpy_s_and_complete(key):
    matrix = symmetric(np.linspace(-3, 7, 12), seed=1)
    diagonal, below = lanczos(product(matrix), jax.random.normal(key, (12,)), 12)
    whole = np.diag(diagonal) + np.diag(below[:-1], 1) + np.diag(below[:-1], -1)
    np.testing.assert_allclose(
        np.linalg.eigvalsh(whole), np.linalg.eigvalsh(matrix), atol=1e-4
    )
    assert below[-1] == 0


def test_the_residual_bounds_the_error(key):
    matrix = symmetric(np.r_[np.linspace(0, 1, 60), 1.1], seed=2)
    exact = np.linalg.eigvalsh(matrix)
    start = jax.random.normal(key, (61,))
    residuals = []
    for steps in (3, 8, 30):
        found = extreme_eigenvalues(product(matrix), start, steps)
        # Some eigenvalue lies within the residual, and none is passed.
        nearest = np.abs(exact - float(found.largest)).min()
        assert nearest <= float(found.largest_residual) + 1e-5
        assert float(found.largest) <= exact[-1] + 1e-5
        residuals.append(float(found.largest_residual))
    assert residuals[0] > 0.02 and residuals[-1] < 2e-3


def network(depth=2):
    return MLP(width=5, depth=depth, activations=("tanh",))


def loss_and_params(key):
    x = jax.random.normal(key, (20, 2))
    y = jnp.sin(3 * x[:, 0])
    module = network()
    params = module.init(jax.random.key(1), x)["params"]
    loss = lambda p: jnp.mean((module.apply({"params": p}, x)[0] - y) ** 2)  # noqa: E731
    return loss, params, x


def explicit(loss, params):
    flat, restore = ravel_pytree(params)
    return np.asarray(jax.hessian(lambda v: loss(restore(v)))(flat))


def test_a_network_s_hessian_is_numpy_s(key):
    loss, params, _ = loss_and_params(key)
    found = hessian_extremes(loss, params, jax.random.key(2), num_steps=40)
    exact = np.linalg.eigvalsh(explicit(loss, params))
    # Both ends are of note: away from a minimum the curvature is of both signs.
    assert exact[0] < -0.01 < 0.01 < exact[-1]
    np.testing.assert_allclose(found.largest, exact[-1], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found.smallest, exact[0], rtol=1e-3, atol=1e-4)
    assert float(found.largest_residual) < 1e-2


def test_sharpness_of_the_function_is_the_hessian_at_a_perfect_fit(key):
    _, params, x = loss_and_params(key)
    module = network()
    predict = lambda p, z: module.apply({"params": p}, z)[0]  # noqa: E731
    here = predict(params, x)
    loss = lambda p: jnp.mean((predict(p, x) - here) ** 2) / (2 * jnp.var(here))  # noqa: E731
    found = function_sharpness(predict, params, x, jax.random.key(2), num_steps=30)
    exact = np.linalg.eigvalsh(explicit(loss, params))
    np.testing.assert_allclose(found.largest, exact[-1], rtol=1e-3)
    scaled = lambda p, z: 50 * predict(p, z)  # noqa: E731
    again = function_sharpness(scaled, params, x, jax.random.key(2), num_steps=30)
    np.testing.assert_allclose(again.largest, found.largest, rtol=1e-3)


def test_jit_over_networks_is_a_loop(key):
    module = network()
    x = jax.random.normal(key, (9, 2))
    many = jax.vmap(lambda k: module.init(k, x)["params"])(
        jax.random.split(jax.random.key(1), 2)
    )

    def read(params):
        def predict(p, z):
            return module.apply({"params": p}, z, depth=2)[0]

        found = function_sharpness(predict, params, x, jax.random.key(3), num_steps=6)
        return found.largest

    together = jax.jit(jax.vmap(read))(many)
    one = read(jax.tree.map(lambda leaf: leaf[1], many))
    np.testing.assert_allclose(together[1], one, rtol=1e-3)


def test_what_is_not_finite_is_flagged(key):
    bad = extreme_eigenvalues(lambda v: v * jnp.nan, jnp.ones(6), 3)
    assert not bad.finite and np.isnan(bad.largest) and np.isnan(bad.top())
    constant = function_sharpness(
        lambda p, z: 0 * (z @ p), jnp.ones(2), jnp.eye(2), key
    )
    assert not constant.finite


def test_more_steps_than_entries_are_cut():
    found = extreme_eigenvalues(lambda v: 3 * v, jnp.ones(1), 20)
    np.testing.assert_allclose(found[:4], [3, 3, 0, 0], atol=1e-6)
