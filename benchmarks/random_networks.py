"""How fast random networks are drawn, evaluated and measured, and beside what.

    python -m benchmarks.random_networks                  # 64 x 64, beside PyTorch
    python -m benchmarks.random_networks --no-torch       # ours alone
    python -m benchmarks.random_networks --only growth    # 10^2 to 10^5 networks
    python -m benchmarks.random_networks --only grid300   # the authors' grid

Measures Fourier, Chebyshev (degree 20) and exact LZ76 (10 levels) of networks of width
64. Compilation, first call and steady state are apart; each figure is the minimum and
the median over rounds in which ours and PyTorch's take turns, and a ratio is printed only
where both sides' numbers agree. Every row is appended to benchmarks/results/. PyTorch,
numba and antropy come with `pip install '.[benchmark]'`. Takes about 20 minutes on two
cores; nothing is asserted about time.
"""

import argparse
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import jax
import numpy as np
from jax.sharding import Mesh

from benchmarks import machine
from jaxbias import devices, rng, sweeps
from jaxbias.lanes import default_strategy
from jaxbias.models.priors import PRIORS, Prior, scale
from jaxbias.probes.complexity import complexity
from jaxbias.studies.neural_redshift.random_networks import cells
from jaxbias.studies.neural_redshift.random_networks.config import PRESETS, Config

ACTIVATIONS = ("relu", "gelu", "tanh", "gaussian", "sine")
VARIANTS = ("layer_norm", "residual", "gated")
MEASURES = ("fourier", "chebyshev", "lz76")
KINDS = ("natural", "researcher", "tuned")


@dataclass(frozen=True, kw_only=True)
class Case:
    """One kind of network on one grid."""

    activation: str
    depth: int = 4
    variant: str = "plain"
    resolution: int = 64
    networks: int = 1024

    @property
    def config(self) -> Config:
        return replace(
            PRESETS["paper"]["quick"],
            activations=(self.activation,),
            controls=(self.activation,),
            variants=(self.variant,),
            depths=(self.depth,),
            curve_depth=self.depth,
            control_depth=self.depth,
            weight_scales=(1.0,),
            resolution=self.resolution,
            n_networks=self.networks,
            measures=MEASURES,
            parts=("heatmaps",) if self.variant == "plain" else ("curves",),
            # exp(-x^2), as the other side computes.
            gaussian_width=0.5**0.5,
        )

    @property
    def flops(self) -> float:
        """Of the matrix products of one network."""
        points, width = self.resolution**2, 64
        gates = 2 if self.variant == "gated" else 1
        hidden = (self.depth - 1) * width * width + 2 * width
        return 2.0 * points * (gates * hidden + width)


