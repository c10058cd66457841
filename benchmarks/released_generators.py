"""The other side of `benchmarks.generators`: images an image at a time, in each core."""

import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache, partial
from importlib.util import find_spec

import numpy as np

from benchmarks import (
    released_fractals,
    released_leaves,
    released_shape_bias,
    released_statistical,
)
from benchmarks.other_side import serve

Make = Callable[[np.random.Generator, int], np.ndarray]


def _fractal(rng: np.random.Generator, size: int) -> np.ndarray:
    maps = released_fractals.contractive_maps(rng)
    return released_fractals.fractal(rng, size, *maps)


def _stylegan(rng: np.random.Generator, size: int, kind: str) -> np.ndarray:
    from benchmarks import released_stylegan

    return getattr(released_stylegan, kind)(rng, size)


MAKERS: dict[str, Make] = {
    **{
        f"dead-leaves-{kind}": partial(released_leaves.image, kind=kind)
        for kind in released_leaves.KINDS
    },
    **{
        f"stylegan-{kind}": partial(_stylegan, kind=kind)
        for kind in ("random", "highfreq", "sparse", "oriented")
    },
    **{
        kind: partial(released_statistical.image, kind=kind)
        for kind in ("spectrum", "spectrum-colour", "wmm", "spectrum-wmm-colour")
    },
    "fractal": _fractal,
    "visual-atom": released_fractals.visual_atom,
}
"""Sets whose released recipe is written down here, by the generator's name."""

NEEDS = {"dead-leaves": "cv2", "stylegan": "torch", "fractal": "PIL"}


def one(name: str, size: int, seed: int) -> int:
    """Make an image; nothing but its sum is sent back."""
    if find_spec("torch"):
        import torch

        torch.set_num_threads(1)
    return int(MAKERS[name](np.random.default_rng(seed), size).sum())


@lru_cache(maxsize=1)
def processes(count: int) -> ProcessPoolExecutor:
    """One for each core: the recipes hold Python's lock."""
    return ProcessPoolExecutor(count)


def time_images(name: str, size: int, count: int, cpus: int) -> float:
    """Seconds for so many images."""
    pool = processes(cpus)
    list(pool.map(one, [name] * cpus, [size] * cpus, range(cpus)))
    began = time.perf_counter()
    list(pool.map(one, [name] * count, [size] * count, range(count)))
    return time.perf_counter() - began


def time_shape_bias(
    embeddings: np.ndarray, labels: list[np.ndarray], images: int
) -> tuple[float, list[np.ndarray]]:
    """Seconds for the first so many images, and whether each is right, by cue and k."""
    began = time.perf_counter()
    found = [
        released_shape_bias.right(embeddings, own, range(images)) for own in labels
    ]
    return time.perf_counter() - began, found


def known() -> list[str]:
    """Sets that can be made with what is installed, and "shape-bias"."""
    found = [
        name
        for name in MAKERS
        if all(find_spec(need) for stem, need in NEEDS.items() if name.startswith(stem))
    ]
    return [*found, *(["shape-bias"] if find_spec("sklearn") else [])]


if __name__ == "__main__":
    serve(
        {"known": known, "time_images": time_images, "time_shape_bias": time_shape_bias}
    )
