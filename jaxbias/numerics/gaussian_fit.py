"""Least squares of a Gaussian over evenly spaced points, its height within bounds.

Given at places 0, 1, 2, ..., it is amplitude * exp(-(x - mu)^2 / (2 sigma^2)) with an
amplitude of 0 to 4 and any mu and sigma.
"""

from functools import lru_cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float
from scipy.optimize import least_squares

MOST = 4.0
"""Bound of the amplitude."""

START = (1.0, 0.0, 1.0)
"""Amplitude, mu and sigma that `fit` starts from."""

WEAK = 0.02
"""A fit is undetermined if a step of 1 in some direction of amplitude, mu and log sigma
moves no point by more than about this, to first order."""

NARROWEST, WIDEST = 0.2, 64.0
"""Of sigma, in `fits`."""

STEPS = 40
PIECE = 256
"""Fits that are searched for at once."""


Place = Float[Array, "2"]
"""How many sigmas an anchor lies beyond the peak, and log sigma."""


class Gaussian(NamedTuple):
    """A fit; floats, or arrays of many.

    Attributes:
        amplitude: 0 to 4.
        mu: Place of the peak; may lie far outside of the points.
        sigma: Positive.
        residual: Root mean square of what is left.
        undetermined: Whether very different Gaussians fit as well.
    """

    amplitude: Float[Array, " fit"] | float
    mu: Float[Array, " fit"] | float
    sigma: Float[Array, " fit"] | float
    residual: Float[Array, " fit"] | float
    undetermined: Bool[Array, " fit"] | bool


def fit(values: tuple[float, ...]) -> Gaussian:
    """Fit one Gaussian by SciPy's trust region, from a fixed start.

    The same numbers as `scipy.optimize.curve_fit` with this start and these bounds gives:
    where there are several minima, the one that the start leads to.

    Args:
        values: One for each place. All of the fit is NaN if one of them is not finite.

    Raises:
        ValueError: If there are none.
    """
    if not values:
        raise ValueError("a Gaussian over no points")
    points, x = np.array(values), np.arange(len(values))
    if not np.isfinite(points).all():
        nan = np.float64("nan")
        return Gaussian(nan, nan, nan, nan, undetermined=True)

    def left(parameters: np.ndarray) -> np.ndarray:
        amplitude, mu, sigma = parameters
        return amplitude * np.exp(-((x - mu) ** 2) / (2 * sigma**2)) - points

    free = np.inf
    found = least_squares(left, START, bounds=((0, -free, -free), (MOST, free, free)))
    amplitude, mu, sigma = found.x
    # Nothing keeps sigma positive on the way; only its square counts.
    sigma = abs(sigma)
    weak = _weakest(np, amplitude, mu, sigma, len(points)) < WEAK
    residual = np.sqrt(2 * found.cost / len(points))
    return Gaussian(amplitude, mu, sigma, residual, bool(weak or not found.success))


@jax.jit
def fits(values: Float[Array, "fit point"]) -> Gaussian:
    """Fit many Gaussians, each the best of all minima.

    The best of a grid of mu and sigma, the amplitude being given by them, is followed down
    by damped Gauss-Newton steps. Sigma is kept within 0.2 and 64: a fit that comes to these
    is undetermined in any case. Of two minima whose sums of squares differ by a few
    hundredths, it may come to the other.

    Args:
        values: A set a row. A fit is NaN where one of its values is not finite.
    """
    return lax.map(_best, values, batch_size=PIECE)


