"""How fast the stimuli of the bias probes are made, and beside what.

    python -m benchmarks.bias_probes                           # all parts
    python -m benchmarks.bias_probes critical-band spectral    # some
    python -m benchmarks.bias_probes --no-peers                # ours alone

- `critical-band`: all 29 conditions of images of 224 pixels, from one noise an image.
  Beside them the released route: pyrtools for each image and condition, each with its own
  noise, in a process for each core; and the same with its loop over pixels ("released")
  replaced by one expression ("at once").
- `spectral`: all 22 conditions at 224 and 32 pixels, by transforms and by products, all
  together and one by one. Beside them NumPy's and PyTorch's FFT for each condition, in a
  thread for each core.
- `corruptions`: each of ImageNet-C and ImageNet-C-bar at 224 pixels, severity 3, with the
  share of the time that copying the images would take.
- `profile`: stimuli and answers of a ResNet-50 for every condition of both probes, and
  from it the hours of the 2.55 million answers that the bias profile takes, of one model
  and of 48 that share stimuli.
- `stacked`: networks of one architecture in turn or at once; see `stacked_networks`.

Stimuli are made image by image on each device in one buffer, which is overwritten: as in a
probe, they are used and not kept. Sides take turns; figures are the best and the median of
them, and a ratio is printed only where both sides make the same of given images. Rows are
appended to benchmarks/results/. pyrtools and PyTorch are installed apart; what is absent is
left out. Takes about eight minutes on two cores; nothing is asserted about time.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh

from benchmarks import machine
from benchmarks.other_side import OtherSide
from benchmarks.stacked_networks import stacked_rows
from benchmarks.timing import compiled, rates
from benchmarks.training import alternated
from benchmarks.transforms import pictures, show
from jaxbias import devices, sweeps
from jaxbias.data.imagenet_c import CORRUPTIONS
from jaxbias.data.imagenet_c_bar import CORRUPTIONS as BAR_CORRUPTIONS
from jaxbias.models import catalogue
from jaxbias.probes import critical_band, spectral_bias

SIDE = 224
VALIDATION = 50_000
"""Images of ImageNet that both probes go over."""
CUES = 1_280 + 800
"""Images with a conflict of cues, and stylised ones: one answer each."""
MODELS = 48

Row = dict[str, Any]


@dataclass(frozen=True)
class Setting:
    """What all parts are told.

    Attributes:
        mesh: All devices.
        other: The other side, or None.
        peers: Its libraries.
        seconds: To spend on each side.
        copy: Bytes a second that are read and written.
    """

    mesh: Mesh
    other: OtherSide | None
    peers: tuple[str, ...]
    seconds: float
    copy: float

    def images(self, each: int, side: int) -> np.ndarray:
        """8-bit images, so many for each device."""
        return pictures(side, each * self.mesh.size)


def overwritten(make: Callable) -> Callable:
    """Make one image's stimuli after the other in one buffer: nothing can be left out.

    Args:
        make: Of an image and its key, or of whatever has a leading axis of images.
    """

    def run(*images: Any) -> Any:
        def one(_: Any, image: tuple) -> tuple[Any, None]:
            return make(*image), None

        first = jax.tree.map(lambda array: array[0], images)
        shapes = jax.eval_shape(make, *first)
        blank = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
        last, _ = lax.scan(one, blank, images)
        return jax.tree.map(lambda made: made.reshape(len(made), -1)[None, :, 0], last)

    return run


def on(images: np.ndarray, mesh: Mesh) -> jax.Array:
    return sweeps.to_mesh(images.astype(np.float32) / 255, mesh)


def keys(count: int, mesh: Mesh) -> jax.Array:
    drawn = jax.random.split(jax.random.key(0), count)
    return jax.device_put(drawn, jax.NamedSharding(mesh, jax.P(mesh.axis_names[0])))


def share_of_copy(setting: Setting, make: Callable, each: float, *given: Any) -> Row:
    """How near to writing the stimuli once; the column, of so many images a second."""
    first = jax.tree.map(lambda array: array[0], given)
    leaves = jax.tree.leaves(jax.eval_shape(make, *first))
    written = sum(leaf.size * leaf.dtype.itemsize for leaf in leaves)
    return {"share_of_copy": each * written / setting.copy}


def beside(
    ours: Callable[[], float],
    theirs: dict[str, Callable[[], float]],
    *,
    counts: tuple[int, int],
    seconds: float,
    agreed: dict[str, bool],
) -> Row:
    """Both sides' images a second, and ratios where they agree.

    Args:
        ours: Takes a turn, gives its seconds.
        theirs: By name.
        counts: Images of a turn: ours and theirs.
        seconds: To spend on each side.
        agreed: Whether a side makes of given images what ours does.
    """
    for take in theirs.values():
        take()
    times = alternated({"ours": ours} | theirs, seconds)
    mine = [spent / counts[0] for spent in times["ours"]]
    row: Row = rates("", times["ours"], counts[0])
    for name in theirs:
        row |= rates(f"{name} ", times[name], counts[1])
        turns = zip(times[name], mine, strict=True)
        ratio = statistics.median(spent / counts[1] / own for spent, own in turns)
        row[f"ratio {name}"] = ratio if agreed[name] else "disagree"
    return row


# Critical band


def same_noise(setting: Setting, kind: str) -> bool:
    """Whether pyrtools makes the same stimuli of an image and its white noise."""
    assert setting.other is not None
    (pixels,) = pictures(SIDE, 1)
    key = jax.random.key(1)
    # As `prepare` draws it.
    white = jax.random.normal(jax.random.clone(key), (SIDE * SIDE,))
    made = jax.jit(critical_band.stimuli)(jnp.asarray(pixels / 255, jnp.float32), key)
    given = setting.other.ask(
        "given_critical_band",
        pixels=pixels,
        kind=kind,
        white=np.asarray(white, float).reshape(SIDE, SIDE),
    )
    # A pixel within rounding of 0 or 1 may be put inside on one side alone.
    return bool(np.mean(np.abs(made - given) > 1e-5) < 1e-5)


def noise_by_noise(image: jax.Array, key: jax.Array) -> jax.Array:
    """All conditions of an image in one buffer, as where each is answered at once."""
    prepared = critical_band.prepare(image, key)

    def one(_: jax.Array, number: jax.Array) -> tuple[jax.Array, None]:
        return critical_band.stimulus(prepared, number), None

    numbers = jnp.arange(len(critical_band.conditions(SIDE)))
    return lax.scan(one, jnp.zeros(image.shape), numbers)[0]


def critical_band_rows(setting: Setting) -> Iterator[Row]:
    """Two rows: conditions of an image held together, and one by one."""
    mesh, other, cpus = setting.mesh, setting.other, devices.usable_cpus()
    images = setting.images(8, SIDE)
    few = list(images[:cpus])
    theirs, agreed = {}, {}
    if other is not None and "pyrtools" in setting.peers:
        for kind in ("released", "at once"):
            theirs[kind] = partial(
                *(other.ask, "time_critical_band"),
                **{"images": few, "kind": kind, "cpus": cpus, "seed": 0},
            )
            agreed[kind] = same_noise(setting, kind)
    ways = {"together": critical_band.stimuli, "one by one": noise_by_noise}
    given = on(images, mesh), keys(len(images), mesh)
    for way, make in ways.items():
        program = sweeps.spread(overwritten(make), mesh)
        ours, spent = compiled(program, *given)
        row: Row = {"name": "critical-band", "size": SIDE, "batch": len(images)}
        row |= {"conditions": len(critical_band.conditions(SIDE))} | spent
        row |= {"way": way} | beside(
            *(ours, theirs),
            counts=(len(images), len(few)),
            seconds=setting.seconds,
            agreed=agreed,
        )
        # However they are gone over, they are as many.
        each, stimuli = row["images_per_s_max"], critical_band.stimuli
        yield row | share_of_copy(setting, stimuli, each, *given)


# Spectral bias


def one_by_one(image: jax.Array, *, form: spectral_bias.Form) -> jax.Array:
    """All conditions of an image by their numbers, as a traced loop over them is."""
    numbers = jnp.arange(len(spectral_bias.CONDITIONS))
    make = partial(spectral_bias.stimulus, image[None], form=form)
    return lax.map(lambda number: make(number)[0], numbers)


def same_filters(setting: Setting, kind: str, size: int, make: Callable) -> bool:
    """Whether the other side's transforms leave the same of an image."""
    assert setting.other is not None
    image = (pictures(size, 1)[0] / 255).astype(np.float32)
    made = jnp.moveaxis(jax.jit(make)(jnp.asarray(image)), 3, 1)
    planes = np.ascontiguousarray(np.moveaxis(image, 2, 0))
    given = setting.other.ask("given_spectral", planes=planes, kind=kind)
    return bool(np.abs(made - given).max() < 1e-5)


