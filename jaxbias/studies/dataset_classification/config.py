"""What every experiment of the study can be asked: sources, sampling, recipe."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from jaxbias.files import UsageError
from jaxbias.settings import at_least, at_most, check_seed, once, positive
from jaxbias.training.recipes import Change, Precision, Recipe, Running

RecipeName = Literal["small", "paper"]


@dataclass(frozen=True, kw_only=True)
class Common:
    """Which images, how many, and how a network is trained on them."""

    sources: tuple[str, ...] = ()
    """NAME=SOURCE for each data set: folder:DIR (images at any depth, or train/ and val/ of
    such), tar:DIR, tfds:NAME, npz:FILE, a bare path; or one SOURCE alone, whose classes
    are told apart. Nothing: three generators of images, so that it runs anywhere."""
    per_source: int | None = None
    """Training images of each source; None: as many as the smallest has."""
    validation_per_source: int | None = None
    """Validation images of each source; None: as many as the smallest has."""
    hold_out: float = 0.2
    """Share of a source that is held out where it has no second split."""
    shorter_side: int = 500
    """Pixels that the shorter side of every image is shrunk to, where it is larger."""
    quality: int | None = 75
    """Of the JPEG that every image is made, 1 to 95, so that codecs do not tell the
    sources apart; None: pixels stay as they are."""
    size: int | None = None
    """Side of the images in pixels; None: the model's, or less where a source's are
    smaller."""
    margin: float = 1.0
    """Side of the stored square over that of the one a network sees; the paper's is
    256/224, of which validation sees the centre."""
    recipe: RecipeName = "small"
    """small: for two CPU cores; paper: AdamW, batch 4096, RandAugment, mixup, cutmix."""
    model: str = "cnn4"
    """A model of the catalogue."""
    samples_seen: int = 100_000
    """Images that a network sees in its training, whatever the size of the set."""
    batch: int = 128
    """Images of a step; fewer where the set is smaller."""
    rate: float | None = None
    """Largest learning rate; None: the recipe's, for this model."""
    augment: tuple[Change, ...] = ("crop", "flip")
    """What is done to the images of a batch; give `--augment` alone for nothing."""
    dtype: Precision = "float32"
    """Of the arithmetic; parameters are float32."""
    seed: int = 0
    """Seed of all random numbers, 0 to 2^32 - 1."""
    n_seeds: int = 1
    """Trainings of each case, with this seed and those that follow it."""
    resident: Literal["auto", "yes", "no"] = "auto"
    """Keep all images on the device, or stream them; auto: up to 4 GiB of pixels."""
    bad_images: Literal["raise", "skip"] = "skip"
    """What to do with an image that cannot be decoded: stop, or skip and count it."""
    most_bad: float = 0.01
    """Largest share of images that may be skipped, 0 to 1."""


RECIPES: Mapping[RecipeName, Recipe] = {
    "small": Recipe(padding=2, weight_decay=5e-4, smoothing=0.1, crop_area=(0.25, 1.0)),
    # Paper: Table 9; warm-up and betas from its code, which is ConvNeXt's.
    "paper": Recipe(
        optimiser="adamw",
        rate=1e-3,
        schedule="cosine",
        rise=20 / 300,
        weight_decay=0.3,
        beta2=0.95,
        mixup_alpha=0.8,
        cutmix_alpha=1.0,
        smoothing=0.1,
    ),
}

ADAPTIVE = ("convnext", "vit", "mae", "mlp")
"""Models, by the beginning of their names, that do not train by SGD in a short time."""

ADAPTED: Mapping[str, object] = {
    **{"optimiser": "adamw", "rate": 2e-3, "weight_decay": 0.05},
}
"""What the small recipe is for them."""

PAPER_CHANGES: tuple[Change, ...] = (
    *("resized-crop", "flip", "timm-randaugment"),
    *("mixup", "cutmix"),
)

PAPER_SAMPLES = 300 * 1_281_167
"""Section 3.2: as many as 300 epochs of ImageNet-1K."""

PAPER: Mapping[str, object] = {
    "recipe": "paper",
    "model": "convnext_tiny",
    "samples_seen": PAPER_SAMPLES,
    "batch": 4096,
    "augment": PAPER_CHANGES,
    "per_source": 1_000_000,
    "validation_per_source": 10_000,
    "size": 224,
    "margin": 256 / 224,
    "dtype": "bfloat16",
}
"""The published setting, for a GPU; bfloat16 is ours, the paper's code has float32."""


def total_steps(config: Common) -> int:
    """Of a training, whatever the size of its set."""
    return max(2, round(config.samples_seen / config.batch))


def recipe_of(config: Common, images: int) -> Recipe:
    """The recipe for a training set of so many images."""
    batch = min(config.batch, images)
    recipe = replace(
        RECIPES[config.recipe],
        model=config.model,
        batch=batch,
        epochs=total_steps(config) / (images // batch),
        augment=config.augment,
        dtype=config.dtype,
    )
    if config.recipe == "small" and config.model.startswith(ADAPTIVE):
        recipe = replace(recipe, **ADAPTED)  # type: ignore[arg-type]
    return recipe if config.rate is None else replace(recipe, rate=config.rate)


def running_of(config: Common, size: int, recipe: Recipe | None = None) -> Running:
    """How a training is run: a few evaluations on the way, and as many checkpoints.

    Args:
        config: Seeds and the like.
        size: Side of the stored images, in pixels.
        recipe: From `recipe_of`; None where images are only prepared.
    """
    epochs = 1 if recipe is None else recipe.epochs
    return Running(
        seed=config.seed,
        n_seeds=config.n_seeds,
        size=size,
        validate_every=max(1, int(epochs // EVALUATIONS)),
        # Not each epoch: those of few images are a step long.
        save_every=max(1, total_steps(config) // EVALUATIONS),
        resident=config.resident,
        bad_images=config.bad_images,
        most_bad=config.most_bad,
    )


LEAST = 10
"""Training images of a class: fewer cannot be cross-validated, nor mean anything."""

EVALUATIONS = 8
"""On the way of a training, about."""


def check_common(config: Common) -> None:
    """Raise `UsageError`, in one line, for what can be told without JAX."""
    check_seed(config)
    once(config, "augment", "sources")
    at_least(config, per_source=LEAST, validation_per_source=2, shorter_side=8)
    at_least(config, quality=1)
    at_least(config, size=8, margin=1, samples_seen=1, batch=2, n_seeds=1, most_bad=0)
    at_most(config, quality=95, size=2**12, margin=2, batch=2**20, n_seeds=10**4)
    at_most(config, samples_seen=10**12, most_bad=1)
    positive(config, "rate")
    if not 0 < config.hold_out < 1:
        raise UsageError(f"--hold-out: must be above 0, below 1, got {config.hold_out}")


def check_models(*names: str, option: str = "--model") -> None:
    """Raise `UsageError` if the catalogue lacks one of these models."""
    from jaxbias.models import catalogue

    catalogue.check(*names, option=option)
