"""How fast generators of small images train and draw, and beside what.

    python -m benchmarks.image_generators                       # all of it, beside PyTorch
    python -m benchmarks.image_generators --cases edm-quick     # one generator
    python -m benchmarks.image_generators --part sampling       # drawing alone

EDM (a DDPM++ of the quick run, and one of 64 features), the class-conditional DCGAN and
StyleGAN2 (of the quick run, and as published), float32, on images of 32 x 32, as the
generator experiment trains them and draws from them. EDM draws by 18 levels of Heun's
method, 35 calls of the network. PyTorch has modules of the same layers and our weights;
before anything is timed both must give the same outputs, to 1e-3 of the largest, and draw
the same images from the same noise. Both take turns, call by call, with as many threads as
there are processors.

StyleGAN2's images are augmented on neither side. Both its networks' gradients are taken at
once, on the same made images. R1 is of a sixteenth of the images here, and in PyTorch, as
published, of all in one step in sixteen: a turn there is a step with it and one without,
and its seconds are a sixteenth of the first and the rest of the second.
The published one takes long, even with 8 images in a step: it is run where it is named.

PyTorch's forms: eager and compiled, channels-last, and eager with channels first
(contiguous); the ratio is to the best of them. R1 is eager in all. FLOPs are counted from
the shapes of convolutions, linear layers and attention (2 for a product and its sum): in a
step of EDM three forward passes, of cDCGAN and StyleGAN2 three of the generator and eight
of the discriminator, which is run three times; a sixteenth of R1's six comes on top. The
share is that of one large product of matrices. Rows are appended to a table of
benchmarks/results/. Nothing is asserted about time.
Should take about half an hour on two cores; that is reckoned from its turns, not timed.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import machine, timing, training
from benchmarks.image_generator_kinds import CLASSES, KINDS
from benchmarks.other_side import OtherSide
from jaxbias import devices
from jaxbias.studies.generative_augmentation.generator import networks
from jaxbias.studies.generative_augmentation.generator.config import (
    CDCGAN,
    EDM,
    SIZE,
    STYLEGAN2,
    Config,
)
from jaxbias.training import steps

TORCH = "benchmarks.torch_image_generators"
"""The other side."""

FORMS = (*training.FORMS, "contiguous")

PARTS = ("training", "sampling")

CLOSE = 1e-3
"""Difference of both sides' outputs, at most, over the largest of them."""


@dataclass(frozen=True, kw_only=True)
class Case(training.Case):
    """One generator."""

    config: Config
    drawn: int
    """Images that are drawn at once."""
    classes: int = CLASSES

    @property
    def size(self) -> int:
        return SIZE


def case(model: str, config: Config, drawn: int) -> Case:
    return Case(model=model, batch=config.batch, config=config, drawn=drawn)


SMALL = replace(
    EDM["paper"],
    width=64,
    factors=(1, 2, 2),
    blocks=2,
    augmented=0.0,
    batch=16,
)
"""Of EDM; as published but smaller."""


def unaugmented(config: Config) -> Config:
    """StyleGAN2 whose discriminator sees images as they are."""
    return replace(config, target=1.0)


STYLES = replace(unaugmented(STYLEGAN2["paper"]), batch=8)
"""StyleGAN2 as published but for what its discriminator sees, and how many at once."""

CASES = {
    one.model: one
    for one in (
        case("edm-quick", EDM["quick"], 64),
        case("edm-small", SMALL, 16),
        case("cdcgan-quick", CDCGAN["quick"], 500),
        case("cdcgan-paper", CDCGAN["paper"], 500),
        case("stylegan2-quick-unaugmented", unaugmented(STYLEGAN2["quick"]), 500),
        case("stylegan2-paper-unaugmented", STYLES, 32),
    )
}

USUAL = tuple(name for name in CASES if not name.startswith("stylegan2-paper"))
"""Cases that are run where none is named."""


class Sampling:
    """What draws images, compiled; takes turns as `training.Ours` does."""

    def __init__(self, ours: training.Ours, case: Case) -> None:
        self.parameters = ours.parameters
        draw: Any = networks.drawer(case.config, ours.task, ours.state)
        # A step of training takes over the buffers of its state.
        self.program, self.given = draw.func, jax.tree.map(jnp.copy, draw.args)
        self.key = jax.random.key(1)
        self.labels = jnp.arange(case.drawn) % CLASSES

    def compile(self) -> dict[str, float]:
        """Compile: seconds, and the megabytes that drawing needs while it runs."""
        given = *self.given, self.key, self.labels
        self.program, spent = timing.prepared(self.program, *given)
        return spent

    def images(self) -> np.ndarray:
        key = jax.random.clone(self.key)
        return np.asarray(self.program(*self.given, key, self.labels))

    def step(self) -> float:
        """Seconds of one call."""
        began = time.perf_counter()
        self.images()
        return time.perf_counter() - began


def ours_of(case: Case) -> training.Ours:
    """The generator in training, with weights that are not yet those of a fresh one."""
    config = case.config
    make = networks.maker(config)
    task: steps.Task = make(
        networks.recipe_of(config),
        classes=CLASSES,
        size=SIZE,
        epoch_steps=100,
        mean=(0.5,) * 3,
        sd=(0.5,) * 3,
    )
    ours = training.Ours(case, task)
    random = np.random.default_rng(0)

    def drawn(x: jax.Array) -> jax.Array:
        spread = (x.size / x.shape[-1]) ** -0.5 if x.ndim > 1 else 0.1
        return x + spread * random.normal(size=x.shape).astype(np.float32)

    # Ends of EDM's branches begin near 0: equal outputs would say nothing.
    params: Any = jax.tree.map(drawn, ours.state.params)
    ema = None if ours.state.ema is None else jax.tree.map(jnp.copy, params)
    ours.state = replace(ours.state, params=params, ema=ema)
    return ours


