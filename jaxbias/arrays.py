"""Names for the arrays and functions that everything else passes around.

A shape is written in words, as in `Float[Array, "network height width"]`; tests check
every annotation at every call.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from jaxtyping import Array, Bool, Float, Int, Key

Params: TypeAlias = Any
"""A pytree of arrays: the weights of one network."""

RandomKey: TypeAlias = Key[Array, ""]
"""One typed key, as `jax.random.key` makes it. Legacy uint32 keys are refused."""

Points: TypeAlias = Float[Array, "point dimension"]
"""Inputs of a network, one a row."""

Predict: TypeAlias = Callable[[Params, Points], Float[Array, " point"]]
"""A scalar function of its parameters and a batch of points; pure and traceable."""

Measurements: TypeAlias = Mapping[str, Array]
"""Arrays with one entry per network, by name."""

__all__ = [
    "Array",
    "Bool",
    "Float",
    "Int",
    "Key",
    "Measurements",
    "Params",
    "Points",
    "Predict",
    "RandomKey",
]
