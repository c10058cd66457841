"""How various a set of images is, and how near to another set.

All but the last two are of features, and say nothing without the features' name: see
`numerics.image_features`. None is a distance to nature by itself.
"""

import math
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from jaxbias.numerics.image_features import windowed_power

Features = Float[Array, "sample feature"]
Kernel = Float[Array, "sample sample"]

NEIGHBOURS = 5
"""Published k of precision, recall, density and coverage."""

LOWEST_RING = 2
"""Cycles an image at which the slope's fit begins: below, the window leaks."""

ROWS = 256
"""Samples whose distances to all others are on the device at once."""

_HIGHEST = lax.Precision.HIGHEST


# Vendi score (Friedman and Dieng 2023)


@jax.jit
def kernel_shares(kernel: Kernel) -> Float[Array, " sample"]:
    """Eigenvalues of a positive semi-definite similarity matrix over their sum.

    What is negative or below rounding is 0.
    """
    return _shares(jnp.linalg.eigvalsh(kernel))


@jax.jit
def feature_shares(features: Features) -> Float[Array, " share"]:
    """Eigenvalues of the matrix of cosines, over their sum.

    From the smaller of X X^T and X^T X, which have the same ones but for zeros. A sample of
    zeros has no cosine: all are NaN.
    """
    units = features / jnp.linalg.norm(features, axis=1, keepdims=True)
    samples, dimension = features.shape
    tall = units if dimension < samples else units.T
    return _shares(jnp.linalg.eigvalsh(jnp.dot(tall.T, tall, precision=_HIGHEST)))


def _shares(eigenvalues: Float[Array, " share"]) -> Float[Array, " share"]:
    largest = jnp.max(eigenvalues)
    rounding = len(eigenvalues) * jnp.finfo(eigenvalues.dtype).eps * largest
    # Kept if they are NaN, which is above nothing.
    kept = jnp.where(eigenvalues <= rounding, 0.0, eigenvalues)
    return kept / jnp.sum(kept)


def vendi(shares: Float[Array, " share"], order: float | int = 1) -> Float[Array, ""]:
    """Effective number of different samples: exp of the Renyi entropy of the shares.

    Args:
        shares: Of `kernel_shares` or `feature_shares`.
        order: q, 0 or more. 1 is Shannon's entropy and the published score, math.inf looks
            at the largest share alone, and 0 counts those above rounding.

    Returns:
        1, all samples alike, to the number of samples.

    Raises:
        ValueError: If the order is negative.
    """
    if not order >= 0:
        raise ValueError(f"order {order}: a number from 0 is needed")
    if order == math.inf:
        return 1 / jnp.max(shares)
    some = jnp.where(shares == 0, 1.0, shares)
    logs = jnp.log(some)
    if order == 1:
        return jnp.exp(-jnp.sum(shares * logs))
    # Powers of shares underflow, sums of exponentials do not.
    powers = jnp.where(shares == 0, -jnp.inf, order * logs)
    return jnp.exp(jax.nn.logsumexp(powers) / (1 - order))


# Two sets of samples


class Fidelity(NamedTuple):
    """Of made samples beside real ones (Kynkaanniemi et al. 2019, Naeem et al. 2020).

    A ball reaches from a sample to the k-th nearest other one of its set.

    Attributes:
        precision: Share of made samples within a ball of a real one.
        recall: Share of real samples within a ball of a made one.
        density: Balls of real samples around a made one, mean over k.
        coverage: Share of real samples with a made one in their ball.
    """

    precision: Float[Array, ""]
    recall: Float[Array, ""]
    density: Float[Array, ""]
    coverage: Float[Array, ""]


