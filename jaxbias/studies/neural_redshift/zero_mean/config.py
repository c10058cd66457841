"""What the zero-mean experiment can be asked: options, presets, limits.

Nothing here loads JAX: the command line reads its options before any device starts.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from jaxbias.files import UsageError
from jaxbias.settings import at_least, at_most, check_seed, positive, refuse_repeats
from jaxbias.studies.neural_redshift.random_networks.config import ACTIVATIONS


@dataclass(frozen=True, kw_only=True)
class Config:
    """Which activations to shift, and in which networks."""

    activations: tuple[str, ...] = ACTIVATIONS
    """Activations by name, or the import path of any function (jax.nn.softplus)."""
    means: tuple[float, ...] = (-1.0, -0.5, 0.0, 0.5, 1.0)
    """What each activation's mean under N(0, 1) is shifted to, in its standard
    deviations; 0 must be among them. Each is measured unshifted too."""
    variants: tuple[str, ...] = ("plain", "layer_norm")
    """Architectures; layer norm makes pre-activations N(0, 1), as the prediction has
    them."""
    bias_ranges: tuple[float, ...] = (0.0, 1.0)
    """Biases are U(-range, range); 0 is without."""
    weight_scales: tuple[float, ...] = (1.0, 2.0, 4.0)
    """Factors on the prior's weights; > 0."""
    depths: tuple[int, ...] = (1, 3, 6)
    """Hidden layers, each >= 1."""
    width: int = 64
    """Channels of a hidden layer."""
    n_networks: int = 8
    """Networks for each combination."""
    measures: tuple[str, ...] = ("dct", "chebyshev", "lz76")
    """Measures of complexity; dct is judged."""
    resolution: int = 64
    """Points of the grid along each axis."""
    correlation_depths: tuple[int, ...] = (1, 2, 3, 4, 6, 8)
    """Hidden layers where the correlation of outputs is looked at."""
    correlation_networks: int = 400
    """Networks for each of those."""
    correlation_scale: float = 2.0
    """Their weight scale."""
    seed: int = 0
    """Seed of all random numbers, 0 to 2^32 - 1."""


PRESETS: Mapping[str, Config] = {
    "smoke": Config(
        activations=("relu", "tanh", "gaussian"),
        means=(-1.0, 0.0, 1.0),
        weight_scales=(2.0,),
        depths=(6,),
        n_networks=6,
        measures=("dct", "chebyshev"),
        resolution=32,
        correlation_depths=(1, 4),
        correlation_networks=200,
    ),
    "quick": Config(),
    "paper": replace(
        Config(),
        means=tuple(k / 4 for k in range(-8, 9)),
        weight_scales=(0.5, 1.0, 2.0, 4.0, 8.0),
        depths=(1, 2, 3, 4, 6, 8),
        width=256,
        n_networks=50,
        measures=("fourier", "dct", "chebyshev", "lz76", "lz78", "total_variation"),
        correlation_depths=(1, 2, 3, 4, 6, 8, 12, 16),
        correlation_networks=4000,
    ),
}
"""Defaults by preset; the prediction has no published scale, paper is ours."""


def check_values(config: Config) -> None:
    """Raise `UsageError`, in one line, for what can be told without JAX."""
    refuse_repeats(config)
    positive(config, "weight_scales", "correlation_scale")
    at_least(
        config,
        bias_ranges=0,
        depths=1,
        width=1,
        n_networks=1,
        resolution=4,
        correlation_depths=1,
        correlation_networks=2,
    )
    at_most(
        config,
        means=100,
        bias_ranges=1e6,
        depths=1000,
        width=2**14,
        n_networks=10**6,
        resolution=2**11,
        correlation_depths=1000,
        correlation_networks=10**7,
    )
    check_seed(config)
    if not all(math.isfinite(mean) and mean >= -100 for mean in config.means):
        raise UsageError("--means: must be -100 to 100")
    if 0 not in config.means:
        raise UsageError("--means: 0 must be among them")
