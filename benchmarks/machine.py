"""What the machine could do at best, and what it is: the yardstick of each benchmark."""

import csv
import platform
import resource
import time
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import Mesh

import jaxbias
from jaxbias import sweeps

RESULTS = Path(__file__).parent / "results"


def timed(function: Callable, repeats: int = 5) -> tuple[float, list[float]]:
    """Seconds of the first call, compilation included, and of each later one."""
    seconds = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        jax.block_until_ready(function())
        seconds.append(time.perf_counter() - start)
    return seconds[0], seconds[1:]


def matmul_rate(mesh: Mesh, size: int = 1536) -> float:
    """FLOP/s of large float32 products, one on every device at a time."""

    def run(matrices):
        def product(matrix):
            step = lambda _, m: jnp.dot(m, matrix, precision=lax.Precision.HIGHEST)  # noqa: E731
            return lax.fori_loop(0, 4, step, matrix)

        return lax.map(product, matrices)

    program = sweeps.spread(run, mesh)
    matrices = jnp.full((mesh.size, size, size), 1 / size)
    _, seconds = timed(lambda: program(matrices))
    return mesh.size * 4 * 2 * size**3 / min(seconds)


def copy_rate(mesh: Mesh, megabytes: int = 256) -> float:
    """Bytes/s read and written by adding one to a large array on every device."""
    program = sweeps.spread(lambda x: x + 1, mesh)
    values = jnp.zeros((mesh.size, megabytes * 2**18))
    values = jax.device_put(values, jax.NamedSharding(mesh, jax.P(mesh.axis_names[0])))
    _, seconds = timed(lambda: program(values))
    return 2 * values.nbytes / min(seconds)


def peak_memory() -> int:
    """Largest resident size of this process so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def describe(mesh: Mesh) -> dict[str, object]:
    """Columns that say where a row was measured."""
    device = jax.devices()[0]
    name = device.device_kind
    if device.platform == "cpu":
        with open("/proc/cpuinfo") as info:
            models = [line for line in info if line.startswith("model name")]
        name = models[0].split(":")[1].strip() if models else platform.processor()
    return {
        "device": f"{mesh.size} x {name}",
        "jax": jax.__version__,
        "python": platform.python_version(),
        "jaxbias": jaxbias.__version__,
    }


def write(rows: list[dict], path: Path) -> None:
    """Append rows to a table, keeping those of earlier runs."""
    path.parent.mkdir(exist_ok=True)
    old = []
    if path.exists():
        with path.open(newline="") as file:
            old = list(csv.DictReader(file))
    names = list(dict.fromkeys(name for row in old + rows for name in row))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, names, lineterminator="\n")
        writer.writeheader()
        for row in old + rows:
            writer.writerow(
                {k: f"{v:.4g}" if isinstance(v, float) else v for k, v in row.items()}
            )
