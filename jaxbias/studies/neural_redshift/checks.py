"""Checks of names that every experiment of the study takes; they load JAX.

Each raises ValueError with one line that names the option.
"""

from collections.abc import Iterable, Sequence

import jax
import jax.numpy as jnp

from jaxbias.numerics.activations import (
    ACTIVATIONS,
    UnknownActivationError,
    resolve,
)
from jaxbias.probes import complexity


def known(option: str, names: Iterable[str], among: Iterable[str]) -> None:
    """Refuse a name that does not exist."""
    for name in names:
        if name not in among:
            raise ValueError(f"--{option}: {name!r} is none of {', '.join(among)}")


def measures(names: Sequence[str], resolution: int) -> None:
    """Refuse measures that do not exist, or cannot be taken on such a grid."""
    try:
        complexity.check(names, resolution, complexity.MeasureOptions())
    except ValueError as error:
        raise ValueError(f"--measures: {error}") from error


def activations(option: str, names: Sequence[str]) -> None:
    """Refuse what is no elementwise function, by name or import path."""
    for name in names:
        _activation(option, name)


def _activation(option: str, name: str) -> None:
    example = jax.ShapeDtypeStruct((2, 3), jnp.float32)
    try:
        function = resolve(name)
        result = example if name in ACTIVATIONS else jax.eval_shape(function, example)
    except UnknownActivationError as error:
        raise ValueError(f"--{option}: {error}") from error
    except Exception as error:  # It is the user's function: anything may go wrong.
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"--{option}: {name} of an array fails: {reason}") from error
    shape, dtype = (getattr(result, field, None) for field in ("shape", "dtype"))
    if shape != example.shape or dtype != example.dtype:
        raise ValueError(f"--{option}: {name} does not keep an array's shape and type")
