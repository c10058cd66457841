"""Correlations with intervals, shares with theirs, and tests of paired differences.

Where samples come in groups, as seeds of one network do, groups are resampled whole:
otherwise intervals would be too narrow.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import stats


@dataclass(frozen=True, kw_only=True)
class Correlation:
    """A correlation coefficient and its bootstrap interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class SignFlips:
    """p of paired differences: that they rise, that they fall, and that they do either."""

    rising: float
    falling: float
    either: float


MOST_EXACT = 12
"""Pairs of which every flip of signs is tried."""


def evenly(count: int, most: int) -> np.ndarray:
    """Numbers of at most so many of `count` things, evenly spaced, in order."""
    return np.linspace(0, count - 1, min(count, most)).astype(int)


def rank_within(labels: np.ndarray) -> np.ndarray:
    """The number of each thing among those of its label, from 0, in order."""
    rank = np.zeros(len(labels), int)
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        rank[own] = np.arange(len(own))
    return rank


def wilson(
    successes: float, count: int, *, confidence: float = 0.95
) -> tuple[float, float]:
    """Wilson's score interval of a share.

    Args:
        successes: How often it happened; need not be whole, such as a mean over runs. NaN
            gives NaN.
        count: Out of how many, at least 1.
        confidence: Coverage.

    Returns:
        Lower and upper end, within 0 and 1.
    """
    if math.isnan(successes):
        return math.nan, math.nan
    share, z = successes / count, float(stats.norm.ppf((1 + confidence) / 2))
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z * np.sqrt(share * (1 - share) / count + (z / (2 * count)) ** 2)
    half = float(half) / (1 + z * z / count)
    return max(0.0, middle - half), min(1.0, middle + half)


def pearson(x: np.ndarray, y: np.ndarray) -> float:
    """Pearson's correlation of two samples; NaN where one does not vary, or is empty."""
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if len(x) == 0:
        return float("nan")
    # A constant minus its own mean is not exactly 0, so its variance does not tell.
    varies = np.ptp(x) > 0 and np.ptp(y) > 0
    x, y = x - x.mean(), y - y.mean()
    scale = np.sqrt(x @ x) * np.sqrt(y @ y)
    return float(x @ y / scale) if varies and scale > 0 else float("nan")


def spearman(x: np.ndarray, y: np.ndarray) -> float:
    """Spearman's rank correlation, ties at their mean rank."""
    return pearson(stats.rankdata(x), stats.rankdata(y))


def partial_spearman(
    x: np.ndarray, y: np.ndarray, others: list[np.ndarray]
) -> tuple[float, float]:
    """Correlation of ranks with the ranks of others held fixed, and its p.

    Others that do not vary are left out. NaN where too few samples are left, or where a
    column is a linear function of the others' ranks.
    """
    kept = [one for one in (x, y, *others) if np.ptp(one) > 0]
    free = len(x) - len(kept)
    if np.ptp(x) == 0 or np.ptp(y) == 0 or free < 1:
        return float("nan"), float("nan")
    matrix = np.corrcoef(np.stack([stats.rankdata(one) for one in kept]))
    if np.linalg.cond(matrix) > 1e8:
        return float("nan"), float("nan")
    inverse = np.linalg.inv(matrix)
    value = float(-inverse[0, 1] / np.sqrt(inverse[0, 0] * inverse[1, 1]))
    t = value * np.sqrt(free / max(1 - value**2, 1e-15))
    return value, float(2 * stats.t.sf(abs(t), free))


@lru_cache(maxsize=2)
def _resamples(groups: int, resamples: int, seed: int) -> np.ndarray:
    """How often each resample takes each group: the same for every pair of measures."""
    generator = np.random.default_rng(seed)
    return generator.multinomial(groups, np.full(groups, 1 / groups), resamples)


