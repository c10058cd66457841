"""Jobs of the studies on so many devices of one machine, in a process of their own.

Started by `scaling`. The work of a device is the same whatever their number.
"""

import resource
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from benchmarks import gaussian_mixture, machine, random_networks, training
from benchmarks.other_side import serve
from jaxbias import devices, sweeps
from jaxbias.data.archives import ImageSet
from jaxbias.models import catalogue
from jaxbias.studies.generative_augmentation.mixture.config import Config as Mixture
from jaxbias.studies.imagenet_biases.probe import parts
from jaxbias.studies.imagenet_biases.probe.config import Config as Probe
from jaxbias.training import steps
from jaxbias.training.feeds import IMAGES, Resident, laid

Turn = Callable[[], Any]
"""Does the work once, and waits until it is done."""

MODEL, SIZE = "cnn4_narrow", 32


def networks(work: int, mesh: Mesh) -> Turn:
    """Random networks, drawn, evaluated and measured: the sweep of `random-networks`."""
    case = random_networks.Case(activation="tanh", networks=work * mesh.size)
    return random_networks.Ours(case, mesh).whole


def trials(work: int, mesh: Mesh) -> Turn:
    """Trials of one point of the mixture, every point of them drawn."""
    config = Mixture(
        n_trials=work * mesh.size,
        sampler=("direct",),
        **gaussian_mixture.CASES["e"],
    )
    return gaussian_mixture.Ours(config, mesh)


def images(work: int, mesh: Mesh) -> Turn:
    """A step of training on images that are on the devices; gradients are added up."""
    case = training.Case(model=MODEL, batch=work * mesh.size, classes=10)
    task = training.task_of(case)
    start, key = jax.random.split(jax.random.key(0))
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (case.batch, SIZE, SIZE, 3), np.uint8)
    labels = np.arange(case.batch) % case.classes
    over = devices.mesh(mesh.size, axis=IMAGES)
    state = steps.create(task, start, SIZE)
    layout = laid(state, over, seeds="none", sharded=False)
    feed = Resident(
        *(task, ImageSet(pixels, labels, ("",) * case.classes)),
        devices.laid_out(key, NamedSharding(over, P())),
        **{"batch": case.batch, "mesh": over, "layout": layout},
    )
    kept = {"state": devices.laid_out(state, layout), "step": 0}

    def step() -> None:
        kept["state"], metrics = feed.advance(kept["state"], kept["step"], 1)
        kept["step"] += 1
        jax.block_until_ready((kept["state"].params, metrics))

    return step


def stimuli(work: int, mesh: Mesh) -> Turn:
    """Images under the conditions of the critical band, shown to a network."""
    model = catalogue.build(MODEL, 10)
    pixels = np.random.default_rng(0).integers(
        0, 256, (work * mesh.size, SIZE, SIZE, 3), np.uint8
    )
    params = jax.jit(model.init)(jax.random.key(0), jnp.zeros((1, SIZE, SIZE, 3)))
    part = parts.part(
        "critical-band",
        lambda own, shown: model.apply(own, shown)[0],  # type: ignore[index]
        replace(Probe(), size=SIZE),
    )
    counter = parts.counter(part, mesh)
    numbers = np.arange(len(pixels), dtype=np.int32)
    given = [
        sweeps.to_mesh(array, mesh)
        for array in (pixels, numbers, numbers % 10, numbers >= 0)
    ]
    stacked = jax.tree.map(lambda leaf: leaf[None], params)
    key = jax.random.key(1)

    def show() -> None:
        jax.block_until_ready(counter(stacked, jax.random.clone(key), *given))

    return show


JOBS: dict[str, tuple[Callable[[int, Mesh], Turn], int, str]] = {
    "random-networks": (networks, 64, "networks"),
    "gaussian-mixture": (trials, 50, "trials"),
    "training": (images, 64, "images"),
    "probe": (stimuli, 32, "images"),
}
"""By name: what makes a turn, the work of a device, and what it is counted in."""


class Worker:
    """One job on a number of devices."""

    turn: Turn

    def begin(self, job: str, count: int, share: float) -> dict[str, Any]:
        """Start the devices and compile.

        Args:
            job: Of `JOBS`.
            count: Of devices.
            share: Of the job's work for a device.

        Returns:
            Items of a turn, seconds of the first one, and where it is measured.
        """
        devices.start(cpu_devices=count)
        mesh = devices.mesh()
        make, work, unit = JOBS[job]
        work = max(1, round(work * share))
        began = time.perf_counter()
        self.turn = make(work, mesh)
        self.turn()
        found = {"first_call_s": time.perf_counter() - began, "unit": unit}
        where = machine.describe(mesh) | {"cores": devices.usable_cpus()}
        return found | {"items": work * mesh.size, "where": where}

    def timed(self) -> dict[str, float]:
        """Seconds of a turn, and of all cores together."""
        began, spent = time.perf_counter(), _processor()
        self.turn()
        seconds = time.perf_counter() - began
        return {"seconds": seconds, "processor": _processor() - spent}


def _processor() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    worker = Worker()
    serve(
        {
            "begin": worker.begin,
            "timed": worker.timed,
            "memory": partial(machine.peak_memory),
        }
    )
