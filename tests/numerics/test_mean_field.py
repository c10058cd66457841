"""Mean-field theory: known values, quadrature by SciPy, and wide networks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, special, stats

from jaxbias.models.mlp import MLP, Variant
from jaxbias.models.priors import Prior, draw, scale
from jaxbias.numerics import mean_field
from jaxbias.numerics.activations import ACTIVATIONS, resolve

EXACT = {
    "relu": lambda x: np.maximum(x, 0),
    "gelu": lambda x: x * stats.norm.cdf(x),
    "swish": lambda x: x * special.expit(x),
    "selu": lambda x: (
        1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x))
    ),
    "sigmoid": special.expit,
    "tanh": np.tanh,
    "gaussian": lambda x: np.exp(-(x**2) / 2),
    "sine": np.sin,
}


def integral(function, variance):
    """By adaptive quadrature, which knows nothing of Hermite."""
    found, _ = integrate.quad(
        lambda z: function(np.sqrt(variance) * z) * stats.norm.pdf(z),
        *(-9, 9),
        points=[0.0],
        limit=400,
    )
    return found


@pytest.mark.parametrize("name", EXACT)
def test_gaussian_means_are_the_integrals(name):
    # A kink that is no symmetric one, as SELU's, costs the most.
    activation = resolve(name)
    for variance in (0.3, 1.0, 50.0):
        found = mean_field.gaussian_mean(activation, variance)
        assert float(found) == pytest.approx(
            integral(EXACT[name], variance), rel=2e-3, abs=3e-4
        )
        square = mean_field.next_variance(activation, variance, 2.0, 0.1)
        exact = 2 * integral(lambda x: EXACT[name](x) ** 2, variance) + 0.1
        assert float(square) == pytest.approx(exact, rel=2e-3)


def test_odd_activations_have_no_mean():
    for name in ("tanh", "sine"):
        assert abs(float(mean_field.gaussian_mean(resolve(name)))) < 1e-6


@pytest.mark.parametrize("name", ["tanh", "sine", "gaussian", "gelu"])
def test_chi_is_the_integral_of_the_squared_slope(name):
    step = 1e-4

    def slope(x):
        return (EXACT[name](x + step) - EXACT[name](x - step)) / (2 * step)

    for variance in (0.5, 20.0):
        found = mean_field.chi(resolve(name), variance, 1.5)
        exact = 1.5 * integral(lambda x: slope(x) ** 2, variance)
        assert float(found) == pytest.approx(exact, rel=2e-3)


def test_he_scaling_is_critical_for_relu():
    found = mean_field.fixed_point(resolve("relu"), 2.0, 0.0, start=0.7)
    assert found.converged
    assert float(found.chi) == pytest.approx(1, abs=1e-5)
    assert float(found.variance) == pytest.approx(0.7, rel=1e-4)


def test_tanh_is_critical_at_weights_of_one_as_biases_vanish():
    found = []
    for bias in (0.1, 0.03, 0.01):
        point = mean_field.fixed_point(resolve("tanh"), 1.0, bias**2)
        # q - 2 q^2 + 17/3 q^3 + b^2 = q: the series of E[tanh^2].
        assert point.converged
        assert float(point.variance) == pytest.approx(bias / np.sqrt(2), rel=2 * bias)
        found.append(float(point.chi))
    # chi = 1 - 2 q + ...
    np.testing.assert_allclose(
        found, 1 - np.sqrt(2) * np.asarray([0.1, 0.03, 0.01]), atol=0.02
    )
    assert found == sorted(found)
    assert mean_field.fixed_point(resolve("tanh"), 0.9**2, 1e-6).chi < 0.9
    assert mean_field.fixed_point(resolve("tanh"), 1.2**2, 1e-6).chi > 1.02


def test_a_variance_without_a_fixed_point_is_flagged():
    found = mean_field.fixed_point(resolve("relu"), 8.0, 1 / 3)
    assert not found.converged
    assert float(found.chi) == pytest.approx(4, rel=1e-5)
    # Gradients explode, yet inputs do not part.
    assert float(found.slope) == pytest.approx(1, abs=1e-3)


def test_the_whole_grid_of_cells_is_one_program():
    traces = []

    def chi(weight, bias):
        traces.append(1)
        found = mean_field.fixed_point(resolve("tanh"), weight, bias)
        return found.chi, found.variance

    weights = jnp.asarray([0.5, 1.5, 4.0, 64.0])
    biases = jnp.asarray([0.0, 0.1, 1 / 3, 1 / 3])
    together = jax.jit(jax.vmap(chi))(weights, biases)
    assert len(traces) == 1
    for i in range(4):
        alone = chi(float(weights[i]), float(biases[i]))
        np.testing.assert_allclose(together[0][i], alone[0], rtol=1e-4, atol=1e-6)
        # Under order the variance dies out at a rate: where it is cut off is no matter.
        np.testing.assert_allclose(together[1][i], alone[1], rtol=1e-4, atol=1e-5)


def test_layer_variances_are_those_of_the_prior(key):
    template = {"input_kernel": jnp.zeros((500, 300)), "input_bias": jnp.zeros(90_000)}
    prior = Prior(bias_range=0.5)
    params = scale(draw(key, template, prior), 3.0, prior)
    weights, biases = mean_field.layer_variances(500, 300, 3.0, 0.5)
    assert 500 * float(jnp.var(params["input_kernel"])) == pytest.approx(
        weights, rel=0.02
    )
    assert float(jnp.var(params["input_bias"])) == pytest.approx(biases, rel=0.02)
    assert mean_field.layer_variances(64, 64, 3.0)[0] == pytest.approx(9)


@pytest.mark.parametrize(
    "name, layer_norm", [("tanh", False), ("relu", True), ("gaussian", False)]
)
def test_wide_networks_have_the_predicted_correlation(name, layer_norm):
    width, depth = 128, 3
    network = MLP(
        width=width,
        depth=depth,
        activations=(name,),
        variant=Variant(layer_norm=layer_norm),
    )
    x = jnp.asarray([[1.0, 0.2], [-0.3, 0.8]])
    template = jax.eval_shape(network.init, jax.random.key(0), x)["params"]

    def values(key):
        params = scale(draw(key, template, Prior()), 1.5, Prior())
        return network.apply({"params": params}, x)[0]

    found = np.asarray(jax.lax.map(values, jax.random.split(jax.random.key(1), 500)))
    activation = resolve(name)
    hidden = mean_field.layer_variances(width, width, 1.5)
    last = mean_field.layer_variances(width, 1, 1.5)
    pair = mean_field.input_pair(x[0], x[1], *mean_field.layer_variances(2, width, 1.5))
    for variances in (hidden, hidden, last):
        pair = mean_field.next_pair(activation, pair, *variances, layer_norm=layer_norm)
    moments = found.T @ found / len(found)
    np.testing.assert_allclose(
        [moments[0, 0], moments[1, 1]], [pair.first, pair.second], rtol=0.2
    )
    measured = moments[0, 1] / np.sqrt(moments[0, 0] * moments[1, 1])
    # Of 1,000 networks, at 4 standard errors, and the width is finite.
    assert measured == pytest.approx(float(pair.correlation()), abs=0.13)


def test_every_activation_has_a_chi():
    for name in ACTIVATIONS:
        found = mean_field.fixed_point(resolve(name), 0.5, 0.1)
        assert found.converged, name
        assert 0 <= float(found.chi) < 1
        np.testing.assert_allclose(found.slope, found.chi, rtol=1e-4)
