"""How many small networks are trained in a second, and beside what.

    python -m benchmarks.trainings                    # beside PyTorch
    python -m benchmarks.trainings --no-torch         # ours alone

The networks of `modulo-addition` (three hidden layers of 128, 192 points on which each is
trained by Adam on the full batch), each with its own split, start and prefactor. Ours is
`Learner.fit` over the devices, as the study runs it. The other side takes turns in three
ways (see `torch_trainings`), each as one process with all threads and as a process of one
thread for each core. A ratio is printed only where nine networks of ten come to the same
losses on both sides, from the same weights. Compilation is left out of both, and given
by itself. A second part times the study's own sweep, its looks and measures included.
Nothing is asserted about time; rows are appended to benchmarks/results/.
Should take about six minutes on two cores; that is reckoned from its turns, not timed.
"""

import argparse
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from benchmarks import machine, training
from benchmarks.other_side import OtherSide
from jaxbias import devices, lanes, sweeps
from jaxbias.arrays import Array, Params, RandomKey
from jaxbias.studies.neural_redshift.learners import Learner
from jaxbias.studies.neural_redshift.modulo import task, trainings
from jaxbias.studies.neural_redshift.modulo.config import PRESETS, Config

ACTIVATIONS = ("relu", "tanh", "sine")
TORCH = "benchmarks.torch_trainings"
KINDS = ("loop", "func", "each")
SAME = 20
"""Steps after which both sides' losses are compared: rounding grows with training."""


@dataclass(frozen=True)
class Given:
    """Starts and data of networks, with a leading axis of networks."""

    params: Params
    x: Array
    y: Array
    prefactors: Array


def learner(config: Config, steps: int) -> Learner:
    """The study's, looked at after the last step alone."""
    return replace(trainings.learner(config), marks=(steps,))


def drawn(config: Config, count: int, key: RandomKey) -> Given:
    """Networks as the study draws them, each on its own split of the first modulus."""
    model, (setting,) = trainings.learner(config), config.settings()

    def one(key: RandomKey) -> tuple[Params, Array, Array]:
        place, start = jax.random.split(key)
        points = config.points(setting.dimension)
        numbers = task.place(place, points, points)[: config.train_points(setting)]
        integers = task.digits(numbers, config.integers, setting.dimension)
        labels = task.labels(integers, config.moduli[0]).astype(jnp.float32)
        x = task.inputs(integers, config.integers, setting.input_scale)
        return model.start(start, setting.dimension), x, labels

    params, x, y = jax.jit(jax.vmap(one))(jax.random.split(key, count))
    return Given(params, x, y, jnp.resize(jnp.asarray(config.prefactors), (count,)))


class Ours:
    """The study's way of training, compiled for some networks."""

    def __init__(self, config: Config, given: Given, mesh: Mesh) -> None:
        self.config, self.given, self.mesh = config, given, mesh

    def compile(self, steps: int) -> float:
        """Compile for a number of steps; seconds."""
        model = learner(self.config, steps)

        def one(given: tuple[Params, Array, Array, Array]) -> Array:
            params, x, y, prefactor = given
            predict = partial(model.predict, prefactor=prefactor)
            loss = lambda p: trainings.loss_of(model.loss, predict(p, x), y)  # noqa: E731
            return model.fit(predict, params, x, y, loss)[1]

        def run(*given: Any) -> Array:
            return lanes.over(lanes.default_strategy(), one)(given)

        program = sweeps.spread(run, self.mesh)
        parts = [
            jax.tree.map(lambda a: sweeps.to_mesh(np.asarray(a), self.mesh), part)
            for part in vars(self.given).values()
        ]
        self.run = lambda: np.asarray(program(*parts))[:, 0]
        began = time.perf_counter()
        self.run()
        return time.perf_counter() - began

    def seconds(self) -> float:
        began = time.perf_counter()
        self.losses = self.run()
        return time.perf_counter() - began

    def sent(self) -> dict[str, Any]:
        """What the other side starts from: kernels and biases, layer by layer."""
        p = jax.device_get(self.given.params)
        weights = [p["input_kernel"], p["input_bias"]]
        for number in range(self.config.depth - 1):
            weights += [p["hidden_kernel"][:, number], p["hidden_bias"][:, number]]
        weights += [p["output_kernel"], p["output_bias"]]
        arrays = {name: np.asarray(getattr(self.given, name)) for name in ("x", "y")}
        return arrays | {
            "weights": weights,
            "prefactors": np.asarray(self.given.prefactors),
        }


class Theirs:
    """PyTorch, as one process with all threads or one of one thread for each core."""

    def __init__(self, workers: list[OtherSide], sent: dict[str, Any]) -> None:
        self.workers, self.count = workers, len(sent["x"])
        self.pool = ThreadPoolExecutor(len(workers))
        for worker in workers:
            worker.ask("load", arrays=sent)

    def train(
        self, kind: str, setting: dict[str, Any], processes: int
    ) -> dict[str, Any]:
        """Train all networks: seconds of the slowest process, and losses."""
        edges = np.linspace(0, self.count, processes + 1).astype(int).tolist()
        threads = len(self.workers) // processes
        asked = [
            self.pool.submit(
                worker.ask,
                "train",
                kind=kind,
                setting=setting,
                part=(start, stop),
                threads=threads,
            )
            for worker, start, stop in zip(self.workers, edges, edges[1:], strict=False)
        ]
        found = [one.result() for one in asked]
        losses = np.concatenate([one["losses"] for one in found])
        return {"seconds": max(one["seconds"] for one in found), "losses": losses}


