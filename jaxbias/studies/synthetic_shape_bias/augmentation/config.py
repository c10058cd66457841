"""What the augmentation experiment can be asked: options, presets, limits."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from jaxbias.files import UsageError
from jaxbias.settings import one_or_more
from jaxbias.studies.synthetic_shape_bias.many_trainings import (
    VARIOUS,
    Case,
    Common,
    check_common,
    check_each,
    training,
)
from jaxbias.studies.synthetic_shape_bias.train.config import Config as Training
from jaxbias.studies.synthetic_shape_bias.train.config import Smoothing

CROP, JITTER, SMOOTHING = "crop", "jitter", "smoothing"
"""What is varied, one at a time."""


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """What two views of an image have in common, which a network learns to know as one."""

    data: tuple[str, ...] = VARIOUS
    """What makes the images, as for generate; or images that are there: cifar10:DIR."""
    programs: int = 64
    """That share made images out between them."""
    crops: tuple[float, ...] = (0.08, 0.25, 0.64, 1.0)
    """Least share of an image that a view shows; colours change by 0.5."""
    jitters: tuple[float, ...] = (0.0, 0.5)
    """How much a view's colours change, 0 to 1; views show 0.08 of the image or more."""
    smoothings: tuple[Smoothing, ...] = ("none", "blur", "bilateral")
    """What is done to a view last: nothing, a Gaussian blur, or a bilateral filter, which
    takes textures and leaves edges; with the usual crop and colours."""
    supervision: Literal["simclr", "supcon"] = "simclr"
    """Those that compare views."""
    model: str = "cnn4_narrow"
    """A network of the catalogue."""


PRESETS: Mapping[str, Config] = {
    "smoke": replace(
        Config(),
        data=("coloured-noise", "perlin"),
        programs=8,
        crops=(0.08, 1.0),
        jitters=(0.5,),
        smoothings=("none", "blur"),
        images=128,
        epochs=2,
        batch=32,
        transfer_images=200,
        resamples=100,
        permutations=500,
    ),
    "quick": Config(),
    "paper": replace(
        Config(),
        jitters=(0.0, 0.25, 0.5, 1.0),
        model="resnet18_cifar",
        images=94_500,
        size=64,
        epochs=20,
        batch=256,
        transfer_images=10_000,
        n_seeds=3,
        resamples=1_000,
        permutations=10_000,
    ),
}
"""Defaults by preset; paper has the sizes of the authors' code."""

USUAL = Training()
"""Its crop and its colours are those that stay while the other is varied."""


def trainings(config: Config) -> list[Case]:
    """All of them; those on the same images stand together.

    The usual crop with the usual colours is trained once, and is part of all.
    """
    least, jitter, plain = USUAL.crop_area[0], USUAL.jitter, USUAL.smoothing
    views = dict.fromkeys(
        [(crop, jitter, plain) for crop in config.crops]
        + [(least, strength, plain) for strength in config.jitters]
        + [(least, jitter, smoothing) for smoothing in config.smoothings]
    )
    return [
        Case(
            labels={
                "data": data,
                CROP: float(crop),
                JITTER: float(strength),
                SMOOTHING: smoothing,
            },
            config=training(
                config,
                data=data,
                programs=config.programs,
                crop_area=(crop, 1.0),
                jitter=strength,
                smoothing=smoothing,
                supervision=config.supervision,
                model=config.model,
            ),
        )
        for data in config.data
        for crop, strength, smoothing in views
    ]


def check_values(config: Config) -> None:
    """Raise `UsageError`, in one line, for what can be told without JAX."""
    check_common(config)
    one_or_more(config, "data", "crops", "jitters", "smoothings")
    for value in config.crops:
        if not 0 < value <= 1:
            raise UsageError(f"--crops: shares, above 0 to 1, got {value}")
    for value in config.jitters:
        if not 0 <= value <= 1:
            raise UsageError(f"--jitters: 0 to 1, got {value}")
    check_each(trainings(config))
