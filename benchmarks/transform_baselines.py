"""The other side of `benchmarks.transforms`: OpenCV, scikit-image, NumPy and Pillow.

Each takes one image as 8-bit pixels and gives what its library gives, 8-bit or float.
Random numbers are NumPy's.
"""

import math
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

ONE_PROCESSOR = 1
"""OpenCV's threads: the images are spread over threads already."""


@dataclass(frozen=True)
class Baseline:
    """One operation of the usual library.

    Attributes:
        library: Its name.
        one: From an image and a generator to the result.
        comparable: Whether the result, on the scale 0 to 1, is to be near to ours.
        most: Images that are enough to time it.
    """

    library: str
    one: Callable[[np.ndarray, np.random.Generator], np.ndarray]
    comparable: bool = False
    most: int = 512

    def on(self, pixels: np.ndarray, pool: Executor, threads: int) -> list[np.ndarray]:
        """Apply it to each image; each thread takes a part of them."""
        generators = np.random.default_rng(0).spawn(threads)
        parts = pool.map(self._part, np.array_split(pixels, threads), generators)
        return [image for part in parts for image in part]

    def _part(self, pixels: np.ndarray, generator: np.random.Generator) -> list:
        return [self.one(image, generator) for image in pixels]


def baselines(size: int) -> dict[str, Baseline]:
    """By the names of `benchmarks.transforms`; without libraries that are not there."""
    found = _numpy(size) | _pillow()
    if find_spec("cv2"):
        found |= _opencv(size)
    if find_spec("skimage"):
        found["hog"] = Baseline("scikit-image", _hog, comparable=True, most=8)
    return found


def _hog(image, generator):
    from skimage.feature import hog

    _, drawn = hog(image, visualize=True, transform_sqrt=True, channel_axis=-1)
    return _stretched(drawn)


def _stretched(plane):
    plane = plane - plane.min()
    return np.stack([plane / max(plane.max(), 1e-5)] * 3, -1).astype(np.float32)


# OpenCV


def _opencv(size: int) -> dict[str, Baseline]:
    import cv2

    cv2.setNumThreads(ONE_PROCESSOR)

    def canny(image, generator):
        edges = cv2.Canny(cv2.GaussianBlur(image, (3, 3), 0), 85, 255)
        return cv2.merge([edges] * 3)

    def grey(image, generator):
        return cv2.merge([cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)] * 3)

    def blur(image, generator, sigma):
        return cv2.GaussianBlur(image, (0, 0), sigma)

    def low_resolution(image, generator):
        small = cv2.resize(image, (32, 32), interpolation=cv2.INTER_AREA)
        return cv2.resize(small, (size, size), interpolation=cv2.INTER_LINEAR)

    def pad_and_crop(image, generator):
        wide = cv2.copyMakeBorder(image, 4, 4, 4, 4, cv2.BORDER_REFLECT_101)
        top, left = generator.integers(0, 9, 2)
        return wide[top : top + size, left : left + size].copy()

    def resized_crop(image, generator):
        top, left, height, width = _box(generator, size, (0.08, 1), (3 / 4, 4 / 3))
        crop = image[top : top + height, left : left + width]
        return cv2.resize(crop, (size, size), interpolation=cv2.INTER_AREA)

    opencv = partial(Baseline, "OpenCV")
    return {
        "canny": opencv(canny, comparable=True),
        "grey": opencv(grey, comparable=True),
        "blur-3": opencv(partial(blur, sigma=3), comparable=True),
        "blur-5": opencv(partial(blur, sigma=5), comparable=True),
        "low-resolution-32": opencv(low_resolution, comparable=True),
        "pad_and_crop": opencv(pad_and_crop),
        "random_resized_crop": opencv(resized_crop),
    }


def _box(generator, size, area, ratio):
    """A random box as torchvision draws it: top, left, height, width."""
    for _ in range(10):
        pixels = size * size * generator.uniform(*area)
        aspect = math.exp(generator.uniform(*map(math.log, ratio)))
        height, width = (
            round(math.sqrt(pixels / aspect)),
            round(math.sqrt(pixels * aspect)),
        )
        if 0 < height <= size and 0 < width <= size:
            top = generator.integers(0, size - height + 1)
            return top, generator.integers(0, size - width + 1), height, width
    return 0, 0, size, size


# NumPy


