"""How fast image models train and photographs are read, and beside what.

    python -m benchmarks.training                        # all of it, beside PyTorch
    python -m benchmarks.training --models vit_tiny      # one model
    python -m benchmarks.training --only input           # reading alone

A step is the forward pass, the gradient and the optimiser, float32, on one batch of uint8
pixels that is in memory already; each side's optimiser is its own SGD or AdamW. Ours and
PyTorch's take turns step by step, with as many threads as there are processors. PyTorch
runs eager and compiled; a form that does not compile says so in its place. FLOPs are
counted from the shapes of convolutions, linear layers and attention (2 for a product and
its sum), three times the forward pass for a step; the share is that of one large product
of matrices. Rows are appended to a table of benchmarks/results/. PyTorch comes with
`pip install '.[benchmark]'`. Takes about 15 minutes on two cores, most of them for
`torch.compile`; nothing is asserted about time.
"""

import argparse
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import flax.linen as nn
import jax
import jax.numpy as jnp

from benchmarks import machine, reading, timing
from benchmarks.other_side import OtherSide
from jaxbias import devices
from jaxbias.models.catalogue import CATALOGUE, build
from jaxbias.models.cdcgan import Up
from jaxbias.models.style_layers import Convolution, Linear, Modulated
from jaxbias.models.unet import Block
from jaxbias.models.vit import Attention
from jaxbias.training import optimisers, steps

FORMS = ("eager", "compiled")

TORCH = "benchmarks.torch_models"
"""The other side."""

MOST_STEPS = 60
"""Steps of one side at most, however fast it is."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One model on batches of one size."""

    model: str
    batch: int
    classes: int

    @property
    def size(self) -> int:
        return CATALOGUE[self.model].size


CASES = {
    case.model: case
    for case in (
        Case(model="resnet18_cifar", batch=64, classes=10),
        Case(model="vit_tiny", batch=8, classes=1000),
        Case(model="convnext_femto", batch=8, classes=1000),
    )
}


def task_of(case: Case) -> steps.Task:
    """What is trained, of a model of the catalogue."""
    entry = CATALOGUE[case.model]
    optimiser = optimisers.adamw(1e-4)
    if case.model.startswith("resnet"):
        optimiser = optimisers.sgd(1e-3, weight_decay=5e-4)
    return steps.Task(
        model=build(case.model, case.classes),
        optimiser=optimiser,
        classes=case.classes,
        mean=entry.mean,
        sd=entry.sd,
    )


class Ours:
    """A task in training on one batch; None is that of the case's model."""

    def __init__(self, case: Case, task: steps.Task | None = None) -> None:
        self.case, self.task = case, task or task_of(case)
        draw, self.key, start = jax.random.split(jax.random.key(0), 3)
        shape = (case.batch, case.size, case.size, 3)
        self.pixels = jax.random.bits(draw, shape, jnp.uint8)
        self.labels = jnp.arange(case.batch) % case.classes
        self.state = steps.create(self.task, start, case.size)

    @property
    def parameters(self) -> int:
        return sum(leaf.size for leaf in jax.tree.leaves(self.state.params))

    def compile(self) -> dict[str, float]:
        """Compile the step: seconds, and the megabytes that it needs while it runs."""
        given = self.state, self.pixels, self.labels, self.key
        jitted = jax.jit(partial(steps.step, self.task), donate_argnums=0)
        self.program, spent = timing.prepared(jitted, *given)
        return spent

    def step(self) -> float:
        """Seconds of one step."""
        began = time.perf_counter()
        key = jax.random.clone(self.key)
        self.state, _ = self.program(self.state, self.pixels, self.labels, key)
        jax.block_until_ready(self.state)
        return time.perf_counter() - began


def forward_flops(case: Case) -> float:
    """Of one image's forward pass, from the shapes of its layers."""
    image = jnp.zeros((1, case.size, case.size, 3))
    model = build(case.model, case.classes)
    return layer_flops(lambda: model.init(jax.random.key(0), image))


def layer_flops(run: Callable[[], Any]) -> float:
    """Of the layers that a function calls: convolutions, linear ones and attention."""
    total = 0.0

    def counted(layer: Callable, given: tuple, named: dict, context: Any) -> Any:
        nonlocal total
        result = layer(*given, **named)
        module = context.module
        if context.method_name != "__call__":
            return result
        if isinstance(module, nn.Conv | nn.Dense | Linear | Convolution):
            kernel = module.variables["params"]["kernel"]
            total += 2 * result.size * math.prod(kernel.shape[:-1])
        elif isinstance(module, Up | Modulated):
            kernel = module.variables["params"]["kernel"]
            total += 2 * given[0].size * kernel.size / kernel.shape[-2]
        elif isinstance(module, Attention):
            images, tokens, width = result.shape
            total += 4 * images * tokens**2 * width
        elif isinstance(module, Block) and module.attends:
            images, rows, columns, width = result.shape
            total += 4 * images * (rows * columns) ** 2 * width
        return result

    with nn.intercept_methods(counted):
        jax.eval_shape(run)
    return total


def compare(
    case: Case, ours: Ours, seconds: float, forms: tuple[str, ...] = FORMS
) -> dict[str, Any]:
    """Time both sides in turns; images a second, and the ratio to PyTorch's better form."""
    with OtherSide(TORCH) as worker:
        train = partial(worker.ask, "train", **_setting(case))
        return in_turns(case, ours, train, seconds, forms)


