"""How fast images are made from nothing, and shape bias is measured, beside released ways.

    python -m benchmarks.generators                       # all, at 32, 64 and 128 pixels
    python -m benchmarks.generators --only fractal shape-bias --sizes 64
    python -m benchmarks.generators --alone               # ours only

Ours is one compiled program over all devices, each image with a program (network, fractal,
expression) of its own, and with one of ten that are drawn once. The others make an image at
a time as the released recipes do, written from their description: dead leaves by OpenCV
leaf by leaf, FractalDB by a loop over points with Pillow, StyleGAN with all of its kernels
by PyTorch; in as many processes as there are cores. Both take turns; figures are medians
and best of them, and `ratio` is the median of the turns' ratios for images with a program
of their own, `ratio few` for the others. The search for fractals that fill their image is
left out of the other side, which is given maps: there `ratio few` compares the same work.
`bytes_of_copy` is the time of writing the pixels alone over ours.

Shape bias is that of 1,200 random embeddings with the official numbers of sources;
scikit-learn's 12,000 fits are counted up from a few images, whose answers are compared.
Rows are appended to benchmarks/results/. OpenCV and scikit-learn come with `pip install
'.[benchmark]'`, PyTorch by itself; what is absent is left out. Takes twenty minutes on
two cores; nothing is asserted about time.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from benchmarks import machine
from benchmarks.other_side import OtherSide
from benchmarks.timing import compiled, rates
from benchmarks.transforms import show
from jaxbias import devices, sweeps
from jaxbias.data.generators import catalogue
from jaxbias.probes import neighbours
from jaxbias.probes.shape_bias import Sources

SIZES = (32, 64, 128)
IMAGES = {32: 256, 64: 128, 128: 64}
"""Images of a turn, by their side."""

PROGRAMS = 10
TURN = 1.5
"""Seconds that a turn of the others should take at least, where one image is not longer."""

WIDTHS = (512, 2_048)
STIMULI, SHAPES, TEXTURES, CLASSES = 1_200, 160, 48, 16
FITTED = 12
"""Images that scikit-learn is asked for."""

Row = dict[str, Any]
Ask = Callable[..., Any]


def image_row(
    name: str, size: int, mesh: Mesh, ask: Ask | None, rounds: int, copy: float
) -> Row:
    """A generator at a size."""
    made = catalogue.generator(name, size)
    count = max(1, IMAGES.get(size, 16) // mesh.size) * mesh.size
    index = sweeps.to_mesh(np.arange(count, dtype=np.int32), mesh)
    table = jax.jit(lambda: catalogue.codes(made, 0, PROGRAMS))()
    fresh = sweeps.spread(lambda index: catalogue.images(made, 0, index), mesh)
    few = sweeps.spread(
        lambda table, index: catalogue.images(made, 0, index, table), mesh, replicated=1
    )
    ours, spent = compiled(fresh, index)
    shared, _ = compiled(few, table, index)
    other_count, theirs = 0, []
    if ask is not None:
        own = {"name": name, "size": size, "cpus": devices.usable_cpus()}
        each = ask("time_images", count=own["cpus"], **own) / own["cpus"]
        other_count = max(own["cpus"], min(200, int(TURN / each)))
    times: dict[str, list[float]] = {"ours": [], "shared": []}
    for _ in range(rounds):
        times["ours"].append(ours())
        times["shared"].append(shared())
        if ask is not None:
            theirs.append(ask("time_images", count=other_count, **own))
    row: Row = {"name": name, "size": size, "batch": count} | spent
    row |= rates("", times["ours"], count)
    row |= rates("few programs ", times["shared"], count)
    row["bytes_of_copy"] = 3 * size**2 * count / copy / min(times["ours"])
    if theirs:
        row |= rates("released ", theirs, other_count)
        for column, way in (("ratio", "ours"), ("ratio few", "shared")):
            turns = zip(times[way], theirs, strict=True)
            ratios = [(count / a) / (other_count / b) for a, b in turns]
            row[column] = statistics.median(ratios)
    return row


def bias_row(width: int, ask: Ask | None, rounds: int) -> Row:
    """The neighbours' shape bias of embeddings of so many features."""
    rng = np.random.default_rng(0)
    embeddings = rng.normal(size=(STIMULI, width)).astype(np.float32)
    of_shape = np.repeat(np.arange(CLASSES), SHAPES // CLASSES)
    of_texture = np.repeat(np.arange(CLASSES), TEXTURES // CLASSES)
    shape = rng.integers(0, SHAPES, STIMULI)
    texture = rng.integers(0, TEXTURES, STIMULI)
    # Something to find, as siblings have it.
    embeddings += rng.normal(size=(SHAPES, width))[shape]
    labels = [of_shape[shape].astype(np.int32), of_texture[texture].astype(np.int32)]
    sources = Sources(
        *(jnp.asarray(x, jnp.int32) for x in (shape, texture, of_shape, of_texture))
    )
    given = (jnp.asarray(embeddings), *map(jnp.asarray, labels), sources)
    ours, spent = compiled(neighbours.neighbour_bias, *given)
    times = [ours() for _ in range(rounds)]
    row: Row = {"name": "shape-bias", "size": width, "batch": STIMULI}
    row |= spent | rates("", times, STIMULI)
    if ask is not None:
        options = {"embeddings": embeddings, "labels": labels, "images": FITTED}
        answers = [
            ask("time_shape_bias", **options) for _ in range(max(2, rounds // 3))
        ]
        row |= rates("released ", [spent for spent, _ in answers], FITTED)
        row["ratio"] = row["images_per_s"] / row["released images_per_s"]
        row["agree"] = "yes" if _agree(given, answers[0][1]) else "no"
    return row


def _agree(given: tuple, theirs: list[np.ndarray]) -> bool:
    """Whether the same images are right, for each cue and k."""
    found = neighbours.neighbour_bias(*given)
    own = [
        neighbours.elected(nearest, labels, CLASSES) == labels[None]
        for nearest, labels in (
            (found.shape_nearest, given[1]),
            (found.texture_nearest, given[2]),
        )
    ]
    return all(
        np.array_equal(np.asarray(a)[:, :FITTED], b)
        for a, b in zip(own, theirs, strict=True)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", nargs="+", type=int, default=list(SIZES))
    parser.add_argument("--only", nargs="+", help="generators, or shape-bias")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each side")
    parser.add_argument("--alone", action="store_true", help="time ours alone")
    parser.add_argument("--csv", type=Path, help="table that rows are appended to")
    arguments = parser.parse_args()
    devices.start()
    name = f"generators-{jax.default_backend()}-jax{jax.__version__}.csv"
    path = arguments.csv or machine.RESULTS / name
    mesh = devices.mesh()
    labels = machine.describe(mesh) | {"measured": time.strftime("%Y-%m-%d")}
    labels["threads"] = devices.usable_cpus()
    copy = machine.copy_rate(mesh)
    labels["copy_gb_per_s"] = copy / 1e9
    wanted = arguments.only or [*catalogue.GENERATORS, "shape-bias"]
    with ExitStack() as stack:
        ask, known = None, []
        if not arguments.alone:
            other = stack.enter_context(OtherSide("benchmarks.released_generators"))
            ask, known = other.ask, other.ask("known")
        for name in wanted:
            own = ask if name in known else None
            rows = []
            for size in WIDTHS if name == "shape-bias" else arguments.sizes:
                if name == "shape-bias":
                    row = bias_row(size, own, arguments.rounds)
                else:
                    row = image_row(name, size, mesh, own, arguments.rounds, copy)
                show(row)
                rows.append(labels | row)
            machine.write(rows, path)


if __name__ == "__main__":
    main()
