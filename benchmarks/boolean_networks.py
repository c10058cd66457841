"""How fast Boolean functions of random networks are counted and measured.

    python -m benchmarks.boolean_networks [--networks N] [--rounds N] [--no-torch]

A network of two hidden layers of 40, n = 7: drawn, evaluated on all 128 inputs, its truth
table counted exactly, each distinct table measured (LZ76 both ways, sensitivity, Fourier
weights). Beside it the same as a user would write it, in turns: a NumPy loop with a
dictionary and plain Python's Kaspar-Schuster ("natural"), and PyTorch in batches with
`np.unique` and our own bit method for LZ76 in NumPy ("batched"). A ratio is printed only
where both sides agree on given networks and functions. Nothing is asserted about time.
Should take about four minutes on two cores; that is reckoned from its turns, not timed.
"""

import argparse
import math
import statistics
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from benchmarks import boolean_baselines as baselines
from benchmarks import machine
from benchmarks.other_side import OtherSide
from jaxbias import devices, lanes, rng, sweeps
from jaxbias.studies.neural_redshift.boolean_prior import functions, networks
from jaxbias.studies.neural_redshift.boolean_prior.config import Config

CASES = (("relu", 2, 1.0), ("tanh", 2, 1.0), ("tanh", 2, 8.0), ("tanh", 10, 8.0))
"""Activation, hidden layers and weight scale: the last two find each function once."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """Networks of one condition."""

    activation: str
    depth: int
    sigma_w: float
    networks: int

    @property
    def config(self) -> Config:
        return Config(
            activations=(self.activation,),
            depths=(self.depth,),
            sigma_ws=(self.sigma_w,),
            n_networks=self.networks,
        )

    @property
    def setting(self) -> dict[str, object]:
        """As the other side takes it."""
        config = self.config
        names = ("activation", "depth", "sigma_w")
        return {name: getattr(self, name) for name in names} | {
            name: getattr(config, name) for name in ("bits", "width", "sigma_b")
        }

    @property
    def flops(self) -> float:
        """Of the matrix products of one network."""
        shapes = baselines.layer_shapes(7, self.config.width, self.depth)
        return 2.0 * 128 * sum(a * b for a, b in shapes)


class Ours:
    """The study's own programs for one case."""

    def __init__(self, case: Case, mesh: Mesh) -> None:
        self.case, self.mesh, self.config = case, mesh, case.config
        self.key = jax.random.key(0)
        self.block = networks.blocks(self.config, self.key, mesh)[0]

    def drawn(self) -> sweeps.Columns:
        return sweeps.sweep([self.block], self.mesh)

    def counted(self, swept: sweeps.Columns) -> functions.Tally:
        packed, finite = networks.tables_of(self.config, swept, 0)
        return functions.tally(packed[finite])

    def measured(self, tally: functions.Tally) -> functions.Measured:
        return functions.measure([tally], self.config.bits, self.mesh)[0]

    def whole(self) -> dict[str, float]:
        """Seconds of each stage of the whole measurement."""
        times = [time.perf_counter()]
        swept = self.drawn()
        times.append(time.perf_counter())
        tally = self.counted(swept)
        times.append(time.perf_counter())
        self.measured(tally)
        times.append(time.perf_counter())
        names = ("networks_s", "count_s", "measure_s")
        found = dict(zip(names, np.diff(times).tolist(), strict=True))
        return found | {"whole_s": times[-1] - times[0], "distinct": len(tally.counts)}

    def draw_seconds(self) -> float:
        """Of drawing one network's random numbers, in the batches of one piece."""
        programs = networks.Programs(self.config, self.mesh)
        leaves = jax.tree.leaves(programs.template(self.case.depth))
        count = sum(leaf.size for leaf in leaves)
        padded = -(-count // networks.DRAW_MULTIPLE) * networks.DRAW_MULTIPLE

        def run(key, batches):
            draw = partial(jax.random.normal, shape=(networks.BATCH, padded))
            each = lambda one: jnp.sum(draw(one))  # noqa: E731
            keys = rng.member_keys(key, batches)
            return lanes.over(lanes.default_strategy(), each)(keys)

        program = sweeps.spread(run, self.mesh, replicated=1)
        numbers = np.arange(self.block.piece // self.mesh.size * self.mesh.size)
        batches = sweeps.to_mesh(numbers.astype(np.uint32), self.mesh)
        _, seconds = machine.timed(lambda: program(self.key, batches), repeats=3)
        return min(seconds) / (len(numbers) * networks.BATCH)

    def given(self, count: int) -> tuple[list, np.ndarray]:
        """Weights of some networks as the other side takes them, and our truth tables."""
        programs = networks.Programs(self.config, self.mesh)
        module = programs.module(self.case.depth)
        template = programs.template(self.case.depth)
        numbers = sum(leaf.size for leaf in jax.tree.leaves(template))
        normal = jax.random.normal(self.key, (count, numbers))
        scales = self.case.sigma_w, self.config.sigma_b
        params = jax.vmap(lambda one: networks.scaled(template, one, *scales))(normal)
        points = jnp.asarray(networks.boolean.cube(self.config.bits))
        values = jax.vmap(lambda p: module.apply({"params": p}, points)[0])(params)
        p = jax.device_get(params)
        layers = [(p["input_kernel"], p["input_bias"][:, None])]
        for number in range(self.case.depth - 1):
            kernel, bias = p["hidden_kernel"][:, number], p["hidden_bias"][:, number]
            layers.append((np.ascontiguousarray(kernel), bias[:, None].copy()))
        layers.append((p["output_kernel"], p["output_bias"][:, None]))
        return layers, np.packbits(np.asarray(values) > 0, axis=1)


def agree(ours: Ours, worker: OtherSide, kind: str) -> bool:
    """Whether both sides give the same tables for the same weights, and measures.

    An output that rounding may move across 0 may differ: fewer than one label in 1,000.
    """
    layers, tables = ours.given(64)
    setting = ours.case.setting
    theirs = worker.ask(
        "given", kind=kind, setting=setting, layers=layers, names=tables
    )
    differ = np.unpackbits(theirs["tables"] ^ tables).mean()
    words = tables.reshape(-1, 4, 4).astype(np.uint32)
    packed = (words << np.array([24, 16, 8, 0], np.uint32)).sum(2, dtype=np.uint32)
    here = ours.measured(functions.Tally(packed, np.ones(len(packed), np.int64)))
    complexity = networks.boolean.lz_complexity(
        theirs["factors"], theirs["flips"] == 0, 128
    )
    return bool(
        differ < 1e-3
        and np.allclose(complexity, here.complexity)
        and np.allclose(theirs["flips"] / 896, here.sensitivity)
        and np.allclose(theirs["weights"] / 128**2, here.weights, atol=1e-5)
    )


def compare(ours: Ours, worker, rounds: int) -> dict[str, float | str]:
    """Time both sides in turns; microseconds a network, ratios where they agree."""
    began = time.perf_counter()
    ours.whole()
    first = time.perf_counter() - began
    count = ours.case.networks
    counts = {"natural": 1000, "batched": min(count, 100_000)}
    mine: list[dict[str, float]] = []
    theirs: dict[str, list[float]] = {kind: [] for kind in baselines.KINDS}
    for number in range(rounds):
        mine.append(ours.whole())
        for kind in baselines.KINDS if worker else ():
            given = {"setting": ours.case.setting, "count": counts[kind]}
            seconds = worker.ask("timed", kind=kind, seed=number, **given)
            theirs[kind].append(seconds / counts[kind] * 1e6)
    whole = [one["whole_s"] / count * 1e6 for one in mine]
    found: dict[str, float | str] = {
        name.replace("_s", "_us"): min(one[name] for one in mine) / count * 1e6
        for name in ("networks_s", "count_s", "measure_s", "whole_s")
    }
    found |= {
        "first_call_s": first,
        "draw_us": ours.draw_seconds() * 1e6,
        "distinct": mine[0]["distinct"],
        "networks_per_s": 1e6 / statistics.median(whole),
    }
    for kind in baselines.KINDS if worker else ():
        found[f"{kind}_us"] = statistics.median(theirs[kind])
        pairs = zip(whole, theirs[kind], strict=True)
        ratio = statistics.median(b / a for a, b in pairs)
        found[f"ratio_{kind}"] = ratio if agree(ours, worker, kind) else "disagree"
    return found


SHOWN = (
    *("activation", "depth", "sigma_w", "networks", "distinct", "draw_us"),
    *("networks_us", "count_us", "measure_us", "whole_us", "networks_per_s"),
    *("share_of_matmul", "ratio_natural", "ratio_batched"),
)


def run(arguments: argparse.Namespace, mesh: Mesh, worker) -> None:
    """Measure case by case, printing and keeping each row."""
    labels = machine.describe(mesh) | {"measured": time.strftime("%Y-%m-%d")}
    peak = machine.matmul_rate(mesh)
    labels["matmul_gflops"] = peak / 1e9
    print(labels)
    print(" ".join(f"{name[-12:]:>12}" for name in SHOWN))
    path = f"boolean-networks-{jax.default_backend()}-jax{jax.__version__}.csv"
    for activation, depth, sigma_w in CASES:
        case = Case(
            activation=activation,
            depth=depth,
            sigma_w=sigma_w,
            # About as long for each.
            networks=math.ceil(arguments.networks / (1 if depth < 5 else 5)),
        )
        row: dict[str, object] = labels | vars(case)
        row |= compare(Ours(case, mesh), worker, arguments.rounds)
        seconds = float(row["networks_us"]) / 1e6  # type: ignore[arg-type]
        row["share_of_matmul"] = case.flops / seconds / peak
        shown = (row.get(name, "") for name in SHOWN)
        print(
            " ".join(
                f"{v:12.4g}" if isinstance(v, float) else f"{v!s:>12}" for v in shown
            ),
            flush=True,
        )
        machine.write([row], arguments.results / path)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--no-torch", action="store_true", help="time ours alone")
    parser.add_argument("--networks", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=5, help="turns of each side")
    parser.add_argument("--results", type=Path, default=machine.RESULTS)
    arguments = parser.parse_args()
    devices.start()
    mesh = devices.mesh()
    if arguments.no_torch:
        run(arguments, mesh, None)
        return
    with OtherSide("benchmarks.boolean_baselines") as worker:
        run(arguments, mesh, worker)


if __name__ == "__main__":
    main()
