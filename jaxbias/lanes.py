"""How one device goes over its share of the networks: one by one, or all at once.

On a CPU one network at a time keeps its activations in the cache; on a GPU all of them
together fill the device.
"""

from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
from jax import lax

from jaxbias.arrays import Params

Strategy = Literal["map", "vmap"]


def default_strategy() -> Strategy:
    """The faster way to go over networks on the default backend."""
    return "map" if jax.default_backend() == "cpu" else "vmap"


def over(strategy: Strategy, function: Callable) -> Callable:
    """Apply a function to each entry of the leading axis, one by one or all at once.

    On a CPU one by one is faster (each function's arrays stay in cache) and gives the
    same bits whatever the number of functions; on a GPU or TPU all at once is.
    """
    if strategy == "vmap":
        return jax.vmap(function)

    def one_by_one(entries: Params) -> Params:
        if jax.tree.leaves(entries)[0].shape[0] != 1:
            return lax.map(function, entries)
        # XLA unrolls a loop of one pass and then rounds differently: make it two.
        twice = jax.tree.map(lambda leaf: jnp.repeat(leaf, 2, axis=0), entries)
        return jax.tree.map(lambda leaf: leaf[:1], lax.map(function, twice))

    return one_by_one
