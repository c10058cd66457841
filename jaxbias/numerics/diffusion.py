"""Diffusion as Karras et al. formulate it: noise levels, preconditioning, samplers.

"Elucidating the Design Space of Diffusion-Based Generative Models" (NeurIPS 2022), called
EDM. A denoiser D(x; sigma) gives the expectation of data that noise of deviation sigma was
added to. Data have a deviation near `DATA`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from jaxbias.arrays import RandomKey

Samples = Float[Array, "sample *value"]
Levels = Float[Array, " sample"]
"""Deviation of the noise in each sample."""

Denoise = Callable[[Samples, Levels], Samples]

DATA = 0.5
"""Deviation of the data."""

LOG_MEAN, LOG_DEVIATION = -1.2, 1.2
"""Of the logarithm of noise levels in training."""


class Preconditioning(NamedTuple):
    """Factors of D(x) = skip x + out F(in x; noise); an entry a sample (paper, table 1)."""

    skip: Levels
    out: Levels
    into: Levels
    noise: Levels


def preconditioning(sigma: Levels, data: float = DATA) -> Preconditioning:
    """What keeps a network's inputs and targets at deviation 1 at every level of noise."""
    both = sigma**2 + data**2
    return Preconditioning(
        skip=data**2 / both,
        out=sigma * data / jnp.sqrt(both),
        into=1 / jnp.sqrt(both),
        noise=jnp.log(sigma) / 4,
    )


def weight(sigma: Levels, data: float = DATA) -> Levels:
    """Of a level's squared error in the loss: 1 / out^2."""
    return (sigma**2 + data**2) / (sigma * data) ** 2


def levels(key: RandomKey, count: int) -> Levels:
    """Noise levels of training: log-normal."""
    return jnp.exp(LOG_MEAN + LOG_DEVIATION * jax.random.normal(key, (count,)))


@dataclass(frozen=True, kw_only=True)
class Sampler:
    """How a sample is made of noise (paper, algorithm 2).

    Attributes:
        steps: Noise levels above 0; the denoiser is called 2 steps - 1 times.
        least: The last level above 0.
        greatest: The first level.
        rho: How levels are crowded towards 0.
        churn: Noise that is added on the way; 0 is deterministic.
        churn_from: Lowest level at which it is.
        churn_to: Highest level at which it is.
        churn_scale: Deviation of the noise that is added, over the one that is right.
    """

    steps: int = 18
    least: float = 0.002
    greatest: float = 80.0
    rho: float = 7.0
    churn: float = 0.0
    churn_from: float = 0.0
    churn_to: float = float("inf")
    churn_scale: float = 1.0

    def __post_init__(self):
        if self.steps < 2 or not 0 < self.least < self.greatest or self.rho <= 0:
            raise ValueError(
                f"{self.steps} steps from {self.greatest:g} to {self.least:g}, rho "
                f"{self.rho:g}: two steps or more, falling, rho above 0"
            )
        if self.churn < 0 or self.churn_scale <= 0:
            raise ValueError(f"churn {self.churn:g}, of scale {self.churn_scale:g}")

    @property
    def calls(self) -> int:
        """Of the denoiser, for one sample."""
        return 2 * self.steps - 1

    @property
    def levels(self) -> np.ndarray:
        """float64, falling, 0 the last: steps + 1 numbers."""
        share = np.arange(self.steps) / (self.steps - 1)
        first, last = self.greatest ** (1 / self.rho), self.least ** (1 / self.rho)
        return np.append((first + share * (last - first)) ** self.rho, 0.0)


def sampled(denoise: Denoise, key: RandomKey, start: Samples, how: Sampler) -> Samples:
    """Follow the denoiser from noise to samples, by Heun's method.

    Args:
        denoise: D(x; sigma).
        key: Of the noise that is added on the way; unused without churn.
        start: Standard normal.
        how: Static.
    """
    times = how.levels
    added = np.minimum(how.churn / how.steps, np.sqrt(2) - 1)
    now = times[:-1]
    churned = (now >= how.churn_from) & (now <= how.churn_to)
    hat = now * (1 + np.where(churned, added, 0.0))
    extra = how.churn_scale * np.sqrt(np.maximum(hat**2 - now**2, 0.0))
    rows = np.stack([hat, extra, times[1:]], axis=1)[:, :, None].astype(np.float32)

    def slope(x: Samples, level: Array) -> Samples:
        return (x - denoise(x, jnp.broadcast_to(level, (len(x),)))) / level

    def noised(x: Samples, number: Array | int, extra: Array) -> Samples:
        if not how.churn:
            return x
        own = jax.random.fold_in(jax.random.clone(key), number)
        return x + extra * jax.random.normal(own, x.shape, x.dtype)

    def step(x: Samples, given: tuple[Array, Array]) -> tuple[Samples, None]:
        number, (hat, extra, after) = given[0], (row[0] for row in given[1])
        x = noised(x, number, extra)
        first = slope(x, hat)
        guess = x + (after - hat) * first
        second = slope(guess, after)
        return x + (after - hat) * (first + second) / 2, None

    begin = start * jnp.asarray(times[0], start.dtype)
    numbers = jnp.arange(how.steps, dtype=jnp.int32)
    x, _ = lax.scan(step, begin, (numbers[:-1], jnp.asarray(rows[:-1])))
    # To 0 without a correction, where there is no slope.
    hat, extra, _ = (jnp.asarray(row[0]) for row in rows[-1])
    x = noised(x, how.steps - 1, extra)
    return x - hat * slope(x, hat)
