"""What shortcut and collage can be asked: options, presets, limits."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from jaxbias.settings import (
    at_least,
    at_most,
    check_seed,
    positive,
    refuse_repeats,
    rising,
)

CLASSES = 10
"""Of digits, and of the pictures beside them."""


@dataclass(frozen=True, kw_only=True)
class Trainings:
    """Networks that are trained on images in which two things tell the label."""

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
    """Images of each test set."""
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

    outputs: ClassVar[int]
    """Of a network: 1 is a regression, more are classes."""
    cues: ClassVar[tuple[str, str]]
    """What tells the label; a test set for each has the other one at random."""


@dataclass(frozen=True, kw_only=True)
class Config(Trainings):
    """Which networks to train on which digits beside a band of colour."""

    colour_noise: float = 0.03
    """Share of training images whose colour says nothing."""
    band: int = 1
    """Columns of colour beside the digit."""

    outputs = 1
    cues = ("colour", "digit")


@dataclass(frozen=True, kw_only=True)
class CollageConfig(Trainings):
    """Which networks to train on which digits above which pictures."""

    pictures: str = "shapes"
    """Pictures of ten classes: cifar10:DIR, tfds:cifar10 or any other source of
    `experiments.train`; or shapes, which are drawn here."""
    tile: int = 12
    """Side of digit and picture, in pixels, to which both are resized."""

    outputs = CLASSES
    cues = ("digit", "picture")


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

COLLAGE = CollageConfig(
    activations=("relu", "tanh", "gaussian", "sine"), prefactors=(0.25, 1.0, 4.0)
)

COLLAGE_PRESETS: Mapping[str, CollageConfig] = {
    "smoke": replace(
        COLLAGE,
        activations=("relu", "sine"),
        prefactors=(1.0,),
        n_seeds=1,
        train_images=200,
        test_images=100,
        iterations=(100,),
        tile=8,
    ),
    "quick": COLLAGE,
    "paper": replace(
        COLLAGE,
        activations=("relu", "gelu", "swish", "selu", "tanh", "gaussian", "sine"),
        prefactors=tuple(2.0**i for i in range(-4, 5)),
        n_seeds=10,
        train_images=50_000,
        test_images=9_000,
        iterations=(1000, 3000, 10_000),
        tile=32,
    ),
}
"""Presets of the collage. The follow-up's networks, sizes and steps are not known."""


def check_values(config: Trainings) -> None:
    """Raise `UsageError`, in one line, for what can be told without JAX."""
    refuse_repeats(config)
    positive(config, "prefactors", "learning_rate")
    least: dict[str, float] = {"n_seeds": 1, "iterations": 1, "width": 1, "depth": 1}
    most: dict[str, float] = {"n_seeds": 10**6, "iterations": 10**8, "width": 2**14}
    if isinstance(config, CollageConfig):
        # One of each class, at least.
        least |= {"train_images": CLASSES, "test_images": CLASSES, "tile": 2}
        most["tile"] = 512
    else:
        least |= {"train_images": 2, "test_images": 2, "band": 1, "colour_noise": 0}
        most |= {"band": 64, "colour_noise": 1}
    at_least(config, **least)
    at_most(config, **most, depth=1000, train_images=10**7, test_images=10**6)
    check_seed(config)
    rising(config, "iterations")
