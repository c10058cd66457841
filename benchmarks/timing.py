"""How a compiled program is timed: compilation by itself, and each call after the first."""

import statistics
import time
from collections.abc import Callable
from typing import Any

import jax


def prepared(program: Any, *given: Any) -> tuple[Any, dict[str, float]]:
    """A jitted function compiled for these arguments, and what that took.

    Columns: `compile_s`, seconds; `program_memory_mb`, what the arguments, the results and
    everything in between need at once.
    """
    began = time.perf_counter()
    ready = program.lower(*given).compile()
    spent = time.perf_counter() - began
    memory: Any = ready.memory_analysis()
    needed = memory.temp_size_in_bytes + memory.argument_size_in_bytes
    # What is given away is counted once.
    needed += memory.output_size_in_bytes - memory.alias_size_in_bytes
    return ready, {"compile_s": spent, "program_memory_mb": needed / 2**20}


def compiled(
    program: Callable, *given: Any
) -> tuple[Callable[[], float], dict[str, float]]:
    """What gives the seconds of a call, after the first; and what `prepared` tells."""
    ready, spent = prepared(jax.jit(program), *given)

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
