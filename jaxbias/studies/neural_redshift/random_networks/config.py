"""What the random-networks experiment can be asked: options, presets, limits.

Nothing here loads JAX: the command line reads its options before any device starts.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from jaxbias.runs import UsageError
from jaxbias.settings import at_most, check_seed, positive, refuse_repeats

Setting = Literal["paper", "author_code"]
Part = Literal[
    "heatmaps", "curves", "width", "prior", "bias", "resolution", "unbiased", "samples"
]
PARTS: tuple[Part, ...] = (
    "heatmaps",
    "curves",
    "width",
    "prior",
    "bias",
    "resolution",
    "unbiased",
    "samples",
)
RELU_LIKE = ("relu", "gelu", "swish", "selu")
ACTIVATIONS = (*RELU_LIKE, "sigmoid", "tanh", "gaussian", "sine")

AUTHOR_AMPLITUDES = tuple(round(0.1 * 1000 ** (i / 14), 4) for i in range(15))
"""15 amplitudes from 0.1 to 100, log-spaced: the authors' heatmaps."""

FULL_GRID_POINTS = 2**18
"""Points up to which a grid of more than two dimensions is taken whole."""

HALF_OCTAVES = tuple(round(2 ** (i / 2), 4) for i in range(-4, 9))
"""0.25 to 16, two steps to a doubling."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """What to draw and what to measure."""

    setting: Setting = "paper"
    """Published setting that the defaults come from: "paper" (Glorot prior times a
    scale, 64 x 64 grid) or "author_code" (weights and biases U(-A, A), 300 x 300)."""
    parts: tuple[Part, ...] = PARTS
    """Which parts of the experiment to run."""
    activations: tuple[str, ...] = ACTIVATIONS
    """Activations by name, or the import path of any function (jax.nn.softplus)."""
    variants: tuple[str, ...] = ("plain", "layer_norm", "residual", "gated")
    """Architectures of the curves."""
    weight_scales: tuple[float, ...] = HALF_OCTAVES
    """Factors on the prior's weights; > 0."""
    depths: tuple[int, ...] = (1, 2, 3, 4, 5, 6)
    """Hidden layers of the heatmaps, each >= 1."""
    width: int = 64
    """Channels of a hidden layer."""
    resolution: int = 64
    """Points of the grid along each axis."""
    n_networks: int = 40
    """Networks for each combination."""
    measures: tuple[str, ...] = (
        "fourier",
        "dct",
        "chebyshev",
        "legendre",
        "lz76",
        "lz78",
        "lzw",
        "total_variation",
    )
    """Measures of complexity to take."""
    seed: int = 0
    """Seed of all random numbers, 0 to 2^32 - 1."""
    prior: str = "glorot_uniform"
    """Distribution of the weights: glorot_uniform, uniform, glorot_normal, glorot_ball
    or glorot_long_tailed."""
    curve_depth: int = 6
    """Hidden layers of the curves."""
    controls: tuple[str, ...] = ("relu", "tanh")
    """Activations of the control parts (width, prior, bias, resolution)."""
    control_scales: tuple[float, ...] = (1.0, 4.0)
    """Weight scales of the control parts."""
    control_depth: int = 4
    """Hidden layers of the control parts."""
    widths: tuple[int, ...] = (16, 32, 64, 128)
    """Widths of the width part."""
    priors: tuple[str, ...] = (
        "glorot_uniform",
        "glorot_normal",
        "glorot_ball",
        "glorot_long_tailed",
    )
    """Priors of the prior part."""
    bias_ranges: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0)
    """Ranges of the biases of the bias part: U(-range, range)."""
    resolutions: tuple[int, ...] = (32, 64, 96)
    """Grids of the resolution part."""
    input_dim: int = 2
    """Dimension of the inputs. Above 2, full grids while they have at most 2^18 points,
    else random planes."""
    planes: int = 4
    """Random planes through the inputs' cube where a full grid does not fit."""
    prefactor: float = 1.0
    """Factor on every pre-activation."""
    gaussian_width: float = 1.0
    """Width w of the Gaussian activation exp(-x^2 / (2 w^2))."""
    fourier_binning: Literal["radial", "author"] = "radial"
    """Binning of the Fourier measure; "author" is that of the authors' code."""
    degree: int | None = None
    """Polynomial degree along each axis; None takes 20 or what the grid supports."""
    polynomial_order: Literal["sum", "max", "euclid"] = "sum"
    """How the order of a product of polynomials is counted."""
    levels: int = 10
    """Levels of the values for the Lempel-Ziv measures, 2 to 256."""
    traversal: Literal["column", "row", "snake", "hilbert"] = "column"
    """Order in which the grid is read as a sequence."""

    def grid_dimension(self, resolution: int) -> int:
        """Axes of a grid: the inputs' dimension, or 2 where it is of random planes."""
        whole = self.input_dim <= 2 or resolution**self.input_dim <= FULL_GRID_POINTS
        return self.input_dim if whole else 2


