"""What the measures experiment can be asked: options, presets, limits.

Nothing here loads JAX: the command line reads its options before any device starts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from jaxbias.files import UsageError
from jaxbias.settings import at_least, at_most, check_seed, positive, refuse_repeats
from jaxbias.studies.neural_redshift.random_networks.config import ACTIVATIONS

PROBES = (
    "path_variation",
    "noise_sensitivity",
    "flip_share",
    "jacobian",
    "walsh_degree",
    "sharpness",
)
"""The new measures of a network, in the order of the table. Path variation and the
Jacobian norm are in units of the output's spread, noise sensitivity in its saturation; a
flip is a change of side of the output's median; the Walsh degree is taken on the bits of
both coordinates."""

CUBE_SIDE = 32
"""Points along each axis for the Walsh degree: five bits of either coordinate, so that the
square is a Boolean cube of ten."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """Which networks to measure, and how."""

    activations: tuple[str, ...] = ACTIVATIONS
    """Activations by name, or the import path of any function (jax.nn.softplus)."""
    variants: tuple[str, ...] = ("plain", "layer_norm", "residual", "gated")
    """Architectures."""
    weight_scales: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0, 8.0)
    """Factors on the prior's weights; > 0."""
    depths: tuple[int, ...] = (1, 3, 6)
    """Hidden layers, each >= 1."""
    width: int = 64
    """Channels of a hidden layer."""
    n_networks: int = 6
    """Networks for each combination."""
    measures: tuple[str, ...] = (
        *("fourier", "dct", "chebyshev"),
        *("lz76", "lz78", "total_variation"),
    )
    """Measures on a grid of the inputs' square."""
    resolution: int = 64
    """Points of that grid along each axis."""
    points: int = 128
    """Random points of the square for the measures on data, >= 2."""
    noise: float = 0.1
    """Standard deviation of the noise of noise sensitivity."""
    repeats: int = 5
    """Draws of that noise."""
    paths: int = 256
    """Paths between points for the variation along them."""
    path_steps: int = 32
    """Points on a path, >= 2."""
    lanczos_steps: int = 12
    """Products with the Hessian for its largest eigenvalue."""
    score_variants: tuple[str, ...] = (
        *("plain", "layer_norm", "residual", "layer_norm_residual"),
    )
    """Architectures of SimBa's score."""
    score_networks: int = 8
    """Initialisations for SimBa's score; published: 100."""
    score_resolution: int = 300
    """Points along each axis of [-100, 100]^2 for SimBa's score."""
    score_dimension: int = 8
    """Dimension of the inputs that this square is laid into, >= 2."""
    score_depth: int = 3
    """Hidden layers of the networks that are scored."""
    resamples: int = 1000
    """Resamples of each interval."""
    seed: int = 0
    """Seed of all random numbers, 0 to 2^32 - 1."""


PRESETS: Mapping[str, Config] = {
    "smoke": Config(
        activations=("relu", "tanh", "sine"),
        variants=("plain",),
        score_variants=("plain", "layer_norm_residual"),
        depths=(1, 5),
        n_networks=2,
        points=64,
        paths=32,
        lanczos_steps=8,
        score_networks=3,
        score_resolution=64,
        resamples=200,
    ),
    "quick": Config(),
    "paper": replace(
        Config(),
        weight_scales=tuple(round(2 ** (k / 2), 4) for k in range(-4, 8)),
        depths=(1, 2, 3, 4, 5, 6),
        n_networks=40,
        points=1024,
        paths=1024,
        lanczos_steps=20,
        score_networks=100,
    ),
}
"""Defaults by preset; "paper" has the published scale of SimBa's score."""


def check_values(config: Config) -> None:
    """Raise `UsageError`, in one line, for what can be told without JAX."""
    refuse_repeats(config)
    positive(config, "weight_scales", "noise")
    at_least(
        config,
        depths=1,
        width=1,
        n_networks=1,
        resolution=4,
        points=2,
        repeats=1,
        paths=1,
        path_steps=2,
        lanczos_steps=1,
        score_networks=1,
        score_resolution=4,
        score_dimension=2,
        score_depth=1,
        resamples=10,
    )
    at_most(
        config,
        depths=100,
        width=2**12,
        n_networks=10**6,
        resolution=2**11,
        points=2**20,
        repeats=1000,
        paths=10**5,
        path_steps=10**4,
        lanczos_steps=1000,
        score_networks=10**6,
        score_resolution=2**11,
        score_dimension=1000,
        score_depth=100,
        resamples=10**6,
    )
    check_seed(config)
    if len(config.measures) < 2:
        raise UsageError("--measures: two or more, to be compared")
