"""How a compiled program is timed: compilation by itself, and each call after the first."""

import statistics
import time
from collections.abc import Callable
from typing import Any

import jax


def compiled(program: Callable, *given: Any) -> tuple[Callable[[], float], float]:
    """What gives the seconds of a call, after the first; and those of compilation."""
    began = time.perf_counter()
    ready = jax.jit(program).lower(*given).compile()
    spent = time.perf_counter() - began

    def call() -> float:
        began = time.perf_counter()
        jax.block_until_ready(ready(*given))
        return time.perf_counter() - began

    call()
    return call, spent


def rates(name: str, spent: list[float], count: int) -> dict[str, float]:
    """Images a second: of the best turn and of the median one."""
    return {
        f"{name}images_per_s_max": count / min(spent),
        f"{name}images_per_s": count / statistics.median(spent),
    }
