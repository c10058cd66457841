"""Fit a recipe to images: from sources to trained seeds, saved and resumable.

What the image studies stand on. Everything that a training needs is settled here (size of
the images, whether they stay on the device, mean and spread, devices, seeds) and handed to
the loop.
"""

import contextlib
from collections.abc import Callable, Mapping, Sequence
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
from jaxbias.data.archives import SourceError
from jaxbias.data.pipelines import Stream
from jaxbias.runs import RunDirectory
from jaxbias.terminal import Progress, Reporter
from jaxbias.training import build, steps
from jaxbias.training.build import WHOLE, Shown
from jaxbias.training.checkpoints import Checkpoints
from jaxbias.training.evaluation import Evaluator, Scores
from jaxbias.training.feeds import (
    IMAGES,
    SEEDS,
    Feed,
    Making,
    Resident,
    SeedAxis,
    Selected,
    Streamed,
    laid,
)
from jaxbias.training.loop import Log, Schedule, Stop, train
from jaxbias.training.recipes import Recipe, Running, Views
from jaxbias.training.sets import Drawn, Images, Part, Prepared
from jaxbias.training.steps import Task, TrainState

FIRST, FIRST_SIZE = 5_000, 64
"""Images from which a network's first weights are prepared, where it does so; of sides
above the size, in pixels, fewer, which have no more pixels together."""

EVALUATED = 500
"""Images that are scored at once."""


@dataclass(frozen=True)
class Looks:
    """What is found out of a network in the course of its training.

    Attributes:
        at: Steps after which it is looked at, 0 being before the first; those beyond the
            last step are left out.
        look: From the task and a state of one seed to numbers by name, always the same
            names; called by all processes of a run.
    """

    at: tuple[int, ...]
    look: Callable[[Task, TrainState], Mapping[str, float]]


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
        looks: Rows of kind "look": seed, step, and what was found.
        parameters: Number of weights of a network.
        epoch_steps: Steps of an epoch.
    """

    seeds: tuple[int, ...]
    scores: list[Scores]
    states: list[TrainState]
    task: Task
    mesh: Mesh
    history: list[dict[str, Any]]
    looks: list[dict[str, Any]]
    parameters: int
    epoch_steps: int

    def scores_of(self, images: Images) -> list[Scores]:
        """Scores of each seed on other images than those of validation."""
        judge = judge_of(self.task, images, self.mesh)
        return [judge(state) for state in self.states]


def fit(
    recipe: Recipe,
    running: Running,
    training: Images,
    validation: Images,
    directory: RunDirectory,
    reporter: Reporter,
    *,
    shown: Shown = WHOLE,
    case: str | None = None,
    untrained: bool = False,
    make: Callable[..., Task] = build.task,
    looks: Looks | None = None,
    epoch_steps: int | None = None,
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
        looks: What is found out in the course of the training; not of what stays untrained.
        epoch_steps: Of the recipe's epochs, for the length of the training and its
            schedules, whatever the number of images; None: as many as these fill.

    Raises:
        SourceError: If there are fewer images than a batch takes.
        NonFiniteError: If a loss is not finite, and that is an error.
        StopRequested: If the process was asked to stop.
    """
    if len(training) < recipe.batch:
        raise SourceError(
            f"{len(training)} images do not fill a batch of {recipe.batch}"
        )
    if epoch_steps is None:
        epoch_steps = len(training) // recipe.batch
    # One mean for each channel, of which a recipe may have others.
    mean = sd = (0.5,) * training.channels
    if recipe.normalise == "data" and shown.mean is None:
        mean, sd = training.moments()
    task = make(
        recipe,
        classes=len(training.classes),
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
        look_at=() if looks is None else looks.at,
        batch=recipe.batch,
    )
    parameters = parameter_count(task, training)
    axis = _seed_axis(recipe, running)
    together = axis != "none"
    groups = [running.seeds] if together else [(seed,) for seed in running.seeds]
    fitted, states, history, looked = [], [], [], []
    stop = Stop()
    # Nothing to show where nothing is trained.
    quiet = contextlib.nullcontext(Progress())
    shows = quiet if untrained else reporter.progress("images")
    with stop.listening(), shows as progress:
        for group in groups:
            one = _Group(
                *(recipe, task, running, training, validation, schedule, axis, group),
                case=case,
                looks=looks,
            )
            state = one.fresh()
            if not untrained:
                state, log = one.run(state, directory, progress, stop)
                history += log.rows("validation")
                looked += log.rows("look")
            one.score(state)
            fitted += one.last[1]
            states += one.parted(state)
    return Fitted(
        running.seeds,
        fitted,
        states,
        task,
        one.mesh,
        history,
        looked,
        parameters,
        epoch_steps,
    )


def parameter_count(task: Task, training: Images) -> int:
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
        raise SourceError(
            f"{count} {name} of a step cannot be shared out evenly among the "
            f"{jax.device_count()} devices of all processes"
        )
    return devices.mesh(usable, axis=name)


class _Group:
    """Seeds that are trained together: one state, one log, one folder of checkpoints."""

    def __init__(
        self,
        recipe: Recipe,
        task: Task,
        running: Running,
        training: Images,
        validation: Images,
        schedule: Schedule,
        axis: SeedAxis,
        seeds: Sequence[int],
        case: str | None = None,
        looks: Looks | None = None,
    ) -> None:
        self.recipe, self.task, self.running = recipe, task, running
        self.case, self.looks = case, looks
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
    ) -> tuple[TrainState, Log]:
        """Train; returns the last state, and the log."""
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
                look=self._look,
                checkpoints=checkpoints,
                log=log,
                progress=progress,
                stop=stop,
                non_finite=self.running.non_finite,
            )
        finally:
            checkpoints.close()
        return state, log

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
        batch, training = self.recipe.batch, self.training
        if isinstance(training, Drawn):
            return Making(
                *(self.task, training.draw, training.data, key),
                count=len(training),
                endless=training.endless,
                batch=batch,
                **options,
            )
        if isinstance(training, Part):
            pool = training.pool.laid(NamedSharding(self.mesh, P()))
            most = training.pool.most
            given = self.task, pool, training.numbers, key
            return Selected(*given, most=most, batch=batch, **options)
        if training.images is not None:
            return Resident(self.task, training.images, key, batch=batch, **options)
        return Streamed(
            self.task,
            partial(self._open, training),
            key,
            epoch_steps=len(training) // batch,
            **options,
        )

    def _open(self, training: Prepared, first: int) -> Stream:
        """The stream of the training set, from a step on."""
        return Stream(
            training.source,
            training.skipped,
            size=training.size,
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

    def _look(self, state: TrainState) -> dict[str, np.ndarray]:
        """What is found out of every seed, one after the other."""
        assert self.looks is not None
        found = [self.looks.look(self.task, one) for one in self.parted(state)]
        return {name: np.asarray([one[name] for one in found]) for name in found[0]}


def judge_of(
    task: Task, images: Images, mesh: Mesh, *, views: Views = "none"
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
