"""Statistical models of images: spectrum, colours and wavelet marginals (Baradad 2021).

A class says what an image's statistics are: how its amplitude falls with frequency, how
the values of each band of a steerable pyramid are distributed, and which colours there
are. An image of the class starts as white noise, and is given one of these after the
other, ten times over. It wraps around at its borders. On one core an image of 32, 64 and
128 pixels with a code of its own takes 0.2, 0.5 and 2 ms for "spectrum", 0.8, 2.5 and 10 ms
with colours, 2.4, 8 and 28 ms for "wmm" and 3, 10 and 36 ms for all of them; transforms are
almost half of the last two.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Complex, Float

from jaxbias.arrays import RandomKey
from jaxbias.data.generators.colours import GREATEST, palette
from jaxbias.numerics import histograms, steerable

NODES = 33
"""Powers r whose distributions are tabled; those between are on straight lines."""

Fields = Float[Array, "field size size"]
Spectra = Complex[Array, "field size half"]


@dataclass(frozen=True, kw_only=True)
class Config:
    """What is drawn. Pairs are the least and the greatest value, of uniform laws.

    Attributes:
        size: Side in pixels, 16 or more.
        kind: Statistics that are imposed, in the order of the words. "spectrum" and "wmm"
            take from the colours only their mean and axes.
        exponent: s of the amplitude 1 / (|x|^(s + d) + |y|^(s - d)) at frequency x, y. d is
            normal, with a 60th of the range as its deviation.
        power: r of exp(-|v / w|^r), the law of the values v of a band.
        iterations: How often all statistics are imposed. A spectrum alone is once.
    """

    size: int
    kind: Literal["spectrum", "spectrum-colour", "wmm", "spectrum-wmm-colour"] = (
        "spectrum"
    )
    exponent: tuple[float, float] = (0.5, 3.5)
    power: tuple[float, float] = (0.4, 0.8)
    iterations: int = 10


class Code(NamedTuple):
    """Statistics of images, whose pixels are from 0 to 256.

    Attributes:
        exponents: s and d.
        powers: r of each field and band: the high-pass rest, then from fine to coarse.
        mean, axes, quantiles: Of the colours, as in `colours.Palette`.
    """

    exponents: Float[Array, "2"]
    powers: Float[Array, "3 band"]
    mean: Float[Array, "3"]
    axes: Float[Array, "3 3"]
    quantiles: Float[Array, "3 knot"]


def code(key: RandomKey, config: Config) -> Code:
    """Draw statistics. Those that images of this kind are not given have no effect."""
    keys = jax.random.split(key, 4)
    low, high = config.exponent
    mean = jax.random.uniform(keys[0], minval=low, maxval=high)
    apart = jax.random.normal(keys[1]) * ((high - low) / 60)
    bands = 1 + steerable.ORIENTATIONS * scales(config.size)
    low, high = config.power
    powers = jax.random.uniform(keys[2], (3 * bands,), minval=low, maxval=high)
    exponents = jnp.stack([mean, apart])
    return Code(exponents, powers.reshape(3, bands), *palette(keys[3], config.size))


def draw(
    key: RandomKey, code: Code, config: Config
) -> Float[Array, "{config.size} {config.size} 3"]:
    """Draw one image: the least of its values is 0, the greatest 1."""
    size, imposed = config.size, config.kind.split("-")
    amplitude = amplitudes(code.exponents, size)
    tables = _tables(code.powers, config)

    def once(_: Array, spectra: Spectra) -> Spectra:
        if "spectrum" in imposed:
            spectra = with_amplitude(spectra, amplitude)
        if "wmm" in imposed:
            pyramid = steerable.split_spectra(spectra, scales(size))
            spectra = steerable.join_spectra(_with_marginals(pyramid, tables))
        if "colour" in imposed:
            values = _fields(spectra, size).reshape(3, -1)
            matched = histograms.match(values, code.quantiles)
            spectra = _spectra(matched.reshape(3, size, size))
        return spectra

    start = jax.random.uniform(key, (3 * size**2,), maxval=GREATEST)
    spectra = _spectra(start.reshape(3, size, size))
    count = 1 if imposed == ["spectrum"] else config.iterations
    fields = _fields(lax.fori_loop(0, count, once, spectra), size)
    image = jnp.einsum("fyx,fc->yxc", fields, code.axes, precision="highest")
    image = image + code.mean[None, None]
    low, high = image.min(), image.max()
    return (image - low) / (high - low)


def parameters(code: Code, config: Config) -> Float[Array, " parameter"]:
    """What is imposed: exponents and powers from 0 to 1 within their limits, the colours'
    mean and axes, and nine of the quantiles of each field."""
    imposed, found = config.kind.split("-"), []
    if "spectrum" in imposed:
        low, high = config.exponent
        shift, width = (
            np.asarray([low, 0]),
            max(high - low, 1e-6) * np.asarray([1, 1 / 60]),
        )
        found.append((code.exponents - jnp.float32(shift)) / jnp.float32(width))
    if "wmm" in imposed:
        low, high = config.power
        found.append((code.powers.ravel() - low) / max(high - low, 1e-6))
    found += [code.mean / GREATEST, code.axes.ravel()]
    if "colour" in imposed:
        found.append(
            code.quantiles[:, :: histograms.KNOTS // 8].ravel() / (GREATEST / 2)
        )
    return jnp.concatenate(found)


def scales(size: int) -> int:
    """Of the pyramid: as published 3 at 128 pixels and 4 at 256.

    The low-pass rest, which is left as it is, has at least 4 pixels a side.
    """
    # Paper: no other sizes.
    return min(3 if size <= 128 else 4, (size // 4).bit_length() - 1)


# Spectrum


def amplitudes(exponents: Float[Array, "2"], size: int) -> Float[Array, "{size} half"]:
    """Of the coefficients of `rfft2`: 0 at frequency 0, and a mean square of 1."""
    down = np.abs(np.fft.fftfreq(size))[:, None]
    across = np.fft.rfftfreq(size)[None]
    mean, apart = exponents
    power = lambda base, at: jnp.where(base > 0, base**at, 0)  # noqa: E731
    total = power(jnp.float32(across), mean + apart) + power(
        jnp.float32(down), mean - apart
    )
    found = jnp.where(total > 0, 1 / total, 0).at[0, 0].set(0)
    return found / jnp.sqrt(_mean_square(found[None], size)[0])


def with_amplitude(spectra: Spectra, amplitude: Float[Array, "size half"]) -> Spectra:
    """Keep the phases of fields, and the mean and variance of each.

    Args:
        spectra: Of fields, as `rfft2(..., norm="ortho")` gives them.
        amplitude: Of mean square 1, and 0 at frequency 0.
    """
    size, length = len(amplitude), jnp.abs(spectra)
    phase = jnp.where(length > 0, spectra / jnp.where(length > 0, length, 1), 1)
    deviation = jnp.sqrt(_mean_square(length.at[:, 0, 0].set(0), size))
    found = phase * (deviation[:, None, None] * amplitude[None])
    return found.at[:, 0, 0].set(spectra[:, 0, 0])


def _mean_square(
    lengths: Float[Array, "field size half"], size: int
) -> Float[Array, " field"]:
    """Over all coefficients, of which half are not there."""
    column = np.arange(size // 2 + 1)
    alone = (column == 0) | (2 * column == size)
    weights = jnp.float32(np.where(alone, 1, 2) / size**2)
    return jnp.sum(jnp.sum(lengths**2, axis=1) * weights[None], axis=1)


def _spectra(fields: Fields) -> Spectra:
    return jnp.fft.rfft2(fields, norm="ortho")


def _fields(spectra: Spectra, size: int) -> Fields:
    return jnp.fft.irfft2(spectra, (size, size), norm="ortho")


# Wavelet marginals


class _Table(NamedTuple):
    quantiles: Float[Array, "map knot"]
    deviation: Float[Array, " map"]


def _tables(powers: Float[Array, "3 band"], config: Config) -> list[_Table]:
    """Of the high-pass rest, and of all bands of each scale."""
    low, high = config.power
    place = (powers - low) / max(high - low, 1e-6) * (NODES - 1)
    node = jnp.clip(place.astype(jnp.int32), 0, NODES - 2)
    share = (place - node)[..., None]
    found, start = [], 0
    for side, count in _sides(config.size):
        known = jnp.asarray(marginals(config.size / side, config.power))
        own = slice(start, start + count)
        near, far = known[node[:, own]], known[node[:, own] + 1]
        table = near + share[:, own] * (far - near)
        table = table.reshape(3 * count, -1)
        found.append(_Table(table[:, :-1], table[:, -1]))
        start += count
    return found


def _sides(size: int) -> list[tuple[int, int]]:
    """Pixels a side, and how many bands have them."""
    bands = [-(-size // 2**scale) for scale in range(scales(size))]
    return [(size, 1), *((side, steerable.ORIENTATIONS) for side in bands)]


@lru_cache(maxsize=32)
def marginals(
    shrunk: float, power: tuple[float, float]
) -> Float[np.ndarray, "node number"]:
    """Quantiles, and last the deviation, of laws exp(-|v / w|^r) in steps of 0.5 to 200.

    Args:
        shrunk: Pixels of the image for each pixel of the band, along a side: w is 4 to this
            power.
        power: Least and greatest r.

    Returns:
        For `NODES` powers r.
    """
    values = np.arange(-200, 200.5, 0.5)
    edges = np.append(values - 0.25, 200.25)
    found = []
    for r in np.linspace(*power, NODES):
        share = np.exp(-((abs(values) / 4**shrunk) ** r))
        share /= share.sum()
        below = np.append(0, np.cumsum(share))
        table = np.interp(histograms.probabilities(), below / below[-1], edges)
        found.append(np.append(table, np.sqrt(share @ values**2)))
    return np.asarray(found, np.float32)


def _with_marginals(
    pyramid: steerable.Pyramid, tables: list[_Table]
) -> steerable.Pyramid:
    """All bands but the low-pass rest get their distribution, mean 0 and deviation."""
    found = []
    for maps, table in zip([pyramid.high, *pyramid.bands], tables, strict=True):
        values = maps.reshape(len(table.deviation), -1)
        # Published are 801 bins; a small map has not so many values.
        bins = min(801, max(16, values.shape[1] // 4))
        values = histograms.match(values, table.quantiles, bins)
        values = values - values.mean(1, keepdims=True)
        scale = table.deviation / jnp.sqrt(jnp.mean(values**2, axis=1))
        found.append((values * scale[:, None]).reshape(maps.shape))
    return steerable.Pyramid(found[0], tuple(found[1:]), pyramid.low)
