"""How generated images stand beside real ones that nobody trained on."""

from dataclasses import dataclass

import numpy as np

from jaxbias.numerics.statistics import evenly
from jaxbias.studies.generative_augmentation.generator import samples
from jaxbias.studies.generative_augmentation.images.config import (
    Config,
    amounts_of,
    generators_of,
)
from jaxbias.studies.generative_augmentation.images.pools import Real
from jaxbias.studies.generative_augmentation.images.trainings import Sweep
from jaxbias.sweeps import Columns

SHOWN = 10
"""Images of each class that a figure shows."""


@dataclass(frozen=True)
class Shown:
    """Some images of each class, for a figure.

    Attributes:
        images: By the name of the generator, "real" among them: `image` and `label`.
        classes: Names of the labels.
    """

    images: dict[str, dict[str, np.ndarray]]
    classes: tuple[str, ...]


def measured(sweep: Sweep, real: Real, config: Config) -> tuple[Columns, Shown]:
    """Distances of each generator's images, a row for each feature; and some to look at.

    Columns: `generator`; those of `samples.quality`, where images that were not trained on
    are the test images; `least_of_a_class` and `most_of_a_class`, numbers of images of the
    rarest and the commonest class.
    """
    parts: list[Columns] = []
    shown = {"real": _some(real.training.images, real.training.labels)}
    for name in generators_of(config):
        made = sweep.mixture(name).generated
        used = made.images[: max(amounts_of(config))]
        found = samples.quality(
            *(used, real.test.images, real.training.images),
            most=config.measured,
            seed=config.seed,
            weights=config.inception,
        )
        counts = np.bincount(made.labels[: len(used)], minlength=len(real.classes))
        count = len(found["images"])
        parts.append(
            {"generator": np.full(count, name)}
            | found
            | {
                "least_of_a_class": np.full(count, counts.min()),
                "most_of_a_class": np.full(count, counts.max()),
            }
        )
        shown[name] = _some(used, made.labels)
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return whole, Shown(shown, real.classes)


def _some(images: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    own = labels[: len(images)]
    places = np.concatenate(
        [
            np.flatnonzero(own == label)[evenly(int((own == label).sum()), SHOWN)]
            for label in np.unique(own)
        ]
    )
    return {"image": np.asarray(images[places]), "label": own[places]}
