"""What the gaussian-mixture experiment can be asked: options, presets, limits.

Nothing here loads JAX: the command line reads its options before any device starts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Literal

from jaxbias.files import UsageError
from jaxbias.settings import at_least, at_most, check_seed, positive, refuse_repeats

Sampler = Literal["sufficient", "direct"]

FEW_GAMMAS = (0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)
GAMMAS = (*FEW_GAMMAS, 100.0)

Group = tuple[int, int]
"""Real points and dimension: the points of a group differ in gamma alone."""

FIGURE_1: Mapping[str, Mapping[Group, tuple[float, ...]]] = {
    "a": {(m, 1): FEW_GAMMAS for m in (20, 50, 100, 200, 500)},
    "b": {(40, 1): GAMMAS},
    "d": {(10, d): FEW_GAMMAS for d in (2, 10, 20, 50, 100)},
    "e": {(10, 50): GAMMAS},
}
"""Simulated points of the paper's Figure 1 by panel; (c) and (f) are bounds."""

MOST_TRAIN_POINTS = 2**22
"""Real and generated points of one trial: the direct sampler holds all of them."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """Which points of the simulation to compute, and how."""

    m_real: tuple[int, ...] | None = None
    """Real training points, even and >= 4. If any of --m-real, --gammas and --dims is
    given, all combinations are computed, the others being 10, the published gammas and
    50; if none is, the points of the paper's Figure 1."""
    gammas: tuple[float, ...] | None = None
    """Generated points for each real one; gamma times m must be 0 or even and >= 4."""
    dims: tuple[int, ...] | None = None
    """Dimensions of the points."""
    sigma: float = 0.6
    """Standard deviation of a class, whose mean has length 1."""
    n_trials: int = 1000
    """Training sets drawn for each point."""
    n_test: int = 10_000
    """Points of a trial's test set; 0 takes the population (sufficient alone)."""
    sampler: tuple[Sampler, ...] = ("sufficient", "direct")
    """sufficient: the gap's exact law by a few random numbers a coordinate; direct: every
    point drawn, which also gives errors on the training set."""
    bound_variant: Literal["notebook", "remembered"] = "notebook"
    """Theorem 3.1 as the authors' notebook computes it, or as remembered."""
    map_gamma: float = 10.0
    """Generated points for each real one in the map over (m, d)."""
    seed: int = 0
    """Seed of all random numbers, 0 to 2^32 - 1."""

    @property
    def is_figure_1(self) -> bool:
        return (self.m_real, self.gammas, self.dims) == (None, None, None)

    def groups(self) -> dict[Group, tuple[float, ...]]:
        """The gammas of every (real points, dimension), each once and in order."""
        if self.is_figure_1:
            found: dict[Group, set[float]] = {}
            for panel in FIGURE_1.values():
                for group, gammas in panel.items():
                    found.setdefault(group, set()).update(gammas)
            return {group: tuple(sorted(g)) for group, g in found.items()}
        gammas = tuple(sorted(self.gammas or GAMMAS))
        return dict.fromkeys(product(self.m_real or (10,), self.dims or (50,)), gammas)


PRESETS: Mapping[str, Config] = {
    "smoke": Config(n_trials=100),
    "quick": Config(),
    "paper": Config(n_trials=10**6, sampler=("sufficient",)),
}
"""Defaults by preset. The published curves have 1000 trials, by the authors' scripts."""


def generated(m_real: int, gamma: float) -> int:
    """Number of generated points.

    Raises:
        ValueError: If it is not whole, not even, or too small to fit and balance.
    """
    exact = gamma * m_real
    count = round(exact)
    if abs(exact - count) > 1e-6 * max(1.0, exact):
        raise ValueError(f"{gamma:g} times {m_real} real points is not a whole number")
    if count % 2 or 0 < count < 4:
        raise ValueError(
            f"{gamma:g} times {m_real} real points is {count}: it must be 0, or even "
            "(the classes are balanced) and at least 4"
        )
    return count


def check_values(config: Config) -> None:
    """Raise `UsageError`, in one line, for what can be told without JAX."""
    refuse_repeats(config)
    at_least(config, m_real=4, gammas=0, dims=1, n_trials=2, n_test=0, map_gamma=0)
    positive(config, "sigma")
    at_most(
        config, m_real=10**6, gammas=10**6, dims=10**5, n_trials=10**8, n_test=10**6
    )
    check_seed(config)
    for m in config.m_real or ():
        if m % 2:
            raise UsageError(f"--m-real: must be even (balanced classes), got {m}")
    if config.n_test == 0 and "direct" in config.sampler:
        raise UsageError("--n-test: 0 (the population) needs --sampler sufficient")
    if config.n_test % 2:
        raise UsageError(f"--n-test: must be even, got {config.n_test}")
    for (m, _), gammas in config.groups().items():
        for gamma in gammas:
            try:
                count = generated(m, gamma)
            except ValueError as error:
                raise UsageError(f"--gammas: {error}") from error
            if "direct" in config.sampler and m + count > MOST_TRAIN_POINTS:
                raise UsageError(
                    f"--gammas: {m + count:,} points of one trial, the direct sampler "
                    f"takes at most {MOST_TRAIN_POINTS:,}"
                )