def spectral_rows(setting: Setting) -> Iterator[Row]:
    """A row for each size, form, and way of going over the conditions."""
    mesh, other, cpus = setting.mesh, setting.other, devices.usable_cpus()
    for size, each in ((SIDE, 4), (32, 64)):
        images = setting.images(each, size)
        planes = np.moveaxis(images.astype(np.float32) / 255, 3, 1)
        few = list(np.ascontiguousarray(planes[: cpus * (1 if size == SIDE else 16)]))
        ways = {"together": spectral_bias.stimuli, "one by one": one_by_one}
        for way, form in ((w, f) for w in ways for f in ("fft", "matmul")):
            make = partial(ways[way], form=form)
            program = sweeps.spread(overwritten(make), mesh)
            ours, spent = compiled(program, on(images, mesh))
            theirs, agreed = {}, {}
            for kind in ("numpy", "torch"):
                if other is None or kind not in setting.peers:
                    continue
                asked = {"images": few, "kind": kind, "cpus": cpus}
                theirs[kind] = partial(other.ask, "time_spectral", **asked)
                agreed[kind] = same_filters(setting, kind, size, make)
            row: Row = {"name": "spectral", "size": size, "batch": len(images)}
            row |= {"way": way, "form": form} | spent
            row |= beside(
                *(ours, theirs),
                counts=(len(images), len(few)),
                seconds=setting.seconds,
                agreed=agreed,
            )
            each = row["images_per_s_max"]
            yield row | share_of_copy(setting, make, each, on(images, mesh))


