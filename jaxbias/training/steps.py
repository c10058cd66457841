"""One step of training, an epoch of steps in one program, and evaluation.

Images that fit stay on the device as uint8; a step gathers its batch there, augments and
normalises it, and nothing waits for the host. All functions are pure: a state goes in, a
new one comes out.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jax import lax
from jaxtyping import Array, Bool, Float, Int, UInt8

from jaxbias.arrays import Params, RandomKey
from jaxbias.data.augmentation import smoothed

Pixels = UInt8[Array, "image height width channel"]
Images = Float[Array, "image height width channel"]
Labels = Int[Array, " image"]
Targets = Float[Array, "image class"]

Augment = Callable[[RandomKey, Images, Targets], tuple[Array, Targets]]
"""From images on the scale 0 to 1 and targets to augmented ones."""


def unchanged(
    key: RandomKey, images: Images, targets: Targets
) -> tuple[Images, Targets]:
    """The augmentation that does nothing."""
    del key
    return images, targets


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["step", "params", "batch_stats", "opt_state", "ema"],
    meta_fields=[],
)
@dataclass(frozen=True)
class TrainState:
    """All that training changes.

    Attributes:
        step: Steps taken.
        params: Weights.
        batch_stats: Running statistics of batch normalisation; empty for other models.
        opt_state: Of the optimiser.
        ema: Exponential moving average of the weights; None where none is kept.
    """

    step: Any  # An array; JAX also fills trees with other things.
    params: Params
    batch_stats: Any
    opt_state: Any
    ema: Params | None = None


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is trained, and how: everything that a step needs and never changes.

    Attributes:
        model: From `models.catalogue`.
        optimiser: From `training.optimisers`.
        classes: Number of classes.
        mean: Of the channels, on the scale 0 to 1.
        sd: Of the channels.
        augment: On images on the scale 0 to 1, before normalisation.
        smoothing: Share of a target that is spread over all classes.
        accumulate: Parts that a batch is cut into, one after the other; the gradient is
            their mean. Batch statistics are those of each part.
        ema_decay: Of the average of the weights; None keeps none.
    """

    model: nn.Module
    optimiser: optax.GradientTransformation
    classes: int
    mean: tuple[float, ...]
    sd: tuple[float, ...]
    augment: Augment = unchanged
    smoothing: float = 0.0
    accumulate: int = 1
    ema_decay: float | None = None

    def normalised(self, images: Array) -> Array:
        """Images on the scale 0 to 1, brought to mean 0 and deviation 1."""
        shape = (1, 1, 1, -1)
        mean = jnp.asarray(self.mean, jnp.float32).reshape(shape)
        sd = jnp.asarray(self.sd, jnp.float32).reshape(shape)
        return (images - mean) / sd


def as_floats(pixels: Pixels) -> Images:
    """uint8 pixels on the scale 0 to 1."""
    return pixels.astype(jnp.float32) / 255


def create(task: Task, key: RandomKey, size: int, channels: int = 3) -> TrainState:
    """A fresh state for images of `size` by `size`."""
    images = jnp.zeros((1, size, size, channels))
    variables = jax.jit(task.model.init)(key, images)
    params = variables["params"]
    return TrainState(
        step=jnp.int32(0),
        params=params,
        batch_stats=variables.get("batch_stats", {}),
        opt_state=task.optimiser.init(params),
        ema=params if task.ema_decay is not None else None,
    )


def _loss(
    params: Params,
    task: Task,
    batch_stats: Any,
    images: Array,
    targets: Targets,
    key: RandomKey,
) -> tuple[Float[Array, ""], tuple[Any, Array]]:
    (logits, _), updated = task.model.apply(
        {"params": params, "batch_stats": batch_stats},
        images,
        train=True,
        rngs={"dropout": key},
        mutable=["batch_stats"],
    )
    loss = jnp.mean(optax.softmax_cross_entropy(logits, targets))
    return loss, (updated.get("batch_stats", batch_stats), logits)


