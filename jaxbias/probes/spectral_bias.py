"""Spectral bias: how well a network sees images with only low or only high frequencies.

Gavrikov and Keuper, Can biases in ImageNet models explain generalization? (CVPR 2024).
There are 22 conditions: low-pass and high-pass at 11 cut-offs each. Everything here is
for square images on the scale 0 to 1, of any side.
"""

from functools import lru_cache, partial
from itertools import product
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

Kind = Literal["low", "high"]
Form = Literal["fft", "matmul"]

Images = Float[Array, "image side side channel"]
Planes = Float[Array, "channel side side"]
Coefficients = Float[Array, "channel wave wave"]

CUT_OFFS = (
    *(0.01, 0.1, 0.2, 0.30000000000000004, 0.4, 0.5),
    *(0.6, 0.7000000000000001, 0.8, 0.9, 0.99),
)
"""As shares of the highest frequency; two are steps of 0.1 as they come out in binary,
which decides about whole half-widths of some sizes."""

CONDITIONS: tuple[tuple[Kind, float], ...] = tuple(product(("low", "high"), CUT_OFFS))
"""What each of the 22 numbers of a condition stands for."""

AVERAGED = slice(1, 6)
"""Cut-offs that the biases are means over: 0.1 to 0.5."""


def half_widths(side: int) -> tuple[int, ...]:
    """Half the side of each condition's square of frequencies.

    A low-pass keeps the square, a high-pass leaves it out. One of half-width r holds the
    frequencies -r to r - 1 along both axes. At 32 pixels the square of cut-off 0.01 is
    empty: its low-pass is black, and the high-pass of 0.99 is the image itself.
    """
    shares = (cut if kind == "low" else 1 - cut for kind, cut in CONDITIONS)
    return tuple(int(share * (side // 2)) for share in shares)


def default_form() -> Form:
    """The faster form on the default backend.

    Transforms on a CPU: at 224 pixels twice as fast for all conditions and 3.5 times for
    one, at 32 the same and twice. Accelerators, not measured, are given products.
    """
    return "fft" if jax.default_backend() == "cpu" else "matmul"


@partial(jax.jit, static_argnames="form")
def stimulus(
    images: Images, condition: Int[Array, ""], *, form: Form | None = None
) -> Images:
    """Images of one condition, whose number may be traced.

    Args:
        images: A batch.
        condition: Index into `CONDITIONS`, 0 to 21.
        form: "fft": fast Fourier transforms. "matmul": products with waves, at full
            float32 precision. They agree within 3e-6. None takes `default_form`.

    Returns:
        The real part of what is left, cut to 0 to 1. A high-pass removes the mean, so
        that the cut takes its negative half: such images are nearly black.

    Raises:
        ValueError: If images are not square.
    """
    side = _side(images.shape[1:3])
    chosen = form or default_form()
    half = jnp.asarray(half_widths(side))[condition]

    def one(image: Float[Array, "side side channel"]) -> Array:
        planes = jnp.moveaxis(image, 2, 0)
        low = _low_pass(planes, half, chosen)
        left = jnp.where(condition < len(CUT_OFFS), low, planes - low)
        return jnp.moveaxis(jnp.clip(left, 0.0, 1.0), 0, 2)

    return jax.vmap(one)(images)


@partial(jax.jit, static_argnames="form")
def stimuli(
    image: Float[Array, "side side channel"], *, form: Form | None = None
) -> Float[Array, "condition side side channel"]:
    """All 22 conditions of one image, in the order of `CONDITIONS`.

    Low-pass and high-pass share squares, 11 at 224 pixels, so that a CPU takes a quarter
    of the time of `stimulus` for each. Go over a batch by `lax.map`: no more than one
    image's conditions are then held.

    Args:
        image: One image.
        form: See `stimulus`.

    Raises:
        ValueError: If it is not square.
    """
    side = _side(image.shape[:2])
    chosen = form or default_form()
    halves = half_widths(side)
    low = _low_passes(jnp.moveaxis(image, 2, 0), set(halves), chosen)
    found = jnp.zeros((len(CONDITIONS), *image.shape))
    # Written in place one by one: a CPU takes longer to stack them.
    for number, ((kind, _), half) in enumerate(zip(CONDITIONS, halves, strict=True)):
        kept = jnp.moveaxis(low[half], 0, 2)
        left = kept if kind == "low" else image - kept
        found = found.at[number].set(jnp.clip(left, 0.0, 1.0))
    return found


def _side(shape: tuple[int, ...]) -> int:
    height, width = shape
    if height != width:
        raise ValueError(f"images must be square, got {height} x {width}")
    return height


# Low-pass filters


def _low_pass(planes: Planes, half: Array, form: Form) -> Planes:
    """Real part of what one square of frequencies holds, which may be empty."""
    side = planes.shape[-1]
    if form == "fft":
        weights = _weights(side, half)[None, :, : side // 2 + 1]
        return jnp.fft.irfft2(jnp.fft.rfft2(planes) * weights, s=(side, side))
    waves = _waves(side)
    coefficients = _product(_product(waves.T, planes), waves)
    kept = _within(coefficients, jnp.maximum(half, 1))
    return jnp.where(half > 0, _product(_product(waves, kept), waves.T), 0.0)


def _low_passes(planes: Planes, halves: set[int], form: Form) -> dict[int, Planes]:
    """The same for several squares, from one transform of the planes."""
    side, wide = planes.shape[-1], sorted(halves - {0})
    found: dict[int, Planes] = {0: jnp.zeros_like(planes)}
    if form == "matmul":
        waves = _waves(side)
        coefficients = _product(_product(waves.T, planes), waves)
        for half in wide:
            # Higher waves have no weight.
            used = waves[:, : 2 * half + 1]
            count = used.shape[1]
            kept = _within(coefficients[:, :count, :count], half)
            found[half] = _product(_product(used, kept), used.T)
        return found
    spectrum = jnp.fft.fft2(planes)
    for pair in (wide[i : i + 2] for i in range(0, len(wide), 2)):
        # What is left of a real image is real: two come from one complex transform.
        real, imaginary = (_weights(side, half) for half in (*pair, 0)[:2])
        both = jnp.fft.ifft2(spectrum * lax.complex(real, imaginary)[None])
        found |= zip(pair, (both.real, both.imag), strict=False)
    return found


def _weights(side: int, half: Array | int) -> Float[Array, "side side"]:
    """Share of each Fourier coefficient that is in the real part of a low-pass.

    The square holds frequency -r and not r. Its real part has half of what is inside and
    half of what is inside when mirrored.
    """
    frequency = np.fft.fftfreq(side, 1 / side).round().astype(np.int32)

    def square(mirrored: np.ndarray) -> Array:
        inside = (-half <= mirrored) & (mirrored < half)
        return jnp.asarray(inside[:, None] & inside[None], jnp.float32)

    return (square(frequency) + square(-frequency)) / 2


@lru_cache(maxsize=8)
def _waves(side: int) -> Float[np.ndarray, "side wave"]:
    """Orthonormal columns: a constant, then cosine and sine of frequency 1, 2, ...

    They end at the largest half-width, which is below the highest frequency.
    """
    frequency = np.arange(1, max(half_widths(side)) + 1)
    # Whole turns are left out first, exactly.
    angle = 2 * np.pi * (np.outer(np.arange(side), frequency) % side) / side
    pairs = np.stack([np.cos(angle), np.sin(angle)], axis=2).reshape(side, -1)
    constant = np.full((side, 1), np.sqrt(1 / side))
    return np.hstack([constant, np.sqrt(2 / side) * pairs]).astype(np.float32)


def _within(coefficients: Coefficients, half: Array | int) -> Coefficients:
    """What `_weights` leaves of coefficients of `_waves`, for a half-width above 0."""
    channels, count, _ = coefficients.shape
    frequency = (np.arange(count) + 1) // 2
    weight = jnp.where(frequency < half, 1.0, jnp.where(frequency == half, 0.5, 0.0))
    kept = coefficients * (weight[:, None] * weight[None])[None]
    # With P = A + iB the real part of P X P' is A X A' - B X B', B being odd: sines that
    # belong to -r alone, which turn the pair of waves of frequency r by a quarter.
    start = (0, 2 * half - 1, 2 * half - 1)
    corner = lax.dynamic_slice(coefficients, start, (channels, 2, 2))
    turned = corner[:, ::-1, ::-1] * np.asarray([[[1, -1], [-1, 1]]], np.float32)
    return lax.dynamic_update_slice(kept, (corner - turned) / 4, start)


def _product(left: Array | np.ndarray, right: Array | np.ndarray) -> Array:
    # TF32 and bfloat16, the defaults of recent GPUs and of TPUs, leave other frequencies.
    return jnp.matmul(left, right, precision=lax.Precision.HIGHEST)


# Readings


class SpectralBias(NamedTuple):
    """Mean ratio of filtered to clean accuracy over the cut-offs 0.1 to 0.5.

    Attributes:
        low_frequency: With low-pass filters; 1 is a network that needs no more.
        high_frequency: With high-pass filters.
    """

    low_frequency: Float[Array, "*models"]
    high_frequency: Float[Array, "*models"]


def ratios(
    accuracies: Float[Array, "*models 22"], clean: Float[Array, "*models"]
) -> Float[Array, "*models 22"]:
    """Accuracy under each condition over that on the images as they are.

    Args:
        accuracies: In the order of `CONDITIONS`, in any unit.
        clean: In the same unit; where it is 0, the ratios are NaN.
    """
    clean = clean[..., None]
    return jnp.where(clean > 0, accuracies / jnp.where(clean > 0, clean, 1.0), jnp.nan)


def biases(ratios: Float[Array, "*models 22"]) -> SpectralBias:
    """Both biases, from what `ratios` gives; NaN where that is."""
    low, high = jnp.split(ratios, 2, axis=-1)
    return SpectralBias(
        *(jnp.mean(part[..., AVERAGED], axis=-1) for part in (low, high))
    )