# Corruptions


def corruption_rows(setting: Setting) -> Iterator[Row]:
    """A row for each of the 29, at severity 3."""
    mesh = setting.mesh
    images = setting.images(4, SIDE)
    given = keys(len(images), mesh), on(images, mesh)
    for name, corrupt in (CORRUPTIONS | BAR_CORRUPTIONS).items():

        def all_of(keys: jax.Array, images: jax.Array, corrupt=corrupt) -> jax.Array:
            return lax.map(lambda each: corrupt(*each, jnp.int32(3)), (keys, images))

        call, spent = compiled(sweeps.spread(all_of, mesh), *given)
        times = alternated({"ours": call}, setting.seconds / 10)["ours"]
        row: Row = {"name": name, "size": SIDE, "batch": len(images)}
        row |= spent | rates("", times, len(images))
        row["share_of_copy"] = 2 * given[1].nbytes / setting.copy / min(times)
        yield row


# Profile


def spectral_stimuli(image: jax.Array, key: jax.Array) -> jax.Array:
    return spectral_bias.stimuli(image)


PROBES: dict[str, Callable] = {
    "critical-band": critical_band.stimuli,
    "spectral": spectral_stimuli,
}


def network() -> tuple[Callable, Any]:
    """A ResNet-50 with random weights: `predict`, and its variables."""
    entry = catalogue.entry("resnet50")
    model = catalogue.build("resnet50", 1000)
    start = jax.jit(partial(model.init, train=False))
    variables = start(jax.random.key(0), jnp.zeros((1, SIDE, SIDE, 3)))
    mean, sd = (jnp.asarray(x)[None, None, None] for x in (entry.mean, entry.sd))

    def predict(variables: Any, images: jax.Array) -> jax.Array:
        return model.apply(variables, (images - mean) / sd)[0]  # type: ignore[index]

    return predict, variables


