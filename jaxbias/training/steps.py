"""One step of training, and consecutive steps on images that the device has or makes.

Images that fit stay there as uint8; a step gathers its batch, augments and normalises it,
and nothing waits for the host. All functions are pure: a state goes in, a new one comes
out.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jax import lax
from jaxtyping import Array, Float, Int, Key, UInt8

from jaxbias.arrays import Params, RandomKey
from jaxbias.data.augmentation import smoothed
from jaxbias.training.objectives import CLASSIFICATION, Objective
from jaxbias.training.optimisers import Lookahead, Pace

Pixels = UInt8[Array, "image height width channel"]
Images = Float[Array, "image height width channel"]
Labels = Int[Array, " image"]
Targets = Float[Array, "image class"]


class Seen(NamedTuple):
    """Which images a batch holds, for augmentation that depends on it.

    Attributes:
        key: The same at every step of a training.
        index: Number of each image in the data set.
        epoch: Times that the set was gone through before, from 0.
    """

    key: RandomKey
    index: Int[Array, " image"]
    epoch: Int[Array, ""]


Augment = Callable[[RandomKey, Images, Targets, Seen], tuple[Array, Targets]]
"""From images on the scale 0 to 1 and targets to augmented ones."""

Pick = Callable[[Int[Array, " image"], Int[Array, ""]], tuple[Pixels, Labels]]
"""Images and their classes, by their numbers in an epoch and the epoch's number."""

Keys = Key[Array, " image"]
View = Callable[[Keys, Images], Array]
"""What a network is shown of images on the scale 0 to 1, with a key for each."""

Predict = Callable[[Params, Images], Array]
"""Logits of a network as it is at evaluation, of images on the scale 0 to 1."""

Attack = Callable[[Predict, Params, Images, Labels, RandomKey], Images]
"""Images, on the scale 0 to 1, that a network is to be trained on in place of these."""

ATTACK = 2**31 + 1
"""Folded into a step's key for what an attack draws; `build` has the number before."""

VIEW_SEED = 0
"""Of what views draw at evaluation: the same for all trainings and all their seeds."""

NETWORK_SEED = 1
"""Of what networks draw at evaluation; other draws than those of views."""


def unchanged(
    key: RandomKey, images: Images, targets: Targets, seen: Seen
) -> tuple[Images, Targets]:
    """The augmentation that does nothing."""
    del key, seen
    return images, targets


def as_they_are(keys: Keys, images: Images) -> Images:
    """The view that shows everything."""
    del keys
    return images


