"""Sixteen silhouettes as distances to their outlines, for stimuli of a known shape.

Ten are polygons of a table, so that the class may be traced without a program for each.
Every silhouette lies within the unit disc; distances are negative inside, exact near the
outline but for corners, and in the unit of the coordinates. Rows count downwards.
"""

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

Field = Float[Array, "row column"]
Label = Int[Array, ""] | int

NAMES = (
    *("disc", "square", "triangle", "star", "plus", "ring", "crescent", "heart"),
    *("L", "T", "arrow", "ellipse", "hexagon", "U", "bolt", "pac-man"),
)
"""Of the classes, in the order of their labels."""


def _regular(corners: int, radius: float, inner: float = 0.0) -> list:
    """From the top clockwise; with inner corners between, a star."""
    count = 2 * corners if inner else corners
    angles = 2 * np.pi * np.arange(count) / count
    radii = np.where(np.arange(count) % 2, inner or radius, radius)
    return list(zip(radii * np.sin(angles), -radii * np.cos(angles), strict=True))


_CORNERS: dict[str, list] = {
    "square": [(-0.68, -0.68), (0.68, -0.68), (0.68, 0.68), (-0.68, 0.68)],
    "triangle": [(0, -0.95), (0.84, 0.52), (-0.84, 0.52)],
    "star": _regular(5, 1.0, 0.4),
    "plus": [
        *((-0.26, -0.95), (0.26, -0.95), (0.26, -0.26), (0.95, -0.26)),
        *((0.95, 0.26), (0.26, 0.26), (0.26, 0.95), (-0.26, 0.95)),
        *((-0.26, 0.26), (-0.95, 0.26), (-0.95, -0.26), (-0.26, -0.26)),
    ],
    "L": [
        *((-0.55, -0.8), (-0.1, -0.8), (-0.1, 0.35)),
        *((0.6, 0.35), (0.6, 0.8), (-0.55, 0.8)),
    ],
    "T": [
        *((-0.72, -0.68), (0.72, -0.68), (0.72, -0.24), (0.22, -0.24)),
        *((0.22, 0.85), (-0.22, 0.85), (-0.22, -0.24), (-0.72, -0.24)),
    ],
    "arrow": [
        *((-0.95, -0.28), (0.05, -0.28), (0.05, -0.74), (0.95, 0)),
        *((0.05, 0.74), (0.05, 0.28), (-0.95, 0.28)),
    ],
    "hexagon": _regular(6, 0.92),
    "U": [
        *((-0.65, -0.72), (-0.24, -0.72), (-0.24, 0.34), (0.24, 0.34)),
        *((0.24, -0.72), (0.65, -0.72), (0.65, 0.74), (-0.65, 0.74)),
    ],
    "bolt": [
        *((0.32, -0.94), (-0.68, 0.2), (-0.1, 0.2)),
        *((-0.36, 0.93), (0.68, -0.26), (0.12, -0.26)),
    ],
}


def _tables() -> tuple[np.ndarray, np.ndarray]:
    """Corners of the polygons, the last one repeated; and each label's place there."""
    most = max(map(len, _CORNERS.values()))
    full = [own + [own[-1]] * (most - len(own)) for own in _CORNERS.values()]
    order = list(_CORNERS)
    place = [order.index(name) if name in _CORNERS else 0 for name in NAMES]
    return np.asarray(full, np.float32), np.asarray(place)


_TABLE, _PLACE = _tables()
_ROUND = ("disc", "ring", "crescent", "heart", "ellipse", "pac-man")
_BRANCH = np.asarray([_ROUND.index(n) + 1 if n in _ROUND else 0 for n in NAMES])


def distance(shape: Label, x: Field, y: Field) -> Field:
    """Signed distance from the outline of a silhouette, negative inside.

    Args:
        shape: Number in `NAMES`; may be traced.
        x: To the right, from -1 to 1 within the silhouette's disc.
        y: Downwards.
    """
    corners = jnp.asarray(_TABLE)[jnp.asarray(_PLACE)[shape]]
    drawn = (_polygon, _disc, _ring, _crescent, _heart, _ellipse, _pac_man)
    return lax.switch(jnp.asarray(_BRANCH)[shape], drawn, corners, x, y)


Corners = Float[Array, "corner 2"]


def _polygon(corners: Corners, x: Field, y: Field) -> Field:
    """Distance from the nearest edge; inside where a ray crosses an odd number of them."""

    def edge(number: Array, found: tuple[Array, Array]) -> tuple[Array, Array]:
        nearest, inside = found
        start, end = corners[number - 1], corners[number]
        along = end - start
        across, down = x - start[0], y - start[1]
        # A repeated corner has no length.
        length = jnp.maximum(along @ along, 1e-12)
        share = jnp.clip((across * along[0] + down * along[1]) / length, 0, 1)
        away = (across - share * along[0]) ** 2 + (down - share * along[1]) ** 2
        level = (start[1] > y) != (end[1] > y)
        left = (along[0] * down - along[1] * across > 0) == (along[1] > 0)
        return jnp.minimum(nearest, away), inside ^ (level & left)

    # Unrolled it would compile for longer than all else.
    begin = jnp.full_like(x, jnp.inf), jnp.zeros(x.shape, bool)
    nearest, inside = lax.fori_loop(0, len(corners), edge, begin)
    return jnp.sqrt(nearest) * jnp.where(inside, -1.0, 1.0)


def _disc(corners: Corners, x: Field, y: Field) -> Field:
    return jnp.hypot(x, y) - 0.88


def _ring(corners: Corners, x: Field, y: Field) -> Field:
    return jnp.abs(jnp.hypot(x, y) - 0.7) - 0.22


def _crescent(corners: Corners, x: Field, y: Field) -> Field:
    return jnp.maximum(jnp.hypot(x, y) - 0.95, 0.76 - jnp.hypot(x - 0.46, y))


def _heart(corners: Corners, x: Field, y: Field) -> Field:
    """A square on its corner, and discs on its upper sides."""
    half, middle = 0.52, 0.12
    x, y = jnp.abs(x), y - middle
    square = (x + jnp.abs(y)) / np.sqrt(2) - half
    lobe = half / np.sqrt(2)
    return jnp.minimum(square, jnp.hypot(x - lobe, y + lobe) - half)


def _ellipse(corners: Corners, x: Field, y: Field) -> Field:
    """To first order about the outline."""
    scaled = jnp.hypot(x / 0.97, y / 0.58)
    slope = jnp.hypot(x / 0.97**2, y / 0.58**2)
    return scaled * (scaled - 1) / jnp.maximum(slope, 1e-6)


def _pac_man(corners: Corners, x: Field, y: Field) -> Field:
    """Its mouth is open to the right, by four fifths of a right angle."""
    slope = np.tan(np.pi / 5)
    mouth = (jnp.abs(y) - slope * x) / np.hypot(1, slope)
    return jnp.maximum(jnp.hypot(x, y) - 0.9, -mouth)
