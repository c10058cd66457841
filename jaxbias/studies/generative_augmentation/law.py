"""What the Gaussian-mixture experiment must find: closed forms in place of simulation.

Two balanced classes y = -1, 1 with x | y ~ N(y mu, sigma^2 I) in `dim` dimensions; m real
points; a generator that has fitted each class's mean and one pooled variance for each
coordinate; gamma m generated points, balanced too; the classifier theta = mean of y x over
all points, with loss |x - y theta|^2 / (2 sigma^2). The generalisation gap is the test
loss minus the training loss on real and generated points together.

The gap depends neither on sigma nor on mu. All functions broadcast over their arguments
and compute in float64. Derived for this project; the tests hold them against simulation.
"""

from typing import NamedTuple, TypeAlias

import numpy as np
from scipy import special

Numbers: TypeAlias = np.ndarray | float | int
"""One number or many."""


def _arrays(*values: Numbers) -> tuple[np.ndarray, ...]:
    return tuple(np.asarray(value, np.float64) for value in values)


def excess(m_real: Numbers, gamma: Numbers) -> Numbers:
    """Variance of a coordinate of theta, in units of sigma^2: (1 + gamma/(1+gamma)^2)/m.

    Its share of the loss, `dim / 2` times this, is the excess of the population test loss
    over its minimum `dim / 2`. It is largest at gamma = 1, by a quarter.
    """
    m, g = _arrays(m_real, gamma)
    return (1 + g / (1 + g) ** 2) / m


def mean_test_nll(m_real: Numbers, gamma: Numbers, dim: Numbers) -> Numbers:
    """Mean population loss: never below that without generated points."""
    (d,) = _arrays(dim)
    return d / 2 * (1 + excess(m_real, gamma))


def mean_gap(m_real: Numbers, gamma: Numbers, dim: Numbers) -> Numbers:
    """Mean of the signed gap, (d / m) (1 + 2 gamma) / (1 + gamma)^2."""
    m, g, d = _arrays(m_real, gamma, dim)
    return d / m * (1 + 2 * g) / (1 + g) ** 2


def mean_train_nll(m_real: Numbers, gamma: Numbers, dim: Numbers) -> Numbers:
    """Mean loss on the training points, real and generated."""
    return mean_test_nll(m_real, gamma, dim) - mean_gap(m_real, gamma, dim)


def variance_gap(
    m_real: Numbers, gamma: Numbers, dim: Numbers, n_test: Numbers = np.inf
) -> Numbers:
    """Variance of the signed gap.

    Args:
        m_real: Real points, >= 4.
        gamma: Generated points for each real one, >= 0.
        dim: Dimension.
        n_test: Points of the test set; infinity for the population.
    """
    m, g, d, n = _arrays(m_real, gamma, dim, n_test)
    v = 2 / (m - 2)
    a = g / (1 + g) ** 2
    total = m * (1 + g)
    fitted = v * (a / m - (total - 3 + 1 / (1 + g)) / total) ** 2
    theta = 2 * (1 + 2 * a + a**2 * (1 + v)) / m**2
    spread = (1 + g) ** 2 + 2 * g + (1 + v) * (g * m - 1 + (1 + g) ** -2.0)
    shared = 4 * a * (1 + v) / ((1 + g) * m * total)
    augmented = d / 4 * (fitted + theta + 2 * spread / total**2 - shared)
    plain = d / (2 * m)
    finite_test = (d / 2 + d * excess(m, g)) / n
    return np.where(g == 0, plain, augmented) + finite_test


def mean_abs_gap(
    m_real: Numbers, gamma: Numbers, dim: Numbers, n_test: Numbers = np.inf
) -> Numbers:
    """Mean of |gap| if the gap were normal: a folded normal's mean.

    Off by at most 2 % where m or dim is 20 or more, and 3 % for m = 10 and dim <= 10.
    """
    mean = mean_gap(m_real, gamma, dim)
    sd = np.sqrt(variance_gap(m_real, gamma, dim, n_test))
    ratio = mean / sd
    density = np.sqrt(2 / np.pi) * sd * np.exp(-(ratio**2) / 2)
    return density + mean * special.erf(ratio / np.sqrt(2))


def zero_one_risk(
    m_real: Numbers, gamma: Numbers, dim: Numbers, sigma: Numbers, nodes: int = 48
) -> Numbers:
    """Mean population error rate of sign(theta . x), where |mu| = 1; 0 to 1/2.

    Exact without generated points. With them, the noise of theta is taken as normal with
    the variance of `excess`: its mixing over fitted variances is left out, which the tests
    bound by 0.001 for m >= 10.
    """
    m, g, d, s = np.broadcast_arrays(*_arrays(m_real, gamma, dim, sigma))
    noise = s[..., None, None] * np.sqrt(excess(m, g))[..., None, None]
    normal, normal_weights = np.polynomial.hermite_e.hermegauss(nodes)
    levels, level_weights = np.polynomial.legendre.leggauss(nodes)
    along = 1 + noise * normal[:, None]
    # The other coordinates' noise, squared, is chi-squared: taken by its quantiles.
    degrees = np.maximum(d - 1, 1)[..., None, None]
    others = 2 * special.gammaincinv(degrees / 2, (levels + 1) / 2)
    others = np.where(d[..., None, None] > 1, others, 0.0) * noise**2
    cosine = along / np.sqrt(along**2 + others)
    risk = special.ndtr(-cosine / s[..., None, None])
    weights = (normal_weights / normal_weights.sum())[:, None] * level_weights / 2
    return np.sum(risk * weights, axis=(-2, -1))


