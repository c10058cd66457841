"""Geometric complexity: the squared norm of a function's input Jacobian over data.

How fast outputs move with inputs, on average over given points (Dirichlet's energy): 0
for a constant, and large where a function changes steeply.
"""

import math
from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxbias.arrays import Params
from jaxbias.probes.paths import Function
from jaxbias.probes.readings import Reading, flag_of, reading

Mode = Literal["auto", "forward", "reverse"]


def jacobian_norm(
    predict: Function,
    params: Params,
    inputs: Float[Array, "point *shape"],
    *,
    normalise: bool = False,
    mode: Mode = "auto",
) -> Reading:
    """Mean over data of the squared Frobenius norm of the Jacobian by the inputs.

    Args:
        predict: Pure function of parameters and a batch of inputs; each output row must
            depend on its own input row alone.
        params: Its parameters.
        inputs: Points of the data.
        normalise: Divide by the variance of the outputs over the data (summed over
            outputs), so that the scale of the outputs does not count.
        mode: "forward" takes one pass for each entry of an input, "reverse" one for each
            entry of an output; "auto" the fewer. A loop whose length is traced allows
            "forward" alone.

    Returns:
        The reading, >= 0, in squared output units (1 if normalised) per squared input
        unit. A linear function reads its squared norm wherever the data lie; a constant
        reads 0 and is flagged.

    References:
        Dherin et al., Why neural networks find simple solutions: the many regularizers
        of geometric complexity (NeurIPS 2022). Normalising is ours.
    """
    outputs = jax.eval_shape(predict, params, inputs)
    entries = math.prod(inputs.shape[1:])
    results = math.prod(outputs.shape[1:])
    if mode == "auto":
        mode = "forward" if entries <= results else "reverse"

    def function(x: Array) -> Array:
        return predict(params, x)

    # TF32 and bfloat16, the defaults of recent GPUs and of TPUs, read as variation.
    with jax.default_matmul_precision("highest"):
        if mode == "forward":
            values, push = jax.linearize(function, inputs)
            total = _sum_of_squares(push, inputs.shape, entries)
        else:
            values, pull = jax.vjp(function, inputs)
            total = _sum_of_squares(lambda v: pull(v)[0], outputs.shape, results)
    value = total / inputs.shape[0]
    if not normalise:
        # A derivative is exact however small the spread of the values.
        finite = jnp.all(jnp.isfinite(values)) & jnp.isfinite(value)
        flag = jnp.where(finite, jnp.where(value == 0, 1, 0), 2)
        return reading(value, flag)
    centre = jnp.mean(values, axis=0, keepdims=True)
    variance = jnp.sum(jnp.mean((values - centre) ** 2, axis=0))
    normalised = value / jnp.where(variance > 0, variance, 1.0)
    return reading(normalised, flag_of(values))


def _sum_of_squares(
    linear: Callable[[Array], Array], shape: tuple[int, ...], count: int
) -> Array:
    """Sum of squared entries of a linear map, block-diagonal over the leading axis."""

    def one(total: Array, number: Array) -> tuple[Array, None]:
        direction = jnp.zeros(count).at[number].set(1.0).reshape(shape[1:])
        found = linear(jnp.broadcast_to(direction, shape))
        return total + jnp.sum(found**2), None

    return lax.scan(one, jnp.float32(0), jnp.arange(count))[0]
