"""What a probe of one function gives: a number, and whether it means anything.

A constant function has no complexity: its reading is NaN with a flag that says why, and
never a plausible number.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxbias.probes.complexity import complexity


class Reading(NamedTuple):
    """One reading.

    Attributes:
        value: The reading; NaN where the function is not finite or its spread is
            rounding.
        degenerate: Index into `probes.complexity.DEGENERATE`; 0 is a function that can
            be measured.
    """

    value: Float[Array, ""]
    degenerate: Int[Array, ""]


def flag_of(values: Float[Array, "point *out"]) -> Int[Array, ""]:
    """Whether values of a function are constant, not finite, or differ by rounding.

    All outputs are looked at together; the meaning is that of `probes.complexity`.
    """
    return complexity(values.reshape(1, -1), measures=())["degenerate"][0]


def reading(
    value: Float[Array, ""], flag: Int[Array, ""], *, constant: float = 0.0
) -> Reading:
    """Give a constant function the value that it has by definition, and spoiled ones NaN.

    Args:
        value: What was computed.
        flag: From `flag_of`.
        constant: What a constant function reads.
    """
    value = jnp.where(flag == 1, constant, value)
    return Reading(jnp.where(flag >= 2, jnp.nan, value), flag)
