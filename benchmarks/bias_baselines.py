"""Stimuli of the bias probes as released scripts make them, one condition after another.

Runs as a process of its own, which holds no JAX; see `other_side`.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from functools import lru_cache
from importlib.util import find_spec

import numpy as np
from PIL import Image

from benchmarks.other_side import serve

BANDS = 7
SDS = (0.02, 0.04, 0.08, 0.16)

Pixels = np.ndarray
"""An 8-bit image, (side, side, channel)."""

# Critical band


def low_contrast(pixels: Pixels) -> np.ndarray:
    grey = np.asarray(Image.fromarray(pixels).convert("L")) / 255
    return (grey - grey.mean()) * 0.2 + 0.449


def one_band(noise: np.ndarray, band: int) -> np.ndarray:
    """What one level of the pyramid alone gives, at the RMS of the finest."""
    import pyrtools

    pyramid = pyrtools.pyramids.LaplacianPyramid(noise)
    alone = pyramid.recon_pyr(levels=BANDS - 1 - band)
    finest = pyramid.recon_pyr(levels=0)
    return alone * np.sqrt(np.mean(finest**2) / np.mean(alone**2))


def moved_in_a_loop(image: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Change the image pixel by pixel where the noise takes it out of 0 to 1."""
    noisy = image + noise
    if noisy.min() < 0 or noisy.max() > 1:
        rows, columns = noisy.shape
        for row in range(rows):
            for column in range(columns):
                if noisy[row, column] < 0 or noisy[row, column] > 1:
                    end = 0.1 if noisy[row, column] < 0 else 0.9
                    image[row, column] = end - noise[row, column]
        noisy = image + noise
    return noisy


def moved_at_once(image: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """The same in one expression."""
    noisy = image + noise
    return np.where(noisy < 0, 0.1, np.where(noisy > 1, 0.9, noisy))


INSIDE = {"released": moved_in_a_loop, "at once": moved_at_once}


def noisy(pixels: Pixels, kind: str, band: int, noise: np.ndarray | None) -> np.ndarray:
    """One condition of an image, with white noise of its SD; channels last."""
    grey = low_contrast(pixels)
    if noise is not None:
        grey = INSIDE[kind](grey, one_band(noise, band))
    grey = grey.astype(np.float32)
    return np.stack([grey, grey, grey], axis=2)


def all_noisy(pixels: Pixels, kind: str, seed: int) -> None:
    """All conditions of an image, each with its own noise and from the start."""
    rng = np.random.default_rng(seed)
    noisy(pixels, kind, 0, None)
    for sd in SDS:
        for band in range(BANDS):
            noisy(pixels, kind, band, rng.standard_normal(pixels.shape[:2]) * sd)


@lru_cache(maxsize=1)
def processes(count: int) -> Executor:
    """One for each core: the loops over pixels hold Python's lock."""
    return ProcessPoolExecutor(count)


def time_critical_band(
    images: Sequence[Pixels], kind: str, cpus: int, seed: int
) -> float:
    """Seconds for all conditions of all images."""
    pool = processes(cpus)
    count = len(images)
    began = time.perf_counter()
    list(pool.map(all_noisy, images, [kind] * count, range(seed, seed + count)))
    return time.perf_counter() - began


def given_critical_band(pixels: Pixels, kind: str, white: np.ndarray) -> np.ndarray:
    """All conditions of an image from one piece of white noise."""
    made = [noisy(pixels, kind, 0, None)]
    for sd in SDS:
        made += [noisy(pixels, kind, band, white * sd) for band in range(BANDS)]
    return np.stack(made)


# Spectral bias


def half_widths(side: int) -> list[tuple[str, int]]:
    """Of each condition's square: what it passes, and half its side."""
    cut_offs = [0.01, *np.arange(0.1, 0.99, 0.1), 0.99]
    return [("low", int(cut * (side // 2))) for cut in cut_offs] + [
        ("high", int((1 - cut) * (side // 2))) for cut in cut_offs
    ]


def mask_of(side: int, kind: str, half: int) -> np.ndarray:
    mask = np.full((side, side), kind == "high", np.float32)
    square = slice(side // 2 - half, side // 2 + half)
    mask[square, square] = kind == "low"
    return mask


def by_numpy(planes: np.ndarray, kind: str, half: int) -> np.ndarray:
    """One condition of float32 planes, (channel, side, side)."""
    fft, axes = np.fft, (1, 2)
    mask = mask_of(planes.shape[1], kind, half)
    kept = fft.fftshift(fft.fft2(planes), axes=axes) * mask
    return fft.ifft2(fft.ifftshift(kept, axes=axes)).real.clip(0, 1)


def by_torch(planes: np.ndarray, kind: str, half: int) -> np.ndarray:
    """The same as released."""
    import torch
    from torch import fft

    mask = torch.from_numpy(mask_of(planes.shape[1], kind, half))
    kept = fft.fftshift(fft.fft2(torch.from_numpy(planes)), dim=(1, 2)) * mask
    return fft.ifft2(fft.ifftshift(kept, dim=(1, 2))).real.clip(0, 1).numpy()


FILTERS: dict[str, Callable] = {"numpy": by_numpy, "torch": by_torch}


def all_filtered(kind: str, planes: np.ndarray) -> None:
    for passed, half in half_widths(planes.shape[1]):
        FILTERS[kind](planes, passed, half)


@lru_cache(maxsize=1)
def threads(count: int) -> Executor:
    """One for each core, as a loader's workers: transforms let go of Python's lock."""
    if find_spec("torch"):
        import torch

        torch.set_num_threads(1)
    return ThreadPoolExecutor(count)


def time_spectral(images: Sequence[np.ndarray], kind: str, cpus: int) -> float:
    """Seconds for all conditions of float32 planes."""
    pool = threads(cpus)
    began = time.perf_counter()
    list(pool.map(all_filtered, [kind] * len(images), images))
    return time.perf_counter() - began


def given_spectral(planes: np.ndarray, kind: str) -> np.ndarray:
    """All conditions of one image, channels first."""
    conditions = half_widths(planes.shape[1])
    return np.stack([FILTERS[kind](planes, *condition) for condition in conditions])


def installed() -> list[str]:
    """Which of the libraries are."""
    return [name for name in ("pyrtools", "numpy", "torch") if find_spec(name)]


if __name__ == "__main__":
    serve(
        {
            "installed": installed,
            "time_critical_band": time_critical_band,
            "given_critical_band": given_critical_band,
            "time_spectral": time_spectral,
            "given_spectral": given_spectral,
        }
    )
