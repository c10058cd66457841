"""The loop by itself: what it writes, when it stops, what it does about NaN."""

import logging
import os
import signal
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from jaxbias.files import read_metrics
from jaxbias.terminal import Progress
from jaxbias.training.checkpoints import Checkpoints
from jaxbias.training.loop import (
    Log,
    NonFiniteError,
    Schedule,
    Stop,
    StopRequested,
    train,
)
from jaxbias.training.steps import TrainState

PLAN = Schedule(steps=20, validate_every=6, save_every=4, batch=10)


class Counting:
    """A feed whose state counts its steps; `on` does something at a step."""

    def __init__(self, on=None, lost=None, at_once=3):
        self.on, self.lost, self.at_once, self.closed = on or {}, lost or {}, at_once, 0

    def most(self, step):
        return self.at_once

    def advance(self, state, first, count):
        assert int(state.step) == first and 0 < count <= self.at_once
        for step in range(first, first + count):
            self.on.get(step, lambda: None)()
        steps = np.arange(first, first + count)
        lost = [
            [at if 0 <= at <= step else -1 for step in steps]
            for at in self.lost.values()
        ]
        metrics = {
            "loss": np.broadcast_to(1.0 / (1 + steps), (len(lost) or 1, count)),
            "lost": np.asarray(lost or [[-1] * count]),
        }
        if not lost:
            metrics = {name: value[0] for name, value in metrics.items()}
        return a_state(first + count), metrics

    def close(self):
        self.closed += 1


def a_state(step):
    return TrainState(
        step=jnp.int32(step),
        params={"w": jnp.arange(3.0)},
        batch_stats={},
        opt_state={},
        ema=None,
        lost=jnp.int32(-1),
    )


def run(folder, feed, plan=PLAN, stop=None, seeds=(0,), **options):
    log = Log(folder / "metrics.jsonl", seeds=seeds, writer=True)
    checkpoints = Checkpoints(folder / "checkpoints")
    validated = []

    def validate(state):
        validated.append(int(state.step))
        return {"accuracy": np.full(len(seeds), int(state.step) / 100)}

    try:
        state = train(
            a_state(0),
            feed,
            plan,
            validate=validate,
            checkpoints=checkpoints,
            log=log,
            progress=Progress(),
            stop=stop or Stop(),
            **options,
        )
        return state, validated, checkpoints.steps()
    finally:
        checkpoints.close()


def steps_of(folder, kind="train"):
    rows = read_metrics(folder / "metrics.jsonl")
    return [row["step"] for row in rows if row["kind"] == kind]


def test_what_is_done_when(tmp_path):
    feed = Counting()
    state, validated, saved = run(tmp_path, feed)
    assert int(state.step) == 20 and validated == [6, 12, 18, 20]
    assert steps_of(tmp_path) == list(range(1, 21))
    assert steps_of(tmp_path, "validation") == validated
    assert saved == [16, 20] and feed.closed == 1  # The best is the last one.


def test_it_is_looked_at_when_asked(tmp_path):
    plan = replace(PLAN, look_at=(0, 1, 5, 12, 99))
    look = lambda state: {"twice": np.asarray([2 * int(state.step)])}  # noqa: E731
    run(tmp_path, Counting(), plan, look=look)
    rows = read_metrics(tmp_path / "metrics.jsonl")
    looks = [(row["step"], row["twice"]) for row in rows if row["kind"] == "look"]
    assert looks == [(0, 0), (1, 2), (5, 10), (12, 24)]
    # Before the evaluation after the same step, and after the rows of training.
    assert [row["kind"] for row in rows if row["step"] == 12] == [
        *("train", "look", "validation")
    ]


@pytest.mark.parametrize("at", [0, 2, 7])
def test_a_crash_leaves_the_same_looks(tmp_path, at):
    plan = replace(PLAN, look_at=(0, 1, 6, 13))
    look = lambda state: {"twice": np.asarray([2 * int(state.step)])}  # noqa: E731
    (tmp_path / "whole").mkdir()
    run(tmp_path / "whole", Counting(), plan, look=look)

    def crash():
        raise RuntimeError("crash")

    with pytest.raises(RuntimeError, match="crash"):
        run(tmp_path, Counting(on={at: crash}), plan, look=look)
    run(tmp_path, Counting(), plan, look=look)
    whole = (tmp_path / "whole" / "metrics.jsonl").read_bytes()
    assert (tmp_path / "metrics.jsonl").read_bytes() == whole


