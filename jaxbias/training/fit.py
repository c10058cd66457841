"""Fit a recipe to images: from sources to trained seeds, saved and resumable.

What the image studies stand on. Everything that a training needs is settled here (size of
the images, whether they stay on the device, mean and spread, devices, seeds) and handed to
the loop.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxbias import devices
from jaxbias.arrays import Array
from jaxbias.data.archives import ImageSet, SourceError
from jaxbias.data.pipelines import Skipped, Stream, in_order, load
from jaxbias.data.sources import Source, Subset
from jaxbias.models import catalogue
from jaxbias.numerics.statistics import evenly
from jaxbias.runs import RunDirectory
from jaxbias.terminal import Progress, Reporter
from jaxbias.training import build, steps
from jaxbias.training.build import WHOLE, Shown
from jaxbias.training.checkpoints import Checkpoints
from jaxbias.training.evaluation import Evaluator, Scores, whole
from jaxbias.training.feeds import (
    IMAGES,
    SEEDS,
    Feed,
    Resident,
    SeedAxis,
    Streamed,
    laid,
)
from jaxbias.training.loop import Log, Schedule, Stop, train
from jaxbias.training.recipes import Recipe, Running, Views
from jaxbias.training.steps import Task, TrainState

MOST_RESIDENT = 2**32
"""Bytes of pixels that are kept on the device."""

SAMPLE = 2_000
"""Images from which the mean and spread of a streamed set are taken."""

FIRST, FIRST_SIZE = 5_000, 64
"""Images from which a network's first weights are prepared, where it does so; of sides
above the size, in pixels, fewer, which have no more pixels together."""

EVALUATED = 500
"""Images that are scored at once."""


@dataclass(frozen=True)
class Prepared:
    """A training or validation set, ready for a feed.

    Attributes:
        source: Where the images are.
        images: In memory; None where they are streamed.
        size: Side, in pixels.
        skipped: What cannot be used.
    """

    source: Source
    images: ImageSet | None
    size: int
    skipped: Skipped

    def __len__(self) -> int:
        return len(self.source if self.images is None else self.images)

    def batches(self, batch: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Every image once, in order."""
        if self.images is not None:
            return whole(self.images, batch)
        return in_order(self.source, self.skipped, size=self.size, batch=batch)

    @property
    def channels(self) -> int:
        """Of an image; what is streamed has three."""
        return 3 if self.images is None else self.images.images.shape[-1]

    def sample(self, count: int) -> np.ndarray:
        """Pixels of some images, the same ones in every process.

        They are spread over the set, whose order may be by class. Of a streamed set those
        that cannot be decoded are left out.
        """
        if self.images is not None and count >= len(self):
            return np.asarray(self.images.images)  # Up to 4 GiB: not copied.
        chosen = evenly(len(self), count)
        if self.images is not None:
            return np.asarray(self.images.images[chosen])
        quiet = Skipped(self.source, "skip", most=1.0)
        part = Subset(self.source, chosen)
        return next(in_order(part, quiet, size=self.size, batch=count))[0]

    def moments(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and standard deviation of each channel, on the scale 0 to 1."""
        everything = self.images is not None
        pixels = self.sample(len(self) if everything else SAMPLE)
        counts = [
            np.bincount(pixels[..., c].ravel(), minlength=256)
            for c in range(pixels.shape[-1])
        ]
        levels = np.arange(256) / 255
        mean = [float(count @ levels / count.sum()) for count in counts]
        square = [float(count @ levels**2 / count.sum()) for count in counts]
        sd = [max((s - m * m) ** 0.5, 1e-3) for m, s in zip(mean, square, strict=True)]
        return tuple(mean), tuple(sd)


def prepare(source: Source, running: Running, model: str) -> Prepared:
    """Settle the size of a source's images, and bring them to memory if they fit.

    Raises:
        SourceError: If they cannot be used, or too few of them.
    """
    size = running.size
    if size is None:
        inner = source.source if isinstance(source, Subset) else source
        size = catalogue.entry(model).size
        if isinstance(inner, ImageSet):
            size = min(inner.images.shape[1:3])
    skipped = Skipped(source, running.bad_images, running.most_bad)
    fits = len(source) * size * size * 3 <= MOST_RESIDENT
    stays = running.resident == "yes" or (running.resident == "auto" and fits)
    images = load(source, size, skipped) if stays else None
    return Prepared(source, images, size, skipped)


def limited(source: Source, most: int | None) -> Source:
    """At most this many images, as even over the classes as they allow.

    Raises:
        SourceError: If that leaves a class without an image.
    """
    if most is None or most >= len(source):
        return source
    if most < len(source.classes):
        raise SourceError(f"{most} images for {len(source.classes)} classes")
    # The number of each image within its class; the lowest numbers are taken first.
    rank = np.zeros(len(source), int)
    for label in range(len(source.classes)):
        members = np.flatnonzero(source.labels == label)
        rank[members] = np.arange(len(members))
    chosen = np.argsort(rank, kind="stable")[:most]
    return Subset(source, np.sort(chosen))


def shared_images(first: Prepared, second: Prepared) -> int:
    """How many images of the second set are in the first, pixel by pixel; -1 if unknown."""
    if first.images is None or second.images is None:
        return -1
    seen = {np.asarray(image).tobytes() for image in first.images.images}
    return sum(np.asarray(i).tobytes() in seen for i in second.images.images)


@dataclass(frozen=True)
class Fitted:
    """What came out of a training.

    Attributes:
        seeds: The seeds.
        scores: Of the last step, on the validation set, for each.
        states: After the last step, for each.
        task: What was trained, with which a state can be asked again.
        mesh: Over which the states lie.
        history: Rows of the log of kind "validation": seed, step, loss, accuracy.
        parameters: Number of weights of a network.
        epoch_steps: Steps of an epoch.
    """

    seeds: tuple[int, ...]
    scores: list[Scores]
    states: list[TrainState]
    task: Task
    mesh: Mesh
    history: list[dict[str, Any]]
    parameters: int
    epoch_steps: int

    def scores_of(self, images: Prepared) -> list[Scores]:
        """Scores of each seed on other images than those of validation."""
        judge = judge_of(self.task, images, self.mesh)
        return [judge(state) for state in self.states]


def fit(
    recipe: Recipe,
    running: Running,
    training: Prepared,
    validation: Prepared,
    directory: RunDirectory,
    reporter: Reporter,
    *,
    shown: Shown = WHOLE,
    case: str | None = None,
    untrained: bool = False,
    make: Callable[..., Task] = build.task,
) -> Fitted:
    """Train every seed to the end, from where an earlier run left it.

    Args:
        recipe: How the network is trained.
        running: How the training is run.
        training: From `prepare`.
        validation: From `prepare`, with the same classes.
        directory: Takes `metrics.jsonl` and `checkpoints/`.
        reporter: Shows the progress.
        shown: What the network is shown of an image.
        case: A name among several trainings of a run: its checkpoints are in a folder of
            this name, and it stands in each row of the log.
        untrained: Take the networks as they were drawn, and score them.
        make: What makes the task of the recipe, called as `build.task` is: the way to
            other models and objectives. Of those without accuracy it is NaN, and the best
            checkpoint is the one of the lowest validation loss.

    Raises:
        SourceError: If there are fewer images than a batch takes.
        NonFiniteError: If a loss is not finite, and that is an error.
        StopRequested: If the process was asked to stop.
    """
    if len(training) < recipe.batch:
        raise SourceError(
            f"{len(training)} images do not fill a batch of {recipe.batch}"
        )
    epoch_steps = len(training) // recipe.batch
    # One mean for each channel, of which a recipe may have others.
    mean = sd = (0.5,) * training.channels
    if recipe.normalise == "data" and shown.mean is None:
        mean, sd = training.moments()
    task = make(
        recipe,
        classes=len(training.source.classes),
        size=training.size,
        epoch_steps=epoch_steps,
        mean=mean,
        sd=sd,
        shown=shown,
    )
    schedule = Schedule(
        steps=build.total_steps(recipe, epoch_steps),
        validate_every=running.validate_every * epoch_steps,
        save_every=running.save_every or epoch_steps,
        log_every=running.log_every,
        batch=recipe.batch,
    )
    parameters = parameter_count(task, training)
    axis = _seed_axis(recipe, running)
    together = axis != "none"
    groups = [running.seeds] if together else [(seed,) for seed in running.seeds]
    fitted, states, history = [], [], []
    stop = Stop()
    # Nothing to show where nothing is trained.
    quiet = contextlib.nullcontext(Progress())
    shows = quiet if untrained else reporter.progress("images")
    with stop.listening(), shows as progress:
        for group in groups:
            one = _Group(
                recipe, task, running, training, validation, schedule, axis, group, case
            )
            state, rows = one.fresh(), []
            if not untrained:
                state, rows = one.run(state, directory, progress, stop)
            one.score(state)
            fitted += one.last[1]
            states += one.parted(state)
            history += rows
    return Fitted(
        running.seeds,
        fitted,
        states,
        task,
        one.mesh,
        history,
        parameters,
        epoch_steps,
    )


def parameter_count(task: Task, training: Prepared) -> int:
    """Number of weights of a task's network.

    Raises:
        SourceError: If it does not take images of that size.
    """
    make = partial(steps.create, task, size=training.size, channels=training.channels)
    try:
        shapes = jax.eval_shape(make, jax.random.key(0))
    except Exception as error:  # Whatever a model raises of too few pixels.
        reason = " ".join(str(error).split())
        raise SourceError(
            f"--size {training.size}: the model does not take such images: {reason}"
        ) from error
    return sum(leaf.size for leaf in jax.tree.leaves(shapes.params))


def _seed_axis(recipe: Recipe, running: Running) -> SeedAxis:
    if running.seed_axis == "auto":
        several = len(running.seeds) > 1
        return "vmap" if recipe.model == "mlp" and several else "none"
    return "none" if running.seed_axis == "map" else running.seed_axis


def _mesh(axis: SeedAxis, batch: int, seeds: int) -> Mesh:
    """As many devices as divide what is spread over them.

    Raises:
        SourceError: If several processes cannot all take part.
    """
    count, name = (seeds, SEEDS) if axis == "devices" else (batch, IMAGES)
    usable = jax.device_count()
    while count % usable:
        usable -= 1
    if not devices.alone() and usable < jax.device_count():
        raise SourceError(f"{count} {name} over {jax.device_count()} devices")
    return devices.mesh(usable, axis=name)


class _Group:
    """Seeds that are trained together: one state, one log, one folder of checkpoints."""

    def __init__(
        self,
        recipe: Recipe,
        task: Task,
        running: Running,
        training: Prepared,
        validation: Prepared,
        schedule: Schedule,
        axis: SeedAxis,
        seeds: Sequence[int],
        case: str | None = None,
    ) -> None:
        self.recipe, self.task, self.running = recipe, task, running
        self.case = case
        self.training, self.validation = training, validation
        self.schedule, self.seeds = schedule, tuple(seeds)
        self.axis: SeedAxis = axis
        self.mesh = _mesh(axis, recipe.batch, len(seeds))
        self.judge = judge_of(task, validation, self.mesh, views=recipe.views)
        # Once: made anew at each evaluation it would be compiled anew.
        self.pick = jax.jit(_of_number, out_shardings=NamedSharding(self.mesh, P()))
        self.last: tuple[int, list[Scores]] = (-1, [])

    def run(
        self, state: TrainState, directory: RunDirectory, progress: Any, stop: Stop
    ) -> tuple[TrainState, list[dict[str, Any]]]:
        """Train; returns the last state, and the rows of all evaluations."""
        name = f"seed-{self.seeds[0]}" if self.axis == "none" else "seeds"
        layout = laid(
            state,
            self.mesh,
            seeds=self.axis,
            sharded=self.running.shard_parameters,
        )
        state = devices.laid_out(state, layout)
        log = Log(
            directory.path / "metrics.jsonl",
            seeds=self.seeds,
            case=self.case,
            writer=devices.is_writer(),
        )
        folder = directory.path / "checkpoints"
        checkpoints = Checkpoints((folder / self.case if self.case else folder) / name)
        try:
            state = train(
                state,
                self._feed(layout),
                self.schedule,
                validate=self._validate,
                checkpoints=checkpoints,
                log=log,
                progress=progress,
                stop=stop,
                non_finite=self.running.non_finite,
            )
        finally:
            checkpoints.close()
        return state, log.rows("validation")

    def parted(self, state: TrainState) -> list[TrainState]:
        """The state of each seed."""
        if self.axis == "none":
            return [state]
        return [self.pick(state, number) for number in range(len(self.seeds))]

    def score(self, state: TrainState) -> None:
        """See that the last scores are those of this state."""
        if self.last[0] != int(self.parted(state)[0].step):
            self._validate(state)

    def fresh(self) -> TrainState:
        """States before the first step; each seed's follows from the seed alone."""
        make = partial(
            steps.create,
            self.task,
            size=self.training.size,
            channels=self.training.channels,
            first=self._some() if self.task.prepare is not None else None,
        )
        states = [make(self._keys(seed)[0]) for seed in self.seeds]
        if self.axis == "none":
            return states[0]
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)

    def _some(self) -> jax.Array:
        """Training images for the first weights, the same for all seeds and processes."""
        larger = max(1.0, self.training.size / FIRST_SIZE)
        return jnp.asarray(self.training.sample(int(FIRST / larger**2) or 1))

    def _keys(self, seed: int) -> jax.Array:
        """A seed's keys: for the first weights, and for the training."""
        return jax.random.split(jax.random.key(seed))

    def _feed(self, layout: Any) -> Feed:
        keys = [self._keys(seed)[1] for seed in self.seeds]
        key = keys[0] if self.axis == "none" else jnp.stack(keys)
        where = P(SEEDS) if self.axis == "devices" else P()
        key = devices.laid_out(key, NamedSharding(self.mesh, where))
        options: dict[str, Any] = {
            "mesh": self.mesh,
            "layout": layout,
            "seeds": self.axis,
        }
        if (images := self.training.images) is not None:
            return Resident(self.task, images, key, batch=self.recipe.batch, **options)
        return Streamed(
            self.task,
            self._open,
            key,
            epoch_steps=len(self.training) // self.recipe.batch,
            **options,
        )

    def _open(self, first: int) -> Stream:
        """The stream of the training set, from a step on."""
        return Stream(
            self.training.source,
            self.training.skipped,
            size=self.training.size,
            batch=self.recipe.batch,
            seed=self.seeds[0],
            process=jax.process_index(),
            processes=jax.process_count(),
            workers=self.running.workers,
            first=first,
        )

    def _validate(self, state: TrainState) -> dict[str, np.ndarray]:
        """Scores of every seed, one after the other."""
        each = self.parted(state)
        found = [self.judge(one) for one in each]
        self.last = int(each[0].step), found
        return {
            "loss": np.asarray([scores.loss for scores in found]),
            "accuracy": np.asarray([scores.accuracy for scores in found]),
        }


def judge_of(
    task: Task, images: Prepared, mesh: Mesh, *, views: Views = "none"
) -> Evaluator:
    """What scores a state of one seed on all images of a set.

    Args:
        task: What was trained.
        images: The set.
        mesh: Over whose devices batches are spread.
        views: What each image is shown as.
    """
    over = mesh.devices
    batch = -(-min(EVALUATED, len(images)) // over.size) * over.size
    return Evaluator(
        task,
        partial(images.batches, batch),
        batch=batch,
        mesh=Mesh(over, (IMAGES,)),
        views=views,
    )


def _of_number(state: TrainState, number: Array | int) -> TrainState:
    """One seed's state, of those of several."""
    return jax.tree.map(lambda leaf: leaf[number], state)