def _numpy(size: int) -> dict[str, Baseline]:
    order = np.random.default_rng(0).permutation(size * size)
    patches = np.random.default_rng(0).permutation((size // 16) ** 2)
    rows, columns = np.fft.fftfreq(size, 1 / size), np.fft.rfftfreq(size, 1 / size)
    radius = np.hypot(rows[:, None], columns[None]).astype(np.float32) * (224 / size)
    disc, soft = (radius <= 40).astype(np.float32), 1 / (1 + (radius / 30) ** 4)

    def mean(image, generator):
        return np.broadcast_to(image.mean((0, 1)).astype(np.uint8), image.shape).copy()

    def filtered(image, generator, keep):
        grey = image @ np.asarray((0.299, 0.587, 0.114), np.float32) / np.float32(255)
        return _stretched(np.fft.irfft2(np.fft.rfft2(grey) * keep, grey.shape))

    def pixels(image, generator, order=None):
        if order is None:
            order = generator.permutation(size * size)
        return image.reshape(-1, 3)[order].reshape(image.shape)

    def tiles(image, generator, order=None):
        n = size // 16
        cut = image.reshape(n, 16, n, 16, 3).swapaxes(1, 2).reshape(n * n, 16, 16, 3)
        moved = cut[generator.permutation(n * n) if order is None else order]
        return moved.reshape(n, n, 16, 16, 3).swapaxes(1, 2).reshape(image.shape)

    def noise(image, generator):
        added = generator.standard_normal(image.shape, np.float32)
        return np.clip(image / np.float32(255) + np.float32(0.2) * added, 0, 1)

    def flip(image, generator):
        return (image[:, ::-1] if generator.random() < 0.5 else image).copy()

    def erase(image, generator):
        changed = image / np.float32(255)
        mean, spread = changed.mean((0, 1)), changed.std((0, 1))
        top, left, height, width = _box(generator, size, (0.02, 1 / 3), (0.3, 10 / 3))
        fill = generator.standard_normal((height, width, 3), np.float32)
        changed[top : top + height, left : left + width] = mean + spread * fill
        return changed

    def mix(image, generator):
        share = np.float32(generator.beta(0.8, 0.8))
        return share * (image / np.float32(255)) + (1 - share) * (
            image / np.float32(255)
        )

    def cut(image, generator):
        top, left, height, width = _box(generator, size, (0, 1), (1, 1))
        mixed = image.copy()
        box = slice(top, top + height), slice(left, left + width)
        mixed[box] = image[::-1][box]
        return mixed

    numpy = partial(Baseline, "NumPy")
    return {
        "mean-rgb": numpy(mean, comparable=True),
        "low-pass": numpy(partial(filtered, keep=disc), comparable=True),
        "high-pass": numpy(partial(filtered, keep=1 - disc), comparable=True),
        "butterworth-low-pass": numpy(partial(filtered, keep=soft), comparable=True),
        "butterworth-high-pass": numpy(
            partial(filtered, keep=1 - soft), comparable=True
        ),
        "pixel-shuffle-random": numpy(pixels),
        "pixel-shuffle-fixed": numpy(partial(pixels, order=order)),
        "patch-shuffle-random-16": numpy(tiles),
        "patch-shuffle-fixed-16": numpy(partial(tiles, order=patches)),
        "noise-0.2": numpy(noise),
        "random_flip": numpy(flip),
        "alternating_flip": numpy(flip),
        "random_erasing": numpy(erase),
        "mixup": numpy(mix),
        "cutmix": numpy(cut),
    }


# Pillow


def _enhanced(image, generator, strength):
    for kind in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        factor = generator.uniform(max(0, 1 - strength), 1 + strength)
        image = kind(image).enhance(factor)
    return image


def _turned(image, generator, width):
    hue, saturation, value = image.convert("HSV").split()
    turn = int(generator.uniform(-width, width) * 255) % 256
    hue = hue.point([(level + turn) % 256 for level in range(256)])
    return Image.merge("HSV", (hue, saturation, value)).convert("RGB")


def _randaugment(image, generator):
    """timm's rand-m9-mstd0.5-inc1: two of fifteen operations, each left out by a coin."""
    for _ in range(2):
        which, skipped = generator.integers(15), generator.random() < 0.5
        if not skipped:
            image = _operation(image, which, min(10, generator.normal(9, 0.5)) / 10)
    return image


def _operation(image, which, share):
    width, height = image.size
    affine = partial(
        image.transform,
        image.size,
        Image.Transform.AFFINE,
        resample=Image.Resampling.BILINEAR,
        fillcolor=(128, 128, 128),
    )
    simple = (ImageOps.autocontrast, ImageOps.equalize, ImageOps.invert)
    blends = (
        *(ImageEnhance.Color, ImageEnhance.Contrast),
        *(ImageEnhance.Brightness, ImageEnhance.Sharpness),
    )
    moves = (
        *((1, 0.3 * share, 0, 0, 1, 0), (1, 0, 0, 0.3 * share, 1, 0)),
        *(
            (1, 0, 0.45 * width * share, 0, 1, 0),
            (1, 0, 0, 0, 1, 0.45 * height * share),
        ),
    )
    if which < 3:
        return simple[which](image)
    if which < 7:
        return blends[which - 3](image).enhance(1 + 0.9 * share)
    if which < 11:
        return affine(moves[which - 7])
    if which == 11:
        fill = (128, 128, 128)
        return image.rotate(30 * share, Image.Resampling.BILINEAR, fillcolor=fill)
    if which == 12:
        return ImageOps.posterize(image, max(1, 4 - int(4 * share)))
    if which == 13:
        return ImageOps.solarize(image, 256 - int(256 * share))
    added = int(110 * share)
    table = [min(255, i + added) if i < 128 else i for i in range(256)]
    return image.point(table * 3)


def _pillow() -> dict[str, Baseline]:
    def operated(change):
        def one(image, generator):
            return np.asarray(change(Image.fromarray(image), generator))

        return one

    def colours(image, generator):
        return _turned(_enhanced(image, generator, 0.4), generator, 0.1)

    def blur(image, generator, radius):
        return image.filter(ImageFilter.GaussianBlur(radius))

    pillow = partial(Baseline, "Pillow")
    return {
        "jitter-1.0": pillow(operated(partial(_enhanced, strength=1.0))),
        "colour_jitter": pillow(operated(colours)),
        "randaugment": pillow(operated(_randaugment)),
    } | {
        f"blur-{radius}": pillow(
            operated(partial(blur, radius=radius)), comparable=True
        )
        for radius in (3, 5)
    }
