"""Activation functions by name, in the form that each backend computes fastest.

On the CPU, XLA evaluates `sin` one element at a time (18 times slower than the form
below) and the exact GELU through `erfc` (three times slower). The CPU forms agree with
the library's to within the errors given here; other backends take the library's.
"""

import contextlib
import importlib
import math
from collections.abc import Callable
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

Activation = Callable[[Array], Array]


class UnknownActivationError(ValueError):
    """No activation of that name exists."""


def _on_cpu(fast: Activation, elsewhere: Activation) -> Activation:
    def activation(x: Array) -> Array:
        return lax.platform_dependent(x, cpu=fast, default=elsewhere)

    return activation


# pi in three parts. Products of the first two (8 and 7 bits) with a whole number below
# 2^16 are exact, so the result does not depend on fused multiply-add.
_PI_PARTS = tuple(map(np.float32, (201 / 2**6, 254 / 2**18, -1.2795156756e-6)))
# Least maximum error of sin(r)/r - 1 as a polynomial in r^2, on |r| <= pi/2.
_SINE_SERIES = tuple(
    map(np.float32, (-0.16666657, 8.3330171e-3, -1.98066147e-4, 2.60005459e-6))
)


def _sine_cpu(x: Array) -> Array:
    """sin(x) by range reduction and a polynomial; error below 1.4e-7 for |x| < 2e5.

    Beyond, where neighbouring floats are more than 0.01 apart, it stays within [-1, 1].
    """
    turns = jnp.round(x * np.float32(1 / math.pi))
    reduced = x
    for part in _PI_PARTS:
        reduced = reduced - turns * part
    # Changes nothing below 2e5: pi/2, and the rounding of x / pi in `turns`.
    reduced = jnp.clip(reduced, np.float32(-1.6), np.float32(1.6))
    square = reduced * reduced
    series = _SINE_SERIES[3]
    for coefficient in _SINE_SERIES[2::-1]:
        series = coefficient + square * series
    half = turns * np.float32(0.5)
    sign = 1 - 4 * (half - jnp.floor(half))
    return sign * (reduced + reduced * square * series)


def _gelu_cpu(x: Array) -> Array:
    """Exact GELU through erf; absolute error below 1.2e-6."""
    return 0.5 * x * (1 + lax.erf(x * np.float32(math.sqrt(0.5))))


def _selu_cpu(x: Array) -> Array:
    """SELU with exp(x) - 1 in place of expm1; error below 2.5e-7 for x <= 0."""
    scale, alpha = np.float32(1.0507009873554805), np.float32(1.6732632423543772)
    return scale * jnp.where(x > 0, x, alpha * (jnp.exp(jnp.minimum(x, 0)) - 1))


def _gelu(x: Array) -> Array:
    return jax.nn.gelu(x, approximate=False)


def gaussian(width: float = 1.0) -> Activation:
    """The bump exp(-x^2 / (2 width^2)).

    The published heatmaps' exp(-x^2) is width = sqrt(1/2).
    """
    factor = np.float32(-0.5 / width**2)
    return lambda x: jnp.exp(factor * x * x)


ACTIVATIONS: dict[str, Activation] = {
    "relu": jax.nn.relu,
    "gelu": _on_cpu(_gelu_cpu, _gelu),
    "swish": jax.nn.silu,
    "selu": _on_cpu(_selu_cpu, jax.nn.selu),
    "sigmoid": jax.nn.sigmoid,
    "tanh": jnp.tanh,
    "gaussian": gaussian(),
    "sine": _on_cpu(_sine_cpu, jnp.sin),
}
"""The activations of the study. To add one, add a line, or name any callable by its
import path ("jax.nn.softplus", "my_module.my_function")."""


def resolve(name: str, *, gaussian_width: float = 1.0) -> Activation:
    """Find an activation by its short name or its import path.

    Args:
        name: A key of `ACTIVATIONS`, or the dotted path of an elementwise function.
        gaussian_width: Width of "gaussian", see `gaussian`.

    Raises:
        UnknownActivationError: If there is none of that name.
    """
    if name == "gaussian":
        return gaussian(gaussian_width)
    if name in ACTIVATIONS:
        return ACTIVATIONS[name]
    module, _, attribute = name.rpartition(".")
    found: Any = None
    if module:
        with contextlib.suppress(ImportError, AttributeError):
            found = getattr(importlib.import_module(module), attribute)
    if not callable(found):
        raise UnknownActivationError(
            f"unknown activation {name!r}: one of {', '.join(ACTIVATIONS)}, or the "
            "import path of a function such as jax.nn.softplus"
        )
    return cast(Activation, found)


def selected(
    functions: list[Activation], index: Array, x: Float[Array, "*shape"]
) -> Float[Array, "*shape"]:
    """Apply the activation whose number is `index`, which may be traced.

    One program then serves every activation, at about 3 % more time in it.
    """
    if len(functions) == 1:
        return functions[0](x)
    return lax.switch(index, functions, x)
