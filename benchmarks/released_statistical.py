"""Statistical models of images as the released scripts impose them, field by field.

From the description of Baradad et al. (2021) and their port to Python: NumPy, every band of
a pyramid by complex transforms of its own, values matched by sorting. Filters are kept from
one image to the next, which the scripts compute anew.
"""

from functools import lru_cache

import numpy as np
from scipy import signal

Table = tuple[np.ndarray, np.ndarray]
"""Values, and the share of pixels up to each."""

ITERATIONS, ORIENTATIONS = 10, 4


def image(rng: np.random.Generator, size: int, kind: str = "spectrum") -> np.ndarray:
    """One image, uint8, (size, size, 3)."""
    imposed = kind.split("-")
    axes, mean, colours = _colours(rng, size)
    amplitude = _amplitude(rng, size)
    bands = [_bands(rng, size) for _ in range(3)]
    fields = 256 * rng.uniform(size=(3, size, size))
    for _ in range(ITERATIONS):
        for number in range(3):
            field = fields[number]
            if "spectrum" in imposed:
                field = _with_amplitude(field, amplitude)
            if "wmm" in imposed:
                field = _with_bands(field, bands[number])
            if "colour" in imposed:
                field = _matched(field, colours[number])
            fields[number] = field
    found = np.einsum("kyx,ck->yxc", fields, axes) + mean
    low, high = found.min(), found.max()
    return (255 * (found - low) / (high - low)).astype(np.uint8)


def _amplitude(rng: np.random.Generator, size: int) -> np.ndarray:
    middle, apart = rng.uniform(0.5, 3.5), rng.normal() * 3 / 60
    across, down = np.meshgrid(*[np.arange(size) / size - 0.5] * 2)
    total = 1e-16 + abs(across) ** (middle + apart) + abs(down) ** (middle - apart)
    found = np.fft.fftshift(1 / total)
    found[0, 0] = 0
    return found


def _with_amplitude(field: np.ndarray, amplitude: np.ndarray) -> np.ndarray:
    phase = np.angle(np.fft.fft2(field - field.mean()))
    found = np.real(np.fft.ifft2(amplitude * np.exp(1j * phase)))
    return (found - found.mean()) / found.std() * field.std() + field.mean()


def _matched(field: np.ndarray, table: Table) -> np.ndarray:
    _, where, counts = np.unique(field, return_inverse=True, return_counts=True)
    share = np.cumsum(counts) / field.size
    return np.interp(share, table[1], table[0])[where].reshape(field.shape)


def _bands(rng: np.random.Generator, size: int) -> list[Table]:
    """Of the high-pass rest and all bands but the low-pass rest."""
    sides = [size, *(len(mask) for mask in _filters(size)[1])]
    values, found = np.arange(-200, 200.5, 0.5), []
    for side in sides:
        law = np.exp(-(abs(values / 4 ** (size / side)) ** rng.uniform(0.4, 0.8)))
        found.append((values, np.cumsum(law) / law.sum()))
    return found


def _with_bands(field: np.ndarray, tables: list[Table]) -> np.ndarray:
    high, masks, low = _filters(field.shape[0])
    spectrum = np.fft.fftshift(np.fft.fft2(field, norm="ortho"))
    total = np.zeros_like(spectrum)
    _inner(total, len(low))[:] = _inner(spectrum, len(low)) * low**2
    for mask, table in zip([high, *masks], tables, strict=True):
        part = np.fft.ifftshift(_inner(spectrum, len(mask)) * mask)
        band = np.real(np.fft.ifft2(part, norm="ortho"))
        band = _matched(band, table)
        law = np.diff(table[1], prepend=0)
        band = (band - band.mean()) / band.std() * np.sqrt(law @ table[0] ** 2)
        part = np.fft.fftshift(np.fft.fft2(band, norm="ortho"))
        _inner(total, len(mask))[:] += part * mask.conj()
    return np.real(np.fft.ifft2(np.fft.ifftshift(total), norm="ortho"))


def _inner(spectrum: np.ndarray, side: int) -> np.ndarray:
    """Lowest coefficients, as a view; frequency 0 is at size // 2."""
    start = len(spectrum) // 2 - side // 2
    return spectrum[start : start + side, start : start + side]


@lru_cache(maxsize=4)
def _filters(size: int) -> tuple[np.ndarray, list[np.ndarray], np.ndarray]:
    """High-pass rest, bands from fine to coarse, low-pass rest; sizes are even."""
    places = (np.arange(size) - size // 2) / (size / 2)
    radius = np.hypot(places[None], places[:, None])
    angle = np.arctan2(places[:, None], places[None])
    octave = np.log2(np.maximum(radius, 1e-9))
    rise = lambda at: np.cos(np.pi / 2 * np.clip(octave - at, -1, 0))  # noqa: E731
    fall = lambda at: -np.sin(np.pi / 2 * np.clip(octave - at, -1, 0))  # noqa: E731
    masks, scales = [], 4 if size > 128 else 3
    for scale in range(scales):
        for number in range(ORIENTATIONS):
            lobe = np.cos(angle - np.pi * number / ORIENTATIONS) ** (ORIENTATIONS - 1)
            # The squares of four cubes add up to 5 / 4.
            mask = 1j * np.sqrt(4 / 5) * lobe * fall(-scale) * rise(-scale - 1)
            masks.append(_inner(mask, size >> scale))
    return rise(0), masks, _inner(fall(-scales), size >> scales)


def _colours(
    rng: np.random.Generator, size: int
) -> tuple[np.ndarray, np.ndarray, list[Table]]:
    """Principal components in columns, mean, and each component's histogram."""
    count = 3 + int(rng.uniform(0, 20))
    share = 0.001 + rng.uniform(size=count)
    pixels = np.repeat(
        np.arange(count), rng.multinomial(size**2, share / share.sum())
    ).reshape(size, size)
    picture = 256 * rng.uniform(size=(count, 3))[pixels]
    width = int(np.ceil(rng.uniform(0, 10)))
    box = np.ones((width, width)) / width**2
    for channel in range(3):
        picture[..., channel] = signal.convolve2d(picture[..., channel], box, "same")
    picture += 10 * rng.uniform(size=picture.shape)
    picture = 256 * (picture - picture.min()) / np.ptp(picture)
    flat = picture.reshape(-1, 3)
    mean = flat.mean(0)
    _, axes = np.linalg.eigh((flat - mean).T @ (flat - mean))
    found = []
    for values in ((flat - mean) @ axes[:, ::-1]).T:
        counts, edges = np.histogram(values, 256)
        middle = (edges[1:] + edges[:-1]) / 2
        found.append((middle, np.cumsum(counts) / size**2))
    return axes[:, ::-1], mean, found
