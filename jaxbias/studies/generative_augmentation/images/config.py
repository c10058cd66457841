"""What the images experiment can be asked: options, presets, limits."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from jaxbias.files import UsageError
from jaxbias.settings import (
    at_least,
    at_most,
    check_seed,
    once,
    one_or_more,
    positive,
)
from jaxbias.training.recipes import RECIPES, Recipe

Augmentation = Literal["none", "base"]

PRESETS_BY = "recipe"
"""Field that has other defaults for each value."""

UNITS = {"": 1, "k": 1_000, "M": 1_000_000}
"""What stands after a number of images."""

STAND_INS = ("fresh", "mislabelled")
"""Generators of shapes, where no files are given."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """What is trained on what, and on how much of it."""

    recipe: Literal["small", "plain", "fast"] = "small"
    """plain: ResNet-18 as published, 100 epochs of it; fast: airbench94, without label
    smoothing and with one view; small: four layers, for two CPU cores."""
    model: str = ""
    """A model of the catalogue; empty: the recipe's own."""
    data: str = "shapes"
    """Real labelled images: cifar10:DIR, folder:DIR and so on, or shapes, which are drawn
    here."""
    generated: tuple[str, ...] = ()
    """NAME=FILE,FILE,... of each generator: npz files, folders of an array or of pictures a
    class, zip files with a dataset.json, or IMAGES.bin+LABELS.npy. None are needed for
    shapes: fresh ones stand in, and fresh ones of which a third has a wrong label."""
    size: int = 32
    """Side of the images in pixels."""
    real: int | None = None
    """Train on no more than this many real images; None: all but those held out."""
    validation: int = 1_000
    """Real training images that are held out, to choose by."""
    amounts: tuple[str, ...] = ("0", "2k", "5k", "10k")
    """Generated images that are added, such as 500, 100k or 1M; the fewer are among the
    more, and 0 is always there."""
    augmentations: tuple[Augmentation, ...] = ("none", "base")
    """none: images as they are; base: crops and mirror images, real and generated."""
    lengths: Literal["epochs", "steps"] = "epochs"
    """epochs: go through what there is as often, so that more images are a longer training
    (as published); steps: as many steps as real images alone take."""
    weights: tuple[float | int, ...] = (1.0,)
    """Of the loss of a generated image, beside 1 of a real one."""
    real_shares: tuple[float, ...] = ()
    """Shares of real images in the batches, for which they are repeated; none: as they
    come."""
    keeps: tuple[float | int, ...] = (1.0,)
    """Shares of the generated images of each class that are used: those whose label a
    network, trained on the real images alone, believes most."""
    alone: bool = False
    """Train on the largest amount of each generator without real images, too: the
    classification accuracy score."""
    epochs: float | int = 8
    """Times that the images are seen."""
    batch: int = 128
    """Images of a step."""
    rate: float = 0.2
    """Largest learning rate."""
    scored: int = 10_000
    """Training images of each kind that are scored in the end, at most."""
    measured: int = 1_000
    """Generated images, and real ones that were not trained on, for distances."""
    inception: str = ""
    """PyTorch weights of the Inception network of FID, which distances are then taken on
    too: pytorch-fid's pt_inception-2015-12-05-6726825d.pth, or safetensors."""
    n_seeds: int = 3
    """Trainings of each kind, with this seed and those that follow it; the weights begin
    alike whatever is added."""
    resamples: int = 1_000
    """Resamples of seeds and test images for each interval."""
    seed: int = 0
    """Seed of all random numbers, 0 to 2^32 - 1."""


def _of(recipe: str, **changes: object) -> Config:
    own = RECIPES[recipe]
    fields = {"epochs": own.epochs, "batch": own.batch, "rate": own.rate}
    return replace(Config(recipe=recipe), **fields | changes)  # type: ignore[arg-type]


_SMOKE = {
    "size": 16,
    "real": 200,
    "validation": 100,
    "amounts": ("0", "200"),
    "batch": 50,
    "epochs": 2,
    "n_seeds": 2,
    "scored": 200,
    "measured": 100,
    "resamples": 100,
}
_PAPER = {
    "amounts": ("0", "100k", "300k", "500k", "700k", "1M"),
    "validation": 1_000,
    "measured": 10_000,
}