PAPER = Config()
AUTHOR_CODE = Config(
    setting="author_code",
    parts=("heatmaps", "curves", "samples"),
    weight_scales=AUTHOR_AMPLITUDES,
    depths=(1, 2, 3, 4, 5, 6, 7),
    resolution=300,
    prior="uniform",
    curve_depth=4,
    resolutions=(64, 150, 300),
    # exp(-x^2), as in the authors' code.
    gaussian_width=round(math.sqrt(0.5), 7),
    fourier_binning="author",
)

PRESETS_BY = "setting"
"""The option that presets go by, besides `--preset`."""

PRESETS: Mapping[str, Mapping[str, Config]] = {
    "paper": {
        "smoke": replace(
            PAPER,
            weight_scales=(0.5, 1.0, 2.0, 4.0, 8.0),
            depths=(1, 3, 6),
            n_networks=5,
            widths=(32, 64),
            resolutions=(32, 64),
        ),
        "quick": PAPER,
        "paper": replace(
            PAPER,
            n_networks=400,
            depths=(1, 2, 3, 4, 5, 6, 7, 8),
            widths=(16, 32, 64, 128, 256, 512),
            controls=ACTIVATIONS,
            control_scales=(0.5, 1.0, 2.0, 4.0, 8.0),
            resolutions=(32, 64, 96, 128),
        ),
    },
    "author_code": {
        "smoke": replace(
            AUTHOR_CODE,
            weight_scales=AUTHOR_AMPLITUDES[::7],
            depths=(1, 4, 7),
            n_networks=2,
        ),
        "quick": replace(
            AUTHOR_CODE,
            n_networks=5,
            parts=("heatmaps", "samples"),
            # Exact LZ76 of 90,000 symbols takes as long as evaluating the network.
            measures=tuple(m for m in AUTHOR_CODE.measures if m != "lz76"),
        ),
        "paper": replace(AUTHOR_CODE, n_networks=100),
    },
}
"""Defaults by setting and preset."""


def check_values(config: Config) -> None:
    """Raise `UsageError`, in one line, for what can be told without JAX."""
    refuse_repeats(config)
    positive(
        config,
        *("weight_scales", "depths", "width", "n_networks", "curve_depth"),
        *("control_scales", "control_depth", "widths", "bias_ranges", "input_dim"),
        *("planes", "prefactor", "gaussian_width"),
    )
    at_most(
        config,
        depths=1000,
        curve_depth=1000,
        control_depth=1000,
        width=2**14,
        widths=2**14,
        resolution=2**12,
        resolutions=2**12,
        n_networks=10**8,
        input_dim=1000,
        planes=1000,
        levels=256,
    )
    check_seed(config)
    for option, least in (("resolution", 4), ("levels", 2)):
        value = getattr(config, option)
        if value < least:
            raise UsageError(f"--{option}: must be at least {least}, got {value}")
    if min(config.resolutions) < 4:
        raise UsageError(f"--resolutions: must be >= 4, got {min(config.resolutions)}")
