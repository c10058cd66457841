"""Training on all of the data at every step: small networks, thousands of them.

A training is one pure function of its starting point, so that a sweep can run hundreds in
one program; `training.fit` is for what is too large for that.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import lax

from jaxbias.arrays import Array, Params


def fit(
    loss: Callable[[Params], Array],
    params: Params,
    optimiser: optax.GradientTransformation,
    *,
    marks: Sequence[int],
    observe: Callable[[Params], Any],
) -> tuple[Params, Any]:
    """Minimise a loss by full-batch gradient descent, looking on at given steps.

    Args:
        loss: Of the parameters, on all of the data; a scalar.
        params: Where to start.
        optimiser: From optax.
        marks: Steps after which to look, each >= 0 and in rising order; the last one ends
            the training.
        observe: What to look at: a pytree of arrays of the parameters.

    Returns:
        The final parameters, and the observations with a leading axis of marks.

    Raises:
        ValueError: If there are no marks, or they do not rise.
    """
    stops = list(marks)
    if not stops or stops[0] < 0 or sorted(set(stops)) != stops:
        raise ValueError(f"marks must be >= 0 and rise, got {stops}")

    def step(_: Array, carry: tuple[Params, Any]) -> tuple[Params, Any]:
        params, state = carry
        updates, state = optimiser.update(jax.grad(loss)(params), state, params)
        return optax.apply_updates(params, updates), state

    def until(carry: tuple[Params, Any], ends: Array) -> tuple[tuple[Params, Any], Any]:
        # The bounds are traced: one compiled step serves every stretch.
        carry = lax.fori_loop(ends[0], ends[1], step, carry)
        return carry, observe(carry[0])

    starts = jnp.asarray([0, *stops[:-1]], jnp.int32)
    ends = jnp.stack([starts, jnp.asarray(stops, jnp.int32)], axis=1)
    (params, _), seen = lax.scan(until, (params, optimiser.init(params)), ends)
    return params, seen
