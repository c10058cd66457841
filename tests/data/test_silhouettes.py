"""Silhouettes: areas, distances, distinct, one program for all."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from jaxbias.data import silhouettes
from jaxbias.data.silhouettes import NAMES, distance

SIDE = 160
Y, X = np.mgrid[:SIDE, :SIDE].astype(np.float32) * 2 / SIDE - 1
PIXEL = 2 / SIDE


@pytest.fixture(scope="module")
def distances():
    draw = jax.jit(
        lambda labels: jax.lax.map(
            lambda n: distance(n, jnp.asarray(X), jnp.asarray(Y)), labels
        )
    )
    return np.asarray(draw(jnp.arange(16)))


def lens(first, second, apart):
    """Area that two discs share."""
    halves = [
        r**2 * np.arccos((apart**2 + r**2 - s**2) / (2 * apart * r))
        for r, s in ((first, second), (second, first))
    ]
    sides = (-apart + first + second) * (apart + first - second)
    sides *= (apart - first + second) * (apart + first + second)
    return sum(halves) - np.sqrt(sides) / 2


def _shoelace(name):
    x, y = np.array(silhouettes._CORNERS[name]).T
    return abs(x @ np.roll(y, 1) - y @ np.roll(x, 1)) / 2


AREAS = {
    "disc": np.pi * 0.88**2,
    "square": 1.36**2,
    "triangle": 0.84 * 1.47,
    # Ten triangles from the middle with an angle of 36 degrees between.
    "star": 10 * 0.4 * np.sin(np.pi / 5) / 2,
    "plus": 2 * 1.9 * 0.52 - 0.52**2,
    "ring": np.pi * (0.92**2 - 0.48**2),
    "crescent": np.pi * 0.95**2 - lens(0.95, 0.76, 0.46),
    "heart": 1.04**2 + np.pi * 0.52**2,
    "L": 0.45 * 1.6 + 0.7 * 0.45,
    "T": 1.44 * 0.44 + 0.44 * 1.09,
    "arrow": 0.56 + 0.74 * 0.9,
    "ellipse": np.pi * 0.97 * 0.58,
    "hexagon": 1.5 * np.sqrt(3) * 0.92**2,
    "U": 1.3 * 1.46 - 0.48 * 1.06,
    # Of the corners, by the cross products of neighbours.
    "bolt": _shoelace("bolt"),
    "pac-man": np.pi * 0.9**2 * 0.8,
}


def test_areas_are_those_of_geometry(distances):
    assert tuple(AREAS) == NAMES
    found = np.clip(0.5 - distances / PIXEL, 0, 1).sum((1, 2)) * PIXEL**2
    np.testing.assert_allclose(found, list(AREAS.values()), rtol=0.01)


def test_distances_are_euclidean_near_the_outline(distances):
    for name, own in zip(NAMES, distances, strict=True):
        outside, inside = (
            PIXEL * np.asarray(ndimage.distance_transform_edt(side))
            for side in (own > 0, own <= 0)
        )
        near = abs(own) < 8 * PIXEL
        off = abs(own - (outside - inside))[near]
        # Where parts meet, a corner is sharp instead of round.
        assert np.quantile(off, 0.85) < 1.1 * PIXEL, name


def test_all_are_within_the_disc_and_none_is_another(distances):
    inside = distances < 0
    assert not inside[:, np.hypot(X, Y) > 1.01].any()
    both = (inside[:, None] & inside).sum((2, 3))
    either = (inside[:, None] | inside).sum((2, 3))
    overlap = both / either - np.eye(16)
    assert overlap.max() < 0.9


def test_mapped_classes_are_single_ones():
    x, y = (jnp.asarray(field[::10, ::10]) for field in (X, Y))
    every = jax.jit(jax.vmap(lambda n: distance(n, x, y)))(jnp.arange(16))
    for number in (0, 3, 7, 14):
        own = distance(number, x, y)
        np.testing.assert_allclose(every[number], own, atol=1e-5)
