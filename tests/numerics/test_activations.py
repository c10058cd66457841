"""Activations against float64, within the errors that their docstrings state."""

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest

from jaxbias.numerics import activations
from jaxbias.numerics.activations import (
    ACTIVATIONS,
    UnknownActivationError,
    gaussian,
    resolve,
    selected,
)

EPS = float(np.finfo(np.float32).eps)

SAMPLES = np.concatenate(
    [
        np.linspace(-30, 30, 200_001),
        np.linspace(-1e-3, 1e-3, 2001),
        np.logspace(-30, 4, 500),
        -np.logspace(-30, 4, 500),
    ]
).astype(np.float32)


def error(name: str, x: np.ndarray) -> np.ndarray:
    """Absolute error of the compiled function at float32 inputs."""
    found = np.asarray(jax.jit(ACTIVATIONS[name])(jnp.asarray(x)), np.float64)
    return np.abs(found - oracles.ACTIVATIONS[name](x.astype(np.float64)))


def test_every_activation_has_a_reference():
    assert set(ACTIVATIONS) == set(oracles.ACTIVATIONS)


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_values_equal_float64(name):
    exact = oracles.ACTIVATIONS[name](SAMPLES.astype(np.float64))
    assert np.all(error(name, SAMPLES) <= 1.3e-6 + 2 * EPS * np.abs(exact))


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "gaussian", "relu"])
def test_bounded_activations_are_exact_to_rounding(name):
    inside = np.abs(SAMPLES) <= (30 if name == "relu" else np.inf)
    assert error(name, SAMPLES[inside]).max() <= 5 * EPS


@pytest.mark.parametrize("how", ["compiled", "eager"])
def test_sine_error_is_as_stated(how):
    """Eager evaluation does not fuse multiplications with additions, as some CPUs."""
    sine = (
        jax.jit(activations._sine_cpu) if how == "compiled" else activations._sine_cpu
    )
    for limit, count in ((10, 400_000), (1000, 400_000), (2e5, 1_000_001)):
        x = np.linspace(-limit, limit, count).astype(np.float32)
        found = np.asarray(sine(jnp.asarray(x)), np.float64)
        assert np.abs(found - np.sin(x.astype(np.float64))).max() < 1.4e-7
    # Next to whole multiples of pi, and of half of it.
    multiples = (np.arange(-127_000, 127_000) * (np.pi / 2)).astype(np.float32)
    found = np.asarray(sine(jnp.asarray(multiples)), np.float64)
    assert np.abs(found - np.sin(multiples.astype(np.float64))).max() < 1.4e-7


def test_sine_stays_bounded_where_floats_are_coarse():
    x = np.geomspace(2e5, 3e38, 10_000).astype(np.float32)
    for sign in (1, -1):
        found = np.asarray(activations._sine_cpu(jnp.asarray(sign * x)))
        assert np.all(np.abs(found) <= 1.0001)


def test_sine_keeps_the_relative_error_of_small_angles():
    x = np.logspace(-37, -2, 400).astype(np.float32)
    found = np.asarray(ACTIVATIONS["sine"](jnp.asarray(x)), np.float64)
    np.testing.assert_allclose(found, np.sin(x.astype(np.float64)), rtol=2e-7)
    assert float(ACTIVATIONS["sine"](jnp.zeros(()))) == 0


def test_gelu_error_is_as_stated():
    for low, high in ((-6, 6), (4.5, 6.5), (-2e4, 2e4)):
        assert (
            error("gelu", np.linspace(low, high, 500_000).astype("f4")).max() < 1.2e-6
        )


def test_selu_error_is_as_stated():
    for low in (-1, -4, -100):
        assert error("selu", np.linspace(low, 0, 500_000).astype("f4")).max() < 2.5e-7
    assert error("selu", np.linspace(0, 1, 1000).astype("f4")).max() < 2 * EPS


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_compiled_equals_eager_and_mapped(name):
    x = jnp.asarray(SAMPLES[::500])
    eager = ACTIVATIONS[name](x)
    # Whether operations are fused changes rounding, within the stated errors.
    within = {"rtol": 3e-7, "atol": 1.2e-6 if name == "gelu" else 3e-7}
    np.testing.assert_allclose(jax.jit(ACTIVATIONS[name])(x), eager, **within)
    one_by_one = jax.lax.map(ACTIVATIONS[name], x)
    np.testing.assert_allclose(one_by_one, eager, **within)
    np.testing.assert_allclose(jax.vmap(ACTIVATIONS[name])(x), eager, **within)


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_values_that_are_not_finite_show(name):
    found = np.asarray(ACTIVATIONS[name](jnp.asarray([np.nan, np.inf, -np.inf])))
    assert np.isnan(found[0])
    limits = {
        "relu": (np.inf, 0),
        "gelu": (np.inf, np.nan),
        "swish": (np.inf, np.nan),
        "selu": (np.inf, -1.758099),
        "sigmoid": (1, 0),
        "tanh": (1, -1),
        "gaussian": (0, 0),
        "sine": (np.nan, np.nan),
    }
    np.testing.assert_allclose(found[1:], limits[name], rtol=1e-6)


def test_the_published_heatmaps_gaussian_is_a_narrow_one():
    x = jnp.linspace(-3, 3, 101)
    exact = np.asarray(x, np.float64)
    np.testing.assert_allclose(
        gaussian(np.sqrt(0.5))(x), np.exp(-(exact**2)), rtol=1e-5
    )
    np.testing.assert_allclose(
        resolve("gaussian", gaussian_width=2.0)(x), np.exp(-(exact**2) / 8), rtol=1e-6
    )


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_short_names_are_found(name):
    np.testing.assert_allclose(
        resolve(name)(jnp.linspace(-2, 2, 5)),
        oracles.ACTIVATIONS[name](np.linspace(-2, 2, 5)),
        atol=1e-6,
    )


def test_any_function_is_found_by_its_import_path():
    assert resolve("jax.nn.softplus") is jax.nn.softplus
    assert resolve("jax.numpy.tanh") is jnp.tanh


@pytest.mark.parametrize(
    "name",
    ["", "rely", "jax.nn.no_such", "no_such_module.f", "jax.nn", "jaxbias.__version__"],
)
def test_unknown_names_are_refused_with_the_known_ones(name):
    with pytest.raises(UnknownActivationError, match="relu, gelu.*jax.nn.softplus"):
        resolve(name)


def test_a_traced_number_selects_and_compiles_once():
    traces = []

    @jax.jit
    def apply(index, x):
        traces.append(index)
        return selected(list(ACTIVATIONS.values()), index, x)

    x = jnp.linspace(-3, 3, 64)
    for number, function in enumerate(ACTIVATIONS.values()):
        np.testing.assert_allclose(
            apply(jnp.asarray(number), x), jax.jit(function)(x), rtol=2e-7, atol=1e-7
        )
    assert len(traces) == 1


def test_one_activation_needs_no_switch():
    x = jnp.linspace(-3, 3, 8)
    found = jax.make_jaxpr(lambda i: selected([jnp.tanh], i, x))(jnp.asarray(0))
    assert "cond" not in str(found)