def _best(values: Float[Array, " point"]) -> Gaussian:
    places, shapes = _grid(len(values))
    # TF32 could miss the best of two minima that are nearly as good.
    products = jnp.dot(shapes, values, precision=lax.Precision.HIGHEST)
    powers = jnp.sum(jnp.asarray(shapes) ** 2, axis=1)
    amplitudes = jnp.clip(products / powers, 0, MOST)
    gains = amplitudes * (2 * products - amplitudes * powers)
    mu, log_sigma = jnp.asarray(places)[jnp.argmax(gains)]
    # The slope that points see is well determined even where a peak far away is not.
    anchor = jnp.clip(mu, 0, len(values) - 1)
    start = jnp.stack([(anchor - mu) / jnp.exp(log_sigma), log_sigma])
    place = _descend(start, anchor, values)
    sigma = jnp.exp(place[1])
    mu = anchor - place[0] * sigma
    amplitude, left = _at(place, anchor, values)
    weak = _weakest(jnp, amplitude, mu, sigma, len(values)) < WEAK
    known = jnp.all(jnp.isfinite(values))
    fitted = (amplitude, mu, sigma, jnp.sqrt(jnp.mean(left**2)))
    numbers = (jnp.where(known, value, jnp.nan) for value in fitted)
    return Gaussian(*numbers, undetermined=weak | ~known)


@lru_cache(maxsize=16)
def _grid(points: int) -> tuple[np.ndarray, np.ndarray]:
    """Mu and log sigma of each start, and the values of its Gaussian of height 1."""
    far = 2 * 1.2 ** np.arange(1, 20)
    near = np.arange(-2, points + 1.01, 1 / 8)
    mu = np.concatenate([-far, near, points - 1 + far])
    log_sigma = np.linspace(np.log(NARROWEST), np.log(WIDEST), 48)
    places = np.stack(np.meshgrid(mu, log_sigma, indexing="ij"), -1).reshape(-1, 2)
    distance = np.arange(points) - places[:, :1]
    shapes = np.exp(-0.5 * (distance / np.exp(places[:, 1:])) ** 2)
    # Not those that are 0 at all points.
    seen = (shapes**2).sum(1) > 1e-4
    return places[seen].astype(np.float32), shapes[seen].astype(np.float32)


def _at(place: Place, anchor: Array, values: Array) -> tuple[Array, Array]:
    """The best amplitude of a Gaussian, and what it leaves of the values."""
    x = jnp.arange(len(values), dtype=values.dtype)
    shape = jnp.exp(-0.5 * (place[0] + (x - anchor) * jnp.exp(-place[1])) ** 2)
    power = jnp.maximum(jnp.sum(shape * shape), 1e-6)
    amplitude = jnp.clip(jnp.sum(shape * values) / power, 0, MOST)
    return amplitude, amplitude * shape - values


def _descend(start: Place, anchor: Array, values: Array) -> Place:
    """Levenberg-Marquardt; a step is kept if it leads down."""
    left = lambda place: _at(place, anchor, values)[1]  # noqa: E731
    bounds = np.log(np.asarray([NARROWEST, WIDEST], np.float32))

    def step(_: Array | int, state: tuple[Place, Array]) -> tuple[Place, Array]:
        place, damping = state
        now, slopes = left(place), jax.jacfwd(left)(place)
        first, second = jnp.sum(slopes * now[:, None], axis=0)
        a, c = jnp.sum(slopes**2, axis=0) * (1 + damping) + 1e-12
        b = jnp.sum(slopes[:, 0] * slopes[:, 1])
        move = jnp.stack([b * second - c * first, b * first - a * second])
        new = place + jnp.clip(move / jnp.maximum(a * c - b * b, 1e-20), -1, 1)
        new = new.at[1].set(jnp.clip(new[1], *bounds))
        better = jnp.sum(left(new) ** 2) <= jnp.sum(now**2)
        damping = jnp.clip(jnp.where(better, damping / 4, damping * 8), 1e-6, 1e6)
        return jnp.where(better, new, place), damping

    return lax.fori_loop(0, STEPS, step, (start, jnp.float32(1e-2)))[0]


def _weakest(xp, amplitude, mu, sigma, points: int):
    """Least change of the points for a step of 1; a bound amplitude does not move."""
    z = (xp.arange(points) - mu) / sigma
    shape = xp.exp(-0.5 * z**2)
    slopes = xp.stack(
        [shape, amplitude * shape * z / sigma, amplitude * shape * z**2], 1
    )
    if points < 3:
        return xp.zeros_like(z[0])
    least = [xp.linalg.svd(s, compute_uv=False)[-1] for s in (slopes, slopes[:, 1:])]
    return xp.where(amplitude > MOST - 1e-3, least[1], least[0])
