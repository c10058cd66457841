"""Make images piece by piece, measure them and write them, each piece once."""

import io
import shutil
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from PIL import Image

from jaxbias.data.generators import catalogue
from jaxbias.data.generators.catalogue import Generator
from jaxbias.numerics import diversity, low_level
from jaxbias.runs import RunDirectory, write_atomic
from jaxbias.studies.synthetic_shape_bias.generate.config import Config
from jaxbias.terminal import Reporter

BATCH_PIXELS = 2**20
"""Pixels that are drawn by one call: few images, so that progress is seen."""

QUALITY = 95

OPTIONS = {
    "png": {"compress_level": 4},
    "jpeg": {"quality": QUALITY, "subsampling": 0},
    "webp": {"lossless": True},
}
ENDINGS = {"png": "png", "jpeg": "jpg", "webp": "webp"}

Columns = dict[str, np.ndarray]


class Drawing:
    """Draws and measures images of a set by their numbers, with one compiled program."""

    def __init__(self, made: Generator, config: Config) -> None:
        seed, count = np.uint32(config.seed), config.programs
        self._batch = max(1, min(config.piece, BATCH_PIXELS // config.size**2))
        self._table = None
        if count is not None:
            draw = jax.jit(lambda seed: catalogue.codes(made, seed, count))
            self._table = draw(seed)

        @jax.jit
        def draw(index: Array, table: catalogue.Code) -> tuple[Array, ...]:
            pixels, labels = catalogue.images(made, seed, index, table)
            planes = low_level.grey(pixels.astype(jnp.float32) / 255)
            return (
                *(pixels, labels),
                diversity.spectral_slope(planes),
                diversity.gradient_kurtosis(planes),
                *(jnp.mean(planes, axis=(1, 2)), jnp.std(planes, axis=(1, 2))),
            )

        self._draw = draw

    def __call__(self, numbers: np.ndarray) -> tuple[np.ndarray, Columns]:
        """Pixels, and a row for each image; see `written`."""
        found = []
        for own in np.split(numbers, range(self._batch, len(numbers), self._batch)):
            # Filled with the last one, so that one program serves all.
            places = np.minimum(np.arange(self._batch), len(own) - 1)
            drawn = self._draw(jnp.asarray(own[places], jnp.int32), self._table)
            found.append([np.asarray(x)[: len(own)] for x in drawn])
        pixels, labels, *measures = (
            np.concatenate(values) for values in zip(*found, strict=True)
        )
        names = ("slope", "kurtosis", "mean", "deviation")
        return pixels, {
            "number": numbers,
            "program": labels.astype(np.int64),
            **{n: x.astype(np.float64) for n, x in zip(names, measures, strict=True)},
        }


def written(
    drawn: Drawing, config: Config, directory: RunDirectory, reporter: Reporter
) -> Columns:
    """Write all images that are not written yet.

    Returns:
        A row for each image: `number`, `program`, `slope`, `kurtosis`, `mean` and
        `deviation`.
    """
    folder = directory.path / "images"
    if folder.exists() and not directory.chunk_names():
        # Of an earlier run that was overwritten, or of one that was cut at once.
        shutil.rmtree(folder)
    found: list[Columns] = []
    with reporter.progress("images") as progress:
        progress.start(float(config.n), 0, 0.0)
        for first in range(0, config.n, config.piece):
            numbers = np.arange(first, min(first + config.piece, config.n))
            name = f"piece-{first:08d}"
            columns = directory.load_chunk(name)
            if columns is None:
                pixels, columns = drawn(numbers)
                _write(pixels, columns, config, folder)
                # Last: a piece counts when all of its images are there.
                directory.save_chunk(name, columns)
            found.append(columns)
            progress.advance(len(numbers), float(len(numbers)))
    return {name: np.concatenate([one[name] for one in found]) for name in found[0]}


def _write(pixels: np.ndarray, columns: Columns, config: Config, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    with ThreadPoolExecutor() as pool:
        files = list(pool.map(lambda image: encoded(image, config.encoding), pixels))
    ending = ENDINGS[config.encoding]
    numbers, programs = columns["number"].tolist(), columns["program"].tolist()
    if config.form == "tar":
        name = f"{config.data}-{numbers[0] // config.piece:06d}.tar"
        write_atomic(folder / name, _shard(files, numbers, programs, ending))
        return
    for data, number, program in zip(files, numbers, programs, strict=True):
        place = folder / class_name(program, config)
        place.mkdir(exist_ok=True)
        (place / f"{number:08d}.{ending}").write_bytes(data)


def class_name(program: int, config: Config) -> str:
    """The folder of a program's images."""
    return config.data if config.programs is None else f"{program:05d}"


def encoded(image: np.ndarray, encoding: str) -> bytes:
    """A file of an image, uint8."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, format=encoding, **OPTIONS[encoding])
    return file.getvalue()


def _shard(
    files: list[bytes], numbers: list[int], programs: list[int], ending: str
) -> bytes:
    """A WebDataset shard; the same images give the same bytes."""
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w", format=tarfile.USTAR_FORMAT) as shard:
        for data, number, program in zip(files, numbers, programs, strict=True):
            for end, content in ((ending, data), ("cls", str(program).encode())):
                member = tarfile.TarInfo(f"{number:08d}.{end}")
                member.size = len(content)
                shard.addfile(member, io.BytesIO(content))
    return whole.getvalue()
