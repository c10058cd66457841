"""What the complex-start experiment can be asked: options, presets, limits."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from jaxbias.settings import at_least, at_most, positive
from jaxbias.studies.neural_redshift.modulo import config as modulo

Start = Literal["random", "large", "trained"]


@dataclass(frozen=True, kw_only=True)
class Config(modulo.Config):
    """Which networks to train on which tasks, and where from."""

    starts: tuple[Start, ...] = ("random", "large", "trained")
    """random: as ever; large: random weights times --large-scale; trained: weights that
    have learned all points of modulo addition with --hard-modulus."""
    large_scale: float = 4.0
    """Factor on the weights of the "large" start."""
    hard_modulus: int = 4
    """M of the target of high frequency that the "trained" start knows."""
    start_iterations: int = 3000
    """Steps on that target."""
    activations: tuple[str, ...] = ("relu", "gelu")
    """Activations that prefer simple functions, by name or import path."""
    prefactors: tuple[float, ...] = (1.0,)
    """Factors on every pre-activation."""
    moduli: tuple[int, ...] = (10,)
    """M of the target that is learned then."""
    n_seeds: int = 6
    """Networks for each combination; each has its own split of the points."""
    iterations: tuple[int, ...] = (100, 1000, 3000)
    """Steps after which to look; the last one ends the training."""
    measures: tuple[str, ...] = ("fourier", "dct", "chebyshev", "total_variation")
    """Measures of complexity, at the start and at each look."""


PRESETS: Mapping[str, Config] = {
    "smoke": replace(
        Config(),
        activations=("relu",),
        n_seeds=2,
        start_iterations=200,
        iterations=(50, 200),
        width=64,
        resolution=32,
    ),
    "quick": Config(),
    "paper": replace(
        Config(),
        activations=("relu", "gelu", "swish", "tanh"),
        moduli=(10, 7),
        n_seeds=50,
        start_iterations=10_000,
        iterations=(100, 1000, 3000, 10_000),
    ),
}
"""Defaults by preset; the setting of the paper's experiment is not known."""


def check_values(config: Config) -> None:
    """Raise `UsageError`, in one line, for what can be told without JAX."""
    modulo.check_values(config)
    positive(config, "large_scale")
    at_least(config, hard_modulus=2, start_iterations=1)
    at_most(config, hard_modulus=10**6, start_iterations=10**8)
