"""Giving maps the distribution of values that is asked: histogram matching.

A distribution is a table of quantiles at probabilities u^2 / (u^2 + (1 - u)^2) of even u,
which lie as much closer towards 0 and 1 as heavy tails need. Values are counted in bins of
the map's own range, as Heeger and Bergen (1995) did, and not sorted: 3 ns a value on one
core of a CPU, where sorting takes 170. What grows linearly within a bin does so afterwards.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

KNOTS = 257
"""Quantiles of a table."""

BINS = 256
"""Bins that are counted if no other number is asked."""

Values = Float[Array, "map pixel"]
Quantiles = Float[Array, "map knot"]


def probabilities() -> Float[np.ndarray, " knot"]:
    """Those of a table, from 0 to 1."""
    place = np.linspace(0, 1, KNOTS)
    return place**2 / (place**2 + (1 - place) ** 2)


def quantiles(values: Values, bins: int = BINS) -> Quantiles:
    """The tables of maps, from their histograms; NaN for a constant.

    Args:
        values: Of each map, in any order.
        bins: Of equal width, from the least value to the greatest.
    """
    low, high = values.min(1, keepdims=True), values.max(1, keepdims=True)
    _, _, share = _counted(values, low, high, bins)
    # Bins may be empty, and an inverse needs a rise.
    even = jnp.arange(bins + 1, dtype=jnp.float32)[None] / bins
    rising = share + 1e-6 * (even - share)
    at = jnp.asarray(probabilities(), jnp.float32)
    found = jax.vmap(lambda one: jnp.interp(at, one, even[0]))(rising)
    return jnp.where(high > low, low + (high - low) * found, jnp.nan)


def match(values: Values, quantiles: Quantiles, bins: int = BINS) -> Values:
    """Give each map the distribution of its table, in the order that its values have.

    Args:
        values: Of each map, in any order.
        quantiles: At `probabilities()`.
        bins: Of equal width, from the least value to the greatest.

    Returns:
        Maps from the table's least value to its greatest; NaN where a map is a constant.
    """
    low, high = values.min(1, keepdims=True), values.max(1, keepdims=True)
    place, number, share = _counted(values, low, high, bins)
    # A branch, or XLA on CPU would look up a quantile for each value and not for each bin;
    # it heeds no barrier here.
    nothing = lambda table, share: jnp.full_like(share, jnp.nan)  # noqa: E731
    varied = (high > low).any()
    edges = lax.cond(varied, at_probability, nothing, quantiles, share)
    below = _taken(edges, number)
    found = below + (place - number) * (_taken(edges, number + 1) - below)
    return jnp.where(high > low, found, jnp.nan)


def at_probability(
    quantiles: Quantiles, share: Float[Array, "map value"]
) -> Float[Array, "map value"]:
    """Quantiles at any probabilities, on straight lines between those of the tables."""
    end = KNOTS - 1
    share = jnp.clip(share, 0, 1)
    odds = jnp.sqrt(share), jnp.sqrt(1 - share)
    place = odds[0] / (odds[0] + odds[1]) * end
    number = jnp.clip(place.astype(jnp.int32), 0, end - 1)
    at = jnp.asarray(probabilities(), jnp.float32)
    first, last = at[number], at[number + 1]
    below = _taken(quantiles, number)
    rise = _taken(quantiles, number + 1) - below
    return below + jnp.clip((share - first) / (last - first), 0, 1) * rise


def _counted(
    values: Array, low: Array, high: Array, bins: int
) -> tuple[Array, Array, Array]:
    """Each value's place in bins and its bin, and the share of values below each edge."""
    maps, pixels = values.shape
    place = (values - low) * (bins / jnp.where(high > low, high - low, 1))
    number = jnp.clip(place.astype(jnp.int32), 0, bins - 1)
    flat = number + bins * jnp.arange(maps, dtype=jnp.int32)[:, None]
    counts = jnp.zeros(maps * bins, jnp.float32)
    counts = counts.at[flat.ravel()].add(1.0, mode="promise_in_bounds")
    share = jnp.cumsum(counts.reshape(maps, bins), axis=1) / pixels
    return place, number, jnp.pad(share, ((0, 0), (1, 0)))


def _taken(table: Array, number: Array) -> Array:
    """Of each map's row."""
    maps, columns = table.shape
    flat = number + columns * jnp.arange(maps, dtype=jnp.int32)[:, None]
    return table.ravel().at[flat].get(mode="promise_in_bounds")