class Ours:
    """The study's own programs for one case, whole and stage by stage."""

    def __init__(self, case: Case, mesh: Mesh) -> None:
        self.case, self.mesh = case, mesh
        self.key = jax.random.key(0)
        config = case.config
        (self.block,), _ = cells.plan(config, self.key, mesh)
        (cell,) = cells.cells(config)
        prior = PRIORS[cell.prior]
        programs = cells.Programs(config, mesh)
        depth = case.depth
        self.grid, _ = cells.points(config, case.resolution, self.key)
        self.drawn = programs.draw(cell.variant, 64, depth, depth, prior)
        self.values = programs.evaluate(cell.variant, 64, depth, Prior())
        self.stream = rng.stream(self.key, "weights", *cell.draws)
        size = self.block.piece
        rows = np.arange(size, dtype=np.uint32)
        self.networks = sweeps.to_mesh(rows, mesh)
        self.scales = sweeps.to_mesh(np.ones(size, np.float32), mesh)

    def whole(self) -> None:
        """The sweep as the study runs it, over all networks."""
        sweeps.sweep([self.block], self.mesh)

    def draw(self):
        return self.drawn(self.stream, self.networks)

    def evaluate(self, params):
        return self.values(self.case.depth, 0, self.grid, params, self.scales)

    def stages(self) -> dict[str, float]:
        """Milliseconds a network of each stage, and of compilation in all."""
        size = self.block.piece
        found, first = {}, 0.0
        began = time.perf_counter()
        params = self.draw()
        values = jax.block_until_ready(self.evaluate(params))
        stages = {"draw": self.draw, "evaluate": lambda: self.evaluate(params)}
        for name in MEASURES:
            measure = partial(complexity, measures=(name,), strategy=default_strategy())
            program = sweeps.spread(measure, self.mesh)
            stages[name] = partial(program, values)
        first = time.perf_counter() - began
        for name, stage in stages.items():
            _, seconds = machine.timed(stage)
            found[f"{name}_ms"] = min(seconds) / size * 1e3
        return found | {"first_call_s": first}

    def layers(self, count: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """Weights of the first networks, as the other side takes them."""
        params = jax.device_get(scale(self.draw(), 1.0, PRIORS["glorot_uniform"]))
        hidden = [
            (params["hidden_kernel"][:, i], params["hidden_bias"][:, i])
            for i in range(self.case.depth - 1)
        ]
        ends = [
            (params[f"{e}_kernel"], params[f"{e}_bias"]) for e in ("input", "output")
        ]
        every = [ends[0], *hidden, ends[1]]
        return [(np.asarray(k[:count]), np.asarray(b[:count])) for k, b in every]

    def measured(self, count: int) -> dict[str, np.ndarray]:
        program = sweeps.spread(
            partial(complexity, measures=MEASURES, strategy=default_strategy()),
            self.mesh,
        )
        found = jax.device_get(program(self.evaluate(self.draw())))
        return {name: found[name][:count] for name in MEASURES}


def agree(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> bool:
    """Whether both sides measured the same, within float32's rounding.

    A value at the border of two levels may round either way and change an LZ76 count.
    """
    smooth = all(
        np.allclose(ours[name], theirs[name], rtol=5e-3) for name in MEASURES[:2]
    )
    off = np.abs(ours["lz76"] - theirs["lz76"])
    return smooth and bool(off.max() <= 4) and bool(np.median(off) == 0)


def compare(
    case: Case, ours: Ours, worker, rounds: int, kinds: tuple[str, ...]
) -> dict[str, float | str]:
    """Time both sides in turns; milliseconds a network, and ratios where they agree."""
    ours.whole()
    mine, theirs = [], {kind: [] for kind in kinds}
    # The natural loop is 50 times slower: fewer networks give its rate as well.
    counts = {"natural": 24, "researcher": 64, "tuned": case.networks}
    if case.resolution > 128:
        counts = {"natural": 2, "researcher": 4, "tuned": case.networks}
    setting = {
        "activation": case.activation,
        "depth": case.depth,
        "resolution": case.resolution,
    }
    for number in range(rounds):
        start = time.perf_counter()
        ours.whole()
        mine.append((time.perf_counter() - start) / case.networks * 1e3)
        for kind in kinds:
            seconds = worker.time_batch(
                kind, n_networks=counts[kind], seed=number, **setting
            )["seconds"]
            theirs[kind].append(seconds / counts[kind] * 1e3)
    found: dict[str, float | str] = {
        "whole_ms_min": min(mine),
        "whole_ms": statistics.median(mine),
        "networks_per_s": 1e3 / statistics.median(mine),
    }
    here = ours.measured(8)
    for kind in kinds:
        found[f"{kind}_ms"] = statistics.median(theirs[kind])
        there = worker.measure_given(
            kind, case.activation, ours.layers(8), case.resolution
        )
        ratio = statistics.median(
            b / a for a, b in zip(mine, theirs[kind], strict=True)
        )
        # No ratio of two programs that compute different things.
        found[f"ratio_{kind}"] = ratio if agree(here, there) else "disagree"
    if "tuned" in kinds:
        plan = worker.plans[(case.activation, case.depth, case.resolution)]
        found["tuned_form"] = f"{plan['form']} {plan['layout']}"
    return found


def growth(mesh: Mesh) -> Iterator[dict[str, object]]:
    """Time and peak memory from 100 to 100,000 networks."""
    for networks in (100, 1_000, 10_000, 100_000):
        case = Case(activation="tanh", networks=networks)
        ours = Ours(case, mesh)
        _, seconds = machine.timed(ours.whole, repeats=1 if networks > 5000 else 3)
        yield {
            **vars(case),
            "whole_ms": statistics.median(seconds) / networks * 1e3,
            "networks_per_s": networks / statistics.median(seconds),
            "peak_memory_mb": machine.peak_memory() / 2**20,
        }


def cases(only: str) -> list[Case]:
    """The rows of each part of the benchmark."""
    depth4 = [Case(activation=a) for a in ACTIVATIONS]
    others = [Case(activation=a, depth=d) for d in (1, 2, 3, 5, 6) for a in ACTIVATIONS]
    variants = [
        Case(activation=a, variant=v) for v in VARIANTS for a in ("relu", "tanh")
    ]
    large = [Case(activation=a, resolution=300, networks=64) for a in ("relu", "tanh")]
    parts = {
        "depth4": depth4,
        "depths": others,
        "variants": variants,
        "grid300": large,
    }
    return sum(parts.values(), []) if only == "all" else parts[only]


SHOWN = (
    *("activation", "depth", "variant", "resolution", "draw_ms", "evaluate_ms"),
    *("fourier_ms", "chebyshev_ms", "lz76_ms", "whole_ms", "networks_per_s"),
    *("share_of_matmul", "ratio_natural", "ratio_researcher", "ratio_tuned"),
    *("networks", "peak_memory_mb"),
)


def show(row: dict, heading: bool) -> None:
    """Print a row in columns."""
    if heading:
        print(" ".join(f"{name[-12:]:>12}" for name in SHOWN))
    cells_ = (row.get(name, "") for name in SHOWN)
    print(
        " ".join(
            f"{v:12.4g}" if isinstance(v, float) else f"{v!s:>12}" for v in cells_
        ),
        flush=True,
    )


def run(arguments: argparse.Namespace, mesh: Mesh, worker) -> None:
    """Measure case by case, printing and keeping each row."""
    labels = machine.describe(mesh) | {"measured": time.strftime("%Y-%m-%d")}
    name = f"random-networks-{jax.default_backend()}-jax{jax.__version__}.csv"
    path = arguments.results / name
    if arguments.only == "growth":
        # Before the yardsticks, whose arrays would be the peak of the memory.
        for number, row in enumerate(growth(mesh)):
            show(row, heading=number == 0)
            machine.write([labels | row], path)
        return
    peak = machine.matmul_rate(mesh)
    labels["matmul_gflops"] = peak / 1e9
    labels["copy_gbytes"] = machine.copy_rate(mesh) / 1e9
    print(labels)
    for number, case in enumerate(cases(arguments.only)):
        ours = Ours(case, mesh)
        row: dict[str, object] = labels | vars(case) | ours.stages()
        kinds = KINDS if worker and case.variant == "plain" else ()
        row |= compare(case, ours, worker, arguments.rounds, kinds)
        seconds = float(row["evaluate_ms"]) / 1e3  # type: ignore[arg-type]
        row["share_of_matmul"] = case.flops / seconds / peak
        show(row, heading=number == 0)
        machine.write([row], path)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--no-torch", action="store_true", help="time ours alone")
    parser.add_argument(
        "--only",
        default="all",
        choices=("all", "depth4", "depths", "variants", "grid300", "growth"),
    )
    parser.add_argument("--rounds", type=int, default=5, help="turns of each side")
    parser.add_argument("--results", type=Path, default=machine.RESULTS)
    arguments = parser.parse_args()
    devices.start()
    mesh = devices.mesh()
    if arguments.no_torch or arguments.only == "growth":
        run(arguments, mesh, None)
        return
    from benchmarks.torch_worker import TorchWorker

    with TorchWorker() as worker:
        run(arguments, mesh, worker)


if __name__ == "__main__":
    main()
