"""How much functions go up and down along straight lines."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def total_variation(values: Float[Array, "*axes"]) -> Float[Array, ""]:
    """Total variation along grid lines, in standard deviations of the function.

    The sum of |difference| between neighbours along a line, averaged over all lines of
    all axes, divided by the standard deviation over the grid, so that it does not depend
    on the function's scale. A line from end to end reads 2 sqrt(3) = 3.46 in one
    dimension; white noise reads about 1.13 (resolution - 1).

    Returns:
        A number >= 0; NaN for a constant.

    References:
        Teney et al., Do We Always Need the Simplicity Bias? (CVPR 2025), section 3,
        for total variation as a measure of complexity (on paths through data: see
        `jaxbias.probes.paths`). The division by the standard deviation is ours.
    """
    along = [
        jnp.mean(jnp.sum(jnp.abs(jnp.diff(values, axis=axis)), axis=axis))
        for axis in range(values.ndim)
    ]
    return sum(along[1:], along[0]) / len(along) / jnp.std(values)
