"""The training loop: steps, metrics, evaluation, checkpoints, and how it is stopped.

Cut at any moment and taken up again, it gives the same parameters and the same metrics log
as if it had never been cut: what a step does follows from the state and its number, and
rows of the log that are younger than the checkpoint are written anew.
"""

import logging
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from jaxbias import devices
from jaxbias.files import MetricsLog, UsageError, keep_metrics, read_metrics
from jaxbias.terminal import Progress
from jaxbias.training.checkpoints import Checkpoints
from jaxbias.training.feeds import Feed
from jaxbias.training.steps import TrainState

NonFinite = Literal["raise", "skip-seed"]

logger = logging.getLogger(__name__)


class NonFiniteError(UsageError):
    """A loss or gradient was not finite; the message names the step."""

    exit_code = 1


class StopRequested(KeyboardInterrupt):
    """The run was asked to stop, and saved itself first."""


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """When things are done, in steps.

    Attributes:
        steps: Of the whole training.
        validate_every: Between two evaluations; the last step is followed by one too.
        save_every: Between two checkpoints; the last step is followed by one too.
        log_every: Between two rows of the metrics log.
        look_at: Steps after which the network is looked at; 0 is before the first.
        batch: Images of a step, for the progress bar.
    """

    steps: int
    validate_every: int
    save_every: int
    log_every: int = 1
    look_at: tuple[int, ...] = ()
    batch: int = 1

    def next_event(self, step: int) -> int:
        """The first step after this one at which the loop must stand still."""
        after = (
            (step // every + 1) * every
            for every in (self.validate_every, self.save_every)
        )
        looks = (at for at in self.look_at if at > step)
        return min(*after, *looks, self.steps)


class Stop:
    """Whether the process was asked to stop by SIGTERM or SIGINT.

    The first signal lets the step in progress end and a checkpoint be written; the second
    interrupts at once.
    """

    def __init__(self) -> None:
        self.asked = False

    @contextmanager
    def listening(self) -> Iterator["Stop"]:
        """Take the signals while the block runs; does nothing outside the main thread."""
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        before = {s: signal.getsignal(s) for s in (signal.SIGTERM, signal.SIGINT)}
        for number in before:
            signal.signal(number, self._hear)
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _hear(self, *_: object) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


class Log:
    """The metrics log of one training: rows of process 0, in the order of the steps."""

    def __init__(
        self,
        path: Path,
        *,
        seeds: Sequence[int],
        writer: bool,
        case: str | None = None,
    ) -> None:
        """Open the log; rows of other seeds and cases may be in the same file.

        Args:
            path: The file.
            seeds: Those whose rows are written here.
            writer: Whether this process writes.
            case: Stands in each row, where a run has several trainings.
        """
        self.seeds = tuple(seeds)
        self._labels: dict[str, Any] = {} if case is None else {"case": case}
        self._path, self._writer = path, writer
        self._log: MetricsLog | None = None

    def begin(self, step: int) -> None:
        """Drop the rows of these seeds that are younger than a checkpoint, and go on."""
        if not self._writer:
            return
        MetricsLog(self._path).close()  # Cuts a torn last line.
        keep_metrics(self._path, lambda row: not self._own(row) or row["step"] <= step)
        self._log = MetricsLog(self._path)

    def _own(self, row: dict[str, Any]) -> bool:
        return row["seed"] in self.seeds and row.get("case") == self._labels.get("case")

    def write(self, kind: str, step: int, values: dict[str, np.ndarray]) -> None:
        """A row for each seed: `values` have one entry for each."""
        if self._log is None:
            return
        for number, seed in enumerate(self.seeds):
            row = self._labels | {"kind": kind, "seed": seed, "step": step}
            found = {
                name: np.ravel(value)[number].item() for name, value in values.items()
            }
            self._log.append(row | found)

    def sync(self) -> None:
        """Force the rows to disk: a checkpoint must not be older than its log."""
        if self._log is not None:
            self._log.close()
            self._log = MetricsLog(self._path)

    def close(self) -> None:
        """Close the file."""
        if self._log is not None:
            self._log.close()
            self._log = None

    def rows(self, kind: str) -> list[dict[str, Any]]:
        """The rows of these seeds, of one kind."""
        rows = read_metrics(self._path) if self._path.exists() else []
        return [row for row in rows if row["kind"] == kind and self._own(row)]


class Watch:
    """Reads the metrics of steps one call late, so that the device never waits for it."""

    def __init__(self, log: Log, schedule: Schedule, non_finite: NonFinite) -> None:
        self._log, self._schedule, self._non_finite = log, schedule, non_finite
        self._waiting: tuple[int, dict[str, Any]] | None = None
        self._lost: set[int] = set()

    def put(self, first: int, metrics: dict[str, Any]) -> None:
        """Take the metrics of steps from `first` on, and read those before them."""
        self.drain()
        self._waiting = first, metrics

    def drain(self) -> None:
        """Read what is waiting.

        Raises:
            NonFiniteError: If a loss was not finite, and that is an error, or no seed is
                left.
        """
        if self._waiting is None:
            return
        first, metrics = self._waiting
        self._waiting = None
        found = {name: np.asarray(value) for name, value in metrics.items()}
        self._check(found.pop("lost"))
        count = found["loss"].shape[-1]
        for number in range(count):
            step = first + number + 1
            if step % self._schedule.log_every == 0 or step == self._schedule.steps:
                now = {name: values[..., number] for name, values in found.items()}
                self._log.write("train", step, now)

    def _check(self, lost: np.ndarray) -> None:
        ended = np.atleast_1d(lost[..., -1])
        for number in np.flatnonzero(ended >= 0):
            if number in self._lost:
                continue
            self._lost.add(int(number))
            what = f"step {ended[number] + 1}: the loss or its gradient is not finite"
            if self._non_finite == "raise":
                raise NonFiniteError(what)
            logger.warning("%s: seed %d stays as it was", what, self._log.seeds[number])
        if len(self._lost) == len(ended):
            raise NonFiniteError("no seed is left whose loss is finite")


def train(
    state: TrainState,
    feed: Feed,
    schedule: Schedule,
    *,
    validate: Callable[[TrainState], dict[str, np.ndarray]],
    look: Callable[[TrainState], dict[str, np.ndarray]] | None = None,
    checkpoints: Checkpoints,
    log: Log,
    progress: Progress,
    stop: Stop,
    non_finite: NonFinite = "raise",
) -> TrainState:
    """Train from the newest checkpoint, or from `state`, to the end.

    Args:
        state: Fresh, and the template of what is restored.
        feed: Runs the steps.
        schedule: When what is done.
        validate: Scores a state: names and values, one for each seed. "accuracy" is what
            the best checkpoint is chosen by; where it is NaN, the lowest "loss".
        look: What else is found out of a state, where the schedule says so: names and
            values, one for each seed.
        checkpoints: Where steps are kept.
        log: Takes rows of kind "train", "validation" and "look".
        progress: Is told of images.
        stop: Is asked between steps.
        non_finite: Whether a seed whose loss is not finite ends the run.

    Returns:
        The state after the last step.

    Raises:
        NonFiniteError: If a loss is not finite; nothing that came of it is saved.
        StopRequested: If the run was asked to stop; what is done is saved.
        CheckpointError: If steps were saved and none can be restored.
    """
    restored = checkpoints.restore(state)
    done = 0
    if restored is not None:
        state, done = restored.state, restored.step
    # What was written before the first step is written anew too.
    log.begin(done or -1)
    watch = Watch(log, schedule, non_finite)
    total = schedule.steps * schedule.batch
    progress.start(float(total), done * schedule.batch, float(done * schedule.batch))

    def look_now() -> None:
        if look is not None and done in schedule.look_at:
            watch.drain()
            log.write("look", done, look(state))

    try:
        if not done:
            look_now()
        while done < schedule.steps:
            count = min(schedule.next_event(done) - done, feed.most(done))
            state, metrics = feed.advance(state, done, count)
            watch.put(done, metrics)
            done += count
            progress.advance(count * schedule.batch, float(count * schedule.batch))
            look_now()
            at_end, score = done == schedule.steps, None
            if at_end or done % schedule.validate_every == 0:
                watch.drain()
                found = validate(state)
                log.write("validation", done, found)
                score = _score(found)
            stopping = _agreed(stop, done)
            if at_end or stopping or done % schedule.save_every == 0:
                watch.drain()
                log.sync()
                checkpoints.save(done, state, score=score)
            if stopping and not at_end:
                checkpoints.wait()
                raise StopRequested(f"saved step {done}")
        checkpoints.wait()
    finally:
        log.close()
        feed.close()
    return state


def _score(found: dict[str, np.ndarray]) -> float | None:
    """What the best checkpoint is chosen by, higher is better; None is worst."""
    score = float(np.mean(found["accuracy"]))
    if np.isnan(score):
        score = -float(np.mean(found["loss"]))
    return score if np.isfinite(score) else None


def _agreed(stop: Stop, step: int) -> bool:
    """Whether to stop here: all processes of a run at the same step."""
    if devices.alone():
        return stop.asked
    # To ask one another at each step would cost more than the wait for the tenth.
    return step % 10 == 0 and bool(devices.as_the_writer_says(int(stop.asked)))
