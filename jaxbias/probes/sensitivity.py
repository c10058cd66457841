"""How much a function changes when noise is added to its inputs.

By the share of classes that change, or by the squared change over twice the variance: 0
for a constant, and near 1 where outputs with and without noise have nothing in common.
"""

import math
from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from jaxbias.arrays import Params, RandomKey
from jaxbias.probes.paths import Function
from jaxbias.probes.readings import Reading, flag_of, reading

Kind = Literal["regression", "classifier"]


def random_positions(
    key: RandomKey, shape: tuple[int, ...], count: int, axes: int | None = None
) -> Bool[Array, "*shape"]:
    """A mask of so many random positions of one input.

    Args:
        key: Which positions.
        shape: Of the input, such as (height, width, channel).
        count: Positions to take, each once.
        axes: How many leading axes number positions; the entries along the others go
            together (2 for images: all channels of a pixel). None takes all axes.

    Raises:
        ValueError: If there are not so many positions.
    """
    axes = len(shape) if axes is None else axes
    total = math.prod(shape[:axes])
    if not 1 <= count <= total:
        raise ValueError(f"positions must be 1 to {total}, got {count}")
    chosen = jax.random.permutation(key, total) < count
    mask = chosen.reshape(shape[:axes] + (1,) * (len(shape) - axes))
    return jnp.broadcast_to(mask, shape)


def noisy(
    inputs: Float[Array, "point *shape"],
    key: RandomKey,
    *,
    scale: Array | float,
    positions: int | None = None,
    position_axes: int | None = None,
) -> Float[Array, "point *shape"]:
    """Add Gaussian noise to inputs, everywhere or at a random subset of each."""
    noise_key, place_key = jax.random.split(key)
    noise = scale * jax.random.normal(noise_key, inputs.shape)
    if positions is not None:
        keys = jax.random.split(place_key, inputs.shape[0])

        def mask(one: RandomKey) -> Array:
            return random_positions(one, inputs.shape[1:], positions, position_axes)

        noise = jnp.where(jax.vmap(mask)(keys), noise, 0.0)
    return inputs + noise


def predicted_class(outputs: Float[Array, "point *out"]) -> Array:
    """The class that outputs stand for: the largest, or the sign of a single one."""
    if outputs.ndim == 1:
        return (outputs > 0).astype(jnp.int32)
    return jnp.argmax(outputs.reshape(outputs.shape[0], -1), axis=1)


def noise_sensitivity(
    predict: Function,
    params: Params,
    inputs: Float[Array, "point *shape"],
    key: RandomKey,
    *,
    kind: Kind = "regression",
    scale: Array | float = 0.1,
    repeats: int = 5,
    positions: int | None = None,
    position_axes: int | None = None,
) -> Reading:
    """How much a function changes under Gaussian noise on its inputs.

    Args:
        predict: Pure function of parameters and a batch of inputs.
        params: Its parameters.
        inputs: Points of the data.
        key: The noise.
        kind: "classifier": the share of predictions that change. "regression": the mean
            squared change over twice the variance of the output over the data (summed
            over outputs): 0 is no change, and 1 as different as two unrelated points,
            where the reading saturates.
        scale: Standard deviation of the noise, in units of the inputs; may be traced.
        repeats: Draws of noise to average over.
        positions: Add noise at so many random positions of each input only; Vasudeva et
            al. take as many as a patch has pixels. None takes all.
        position_axes: See `random_positions`.

    Returns:
        The reading, >= 0 ("classifier": at most 1). A function that is constant, or a
        classifier that always answers the same, reads 0 and is flagged.

    References:
        Vasudeva et al., Simplicity bias of transformers to learn low sensitivity
        functions (ICLR 2025): noise 0.1, 5 repeats, the share of predictions that change.
        The form for regression is ours.
    """
    # TF32 and bfloat16, the defaults of recent GPUs and of TPUs, read as change.
    with jax.default_matmul_precision("highest"):
        clean = predict(params, inputs)
    change = _change(kind, clean)

    def one(repeat_key: RandomKey) -> Array:
        moved = noisy(
            inputs,
            repeat_key,
            scale=scale,
            positions=positions,
            position_axes=position_axes,
        )
        with jax.default_matmul_precision("highest"):
            return change(predict(params, moved))

    value = jnp.mean(lax.map(one, jax.random.split(key, repeats)))
    flag = flag_of(clean)
    if kind == "classifier":
        classes = predicted_class(clean)
        always = jnp.max(classes) == jnp.min(classes)
        # Answers of a classifier are whole numbers: only what is not finite spoils them.
        return reading(value, jnp.where(flag == 2, 2, jnp.where(always, 1, 0)))
    return reading(value, flag)


def _change(kind: Kind, clean: Array) -> Callable[[Array], Array]:
    if kind == "classifier":
        before = predicted_class(clean)
        return lambda after: jnp.mean(predicted_class(after) != before)
    centre = jnp.mean(clean, axis=0, keepdims=True)
    variance = jnp.sum(jnp.mean((clean - centre) ** 2, axis=0))
    return lambda after: (
        jnp.sum(jnp.mean((after - clean) ** 2, axis=0))
        / jnp.where(variance > 0, 2 * variance, 1.0)
    )