class Timed(Protocol):
    """What takes turns with the other side: something compiled that is called."""

    @property
    def parameters(self) -> int: ...

    def step(self) -> float: ...


def in_turns(
    case: Case,
    ours: Timed,
    theirs: Callable[..., dict],
    seconds: float,
    forms: tuple[str, ...],
) -> dict[str, Any]:
    """Time ours beside each form of what the other side is asked; see `compare`.

    Args:
        case: Has the model's name, and the images of a call.
        ours: Compiled.
        theirs: Called with `form` and `steps`; see `torch_models.timed`.
        seconds: To spend on each side.
        forms: Of the other side; none times ours alone.
    """
    found: dict[str, Any] = {}
    ours.step()
    sides: dict[str, Callable[[], float]] = {"ours": ours.step}
    for form in forms:
        try:
            first = theirs(form=form, steps=1)
        except (RuntimeError, EOFError) as error:
            print(f"{case.model} {form}: {str(error).strip().splitlines()[-1]}")
            failed = "compile failed" if form == "compiled" else "failed"
            found[f"{form}_images_per_s"] = failed
            continue
        # Two programs that differ have no ratio.
        assert first["parameters"] == ours.parameters, (first, ours.parameters)
        found[f"{form}_first_s"] = first["seconds"][0]
        # Of the whole process, PyTorch included: the compiler is on top later on.
        found[f"{form}_peak_memory_mb"] = first["peak_mb"]
        sides[form] = lambda form=form: theirs(form=form, steps=1)["seconds"][0]
    times = alternated(sides, seconds)
    for side, spent in times.items():
        found[f"{side}_images_per_s_max"] = case.batch / min(spent)
        found[f"{side}_images_per_s"] = case.batch / statistics.median(spent)
    others = [times[form] for form in forms if form in times]
    if others:
        best = min(others, key=statistics.median)
        turns = zip(times["ours"], best, strict=True)
        found["ratio"] = statistics.median(theirs / mine for mine, theirs in turns)
    return found


def _setting(case: Case) -> dict[str, Any]:
    """What PyTorch's side is told of a case."""
    return {
        "name": case.model,
        "classes": case.classes,
        "batch": case.batch,
        "size": case.size,
        "threads": devices.usable_cpus(),
    }


def alternated(
    sides: dict[str, Callable[[], float]], seconds: float
) -> dict[str, list[float]]:
    """Seconds of each side's turns: 5 of each or more, until time is up."""
    times: dict[str, list[float]] = {side: [] for side in sides}
    began = time.perf_counter()
    for number in range(MOST_STEPS):
        if number >= 5 and time.perf_counter() - began > seconds * len(sides):
            break
        for side, take in sides.items():
            times[side].append(take())
    return times


def training_rows(
    names: list[str], seconds: float, peak: float, beside: bool
) -> Iterator[dict[str, Any]]:
    """A row for each model.

    Args:
        names: Models.
        seconds: To spend on each side.
        peak: FLOP/s of a large product.
        beside: Whether PyTorch is timed as well.
    """
    for name in names:
        case = CASES[name]
        ours = Ours(case)
        flops = 3 * forward_flops(case)
        row: dict[str, Any] = vars(case) | {"parameters": ours.parameters}
        row |= {"step_gflops": flops * case.batch / 1e9} | ours.compile()
        row |= compare(case, ours, seconds, FORMS if beside else ())
        row["share_of_matmul"] = row["ours_images_per_s"] * flops / peak
        # So far, of this process: with several models, of the largest yet.
        row["peak_memory_mb"] = machine.peak_memory() / 2**20
        yield row


def reading_rows(files: int, rounds: int, beside: bool) -> Iterator[dict[str, Any]]:
    """A row for each way of reading photographs."""
    with tempfile.TemporaryDirectory() as folder:
        reading.write_files(Path(folder), files)
        with OtherSide(TORCH) if beside else nullcontext() as worker:
            for row in reading.rates(Path(folder), rounds, worker):
                yield row | {"files": files}


def show(row: dict[str, Any]) -> None:
    """Print a row's figures in one line."""
    shown = (f"{k} {v:.4g}" if isinstance(v, float) else f"{v}" for k, v in row.items())
    print(", ".join(shown), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--seconds", type=float, default=20, help="of each side")
    parser.add_argument("--only", choices=("all", "steps", "input"), default="all")
    parser.add_argument("--files", type=int, default=2000, help="photographs to read")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each reader")
    parser.add_argument("--no-torch", action="store_true", help="time ours alone")
    parser.add_argument("--csv", type=Path, help="table that rows are appended to")
    arguments = parser.parse_args()
    # One device with all processors: a step is one program, as a user's is by default.
    devices.start(cpu_devices=1)
    name = f"training-{jax.default_backend()}-jax{jax.__version__}.csv"
    path = arguments.csv or machine.RESULTS / name
    mesh = devices.mesh()
    labels = machine.describe(mesh) | {"measured": time.strftime("%Y-%m-%d")}
    labels["threads"] = devices.usable_cpus()
    beside = not arguments.no_torch
    if arguments.only != "input":
        peak = machine.matmul_rate(mesh)
        labels["matmul_gflops"] = peak / 1e9
        rows = training_rows(arguments.models, arguments.seconds, peak, beside)
        for row in rows:
            show(row)
            machine.write([labels | {"part": "step"} | row], path)
    if arguments.only != "steps":
        for row in reading_rows(arguments.files, arguments.rounds, beside):
            show(row)
            machine.write([labels | {"part": "input"} | row], path)


if __name__ == "__main__":
    main()
