"""How fast photographs come off the disk as squares: the second part of `training`.

All readers take the same JPEG files with the same decoder and the same resizing, shuffled
but for the threads over a folder, which read them in order. The start of other processes
counts, as it does in each epoch of a short training.
"""

import io
import statistics
import tarfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from jaxbias import devices
from jaxbias.data.images import ImageFolder, squared
from jaxbias.data.pipelines import Skipped, Stream
from jaxbias.data.shards import TarShards
from jaxbias.data.sources import Source

SIDE, SIZE, BATCH, CLASSES = 256, 224, 64, 10
"""Sides of files and of squares in pixels, images of a batch, folders."""

IMAGES_A_SHARD = 500


def photograph(generator: np.random.Generator) -> bytes:
    """A JPEG file of noise that falls with frequency, as in photographs."""
    fields = generator.normal(size=(3, SIDE, SIDE // 2 + 1, 2)).view(complex)[..., 0]
    rows, columns = np.fft.fftfreq(SIDE), np.fft.rfftfreq(SIDE)
    fields /= np.hypot(rows[:, None], columns) + 1 / SIDE
    pixels = np.fft.irfft2(fields, (SIDE, SIDE)).transpose(1, 2, 0)
    pixels = 128 + 50 * (pixels - pixels.mean()) / pixels.std()
    file = io.BytesIO()
    image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    image.save(file, "JPEG", quality=90)
    return file.getvalue()


def write_files(folder: Path, count: int) -> None:
    """Photographs in a folder for each class, and the same in tar shards."""
    generator = np.random.default_rng(0)
    (folder / "shards").mkdir()
    for number in range(count):
        data, label = photograph(generator), number % CLASSES
        path = folder / "images" / f"class{label}" / f"{number:06}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        shard = folder / "shards" / f"{number // IMAGES_A_SHARD:04}.tar"
        with tarfile.open(shard, "a") as tar:
            for ending, content in (("jpg", data), ("cls", str(label).encode())):
                member = tarfile.TarInfo(f"{number:06}.{ending}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))


def in_threads(source: Source) -> int:
    """Read a source once, in order, with a thread for each processor."""

    def one(index: int) -> np.ndarray:
        return squared(source[index][0], SIZE)

    count = 0
    with ThreadPoolExecutor(devices.usable_cpus()) as pool:
        for start in range(0, len(source), BATCH):
            indices = range(start, min(start + BATCH, len(source)))
            count += len(np.stack(list(pool.map(one, indices))))
    return count


def by_grain(source: Source, workers: int) -> int:
    """Read whole batches of one epoch by the pipeline of trainings."""
    stream = Stream(
        source, Skipped(source), size=SIZE, batch=BATCH, seed=0, workers=workers
    )
    try:
        return sum(len(next(stream)[0]) for _ in range(len(source) // BATCH))
    finally:
        stream.close()


def readers(folder: Path) -> dict[tuple[str, str], Callable[[], int]]:
    """Ours, by source and by how it is read; each returns how many images it read."""
    found: dict[tuple[str, str], Callable[[], int]] = {}
    sources: dict[str, Source] = {
        "folder": ImageFolder.open(folder / "images"),
        "tar shards": TarShards.open(folder / "shards"),
    }
    for name, source in sources.items():
        found[name, "threads"] = partial(in_threads, source)
        found[name, "grain threads"] = partial(by_grain, source, 0)
        workers = devices.usable_cpus()
        found[name, "grain processes"] = partial(by_grain, source, workers)
    return found


def rates(folder: Path, rounds: int, worker: Any) -> Iterator[dict[str, Any]]:
    """Images a second of each reader, in turns, and over those of PyTorch's loader.

    Args:
        folder: As `write_files` left it.
        rounds: Turns of each.
        worker: PyTorch's side; None leaves it out.
    """
    sides = readers(folder)
    theirs = ("folder", "torch DataLoader")
    if worker is not None:
        cores = devices.usable_cpus()
        request = {"size": SIZE, "batch": BATCH, "workers": cores}
        images = str(folder / "images")
        sides[theirs] = lambda: worker.ask("read", folder=images, **request)["images"]
    speeds: dict[tuple[str, str], list[float]] = {side: [] for side in sides}
    for _ in range(rounds):
        for side, read in sides.items():
            began = time.perf_counter()
            count = read()
            speeds[side].append(count / (time.perf_counter() - began))
    for (source, reader), found in speeds.items():
        row: dict[str, Any] = {"source": source, "reader": reader}
        row["read_images_per_s_max"] = max(found)
        row["read_images_per_s"] = statistics.median(found)
        if worker is not None and (source, reader) != theirs:
            turns = zip(found, speeds[theirs], strict=True)
            row["ratio"] = statistics.median(ours / other for ours, other in turns)
        yield row