def bootstrap_correlation(
    x: np.ndarray,
    y: np.ndarray,
    groups: np.ndarray,
    *,
    ranks: bool = False,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Correlation:
    """Correlation with a percentile interval from resampling whole groups.

    Networks that share their draw are not independent: a resample takes or leaves all
    networks of a group.

    Args:
        x: One measure, an entry a network.
        y: Another.
        groups: The group of each network, any hashable labels.
        ranks: Spearman in place of Pearson; ranks are those of the whole sample.
        resamples: Number of resamples.
        confidence: Coverage of the interval.
        seed: Of the resampling.

    Returns:
        The correlation and its interval; all NaN where one measure does not vary.
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if ranks:
        x, y = stats.rankdata(x), stats.rankdata(y)
    value = pearson(x, y)
    if np.isnan(value):
        return Correlation(value=value, low=value, high=value)
    x, y = x - x.mean(), y - y.mean()
    _, index = np.unique(groups, return_inverse=True)
    count = int(index.max()) + 1
    # Sums over each group; a resample weights them, so none touches single networks.
    terms = np.stack([np.ones_like(x), x, y, x * y, x * x, y * y])
    sums = np.stack([np.bincount(index, term, count) for term in terms], axis=1)
    weights = _resamples(count, resamples, seed)
    n, sx, sy, sxy, sxx, syy = (weights @ sums).T
    varied_x, varied_y = sxx - sx**2 / n, syy - sy**2 / n
    # A resample of one network many times has no spread but rounding: leave it out.
    kept = (varied_x > 1e-12 * sxx) & (varied_y > 1e-12 * syy)
    covariance = (sxy - sx * sy / n)[kept]
    drawn = covariance / np.sqrt(varied_x[kept] * varied_y[kept])
    tail = 50 * (1 - confidence)
    low, high = np.percentile(drawn, [tail, 100 - tail])
    return Correlation(value=value, low=float(low), high=float(high))


def sign_flips(differences: np.ndarray, *, resamples: int, seed: int) -> SignFlips:
    """Whether paired differences have a sign, if each may as well have had the other.

    Of several readings of the same pairs, whether any has: a pair's readings are flipped
    together, and the largest of their means over root mean squares counts (Westfall and
    Young 1993), so that nothing has to be corrected for their number.

    Args:
        differences: (pair,) or (pair, reading).
        resamples: Random flips, where there are more pairs than 12; else all are tried.
        seed: Of the random flips.

    Returns:
        p of a mean so large, so small, and so far from 0; NaN without a pair.
    """
    count = len(differences)
    if not count:
        nothing = float("nan")
        return SignFlips(rising=nothing, falling=nothing, either=nothing)
    table = np.asarray(differences, np.float64).reshape(count, -1)
    scale = np.sqrt(np.sum(table**2, axis=0))
    table = table / np.where(scale > 0, scale, 1)
    if exact := count <= MOST_EXACT:
        bits = np.arange(2**count)[:, None] >> np.arange(count)
    else:
        bits = np.random.default_rng(seed).integers(0, 2, (resamples, count))
    sums, here = (1 - 2.0 * (bits & 1)) @ table, table.sum(axis=0)
    # What is there is one of the flips; of random ones, it is one more.
    more = 0 if exact else 1

    def p(sums: np.ndarray, here: np.ndarray) -> float:
        beyond = np.sum(sums.max(axis=1) >= here.max() - 1e-9)
        return float((more + beyond) / (more + len(sums)))

    return SignFlips(
        rising=p(sums, here),
        falling=p(-sums, -here),
        either=p(np.abs(sums), np.abs(here)),
    )


def calibration_error(
    confidences: np.ndarray, right: np.ndarray, *, bins: int = 15
) -> float:
    """How far confidence is from accuracy: the expected calibration error, 0 to 1.

    The mean over images of the difference between mean confidence and accuracy within
    bins of equal width (Guo et al., ICML 2017).

    Args:
        confidences: Probability of the predicted class, (image,), 0 to 1.
        right: Whether it is the true one, (image,).
        bins: Their number.
    """
    own = np.minimum((confidences * bins).astype(int), bins - 1)
    counts = np.bincount(own, minlength=bins)
    off = np.bincount(own, confidences - right.astype(float), minlength=bins)
    return float(np.abs(off).sum() / counts.sum())
