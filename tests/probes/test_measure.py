"""Any network measured: tiles, stacked parameters, keys, strategies."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxbias.lanes import default_strategy
from jaxbias.numerics import grids
from jaxbias.probes.complexity import (
    MEASURES,
    MeasureOptions,
    evaluate,
    measure,
    tile_for,
)

SIDE = 16


def bumps(params: dict[str, jax.Array], x: jax.Array) -> jax.Array:
    """A plain function of parameters and points; neither Flax nor a class."""
    return jnp.tanh(x @ params["direction"]) + params["height"] * jnp.cos(5 * x[:, 0])


def draw_bumps(key: jax.Array) -> dict[str, jax.Array]:
    one, other = jax.random.split(key)
    return {
        "direction": jax.random.normal(one, (2,)),
        "height": jax.random.uniform(other),
    }


def stacked_bumps(count: int, seed: int = 0) -> dict[str, jax.Array]:
    return jax.vmap(draw_bumps)(jax.random.split(jax.random.key(seed), count))


def exact_bumps(params: dict[str, jax.Array]) -> np.ndarray:
    """One function on the grid in float64."""
    x = np.asarray(grids.grid(SIDE), np.float64)
    direction = np.asarray(params["direction"], np.float64)
    return np.tanh(x @ direction) + float(params["height"]) * np.cos(5 * x[..., 0])


@pytest.mark.parametrize("tile", [1, 7, 64, 100, 255, 256, 10_000])
def test_tiles_change_no_value(tile):
    params = jax.tree.map(lambda leaf: leaf[0], stacked_bumps(1))
    grid = grids.grid(SIDE)
    found = evaluate(bumps, params, grid, tile)
    assert found.shape == (SIDE, SIDE)
    np.testing.assert_allclose(found, exact_bumps(params), atol=2e-6)


@settings(database=None, max_examples=200)
@given(st.integers(1, 2**20), st.integers(1, 10**7))
def test_tiles_are_even_and_fit_the_cache(width, points):
    tile = tile_for(width, points)
    most = max(64, 2**18 // width)
    parts = -(-points // tile)
    assert 1 <= tile <= min(most, points)
    # As few as the limit allows, and less than one point of padding each.
    assert parts == -(-points // most)
    assert parts * tile - points < parts


def test_any_function_with_stacked_parameters_is_measured():
    params = stacked_bumps(3)
    found = measure(bumps, params, grids.grid(SIDE))
    assert set(found) == {*MEASURES, "degenerate"}
    for array in found.values():
        assert isinstance(array, np.ndarray) and array.shape == (3,)
    for index in range(3):
        one = jax.tree.map(lambda leaf, i=index: leaf[i], params)
        for name, value in oracles.complexity(exact_bumps(one)).items():
            np.testing.assert_allclose(
                found[name][index], value, rtol=2e-5, err_msg=name
            )


def test_parameters_may_be_drawn_from_a_key():
    grid, names = grids.grid(SIDE), ("dct", "total_variation")
    found = measure(
        bumps, draw_bumps, grid, measures=names, key=jax.random.key(0), num_networks=4
    )
    stacked = measure(bumps, stacked_bumps(4), grid, measures=names)
    for name in names:
        np.testing.assert_allclose(found[name], stacked[name], rtol=1e-5)
    assert len(set(found["dct"].tolist())) == 4


@pytest.mark.parametrize("given", ["neither", "key", "number"])
def test_drawing_needs_a_key_and_a_number(given):
    known = {
        "neither": {},
        "key": {"key": jax.random.key(0)},
        "number": {"num_networks": 2},
    }[given]
    with pytest.raises(ValueError, match="key= and num_networks="):
        measure(bumps, draw_bumps, grids.grid(4), **known)


def test_a_network_reads_the_same_bits_among_any_number():
    grid, names = grids.grid(SIDE), ("fourier", "dct", "chebyshev")
    params = stacked_bumps(5)
    whole = measure(bumps, params, grid, measures=names, strategy="map")
    for count in (1, 2):
        some = jax.tree.map(lambda leaf, n=count: leaf[:n], params)
        found = measure(bumps, some, grid, measures=names, strategy="map")
        for name in names:
            np.testing.assert_array_equal(found[name], whole[name][:count])


def test_measuring_takes_options_and_a_strategy():
    grid, params = grids.grid(SIDE), stacked_bumps(2)
    run = partial(measure, bumps, params, grid, measures=("fourier",))
    author = MeasureOptions(fourier_binning="author")
    found = {
        s: run(options=author, strategy=s)["fourier"] for s in ("map", "vmap", None)
    }
    assert default_strategy() == "map"
    np.testing.assert_array_equal(found["map"], found[None])
    np.testing.assert_allclose(found["map"], found["vmap"], rtol=1e-5)
    for index, value in enumerate(found["map"]):
        one = jax.tree.map(lambda leaf, i=index: leaf[i], params)
        expected = oracles.fourier_author(exact_bumps(one))
        np.testing.assert_allclose(value, expected, rtol=1e-5)


def test_calls_with_the_same_functions_trace_once():
    traces = []

    class Counted:
        def apply(self, params: dict[str, jax.Array], x: jax.Array) -> jax.Array:
            traces.append(x.shape)
            return bumps(params, x)

    # Each look at a method makes another object; they are equal.
    net, grid = Counted(), grids.grid(SIDE)
    first = measure(net.apply, stacked_bumps(2), grid, measures=["dct"])
    count = len(traces)
    again = measure(net.apply, stacked_bumps(2, 1), grid, measures=("dct",))
    assert len(traces) == count > 0
    assert not np.any(first["dct"] == again["dct"])
    measure(net.apply, stacked_bumps(2), grid, measures=["fourier"])
    assert len(traces) > count


def test_a_network_without_a_hash_is_measured():
    class Unhashable:
        __hash__ = None  # type: ignore[assignment]
        apply = staticmethod(bumps)

        def method(self, params: dict[str, jax.Array], x: jax.Array) -> jax.Array:
            return bumps(params, x)

    grid, params = grids.grid(SIDE), stacked_bumps(2)
    found = measure(Unhashable().method, params, grid, measures=["dct"])
    known = measure(bumps, params, grid, measures=["dct"])
    np.testing.assert_array_equal(found["dct"], known["dct"])
