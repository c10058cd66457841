"""What experiments of many trainings have in common: options, names, checks."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

from jaxbias.files import UsageError
from jaxbias.settings import at_least, at_most
from jaxbias.studies.synthetic_shape_bias.train.config import Config as Training
from jaxbias.studies.synthetic_shape_bias.train.config import check_values

VARIOUS = (
    *("stylegan-highfreq", "stylegan-oriented", "dead-leaves-mixed"),
    *("fractal", "visual-atom", "programs"),
)
"""Generators that have little in common."""


@dataclass(frozen=True, kw_only=True)
class Common:
    """How networks are trained and what they are asked, alike in all trainings."""

    images: int = 1_024
    """Images of an epoch, the same ones in each."""
    size: int = 32
    """Side in pixels."""
    head: bool = True
    """Compare what a projection makes of the features, and not these themselves (as the
    authors do), in simclr and supcon."""
    temperature: float = 0.5
    """What cosines are divided by, in simclr, supcon and parameters."""
    epochs: float | int = 8
    """Times that the images are seen."""
    batch: int = 128
    """Images of a step."""
    optimiser: Literal["adamw", "released"] = "adamw"
    """adamw: after a warm-up along a cosine; released: as in the authors' code, Adam of
    one rate, which forgets its moments with every epoch."""
    rate: float = 2e-3
    """Largest learning rate."""
    weight_decay: float = 0.02
    """Of AdamW."""
    cue_conflict: str = ""
    """Official cue-conflict images, in sixteen folders by shape: shown too, if given."""
    stimuli_size: int | None = None
    """Side of the stimuli in pixels; none: that of the training images."""
    transfer: str = "shapes"
    """Labelled images that frozen features are asked about: cifar10:DIR and so on, or
    shapes, which are drawn here."""
    transfer_images: int = 1_000
    """Of these, as many to fit a linear classifier as to test it."""
    n_seeds: int = 1
    """Trainings of each kind, with this seed and those that follow it."""
    resamples: int = 200
    """Resamples of source images, and of sets of images, for each interval."""
    permutations: int = 5_000
    """Shuffles for each p."""
    seed: int = 0
    """Seed of all random numbers, 0 to 2^32 - 1."""


SHARED = {one.name for one in fields(Common)} & {one.name for one in fields(Training)}
"""Fields that a training has too."""

Label = str | int | float


@dataclass(frozen=True, kw_only=True)
class Case:
    """One training, of every seed.

    Attributes:
        labels: What tells it from the others: columns of the results.
        config: How it is trained. Cases of one run have the stimuli, the transfer images
            and the size in common.
    """

    labels: Mapping[str, Label]
    config: Training

    @property
    def name(self) -> str:
        """Unique, and a plain file name."""
        return plain("-".join(str(label) for label in self.labels.values()))


def plain(words: str) -> str:
    """What can be the name of a file."""
    return re.sub(r"[^A-Za-z0-9.]+", "-", words).strip("-.")


ENDS = 2
"""Looks at a training: before its first step and after its last."""


def training(config: Common, **changes: Any) -> Training:
    """One training of an experiment.

    Images are normalised alike whatever the set, so that untrained networks are the same
    for all sets, and read the same.
    """
    fields = {name: getattr(config, name) for name in SHARED}
    fields |= {"looks": ENDS, "normalise": "model"} | changes
    return Training(**fields)


def check_each(cases: Sequence[Case]) -> None:
    """Raise `UsageError`, in one line, for a case that cannot be trained."""
    for case in cases:
        check_values(case.config)


def without_autoencoders(supervisions: Sequence[str]) -> None:
    """Raise `UsageError` for a supervision that the networks of the catalogue lack."""
    if "mae" in supervisions:
        raise UsageError("--supervisions: mae has networks of its own; see train")


def check_common(config: Common) -> None:
    """Raise `UsageError`, in one line, for what can be told without JAX."""
    check_values(training(config))
    at_least(config, permutations=100)
    at_most(config, permutations=10**6)
