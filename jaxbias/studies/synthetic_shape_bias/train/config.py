"""What the train experiment can be asked: options, presets, limits."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from jaxbias.files import UsageError
from jaxbias.settings import at_least, at_most, check_seed, positive

Supervision = Literal["cross-entropy", "simclr", "supcon", "mae", "parameters"]

Smoothing = Literal["none", "blur", "bilateral"]

LABELLED: tuple[Supervision, ...] = ("cross-entropy", "supcon", "parameters")
"""What needs to know the program that made an image."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """What to train on, for what, and what to look at."""

    mode: Literal["clean", "released"] = "clean"
    """released: other defaults, those of the authors' code."""
    data: str = "stylegan-oriented"
    """What makes the images, as for generate: stylegan-oriented, dead-leaves-mixed,
    fractal, programs, spectrum@exponent=2 and so on; or images that are there, for
    comparison: cifar10:DIR, folder:DIR and so on."""
    programs: int | None = 64
    """Networks, fractals, expressions and so on that make them, each a class; none lets
    every image have its own."""
    images: int = 4_096
    """Images of an epoch; of those that are there, at most."""
    endless: bool = False
    """Make other images in each epoch, as they are needed, in place of the same ones."""
    size: int = 32
    """Side in pixels."""
    supervision: Supervision = "simclr"
    """cross-entropy: name the program; simclr: know two views of an image as one; supcon:
    the same of images of a program; mae: fill in masked patches; parameters: know which
    program's parameters go with an image."""
    model: str = "cnn4"
    """A network of the catalogue; mae has networks of its own, mae_32 and mae_base."""
    head: bool = True
    """Compare what a projection makes of the features, and not these themselves (as the
    authors do), in simclr and supcon."""
    temperature: float = 0.5
    """What cosines are divided by, in simclr, supcon and parameters."""
    crop_area: tuple[float, float] = (0.08, 1.0)
    """Least and largest share of an image that a view shows."""
    jitter: float = 0.5
    """Of a view's colours, 0 to 1; 0 leaves them."""
    smoothing: Smoothing = "none"
    """Of a view, always: blur by a Gaussian, or a bilateral filter, which takes textures
    and leaves edges (simclr and supcon)."""
    normalise: Literal["data", "model"] = "data"
    """By the mean and deviation of the training images, or by the model's own, the same
    for all sets."""
    epochs: float | int = 8
    """Times that so many images are seen."""
    batch: int = 128
    """Images of a step."""
    optimiser: Literal["adamw", "released"] = "adamw"
    """adamw: after a warm-up along a cosine; released: as in the authors' code, Adam of
    one rate, which forgets its moments with every epoch."""
    rate: float = 2e-3
    """Largest learning rate."""
    weight_decay: float = 0.02
    """Of AdamW."""
    looks: int = 8
    """How often the network is looked at: before the first step, after the last, and in
    between after numbers of steps that are evenly apart in their logarithm."""
    cue_conflict: str = ""
    """Official cue-conflict images, in sixteen folders by shape: shown too, if given."""
    edges: str = ""
    """Official edge images, in sixteen folders: found among each other, if given."""
    silhouettes: str = ""
    """Official filled silhouettes, likewise."""
    stimuli_size: int | None = None
    """Side of the stimuli in pixels; none: that of the training images. 32 in the authors'
    code, whatever is trained on."""
    transfer: str = "shapes"
    """Labelled images that frozen features are asked about: cifar10:DIR and so on, or
    shapes, which are drawn here."""
    transfer_images: int = 2_000
    """Of these, as many to fit a linear classifier as to test it."""
    n_seeds: int = 1
    """Trainings, with this seed and those that follow it, on the same images."""
    resamples: int = 200
    """Resamples of source images for each interval."""
    seed: int = 0
    """Seed of all random numbers, 0 to 2^32 - 1."""


PRESETS_BY = "mode"
"""Field that has other defaults for each value."""

CLEAN: Mapping[str, Config] = {
    "smoke": replace(
        Config(),
        data="dead-leaves-mixed",
        programs=8,
        images=256,
        epochs=1,
        batch=64,
        model="cnn4_narrow",
        looks=2,
        transfer_images=300,
        resamples=100,
    ),
    "quick": Config(),
    "paper": replace(
        Config(),
        images=94_500,
        programs=None,
        size=64,
        model="resnet18_cifar",
        epochs=20,
        batch=512,
        looks=12,
        transfer_images=10_000,
        n_seeds=3,
        resamples=1_000,
    ),
}

# Views keep this project's colours; those of the released code change them always.
RELEASED: Mapping[str, Any] = {
    "head": False,
    "batch": 64,
    "optimiser": "released",
    "rate": 1e-3,
    "weight_decay": 0.0,
    "stimuli_size": 32,
}
"""What the authors' code has otherwise."""

PRESETS: Mapping[str, Mapping[str, Config]] = {
    "clean": CLEAN,
    "released": {
        preset: replace(config, mode="released", **RELEASED)
        for preset, config in CLEAN.items()
    },
}
"""Defaults by mode and preset; paper has the sizes of the authors' code."""


def check_values(config: Config) -> None:
    """Raise `UsageError`, in one line, for what can be told without JAX."""
    at_least(config, images=2, batch=2, size=16, looks=2, n_seeds=1, programs=1)
    at_least(config, transfer_images=100, resamples=100, weight_decay=0, jitter=0)
    at_most(config, images=10**7, batch=2**14, size=256, looks=100, n_seeds=1_000)
    at_most(config, programs=100_000, resamples=10**6, transfer_images=10**6)
    at_most(config, jitter=1, weight_decay=1, epochs=10**5)
    positive(config, "rate", "temperature", "epochs")
    low, high = config.crop_area
    if not 0 < low <= high <= 1:
        raise UsageError(f"--crop-area: two shares, 0 to 1, rising; got {low} {high}")
    if config.batch > config.images:
        raise UsageError(f"--batch: {config.batch} for {config.images} images")
    made = ":" not in config.data
    if made and config.programs is None and config.supervision in LABELLED:
        raise UsageError(f"--supervision {config.supervision}: needs --programs")
    if made and config.programs == 1 and config.supervision in LABELLED:
        raise UsageError(f"--supervision {config.supervision}: needs two --programs")
    if not made and config.supervision == "parameters":
        raise UsageError("--supervision parameters: needs images that are made")
    if (config.supervision == "mae") != config.model.startswith("mae_"):
        raise UsageError(
            f"--model {config.model}: mae_32 and mae_base go with --supervision mae"
        )
    if config.stimuli_size is not None:
        at_least(config, stimuli_size=16)
        at_most(config, stimuli_size=256)
    check_seed(config)
