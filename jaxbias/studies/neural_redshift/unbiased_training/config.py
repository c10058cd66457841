"""What the unbiased-training experiment can be asked: options, presets, limits."""

from collections.abc import Mapping
from dataclasses import dataclass

from jaxbias.files import UsageError
from jaxbias.settings import at_least, at_most
from jaxbias.studies.neural_redshift.modulo import config as modulo


@dataclass(frozen=True, kw_only=True)
class Config(modulo.Config):
    """Which models to train on which tasks; perceptrons are those of modulo-addition."""

    activations: tuple[str, ...] = ("relu", "gaussian")
    """Activations of the perceptrons beside it."""
    prefactors: tuple[float, ...] = (1.0,)
    """Factors on their pre-activations."""
    max_frequencies: tuple[int, ...] = (8, 32)
    """Largest frequencies of the unbiased models, in periods over the inputs' range; half
    the number of integers is all that the task's points can tell apart."""
    input_scales: tuple[float, ...] = (0.9375,)
    """Integers are mapped to [-scale, scale]. The unbiased models repeat themselves
    beyond [-1, 1]: with (N - 1) / N the points fill one period, and differ to them."""
    n_seeds: int = 10
    """Networks for each combination; each has its own split of the points."""
    iterations: tuple[int, ...] = (300, 1000)
    """Steps after which to look; the last one ends the training."""


PRESETS: Mapping[str, Config] = {
    "smoke": Config(
        moduli=(10,),
        max_frequencies=(4, 8),
        n_seeds=2,
        iterations=(100, 300),
        width=64,
        resolution=32,
    ),
    "quick": Config(),
    "paper": Config(n_seeds=100, iterations=(300, 1000, 3000, 10_000)),
}
"""Defaults by preset."""

MOST_UNITS = 2**16


def check_values(config: Config) -> None:
    """Raise `UsageError`, in one line, for what can be told without JAX."""
    modulo.check_values(config)
    at_least(config, max_frequencies=1)
    at_most(config, max_frequencies=2**12)
    for dimension in config.dimensions:
        for most in config.max_frequencies:
            units = ((2 * most + 1) ** dimension - 1) // 2
            if units > MOST_UNITS:
                raise UsageError(
                    f"--max-frequencies: {most} in {dimension} dimensions are {units:,} "
                    f"units, at most {MOST_UNITS:,}"
                )
