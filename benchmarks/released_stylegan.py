"""Untrained StyleGAN2 images the plain way, in PyTorch: an image at a time, all kernels.

Written from the description of the networks (Karras et al. 2020, Baradad et al. 2021):
every layer multiplies out a kernel for each pair of an output and an input channel,
modulates and demodulates it, and convolves. What is random is drawn by NumPy.
"""

from functools import lru_cache

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

from jaxbias.data.generators import wavelets
from jaxbias.data.generators.stylegan import COLOURS, MOST

LATENTS = 512

FILTER = torch.tensor([1.0, 3.0, 3.0, 1.0])
FILTER = torch.outer(FILTER, FILTER)[None, None] / 16
"""Of doubling a picture: four times the mean, for three of four pixels are zeros."""


def random(rng: np.random.Generator, size: int, channels: int = LATENTS) -> np.ndarray:
    """Normal weights, no noise; a power of two pixels a side."""
    return _made(rng, _network(size, channels, True), "random", size)


def highfreq(
    rng: np.random.Generator, size: int, channels: int = LATENTS
) -> np.ndarray:
    """A signed wavelet for each input channel, 1 / frequency^a noise."""
    return _made(rng, _network(size, channels, False), "highfreq", size)


def sparse(rng: np.random.Generator, size: int, channels: int = LATENTS) -> np.ndarray:
    """The same wavelets, noise under an envelope, positive biases."""
    return _made(rng, _network(size, channels, False), "sparse", size)


def oriented(
    rng: np.random.Generator, size: int, channels: int = LATENTS
) -> np.ndarray:
    """Four to eight real wavelets for all layers, one map of noise, biases of any sign."""
    return _made(rng, _network(size, channels, False), "oriented", size)


@lru_cache(maxsize=2)
def _network(size: int, channels: int, dense: bool) -> dict[str, list]:
    """Its constant, the matrices of its styles and, if they are normal, its weights.

    Kept: it serves 400 images, and would be a small part of their time.
    """
    rng = np.random.default_rng([size, channels])
    blocks = size.bit_length() - 2
    widths = [min(MOST // (4 << block), channels) for block in range(blocks)]
    inner = [widths[i // 2] for i in range(2 * blocks - 1)]
    outer = [widths[(i + 1) // 2] for i in range(2 * blocks - 1)]
    return {
        "widths": widths,
        "constant": [_normal(rng, 1, widths[0], 4, 4)],
        "styles": [_normal(rng, n, LATENTS) / LATENTS**0.5 for n in inner],
        "colour_styles": [_normal(rng, n, LATENTS) / LATENTS**0.5 for n in widths],
        "weights": [_normal(rng, o, i, 3, 3) for o, i in zip(outer, inner, strict=True)]
        if dense
        else [],
        "colours": [_normal(rng, 3, n, 1, 1) for n in widths],
    }


def _normal(rng: np.random.Generator, *shape: int) -> torch.Tensor:
    return torch.from_numpy(rng.standard_normal(shape, np.float32))


def _made(
    rng: np.random.Generator, network: dict[str, list], kind: str, size: int
) -> np.ndarray:
    with torch.no_grad():
        picture = _synthesis(rng, network, kind)[0].numpy().transpose(1, 2, 0)
    picture = (picture - picture.mean((0, 1))) / picture.std((0, 1))
    mean, spread = COLOURS[0] + COLOURS[1] * rng.standard_normal((2, 3))
    picture = np.clip(spread * picture + mean, 0, 1)
    return np.round(255 * picture).astype(np.uint8)


def _synthesis(
    rng: np.random.Generator, network: dict[str, list], kind: str
) -> torch.Tensor:
    widths = network["widths"]
    weights, colours = network["weights"], network["colours"]
    if kind != "random":
        weights = _wavelet_weights(rng, widths, kind)
        colours = [_normal(rng, 3, n, 1, 1) for n in widths]
    low, high = {"sparse": (0, 0.2), "oriented": (-0.2, 0.2)}.get(kind, (0, 0))
    latents = functional.leaky_relu(_normal(rng, 2 * len(widths), LATENTS), 0.2)
    side = 4 << len(widths) - 1
    shared = _enveloped(rng, side) if kind == "oriented" else None
    x, picture = network["constant"][0], None
    for layer, weight in enumerate(weights):
        style = 1 + network["styles"][layer] @ latents[layer]
        x = _modulated(x, weight, style, layer % 2 == 1)
        if kind != "random":
            noise = _noise(rng, kind, x.shape[-1], shared)
            bias = rng.uniform(low, high, (1, x.shape[1], 1, 1)).astype(np.float32)
            x = x + float(rng.uniform(0, 0.3)) * noise + torch.from_numpy(bias)
        x = functional.relu(x) * 2**0.5
        if layer % 2:
            continue
        block = layer // 2
        style = 1 + network["colour_styles"][block] @ latents[layer + 1]
        scaled = colours[block] * style[None, :, None, None] / len(style) ** 0.5
        new = functional.conv2d(x, scaled)
        picture = new if picture is None else _doubled(picture) + new
    assert picture is not None
    return picture


def _wavelet_weights(
    rng: np.random.Generator, widths: list[int], kind: str
) -> list[torch.Tensor]:
    bank = wavelets.oriented() if kind == "oriented" else wavelets.signed()
    if kind == "oriented":
        bank = bank[rng.permutation(len(bank))[: rng.integers(4, 9)]]
    found = []
    for layer in range(2 * len(widths) - 1):
        inner, outer = widths[layer // 2], widths[(layer + 1) // 2]
        one = torch.from_numpy(bank[rng.integers(len(bank), size=inner)]).float()
        found.append(_normal(rng, outer, 1, 1, 1) * one[None])
    return found


def _modulated(
    x: torch.Tensor, weight: torch.Tensor, style: torch.Tensor, double: bool
) -> torch.Tensor:
    weight = weight * style[None, :, None, None]
    weight = weight * torch.rsqrt((weight**2).sum((1, 2, 3), keepdim=True) + 1e-8)
    if not double:
        return functional.conv2d(x, weight, padding=1)
    # Convolution turns the kernel of a correlation around.
    turned = weight.flip(2, 3).transpose(0, 1)
    x = functional.conv_transpose2d(x, turned, stride=2)
    return functional.conv2d(
        x, FILTER.expand(x.shape[1], 1, 4, 4), padding=1, groups=x.shape[1]
    )


def _doubled(picture: torch.Tensor) -> torch.Tensor:
    filters = FILTER.expand(3, 1, 4, 4)
    return functional.conv_transpose2d(picture, filters, stride=2, padding=1, groups=3)


def _noise(
    rng: np.random.Generator, kind: str, side: int, shared: torch.Tensor | None
) -> torch.Tensor:
    if shared is not None:
        return functional.adaptive_avg_pool2d(shared, side)
    return _power_law(rng, side) if kind == "highfreq" else _enveloped(rng, side)


def _power_law(rng: np.random.Generator, side: int) -> torch.Tensor:
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side))
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(rng.standard_normal((side, side)))
    noise = np.fft.irfft2(spectrum * frequency ** -rng.uniform(0.5, 1.5), (side, side))
    return torch.from_numpy(noise / noise.std()).float()[None, None]


def _enveloped(rng: np.random.Generator, side: int) -> torch.Tensor:
    small = Image.fromarray(rng.laplace(size=(4, 4)).astype(np.float32))
    large = np.asarray(small.resize((side, side), Image.Resampling.LANCZOS))
    return _power_law(rng, side) * torch.from_numpy(large.copy())