PRESETS: Mapping[str, Mapping[str, Config]] = {
    "small": {
        "smoke": _of("small", **_SMOKE, model="cnn4_narrow"),
        "quick": _of(
            "small",
            model="cnn4_narrow",
            real=1_000,
            amounts=("0", "1k", "4k"),
            epochs=8,
            batch=64,
            rate=0.1,
        ),
        "paper": _of("small", real=5_000, epochs=20, n_seeds=5),
    },
    "plain": {
        "smoke": _of("plain", **_SMOKE, model="cnn4_narrow"),
        "quick": _of("plain", real=5_000, amounts=("0", "10k"), epochs=10),
        "paper": _of("plain", **_PAPER),
    },
    "fast": {
        "smoke": _of("fast", **_SMOKE),
        "quick": _of("fast", real=5_000, amounts=("0", "10k")),
        "paper": _of("fast", **_PAPER),
    },
}
"""Defaults by recipe and preset; plain's paper has the published amounts and lengths."""


def amount_of(text: str) -> int:
    """Images that a text such as 500, 100k or 1M means.

    Raises:
        UsageError: If it means none.
    """
    found = re.fullmatch(r"(\d{1,9})(k|M|)", text)
    if not found or int(found[1]) * UNITS[found[2]] > 10**9:
        raise UsageError(f"--amounts: such as 500, 100k or 1M, got {text!r}")
    return int(found[1]) * UNITS[found[2]]


def amounts_of(config: Config) -> tuple[int, ...]:
    """The amounts above 0, in rising order."""
    return tuple(sorted({amount_of(text) for text in config.amounts} - {0}))


def generators_of(config: Config) -> dict[str, tuple[str, ...]]:
    """Files of each generator by its name; no files for those that stand in."""
    if not config.generated and config.data == "shapes":
        return dict.fromkeys(STAND_INS, ())
    found: dict[str, tuple[str, ...]] = {}
    for text in config.generated:
        name, _, files = text.partition("=")
        if not re.fullmatch(r"[A-Za-z0-9._-]+", name) or not files:
            raise UsageError(f"--generated: NAME=FILE, got {text!r}")
        if name in found:
            raise UsageError(f"--generated: {name} twice")
        found[name] = tuple(files.split(","))
    return found


def recipe_of(config: Config, augmentation: Augmentation) -> Recipe:
    """How a network is trained; the gap is of a loss without smoothing and of one view."""
    own = RECIPES[config.recipe]
    return replace(
        own,
        model=config.model or own.model,
        epochs=config.epochs,
        batch=config.batch,
        rate=config.rate,
        augment=own.augment if augmentation == "base" else (),
        smoothing=0.0,
        views="none",
    )


def check_values(config: Config) -> None:
    """Raise `UsageError`, in one line, for what can be told without JAX."""
    one_or_more(config, "augmentations", "weights", "keeps", "amounts")
    once(config, "real_shares")
    at_least(config, batch=2, validation=10, real=10, size=8, scored=10, measured=10)
    at_least(config, n_seeds=1, resamples=100, weights=0)
    at_most(config, keeps=1, size=512, n_seeds=1_000, resamples=10**5, epochs=10**6)
    at_most(config, batch=2**16, weights=1_000, measured=50_000, real=10**9)
    positive(config, "epochs", "rate", "keeps")
    if any(not 0 < share < 1 for share in config.real_shares):
        raise UsageError("--real-shares: above 0 and below 1")
    if config.real_shares and config.lengths == "epochs":
        raise UsageError("--real-shares: goes with --lengths steps")
    if config.recipe == "plain" and config.epochs < 2:
        raise UsageError("--epochs: plain needs at least 2")
    if not generators_of(config):
        raise UsageError("--generated: NAME=FILE of generated images; none is given")
    if not amounts_of(config):
        raise UsageError("--amounts: one above 0, at least")
    check_seed(config)
