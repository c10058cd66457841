"""How complex functions are: eight measures on a grid, for many functions at once.

Each is blind to a function's shift and scale, and flags what has no complexity to read:
constants, values that are not finite, and spreads that rounding makes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

from jaxbias.arrays import Params, Predict, RandomKey
from jaxbias.lanes import Strategy, default_strategy, over
from jaxbias.numerics import lempel_ziv, sequences
from jaxbias.numerics.fourier import dct, fourier
from jaxbias.numerics.polynomials import (
    DEFAULT_DEGREE,
    VANDERMONDE,
    check_degree,
    largest_degree,
    polynomial_order,
)
from jaxbias.numerics.total_variation import total_variation

ROUNDING = 1e3 * float(np.finfo(np.float32).eps)
"""Smallest spread, as a share of the largest value, that is not taken for rounding."""

UNDERFLOW = float(np.finfo(np.float32).tiny / np.finfo(np.float32).eps)
"""Largest value below which a function's float32 digits are being lost: 1e-31."""

DEGENERATE = ("", "constant", "non_finite", "rounding")
"""What the flag's numbers mean; 0 is a function that can be measured."""


@dataclass(frozen=True, kw_only=True)
class MeasureOptions:
    """Parameters of the measures.

    Attributes:
        fourier_binning: "radial" or "author", see `numerics.fourier.fourier`.
        degree: Polynomial degree along each axis; None takes 20, or the largest that is
            well conditioned on a smaller grid.
        order: How the order of a product is counted: "sum", "max" or "euclid".
        nodes: Where the grid's points lie: "equispaced" or "chebyshev".
        levels: Levels that values are mapped to for the Lempel-Ziv measures.
        traversal: How the grid is read as a sequence, see `numerics.sequences.traverse`.
    """

    fourier_binning: str = "radial"
    degree: int | None = None
    order: str = "sum"
    nodes: str = "equispaced"
    levels: int = 10
    traversal: str = "column"

    def degree_for(self, basis: str, resolution: int) -> int:
        """Degree of the fit on a grid; raises `DegreeError` if it is too high."""
        if self.degree is None:
            return min(DEFAULT_DEGREE, largest_degree(basis, resolution, self.nodes))
        check_degree(basis, self.degree, resolution, self.nodes)
        return self.degree


SmoothMeasure: TypeAlias = Callable[[Float[Array, "*axes"], MeasureOptions], Array]
SymbolMeasure: TypeAlias = Callable[..., Array]


def _polynomial(basis: str) -> SmoothMeasure:
    def measure(values: Float[Array, "*axes"], options: MeasureOptions) -> Array:
        degree = options.degree_for(basis, values.shape[0])
        return polynomial_order(values, basis, degree, options.order, options.nodes)

    return measure


SMOOTH: dict[str, SmoothMeasure] = {
    "fourier": lambda values, options: fourier(values, options.fourier_binning),
    "dct": lambda values, options: dct(values),
    "chebyshev": _polynomial("chebyshev"),
    "legendre": _polynomial("legendre"),
    "total_variation": lambda values, options: total_variation(values),
}
"""Measures of the values. To add one, add a line."""

SYMBOLIC: dict[str, SymbolMeasure] = {
    "lz76": lempel_ziv.lz76,
    "lz78": lempel_ziv.lz78,
    "lzw": lempel_ziv.lzw,
}
"""Measures of the quantised values as a sequence. To add one, add a line."""

_IN_ORDER = (
    *("fourier", "dct", "chebyshev", "legendre"),
    *("lz76", "lz78", "lzw", "total_variation"),
)

MEASURES = tuple(dict.fromkeys((*_IN_ORDER, *SMOOTH, *SYMBOLIC)))
"""All measures, in the order of the tables' columns; what you add comes last."""


