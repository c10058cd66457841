"""Geometric complexity: exact for linear functions, finite differences for others."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbias.models.mlp import MLP
from jaxbias.probes.jacobian import jacobian_norm


def linear(params, x):
    return jnp.tensordot(x, params, axes=x.ndim - 1)


@pytest.mark.parametrize("mode", ["forward", "reverse", "auto"])
@pytest.mark.parametrize("shape, out", [((3,), (4,)), ((2, 3), ()), ((5,), (2,))])
def test_a_linear_function_reads_its_squared_norm(key, mode, shape, out):
    w = jax.random.normal(key, (*shape, *out))
    x = jax.random.normal(jax.random.key(1), (11, *shape))
    found = jacobian_norm(linear, w, x, mode=mode)
    assert float(found.value) == pytest.approx(float(jnp.sum(w**2)), rel=1e-5)
    relative = jacobian_norm(linear, w, x, mode=mode, normalise=True)
    values = np.asarray(linear(w, x)).reshape(11, -1)
    exact = float(jnp.sum(w**2)) / values.var(axis=0).sum()
    assert float(relative.value) == pytest.approx(exact, rel=1e-4)


def test_a_network_agrees_with_finite_differences(key):
    network = MLP(width=8, depth=2, activations=("tanh",))
    x = jax.random.normal(key, (5, 3))
    params = network.init(jax.random.key(1), x)["params"]
    f = lambda p, z: network.apply({"params": p}, z)[0]  # noqa: E731
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), params)
        z, step, total = np.asarray(x, np.float64), 1e-5, 0.0
        for i in range(3):
            e = np.eye(3)[i] * step
            up, down = (np.asarray(f(wide, jnp.asarray(z + s * e))) for s in (1, -1))
            total += np.sum(((up - down) / (2 * step)) ** 2)
    for mode in ("forward", "reverse"):
        assert float(jacobian_norm(f, params, x, mode=mode).value) == pytest.approx(
            total / 5, rel=1e-4
        )


def test_a_traced_depth_is_no_hindrance_forward(key):
    network = MLP(width=8, depth=4, activations=("tanh",))
    x = jax.random.normal(key, (5, 2))
    params = network.init(jax.random.key(1), x)["params"]

    @jax.jit
    def read(depth):
        f = lambda p, z: network.apply({"params": p}, z, depth=depth)[0]  # noqa: E731
        return jacobian_norm(f, params, x, mode="forward").value

    fixed = lambda p, z: network.apply({"params": p}, z, depth=2)[0]  # noqa: E731
    exact = jacobian_norm(fixed, params, x, mode="reverse").value
    np.testing.assert_allclose(read(2), exact, rtol=1e-5)


def test_the_cheaper_mode_is_taken(key):
    x = jax.random.normal(key, (4, 3))
    program = jax.make_jaxpr(lambda z: jacobian_norm(linear, jnp.ones(3), z))(x)
    # One pass over the single output, not three over the entries of an input.
    assert "length=1" in str(program) and "length=3" not in str(program)


def test_degenerate_functions_are_flagged(key):
    x = jax.random.normal(key, (6, 2))
    for normalise in (False, True):
        read = lambda f, n=normalise: jacobian_norm(f, None, x, normalise=n)  # noqa: E731
        constant = read(lambda p, z: 0 * z[:, 0] + 2)
        assert (float(constant.value), int(constant.degenerate)) == (0, 1)
        broken = read(lambda p, z: jnp.log(-jnp.abs(z[:, 0])))
        assert np.isnan(broken.value) and int(broken.degenerate) == 2
    # The derivative of what is nearly constant is exact; its share of the spread is not.
    nearly = lambda p, z: 1e3 + 1e-4 * z[:, 0]  # noqa: E731
    assert float(jacobian_norm(nearly, None, x).value) == pytest.approx(1e-8, rel=1e-4)
    assert np.isnan(jacobian_norm(nearly, None, x, normalise=True).value)


def test_jit_over_networks_is_a_loop(key):
    networks = jax.random.normal(key, (3, 2))
    x = jax.random.normal(jax.random.key(1), (6, 2))
    f = lambda w, z: jnp.sin(z @ w)  # noqa: E731
    read = lambda w: jacobian_norm(f, w, x, normalise=True).value  # noqa: E731
    together = jax.jit(jax.vmap(read))(networks)
    np.testing.assert_allclose(together, [read(w) for w in networks], rtol=1e-5)
