"""How speed grows with the number of devices, the work of each being the same.

    python -m benchmarks.scaling                              # 1, 2 and 4 devices
    python -m benchmarks.scaling --counts 1 2 --jobs probe    # some

Weak scaling of what the studies spend their time on: a sweep over random networks, trials
of the Gaussian mixture, a step of data-parallel training, a probe's stimuli and answers.
Devices are emulated: shares of the threads of one machine's processors, as
`--cpu-devices` makes them, for each number in a process of its own; the processes take
turns. Efficiency is the rate over so many times that of one device. Emulated devices share
the cores, and one of them may use several by itself, so that beside it stands what the
cores allow: their number over those that the devices would use if each used as many as one
did alone, at most 1. It says what spreading costs, and nothing of a network between hosts.
Rows are appended to `benchmarks/results/scaling-*.csv`.
Takes about seven minutes on two cores.
"""

import argparse
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import jax

from benchmarks import machine
from benchmarks.other_side import OtherSide
from benchmarks.scaling_worker import JOBS

WORKER = "benchmarks.scaling_worker"


def measured(
    job: str, counts: Sequence[int], rounds: int, share: float
) -> Iterator[dict[str, Any]]:
    """A row for each number of devices.

    Args:
        job: Of `JOBS`.
        counts: Numbers of devices, 1 first.
        rounds: Turns of each.
        share: Of the job's work for a device.
    """
    with ExitStack() as stack:
        sides = [stack.enter_context(OtherSide(WORKER)) for _ in counts]
        begun = [
            side.ask("begin", job=job, count=count, share=share)
            for side, count in zip(sides, counts, strict=True)
        ]
        turns = [[side.ask("timed") for side in sides] for _ in range(rounds)]
        memory = [side.ask("memory") for side in sides]
    rates = [
        [one["items"] / turn["seconds"] for one, turn in zip(begun, found, strict=True)]
        for found in turns
    ]
    used = [
        statistics.median(
            found[k]["processor"] / found[k]["seconds"] for found in turns
        )
        for k in range(len(counts))
    ]
    for k, (count, one) in enumerate(zip(counts, begun, strict=True)):
        mine = [found[k] for found in rates]
        efficiency = statistics.median(found[k] / (count * found[0]) for found in rates)
        limit = allowed(one["where"]["cores"], count, used[0])
        yield one["where"] | {
            "case": job,
            "devices": count,
            "items": one["items"],
            "first_call_s": one["first_call_s"],
            f"{one['unit']}_per_s_max": max(mine),
            f"{one['unit']}_per_s": statistics.median(mine),
            "cores_used": used[k],
            "efficiency": efficiency,
            "efficiency_limit": limit,
            "share_of_cores": efficiency / limit,
            "peak_memory_mb": memory[k] / 2**20,
        }


def allowed(cores: int, count: int, used: float) -> float:
    """The efficiency that the cores allow so many devices.

    Args:
        cores: Of the machine, for this process.
        count: Devices.
        used: Cores that one device used when it was alone.
    """
    return min(1.0, cores / (count * used))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--jobs", nargs="+", choices=JOBS, default=list(JOBS))
    parser.add_argument(
        "--counts", nargs="+", type=int, default=[1, 2, 4], help="devices, 1 first"
    )
    parser.add_argument("--rounds", type=int, default=7, help="turns of each")
    parser.add_argument("--share", type=float, default=1.0, help="of a device's work")
    parser.add_argument("--results", type=Path, default=machine.RESULTS)
    arguments = parser.parse_args()
    if arguments.counts[0] != 1:
        parser.error("--counts: 1 first, which the others are held against")
    path = arguments.results / f"scaling-cpu-jax{jax.__version__}.csv"
    today = time.strftime("%Y-%m-%d")
    for job in arguments.jobs:
        rows = measured(job, arguments.counts, arguments.rounds, arguments.share)
        for row in rows:
            shown = (
                f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}"
                for k, v in row.items()
            )
            print(", ".join(shown), flush=True)
            machine.write([row | {"measured": today}], path)


if __name__ == "__main__":
    main()
