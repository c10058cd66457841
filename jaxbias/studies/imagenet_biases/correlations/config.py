"""What the correlations experiment can be asked: options, presets, limits."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from jaxbias.settings import at_least, at_most, check_seed, positive

SOURCE = "github.com/paulgavrikov/biases_vs_generalization, raw-data/"

NEEDED = {"table": "benchmark.csv", "categories": "r50_categories.json"}
"""Options without which nothing runs, and what they are called there."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """Which table to read, and how often to resample it."""

    table: str = ""
    """benchmark.csv of the published repository, or a table with columns of its names: a
    row for each model."""
    categories: str = ""
    """r50_categories.json of the same: the models of each category."""
    adversarial: str = "adversarial_training"
    """The category whose models are the subset AT; all others are Other."""
    significance: float = 0.05
    """p above which the paper prints a correlation as 0; not corrected for their number."""
    resamples: int = 10_000
    """Resamples of the models for each interval."""
    permutations: int = 10_000
    """Shuffles of the models for each permutation test."""
    seed: int = 0
    """Seed of all random numbers, 0 to 2^32 - 1."""


PRESETS: Mapping[str, Config] = {
    "smoke": replace(Config(), resamples=200, permutations=200),
    "quick": Config(),
    "paper": replace(Config(), resamples=100_000, permutations=100_000),
}
"""Defaults by preset."""


def check_values(config: Config) -> None:
    """Raise `UsageError`, in one line, for what can be told without JAX."""
    positive(config, "significance")
    at_most(config, significance=1, resamples=10**7, permutations=10**7)
    at_least(config, resamples=100, permutations=100)
    check_seed(config)
