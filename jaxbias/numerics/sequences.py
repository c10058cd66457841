"""Functions on a grid as sequences of a few symbols, for Lempel-Ziv complexity."""

from functools import lru_cache

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Integer

ORDERS = ("column", "row", "snake", "hilbert")


def quantise(
    values: Float[Array, "*axes"], levels: int = 10
) -> Integer[Array, "*axes"]:
    """Map values to equally spaced levels between their own minimum and maximum.

    Returns:
        Integers in [0, levels - 1] of type uint8 (int32 above 256 levels); all 0 for a
        constant. Non-finite values give unspecified levels within that range.
    """
    low, high = jnp.min(values), jnp.max(values)
    scaled = (values - low) / jnp.where(high > low, high - low, 1) * levels
    symbol = jnp.clip(jnp.nan_to_num(jnp.floor(scaled)), 0, levels - 1)
    return symbol.astype(jnp.uint8 if levels <= 256 else jnp.int32)


@lru_cache(maxsize=32)
def _hilbert_order(side: int) -> np.ndarray:
    """Flat index (row-major) of each step of Hilbert's curve on a square grid."""
    step = np.arange(side * side)
    row, column = np.zeros_like(step), np.zeros_like(step)
    rest, size = step.copy(), 1
    while size < side:
        right = (rest // 2) % 2
        up = (rest ^ right) % 2
        flip = (up == 0) & (right == 1)
        row = np.where(flip, size - 1 - row, row)
        column = np.where(flip, size - 1 - column, column)
        row, column = (
            np.where(up == 0, column, row),
            np.where(up == 0, row, column),
        )
        row, column = row + size * right, column + size * up
        rest, size = rest // 4, size * 2
    return row * side + column


def traverse(
    symbols: Integer[Array, "*axes"], order: str = "column"
) -> Integer[Array, " step"]:
    """Read a grid as one sequence.

    Args:
        symbols: One grid of any dimension.
        order: "column": first axis fastest; "row": last axis fastest; "snake": row by
            row, every second one backwards; "hilbert": along Hilbert's curve, for a
            square whose side is a power of two.

    Raises:
        ValueError: If the order is unknown or does not fit the grid.
    """
    shape = symbols.shape
    if order not in ORDERS:
        raise ValueError(f"order must be one of {ORDERS}, got {order!r}")
    if order == "row" or len(shape) == 1:
        return symbols.reshape(-1)
    if order == "column":
        return symbols.transpose(range(len(shape))[::-1]).reshape(-1)
    if order == "snake" and len(shape) == 2:
        index = np.arange(symbols.size).reshape(shape)
        index[1::2] = index[1::2, ::-1]
        return symbols.reshape(-1)[index.reshape(-1)]
    if order == "hilbert" and len(shape) == 2:
        side = shape[0]
        if shape != (side, side) or side & (side - 1):
            raise ValueError(
                f"hilbert order needs a square with a power of two a side, got {shape}"
            )
        return symbols.reshape(-1)[_hilbert_order(side)]
    raise ValueError(f"order {order!r} does not fit a grid of shape {shape}")
