"""What the small-world experiment can be asked: options, presets, limits."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from jaxbias.files import UsageError
from jaxbias.settings import at_least, at_most, check_seed, one_or_more, positive
from jaxbias.studies.imagenet_biases.small_world.zoo import SMALLER, ZOO

FEWEST = 5
"""Networks without which nothing can be correlated."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """Which networks to train on what, and how to measure them."""

    data: str = "shapes"
    """Images to train on: cifar10:DIR, tfds:cifar10, npz:FILE, folder:DIR and so on, or
    shapes, which are drawn here and say nothing of photographs."""
    validation: str | None = None
    """Images to measure on; None: the set's own test or validation split, or else images
    that are held out."""
    hold_out: float = 0.1
    """Share of each class that is held out where the set has no second split."""
    most_images: int | None = None
    """Train on no more than this many images, as many of each class as it allows."""
    size: int = 32
    """Side of the images in pixels."""
    networks: tuple[str, ...] = SMALLER
    """Which networks, by name; see the experiment's page for all 48."""
    model: str = "resnet8_small"
    """Architecture of all of them, by its name in the catalogue."""
    epochs: float | int = 0.8
    """Times that the baseline sees the training set."""
    batch: int = 64
    """Images of a step."""
    rate: float = 0.2
    """Largest learning rate of the baseline."""
    attack_steps: int = 2
    """Steps of the attack in adversarial training."""
    n_seeds: int = 1
    """Trainings of each network, with this seed and those that follow it; correlations are
    of their means."""
    images: int = 500
    """Validation images that are changed, drawn at random."""
    clean_images: int = 0
    """Validation images that are shown as they are, drawn at random; 0: all."""
    conflicts: int = 900
    """Images with the shape of one class and the texture of another."""
    band_strength: float = 3.0
    """Contrast and noise of the critical band's images, over the published ones, at which
    these networks see next to nothing."""
    pgd_steps: int = 10
    """Steps of the attack that accuracy is measured under."""
    pgd_radius: float = 2 / 255
    """Largest change of a pixel by it, on the scale 0 to 1."""
    pgd_step: float = 0.5 / 255
    """Length of a step, likewise."""
    cue_conflict: str = ""
    """Official cue-conflict images, in sixteen folders by shape: shown too, if given."""
    edges: str = ""
    """Official edge images, in sixteen folders, likewise."""
    silhouettes: str = ""
    """Official filled silhouettes, in sixteen folders, likewise."""
    categories: str = "cifar10"
    """Which classes are in each of the sixteen categories of official images: cifar10,
    itself, or a JSON file of class numbers by category."""
    resamples: int = 2_000
    """Resamples of the networks, and of source images, for each interval."""
    permutations: int = 2_000
    """Shuffles of the networks for each permutation test."""
    significance: float = 0.05
    """p above which the paper prints a correlation as 0; not corrected for their number."""
    seed: int = 0
    """Seed of all random numbers, 0 to 2^32 - 1."""

    @property
    def official(self) -> tuple[str, ...]:
        """Options of official images that are given."""
        fields = ("cue_conflict", "edges", "silhouettes")
        return tuple(field for field in fields if getattr(self, field))


PRESETS: Mapping[str, Config] = {
    "smoke": replace(
        Config(),
        networks=("baseline", "no_augmentation", "noise", "linf_4", "frozen_random"),
        most_images=640,
        epochs=1,
        images=20,
        clean_images=64,
        conflicts=32,
        pgd_steps=2,
        resamples=200,
        permutations=200,
    ),
    "quick": Config(),
    "paper": replace(
        Config(),
        networks=tuple(ZOO),
        model="resnet18_cifar",
        epochs=30,
        batch=128,
        attack_steps=7,
        n_seeds=3,
        images=2_000,
        pgd_steps=40,
        resamples=10_000,
        permutations=10_000,
    ),
}
"""Defaults by preset; paper has a counterpart of each published network."""


def check_values(config: Config) -> None:
    """Raise `UsageError`, in one line, for what can be told without JAX."""
    one_or_more(config, "networks")
    for name in config.networks:
        if name not in ZOO:
            raise UsageError(f"--networks: no {name!r}: one of {', '.join(ZOO)}")
    if len(config.networks) < FEWEST:
        raise UsageError(f"--networks: {FEWEST} or more, got {len(config.networks)}")
    if not 0 < config.hold_out < 1:
        raise UsageError(f"--hold-out: must be above 0, below 1, got {config.hold_out}")
    at_least(config, batch=2, n_seeds=1, attack_steps=1, images=1, clean_images=0)
    at_least(config, conflicts=1, pgd_steps=1, resamples=100, permutations=100)
    at_least(config, most_images=1, size=16)
    at_most(config, batch=2**14, n_seeds=10**3, attack_steps=100, pgd_steps=10**4)
    at_most(config, conflicts=10**5, resamples=10**6, permutations=10**6, size=224)
    at_most(
        config, band_strength=5, pgd_radius=1, pgd_step=1, significance=1, epochs=10**5
    )
    positive(config, "epochs", "rate", "pgd_radius", "pgd_step", "significance")
    positive(config, "band_strength")
    check_seed(config)
