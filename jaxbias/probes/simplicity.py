"""SimBa's simplicity score: how low the frequencies of randomly initialised networks are.

Known of the published score: the mean over 100 random initialisations of one over the
frequency-weighted mean of the Fourier amplitudes, on 300 x 300 points over [-100, 100]^2
that two random orthonormal directions carry into the space of the inputs. Not known to
us: whether the mean (frequency 0) counts as an amplitude, and the unit of frequency. Here
it is left out unless asked for, and the unit is cycles over the whole grid.
"""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy import stats

from jaxbias.arrays import RandomKey
from jaxbias.numerics import grids
from jaxbias.numerics.fourier import fourier
from jaxbias.probes.readings import Reading, flag_of

EXTENT = 100.0
"""Half the side of the square on which functions are looked at."""

RESOLUTION = 300
NETWORKS = 100


def plane(
    key: RandomKey,
    dimension: int,
    *,
    resolution: int = RESOLUTION,
) -> Float[Array, "row column dimension"]:
    """The score's points: a square grid in a random plane through the origin.

    Args:
        key: Of the two orthonormal directions.
        dimension: Of the inputs, at least 2.
        resolution: Points along each axis.
    """
    # Those planes keep within the cube: their half side is 1 / sqrt(2).
    unit = grids.random_planes(key, 1, resolution, dimension)[0]
    return unit * np.float32(np.sqrt(2) * EXTENT)


def mean_frequency(
    values: Float[Array, "row column"], *, with_mean: bool = False
) -> Reading:
    """Frequency-weighted mean of the Fourier amplitudes, in cycles over the grid.

    Args:
        values: One function on a square grid.
        with_mean: Count the amplitude of frequency 0 among the weights.

    Returns:
        The reading, >= 0; 0 and flagged for a constant.
    """
    flag = flag_of(values.reshape(-1))
    spoiled = flag >= 2
    values = jnp.where(spoiled, 0.0, values)
    # In units of the grid's corner frequency; a shift of the values is not seen.
    highest = float(np.sqrt(sum((n / 2) ** 2 for n in values.shape)))
    largest = jnp.max(jnp.abs(values))
    values = values / jnp.where(largest > 0, largest, 1.0)
    centre = jnp.mean(values)
    mean = fourier(values - centre) * highest
    if with_mean:
        amplitudes = jnp.sum(jnp.abs(jnp.fft.fft2(values - centre)))
        mean = mean * amplitudes / (amplitudes + jnp.abs(centre) * values.size)
    mean = jnp.where(flag == 1, 0.0, mean)
    return Reading(jnp.where(spoiled, jnp.nan, mean), flag)


def simplicity(
    values: Float[Array, "row column"], *, with_mean: bool = False
) -> Reading:
    """One over the mean frequency: of one network, what the score averages.

    Returns:
        The reading; NaN and flagged for a constant, which has no frequency.
    """
    frequency, flag = mean_frequency(values, with_mean=with_mean)
    measured = flag == 0
    return Reading(
        jnp.where(measured, 1 / jnp.where(measured, frequency, 1.0), jnp.nan), flag
    )


@dataclass(frozen=True, kw_only=True)
class Score:
    """The score of an architecture and a 95 % interval.

    Attributes:
        value: Mean simplicity; NaN without networks.
        low: Lower end of the interval.
        high: Upper end.
        count: Networks that it rests on.
        left_out: Networks that are constant, or cannot be measured, and do not count.
    """

    value: float
    low: float
    high: float
    count: int
    left_out: int


def score(
    simplicities: np.ndarray, *, confidence: float = 0.95, resamples: int = 2000
) -> Score:
    """Average the simplicity of networks of one architecture.

    Args:
        simplicities: One number a network, NaN for those that cannot be measured. They
            are left out and counted: any number for a constant would be the cap that
            somebody chose.
        confidence: Coverage of the interval.
        resamples: Of the bias-corrected and accelerated bootstrap, which follows the
            skew of an inverse; without spread, or for a single network, the interval is
            the value, or NaN.

    Returns:
        The score.
    """
    given = np.asarray(simplicities, np.float64)
    kept = given[np.isfinite(given)]
    left_out = len(given) - len(kept)
    if len(kept) == 0:
        nothing = float("nan")
        return Score(
            value=nothing, low=nothing, high=nothing, count=0, left_out=left_out
        )
    value = float(kept.mean())
    low = high = value if len(kept) > 1 else float("nan")
    if len(kept) > 1 and np.ptp(kept) > 1e-12 * abs(value):
        interval = stats.bootstrap(
            (kept,),
            np.mean,
            confidence_level=confidence,
            n_resamples=resamples,
            rng=np.random.default_rng(0),
        ).confidence_interval
        low, high = float(interval.low), float(interval.high)
    return Score(value=value, low=low, high=high, count=len(kept), left_out=left_out)
