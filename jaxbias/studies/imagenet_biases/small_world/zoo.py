"""The small world's 48 networks: a counterpart of each published one, by category.

Nothing but data; importing it does not load JAX. Categories and their numbers of networks
are the paper's (1, 10, 12, 3, 15, 6, 1), and so is what sets them apart from each other.
Their members are what can be had without others' weights or images: methods that need
either, such as PixMix or DeepAugment, have a simpler one in their place.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Norm = Literal["linf", "l2"]

ADVERSARIAL = "adversarial_training"

L2_SCALE = 1 / 7
"""Published radii are of images of 224 pixels a side; 32 have a 49th of the pixels."""


@dataclass(frozen=True, kw_only=True)
class Views:
    """How a network is trained to know two views of an image as one.

    Attributes:
        temperature: Of the loss.
        area: Least and largest share of the image that a view shows.
        strength: Of the change of colours; 0 leaves them.
    """

    temperature: float = 0.5
    area: tuple[float, float] = (0.08, 1.0)
    strength: float = 0.5


@dataclass(frozen=True, kw_only=True)
class Network:
    """How one network is trained, where it differs from the baseline.

    Attributes:
        category: Of the published table.
        recipe: Fields of the recipe that are others.
        longer: Times the baseline's epochs.
        images: What it sees: images as they are, in the style of others, or both by turns.
        after: The network whose weights it starts from; it is trained first.
        change: A transform of `data.transforms`, done to half of the images in training.
        attack: Norm and radius of the attack that it is trained against; None is none.
        views: Contrastive training without labels; a linear classifier is fitted after.
        frozen: Whether filters larger than a pixel stay as they were drawn.
    """

    category: str
    recipe: Mapping[str, Any] = field(default_factory=dict)
    longer: float = 1.0
    images: Literal["plain", "stylised", "both"] = "plain"
    after: str = ""
    change: str = ""
    attack: tuple[Norm, float] | None = None
    views: Views | None = None
    frozen: bool = False

    def passes(self, attack_steps: int) -> float:
        """Passes forward and back for each image that the baseline is trained on."""
        if self.views is not None:
            return 2 * self.longer
        return self.longer * (1 + (attack_steps if self.attack else 0))


def _recipes() -> dict[str, Network]:
    def one(longer: float = 1.0, **recipe: Any) -> Network:
        return Network(category="training_recipes", recipe=recipe, longer=longer)

    adamw = {"optimiser": "adamw", "rate": 2e-3, "weight_decay": 0.05}
    return {
        "longer": one(2.0),
        "shorter": one(0.5),
        "adamw": one(**adamw),
        "cosine": one(schedule="cosine", rise=0.05),
        "constant_rate": one(schedule="constant", rate=0.02),
        "smoothing": one(smoothing=0.1),
        "ema": one(ema_decay=0.99),
        "no_decay": one(weight_decay=0.0),
        "strong_decay": one(weight_decay=5e-3),
        "modern": one(
            2.0,
            **adamw,
            schedule="cosine",
            rise=0.05,
            smoothing=0.1,
            augment=("crop", "flip", "mixup", "cutmix"),
        ),
    }


def _augmentation() -> dict[str, Network]:
    def one(change: str = "", **recipe: Any) -> Network:
        return Network(category="augmentation", change=change, recipe=recipe)

    plain = ("crop", "flip")
    return {
        "no_augmentation": one(augment=()),
        "randaugment": one(augment=(*plain, "randaugment")),
        "timm_randaugment": one(augment=(*plain, "timm-randaugment")),
        "colour_jitter": one(augment=(*plain, "colour-jitter")),
        "erasing": one(augment=(*plain, "erasing")),
        "mixup": one(augment=(*plain, "mixup")),
        "cutmix": one(augment=(*plain, "cutmix")),
        "resized_crop": one(augment=("resized-crop", "flip"), crop_area=(0.25, 1.0)),
        "noise": one("noise-0.1"),
        "low_pass": one("low-pass-8"),
        "grey": one("grey"),
        "patch_shuffle": one("patch-shuffle-random-8"),
    }


def _stylised() -> dict[str, Network]:
    category = "stylized"
    return {
        "stylised": Network(category=category, images="stylised"),
        "stylised_and_plain": Network(category=category, images="both"),
        "stylised_then_plain": Network(
            category=category, after="stylised", longer=0.5, recipe={"rate": 0.05}
        ),
    }


def _adversarial() -> dict[str, Network]:
    radii = (0, 0.01, 0.03, 0.05, 0.1, 0.25, 0.5, 1, 3, 5)
    by_norm: dict[str, tuple[Norm, float]] = {
        f"l2_{radius:g}": ("l2", radius * L2_SCALE) for radius in radii
    }
    by_norm |= {f"linf_{n:g}": ("linf", n / 255) for n in (0.5, 1, 2, 4, 8)}
    # Paper: one of its networks is trained without an attack (radius 0), and counts as
    # adversarially trained all the same.
    return {
        name: Network(category=ADVERSARIAL, attack=attack if attack[1] else None)
        for name, attack in by_norm.items()
    }


def _contrastive() -> dict[str, Network]:
    def one(longer: float = 1.0, **views: Any) -> Network:
        return Network(
            category="contrastive",
            views=Views(**views),
            longer=longer,
            recipe={"augment": ()},
        )

    return {
        "simclr": one(2.0),
        "simclr_short": one(1.0),
        "simclr_long": one(4.0),
        "simclr_cold": one(2.0, temperature=0.1),
        "simclr_colours_kept": one(2.0, strength=0.0),
        "simclr_large_parts": one(2.0, area=(0.5, 1.0)),
    }


ZOO: Mapping[str, Network] = {
    "baseline": Network(category="baseline"),
    **_recipes(),
    **_augmentation(),
    **_stylised(),
    **_adversarial(),
    **_contrastive(),
    "frozen_random": Network(category="freezing", frozen=True),
}
"""Every network by name."""

SMALLER: tuple[str, ...] = (
    "baseline",
    *("adamw", "smoothing"),
    *("no_augmentation", "randaugment", "mixup", "noise", "patch_shuffle"),
    *("stylised", "stylised_and_plain"),
    *("l2_1", "l2_3", "linf_1", "linf_2", "linf_4"),
    "simclr",
    "frozen_random",
)
"""Some of every category."""


def in_order(names: tuple[str, ...]) -> tuple[str, ...]:
    """Names in the order of training: those that others start from come first."""
    first = tuple(dict.fromkeys(ZOO[n].after for n in names if ZOO[n].after))
    return tuple(dict.fromkeys((*first, *names)))