def flops(config: Config) -> float:
    """Of the matrix products of one step of one network, backward ones included.

    The first layer has no gradient by its inputs.
    """
    (setting,) = config.settings()
    width, dimension = config.width, setting.dimension
    inner = (config.depth - 1) * width**2 + width
    return 2.0 * config.train_points(setting) * (2 * dimension * width + 3 * inner)


def row(
    config: Config, arguments: argparse.Namespace, peak: float, mesh: Mesh, workers
) -> dict[str, Any]:
    """Trainings a second of both sides, for one activation."""
    count, steps = arguments.networks, arguments.steps
    given = drawn(config, count, jax.random.key(0))
    ours = Ours(config, given, mesh)
    setting = {
        "activation": config.activations[0],
        "learning_rate": config.learning_rate,
    }
    ours.compile(SAME)
    ours.seconds()
    small = ours.losses
    found: dict[str, Any] = {"compile_s": ours.compile(steps) - ours.seconds()}
    sides = {"ours": ours.seconds}
    same = {}
    if workers:
        theirs = Theirs(workers, ours.sent())
        for kind in KINDS:
            for processes in (1, len(workers)):
                name = f"{kind}_{processes}"
                began = time.perf_counter()
                one = theirs.train(kind, setting | {"steps": SAME}, processes)
                found[f"{name}_first_s"] = time.perf_counter() - began
                close = np.isclose(one["losses"], small, rtol=2e-3, atol=1e-5)
                same[name] = bool(close.mean() >= 0.9)
                asked = kind, setting | {"steps": steps}, processes
                sides[name] = lambda asked=asked: theirs.train(*asked)["seconds"]
    times = training.alternated(sides, arguments.seconds)
    whole = config.iterations[-1]
    for name, spent in times.items():
        rate = count * steps / whole / statistics.median(spent)
        found[f"{name}_trainings_per_s"] = rate
        if same.get(name):
            turns = zip(spent, times["ours"], strict=True)
            found[f"ratio_{name}"] = statistics.median(b / a for b, a in turns)
    rate = found["ours_trainings_per_s"] * whole
    return found | {"share_of_matmul": rate * flops(config) / peak}


def study(config: Config, mesh: Mesh) -> dict[str, Any]:
    """Trainings a second of the study's own sweep, compiled before."""
    seconds = []
    for _ in range(3):
        blocks = trainings.blocks(config, jax.random.key(0), mesh)
        began = time.perf_counter()
        sweeps.sweep(blocks, mesh)
        seconds.append(time.perf_counter() - began)
    count = sum(map(len, blocks))
    return {"networks": count, "ours_trainings_per_s": count / min(seconds[1:])}


def rows(
    arguments: argparse.Namespace, peak: float, mesh: Mesh, workers: list[OtherSide]
) -> Iterator[dict[str, Any]]:
    """A row for each activation, and one for the study."""
    quick = PRESETS["quick"]
    for activation in arguments.activations:
        config = replace(quick, activations=(activation,))
        found = row(config, arguments, peak, mesh, workers)
        yield {
            "part": "trainings",
            "activation": activation,
            "networks": arguments.networks,
            "steps": arguments.steps,
        } | found
    config = replace(quick, activations=("relu",), moduli=(7,), n_seeds=2)
    yield {"part": "study", "activation": "relu"} | study(config, mesh)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--activations", nargs="+", default=list(ACTIVATIONS))
    parser.add_argument("--networks", type=int, default=16, help="at once")
    parser.add_argument("--steps", type=int, default=300, help="of each, timed")
    parser.add_argument("--seconds", type=float, default=10, help="of each side")
    parser.add_argument("--no-torch", action="store_true", help="time ours alone")
    parser.add_argument("--csv", type=Path, help="table that rows are appended to")
    arguments = parser.parse_args()
    devices.start()
    mesh = devices.mesh()
    name = f"trainings-{jax.default_backend()}-jax{jax.__version__}.csv"
    path = arguments.csv or machine.RESULTS / name
    peak = machine.matmul_rate(mesh)
    labels = machine.describe(mesh) | {"measured": time.strftime("%Y-%m-%d")}
    labels["matmul_gflops"] = peak / 1e9
    with ExitStack() as stack:
        workers = []
        if not arguments.no_torch:
            cores = devices.usable_cpus()
            workers = [stack.enter_context(OtherSide(TORCH)) for _ in range(cores)]
        for found in rows(arguments, peak, mesh, workers):
            training.show(found)
            machine.write([labels | found], path)


if __name__ == "__main__":
    main()
