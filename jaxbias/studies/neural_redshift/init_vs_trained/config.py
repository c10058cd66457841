"""Presets of the init-vs-trained experiment, whose options are those of modulo addition."""

from collections.abc import Mapping
from dataclasses import replace

from jaxbias.studies.neural_redshift.modulo.config import BASE, Config

VARIED = replace(
    BASE,
    activations=(*BASE.activations, "selu"),
    moduli=(10, 4),
    # A grid in two dimensions; in six there are only paths through the data, and a plane.
    dimensions=(2, 6),
    integers=8,
    max_points=512,
    iterations=(10, 100, 1000),
    n_seeds=2,
    measures=("fourier", "dct", "chebyshev", "lz76", "total_variation"),
)

PRESETS: Mapping[str, Config] = {
    "smoke": replace(
        VARIED,
        activations=("relu", "tanh", "gaussian", "sine"),
        moduli=(4,),
        dimensions=(2,),
        iterations=(10, 100),
        width=64,
        resolution=32,
    ),
    "quick": VARIED,
    "paper": replace(
        VARIED,
        integers=16,
        dimensions=(2, 4, 6),
        max_points=4096,
        prefactors=tuple(round(2 ** (i / 2), 4) for i in range(-6, 9)),
        n_seeds=20,
        iterations=(10, 100, 1000, 3000),
    ),
}
"""Defaults by preset."""
