"""Grids on the cube and random planes through it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbias.numerics import grids


@pytest.mark.parametrize("resolution", [2, 3, 64, 300])
def test_equispaced_points_include_both_ends(resolution):
    line = grids.axis(resolution)
    steps = [-1 + 2 * i / (resolution - 1) for i in range(resolution)]
    np.testing.assert_allclose(line, steps, atol=1e-15)
    assert line[0] == -1 and line[-1] == 1 and line.dtype == np.float64


@pytest.mark.parametrize("resolution", [2, 5, 64])
def test_chebyshev_points_are_the_zeros_of_the_polynomial(resolution):
    line = grids.axis(resolution, "chebyshev")
    highest = np.zeros(resolution + 1)
    highest[-1] = 1
    assert np.abs(np.polynomial.chebyshev.chebval(line, highest)).max() < 1e-12
    assert np.all(np.diff(line) > 0) and np.all(np.abs(line) < 1)
    np.testing.assert_allclose(line, -line[::-1], atol=1e-15)


@pytest.mark.parametrize("resolution", [1, 0, -3])
def test_a_grid_needs_two_points(resolution):
    with pytest.raises(ValueError, match=f"at least 2, got {resolution}"):
        grids.axis(resolution)


def test_unknown_nodes_are_refused():
    with pytest.raises(ValueError, match="'random'"):
        grids.axis(8, "random")


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_each_axis_of_a_grid_runs_along_its_coordinate(dimension):
    points = grids.grid(5, dimension)
    line = np.linspace(-1, 1, 5).astype(np.float32)
    assert points.shape == (5,) * dimension + (dimension,)
    assert points.dtype == jnp.float32
    for index in np.ndindex(*(5,) * dimension):
        assert np.asarray(points[index]).tolist() == [line[i] for i in index]


def test_a_grid_may_have_chebyshev_points():
    points = grids.grid(6, 2, "chebyshev")
    line = grids.axis(6, "chebyshev").astype(np.float32)
    np.testing.assert_array_equal(points[:, 3, 0], line)
    np.testing.assert_array_equal(points[3, :, 1], line)


@pytest.mark.parametrize("dimension", [2, 3, 20])
def test_planes_are_flat_squares_in_the_unit_ball(dimension):
    planes = np.asarray(
        grids.random_planes(jax.random.key(dimension), 5, 9, dimension), np.float64
    )
    assert planes.shape == (5, 9, 9, dimension)
    # The middle point is the cube's centre; a corner is at distance 1, the farthest.
    np.testing.assert_allclose(planes[:, 4, 4], 0, atol=1e-7)
    distance = np.linalg.norm(planes, axis=-1)
    np.testing.assert_allclose(distance[:, 0, 0], 1, rtol=1e-6)
    assert distance.max() <= 1 + 1e-6
    rows, columns = planes[:, -1, 4], planes[:, 4, -1]
    np.testing.assert_allclose(np.linalg.norm(rows, axis=-1), np.sqrt(0.5), rtol=1e-6)
    np.testing.assert_allclose((rows * columns).sum(-1), 0, atol=1e-6)
    # Equal steps along both directions.
    line = np.linspace(-1, 1, 9)
    expected = (
        line[:, None, None] * rows[:, None, None]
        + line[:, None] * columns[:, None, None]
    )
    np.testing.assert_allclose(planes, expected, atol=1e-6)


def test_planes_differ_and_depend_on_the_key_alone(key):
    planes = grids.random_planes(key, 3, 4, 5)
    again = jax.jit(lambda k: grids.random_planes(k, 3, 4, 5))(jax.random.key(0))
    np.testing.assert_allclose(planes, again, atol=1e-6)
    assert len(np.unique(np.round(planes[:, 0, 0], 4), axis=0)) == 3
    other = grids.random_planes(jax.random.key(1), 3, 4, 5)
    assert np.abs(planes - other).max() > 0.1


def test_directions_of_planes_are_uniform():
    # In 3 dimensions each coordinate of a uniform direction is uniform in [-1, 1].
    planes = grids.random_planes(jax.random.key(7), 2000, 3, 3)
    row = np.asarray(planes[:, -1, 1]) * np.sqrt(2)
    # R of a QR factorisation fixes signs, so only the squares are uniform's.
    np.testing.assert_allclose((row**2).mean(0), 1 / 3, atol=0.02)
    np.testing.assert_allclose(np.abs(row).mean(0), 1 / 2, atol=0.02)


def test_a_plane_needs_two_dimensions(key):
    with pytest.raises(ValueError, match="at least 2, got 1"):
        grids.random_planes(key, 1, 4, 1)