def profile_rows(setting: Setting) -> Iterator[Row]:
    """A row for each probe, and one that adds them up."""
    mesh = setting.mesh
    # One image's conditions are a batch; an accelerator takes more of them at once.
    together = 1 if jax.default_backend() == "cpu" else 8
    predict, variables = network()
    images = setting.images(together, SIDE)
    given = on(images, mesh), keys(len(images), mesh)
    hours = {"forward": 0.0, "both": 0.0}
    for name, make in PROBES.items():

        def answers(variables: Any, images: jax.Array, keys: jax.Array, make=make):
            def batch(pairs: tuple) -> jax.Array:
                stimuli = jax.vmap(make)(*pairs)
                flat = stimuli.reshape(-1, SIDE, SIDE, 3)
                logits = predict(variables, flat)
                return jnp.argmax(logits, -1).reshape(stimuli.shape[:2])

            groups = jax.tree.map(
                lambda a: a.reshape(-1, together, *a.shape[1:]), (images, keys)
            )
            return lax.map(batch, groups)

        program = sweeps.spread(answers, mesh, replicated=1)
        whole, spent = compiled(program, variables, *given)
        making, _ = compiled(sweeps.spread(overwritten(make), mesh), *given)
        times = alternated({"whole": whole, "making": making}, setting.seconds)
        each = {key: statistics.median(s) / len(images) for key, s in times.items()}
        first = jax.tree.map(lambda array: array[0], given)
        conditions = jax.eval_shape(make, *first).shape[0]
        hours["both"] += each["whole"] * VALIDATION / 3600
        forward = each["whole"] - each["making"]
        hours["forward"] += forward * VALIDATION / 3600
        row: Row = {"name": f"profile {name}", "size": SIDE, "batch": len(images)}
        row |= {"conditions": conditions} | spent
        row |= rates("", times["whole"], len(images))
        row["answers_per_s"] = conditions / each["whole"]
        yield row | {"share_of_stimuli": each["making"] / each["whole"]}
    # An answer to a conflict of cues takes as long as the mean of these.
    hours = {key: value * (1 + _more()) for key, value in hours.items()}
    row = {"name": "profile", "size": SIDE, "hours_one": hours["both"]}
    shared = hours["both"] + (MODELS - 1) * hours["forward"]
    yield row | {f"hours_{MODELS}": shared}


def _more() -> float:
    """Answers to cues, which are given once, as a share of those of both probes."""
    conditions = len(critical_band.conditions(SIDE)) + len(spectral_bias.CONDITIONS)
    return CUES / (VALIDATION * conditions)


PARTS: dict[str, Callable[[Setting], Iterator[Row]]] = {
    "critical-band": critical_band_rows,
    "spectral": spectral_rows,
    "corruptions": corruption_rows,
    "profile": profile_rows,
    "stacked": lambda setting: stacked_rows(setting.mesh, setting.seconds),
}


def run(parts: Sequence[str], setting: Setting, path: Path, labels: Row) -> None:
    """Measure part by part, printing and keeping each row."""
    for part in parts:
        for row in PARTS[part](setting):
            show(row)
            machine.write([labels | row], path)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; all of them")
    parser.add_argument("--seconds", type=float, default=10, help="for each side")
    parser.add_argument("--no-peers", action="store_true", help="time ours alone")
    parser.add_argument("--no-torch", action="store_true", help="leave PyTorch out")
    parser.add_argument("--csv", type=Path, help="table that rows are appended to")
    arguments = parser.parse_args()
    parts = arguments.parts or list(PARTS)
    if unknown := set(parts) - set(PARTS):
        parser.error(f"no part {', '.join(unknown)}: there are {', '.join(PARTS)}")
    devices.start()
    mesh = devices.mesh()
    labels = machine.describe(mesh) | {"measured": time.strftime("%Y-%m-%d")}
    copy = machine.copy_rate(mesh)
    labels |= {"threads": devices.usable_cpus(), "copy_gb_per_s": copy / 1e9}
    name = f"bias-probes-{jax.default_backend()}-jax{jax.__version__}.csv"
    path = arguments.csv or machine.RESULTS / name
    side = "benchmarks.bias_baselines"
    with nullcontext() if arguments.no_peers else OtherSide(side) as other:
        peers = [] if other is None else other.ask("installed")
        if arguments.no_torch:
            peers = [library for library in peers if library != "torch"]
        setting = Setting(mesh, other, tuple(peers), arguments.seconds, copy)
        run(parts, setting, path, labels)


if __name__ == "__main__":
    main()
