"""What the classifier experiment can be asked: options, presets, limits."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Literal

from jaxbias.files import UsageError
from jaxbias.settings import at_least, at_most, check_seed, once, option, positive
from jaxbias.training.recipes import RECIPES, Recipe, Running


@dataclass(frozen=True, kw_only=True)
class Config(Running, Recipe):
    """What to train, on what, and how."""

    recipe: Literal["small", "plain", "modern", "fast"] = "small"
    """Where the defaults of everything else come from. small: four layers, for two CPU
    cores; plain: ResNet-18 as Zheng et al. (NeurIPS 2023) train it on CIFAR-10; modern:
    ConvNeXt's own (Liu et al., CVPR 2022); fast: airbench94 (Jordan 2024), 94 % on
    CIFAR-10 in 10 epochs."""
    data: str = "shapes"
    """Images to train on: cifar10:DIR, cifar100:DIR, mnist:DIR, npz:FILE,
    npy:IMAGES,LABELS, folder:DIR, tar:DIR, tfds:NAME, a bare path, or shapes, which are
    drawn here. #SPLIT at the end chooses a split."""
    validation: str | None = None
    """Images to validate on; None: the set's own test or validation split, or else images
    that are held out."""
    hold_out: float = 0.1
    """Share of each class that is held out where the set has no second split."""


def _preset(recipe: str, **changes: object) -> Config:
    return replace(Config(recipe=recipe, **asdict(RECIPES[recipe])), **changes)  # type: ignore[arg-type]


PRESETS: Mapping[str, Mapping[str, Config]] = {
    "small": {
        "smoke": _preset("small", most_images=2_000, epochs=3, batch=64),
        "quick": _preset("small"),
        "paper": _preset("small", epochs=20, n_seeds=3),
    },
    "plain": {
        "smoke": _preset("plain", most_images=256, epochs=2, batch=64),
        "quick": _preset("plain", epochs=10),
        "paper": _preset("plain", n_seeds=3),
    },
    "modern": {
        "smoke": _preset(
            "modern", most_images=256, epochs=2, batch=64, size=32, dtype="float32"
        ),
        "quick": _preset("modern", epochs=30, batch=512, rate=5e-4),
        "paper": _preset("modern"),
    },
    "fast": {
        "smoke": _preset(
            "fast",
            most_images=512,
            epochs=2.5,
            batch=64,
            size=16,
            dtype="float32",
            validate_every=2,
        ),
        "quick": _preset("fast", epochs=2, dtype="float32"),
        "paper": _preset("fast", n_seeds=10),
    },
}
"""Defaults by recipe and preset; "paper" is the recipe as published."""

PRESETS_BY = "recipe"
"""The option that presets go by, besides `--preset`."""

RECIPE = tuple(field.name for field in fields(Recipe))
RUNNING = tuple(field.name for field in fields(Running))


def recipe_of(config: Config) -> Recipe:
    """The part of a configuration that is the recipe."""
    return Recipe(**{name: getattr(config, name) for name in RECIPE})


def running_of(config: Config) -> Running:
    """The part of a configuration that says how the training is run."""
    return Running(**{name: getattr(config, name) for name in RUNNING})


def check_values(config: Config) -> None:
    """Raise `UsageError`, in one line, for what can be told without JAX."""
    check_seed(config)
    once(config, "augment")
    at_least(config, epochs=1, batch=1, accumulate=1, size=8, most_images=1, padding=1)
    at_least(config, validate_every=1, save_every=1, log_every=1, workers=0, n_seeds=1)
    at_least(config, momentum=0, weight_decay=0, smoothing=0, ema_decay=0, beta1=0)
    at_least(config, jitter=0, most_bad=0, rise=0, early_epochs=0, beta2=0)
    at_most(config, epochs=10**6, batch=2**20, size=2**12, padding=2**10, workers=1024)
    at_most(config, momentum=1, smoothing=1, ema_decay=1, jitter=1, most_bad=1, rise=1)
    at_most(config, n_seeds=10**4, early_epochs=10**6, beta1=1, beta2=1)
    positive(config, "ema_ramp", "rate", "bias_rate", "mixup_alpha", "cutmix_alpha")
    if not 0 < config.hold_out < 1:
        raise UsageError(f"--hold-out: must be above 0, below 1, got {config.hold_out}")
    low, high = config.crop_area
    if not 0 < low <= high <= 1:
        raise UsageError(f"--crop-area: two shares, 0 to 1, rising; got {low} {high}")
    if config.batch % config.accumulate:
        raise UsageError(
            f"--accumulate: must divide the batch, {config.batch}, "
            f"got {config.accumulate}"
        )
    _check_schedule(config)
    _check_optimiser(config)


def _check_schedule(config: Config) -> None:
    if config.schedule.startswith("one-cycle") and not 0 < config.rise < 1:
        raise UsageError(f"--rise: must be above 0, below 1, got {config.rise}")
    if config.schedule == "one-cycle-epochs" and config.epochs < 2:
        raise UsageError("--epochs: one-cycle-epochs needs at least 2")
    if config.cycle_momentum and not config.schedule.startswith("one-cycle"):
        raise UsageError("--cycle-momentum: goes with a one-cycle schedule alone")


def _check_optimiser(config: Config) -> None:
    if config.optimiser != "sgd":
        for field, off in (("decoupled", False), ("bias_rate", 1)):
            if getattr(config, field) != off:
                raise UsageError(f"{option(field)}: goes with --optimiser sgd alone")
        if config.beta2 == 1:
            raise UsageError("--beta2: must be below 1")
    if config.decoupled and config.momentum == 1:
        raise UsageError("--momentum: must be below 1 with --decoupled")
    if config.forget and config.schedule != "constant":
        raise UsageError("--forget: goes with --schedule constant")
    if config.lookahead and config.ema_decay is not None:
        raise UsageError("--lookahead: does not go with --ema-decay")
