"""How fast images are transformed, corrupted and augmented, beside the usual libraries.

    python -m benchmarks.transforms                        # 32, 64 and 224 pixels
    python -m benchmarks.transforms --sizes 224 --only canny hog
    python -m benchmarks.transforms --alone                # ours only

Ours is one compiled program on a batch of float32 images on the first device. The others
take the same images one by one as 8-bit pixels, which are a quarter of the bytes, in a
thread for each processor: OpenCV for edges, blur, resizing and crops, scikit-image for HOG,
NumPy and Pillow for the rest. Both take turns; figures are the best and the median of them.
`share_of_copy` is the time of reading and writing the batch once over ours; `difference` is
the mean over pixels, on the scale 0 to 1, where nothing is random and both do the same.
Rows are appended to benchmarks/results/. OpenCV and scikit-image come with `pip install
'.[benchmark]'`; what is absent is left out. Takes about a minute and a half on two cores;
nothing is asserted about time.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import machine, timing, transform_baselines
from jaxbias import devices
from jaxbias.data import augmentation as augment
from jaxbias.data.randaugment import randaugment
from jaxbias.data.transforms import transform

BATCHES = {32: 512, 64: 128, 224: 16}
"""Images of a batch, by their side in pixels."""

TRANSFORMS = (
    *("grey", "mean-rgb", "canny", "hog", "low-pass", "high-pass"),
    *("butterworth-low-pass", "butterworth-high-pass"),
    *("pixel-shuffle-random", "pixel-shuffle-fixed"),
    *("patch-shuffle-random-16", "patch-shuffle-fixed-16"),
    *("jitter-1.0", "noise-0.2", "blur-3", "blur-5", "low-resolution-32"),
    "grey+pixel-shuffle-fixed",
)

Apply = Callable[[jax.Array, jax.Array], Any]


def _augmentations(size: int, count: int) -> dict[str, Apply]:
    """What trainings do to a batch; mixtures return targets too."""
    index, targets = jnp.arange(count), jnp.eye(3)[jnp.arange(count) % 3]
    colours = dict(
        zip(("brightness", "contrast", "saturation"), (0.4,) * 3, strict=True)
    )
    ranges: Any = {f"{name}_range": width for name, width in colours.items()}
    timm: Any = {"space": "timm", "magnitude_std": 0.5, "increasing": True}
    return {
        "random_flip": augment.random_flip,
        "alternating_flip": lambda key, images: augment.alternating_flip(
            key, images, index, jnp.int32(1)
        ),
        "pad_and_crop": partial(augment.pad_and_crop, padding=4, reflect=True),
        "random_resized_crop": partial(augment.random_resized_crop, size=size),
        "random_erasing": partial(augment.random_erasing, probability=1.0),
        "colour_jitter": partial(augment.colour_jitter, **ranges, hue_range=0.1),
        "mixup": lambda key, images: augment.mixup(key, images, targets, 0.8),
        "cutmix": lambda key, images: augment.cutmix(key, images, targets, 1.0),
        "randaugment": partial(randaugment, **timm),
    }


def cases(size: int, count: int) -> dict[str, Apply]:
    """Everything that is measured on a batch of images of one size, by name."""
    found: dict[str, Apply] = {}
    for name in TRANSFORMS:
        # What is left out: patches or resolutions as large as the image.
        if not (size <= 32 and name.endswith("-32")):
            found[name] = transform(name, size).apply
    return found | _augmentations(size, count)


def pictures(size: int, count: int) -> np.ndarray:
    """Noise that falls with frequency, as in photographs, in 8 bits."""
    generator = np.random.default_rng(0)
    shape = (count, size, size // 2 + 1, 3)
    fields = generator.normal(size=(*shape, 2)).view(complex)[..., 0]
    radius = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None])
    fields /= radius[None, :, :, None] + 1 / size
    pixels = np.fft.irfft2(fields, (size, size), axes=(1, 2))
    pixels -= pixels.mean((1, 2, 3), keepdims=True)
    pixels = 128 + 50 * pixels / pixels.std((1, 2, 3), keepdims=True)
    return pixels.clip(0, 255).astype(np.uint8)


@dataclass(frozen=True)
class Turns:
    """Seconds of each turn of both sides, and how many images each took in one."""

    ours: list[float]
    theirs: list[float]
    count: int
    other_count: int

    def columns(self) -> dict[str, float]:
        rates = [self.count / spent for spent in self.ours]
        found = {
            "images_per_s_max": max(rates),
            "images_per_s": statistics.median(rates),
        }
        if self.theirs:
            others = [self.other_count / spent for spent in self.theirs]
            found["other_images_per_s_max"] = max(others)
            found["other_images_per_s"] = statistics.median(others)
            turns = zip(rates, others, strict=True)
            found["ratio"] = statistics.median(a / b for a, b in turns)
        return found


def measure(
    name: str,
    apply: Apply,
    pixels: np.ndarray,
    *,
    rounds: int,
    copy: float,
    other: transform_baselines.Baseline | None,
) -> dict[str, Any]:
    """A row: compile time, images a second of both sides, and how near to a copy.

    Args:
        name: Of the case.
        apply: Ours.
        pixels: 8-bit images.
        rounds: Turns of each side.
        copy: Bytes a second that are read and written.
        other: The usual library's side.
    """
    size = pixels.shape[1]
    images = jnp.asarray(pixels, jnp.float32) / 255
    key = jax.random.key(0)
    program, spent = timing.prepared(jax.jit(apply), key, images)
    row: dict[str, Any] = {"name": name, "size": size, "batch": len(pixels)} | spent
    result = jax.block_until_ready(program(key, images))
    ours, theirs, few = [], [], pixels
    threads = devices.usable_cpus()
    with ThreadPoolExecutor(threads) as pool:
        if other is not None:
            few = pixels[: other.most]
            compared = np.stack(other.on(few, pool, threads))
            row["other"] = other.library
            if other.comparable:
                scale = 255 if compared.dtype == np.uint8 else 1
                mine = np.asarray(result)[: len(few)]
                row["difference"] = float(np.abs(mine - compared / scale).mean())
        for _ in range(rounds):
            began = time.perf_counter()
            jax.block_until_ready(program(key, images))
            ours.append(time.perf_counter() - began)
            if other is not None:
                began = time.perf_counter()
                other.on(few, pool, threads)
                theirs.append(time.perf_counter() - began)
    row |= Turns(ours, theirs, len(pixels), len(few)).columns()
    written = sum(leaf.nbytes for leaf in jax.tree.leaves(result))
    row["share_of_copy"] = (images.nbytes + written) / copy / min(ours)
    return row


def show(row: dict[str, Any]) -> None:
    """Print a row's figures in one line."""
    shown = (f"{k} {v:.4g}" if isinstance(v, float) else f"{v}" for k, v in row.items())
    print(", ".join(shown), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", nargs="+", type=int, default=list(BATCHES))
    parser.add_argument("--only", nargs="+", help="names of transforms")
    parser.add_argument("--rounds", type=int, default=7, help="turns of each side")
    parser.add_argument("--alone", action="store_true", help="time ours alone")
    parser.add_argument("--csv", type=Path, help="table that rows are appended to")
    arguments = parser.parse_args()
    # One device with all processors: a batch is one program, as in a training.
    devices.start(cpu_devices=1)
    name = f"transforms-{jax.default_backend()}-jax{jax.__version__}.csv"
    path = arguments.csv or machine.RESULTS / name
    mesh = devices.mesh()
    labels = machine.describe(mesh) | {"measured": time.strftime("%Y-%m-%d")}
    labels["threads"] = devices.usable_cpus()
    copy = machine.copy_rate(mesh)
    labels["copy_gb_per_s"] = copy / 1e9
    for size in arguments.sizes:
        pixels = pictures(size, BATCHES.get(size, 16))
        others = {} if arguments.alone else transform_baselines.baselines(size)
        rows = []
        for name, apply in cases(size, len(pixels)).items():
            if arguments.only and name not in arguments.only:
                continue
            row = measure(
                *(name, apply, pixels),
                rounds=arguments.rounds,
                copy=copy,
                other=others.get(name),
            )
            show(row)
            rows.append(labels | row)
        machine.write(rows, path)


if __name__ == "__main__":
    main()
