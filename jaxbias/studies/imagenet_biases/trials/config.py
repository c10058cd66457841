"""What the shape-bias-from-trials experiment can be asked: options, presets, limits."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from jaxbias.settings import at_least, at_most, check_seed

SOURCE = "as raw-data/cue-conflict of github.com/bethgelab/model-vs-human"


@dataclass(frozen=True, kw_only=True)
class Config:
    """Whose answers to read, and how often to resample the images."""

    trials: str = ""
    """A folder of model-vs-human's files of trials on cue-conflict images, of people,
    networks or both: <experiment>_<observer>_session-1.csv."""
    resamples: int = 2_000
    """Resamples of source images, and of people, for each interval."""
    seed: int = 0
    """Seed of all random numbers, 0 to 2^32 - 1."""


PRESETS: Mapping[str, Config] = {
    "smoke": replace(Config(), resamples=200),
    "quick": Config(),
    "paper": replace(Config(), resamples=10_000),
}
"""Defaults by preset."""


def check_values(config: Config) -> None:
    """Raise `UsageError`, in one line, for what can be told without JAX."""
    at_least(config, resamples=100)
    at_most(config, resamples=10**6)
    check_seed(config)
