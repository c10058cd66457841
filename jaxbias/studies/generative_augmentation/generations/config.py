"""What the generations experiment can be asked: options, presets, limits."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from jaxbias.files import UsageError
from jaxbias.settings import at_least, at_most, check_seed, positive, refuse_repeats

Scheme = Literal["replace", "accumulate", "fresh"]


@dataclass(frozen=True, kw_only=True)
class Config:
    """Which chains of generations to draw."""

    schemes: tuple[Scheme, ...] = ("replace", "accumulate", "fresh")
    """replace: each fit sees the m points of the last generator alone; accumulate: all
    points so far, the real ones among them; fresh: m points of the last generator and m new
    real ones."""
    m_real: tuple[int, ...] = (10, 100)
    """Points drawn in each generation, even and >= 4."""
    dims: tuple[int, ...] = (10,)
    """Dimensions of the points."""
    generations: int = 100
    """Generators fitted after the first, which sees real points alone."""
    sigma: float = 0.6
    """Standard deviation of a class, whose mean has length 1."""
    n_trials: int = 1000
    """Chains drawn for each combination."""
    seed: int = 0
    """Seed of all random numbers, 0 to 2^32 - 1."""


PRESETS: Mapping[str, Config] = {
    "smoke": Config(generations=30, n_trials=200),
    "quick": Config(),
    "paper": Config(
        m_real=(10, 100, 1000), dims=(1, 10, 100), generations=1000, n_trials=10_000
    ),
}
"""Defaults by preset; this experiment goes beyond the paper."""


def check_values(config: Config) -> None:
    """Raise `UsageError`, in one line, for what can be told without JAX."""
    refuse_repeats(config)
    at_least(config, m_real=4, dims=1, generations=1, n_trials=2)
    at_most(config, m_real=10**6, dims=10**4, generations=10**5, n_trials=10**8)
    positive(config, "sigma")
    check_seed(config)
    for m in config.m_real:
        if m % 2:
            raise UsageError(f"--m-real: must be even (balanced classes), got {m}")