@partial(
    jax.tree_util.register_dataclass,
    data_fields=[
        *("step", "params", "batch_stats", "opt_state", "ema", "lost", "slow", "pace")
    ],
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
        lost: Step at which the loss or its gradient was not finite; -1 before. From then
            on nothing else but the step changes.
        slow: Lookahead's average of the weights and running statistics, in this order;
            None where there is none.
        pace: How long the training is; never changes. It is here, and not in the program,
            so that trainings of any length share one.
    """

    step: Any  # An array; JAX also fills trees with other things.
    params: Params
    batch_stats: Any
    opt_state: Any
    ema: Params | None
    lost: Any
    slow: Any = None
    pace: Any = field(default_factory=lambda: Pace(jnp.int32(1), jnp.int32(1)))


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is trained, and how: everything that a step needs and never changes.

    Attributes:
        model: From `models.catalogue`.
        optimiser: From `training.optimisers`; told the `pace` of a training, if it asks.
        classes: Number of classes.
        mean: Of the channels, on the scale 0 to 1.
        sd: Of the channels.
        augment: On images on the scale 0 to 1, before normalisation; gives what the
            network is trained on, the view included.
        view: What the network is shown of images that are not augmented.
        smoothing: Share of a target that is spread over all classes.
        accumulate: Parts that a batch is cut into, one after the other; the gradient is
            their mean. Batch statistics are those of each part.
        ema_decay: Of the average of the weights; None keeps none.
        ema_ramp: Its half-life is no longer than this share of the steps taken; None lets
            it be what the decay says from the first.
        lookahead: Draws the weights and running statistics back to their average; None
            leaves them.
        prepare: Changes fresh weights, given normalised training images; None does not.
        objective: What the network is trained for.
        attack: Moves augmented images of a classifier against it, as it is before the
            step; None leaves them.
        pace: What a fresh state is given. Tasks are equal that differ in this alone.
    """

    model: nn.Module
    optimiser: optax.GradientTransformation
    classes: int
    mean: tuple[float, ...]
    sd: tuple[float, ...]
    augment: Augment = unchanged
    view: View = as_they_are
    smoothing: float = 0.0
    accumulate: int = 1
    ema_decay: float | None = None
    ema_ramp: float | None = None
    lookahead: Lookahead | None = None
    prepare: Callable[[Params, Array], Params] | None = None
    objective: Objective = CLASSIFICATION
    attack: Attack | None = None
    pace: Pace = field(default_factory=Pace, compare=False)

    def normalised(self, images: Array) -> Array:
        """Images on the scale 0 to 1, brought to mean 0 and deviation 1."""
        shape = (1, 1, 1, -1)
        mean = jnp.asarray(self.mean, jnp.float32).reshape(shape)
        sd = jnp.asarray(self.sd, jnp.float32).reshape(shape)
        return (images - mean) / sd


def as_floats(pixels: Pixels) -> Images:
    """uint8 pixels on the scale 0 to 1."""
    return pixels.astype(jnp.float32) / 255


def create(
    task: Task,
    key: RandomKey,
    size: int,
    channels: int = 3,
    first: Pixels | None = None,
) -> TrainState:
    """A fresh state for images of `size` by `size`.

    Args:
        task: What is trained.
        key: Of the weights.
        size: In pixels, of images before the view.
        channels: Of images before the view.
        first: Training images that `task.prepare` is given; None leaves it out.
    """
    nothing = jnp.zeros((1, size, size, channels), jnp.uint8)
    images = jax.eval_shape(partial(shown, task), nothing)
    variables = _drawn(task.model, key, images.shape)
    params, batch_stats = variables["params"], variables.get("batch_stats", {})
    if task.prepare is not None and first is not None:
        params = task.prepare(params, shown(task, first))
    # Copies: one buffer cannot be given to the next step twice.
    copied = partial(jax.tree.map, jnp.copy)
    return TrainState(
        step=jnp.int32(0),
        params=params,
        batch_stats=batch_stats,
        opt_state=task.optimiser.init(params),
        ema=copied(params) if task.ema_decay is not None else None,
        lost=jnp.int32(-1),
        slow=copied((params, batch_stats)) if task.lookahead is not None else None,
        pace=Pace(*map(jnp.int32, task.pace)),
    )


@partial(jax.jit, static_argnums=(0, 2))
def _drawn(model: nn.Module, key: RandomKey, shape: tuple[int, ...]) -> Any:
    """Fresh variables of a model; equal ones share the program."""
    return model.init(key, jnp.zeros(shape))


def _loss(
    params: Params,
    task: Task,
    batch_stats: Any,
    images: Array,
    targets: Targets,
    key: RandomKey,
) -> tuple[Float[Array, ""], tuple[Any, Array]]:
    (output, found), updated = task.model.apply(
        {"params": params, "batch_stats": batch_stats},
        images,
        train=True,
        rngs={"dropout": key},
        mutable=["batch_stats"],
        **_told(task, targets),
    )
    losses, right = task.objective.score(output, found, targets)
    return jnp.mean(losses), (updated.get("batch_stats", batch_stats), right)


def _told(task: Task, targets: Targets) -> dict[str, Any]:
    """What a network is called with beside images."""
    return {"targets": targets} if task.objective.conditional else {}


def _predicted(task: Task, batch_stats: Any, params: Params, images: Images) -> Array:
    variables = {"params": params, "batch_stats": batch_stats}
    return task.model.apply(variables, task.normalised(images), train=False)[0]


def step(
    task: Task,
    state: TrainState,
    pixels: Pixels,
    labels: Labels,
    key: RandomKey,
    seen: Seen | None = None,
) -> tuple[TrainState, dict[str, Array]]:
    """Train on one batch.

    Args:
        task: What is trained.
        state: Before.
        pixels: The batch; its size is a multiple of `task.accumulate`.
        labels: Their classes.
        key: Of this step: augmentation and dropout.
        seen: Which images these are; None takes them for the whole set.

    Returns:
        The state after, and "loss", "accuracy" (on the augmented batch, as the objective
        has it), "gradient_norm" and "lost" (see `TrainState`).
    """
    change, drop, still = jax.random.split(key, 3)
    if seen is None:
        seen = Seen(still, jnp.arange(len(pixels)), jnp.int32(0))
    targets = smoothed(labels, task.classes, task.smoothing)
    images, targets = task.augment(change, as_floats(pixels), targets, seen)
    if task.attack is not None:
        # Cloned, so that an attack changes nothing else that is drawn.
        own = jax.random.fold_in(jax.random.clone(key), ATTACK)
        predict = partial(_predicted, task, state.batch_stats)
        images = task.attack(predict, state.params, images, targets.argmax(-1), own)
    images = task.normalised(images)
    parts = task.accumulate

    def part(carry: tuple, given: tuple) -> tuple[tuple, tuple]:
        gradient, batch_stats = carry
        x, t, k = given
        (loss, (batch_stats, right)), g = jax.value_and_grad(_loss, has_aux=True)(
            state.params, task, batch_stats, x, t, k
        )
        gradient = jax.tree.map(lambda a, b: a + b / parts, gradient, g)
        return (gradient, batch_stats), (loss, jnp.mean(right))

    cut = lambda a: a.reshape(parts, -1, *a.shape[1:])  # noqa: E731
    nothing = jax.tree.map(jnp.zeros_like, state.params)
    begin = nothing, state.batch_stats
    if parts == 1:
        # On a CPU, convolutions in a loop are many times slower than outside.
        (gradient, batch_stats), (losses, rights) = part(begin, (images, targets, drop))
    else:
        given = cut(images), cut(targets), jax.random.split(drop, parts)
        (gradient, batch_stats), (losses, rights) = lax.scan(part, begin, given)
    optimiser = optax.with_extra_args_support(task.optimiser)
    updates, opt_state = optimiser.update(
        *(gradient, state.opt_state, state.params), pace=state.pace
    )
    params = optax.apply_updates(state.params, updates)
    slow, ema = state.slow, state.ema
    if task.lookahead is not None:
        fast = params, batch_stats
        (params, batch_stats), slow = task.lookahead.update(
            *(state.step + 1, fast, slow), total=state.pace.total
        )
    if task.ema_decay is not None:
        decay = jnp.float32(task.ema_decay)
        if task.ema_ramp is not None:
            taken = task.ema_ramp * (state.step + 1).astype(jnp.float32)
            decay = jnp.minimum(decay, 0.5 ** (1 / taken))
        ema = jax.tree.map(lambda o, n: decay * o + (1 - decay) * n, ema, params)
    loss, norm = jnp.mean(losses), optax.tree.norm(gradient)
    finite = jnp.isfinite(loss) & jnp.isfinite(norm)
    after = TrainState(
        step=state.step + 1,
        params=params,
        batch_stats=batch_stats,
        opt_state=opt_state,
        ema=ema,
        lost=jnp.where(finite | (state.lost >= 0), state.lost, state.step),
        slow=slow,
        pace=state.pace,
    )
    # Always, as seeds that are trained together may be lost one by one.
    alive = after.lost < 0
    kept = replace(state, step=after.step, lost=after.lost)
    after = jax.tree.map(lambda new, old: jnp.where(alive, new, old), after, kept)
    metrics = {
        "loss": loss,
        "accuracy": jnp.mean(rights),
        "gradient_norm": norm,
        "lost": after.lost,
    }
    return after, metrics


def order(key: RandomKey, epoch: Int[Array, ""] | int, count: int) -> Array:
    """The order of an epoch's images: a function of the key and the epoch alone."""
    return jax.random.permutation(jax.random.fold_in(key, epoch), count)


def numbered(
    task: Task,
    state: TrainState,
    pick: Pick,
    key: RandomKey,
    chosen: Int[Array, " image"],
    epoch: Int[Array, ""] | int,
    *,
    spread: Callable[[Any], Any] = lambda batch: batch,
) -> tuple[TrainState, dict[str, Array]]:
    """The next step of a training, on images that are known by their numbers.

    Args:
        task: What is trained.
        state: Before.
        pick: Gives images by their numbers.
        key: Of the whole training.
        chosen: A row of `placed`.
        epoch: To which it belongs.
        spread: Lays a batch over the devices.

    Returns:
        As `step`.
    """
    pixels, labels = pick(chosen, jnp.asarray(epoch))
    images, classes, index = spread((pixels, labels, chosen))
    return following(task, state, images, classes, index, key, epoch)


def following(
    task: Task,
    state: TrainState,
    pixels: Pixels,
    labels: Labels,
    index: Int[Array, " image"],
    key: RandomKey,
    epoch: Int[Array, ""] | int,
) -> tuple[TrainState, dict[str, Array]]:
    """The next step of a training, on a batch that is given.

    Args:
        task: What is trained.
        state: Before.
        pixels: The batch.
        labels: Their classes.
        index: Their numbers in the data set.
        key: Of the whole training: the step's own follows from it and the step's number.
        epoch: Times that the set was gone through before.

    Returns:
        As `step`.
    """
    _, noise, still = jax.random.split(key, 3)
    own = jax.random.fold_in(noise, state.step)
    return step(
        task, state, pixels, labels, own, Seen(still, index, jnp.asarray(epoch))
    )


def placed(
    key: RandomKey, epoch: Int[Array, ""] | int, *, count: int, batch: int
) -> Int[Array, "step image"]:
    """Which of `count` images each step of an epoch has, in a training with this key.

    Those that do not fill a batch are left out of the epoch.
    """
    shuffle, _, _ = jax.random.split(key, 3)
    steps = count // batch
    return order(shuffle, epoch, count)[: steps * batch].reshape(steps, batch)


def consecutive(
    task: Task,
    state: TrainState,
    pick: Pick,
    key: RandomKey,
    chosen: Int[Array, "step image"],
    epoch: Int[Array, ""] | int,
    count: Int[Array, ""] | int,
    *,
    spread: Callable[[Any], Any] = lambda batch: batch,
) -> tuple[TrainState, dict[str, Array]]:
    """Several steps of one epoch in one program; see `numbered`.

    Args:
        task: What is trained.
        state: Before.
        pick: Gives images by their numbers.
        key: Of the whole training.
        chosen: Rows of `placed`.
        epoch: To which they belong.
        count: How many of the rows are used, the first ones.
        spread: Lays a batch over the devices.

    Returns:
        The state after, and each metric with an entry a row; 0 for rows that are not used.
    """

    def one(number: Any, carry: tuple) -> tuple:
        state, found = carry
        # A key that is used again: each step folds its own number into it.
        own = jax.random.clone(key)
        state, metrics = numbered(
            task, state, pick, own, chosen[number], epoch, spread=spread
        )
        put = lambda all_of, value: all_of.at[number].set(value)  # noqa: E731
        return state, jax.tree.map(put, found, metrics)

    _, shapes = jax.eval_shape(
        lambda state: numbered(
            task, state, pick, jax.random.clone(key), chosen[0], epoch, spread=spread
        ),
        state,
    )
    nothing = jax.tree.map(lambda one: jnp.zeros(len(chosen), one.dtype), shapes)
    return lax.fori_loop(0, count, one, (state, nothing))


def of_set(pixels: Pixels, labels: Labels) -> Pick:
    """Images of a set that is on the device, the same in every epoch."""
    return lambda chosen, epoch: (pixels[chosen], labels[chosen])


def of_part(pixels: Pixels, labels: Labels, numbers: Int[Array, " number"]) -> Pick:
    """Some images of a set that is on the device, by their places among `numbers`."""
    return lambda chosen, epoch: (pixels[numbers[chosen]], labels[numbers[chosen]])


def keys_of(key: RandomKey, index: Int[Array, " image"]) -> Keys:
    """A key for each image, that follows from its number."""
    return jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, index)


