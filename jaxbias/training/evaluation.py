"""Scores of a network on every image of a set, the last incomplete batch included."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float

from jaxbias.data.archives import ImageSet
from jaxbias.data.augmentation import smoothed
from jaxbias.devices import laid_out
from jaxbias.training import steps
from jaxbias.training.feeds import IMAGES, PROGRAMS
from jaxbias.training.objectives import CLASSIFICATION
from jaxbias.training.recipes import Views
from jaxbias.training.steps import Pixels, Task, TrainState


@dataclass(frozen=True)
class Scores:
    """What a network makes of a set, image by image.

    Attributes:
        losses: Of the objective; of classification the cross-entropy, in nats.
        predicted: The class of the largest logit; -1 where the objective has no classes.
        labels: The true ones.
        right: Whether each image is right, where the objective has no classes; NaN where
            that means nothing. None compares what is predicted with the labels.
        confidences: Probability of the predicted class; None where there are no classes.
    """

    losses: np.ndarray
    predicted: np.ndarray
    labels: np.ndarray
    right: np.ndarray | None = None
    confidences: np.ndarray | None = None

    @property
    def loss(self) -> float:
        """Mean loss."""
        return float(self.losses.mean())

    @property
    def accuracy(self) -> float:
        """Share of images that are right; NaN where that means nothing."""
        if self.right is not None:
            return float(self.right.mean(dtype=np.float64))
        return float((self.predicted == self.labels).mean())

    def confusion(self, classes: int) -> np.ndarray:
        """Counts, true class by predicted class.

        Raises:
            ValueError: If the objective has no classes.
        """
        if self.right is not None:
            raise ValueError("no classes are predicted")
        counts = np.zeros((classes, classes), np.int64)
        np.add.at(counts, (self.labels, self.predicted), 1)
        return counts


def viewed(
    task: Task, state: TrainState, pixels: Pixels, index: Array, views: Views
) -> Array:
    """Logits, the mean over several views of each image.

    "flip-and-shift" is airbench's: the image and its mirror image with half of the weight,
    and both of the image moved by a pixel up-left and down-right.
    """

    def both(pixels: Pixels) -> Array:
        mirrored = steps.logits(task, state, pixels[:, :, ::-1], index)
        return (steps.logits(task, state, pixels, index) + mirrored) / 2

    if views == "none":
        return steps.logits(task, state, pixels, index)
    if views == "flip":
        return both(pixels)
    height, width = pixels.shape[1:3]
    pad = ((0, 0), (1, 1), (1, 1), (0, 0))
    wide = jnp.pad(pixels, pad, mode="reflect")
    shifted = (both(wide[:, i : i + height, i : i + width]) for i in (0, 2))
    return both(pixels) / 2 + sum(shifted) / 4


class Evaluator:
    """Scores states on one set, with one program for all its batches."""

    def __init__(
        self,
        task: Task,
        batches: Callable[[], Iterable[tuple[np.ndarray, np.ndarray]]],
        *,
        batch: int,
        mesh: Mesh,
        views: Views = "none",
    ) -> None:
        """Compile on first use.

        Args:
            task: What is trained.
            batches: Starts anew over the set: pixels and labels of up to `batch` images.
            batch: A multiple of the mesh's size.
            mesh: With the axis `IMAGES`.
            views: What each image is shown as.

        Raises:
            ValueError: If there are several views and no logits to take the mean of.
        """
        classifies = task.objective is CLASSIFICATION
        if not classifies and views != "none":
            raise ValueError(f"views {views!r}: only classification has them")
        self._batches, self._batch = batches, batch
        self._spread = NamedSharding(mesh, P(IMAGES))
        self._program = _program(task, mesh, views)
        self._classifies = classifies

    def __call__(self, state: TrainState) -> Scores:
        """Score a state (of one seed, the same on every device)."""
        found, labels, first = [], [], 0
        for pixels, classes in self._batches():
            if not len(pixels):
                continue
            labels.append(classes)
            index = np.arange(first, first + len(pixels), dtype=np.int32)
            first += len(pixels)
            padded = (_filled(part, self._batch) for part in (pixels, classes, index))
            # Not waited for: the next batch is prepared while this one is scored.
            found.append(self._program(state, *map(self._send, padded)))
        truth = np.concatenate(labels)
        losses, predicted, more = (
            np.concatenate(
                [
                    np.asarray(values)[: len(real)]
                    for values, real in zip(column, labels, strict=True)
                ]
            )
            for column in zip(*found, strict=True)
        )
        if self._classifies:
            return Scores(losses, predicted, truth, confidences=more)
        return Scores(losses, predicted, truth, more)

    def _send(self, part: np.ndarray) -> Array:
        """A batch that every process holds whole, over the devices of all."""
        return laid_out(part, self._spread)


@lru_cache(maxsize=PROGRAMS)
def _program(task: Task, mesh: Mesh, views: Views) -> Callable:
    """What scores a batch: the same for all sets."""
    classifies = task.objective is CLASSIFICATION
    program = partial(_scores, views=views) if classifies else _others
    return jax.jit(partial(program, task), out_shardings=NamedSharding(mesh, P()))


def _scores(
    task: Task,
    state: TrainState,
    pixels: Pixels,
    labels: steps.Labels,
    index: Array,
    *,
    views: Views,
) -> tuple[Float[Array, " image"], Array, Array]:
    logits = viewed(task, state, pixels, index, views)
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
    return losses, logits.argmax(-1), jax.nn.softmax(logits).max(-1)


def _others(
    task: Task,
    state: TrainState,
    pixels: Pixels,
    labels: steps.Labels,
    index: Array,
) -> tuple[Float[Array, " image"], Array, Array]:
    """As `_scores`, for an objective that predicts no classes."""
    targets = smoothed(labels, task.classes)
    losses, right = steps.scored(task, state, pixels, targets, index)
    return losses, jnp.full_like(labels, -1), right


def _filled(part: np.ndarray, count: int) -> np.ndarray:
    """A batch of full size: the last entry again and again."""
    missing = count - len(part)
    return np.concatenate([part, np.repeat(part[-1:], missing, axis=0)])


def whole(images: ImageSet, batch: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The batches of a set in memory, in order."""
    for start in range(0, len(images), batch):
        stop = start + batch
        yield np.asarray(images.images[start:stop]), images.labels[start:stop]
