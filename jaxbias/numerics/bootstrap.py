"""Bootstrap of samples that share their sources: counts of what each resample takes.

Images made of one photograph are not independent: sources are drawn again, with all of
their images, and intervals are as wide as few sources make them.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxbias.arrays import RandomKey

MOST_UNDEFINED = 0.05
"""Share of resamples that may be NaN before there is no interval."""


def counts(key: RandomKey, strata: Int[Array, " source"]) -> Int[Array, " source"]:
    """How often a resample takes each source.

    Args:
        key: Which resample.
        strata: Group of each source, in rising order. Each group is resampled by itself,
            with replacement, to its own size; a group of one is always taken once.
    """
    total = strata.shape[0]
    first = jnp.sum(strata[None, :] < strata[:, None], axis=1)
    size = jnp.sum(strata[None, :] == strata[:, None], axis=1)
    # A uniform draw below 1 can round up to the size itself.
    drawn = jnp.floor(jax.random.uniform(key, (total,)) * size).astype(first.dtype)
    taken = first + jnp.minimum(drawn, size - 1)
    return jnp.zeros(total, jnp.int32).at[taken].add(1)


def interval(
    drawn: Float[np.ndarray, "resample *value"], *, confidence: float = 0.95
) -> tuple[Float[np.ndarray, "*value"], Float[np.ndarray, "*value"]]:
    """Percentile interval of resampled values.

    Returns:
        Lower and upper ends. NaN where more than 5 % of the resamples have no value, and
        where all have the same: then resampling cannot tell how sure a value is.
    """
    known = np.isfinite(drawn)
    enough = known.mean(axis=0) >= 1 - MOST_UNDEFINED
    filled = np.where(enough, drawn, 0.0)
    tail = 50 * (1 - confidence)
    low, high = np.nanpercentile(filled, [tail, 100 - tail], axis=0)
    spread = np.nanmax(filled, axis=0) > np.nanmin(filled, axis=0)
    return tuple(np.where(enough & spread, end, np.nan) for end in (low, high))  # type: ignore[return-value]