@partial(jax.jit, static_argnames="neighbours")
def fidelity(
    real: Float[Array, "real feature"],
    made: Float[Array, "made feature"],
    *,
    neighbours: int = NEIGHBOURS,
) -> Fidelity:
    """Precision, recall, density and coverage with Euclidean balls.

    NaN if a feature is not finite, or a set has no more than `neighbours` samples. Two sets
    of one law read neither 1 nor 0.5: in 1,000 dimensions precision is 0.48.
    """
    count, other = len(real), len(made)
    if min(count, other) <= neighbours:
        return Fidelity(*[jnp.full((), jnp.nan)] * 4)
    # Distances are differences of squares, which lose digits far from the origin.
    middle = jnp.mean(real, axis=0, keepdims=True)
    real, made = real - middle, made - middle
    real_reach = _reach(real, neighbours)
    made_reach = _reach(made, neighbours)

    def at_real(one: tuple[Array, Array]) -> tuple[Array, Array]:
        away = _away(one[0], made)
        return jnp.any(away < made_reach), jnp.min(away) < one[1]

    def at_made(one: Array) -> Array:
        return jnp.sum(_away(one, real) < real_reach)

    recalled, covered = lax.map(at_real, (real, real_reach), batch_size=ROWS)
    balls = lax.map(at_made, made, batch_size=ROWS)
    finite = jnp.all(jnp.isfinite(real)) & jnp.all(jnp.isfinite(made))
    shares = (
        jnp.mean(balls > 0),
        jnp.mean(recalled),
        jnp.mean(balls) / neighbours,
        jnp.mean(covered),
    )
    return Fidelity(*(jnp.where(finite, share, jnp.nan) for share in shares))


def _away(one: Float[Array, " feature"], samples: Features) -> Float[Array, " sample"]:
    """Squared distances, at least 0."""
    products = jnp.dot(samples, one, precision=_HIGHEST)
    squares = jnp.sum(samples**2, axis=1) + jnp.sum(one**2)
    return jnp.maximum(squares - 2 * products, 0.0)


def _reach(samples: Features, neighbours: int) -> Float[Array, " sample"]:
    """Squared distance to the k-th nearest other sample."""

    def one(number: Array) -> Array:
        away = _away(samples[number], samples).at[number].set(jnp.inf)
        return -lax.top_k(-away, neighbours)[0][-1]

    return lax.map(one, jnp.arange(len(samples)), batch_size=ROWS)


def kernel_distance(
    first: Float[np.ndarray, "first feature"],
    second: Float[np.ndarray, "second feature"],
) -> float:
    """Squared maximum mean discrepancy with the kernel (x y / d + 1)^3, unbiased.

    The kernel inception distance (Binkowski et al. 2018) on other features, and over all
    pairs where they take means over parts. In float64. About 0 and possibly negative for
    two sets of one law; NaN with fewer than two samples in a set, or features not finite.
    """
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if min(len(first), len(second)) < 2:
        return float("nan")
    within = sum(_mean_kernel(one, one, others=True) for one in (first, second))
    return within - 2 * _mean_kernel(first, second, others=False)


def distances(
    real: Float[np.ndarray, "first feature"], made: Float[np.ndarray, "second feature"]
) -> dict[str, float]:
    """How made samples stand to real ones: `kid`, `frechet`, and those of `Fidelity`."""
    found = fidelity(jnp.asarray(real), jnp.asarray(made))
    return {
        "kid": kernel_distance(real, made),
        "frechet": frechet_distance(real, made),
        **{name: float(value) for name, value in found._asdict().items()},
    }


def _mean_kernel(first: np.ndarray, second: np.ndarray, *, others: bool) -> float:
    """Mean of the kernel over pairs; `others` leaves out each sample with itself."""
    dimension, total = first.shape[1], 0.0
    for start in range(0, len(first), ROWS):
        total += ((first[start : start + ROWS] @ second.T / dimension + 1) ** 3).sum()
    if not others:
        return total / (len(first) * len(second))
    itself = ((np.sum(first**2, axis=1) / dimension + 1) ** 3).sum()
    return float(total - itself) / (len(first) * (len(first) - 1))