def test_a_finished_training_is_not_run_again(tmp_path):
    run(tmp_path, Counting())
    before = (tmp_path / "metrics.jsonl").read_bytes()
    state, validated, _ = run(tmp_path, Counting(on={0: lambda: pytest.fail("again")}))
    assert int(state.step) == 20 and validated == []
    assert (tmp_path / "metrics.jsonl").read_bytes() == before


@pytest.mark.parametrize("at", range(0, 20, 3))
def test_a_crash_anywhere_leaves_the_same_log(tmp_path, at):
    (tmp_path / "whole").mkdir()
    run(tmp_path / "whole", Counting())

    def crash():
        raise RuntimeError("crash")

    with pytest.raises(RuntimeError, match="crash"):
        run(tmp_path, Counting(on={at: crash}))
    with (tmp_path / "metrics.jsonl").open("a") as torn:
        torn.write('{"kind": "tr')
    run(tmp_path, Counting())
    whole = (tmp_path / "whole" / "metrics.jsonl").read_bytes()
    assert (tmp_path / "metrics.jsonl").read_bytes() == whole


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_stops_and_the_run_goes_on_from_there(tmp_path, number):
    stop = Stop()
    feed = Counting(on={9: lambda: os.kill(os.getpid(), number)}, at_once=1)
    before = signal.getsignal(number)
    with pytest.raises(StopRequested, match="saved step 10"), stop.listening():
        run(tmp_path, feed, stop=stop)
    assert signal.getsignal(number) is before and feed.closed == 1
    assert steps_of(tmp_path) == list(range(1, 11))
    run(tmp_path, Counting(on={s: lambda: pytest.fail("again") for s in range(10)}))
    assert steps_of(tmp_path) == list(range(1, 21))


def test_the_second_signal_interrupts_at_once():
    stop = Stop()
    with stop.listening():
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.asked
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
            for _ in range(1000):
                pass


def test_a_loss_that_is_not_finite_stops_with_the_step_and_is_never_saved(tmp_path):
    with pytest.raises(NonFiniteError, match="step 8: the loss or its gradient"):
        run(tmp_path, Counting(lost={0: 7}))
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    assert checkpoints.steps() == [4]
    checkpoints.close()


def test_a_lost_seed_is_named_and_the_others_go_on(tmp_path, caplog):
    lost = {10: -1, 11: 7}
    with caplog.at_level(logging.WARNING):
        state, *_ = run(
            tmp_path, Counting(lost=lost), seeds=(10, 11), non_finite="skip-seed"
        )
    assert int(state.step) == 20
    assert [r.getMessage() for r in caplog.records if "seed 11" in r.getMessage()] == [
        "step 8: the loss or its gradient is not finite: seed 11 stays as it was"
    ]
    assert steps_of(tmp_path) == [s for s in range(1, 21) for _ in range(2)]
    with pytest.raises(NonFiniteError, match="no seed is left"):
        (tmp_path / "b").mkdir()
        run(
            tmp_path / "b",
            Counting(lost={10: 3, 11: 7}),
            seeds=(10, 11),
            non_finite="skip-seed",
        )


def test_one_log_holds_the_rows_of_several_trainings(tmp_path):
    for seed in (0, 1):
        log = Log(tmp_path / "metrics.jsonl", seeds=(seed,), writer=True)
        log.begin(0)
        log.write("train", 1, {"loss": np.asarray([seed * 1.0])})
        log.close()
    log = Log(tmp_path / "metrics.jsonl", seeds=(0,), writer=True)
    log.begin(0)
    log.close()
    rows = read_metrics(tmp_path / "metrics.jsonl")
    assert [row["seed"] for row in rows] == [1]
    assert log.rows("train") == []


def test_log_every_thins_the_rows(tmp_path):
    plan = Schedule(steps=20, validate_every=20, save_every=20, log_every=8)
    run(tmp_path, Counting(), plan)
    assert steps_of(tmp_path) == [8, 16, 20]