def agreed(
    case: Case, ours: training.Ours, draws: Sampling, ask: Callable[..., Any]
) -> dict[str, float]:
    """How far both sides differ: outputs over the largest, and drawn pixels.

    Raises:
        AssertionError: If they are not the same function.
    """
    kind = KINDS[case.config.kind]
    variables: Any = {
        "params": ours.state.params,
        "batch_stats": ours.state.batch_stats,
    }
    arrays = jax.tree.map(np.asarray, variables)
    sizes = vars(case.config)
    ask(
        "load",
        kind=case.config.kind,
        sizes=sizes,
        classes=CLASSES,
        params=arrays["params"],
        statistics=arrays["batch_stats"],
    )
    given = {
        "pixels": np.asarray(ours.pixels)[: case.drawn],
        "labels": np.asarray(draws.labels)[: case.batch],
        "start": kind.start(jax.random.clone(draws.key), case.drawn, case.config),
    }
    count = min(case.batch, case.drawn)
    short = {name: value[:count] for name, value in given.items()}
    short |= kind.given(count)
    run = jax.jit(partial(kind.outputs, ours.task.model))
    found = jax.tree.map(np.asarray, run(variables, short))
    images, worst = draws.images()[:count].astype(float), 0.0
    for form in ("eager", "contiguous"):
        theirs = ask("outputs", given=short, form=form)
        for name, value in found.items():
            apart = np.abs(theirs[name] - value).max() / np.abs(value).max()
            worst = max(worst, float(apart))
        pixels = np.abs(theirs["drawn"] - images)
        assert images.std() > 5, f"images of deviation {images.std():.3g} say nothing"
        assert pixels.mean() < 255 * CLOSE, (form, pixels.mean(), pixels.max())
    assert worst < CLOSE, worst
    return {"difference": worst, "pixel_difference": float(pixels.mean())}


def rows_of(
    case: Case,
    seconds: float,
    peak: float,
    parts: tuple[str, ...] = PARTS,
    forms: tuple[str, ...] = FORMS,
) -> list[dict[str, Any]]:
    """A row for each part.

    Args:
        case: What is timed.
        seconds: To spend on each side.
        peak: FLOP/s of a large product.
        parts: Of `PARTS`.
        forms: Of the other side; none leaves it out.
    """
    ours = ours_of(case)
    draws = Sampling(ours, case)
    variables = {"params": ours.state.params, "batch_stats": ours.state.batch_stats}
    each = KINDS[case.config.kind].flops(ours.task.model, variables, case.config)
    compiled: dict[str, Any] = {"sampling": draws.compile(), "training": ours.compile()}
    sides: dict[str, Any] = {"training": ours, "sampling": draws}
    rows = []
    same: dict[str, float] = {}
    with OtherSide(TORCH) as worker:
        if forms:
            same = agreed(case, ours, draws, worker.ask)
        for part in parts:
            count = case.batch if part == "training" else case.drawn
            timed = replace(case, batch=count)
            row: dict[str, Any] = {"part": part, "model": case.model, "batch": count}
            row |= {"classes": CLASSES, "parameters": ours.parameters}
            row |= {"step_gflops": each[part] * count / 1e9} | compiled[part] | same
            ask = _asked(worker, part, ours, draws, case) if forms else worker.ask
            row |= training.in_turns(timed, sides[part], ask, seconds, forms)
            row["share_of_matmul"] = row["ours_images_per_s"] * each[part] / peak
            row["peak_memory_mb"] = machine.peak_memory() / 2**20
            rows.append(row)
    return rows


def _asked(
    worker: OtherSide, part: str, ours: training.Ours, draws: Sampling, case: Case
) -> Callable[..., dict]:
    """What asks the other side for calls, after it was given what they are on."""
    given: dict[str, Any] = {"pixels": ours.pixels, "labels": ours.labels}
    if part == "sampling":
        start = KINDS[case.config.kind].start(
            jax.random.clone(draws.key), case.drawn, case.config
        )
        given = {"start": start, "labels": draws.labels}
    run = partial(worker.ask, "run", part=part, threads=devices.usable_cpus())
    arrays = {name: np.asarray(value) for name, value in given.items()}
    run(given=arrays, form="eager", steps=1)
    return partial(run, given=None)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(USUAL))
    parser.add_argument("--part", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--seconds", type=float, default=30, help="of each side")
    parser.add_argument("--forms", nargs="*", choices=FORMS, default=list(FORMS))
    parser.add_argument("--csv", type=Path, help="table that rows are appended to")
    arguments = parser.parse_args()
    # One device with all processors: a step is one program, as a user's is by default.
    devices.start(cpu_devices=1)
    name = f"image-generators-{jax.default_backend()}-jax{jax.__version__}.csv"
    path = arguments.csv or machine.RESULTS / name
    mesh = devices.mesh()
    labels = machine.describe(mesh) | {"measured": time.strftime("%Y-%m-%d")}
    peak = machine.matmul_rate(mesh)
    labels |= {"threads": devices.usable_cpus(), "matmul_gflops": peak / 1e9}
    how = arguments.seconds, peak, tuple(arguments.part), tuple(arguments.forms)
    for name in arguments.cases:
        for row in rows_of(CASES[name], *how):
            training.show(row)
            machine.write([labels | row], path)


if __name__ == "__main__":
    main()
