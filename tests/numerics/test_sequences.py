"""Levels and traversal orders."""

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from jaxbias.numerics import sequences
from jaxbias.numerics.sequences import quantise, traverse


def numbered(*shape: int) -> jnp.ndarray:
    return jnp.arange(np.prod(shape), dtype=jnp.int32).reshape(shape)


@pytest.mark.parametrize("levels", [2, 3, 10, 256, 1000])
def test_levels_are_equal_intervals_of_the_values_own_range(levels):
    values = np.random.default_rng(1).normal(size=(32, 32)).astype(np.float32)
    found = np.asarray(quantise(jnp.asarray(values), levels)).astype(int)
    expected = oracles.quantise(values.astype(np.float64), levels)
    # A value within float32's rounding of an edge may fall on either side.
    low, high = float(values.min()), float(values.max())
    place = (values.astype(np.float64) - low) / (high - low) * levels
    at_edge = np.abs(place - np.rint(place)) < 1e-6 * levels
    assert at_edge.mean() < 0.01
    np.testing.assert_array_equal(found[~at_edge], expected[~at_edge])
    assert found.min() == 0 and found.max() == levels - 1


@settings(deadline=None, database=None, max_examples=50)
@given(
    arrays(np.float32, (3, 4), elements=st.floats(-(2.0**100), 2.0**100, width=32)),
    st.sampled_from([1, 2, 10, 300]),
)
def test_symbols_are_in_range_and_in_order(values, levels):
    found = np.asarray(quantise(jnp.asarray(values), levels)).astype(int)
    assert found.min() >= 0 and found.max() <= levels - 1
    by_value = np.argsort(values, axis=None, kind="stable")
    assert np.all(np.diff(found.ravel()[by_value]) >= 0)
    # XLA takes denormal numbers for 0.
    if values.max() - values.min() > 1e-30:
        assert found.ravel()[values.argmin()] == 0
        assert found.ravel()[values.argmax()] == levels - 1


@pytest.mark.parametrize("constant", [0.0, 1.0, 0.1, -3e38])
def test_a_constant_is_level_0(constant):
    assert np.all(np.asarray(quantise(jnp.full((4, 4), constant))) == 0)


def test_the_largest_value_is_in_the_last_level():
    values = jnp.arange(11.0)
    assert np.asarray(quantise(values, 10)).tolist() == [*range(10), 9]
    assert np.asarray(quantise(jnp.asarray([0.0, 1.0]), 2)).tolist() == [0, 1]


def test_levels_that_fit_a_byte_take_one():
    values = jnp.linspace(0.0, 1.0, 7)
    assert quantise(values, 256).dtype == jnp.uint8
    assert quantise(values, 257).dtype == jnp.int32


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_stay_in_range(bad):
    for values in ([bad, 0.0, 1.0], [bad, bad, bad], [np.inf, -np.inf, bad]):
        found = np.asarray(quantise(jnp.asarray(values, jnp.float32)))
        assert found.min() >= 0 and found.max() <= 9


@pytest.mark.parametrize("order", sequences.ORDERS)
@pytest.mark.parametrize("side", [1, 2, 4, 16, 64])
def test_every_order_visits_each_cell_once(order, side):
    steps = np.asarray(traverse(numbered(side, side), order))
    assert sorted(steps.tolist()) == list(range(side * side))


def test_column_runs_down_the_first_axis_and_row_along_the_last():
    cells = numbered(2, 3)
    assert np.asarray(traverse(cells, "row")).tolist() == [0, 1, 2, 3, 4, 5]
    assert np.asarray(traverse(cells, "column")).tolist() == [0, 3, 1, 4, 2, 5]
    cells = numbered(2, 3, 4)
    flat = np.asarray(cells).ravel
    assert np.asarray(traverse(cells, "row")).tolist() == flat("C").tolist()
    assert np.asarray(traverse(cells, "column")).tolist() == flat("F").tolist()


@pytest.mark.parametrize("order", ["row", "column", "snake", "hilbert"])
@pytest.mark.parametrize("side", [2, 8, 32])
def test_snake_and_hilbert_step_from_neighbour_to_neighbour(order, side):
    steps = np.asarray(traverse(numbered(side, side), order))
    row, column = np.divmod(steps, side)
    length = np.abs(np.diff(row)) + np.abs(np.diff(column))
    assert np.all(length == 1) == (order in ("snake", "hilbert"))


def test_snake_turns_at_each_end():
    assert np.asarray(traverse(numbered(3, 3), "snake")).tolist() == [
        *(0, 1, 2),
        *(5, 4, 3),
        *(6, 7, 8),
    ]
    assert np.asarray(traverse(numbered(2, 4), "snake")).tolist() == [
        *(0, 1, 2, 3),
        *(7, 6, 5, 4),
    ]


@pytest.mark.parametrize("side", [4, 16])
def test_hilbert_finishes_each_quarter_before_the_next(side):
    steps = np.asarray(traverse(numbered(side, side), "hilbert"))
    row, column = np.divmod(steps, side)
    size = side
    while size > 1:
        size //= 2
        block = (row // size) * side + column // size
        runs = block.reshape(-1, size * size)
        assert np.all(runs == runs[:, :1])


def test_hilbert_starts_and_ends_at_neighbouring_corners():
    steps = np.asarray(traverse(numbered(16, 16), "hilbert"))
    ends = {divmod(int(s), 16) for s in (steps[0], steps[-1])}
    assert ends in ({(0, 0), (15, 0)}, {(0, 0), (0, 15)})


@pytest.mark.parametrize("order", sequences.ORDERS)
def test_a_line_is_read_as_it_is(order):
    assert np.asarray(traverse(jnp.arange(5), order)).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("order", "shape"),
    [
        ("hilbert", (6, 6)),
        ("hilbert", (4, 8)),
        ("hilbert", (2, 2, 2)),
        ("snake", (2, 2, 2)),
        ("spiral", (4, 4)),
        ("spiral", (4,)),
    ],
)
def test_orders_that_do_not_fit_are_refused(order, shape):
    with pytest.raises(ValueError, match=order):
        traverse(numbered(*shape), order)


@pytest.mark.parametrize("order", sequences.ORDERS)
def test_compiled_and_mapped_equal_eager(order):
    def read(values):
        return traverse(quantise(values), order)

    values = np.random.default_rng(0).normal(size=(3, 8, 8)).astype(np.float32)
    values = jnp.asarray(values)
    loop = np.stack([read(v) for v in values])
    np.testing.assert_array_equal(jax.jit(read)(values[0]), loop[0])
    np.testing.assert_array_equal(jax.vmap(read)(values), loop)
    np.testing.assert_array_equal(jax.lax.map(read, values), loop)
