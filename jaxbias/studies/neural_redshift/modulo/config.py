"""What the modulo-addition experiments can be asked: options, presets, limits.

Nothing here loads JAX: the command line reads its options before any device starts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Literal, NamedTuple

from jaxbias.files import UsageError
from jaxbias.settings import (
    at_least,
    at_most,
    check_seed,
    positive,
    refuse_repeats,
    rising,
)

RELU_LIKE = ("relu", "gelu", "swish")
TUNABLE = ("tanh", "gaussian", "sine")

MOST_POINTS = 2**24
"""Points of the whole task, of which a run may take fewer."""


class Setting(NamedTuple):
    """What the paper leaves open, once."""

    dimension: int
    train_fraction: float
    input_scale: float


@dataclass(frozen=True, kw_only=True)
class Config:
    """Which networks to train on which tasks."""

    moduli: tuple[int, ...] = (10, 7, 4)
    """M: the label is (sum of the inputs mod M) <= M / 2; smaller is of higher
    frequency."""
    integers: int = 16
    """N: inputs are integers from 0 to N - 1."""
    activations: tuple[str, ...] = (*RELU_LIKE, *TUNABLE)
    """Activations by name or import path."""
    prefactors: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
    """Factors on every pre-activation."""
    n_seeds: int = 3
    """Networks for each combination; each has its own split of the points."""
    dimensions: tuple[int, ...] = (2,)
    """Entries of an input."""
    train_fractions: tuple[float, ...] = (0.75,)
    """Share of the points to train on, the others being for testing."""
    input_scales: tuple[float, ...] = (1.0,)
    """Integers are mapped to [-scale, scale]; (N - 1) / 2 leaves their spacing at 1."""
    iterations: tuple[int, ...] = (1000, 3000)
    """Steps after which to look; the last one ends the training."""
    width: int = 128
    """Channels of a hidden layer."""
    depth: int = 3
    """Hidden layers."""
    learning_rate: float = 1e-3
    """Adam's."""
    loss: Literal["cross_entropy", "mse"] = "cross_entropy"
    """What is minimised."""
    prior: str = "glorot_uniform"
    """Distribution of the initial weights, see random-networks."""
    max_points: int = 4096
    """Points taken of a task that has more."""
    resolution: int = 64
    """Grid on which complexity is measured (a random plane above two dimensions)."""
    measures: tuple[str, ...] = ("fourier", "dct", "lz78", "total_variation")
    """Measures of complexity, before training and at each look."""
    seed: int = 0
    """Seed of all random numbers, 0 to 2^32 - 1."""

    def settings(self) -> list[Setting]:
        """Every combination of what the paper leaves open."""
        each = product(self.dimensions, self.train_fractions, self.input_scales)
        return [Setting(*one) for one in each]

    def points(self, dimension: int) -> int:
        """Points of a task that are used."""
        return min(self.max_points, self.integers**dimension)

    def train_points(self, setting: Setting) -> int:
        """Points trained on."""
        return round(setting.train_fraction * self.points(setting.dimension))


BASE = Config()

PRESETS: Mapping[str, Config] = {
    "smoke": replace(
        BASE,
        activations=("relu", "gaussian"),
        prefactors=(0.5, 1.0, 2.0),
        moduli=(10, 7),
        n_seeds=2,
        iterations=(100, 300),
        width=64,
        resolution=32,
    ),
    "quick": replace(BASE, n_seeds=2),
    "paper": replace(
        BASE,
        prefactors=tuple(round(2 ** (i / 2), 4) for i in range(-6, 9)),
        n_seeds=20,
        iterations=(1000, 3000, 10_000),
        activations=(*RELU_LIKE, "selu", *TUNABLE),
    ),
}
"""Defaults by preset. Width, depth, optimiser and iterations are remembered, not read; the
share of points trained on, the inputs' dimension and scale are not known."""

SEARCH = replace(
    BASE,
    activations=("relu", "tanh", "gaussian", "sine"),
    prefactors=(0.5, 1.0, 2.0, 4.0),
    train_fractions=(0.5, 0.75, 0.9),
    input_scales=(1.0, 7.5),
    iterations=(500, 1500),
    n_seeds=1,
)

SEARCH_PRESETS: Mapping[str, Config] = {
    "smoke": replace(
        SEARCH,
        activations=("relu", "sine"),
        prefactors=(1.0,),
        train_fractions=(0.5, 0.75),
        iterations=(300,),
        width=64,
        resolution=32,
    ),
    "quick": SEARCH,
    "paper": replace(
        SEARCH,
        activations=(*RELU_LIKE, *TUNABLE),
        prefactors=tuple(2.0**i for i in range(-4, 6)),
        train_fractions=(0.25, 0.5, 0.75, 0.9),
        input_scales=(0.5, 1.0, 3.0, 7.5),
        dimensions=(1, 2, 3),
        iterations=(1000, 3000, 10_000, 30_000),
        n_seeds=5,
    ),
}
"""Presets of the search over what is not known."""


def check_values(config: Config) -> None:
    """Raise `UsageError`, in one line, for what can be told without JAX."""
    refuse_repeats(config)
    positive(config, "prefactors", "train_fractions", "input_scales", "learning_rate")
    at_least(
        config,
        moduli=2,
        integers=2,
        n_seeds=1,
        dimensions=1,
        iterations=1,
        width=1,
        depth=1,
        max_points=4,
        resolution=4,
    )
    at_most(
        config,
        moduli=10**6,
        integers=10**4,
        dimensions=100,
        n_seeds=10**6,
        iterations=10**8,
        width=2**14,
        depth=1000,
        max_points=2**20,
        resolution=2**11,
    )
    check_seed(config)
    rising(config, "iterations")
    for dimension in config.dimensions:
        if config.integers**dimension > MOST_POINTS:
            raise UsageError(
                f"--dimensions: {config.integers}^{dimension} points, at most "
                f"{MOST_POINTS:,}"
            )
    for setting in config.settings():
        used, count = config.train_points(setting), config.points(setting.dimension)
        if not 1 <= used <= count - 1:
            raise UsageError(
                f"--train-fractions: {setting.train_fraction:g} of {count} points "
                f"leaves {used} to train on and {count - used} for testing"
            )
