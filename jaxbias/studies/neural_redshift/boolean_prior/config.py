"""What the boolean-prior experiment can be asked: options, presets, limits.

Nothing here loads JAX: the command line reads its options before any device starts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from jaxbias.files import UsageError
from jaxbias.settings import at_least, at_most, check_seed, positive, refuse_repeats

MOST_BYTES = 2**36
"""Of all truth tables of a run, which are held in memory."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """Which networks to draw. The defaults are remembered from the papers, not read."""

    activations: tuple[str, ...] = ("relu", "tanh")
    """Activations by name, or the import path of any function (jax.nn.softplus)."""
    sigma_ws: tuple[float, ...] = (1.0, 1.5, 2.0, 4.0, 8.0)
    """Scales of the weights, which are N(0, sigma_w^2 / fan-in)."""
    depths: tuple[int, ...] = (2, 10)
    """Hidden layers, each >= 1."""
    n_networks: int = 100_000
    """Networks for each combination, and for each of the two references."""
    bits: int = 7
    """Inputs of the functions; the truth table has 2^bits labels."""
    inputs: Literal["zero_one", "signs"] = "zero_one"
    """The bits as the network sees them: 0 and 1, or -1 and 1."""
    width: int = 40
    """Channels of a hidden layer."""
    sigma_b: float = 0.2
    """Standard deviation of the biases."""
    listed: int = 10_000
    """Most frequent functions of each combination to write into functions.parquet."""
    seed: int = 0
    """Seed of all random numbers, 0 to 2^32 - 1."""

    @property
    def combinations(self) -> int:
        """Conditions of networks, the two references not included."""
        return len(self.activations) * len(self.depths) * len(self.sigma_ws)


PRESETS: Mapping[str, Config] = {
    "smoke": Config(sigma_ws=(1.0, 8.0), n_networks=20_000),
    "quick": Config(),
    "paper": Config(
        sigma_ws=(1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 8.0), n_networks=10_000_000
    ),
}
"""Defaults by preset."""


def check_values(config: Config) -> None:
    """Raise `UsageError`, in one line, for what can be told without JAX."""
    refuse_repeats(config)
    positive(config, "sigma_ws")
    at_least(config, depths=1, n_networks=1, bits=2, width=1, sigma_b=0, listed=1)
    at_most(config, depths=1000, bits=10, width=2**14, n_networks=2**31, listed=10**6)
    # Squares of outputs must not overflow float32 in a few layers.
    at_most(config, sigma_ws=1e6, sigma_b=1e6)
    check_seed(config)
    needed = (
        (config.combinations + 2) * config.n_networks * max(32, 2**config.bits) // 8
    )
    if needed > MOST_BYTES:
        raise UsageError(
            f"--n-networks: truth tables of {needed / 2**30:,.0f} GiB in all, at most "
            f"{MOST_BYTES / 2**30:,.0f}"
        )
