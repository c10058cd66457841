"""Float64 references, written from the definitions and without the package.

Slow and plain on purpose: masks in place of dot products, the whole design matrix in
place of one matrix an axis, sets of words in place of tables.
"""

import itertools
from collections.abc import Callable, Mapping

import numpy as np
import scipy.fft
from scipy import special

ACTIVATIONS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "relu": lambda x: np.maximum(x, 0),
    "gelu": lambda x: x * special.ndtr(x),
    "swish": lambda x: x * special.expit(x),
    "selu": lambda x: (
        1.0507009873554804934193349852946
        * np.where(
            x > 0, x, 1.6732632423543772848170429916717 * np.expm1(np.minimum(x, 0))
        )
    ),
    "sigmoid": special.expit,
    "tanh": np.tanh,
    "gaussian": lambda x: np.exp(-(x**2) / 2),
    "sine": np.sin,
}


def fourier_radial(values: np.ndarray) -> float:
    """Amplitude-weighted frequency over all coefficients, as a share of the corner's."""
    amplitude = np.abs(np.fft.fftn(values))
    amplitude[(0,) * values.ndim] = 0
    axes = np.meshgrid(*[np.fft.fftfreq(n) * n for n in values.shape], indexing="ij")
    radius = np.sqrt(sum(axis**2 for axis in axes))
    corner = np.sqrt(sum((n / 2) ** 2 for n in values.shape))
    return float((amplitude * radius).sum() / amplitude.sum() / corner)


def fourier_author(values: np.ndarray) -> float:
    """The steps of the authors' code for a grid of two dimensions, ring by ring."""
    rows, columns = values.shape[0] // 2 + 1, values.shape[1] // 2 + 1
    magnitude = np.abs(np.fft.rfft2(values))
    magnitude[0, 0] = 0
    magnitude = magnitude[:rows]
    u, v = np.mgrid[:rows, :columns]
    ring = np.rint(np.sqrt(u**2 + v**2)).astype(int)
    highest = int(np.rint(np.sqrt((rows - 1) ** 2 + (columns - 1) ** 2)))
    rings = np.array([magnitude[ring == k].sum() for k in range(highest + 1)])
    rings[0] = 0
    return float(rings / rings.sum() @ np.arange(highest + 1) / highest)


def dct(values: np.ndarray) -> float:
    """Amplitude-weighted index of the orthonormal DCT-II, over the largest index."""
    amplitude = np.abs(scipy.fft.dctn(values, type=2, norm="ortho"))
    amplitude[(0,) * values.ndim] = 0
    radius = np.sqrt(sum(i**2 for i in np.indices(values.shape)))
    return float((amplitude * radius).sum() / amplitude.sum() / radius.max())


def polynomial_order(
    values: np.ndarray,
    basis: str,
    degree: int,
    order: str = "sum",
    nodes: str = "equispaced",
) -> float:
    """Mean order from one least-squares problem over all products of polynomials."""
    one = {
        "chebyshev": lambda k, x: np.cos(k * np.arccos(np.clip(x, -1, 1))),
        "legendre": special.eval_legendre,
    }[basis]
    lines = [
        np.linspace(-1, 1, n)
        if nodes == "equispaced"
        else np.sort(np.cos(np.pi * (2 * np.arange(n) + 1) / (2 * n)))
        for n in values.shape
    ]
    points = np.meshgrid(*lines, indexing="ij")
    exponents = list(itertools.product(range(degree + 1), repeat=values.ndim))
    design = np.stack(
        [
            np.prod([one(k, x) for k, x in zip(ks, points, strict=True)], 0).ravel()
            for ks in exponents
        ],
        axis=1,
    )
    coefficients = np.abs(np.linalg.lstsq(design, values.ravel(), rcond=None)[0])
    count = {"sum": sum, "max": max, "euclid": lambda ks: float(np.linalg.norm(ks))}
    orders = np.array([count[order](ks) for ks in exponents], float)
    coefficients[orders == 0] = 0
    return float(orders @ coefficients / coefficients.sum())


