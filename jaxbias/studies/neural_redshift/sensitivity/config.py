"""What the sensitivity experiment can be asked: options, presets, limits.

Nothing here loads JAX: the command line reads its options before any device starts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from jaxbias.files import UsageError
from jaxbias.settings import at_least, at_most, check_seed, positive, refuse_repeats

Model = Literal["transformer", "lstm", "mlp"]
Other = Literal["normal", "xavier"]

MOST_NETWORKS = 10**7
"""Rows of the results table, which is held in memory."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """Which networks to draw, and on which strings to flip bits."""

    models: tuple[Model, ...] = ("transformer", "lstm", "mlp")
    """Architectures. The perceptron is not published; it reads bits as -1 and 1."""
    length: int = 10
    """Bits of a string, where priors are compared."""
    lengths: tuple[int, ...] = (6, 8, 10, 12)
    """Bits of a string, where lengths are compared, under the published prior."""
    weight_range: float = 10.0
    """The published prior: all weights and biases U(-range, range)."""
    ranges: tuple[float, ...] = (0.1, 0.3, 1.0, 3.0, 10.0)
    """Other ranges, at --length."""
    others: tuple[Other, ...] = ("normal", "xavier")
    """Other priors, at --length. normal: N(0, 1), biases U with the same variance;
    xavier: Glorot-uniform weights, no biases."""
    n_networks: int = 200
    """Networks for each combination."""
    width: int = 64
    """Channels."""
    depth: int = 4
    """Layers."""
    heads: int = 4
    """Attention heads of the transformer; divides the width."""
    full_cube: int = 12
    """Bits up to which all strings are taken."""
    samples: int = 1000
    """Random strings, each with all its neighbours, where there are more bits."""
    seed: int = 0
    """Seed of all random numbers, 0 to 2^32 - 1."""

    @property
    def combinations(self) -> int:
        """Conditions of networks; random functions not included."""
        lengths = {*self.lengths, self.length}
        ranges = {*self.ranges, self.weight_range}
        return len(self.models) * (len(lengths) + len(ranges) - 1 + len(self.others))


PRESETS: Mapping[str, Config] = {
    "smoke": Config(length=6, lengths=(4, 6), ranges=(1.0, 10.0), n_networks=60),
    "quick": Config(),
    "paper": replace(Config(), lengths=(6, 8, 10, 12, 16, 20), n_networks=1000),
}
"""Defaults by preset."""


def check_values(config: Config) -> None:
    """Raise `UsageError`, in one line, for what can be told without JAX."""
    refuse_repeats(config)
    positive(config, "weight_range", "ranges")
    at_most(config, weight_range=1e6, ranges=1e6)
    at_least(
        config,
        **{"length": 1, "lengths": 1, "n_networks": 1, "width": 1, "depth": 1},
        **{"heads": 1, "full_cube": 0, "samples": 1},
    )
    at_most(
        config,
        **{"length": 1000, "lengths": 1000, "width": 2**12, "depth": 1000},
        **{"full_cube": 16, "samples": 10**6},
    )
    check_seed(config)
    if config.width % config.heads:
        raise UsageError(
            f"--heads: must divide the width, got {config.heads} of {config.width}"
        )
    networks = config.combinations * config.n_networks
    if networks > MOST_NETWORKS:
        raise UsageError(
            f"--n-networks: {networks:,} networks in all, at most {MOST_NETWORKS:,}"
        )
