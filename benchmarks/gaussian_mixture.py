"""Speed of the Gaussian-mixture simulation, beside the released functions' method.

    python -m benchmarks.gaussian_mixture                # beside NumPy and scikit-learn
    python -m benchmarks.gaussian_mixture --no-baseline  # ours alone
    python -m benchmarks.gaussian_mixture --n-trials 100000

Both sides compute the same points in turn, and their mean gaps must agree before a ratio is
printed. The machine's limit is its rate of normal random numbers in JAX: a direct trial
needs as many as it has points times dimensions. Rows are added to
`benchmarks/results/gaussian-mixture-*.csv`.
Should take about three minutes on two cores; that is reckoned from its turns, not timed.
"""

import argparse
import datetime
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np
from jax.sharding import Mesh

from benchmarks import machine
from jaxbias import devices, sweeps
from jaxbias.studies.generative_augmentation.mixture import simulation
from jaxbias.studies.generative_augmentation.mixture.config import (
    GAMMAS,
    Config,
    Sampler,
    generated,
)

CASES: dict[str, dict] = {
    "all": {},
    "b": {"m_real": (40,), "dims": (1,), "gammas": GAMMAS},
    "e": {"m_real": (10,), "dims": (50,), "gammas": GAMMAS},
}
"""All points of Figure 1, and the panels that the issue of speed is judged by."""

NORMALS = 2**16


def normal_rate(mesh: Mesh) -> float:
    """Normal random numbers a second, on all devices together."""

    def run(keys):
        draw = lambda key: jax.random.normal(key, (NORMALS,)).sum()  # noqa: E731
        return jax.lax.map(draw, keys)

    program = sweeps.spread(run, mesh)
    keys = jax.random.split(jax.random.key(0), 64 * mesh.size)
    _, seconds = machine.timed(lambda: program(keys))
    return len(keys) * NORMALS / min(seconds)


@dataclass
class Ours:
    """One case by one sampler, in programs that are kept between turns."""

    config: Config
    mesh: Mesh

    def __post_init__(self) -> None:
        self.blocks = simulation.blocks(self.config, jax.random.key(0), self.mesh)

    def __call__(self) -> dict[str, np.ndarray]:
        return sweeps.sweep(self.blocks, self.mesh)

    def table(self) -> dict[str, np.ndarray]:
        return simulation.table(self.config, self())

    def normals(self) -> int:
        """Normal numbers that direct sampling cannot do without."""
        return self.config.n_trials * sum(
            d * (m + generated(m, max(gammas)) + self.config.n_test)
            for (m, d), gammas in self.config.groups().items()
        )


def baseline(config: Config, trials: int) -> dict[tuple, np.ndarray]:
    """|gap| of every trial, by group, the released way."""
    from benchmarks.mixture_baseline import trial

    return {
        (m, d): np.stack(
            [trial(m, d, g, config.sigma, config.n_test)[:, 0] for _ in range(trials)]
        )
        for (m, d), g in config.groups().items()
    }


def agree(table: dict[str, np.ndarray], theirs: dict[tuple, np.ndarray]) -> float:
    """Largest difference of mean |gap| in standard errors of both sides."""
    worst = 0.0
    for (m, d), gaps in theirs.items():
        rows = (table["m_real"] == m) & (table["dim"] == d)
        error = gaps.std(0, ddof=1) / np.sqrt(len(gaps))
        error = np.hypot(error, table["abs_gap_se"][rows])
        worst = max(
            worst, np.max(np.abs(gaps.mean(0) - table["abs_gap"][rows]) / error)
        )
    return worst


def measure(
    case: str, sampler: Sampler, mesh: Mesh, arguments: argparse.Namespace
) -> dict[str, object]:
    """Time one case by one sampler, in turns with the baseline."""
    config = Config(n_trials=arguments.n_trials, sampler=(sampler,), **CASES[case])
    compiled = devices.CompileClock()
    began = time.perf_counter()
    ours = Ours(config, mesh)
    table = ours.table()
    first = time.perf_counter() - began
    row: dict[str, object] = {
        "case": case,
        "sampler": sampler,
        "points": sum(map(len, config.groups().values())),
        "trials": config.n_trials,
        "first_call_s": first,
        "compile_s": compiled.seconds,
    }
    mine, theirs, ratios, worst = [], [], [], 0.0
    for _ in range(arguments.rounds):
        began = time.perf_counter()
        ours()
        mine.append(time.perf_counter() - began)
        if not arguments.no_baseline:
            began = time.perf_counter()
            gaps = baseline(config, arguments.baseline_trials)
            share = (time.perf_counter() - began) / arguments.baseline_trials
            theirs.append(share * config.n_trials)
            ratios.append(theirs[-1] / mine[-1])
            worst = max(worst, agree(table, gaps))
    row |= {"warm_s_min": min(mine), "warm_s": statistics.median(mine)}
    if sampler == "direct":
        row["share_of_normals"] = (
            ours.normals() / statistics.median(mine) / arguments.rate
        )
    if theirs:
        if worst > 5:
            raise SystemExit(
                f"{case} {sampler}: the two sides differ by {worst:.1f} s.e."
            )
        row["baseline_s"] = statistics.median(theirs)
        row["ratio"] = statistics.median(ratios)
    row["peak_memory_mb"] = machine.peak_memory() / 1e6
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--no-baseline", action="store_true", help="time ours alone")
    parser.add_argument("--only", choices=tuple(CASES), help="one of the cases")
    parser.add_argument("--n-trials", type=int, default=1000)
    parser.add_argument(
        "--baseline-trials", type=int, default=20, help="scaled up to --n-trials"
    )
    parser.add_argument("--rounds", type=int, default=5, help="turns of each side")
    parser.add_argument("--results", type=Path, default=machine.RESULTS)
    arguments = parser.parse_args()
    devices.start()
    mesh = devices.mesh()
    where = machine.describe(mesh)
    arguments.rate = normal_rate(mesh)
    where |= {
        "measured": datetime.date.today().isoformat(),
        "normals_per_s": arguments.rate,
    }
    rows = []
    for case in [arguments.only] if arguments.only else CASES:
        for sampler in ("sufficient", "direct"):
            row = measure(case, sampler, mesh, arguments)
            shown = (f"{v:.4g}" if isinstance(v, float) else v for v in row.values())
            print(", ".join(f"{k} {v}" for k, v in zip(row, shown, strict=True)))
            rows.append(where | row)
    platform = jax.devices()[0].platform
    name = f"gaussian-mixture-{platform}-jax{jax.__version__}.csv"
    machine.write(rows, arguments.results / name)


if __name__ == "__main__":
    main()
