"""Schedules and optimisers as the published recipes have them, in optax.

A schedule is a function of the step, from 0, that can be traced. Where a recipe comes from
PyTorch, its numbers are PyTorch's to the last digit; tests hold them together.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from jaxbias.arrays import Params

Schedule: TypeAlias = Callable[[Any], Any]
"""From the step, a number or a traced one, to a number."""

Count: TypeAlias = Any
"""A whole number, or a traced one."""


class Pace(NamedTuple):
    """How long a training is.

    Attributes:
        epoch: Steps of an epoch.
        total: Steps of the whole.
    """

    epoch: Count = 1
    total: Count = 1


ANY = Pace(10**3, 10**3)
"""Stands in where the pace does not matter: long enough for any schedule."""


def paced(
    make: Callable[[Pace], optax.GradientTransformation],
) -> optax.GradientTransformationExtraArgs:
    """An optimiser whose schedules follow the `pace` that each update is told.

    So that a program that is compiled once serves trainings of any length.

    Args:
        make: From the pace to the optimiser, whose state must not depend on it.
    """

    def update(
        updates: Params, state: Any, params: Params = None, **told: Any
    ) -> tuple:
        return make(told["pace"]).update(updates, state, params)

    return optax.GradientTransformationExtraArgs(
        lambda params: make(ANY).init(params), update
    )


def _cosine(start: float, end: float, share: Array) -> Array:
    """From `start` at share 0 to `end` at 1, along half a cosine."""
    return end + (start - end) * (1 + jnp.cos(math.pi * share)) / 2


def _two_phases(first: float, top: float, last: float, steps: Count, rise: float):
    """Up along half a cosine and down along another: PyTorch's one-cycle policy."""
    if (isinstance(steps, int) and steps < 2) or not 0 < rise < 1:
        raise ValueError(f"one cycle of {steps} steps, {rise} of them rising")

    def schedule(step: Int[Array, ""] | int) -> Float[Array, ""]:
        step, turn = jnp.asarray(step, jnp.float32), rise * steps - 1
        # A rise that is over before the first step is not taken, as in PyTorch.
        up = _cosine(first, top, step / jnp.maximum(turn, 1e-9))
        down = _cosine(top, last, (step - turn) / (steps - 1 - turn))
        return jnp.where(step <= turn, up, jnp.where(step >= steps - 1, last, down))

    return schedule


def one_cycle(
    peak: float,
    steps: Count,
    *,
    rise: float = 0.3,
) -> Schedule:
    """The learning rate of PyTorch's `OneCycleLR` with cosine annealing.

    It begins at a 25th of the peak and ends at a ten thousandth of that.

    Args:
        peak: Largest rate.
        steps: Calls of the scheduler, two or more: steps of training, or epochs where a
            recipe steps it once an epoch. Traced numbers are not checked.
        rise: Share of the steps in which the rate rises.

    Raises:
        ValueError: If there are fewer than two steps, or `rise` is not between 0 and 1.
    """
    first = peak / 25
    return _two_phases(first, peak, first / 1e4, steps, rise)


def cycled_momentum(
    steps: Count, *, rise: float = 0.3, low: float = 0.85, high: float = 0.95
) -> Schedule:
    """The momentum of PyTorch's `OneCycleLR`, low where the rate is high.

    `OneCycleLR` cycles the momentum unless told otherwise, and overrides the optimiser's.
    """
    return _two_phases(high, low, high, steps, rise)


def warmup_cosine(
    peak: float,
    steps: Count,
    *,
    warmup: Count = 0,
    start: float = 0.0,
    end: float = 0.0,
) -> Schedule:
    """Linear from `start` to `peak` over `warmup` steps, then half a cosine to `end`.

    Raises:
        ValueError: If there are no more steps than steps to warm up; traced numbers are
            not checked.
    """
    if isinstance(steps, int) and isinstance(warmup, int) and not 0 <= warmup < steps:
        raise ValueError(f"{warmup} of {steps} steps to warm up")

    def schedule(step: Int[Array, ""] | int) -> Float[Array, ""]:
        step = jnp.asarray(step, jnp.float32)
        up = start + (peak - start) * step / jnp.maximum(warmup, 1)
        share = jnp.clip((step - warmup) / (steps - warmup), 0.0, 1.0)
        return jnp.where(step < warmup, up, _cosine(peak, end, share))

    return schedule


def triangular(
    peak: float, steps: Count, *, rise: float, start: float, end: float
) -> Schedule:
    """Linear up from `start` times the peak, and down to `end` times it (airbench)."""

    def schedule(step: Int[Array, ""] | int) -> Float[Array, ""]:
        turn = jnp.floor(rise * steps)
        places = jnp.stack([jnp.float32(0.0), turn, jnp.float32(steps)])
        shares = jnp.asarray([start, 1.0, end])
        return peak * jnp.interp(jnp.asarray(step, jnp.float32), places, shares)

    return schedule