def step(
    task: Task, state: TrainState, pixels: Pixels, labels: Labels, key: RandomKey
) -> tuple[TrainState, dict[str, Array]]:
    """Train on one batch.

    Args:
        task: What is trained.
        state: Before.
        pixels: The batch; its size is a multiple of `task.accumulate`.
        labels: Their classes.
        key: Of this step: augmentation and dropout.

    Returns:
        The state after, and "loss", "accuracy" (on the augmented batch, against the
        largest target) and "gradient_norm".
    """
    change, drop = jax.random.split(key)
    targets = smoothed(labels, task.classes, task.smoothing)
    images, targets = task.augment(change, as_floats(pixels), targets)
    images = task.normalised(images)
    parts = task.accumulate

    def part(carry: tuple, given: tuple) -> tuple[tuple, tuple]:
        gradient, batch_stats = carry
        x, t, k = given
        (loss, (batch_stats, logits)), g = jax.value_and_grad(_loss, has_aux=True)(
            state.params, task, batch_stats, x, t, k
        )
        right = jnp.mean(logits.argmax(-1) == t.argmax(-1))
        gradient = jax.tree.map(lambda a, b: a + b / parts, gradient, g)
        return (gradient, batch_stats), (loss, right)

    cut = lambda a: a.reshape(parts, -1, *a.shape[1:])  # noqa: E731
    nothing = jax.tree.map(jnp.zeros_like, state.params)
    begin = nothing, state.batch_stats
    if parts == 1:
        # On a CPU, convolutions in a loop are many times slower than outside.
        (gradient, batch_stats), (losses, rights) = part(begin, (images, targets, drop))
    else:
        given = cut(images), cut(targets), jax.random.split(drop, parts)
        (gradient, batch_stats), (losses, rights) = lax.scan(part, begin, given)
    updates, opt_state = task.optimiser.update(gradient, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    ema = state.ema
    if (kept := task.ema_decay) is not None:
        ema = jax.tree.map(lambda old, new: kept * old + (1 - kept) * new, ema, params)
    metrics = {
        "loss": jnp.mean(losses),
        "accuracy": jnp.mean(rights),
        "gradient_norm": optax.tree.norm(gradient),
    }
    after = replace(
        state,
        step=state.step + 1,
        params=params,
        batch_stats=batch_stats,
        opt_state=opt_state,
        ema=ema,
    )
    return after, metrics


def order(key: RandomKey, epoch: Int[Array, ""] | int, count: int) -> Array:
    """The order of an epoch's images: a function of the key and the epoch alone."""
    return jax.random.permutation(jax.random.fold_in(key, epoch), count)


def epoch(
    task: Task,
    state: TrainState,
    pixels: Pixels,
    labels: Labels,
    key: RandomKey,
    *,
    batch: int,
    first: int = 0,
    steps: int | None = None,
) -> tuple[TrainState, dict[str, Array]]:
    """Train for one epoch, or for some consecutive steps of one, in one program.

    The images are shuffled for each epoch; those that do not fill a batch at its end are
    left out of it. Which epoch it is follows from the state's step.

    Args:
        task: What is trained.
        state: Before.
        pixels: The whole training set, on the device.
        labels: Their classes.
        key: Of the whole training: order, augmentation and dropout of step n depend on it
            and on n, so a training can be cut anywhere.
        batch: Images of a step.
        first: Number of the first step in the epoch.
        steps: How many; None goes to the epoch's end.

    Returns:
        The state after, and each metric with an entry a step.

    Raises:
        ValueError: If there are fewer images than a batch takes.
    """
    steps = _steps_left(len(pixels), batch, first, steps)
    place, noise = _plan(state, key, len(pixels), batch)

    def one(state: TrainState, number: Array) -> tuple[TrainState, dict[str, Array]]:
        return _numbered(task, batch, state, pixels, labels, place, noise, number)

    return lax.scan(one, state, first + jnp.arange(steps))


def _steps_left(count: int, batch: int, first: int, steps: int | None) -> int:
    if count < batch:
        raise ValueError(f"{count} images do not fill a batch of {batch}")
    return count // batch - first if steps is None else steps


def _plan(
    state: TrainState, key: RandomKey, count: int, batch: int
) -> tuple[Array, RandomKey]:
    """The order of the state's epoch, and the key of all steps' noise."""
    shuffle, noise = jax.random.split(key)
    return order(shuffle, state.step // (count // batch), count), noise


def _numbered(
    task: Task,
    batch: int,
    state: TrainState,
    pixels: Pixels,
    labels: Labels,
    place: Int[Array, " image"],
    noise: RandomKey,
    number: Int[Array, ""] | int,
) -> tuple[TrainState, dict[str, Array]]:
    """One step of an epoch, by its number."""
    chosen = lax.dynamic_slice(place, (number * batch,), (batch,))
    own = jax.random.fold_in(noise, state.step)
    return step(task, state, pixels[chosen], labels[chosen], own)


def epoch_runner(
    task: Task, *, batch: int, one_program: bool | None = None
) -> Callable:
    """Compile `epoch` for a task, in the form that suits the backend.

    On a GPU or TPU an epoch is one program. On a CPU each step is called by itself:
    XLA runs convolutions there 25 times slower inside a loop (jax 0.10).

    Args:
        task: What is trained.
        batch: Images of a step.
        one_program: Overrides the choice.

    Returns:
        A function of (state, pixels, labels, key) and of `first` and `steps` by name, with
        the results of `epoch`.
    """
    if one_program is None:
        one_program = jax.default_backend() != "cpu"
    if one_program:
        return jax.jit(
            partial(epoch, task, batch=batch), static_argnames=("first", "steps")
        )
    plan = jax.jit(partial(_plan, batch=batch), static_argnames="count")
    one = jax.jit(partial(_numbered, task, batch))

    def run(
        state: TrainState,
        pixels: Pixels,
        labels: Labels,
        key: RandomKey,
        *,
        first: int = 0,
        steps: int | None = None,
    ) -> tuple[TrainState, dict[str, Array]]:
        count = _steps_left(len(pixels), batch, first, steps)
        place, noise = plan(state, key, count=len(pixels))
        found = []
        for number in range(first, first + count):
            # A key that is used again: each step folds its own number into it.
            own = jax.random.clone(noise)
            state, metrics = one(state, pixels, labels, place, own, jnp.int32(number))
            found.append(metrics)
        return state, jax.tree.map(lambda *values: jnp.stack(values), *found)

    return run


def evaluate(
    task: Task,
    state: TrainState,
    pixels: Pixels,
    labels: Labels,
    *,
    batch: int,
    averaged: bool = False,
) -> dict[str, Array]:
    """Loss and accuracy over all images, the last incomplete batch included.

    Args:
        task: What was trained.
        state: The weights.
        pixels: Images, not augmented.
        labels: Their classes.
        batch: Images at a time.
        averaged: Use the moving average of the weights.

    Returns:
        "loss" (cross-entropy without smoothing, nats) and "accuracy" (0 to 1).
    """
    count = len(pixels)
    batches = -(-count // batch)
    missing = batches * batch - count
    params: Any = state.ema if averaged else state.params
    cut = lambda a: a.reshape(batches, batch, *a.shape[1:])  # noqa: E731
    place = jnp.minimum(jnp.arange(count + missing), count - 1)
    there = cut(jnp.arange(count + missing) < count)

    def one(given: tuple[Array, Bool[Array, " image"]]) -> tuple[Array, Array]:
        chosen, real = given
        logits, _ = task.model.apply(
            {"params": params, "batch_stats": state.batch_stats},
            task.normalised(as_floats(pixels[chosen])),
        )
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels[chosen])
        right = logits.argmax(-1) == labels[chosen]
        return jnp.where(real, losses, 0.0).sum(), jnp.sum(right & real)

    losses, rights = lax.map(one, (cut(place), there))
    return {"loss": losses.sum() / count, "accuracy": rights.sum() / count}