def bayes_risk(sigma: Numbers) -> Numbers:
    """Error rate of the best classifier, Phi(-1 / sigma), where |mu| = 1."""
    return special.ndtr(-1 / np.asarray(sigma, np.float64))


def mean_kl(m_real: Numbers, dim: Numbers) -> Numbers:
    """Mean of KL(fitted class || true class) of the generator, in nats.

    (d/2) [2/m + ln((m-2)/2) - psi((m-2)/2)], about (d/2) [2/m + 1/(m-2)].
    """
    m, d = _arrays(m_real, dim)
    half = (m - 2) / 2
    return d / 2 * (2 / m + np.log(half) - special.digamma(half))


def pinsker(kl: Numbers) -> Numbers:
    """Upper bound on the total variation distance, min(1, sqrt(KL / 2))."""
    return np.minimum(1.0, np.sqrt(np.asarray(kl, np.float64) / 2))


def _generated_share(gamma: Numbers, weight: Numbers) -> np.ndarray:
    """Share of the generated points in the training loss."""
    g, w = _arrays(gamma, weight)
    return w * g / (1 + w * g)


def mixed_test_nll(
    m_real: Numbers,
    gamma: Numbers,
    dim: Numbers,
    weight: Numbers,
    degradation: Numbers,
    sigma: Numbers,
) -> Numbers:
    """Mean population loss with a weight on generated points and a degraded generator.

    A generated point counts `weight` times as much as a real one; the generator's class
    means are moved by the share `degradation` of their way to one another, which biases
    theta towards 0. With 1 and 0 this is `mean_test_nll`.
    """
    m, d, delta, s = _arrays(m_real, dim, degradation, sigma)
    share = _generated_share(gamma, weight)
    (w,) = _arrays(weight)
    variance = ((1 - share * delta) ** 2 + w * share * (1 - share)) / m
    return d / 2 * (1 + variance) + (share * delta / s) ** 2 / 2


def mixed_gap(
    m_real: Numbers,
    gamma: Numbers,
    dim: Numbers,
    weight: Numbers,
    degradation: Numbers,
    sigma: Numbers,
) -> Numbers:
    """Mean signed gap of the same, the training loss being weighted as it was trained."""
    m, d, delta, s = _arrays(m_real, dim, degradation, sigma)
    share = _generated_share(gamma, weight)
    (w,) = _arrays(weight)
    variance = ((1 - share * delta) ** 2 + w * share * (1 - share)) / m
    # A generated point's square about mu: its spread, its class mean's noise (the part
    # that the classes share is kept, the other shrinks), its bias.
    noise = d * (1 + ((1 - delta) ** 2 + 1) / m)
    square = (1 - share) * d + share * (noise + (delta / s) ** 2)
    bias = (share * delta / s) ** 2
    train = (square - d * variance - bias) / 2
    return d / 2 * (1 + variance) + bias / 2 - train


class Generations(NamedTuple):
    """Moments after t generations of replacing the data by a fit's samples.

    Attributes:
        variance: Mean of the fitted variance over sigma^2: 1, it is a martingale.
        log_variance: Mean of ln(fitted variance / sigma^2).
        log_variance_sd: Its standard deviation. Where it is above 1 or so, means of the
            variance rest on so few chains that no simulation finds them.
        displacement: Mean squared distance of a class mean from the true one, for each
            coordinate, over sigma^2.
    """

    variance: Numbers
    log_variance: Numbers
    log_variance_sd: Numbers
    displacement: Numbers


def replaced_generations(m: Numbers, generation: Numbers) -> Generations:
    """Exact moments of recursive fitting on m balanced points a generation.

    The t-th fit is to m points of the (t-1)-th fit; the 0th is to real points. Each fit
    multiplies the variance by an independent chi^2_{m-2} / (m-2), and moves a class mean
    by a step of variance 2/m times the variance that it was drawn with.
    """
    m_, t = _arrays(m, generation)
    half = (m_ - 2) / 2
    fits = t + 1
    return Generations(
        variance=np.ones(np.broadcast_shapes(m_.shape, t.shape)),
        log_variance=fits * (special.digamma(half) - np.log(half)),
        log_variance_sd=np.sqrt(fits * special.polygamma(1, half)),
        displacement=fits * 2 / m_,
    )
