"""Checks of an experiment's options that every experiment needs; none loads JAX.

Each raises `UsageError` with one line that names the option as it is typed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from jaxbias.files import UsageError


@contextmanager
def refusing() -> Iterator[None]:
    """What is found wrong inside (a ValueError of one line) is a `UsageError`."""
    try:
        yield
    except ValueError as error:
        raise UsageError(str(error)) from error


SMALLEST, LARGEST = 1e-37, 1e38
"""Numbers that float32 holds with all its digits."""

SEEDS = 2**32


def option(field: str) -> str:
    """A field of a configuration as it is typed: --weight-scales."""
    return f"--{field.replace('_', '-')}"


def _each(config: Any, field: str) -> tuple:
    value = getattr(config, field)
    if value is None:
        return ()
    return tuple(value) if isinstance(value, tuple | list) else (value,)


def refuse_repeats(config: Any) -> None:
    """Refuse empty lists, and lists that hold a value twice."""
    for field, value in asdict(config).items():
        if isinstance(value, tuple | list):
            if not value:
                raise UsageError(f"{option(field)}: at least one value is needed")
            once(config, field)


def once(config: Any, *fields: str) -> None:
    """Refuse lists that hold a value twice."""
    for field in fields:
        if len(set(_each(config, field))) < len(_each(config, field)):
            raise UsageError(f"{option(field)}: the same value twice")


def one_or_more(config: Any, *fields: str) -> None:
    """Refuse empty lists, and lists that hold a value twice, in one sentence."""
    for field in fields:
        values = _each(config, field)
        if not values or len(set(values)) < len(values):
            raise UsageError(f"{option(field)}: one or more, each once")


def positive(config: Any, *fields: str) -> None:
    """Refuse what is not a number above 0 that float32 holds."""
    for field in fields:
        for one in _each(config, field):
            # Written so that NaN fails too.
            if not SMALLEST <= one <= LARGEST:
                limits = f"{SMALLEST:g} to {LARGEST:g}" if one > 0 else "> 0"
                raise UsageError(f"{option(field)}: must be {limits}, got {one}")


def at_least(config: Any, **limits: float | int) -> None:
    """Refuse what is below its limit, NaN and infinity."""
    for field, least in limits.items():
        for one in _each(config, field):
            if not least <= one <= LARGEST:
                raise UsageError(f"{option(field)}: must be >= {least:g}, got {one}")


def at_most(config: Any, **limits: float | int) -> None:
    """Refuse what is above its limit."""
    for field, most in limits.items():
        largest = max(_each(config, field), default=most)
        if largest > most:
            raise UsageError(f"{option(field)}: must be at most {most}, got {largest}")


def rising(config: Any, field: str) -> None:
    """Refuse a list that does not rise."""
    if list(_each(config, field)) != sorted(_each(config, field)):
        raise UsageError(f"{option(field)}: must rise")


def check_seed(config: Any) -> None:
    """Refuse a seed that is not a 32-bit number."""
    if not 0 <= config.seed < SEEDS:
        raise UsageError(f"--seed: must be 0 to {SEEDS - 1}, got {config.seed}")