def shown(
    task: Task, pixels: Pixels, index: Int[Array, " image"] | None = None
) -> Array:
    """Images that are not augmented, as the network gets them.

    Args:
        task: Has the view and the normalisation.
        pixels: Images.
        index: Their numbers, from which what a view draws follows; None counts.
    """
    if index is None:
        index = jnp.arange(len(pixels))
    keys = keys_of(jax.random.key(VIEW_SEED), index)
    return task.normalised(task.view(keys, as_floats(pixels)))


def logits(
    task: Task,
    state: TrainState,
    pixels: Pixels,
    index: Int[Array, " image"] | None = None,
) -> Float[Array, "image class"]:
    """What the network says of images that are not augmented; see `shown`."""
    return outputs(task, state, shown(task, pixels, index))[0]


def outputs(
    task: Task,
    state: TrainState,
    images: Images,
    keys: Keys | None = None,
    told: dict[str, Any] | None = None,
) -> tuple[Array, Any]:
    """What the network makes of images from `shown`: logits and named intermediates.

    Args:
        task: What was trained.
        state: The weights; their moving average, where one is kept.
        images: As the network gets them.
        keys: One for each image, of what the network draws; None lets it draw nothing.
        told: What the network is told beside; None is nothing.
    """
    params: Any = state.params if state.ema is None else state.ema
    variables = {"params": params, "batch_stats": state.batch_stats}
    drawn: dict[str, Any] = {} if keys is None else {"keys": keys}
    return task.model.apply(variables, images, **drawn, **(told or {}))


def scored(
    task: Task,
    state: TrainState,
    pixels: Pixels,
    targets: Targets,
    index: Int[Array, " image"],
) -> tuple[Float[Array, " image"], Array]:
    """What the objective says of images that are not augmented.

    Args:
        task: Has the objective.
        state: The weights; see `outputs`.
        pixels: Images.
        targets: Of the same.
        index: Their numbers, from which follows all that a view or the network draws.

    Returns:
        The loss of each image, and whether it is right; NaN where that means nothing.
    """
    images = shown(task, pixels, index)
    keys = None
    if task.objective.draws:
        keys = keys_of(jax.random.key(NETWORK_SEED), index)
    found = outputs(task, state, images, keys, _told(task, targets))
    return task.objective.score(*found, targets)