def frechet_distance(
    first: Float[np.ndarray, "first feature"],
    second: Float[np.ndarray, "second feature"],
) -> float:
    """Squared Frechet distance of the Gaussians with the moments of two sets.

    |m - n|^2 + tr(S + T - 2 (S T)^(1/2)), the formula of FID, on other features. With
    S = A^T A and T = B^T B the last trace is the sum of the singular values of A B^T, which
    is exact however few the samples are; no matrix is made regular. In float64. It falls
    with the number of samples: compare sets of one size. NaN with fewer than two samples in
    a set, or features not finite.
    """
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    finite = np.isfinite(first).all() and np.isfinite(second).all()
    if min(len(first), len(second)) < 2 or not finite:
        return float("nan")
    a, b = _root(first), _root(second)
    apart = np.sum((first.mean(0) - second.mean(0)) ** 2)
    common = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    return float(apart + np.sum(a**2) + np.sum(b**2) - 2 * common)


def _root(samples: np.ndarray) -> np.ndarray:
    """A matrix whose product A^T A is the covariance (ddof 1), with few rows."""
    centred = (samples - samples.mean(0)) / np.sqrt(len(samples) - 1)
    if len(samples) <= samples.shape[1]:
        return centred
    return np.asarray(np.linalg.qr(centred, mode="r"))


# Statistics of the images themselves, one for each


@jax.jit
def spectral_slope(
    planes: Float[Array, "image height width"],
) -> Float[Array, " image"]:
    """Exponent of the power spectrum: natural images and dead leaves are near -2.

    Straight line through log power over log frequency, by least squares, where power is
    the mean over rings one cycle wide, from 2 cycles to half the shorter side; with a Hann
    window, and the mean taken off. White noise reads 0.04 with a standard deviation of 0.13
    at 64 pixels. NaN for a constant, or sides below 8 pixels.
    """
    _, height, width = planes.shape
    if min(height, width) < 8:
        return jnp.full(len(planes), jnp.nan)
    rings, logs = _rings(height, width)
    power = windowed_power(planes).reshape(len(planes), -1)
    # Rounding of the transform is no spectrum.
    deviation = jnp.std(planes, axis=(1, 2))
    varied = deviation > 1e-6 * jnp.max(jnp.abs(planes), axis=(1, 2))
    means = jnp.log(jnp.dot(power, rings, precision=_HIGHEST))
    slope = jnp.dot(means, logs / np.sum(logs**2), precision=_HIGHEST)
    return jnp.where(varied, slope, jnp.nan)


def _rings(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Means over rings of the coefficients of `rfft2`, and centred logs of their radii."""
    side = min(height, width)
    rows, columns = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    radius = np.rint(np.hypot(rows, columns) * side).ravel()
    twice = np.where((columns == 0) | (columns == 0.5), 1, 2)
    weights = np.broadcast_to(twice, (height, columns.size)).reshape(-1, 1)
    numbers = np.arange(LOWEST_RING, side // 2 + 1)
    found = (radius[:, None] == numbers) * weights
    logs = np.log(numbers)
    shares = found / found.sum(0)
    return shares.astype(np.float32), (logs - logs.mean()).astype(np.float32)


@jax.jit
def gradient_kurtosis(
    planes: Float[Array, "image height width"],
) -> Float[Array, " image"]:
    """Kurtosis of the differences of neighbouring pixels: 3 if they are Gaussian.

    Differences down and across are taken together, around 0. Edges between flat areas make
    it large. NaN for a constant.
    """
    across = planes[:, :, 1:] - planes[:, :, :-1]
    down = planes[:, 1:] - planes[:, :-1]
    both = [x.reshape(len(planes), -1) for x in (across, down)]
    steps = jnp.concatenate(both, axis=1)
    largest = jnp.max(jnp.abs(steps), axis=1, keepdims=True)
    # Fourth powers of small numbers underflow.
    square = (steps / largest) ** 2
    return jnp.mean(square**2, axis=1) / jnp.mean(square, axis=1) ** 2
