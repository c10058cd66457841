"""Sixteen textures without colours, for stimuli of a known texture.

A texture is a field from 0 to 1, by which two colours are mixed. Its frequency is counted
in cycles along the side of the image and jittered, as are its phase and its direction.
Edges are one pixel soft.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

from jaxbias.arrays import RandomKey

Field = Float[Array, "row column"]
Label = Int[Array, ""] | int
Scalar = Float[Array, ""]

NAMES = (
    *("horizontal", "vertical", "diagonal", "chequers", "dots", "white noise"),
    *("coarse noise", "cracks", "bricks", "rings", "waves", "grid"),
    *("blotches", "speckles", "grain", "cells"),
)
"""Of the classes, in the order of their labels.

Stripes of three directions; noise with an amplitude of 1 / frequency^1.6; ridges between
Voronoi's cells; middle and high bands of noise, cut at their mean; noise with a direction;
Voronoi's cells, each of one value.
"""

FREQUENCY_JITTER = (0.8, 1.25)
ANGLE_JITTER = np.deg2rad(10.0)

_NOISE = {"white noise", "coarse noise", "blotches", "speckles", "grain"}
_CELLS = {"cracks", "cells"}
_PATTERNS = tuple(n for n in NAMES if n not in _NOISE | _CELLS)
_FAMILY = np.asarray([(n in _NOISE) + 2 * (n in _CELLS) for n in NAMES])
_PATTERN = np.asarray([_PATTERNS.index(n) if n in _PATTERNS else 0 for n in NAMES])


class _Jitter(NamedTuple):
    """Of one texture.

    Attributes:
        cycles: Along the side.
        turn: Radians from the class's own direction.
        phase: Of both directions, in cycles.
    """

    cycles: Scalar
    turn: Scalar
    phase: Float[Array, "2"]


def draw(key: RandomKey, texture: Label, size: int, cycles: float = 7.0) -> Field:
    """Draw a texture that fills a square.

    Args:
        key: Random key.
        texture: Number in `NAMES`; may be traced.
        size: Side in pixels; 4 for each cycle or more, or the fine ones are not there.
        cycles: Of stripes along the side, before the jitter.

    Raises:
        ValueError: If the side is too short for the cycles.
    """
    if size < 4 * cycles:
        raise ValueError(f"{cycles} cycles in {size} pixels: 4 pixels a cycle or more")
    jitter_key, own_key = jax.random.split(key)
    rate, turn, *phase = jax.random.uniform(jitter_key, (4,))
    low, high = FREQUENCY_JITTER
    turn = ANGLE_JITTER * (2 * turn - 1)
    jitter = _Jitter(cycles * (low + (high - low) * rate), turn, jnp.stack(phase))
    # Mapped, all branches are computed, and checks of key reuse would count three uses.
    data, kind = jax.random.key_data(own_key), jax.random.key_impl(own_key)
    whole = lambda data: jax.random.wrap_key_data(data, impl=kind)  # noqa: E731
    families = (
        lambda data: _pattern(texture, jitter, size),
        lambda data: _noise(whole(data), texture, jitter, size),
        lambda data: _voronoi(whole(data), texture, jitter, size, cycles),
    )
    return lax.switch(jnp.asarray(_FAMILY)[texture], families, data)


# Patterns


def _pattern(texture: Label, jitter: _Jitter, size: int) -> Field:
    place = jnp.asarray((np.arange(size) + 0.5) / size - 0.5, np.float32)
    y, x = jnp.meshgrid(place, place, indexing="ij")
    cos, sin = jnp.cos(jitter.turn), jnp.sin(jitter.turn)
    u = jitter.cycles * (cos * x - sin * y) + jitter.phase[0]
    v = jitter.cycles * (sin * x + cos * y) + jitter.phase[1]
    # From the middle, in cycles: rings have no direction but a centre.
    centre = 0.4 * (jitter.phase - 0.5)
    away = jitter.cycles * jnp.hypot(x - centre[0], y - centre[1])
    pixel = jitter.cycles / size
    soft = lambda edge: jnp.clip(0.5 - edge / pixel, 0, 1)  # noqa: E731
    drawn = {
        "horizontal": lambda: soft(_stripe(v)),
        "vertical": lambda: soft(_stripe(u)),
        "diagonal": lambda: soft(_stripe((u + v) / np.sqrt(2))),
        "chequers": lambda: _either(soft(_stripe(u / 1.5)), soft(_stripe(v / 1.5))),
        "dots": lambda: soft(jnp.hypot(_saw(u), _saw(v)) - 0.3),
        "bricks": lambda: soft(_mortar(u, 1.25 * v)),
        "rings": lambda: soft(_stripe(away)),
        "waves": lambda: soft(_stripe(v + 0.5 * jnp.sin(np.pi * u))),
        "grid": lambda: soft(0.36 - jnp.maximum(jnp.abs(_saw(u)), jnp.abs(_saw(v)))),
    }
    return lax.switch(jnp.asarray(_PATTERN)[texture], [drawn[n] for n in _PATTERNS])


def _saw(cycles: Field) -> Field:
    """From -1/2 to 1/2 along each cycle."""
    return cycles - jnp.floor(cycles) - 0.5


def _stripe(cycles: Field) -> Field:
    """Distance, in cycles, from a stripe half a cycle wide."""
    return jnp.abs(_saw(cycles)) - 0.25


def _either(first: Field, second: Field) -> Field:
    """But not both."""
    return first + second - 2 * first * second


def _mortar(u: Field, v: Field) -> Field:
    """Distance from the lines between bricks, two cycles long, each row half a brick on."""
    along = u / 2 + jnp.floor(v) / 2
    return 0.4 - jnp.maximum(2 * jnp.abs(_saw(along)) - 0.5, jnp.abs(_saw(v)))


# Noise


class _Band(NamedTuple):
    """What noise of a class is.

    Attributes:
        exponent: Of the amplitude, 1 / frequency^exponent.
        centre: Of the band, in units of the texture's cycles.
        width: Standard deviation of the logarithm of frequency; infinite for no band.
        spread: The same of the direction, in radians.
        gain: Of the field, in standard deviations, before it is cut to 0 to 1.
    """

    exponent: float
    centre: float = 1.0
    width: float = np.inf
    spread: float = np.inf
    gain: float = 0.35


_BANDS = {
    "white noise": _Band(0.0),
    "coarse noise": _Band(1.6),
    "blotches": _Band(0.0, 0.7, 0.2, gain=np.inf),
    "speckles": _Band(0.0, 1.6, 0.12, gain=np.inf),
    "grain": _Band(0.0, 1.0, 0.35, 0.2),
}
_PLAIN = _Band(0.0)
_LAW = np.asarray([_BANDS.get(name, _PLAIN) for name in NAMES], np.float32)

GRAIN = np.deg2rad(135.0)
"""Direction of the frequencies of "grain": across "diagonal", and so like no stripes."""


def _noise(key: RandomKey, texture: Label, jitter: _Jitter, size: int) -> Field:
    """White noise, filtered on a torus."""
    down = np.fft.fftfreq(size, 1 / size)[:, None]
    across = np.fft.rfftfreq(size, 1 / size)[None]
    frequency = np.hypot(down, across)
    frequency[0, 0] = 1.0
    direction = np.arctan2(down, across)
    law = _Band(*jnp.asarray(_LAW)[texture])
    octave = jnp.log(jnp.asarray(frequency, np.float32) / (law.centre * jitter.cycles))
    turn = jnp.asarray(direction, np.float32) - GRAIN - jitter.turn
    amplitude = jnp.exp(
        -law.exponent * octave
        - (octave / law.width) ** 2 / 2
        # Opposite directions are one.
        - (jnp.sin(turn) / law.spread) ** 2 / 2
    )
    amplitude = amplitude.at[0, 0].set(0.0)
    white = jax.random.normal(key, (size**2,)).reshape(size, size)
    field = jnp.fft.irfft2(amplitude * jnp.fft.rfft2(white), (size, size))
    field = field / jnp.std(field)
    # A cut is one pixel soft, as all edges are.
    steep = size / (2 * np.pi * law.centre * jitter.cycles)
    gain = jnp.minimum(law.gain, jnp.maximum(steep, 1.0))
    return jnp.clip(0.5 + gain * field, 0, 1)


# Cells


def _voronoi(
    key: RandomKey, texture: Label, jitter: _Jitter, size: int, cycles: float
) -> Field:
    """Cells of a jittered lattice of points: one value each, or the ridges between."""
    most = FREQUENCY_JITTER[1] * cycles
    side = int(np.ceil(most)) + 2
    draws = jax.random.uniform(key, (3, side**2))
    lattice = np.stack(np.divmod(np.arange(side**2), side)).astype(np.float32)
    points = lattice - side / 2 + 0.1 + 0.8 * draws[:2]
    place = jnp.asarray((np.arange(size) + 0.5) / size - 0.5, np.float32)
    y, x = jnp.meshgrid(jitter.cycles * place, jitter.cycles * place, indexing="ij")

    def nearer(found: tuple, point: Array) -> tuple[tuple, None]:
        first, second, level = found
        away = (x - point[0]) ** 2 + (y - point[1]) ** 2
        level = jnp.where(away < first, point[2], level)
        second = jnp.minimum(second, jnp.maximum(first, away))
        return (jnp.minimum(first, away), second, level), None

    far = jnp.full((size, size), jnp.inf)
    each = jnp.concatenate([points, draws[2:]]).T
    (first, second, level), _ = lax.scan(nearer, (far, far, jnp.zeros_like(far)), each)
    # Half of it is about the distance to the edge, in cycles.
    gap = (jnp.sqrt(second) - jnp.sqrt(first)) / 2
    ridges = jnp.clip(0.5 - (gap - 0.08) * size / jitter.cycles, 0, 1)
    return jnp.where(jnp.asarray(texture) == NAMES.index("cracks"), ridges, level)
