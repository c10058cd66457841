"""Mean polynomial order against one big least-squares problem in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest

from jaxbias.numerics import grids
from jaxbias.numerics.polynomials import (
    MAX_CONDITION,
    DegreeError,
    largest_degree,
    polynomial_order,
)


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def smooth(resolution: int, nodes: str = "equispaced") -> np.ndarray:
    points = np.asarray(grids.grid(resolution, nodes=nodes), np.float64)
    x, y = np.moveaxis(points, -1, 0)
    return (np.tanh(2 * x - y) + 0.3 * np.sin(4 * y + x)).astype(np.float32)


@pytest.mark.parametrize("nodes", grids.NODES)
@pytest.mark.parametrize("order", ["sum", "max", "euclid"])
@pytest.mark.parametrize("basis", ["chebyshev", "legendre"])
def test_order_equals_the_whole_least_squares_problem(basis, order, nodes):
    for values in (random(12, 12), smooth(12, nodes)):
        found = polynomial_order(jnp.asarray(values), basis, 8, order, nodes)
        expected = oracles.polynomial_order(
            values.astype(np.float64), basis, 8, order, nodes
        )
        np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("shape", [(16,), (7, 9), (5, 6, 7)])
def test_other_dimensions_and_sides_equal_the_reference(shape):
    values = random(*shape)
    np.testing.assert_allclose(
        polynomial_order(jnp.asarray(values), "chebyshev", 4),
        oracles.polynomial_order(values.astype(np.float64), "chebyshev", 4),
        rtol=1e-5,
    )


@pytest.mark.parametrize("basis", ["chebyshev", "legendre"])
@pytest.mark.parametrize("resolution", [64, 300])
def test_a_plane_has_order_1_00(basis, resolution):
    x, y = jnp.moveaxis(grids.grid(resolution), -1, 0)
    for values in (x, y, x - 0.5 * y + 0.1):
        assert abs(float(polynomial_order(values, basis, 20)) - 1) < 5e-4


def test_white_noise_has_the_order_of_the_protocol():
    white = [
        polynomial_order(jnp.asarray(random(64, 64, seed=s)), "chebyshev", 20)
        for s in range(5)
    ]
    assert abs(np.mean(white) - 19.6) < 0.2
    legendre = polynomial_order(jnp.asarray(random(64, 64)), "legendre", 20)
    assert abs(float(legendre) - 24) < 1


@pytest.mark.parametrize("nodes", grids.NODES)
@pytest.mark.parametrize("powers", [(1, 0), (0, 3), (2, 5), (7, 7)])
@pytest.mark.parametrize("basis", ["chebyshev", "legendre"])
def test_a_product_of_two_polynomials_reads_its_order(basis, powers, nodes):
    value = {
        "chebyshev": np.polynomial.chebyshev.chebval,
        "legendre": np.polynomial.legendre.legval,
    }[basis]
    line = grids.axis(16, nodes)
    one, other = (value(line, np.eye(8)[k]) for k in powers)
    values = jnp.asarray(3 + np.outer(one, other), jnp.float32)
    for order, expected in (
        ("sum", sum(powers)),
        ("max", max(powers)),
        ("euclid", np.hypot(*powers)),
    ):
        found = polynomial_order(values, basis, 7, order, nodes)
        np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_a_mixture_is_the_mean_of_its_orders():
    x, y = np.moveaxis(np.asarray(grids.grid(16), np.float64), -1, 0)
    values = 3 * x + (2 * y**2 - 1)
    found = polynomial_order(jnp.asarray(values, jnp.float32), "chebyshev", 8)
    np.testing.assert_allclose(found, (3 * 1 + 1 * 2) / 4, rtol=1e-5)


def test_what_is_above_the_degree_is_not_seen():
    line = grids.axis(32, "chebyshev")
    high = np.polynomial.chebyshev.chebval(line, np.eye(30)[25])
    plane = np.add.outer(line, high)
    found = polynomial_order(
        jnp.asarray(plane, jnp.float32), "chebyshev", 10, nodes="chebyshev"
    )
    np.testing.assert_allclose(found, 1, atol=1e-4)


@pytest.mark.parametrize("basis", ["chebyshev", "legendre"])
@pytest.mark.parametrize("resolution", [2, 3, 16, 40, 64])
def test_the_largest_degree_is_the_last_well_conditioned_one(basis, resolution):
    vandermonde = getattr(
        getattr(np.polynomial, basis),
        {"chebyshev": "chebvander"}.get(basis, "legvander"),
    )
    line = np.linspace(-1, 1, resolution)
    largest = largest_degree(basis, resolution)
    assert largest == oracles.best_degree(basis, resolution, most=resolution)
    assert np.linalg.cond(vandermonde(line, largest)) <= MAX_CONDITION
    if largest + 1 < resolution:
        assert np.linalg.cond(vandermonde(line, largest + 1)) > MAX_CONDITION


def test_conditions_are_those_of_the_protocol():
    # 64 equispaced points: 20 -> 3.8 and 24 -> 7 are fits, 32 -> 128 is not.
    assert 24 <= largest_degree("chebyshev", 64) < 32
    assert largest_degree("chebyshev", 64, "chebyshev") == 63
    with pytest.raises(DegreeError, match=r"condition 1[23]\d\).*at most 25"):
        polynomial_order(jnp.zeros((64, 64)), "chebyshev", 32)


@pytest.mark.parametrize(
    ("degree", "message"),
    [
        (0, "at least 1, got 0"),
        (-2, "at least 1, got -2"),
        (8, "more coefficients than points"),
        (100, "100 is too high for 8 equispaced points"),
    ],
)
def test_degrees_that_do_not_fit_the_grid_are_refused(degree, message):
    with pytest.raises(DegreeError, match=message):
        polynomial_order(jnp.zeros((8, 8)), "chebyshev", degree)


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="'hermite'"):
        polynomial_order(jnp.zeros((8, 8)), "hermite", 3)
    with pytest.raises(ValueError, match="'product'"):
        polynomial_order(jnp.zeros((8, 8)), "chebyshev", 3, "product")
    with pytest.raises(ValueError, match="'random'"):
        polynomial_order(jnp.zeros((8, 8)), "chebyshev", 3, "sum", "random")


def test_a_constant_reads_nan():
    assert np.isnan(polynomial_order(jnp.zeros((8, 8)), "chebyshev", 3))


def test_shift_and_scale_change_nothing():
    values = random(16, 16)
    base = polynomial_order(jnp.asarray(values), "chebyshev", 10)
    for scale, shift in ((1e-3, 0), (-20, 5), (1, -7)):
        moved = jnp.asarray(scale * values + shift, jnp.float32)
        found = polynomial_order(moved, "chebyshev", 10)
        np.testing.assert_allclose(found, base, rtol=1e-4)


def test_compiled_and_mapped_equal_eager():
    def measure(v):
        return polynomial_order(v, "legendre", 6)

    values = jnp.asarray(random(4, 12, 12))
    loop = np.stack([measure(v) for v in values])
    np.testing.assert_allclose(jax.jit(measure)(values[0]), loop[0], rtol=1e-5)
    np.testing.assert_allclose(jax.vmap(measure)(values), loop, rtol=1e-5)
    np.testing.assert_allclose(jax.lax.map(measure, values), loop, rtol=1e-5)
