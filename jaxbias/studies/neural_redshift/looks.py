"""Colours and labels of activations and measures, the same in all of the figures."""

from collections.abc import Sequence

COLOURS = {
    "relu": "#1f77b4",
    "gelu": "#17becf",
    "swish": "#2ca02c",
    "selu": "#98bf3a",
    "sigmoid": "#9467bd",
    "tanh": "#ff7f0e",
    "gaussian": "#d62728",
    "sine": "#8c564b",
}
OTHERS = ("#e377c2", "#7f7f7f", "#bcbd22", "#000000")

LABELS = {
    "fourier": "Fourier (mean frequency)",
    "dct": "DCT (mean frequency)",
    "chebyshev": "Chebyshev (mean order)",
    "legendre": "Legendre (mean order)",
    "lz76": "LZ76 (factors)",
    "lz78": "LZ78 (phrases)",
    "lzw": "LZW (dictionary size)",
    "total_variation": "total variation / sd",
    "path_variation": "variation along paths / sd",
}


def colour_of(activation: str, among: Sequence[str]) -> str:
    """An activation's colour; one that a user added takes the next that is free."""
    if activation in COLOURS:
        return COLOURS[activation]
    extra = [name for name in among if name not in COLOURS]
    return OTHERS[extra.index(activation) % len(OTHERS)]


def label_of(measure: str) -> str:
    """A measure's name in figures; one that a user added is called as it is."""
    return LABELS.get(measure, measure)