def best_degree(basis: str, resolution: int, most: int = 20) -> int:
    """Largest degree whose Vandermonde matrix has a condition number of at most 10."""
    x = np.linspace(-1, 1, resolution)
    vandermonde = {
        "chebyshev": np.polynomial.chebyshev.chebvander,
        "legendre": np.polynomial.legendre.legvander,
    }[basis]
    fits = [
        k
        for k in range(1, min(most, resolution - 1) + 1)
        if np.linalg.cond(vandermonde(x, k)) <= 10
    ]
    return max(fits)


def total_variation(values: np.ndarray) -> float:
    """Mean over every line of every axis of its variation, in standard deviations."""
    means = []
    for axis in range(values.ndim):
        lines = np.moveaxis(values, axis, -1).reshape(-1, values.shape[axis])
        means.append(
            np.mean(
                [
                    sum(abs(line[i + 1] - line[i]) for i in range(len(line) - 1))
                    for line in lines
                ]
            )
        )
    return float(np.mean(means) / values.std())


def quantise(values: np.ndarray, levels: int = 10) -> np.ndarray:
    """Index of the equal interval between the minimum and the maximum."""
    low, high = values.min(), values.max()
    if low == high:
        return np.zeros(values.shape, int)
    return np.minimum(levels * (values - low) / (high - low), levels - 1).astype(int)


def lz76(symbols: tuple[int, ...]) -> int:
    """Factors, each the shortest word that does not start earlier in the sequence."""
    text, start, count = "".join(map(chr, symbols)), 0, 0
    while start < len(text):
        length = 1
        while (
            start + length < len(text)
            and text[start : start + length] in text[: start + length - 1]
        ):
            length += 1
        start, count = start + length, count + 1
    return count


def lz78(symbols: tuple[int, ...]) -> int:
    """Size of the set of words, each the shortest that is not in it yet."""
    words, word = set(), ()
    for symbol in symbols:
        word += (symbol,)
        if word not in words:
            words.add(word)
            word = ()
    return len(words)


def lzw(symbols: tuple[int, ...]) -> int:
    """Size of the dictionary that starts with the symbols that occur."""
    words, word = {(s,) for s in symbols}, ()
    for symbol in symbols:
        if word + (symbol,) in words:
            word += (symbol,)
        else:
            words.add(word + (symbol,))
            word = (symbol,)
    return len(words)


def complexity(values: np.ndarray, levels: int = 10) -> dict[str, float]:
    """All measures of one function on a grid, with the default options."""
    values = values.astype(np.float64)
    symbols = tuple(quantise(values, levels).T.ravel().tolist())
    n = values.shape[0]
    return {
        "fourier": fourier_radial(values),
        "dct": dct(values),
        "chebyshev": polynomial_order(values, "chebyshev", best_degree("chebyshev", n)),
        "legendre": polynomial_order(values, "legendre", best_degree("legendre", n)),
        "lz76": lz76(symbols),
        "lz78": lz78(symbols),
        "lzw": lzw(symbols),
        "total_variation": total_variation(values),
    }


def mlp(
    params: Mapping[str, np.ndarray],
    x: np.ndarray,
    activation: str,
    depth: int,
    *,
    layer_norm: bool = False,
    residual: bool = False,
    gated: bool = False,
    prefactor: float = 1.0,
) -> np.ndarray:
    """Every layer of a perceptron in turn, in float64."""
    p = {name: np.asarray(leaf, np.float64) for name, leaf in params.items()}
    phi, h = ACTIVATIONS[activation], np.asarray(x, np.float64)
    for index in range(depth):

        def weight(name: str, index: int = index) -> np.ndarray:
            if index == 0:
                return p[f"input_{name}"]
            return p[f"hidden_{name}"][index - 1]

        before = h @ weight("kernel") + weight("bias")
        inner = before
        if layer_norm:
            mean = before.mean(axis=1, keepdims=True)
            inner = (before - mean) / before.std(axis=1, keepdims=True)
        out = phi(prefactor * inner)
        if residual:
            out = before + out
        if gated:
            out = out * special.expit(h @ weight("gate_kernel") + weight("gate_bias"))
        h = out
    return h @ p["output_kernel"][:, 0] + p["output_bias"][0]
