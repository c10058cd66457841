"""What the mixture-variants experiment can be asked: options, presets, limits."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from jaxbias.files import UsageError
from jaxbias.settings import (
    at_least,
    at_most,
    check_seed,
    option,
    positive,
    refuse_repeats,
)

Covariance = Literal["isotropic", "diagonal", "low_rank", "full"]
Classifier = Literal["linear", "lda", "logistic"]
LabelKind = Literal["balanced", "bernoulli"]
Part = Literal["classes", "labels", "covariance", "classifier", "weight", "degradation"]

PARTS: tuple[Part, ...] = (
    "classes",
    "labels",
    "covariance",
    "classifier",
    "weight",
    "degradation",
)

MOST_POINTS = 2**20
"""Training points of one trial, all of which are held."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """Which variants of the paper's mixture to compute. Each part changes one thing."""

    parts: tuple[Part, ...] = PARTS
    """classes: their number; labels: balanced or independent; covariance: the true one
    against the generator's (for lda); classifier; weight: of a generated point's loss;
    degradation: of the generator, which confuses the classes."""
    m_real: int = 24
    """Real training points; a multiple of every number of classes, twice it or more."""
    dim: int = 10
    """Dimension of the points."""
    gammas: tuple[float, ...] = (0.0, 1.0, 2.0, 5.0, 10.0, 20.0)
    """Generated points for each real one; gamma times m a multiple of the classes."""
    sigma: float = 0.6
    """Standard deviation of a coordinate, where class means have length 1."""
    n_trials: int = 400
    """Training sets drawn for each variant."""
    n_test: int = 2000
    """Points of a trial's test set."""
    classes: tuple[int, ...] = (2, 4, 8)
    """Numbers of classes of that part; the others have two."""
    labels: tuple[LabelKind, ...] = ("balanced", "bernoulli")
    """Laws of the labels of that part; the others are balanced."""
    covariances: tuple[Covariance, ...] = ("isotropic", "diagonal", "low_rank", "full")
    """True covariances of that part; the others are isotropic."""
    generators: tuple[Covariance, ...] = ("isotropic", "diagonal", "low_rank", "full")
    """Covariances that generators of that part assume; the others are diagonal, as in the
    paper."""
    classifiers: tuple[Classifier, ...] = ("linear", "lda", "logistic")
    """Classifiers of that part."""
    weights: tuple[float, ...] = (0.03, 0.1, 0.3, 1.0)
    """Weights of a generated point's loss of that part, > 0; the others have 1."""
    degradations: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 1.0)
    """Degradations of that part, 0 (as fitted) to 1 (ignores the class)."""
    seed: int = 0
    """Seed of all random numbers, 0 to 2^32 - 1."""


PRESETS: Mapping[str, Config] = {
    "smoke": Config(n_trials=50, n_test=500, gammas=(0.0, 1.0, 10.0)),
    "quick": Config(),
    "paper": Config(n_trials=10_000, n_test=10_000),
}
"""Defaults by preset; this experiment goes beyond the paper."""


def check_values(config: Config) -> None:
    """Raise `UsageError`, in one line, for what can be told without JAX."""
    refuse_repeats(config)
    at_least(config, m_real=4, dim=1, gammas=0, n_trials=2, n_test=2, classes=2)
    at_least(config, degradations=0)
    at_most(config, m_real=10**5, dim=1000, n_trials=10**8, n_test=10**6)
    at_most(config, classes=1000, degradations=1)
    positive(config, "sigma", "weights")
    check_seed(config)
    classes = {2, *(config.classes if "classes" in config.parts else ())}
    for k in sorted(classes):
        if config.m_real % k or config.m_real < 2 * k:
            raise UsageError(
                f"--m-real: {config.m_real} points do not give {k} classes two or more "
                "each, and equally many"
            )
        if k > config.dim + 1:
            raise UsageError(
                f"--classes: {k} need {k - 1} dimensions, got {config.dim}"
            )
        for gamma in config.gammas:
            count = gamma * config.m_real
            if abs(count - round(count)) > 1e-6 * max(1, count) or round(count) % k:
                raise UsageError(
                    f"{option('gammas')}: {gamma:g} times {config.m_real} real points is "
                    f"no multiple of {k} classes"
                )
    if config.m_real * (1 + max(config.gammas)) > MOST_POINTS:
        raise UsageError(f"--gammas: more than {MOST_POINTS:,} points in one trial")