def per_epoch(schedule: Schedule, steps_per_epoch: Count) -> Schedule:
    """A schedule of epochs, held for all steps of one."""
    return lambda step: schedule(jnp.asarray(step) // steps_per_epoch)


def decayed(params: Params) -> Params:
    """Which parameters weight decay acts on: none of biases, norms and scales.

    Those with fewer than two axes of more than one entry, as in ConvNeXt's and timm's code.
    """
    return jax.tree.map(lambda leaf: sum(n > 1 for n in leaf.shape) > 1, params)


def _named(params: Params) -> Params:
    """The path of each parameter: module/name."""
    path = lambda keys, _: jax.tree_util.keystr(keys, simple=True, separator="/")  # noqa: E731
    return jax.tree_util.tree_map_with_path(path, params)


def norm_biases(params: Params) -> Params:
    """Which parameters are biases of normalisations: those of modules called so."""

    def one(path: str) -> bool:
        module, _, name = path.rpartition("/")
        return name == "bias" and "norm" in module.rpartition("/")[2]

    return jax.tree.map(one, _named(params))


def decoupled(
    rate: float, weight_decay: float, *, momentum: float, batch: int
) -> tuple[float, float]:
    """A rate and weight decay of airbench, as `sgd` takes them for a mean loss.

    There the rate is that of 1,024 images, whose losses are added, before momentum makes
    the steps longer; and the decay of a batch does not depend on the rate.

    Args:
        rate: Per 1,024 images.
        weight_decay: Per 1,024 images, at the largest rate.
        momentum: Below 1.
        batch: Images of a step.

    Returns:
        The rate, and the coefficient of the weights that is added to the gradient.
    """
    gain = 1 + 1 / (1 - momentum)
    return rate * batch / 1024 / gain, weight_decay / rate


class TrainedState(NamedTuple):
    """How many steps were taken."""

    count: Int[Array, ""]


def trained_for(limits: Mapping[str, Count]) -> optax.GradientTransformation:
    """Leave some parameters as they are after a number of steps, weight decay or not.

    Args:
        limits: Steps in which a parameter is trained, by its path; 0 for never.
    """

    def init(params: Params) -> TrainedState:
        if missing := set(limits) - set(jax.tree.leaves(_named(params))):
            raise ValueError(f"no parameters {', '.join(sorted(missing))}")
        return TrainedState(jnp.int32(0))

    def update(updates: Params, state: Any, params: Params = None) -> tuple:
        del params

        def one(path: str, update: Array) -> Array:
            if path not in limits:
                return update
            return jnp.where(state.count < limits[path], update, jnp.zeros_like(update))

        updates = jax.tree.map(one, _named(updates), updates)
        return updates, TrainedState(state.count + 1)

    return optax.GradientTransformation(init, update)


class ForgettingState(NamedTuple):
    """How many steps were taken, and the inner optimiser's state."""

    count: Int[Array, ""]
    inner: Any


def forgetting(
    inner: optax.GradientTransformation, every: Count
) -> optax.GradientTransformation:
    """Begin anew with an optimiser after a number of steps, as if it had just been made.

    Code that makes its optimiser inside the loop over epochs does this. Whatever counts
    steps in it, such as a schedule, begins anew too.

    Args:
        inner: The optimiser.
        every: Steps, 1 or more.
    """

    def init(params: Params) -> ForgettingState:
        return ForgettingState(jnp.int32(0), inner.init(params))

    def update(updates: Params, state: Any, params: Params = None) -> tuple:
        anew = state.count % every == 0
        fresh = inner.init(updates if params is None else params)
        begun = jax.tree.map(
            lambda first, kept: jnp.where(anew, first, kept), fresh, state.inner
        )
        updates, after = inner.update(updates, begun, params)
        return updates, ForgettingState(state.count + 1, after)

    return optax.GradientTransformation(init, update)


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
    bias_rate: float = 1.0,
) -> optax.GradientTransformation:
    """PyTorch's SGD: the decay is added to the gradient, before the momentum.

    Args:
        rate: Learning rate.
        momentum_decay: Momentum; a schedule for one-cycle recipes.
        nesterov: Nesterov's momentum.
        weight_decay: Coefficient of the squared weights' gradient.
        decay_everything: Biases and norms too, as recipes do that say nothing.
        bias_rate: Factor on the rate of normalisations' biases, but not on their decay.
    """
    mask: Any = None if decay_everything else decayed
    # The rate comes last and everything before it is linear: the gradient can have the
    # factor in its stead.
    faster = optax.masked(optax.scale(bias_rate), norm_biases)
    return optax.chain(
        *([faster] if bias_rate != 1 else []),
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


class Lookahead(NamedTuple):
    """Weights that are drawn back to their own moving average (Zhang et al., NeurIPS 2019).

    In airbench's form the average grows slower as the training goes on, and the network
    is the average at the very end.

    Attributes:
        every: Steps between two updates.
        decay: Of the average at the last step, for each step in between.
    """

    every: int = 5
    decay: float = 0.95

    def update(
        self, step: Int[Array, ""], fast: Params, slow: Params, *, total: Count
    ) -> tuple[Params, Params]:
        """Update both after a step.

        Args:
            step: Steps taken, this one included.
            fast: What is trained.
            slow: Its average.
            total: Steps of the whole training.

        Returns:
            `fast` and `slow` after, unchanged between two updates.
        """
        due, last = step % self.every == 0, step >= total
        share = 1 - self.decay**self.every * (step / total) ** 3
        nearer = lambda s, f: jnp.where(due, s + share * (f - s), s)  # noqa: E731
        slow = jax.tree.map(nearer, slow, fast)
        replaced = lambda f, s: jnp.where(due | last, s, f)  # noqa: E731
        return jax.tree.map(replaced, fast, slow), slow
