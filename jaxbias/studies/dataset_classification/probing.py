"""Linear probes on the frozen features of a case's network."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import jax
import numpy as np

from jaxbias.data import sources
from jaxbias.data.archives import SourceError
from jaxbias.numerics.statistics import evenly, wilson
from jaxbias.probes import linear
from jaxbias.probes.features import extract
from jaxbias.runs import UsageError
from jaxbias.studies.dataset_classification.cases import Case
from jaxbias.training import sets, steps
from jaxbias.training.fit import Fitted
from jaxbias.training.recipes import Running
from jaxbias.training.sets import Prepared
from jaxbias.training.steps import Task, TrainState

PIECE = 500
"""Images whose features are computed at once."""

MOST = 50_000
"""Training images from which a probe is fitted, at most."""


def features(
    task: Task, state: TrainState, images: Prepared, layer: str
) -> tuple[np.ndarray, np.ndarray]:
    """A layer's values for every image, maps averaged over places, and the labels.

    Raises:
        UsageError: If the network has no such layer.
    """
    labels = []

    def batches() -> Iterator[np.ndarray]:
        for pixels, classes in images.batches(PIECE):
            labels.append(classes)
            yield pixels

    def apply(state: TrainState, pixels: jax.Array, index: jax.Array) -> Any:
        return steps.outputs(task, state, steps.shown(task, pixels, index))[1]

    try:
        values = extract(apply, state, batches(), layer=layer)
    except ValueError as error:
        raise UsageError(f"--layer: {error}") from error
    return values, np.concatenate(labels)


def probed(
    fitted: Fitted,
    training: Prepared,
    validation: Prepared,
    classes: int,
    *,
    layer: str,
) -> Mapping[str, float]:
    """What a probe tells of the validation images, from the features of each seed.

    Returns:
        `probe_accuracy`, the mean over seeds, and `probe_low` and `probe_high`, Wilson's
        interval (95 %) of it for one seed's images.
    """
    accuracies = []
    for state in fitted.states:
        x, labels = features(fitted.task, state, training, layer)
        chosen = evenly(len(x), MOST)
        probe = linear.fit(x[chosen], labels[chosen], classes)
        accuracies.append(
            probe.accuracy(*features(fitted.task, state, validation, layer))
        )
    mean, count = float(np.mean(accuracies)), len(validation)
    low, high = wilson(mean * count, count)
    return {"probe_accuracy": mean, "probe_low": low, "probe_high": high}


class Target:
    """A labelled set whose classes are told from frozen features."""

    def __init__(self, config: Any) -> None:
        """Open it; images are decoded when the first network is there.

        Raises:
            UsageError: If it cannot be used.
        """
        try:
            training, validation = sources.open_splits(
                config.target, share=config.hold_out
            )
            self.halves = sets.limited(training, config.target_images), validation
        except SourceError as error:
            raise UsageError(f"--target: {error}") from error
        self.config, self.classes = config, training.classes
        self._prepared: dict[int, tuple[Prepared, Prepared]] = {}

    def _at(self, size: int) -> tuple[Prepared, Prepared]:
        if size not in self._prepared:
            running = Running(
                size=size,
                resident=self.config.resident,
                bad_images=self.config.bad_images,
                most_bad=self.config.most_bad,
            )
            prepare = partial(sets.prepare, running=running, model=self.config.model)
            first, second = (prepare(half) for half in self.halves)
            self._prepared[size] = first, second
        return self._prepared[size]

    def measure(
        self, case: Case, fitted: Fitted, training: Prepared, validation: Prepared
    ) -> Mapping[str, float]:
        """Accuracy of a probe for this set; see `cases.Measure`."""
        halves = self._at(training.size)
        return probed(fitted, *halves, len(self.classes), layer=self.config.layer)
