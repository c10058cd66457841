"""What the guess-and-check experiment can be asked: options, presets, limits."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from jaxbias.files import UsageError
from jaxbias.settings import (
    at_least,
    at_most,
    check_seed,
    positive,
    refuse_repeats,
    rising,
)

Target = Literal["half_plane", "modulo"]
Criterion = Literal["signs", "mse"]

BATCH = 1000
"""Networks that are summed up together."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """Which networks to guess and what to hold them against."""

    activations: tuple[str, ...] = ("relu", "tanh", "sine")
    """Activations of the perceptrons, by name or import path."""
    weight_scales: tuple[float, ...] = (1.0, 4.0)
    """Factors on the perceptrons' weights."""
    max_frequency: int = 8
    """Largest frequency of the unbiased model, in periods over the inputs' range."""
    targets: tuple[Target, ...] = ("half_plane", "modulo")
    """half_plane: a random line through the middle; modulo: modulo addition, see there."""
    modulus: int = 10
    """Of the modulo target."""
    integers: int = 16
    """The points are all pairs of integers below this, as in modulo-addition."""
    train_points: tuple[int, ...] = (2, 4, 6, 8, 10)
    """Points to fit, a number for each column; a network that fits more fits fewer."""
    n_networks: int = 100_000
    """Networks guessed for each model, a multiple of 1,000."""
    n_splits: int = 20
    """Choices of points (and of lines), each network being held against all."""
    most_error: float = 0.5
    """Mean squared error against targets of -1 and 1 below which the "mse" criterion takes
    a network, whose outputs are divided by their standard deviation."""
    width: int = 64
    """Channels of a hidden layer."""
    depth: int = 2
    """Hidden layers."""
    prior: str = "glorot_uniform"
    """Distribution of the weights, see random-networks."""
    seed: int = 0
    """Seed of all random numbers, 0 to 2^32 - 1."""


PRESETS: Mapping[str, Config] = {
    "smoke": Config(
        n_networks=4_000, train_points=(2, 4), activations=("relu", "sine")
    ),
    "quick": Config(),
    "paper": replace(
        Config(),
        n_networks=100_000_000,
        train_points=(2, 4, 6, 8, 10, 12, 14, 16),
        n_splits=100,
    ),
}
"""Defaults by preset. The paper speaks of the experiment in a box; its scale is ours."""


def check_values(config: Config) -> None:
    """Raise `UsageError`, in one line, for what can be told without JAX."""
    refuse_repeats(config)
    positive(config, "weight_scales", "most_error")
    at_least(
        config,
        **{"max_frequency": 1, "modulus": 2, "integers": 2, "train_points": 1},
        **{"n_networks": BATCH, "n_splits": 1, "width": 1, "depth": 1},
    )
    at_most(
        config,
        **{"max_frequency": 128, "modulus": 10**6, "integers": 256},
        **{"n_networks": 10**10, "n_splits": 10**4, "width": 2**14, "depth": 1000},
    )
    check_seed(config)
    if config.n_networks % BATCH:
        raise UsageError(
            f"--n-networks: a multiple of {BATCH:,}, got {config.n_networks}"
        )
    rising(config, "train_points")
    if max(config.train_points) >= config.integers**2:
        raise UsageError(
            f"--train-points: {max(config.train_points)} of {config.integers**2} points "
            "leave none for testing"
        )