def check(measures: Sequence[str], resolution: int, options: MeasureOptions) -> None:
    """Raise ValueError, in one line, if the measures cannot be taken on such a grid."""
    unknown = [name for name in measures if name not in SMOOTH | SYMBOLIC]
    if unknown:
        raise ValueError(
            f"unknown measure {', '.join(unknown)}: one of {', '.join(MEASURES)}"
        )
    for basis in VANDERMONDE:
        if basis in measures:
            options.degree_for(basis, resolution)


def _standardise(
    values: Float[Array, "*axes"],
) -> tuple[Float[Array, "*axes"], Int[Array, ""]]:
    """Centre values and divide by their largest deviation; flag what has no spread.

    All measures are invariant to shift and scale, so this changes none of them; it keeps
    very large and very small functions within float32's range.
    """
    finite = jnp.all(jnp.isfinite(values))
    values = jnp.where(finite, values, 0.0)
    largest = jnp.max(jnp.abs(values))
    # XLA may multiply by 1 / largest, which underflows to 0 if largest is above 8e37.
    shrink = jnp.where(largest > 1, 0.0625, 1.0)
    # Divide first: the sum of values near the largest float would overflow.
    values = values * shrink / jnp.where(largest > 0, largest * shrink, 1.0)
    # The grid's values minus one of them are exactly 0 for a constant; a mean rounds.
    constant = jnp.max(values) == jnp.min(values)
    centred = values - jnp.mean(values)
    spread = jnp.max(jnp.abs(centred))
    rounding = (jnp.std(centred) < ROUNDING) | (largest < UNDERFLOW)
    flag = jnp.where(finite, jnp.where(constant, 1, jnp.where(rounding, 3, 0)), 2)
    return centred / jnp.where(constant, 1.0, spread), flag


def _one_grid(
    values: Float[Array, "*axes"], smooth: tuple[str, ...], options: MeasureOptions
) -> dict[str, Array]:
    """Everything about one function that is not a sequential scan."""
    standard, flag = _standardise(values)
    symbols = sequences.quantise(standard, options.levels)
    found = {name: SMOOTH[name](standard, options) for name in smooth}
    return found | {
        "flag": flag,
        "symbols": sequences.traverse(symbols, options.traversal),
    }


def complexity(
    values: Float[Array, "network *axes"],
    *,
    measures: Sequence[str] = MEASURES,
    options: MeasureOptions | None = None,
    strategy: Strategy = "map",
) -> dict[str, Float[Array, " network"] | Int[Array, " network"]]:
    """Measure the complexity of functions given by their values on a regular grid.

    Args:
        values: One function a row, its grid on the other axes.
        measures: Which measures to take, from `MEASURES`.
        options: Their parameters.
        strategy: "map" or "vmap", see `over`.

    Returns:
        One float32 array for each measure, and "degenerate", an index into `DEGENERATE`.
        A constant reads 0 on every measure but the Lempel-Ziv counts, which read their
        minimum; a function that is not finite, or whose spread is within rounding
        (standard deviation below `ROUNDING` of its largest value, or that value below
        `UNDERFLOW`), reads NaN.

    Raises:
        DegreeError: If the grid is too small for the polynomial degree.
        ValueError: If a measure is unknown.
    """
    options = options or MeasureOptions()
    check(measures, values.shape[1], options)
    smooth = tuple(name for name in measures if name in SMOOTH)
    each = partial(_one_grid, smooth=smooth, options=options)
    found = over(strategy, each)(values)
    flag, symbols = found.pop("flag"), found.pop("symbols")
    for name in smooth:
        found[name] = jnp.where(flag == 1, 0.0, found[name])
    for name in measures:
        if name in SYMBOLIC:
            count = partial(SYMBOLIC[name], alphabet_size=options.levels)
            found[name] = jax.vmap(count)(symbols).astype(jnp.float32)
    spoiled = flag >= 2
    found = {name: jnp.where(spoiled, jnp.nan, found[name]) for name in measures}
    return found | {"degenerate": flag}


