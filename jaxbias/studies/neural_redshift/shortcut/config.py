"""What the shortcut experiment can be asked: options, presets, limits."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from jaxbias.settings import (
    at_least,
    at_most,
    check_seed,
    positive,
    refuse_repeats,
    rising,
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Which networks to train on which digits."""

    digits: str = "glyphs"
    """Digits of ten classes: mnist:DIR, tfds:mnist, npz:FILE or any other source of
    `experiments.train`; or glyphs, which are drawn here."""
    activations: tuple[str, ...] = ("relu", "gelu", "tanh", "gaussian", "sine")
    """Activations by name or import path."""
    prefactors: tuple[float, ...] = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0)
    """Factors on every pre-activation."""
    n_seeds: int = 2
    """Networks for each combination."""
    train_images: int = 1000
    """Images to train on."""
    test_images: int = 500
    """Images of each of the two test sets."""
    colour_noise: float = 0.03
    """Share of training images whose colour says nothing."""
    band: int = 1
    """Columns of colour beside the digit."""
    iterations: tuple[int, ...] = (300, 1000)
    """Steps after which to look; the last one ends the training."""
    width: int = 64
    """Channels of a hidden layer."""
    depth: int = 2
    """Hidden layers."""
    learning_rate: float = 2e-3
    """Adam's."""
    prior: str = "glorot_uniform"
    """Distribution of the initial weights, see random-networks."""
    seed: int = 0
    """Seed of all random numbers, 0 to 2^32 - 1."""


PRESETS: Mapping[str, Config] = {
    "smoke": Config(
        activations=("relu", "sine"),
        prefactors=(0.25, 1.0, 4.0),
        train_images=200,
        test_images=100,
        iterations=(50, 200),
    ),
    "quick": Config(),
    "paper": replace(
        Config(),
        prefactors=tuple(round(2 ** (i / 2), 4) for i in range(-8, 7)),
        n_seeds=10,
        train_images=60_000,
        test_images=10_000,
        iterations=(1000, 3000, 10_000),
    ),
}
"""Defaults by preset. Width, optimiser, steps, the band and its noise are remembered, not
read in the paper."""


def check_values(config: Config) -> None:
    """Raise `UsageError`, in one line, for what can be told without JAX."""
    refuse_repeats(config)
    positive(config, "prefactors", "learning_rate")
    at_least(
        config,
        **{"n_seeds": 1, "train_images": 2, "test_images": 2, "band": 1},
        **{"iterations": 1, "width": 1, "depth": 1, "colour_noise": 0},
    )
    at_most(
        config,
        **{"n_seeds": 10**6, "train_images": 10**7, "test_images": 10**6, "band": 64},
        **{"iterations": 10**8, "width": 2**14, "depth": 1000, "colour_noise": 1},
    )
    check_seed(config)
    rising(config, "iterations")
