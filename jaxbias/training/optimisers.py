"""Schedules and optimisers as the published recipes have them, in optax.

A schedule is a function of the step, from 0, that can be traced. Where a recipe comes from
PyTorch, its numbers are PyTorch's to the last digit; tests hold them together.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from jaxbias.arrays import Params

Schedule: TypeAlias = Callable[[Any], Any]
"""From the step, a number or a traced one, to a number."""


def _cosine(start: float, end: float, share: Array) -> Array:
    """From `start` at share 0 to `end` at 1, along half a cosine."""
    return end + (start - end) * (1 + jnp.cos(math.pi * share)) / 2


def _two_phases(first: float, top: float, last: float, steps: int, rise: float):
    """Up along half a cosine and down along another: PyTorch's one-cycle policy."""
    if steps < 2 or not 0 < rise < 1:
        raise ValueError(f"one cycle of {steps} steps, {rise} of them rising")
    turn = rise * steps - 1

    def schedule(step: Int[Array, ""] | int) -> Float[Array, ""]:
        step = jnp.asarray(step, jnp.float32)
        # A rise that is over before the first step is not taken, as in PyTorch.
        up = _cosine(first, top, step / max(turn, 1e-9))
        down = _cosine(top, last, (step - turn) / (steps - 1 - turn))
        return jnp.where(step <= turn, up, jnp.where(step >= steps - 1, last, down))

    return schedule


def one_cycle(
    peak: float,
    steps: int,
    *,
    rise: float = 0.3,
    start_divisor: float = 25.0,
    end_divisor: float = 1e4,
) -> Schedule:
    """The learning rate of PyTorch's `OneCycleLR` with cosine annealing.

    Args:
        peak: Largest rate.
        steps: Calls of the scheduler: steps of training, or epochs where a recipe steps it
            once an epoch.
        rise: Share of the steps in which the rate rises.
        start_divisor: The first rate is `peak` over this.
        end_divisor: The last rate is the first over this.

    Raises:
        ValueError: If there are fewer than two steps, or `rise` is not between 0 and 1.
    """
    first = peak / start_divisor
    return _two_phases(first, peak, first / end_divisor, steps, rise)


def cycled_momentum(
    steps: int, *, rise: float = 0.3, low: float = 0.85, high: float = 0.95
) -> Schedule:
    """The momentum of PyTorch's `OneCycleLR`, low where the rate is high.

    `OneCycleLR` cycles the momentum unless told otherwise, and overrides the optimiser's.
    """
    return _two_phases(high, low, high, steps, rise)


def warmup_cosine(
    peak: float, steps: int, *, warmup: int = 0, start: float = 0.0, end: float = 0.0
) -> Schedule:
    """Linear from `start` to `peak` over `warmup` steps, then half a cosine to `end`."""
    if not 0 <= warmup < steps:
        raise ValueError(f"{warmup} of {steps} steps to warm up")

    def schedule(step: Int[Array, ""] | int) -> Float[Array, ""]:
        step = jnp.asarray(step, jnp.float32)
        up = start + (peak - start) * step / max(warmup, 1)
        share = jnp.clip((step - warmup) / (steps - warmup), 0.0, 1.0)
        return jnp.where(step < warmup, up, _cosine(peak, end, share))

    return schedule


def triangular(
    peak: float, steps: int, *, rise: float, start: float, end: float
) -> Schedule:
    """Linear up from `start` times the peak, and down to `end` times it (airbench)."""
    turn = int(rise * steps)

    def schedule(step: Int[Array, ""] | int) -> Float[Array, ""]:
        places = jnp.asarray([0.0, turn, steps])
        shares = jnp.asarray([start, 1.0, end])
        return peak * jnp.interp(jnp.asarray(step, jnp.float32), places, shares)

    return schedule


def per_epoch(schedule: Schedule, steps_per_epoch: int) -> Schedule:
    """A schedule of epochs, held for all steps of one."""
    return lambda step: schedule(jnp.asarray(step) // steps_per_epoch)


def decayed(params: Params) -> Params:
    """Which parameters weight decay acts on: none of biases, norms and scales.

    Those with fewer than two axes of more than one entry, as in ConvNeXt's and timm's code.
    """
    return jax.tree.map(lambda leaf: sum(n > 1 for n in leaf.shape) > 1, params)


class MomentumState(NamedTuple):
    """Velocity, and how many steps were taken."""

    count: Int[Array, ""]
    velocity: Params


def momentum(
    decay: float | Schedule, *, nesterov: bool = False
) -> optax.GradientTransformation:
    """PyTorch's momentum, v = decay v + g, whose decay may follow a schedule."""

    def init(params: Params) -> MomentumState:
        return MomentumState(jnp.int32(0), jax.tree.map(jnp.zeros_like, params))

    def update(updates: Params, state: Any, params: Params = None) -> tuple:
        del params
        rate = decay(state.count) if callable(decay) else decay
        step = lambda g, v: g + rate * v  # noqa: E731
        velocity = jax.tree.map(step, updates, state.velocity)
        if nesterov:
            updates = jax.tree.map(step, updates, velocity)
        else:
            updates = velocity
        return updates, MomentumState(state.count + 1, velocity)

    return optax.GradientTransformation(init, update)


def sgd(
    rate: float | Schedule,
    *,
    momentum_decay: float | Schedule = 0.9,
    nesterov: bool = False,
    weight_decay: float = 0.0,
    decay_everything: bool = False,
) -> optax.GradientTransformation:
    """PyTorch's SGD: the decay is added to the gradient, before the momentum.

    Args:
        rate: Learning rate.
        momentum_decay: Momentum; a schedule for one-cycle recipes.
        nesterov: Nesterov's momentum.
        weight_decay: Coefficient of the squared weights' gradient.
        decay_everything: Biases and norms too, as recipes do that say nothing.
    """
    mask: Any = None if decay_everything else decayed
    return optax.chain(
        optax.add_decayed_weights(weight_decay, mask),
        momentum(momentum_decay, nesterov=nesterov),
        optax.scale_by_learning_rate(rate),
    )


def adamw(
    rate: float | Schedule,
    *,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0.05,
    decay_everything: bool = False,
) -> optax.GradientTransformation:
    """PyTorch's AdamW: the decay is multiplied by the learning rate, not by its peak."""
    mask: Any = None if decay_everything else decayed
    return optax.adamw(rate, b1, b2, eps, weight_decay=weight_decay, mask=mask)