def evaluate(
    apply: Predict, params: Params, points: Float[Array, "*axes dimension"], tile: int
) -> Float[Array, "*axes"]:
    """Evaluate one network on every point, `tile` points at a time.

    A tile whose activations fit the cache is up to twice as fast on a CPU.
    """
    flat = points.reshape(-1, points.shape[-1])
    count = flat.shape[0]
    tile = min(tile, count)
    if count % tile:
        flat = jnp.pad(flat, [(0, -count % tile), (0, 0)])
    tiles = flat.reshape(-1, tile, flat.shape[-1])
    if len(tiles) == 1:
        outputs = apply(params, tiles[0])
    else:
        outputs = lax.map(partial(apply, params), tiles).reshape(-1)[:count]
    return outputs.reshape(points.shape[:-1])


def tile_for(width: int, points: int) -> int:
    """Points to a tile such that its activations take about a mebibyte."""
    most = max(64, 2**18 // width)
    parts = -(-points // most)
    return -(-points // parts)


TOGETHER = {"cpu": 256}
ACCELERATOR_TOGETHER = 16384
"""Functions to measure at once, of 64 x 64 points: a Lempel-Ziv scan has a price a step,
whatever the number of sequences, and the more so on an accelerator."""


def together_for(points: int) -> int:
    """Functions on a grid of so many points to measure at once: as much memory for all."""
    most = TOGETHER.get(jax.default_backend(), ACCELERATOR_TOGETHER)
    return max(1, most * 64**2 // points)


def flagged(flag: np.ndarray) -> dict[str, np.ndarray]:
    """The columns of a table that say which functions cannot be measured, and why."""
    reasons = np.asarray(DEGENERATE, object)
    return {"degenerate": flag > 0, "degenerate_reason": reasons[flag]}


def measure(
    apply: Predict,
    params: Params | Callable[[RandomKey], Params],
    grid: Float[Array, "*axes dimension"],
    *,
    measures: Sequence[str] = MEASURES,
    options: MeasureOptions | None = None,
    key: RandomKey | None = None,
    num_networks: int | None = None,
    strategy: Strategy | None = None,
) -> dict[str, np.ndarray]:
    """Measure the complexity of any network: a pure function of parameters and inputs.

    Calls with the same functions, options and shapes compile once.

    Args:
        apply: `apply(params, points)` gives one number for each row of points.
        params: The parameters of the networks, stacked along a leading axis of every
            leaf; or a function that draws one network's parameters from a key.
        grid: Points, as `numerics.grids.grid` makes them.
        measures: Which measures to take.
        options: Their parameters.
        key: Where `params` is a function: the key to draw from.
        num_networks: Where `params` is a function: how many networks to draw.
        strategy: "map" (one network at a time) or "vmap"; None takes "map" on a CPU.

    Returns:
        One array of `num_networks` entries for each measure, and "degenerate" (see
        `complexity`).

    Raises:
        ValueError: If `params` is a function and `key` or `num_networks` is missing.
    """
    if callable(params):
        if key is None or num_networks is None:
            raise ValueError("a function of a key needs key= and num_networks=")
        sources, draw = jax.random.split(key, num_networks), params
    else:
        sources, draw = params, None
    parts = (
        apply,
        draw,
        tuple(measures),
        options or MeasureOptions(),
        strategy or default_strategy(),
    )
    try:
        compiled = _kept_program(*parts)
    except TypeError:
        # A method of what has no hash: nothing to find it again by.
        compiled = _program(*parts)
    return jax.device_get(compiled(sources, grid))


def _program(
    apply: Predict,
    draw: Callable[[RandomKey], Params] | None,
    measures: tuple[str, ...],
    options: MeasureOptions,
    strategy: Strategy,
) -> Callable:
    """The program of `measure`."""

    def run(sources: Params, grid: Array) -> dict[str, Array]:
        tile = tile_for(64, int(np.prod(grid.shape[:-1])))

        def values(source: Params) -> Array:
            return evaluate(apply, draw(source) if draw else source, grid, tile)

        return complexity(
            over(strategy, values)(sources),
            measures=measures,
            options=options,
            strategy=strategy,
        )

    return jax.jit(run)


_kept_program = lru_cache(maxsize=64)(_program)
