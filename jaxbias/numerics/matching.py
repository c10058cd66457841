"""Giving maps the distribution of values that is asked: histogram matching.

A distribution is a table of quantiles at probabilities sin^2(pi j / 2 n), which lie as
much closer towards 0 and 1 as heavy tails need. Values are counted in bins of the map's
own range, as Heeger and Bergen (1995) did, and not sorted, which costs several times as
much: the k-th largest value becomes the k-th largest of the distribution up to what is
within one bin, over which it is a straight line.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

KNOTS = 257
"""Quantiles of a table."""

BINS = 256
"""Bins that are counted if no other number is asked."""

Values = Float[Array, "map pixel"]
Quantiles = Float[Array, "map knot"]


def probabilities(knots: int = KNOTS) -> Float[np.ndarray, " {knots}"]:
    """Those of a table, from 0 to 1."""
    return np.sin(np.linspace(0, np.pi / 2, knots)) ** 2


def quantiles(values: Values, bins: int = BINS) -> Quantiles:
    """The tables of maps, from their histograms; NaN for a constant."""
    low, high = values.min(1, keepdims=True), values.max(1, keepdims=True)
    share = _share_below(_places(values, low, high, bins), bins)
    # Bins may be empty, and the inverse needs a rise.
    rising = jnp.arange(bins + 1, dtype=share.dtype)[None] / bins
    share = share + 1e-6 * (rising - share)
    at = jnp.asarray(probabilities(), share.dtype)
    found = [jnp.interp(at, one, end) for one, end in zip(share, rising * jnp.ones_like(low), strict=True)]
    return low + (high - low) * jnp.stack(found)
