"""What the learnability experiment can be asked: options, presets, limits."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Literal

from jaxbias.files import UsageError
from jaxbias.settings import at_least, at_most, check_seed, one_or_more, positive
from jaxbias.studies.synthetic_shape_bias.many_trainings import plain

Cue = Literal["shape", "texture"]
Drawn = Literal["solid", "textured"]

CUES: tuple[Cue, ...] = ("shape", "texture")

OFFICIAL = "official"

CLASSES = 16
"""Of shapes, and as many of textures."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """Which images to learn, by which cue, and from how many of them."""

    drawn: tuple[Drawn, ...] = ("solid", "textured")
    """Images that are drawn here. solid: 16 shapes filled with 16 textures, on a colour;
    textured: the same on a ground of the same texture in other colours."""
    cue_conflict: str = ""
    """Official cue-conflict images, in sixteen folders by shape: learnt too, if given."""
    cues: tuple[Cue, ...] = CUES
    """What is to be named."""
    models: tuple[str, ...] = ("cnn4_narrow",)
    """Networks of the catalogue."""
    shares: tuple[float | int, ...] = (0.05, 0.1, 0.25, 0.5, 1.0)
    """Of the training images, that are learnt from; as many steps are made whatever the
    share is."""
    instances: int = 5
    """Drawn training images of each pair of a shape and another texture."""
    tested: int = 5
    """Drawn test images of each pair."""
    size: int = 32
    """Side in pixels."""
    crop_area: float | int = 1.0
    """Least share of an image that is shown in training, 0 to 1; 1: never a part."""
    epochs: float | int = 16
    """Times that so many images are seen."""
    batch: int = 64
    """Images of a step."""
    rate: float = 2e-3
    """Largest learning rate of AdamW."""
    weight_decay: float = 0.02
    """Of AdamW."""
    n_seeds: int = 1
    """Trainings of each kind, with this seed and those that follow it."""
    seed: int = 0
    """Seed of all random numbers, 0 to 2^32 - 1."""


PRESETS: Mapping[str, Config] = {
    "smoke": replace(
        Config(),
        drawn=("solid",),
        shares=(0.25, 1.0),
        instances=4,
        tested=2,
        epochs=5,
    ),
    "quick": Config(),
    # The networks and the shares of Hermann et al.; their sizes of images are ImageNet's.
    "paper": replace(
        Config(),
        models=("alexnet", "resnet50"),
        shares=(0.05, 0.1, 0.25, 0.5, 0.75, 1.0),
        instances=50,
        tested=10,
        size=224,
        epochs=90,
        n_seeds=3,
    ),
}
"""Defaults by preset."""


@dataclass(frozen=True)
class Lesson:
    """One training, of every seed.

    Attributes:
        stimuli: `OFFICIAL`, or one of those that are drawn.
        cue: What is to be named.
        model: Of the catalogue.
        share: Of the training images.
    """

    stimuli: str
    cue: Cue
    model: str
    share: float

    @property
    def name(self) -> str:
        """Unique, and a plain file name."""
        return plain(f"{self.stimuli}-{self.cue}-{self.model}-{self.share:g}")


def stimuli_of(config: Config) -> tuple[str, ...]:
    """The kinds of images that are learnt."""
    return ((OFFICIAL,) if config.cue_conflict else ()) + config.drawn


def lessons(config: Config) -> list[Lesson]:
    """All of them; those on the same images stand together."""
    return [
        Lesson(stimuli, cue, model, float(share))
        for stimuli, cue, model, share in product(
            stimuli_of(config), config.cues, config.models, config.shares
        )
    ]


def check_values(config: Config) -> None:
    """Raise `UsageError`, in one line, for what can be told without JAX."""
    one_or_more(config, "cues", "models", "shares")
    if config.drawn or not config.cue_conflict:
        one_or_more(config, "drawn")
    at_least(config, instances=1, tested=1, size=16, batch=2, n_seeds=1, weight_decay=0)
    at_most(config, instances=1_000, tested=1_000, size=256, batch=2**14, n_seeds=1_000)
    at_most(config, weight_decay=1, epochs=10**5, crop_area=1)
    positive(config, "rate", "epochs", "crop_area")
    if any(not 0 < share <= 1 for share in config.shares):
        raise UsageError("--shares: above 0, up to 1")
    check_seed(config)
