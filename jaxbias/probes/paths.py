"""How much a function varies along straight paths between data points.

Where inputs have too many dimensions for a grid, the function is followed between pairs
of given points, where it matters.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxbias.arrays import Params, RandomKey

Function = Callable[[Params, Float[Array, "point *shape"]], Float[Array, "point *out"]]


def path_values(
    predict: Function,
    params: Params,
    data: Float[Array, "example *shape"],
    key: RandomKey,
    *,
    num_paths: int = 100,
    num_steps: int = 50,
) -> Float[Array, "path step *out"]:
    """Values of a function at regular steps between random pairs of data points.

    Args:
        predict: Pure function of parameters and a batch of inputs.
        params: Its parameters.
        data: Points of the data, at least 2; pairs are distinct.
        key: Which pairs.
        num_paths: Number of pairs.
        num_steps: Points on a path, ends included, at least 2.

    Raises:
        ValueError: If there are fewer than two data points or steps.
    """
    count = data.shape[0]
    if count < 2 or num_steps < 2:
        raise ValueError(
            f"a path needs two data points and two steps, got {count} and {num_steps}"
        )
    first_key, second_key = jax.random.split(key)
    first = jax.random.randint(first_key, (num_paths,), 0, count)
    # Skipping over the first makes every other point equally likely as the second.
    second = jax.random.randint(second_key, (num_paths,), 0, count - 1)
    second = second + (second >= first)
    fraction = jnp.linspace(0.0, 1.0, num_steps)
    fraction = fraction.reshape(-1, *[1] * (data.ndim - 1))

    def one(ends: tuple[Array, Array]) -> Array:
        start, stop = data[ends[0]][None], data[ends[1]][None]
        return predict(params, (1 - fraction) * start + fraction * stop)

    return lax.map(one, (first, second))


def variation(
    values: Float[Array, "path step *out"], *, normalise: bool = False
) -> Float[Array, "*out"]:
    """Total variation of what `path_values` gives; see `path_variation`."""
    summed = jnp.sum(jnp.abs(jnp.diff(values, axis=1)), axis=1)
    mean = jnp.mean(summed, axis=0)
    return mean / jnp.std(values, axis=(0, 1)) if normalise else mean


def path_variation(
    predict: Function,
    params: Params,
    data: Float[Array, "example *shape"],
    key: RandomKey,
    *,
    num_paths: int = 100,
    num_steps: int = 50,
    normalise: bool = False,
) -> Float[Array, "*out"]:
    """Total variation along straight paths between data points, averaged over paths.

    Args:
        predict: Pure function of parameters and a batch of inputs; each of its outputs
            is measured by itself.
        params: Its parameters.
        data: Points of the data.
        key: Which pairs of points.
        num_paths: Number of paths.
        num_steps: Points on each path, ends included.
        normalise: Divide by the standard deviation of the output over all points of all
            paths, so that the scale of the output does not count; NaN for a constant.

    Returns:
        The sum of |difference| between neighbouring points, in the output's unit, one
        number for each output. A linear function reads the mean distance of its end
        values, and more steps can only raise the reading.

    References:
        Teney et al., Do We Always Need the Simplicity Bias? (CVPR 2025), section 3.
        Normalising is ours.
    """
    follow = partial(path_values, num_paths=num_paths, num_steps=num_steps)
    values = follow(predict, params, data, key)
    return variation(values, normalise=normalise)
