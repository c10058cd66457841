"""Random networks held against many small sets of points at once."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int

from jaxbias import lanes, rng, sweeps
from jaxbias.arrays import RandomKey
from jaxbias.models.priors import PRIORS, scale
from jaxbias.studies.neural_redshift.guess_and_check.config import (
    BATCH,
    Config,
    Criterion,
    Target,
)
from jaxbias.studies.neural_redshift.learners import Learner, UnbiasedLearner
from jaxbias.studies.neural_redshift.modulo import task

CRITERIA: tuple[Criterion, ...] = ("signs", "mse")

CPU_PIECE, ACCELERATOR_PIECE = 4, 16
"""Batches to evaluate at once, over all devices."""


class Model(NamedTuple):
    """What is guessed: a name for the table, and how it is drawn."""

    name: str
    learner: Learner
    activation: int
    weight_scale: float


class Splits(NamedTuple):
    """What networks are held against."""

    order: Int[Array, "split point"]
    """The points in random order: the first ones are trained on."""
    labels: Float[Array, "target split point"]
    """-1 or 1, in that order."""


def models(config: Config) -> list[Model]:
    """The perceptrons, and last the unbiased model."""
    prior = PRIORS[config.prior]
    shared = {"depth": config.depth, "width": config.width, "prior": prior}
    perceptron = Learner(activations=config.activations, **shared)
    free = UnbiasedLearner(
        activations=("sine",), **shared, max_frequency=config.max_frequency
    )
    found = [
        Model(name, perceptron, number, weight_scale)
        for number, name in enumerate(config.activations)
        for weight_scale in config.weight_scales
    ]
    return [*found, Model("unbiased", free, 0, 1.0)]


def splits(config: Config, key: RandomKey) -> Splits:
    """The sets of points and their labels, from the run's key alone."""
    count = config.integers**2
    every = task.digits(jnp.arange(count), config.integers, 2)
    order_key, line_key = (rng.stream(key, name) for name in ("order", "lines"))
    keys = jax.random.split(order_key, config.n_splits)
    order = jax.vmap(lambda one: task.place(one, count, count))(keys)
    angle = jax.random.uniform(line_key, (config.n_splits,), maxval=2 * jnp.pi)
    across = jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=1)
    x = task.inputs(every, config.integers, 1.0)
    known: dict[Target, Array] = {
        # No point lies on a random line.
        "half_plane": jnp.einsum("pd,sd->sp", x, across) > 0,
        "modulo": jnp.broadcast_to(
            task.labels(every, config.modulus)[None], (config.n_splits, count)
        ),
    }
    labels = jnp.stack([known[name] for name in config.targets])
    placed = jnp.take_along_axis(labels, order[None], axis=2)
    return Splits(order, jnp.where(placed, 1.0, -1.0))


def held_against(
    config: Config, outputs: Float[Array, " point"], given: Splits
) -> Float[Array, "criterion target split size number"]:
    """Whether one network fits the first points of each set, and what it gets of others.

    Returns:
        1 where it fits and 0 where not, and that times its accuracy on the points that no
        size trains on.
    """
    ours = outputs[given.order][None]
    right = (ours * given.labels > 0).astype(jnp.float32)
    sizes = jnp.asarray(config.train_points)
    # Outputs have no unit: their spread is taken for 1.
    error = (ours / jnp.std(outputs) - given.labels) ** 2
    all_right = jnp.cumsum(1 - right, axis=2)[..., sizes - 1] == 0
    mean_error = jnp.cumsum(error, axis=2)[..., sizes - 1] / sizes[None, None]
    fits = jnp.stack([all_right, mean_error < config.most_error])
    accuracy = jnp.mean(right[..., config.train_points[-1] :], axis=2)
    taken = fits.astype(jnp.float32)
    return jnp.stack([taken, taken * accuracy[None, ..., None]], axis=-1)


def _program(config: Config, learner: Learner, mesh: Mesh):
    """Program from (key, splits, activation, scale, batch numbers) to sums."""
    every = task.digits(jnp.arange(config.integers**2), config.integers, 2)
    x = task.inputs(every, config.integers, 1.0)

    def run(
        key: RandomKey,
        given: Splits,
        activation: Array,
        weight_scale: Array,
        batches: Array,
    ) -> Array:
        def one(number: Array) -> Array:
            own = jax.random.fold_in(key, number)
            params = scale(learner.start(own, 2), weight_scale, learner.prior)
            outputs = learner.predict(params, x, activation=activation)
            return held_against(config, outputs, given)

        def batch(number: Array) -> Array:
            def add(i: Array, total: Array) -> Array:
                return total + one(number * BATCH + i.astype(jnp.uint32))

            shape = jax.eval_shape(one, number)
            return lax.fori_loop(0, BATCH, add, jnp.zeros(shape.shape))

        def at_once(number: Array) -> Array:
            members = number * BATCH + jnp.arange(BATCH, dtype=jnp.uint32)
            return jnp.sum(jax.vmap(one)(members), axis=0)

        strategy = lanes.default_strategy()
        if strategy == "map":
            return lanes.over("map", batch)(batches)
        # A batch fills an accelerator; several at once would not fit it.
        return lax.map(at_once, batches)

    return sweeps.spread(run, mesh, replicated=4)


def blocks(config: Config, key: RandomKey, mesh: Mesh) -> list[sweeps.Block]:
    """A block for each model, an entry for each thousand networks."""
    given = splits(config, rng.stream(key, "splits"))
    programs: dict[Learner, object] = {}
    number = np.arange(config.n_networks // BATCH, dtype=np.uint32)
    piece = sweeps.piece_for(
        [len(number)], mesh, cpu=CPU_PIECE, accelerator=ACCELERATOR_PIECE
    )
    found = []
    for model in models(config):
        if model.learner not in programs:
            programs[model.learner] = _program(config, model.learner, mesh)
        # The scales of one activation are the same draws.
        stream = rng.stream(key, "networks", model.name)
        shared = (stream, given, model.activation, model.weight_scale)

        def evaluate(inputs, run=programs[model.learner], shared=shared):
            return run(*shared, inputs["batch"])  # type: ignore[operator]

        found.append(
            sweeps.Block(
                name=f"{model.name}, scale {model.weight_scale:g}",
                evaluate=evaluate,
                finish=sweeps.kept("sums"),
                inputs={"batch": number},
                piece=piece,
            )
        )
    return found


def table(config: Config, swept: sweeps.Columns) -> sweeps.Columns:
    """The results: a row for each model, criterion, target, split and number of points.

    `fits` counts networks that fit; `accuracy` is their mean on points that no size trains
    on, NaN where none fits.
    """
    known = models(config)
    shape = (len(known), -1, *swept["sums"].shape[1:])
    sums = swept["sums"].reshape(shape).astype(np.float64).sum(axis=1)
    axes = np.indices(sums.shape[:-1]).reshape(5, -1)
    fits, right = sums[..., 0].ravel(), sums[..., 1].ravel()
    columns = {
        "model": np.asarray([model.name for model in known])[axes[0]],
        "weight_scale": np.asarray([model.weight_scale for model in known])[axes[0]],
        "criterion": np.asarray(CRITERIA)[axes[1]],
        "target": np.asarray(config.targets)[axes[2]],
        "split": axes[3],
        "train_points": np.asarray(config.train_points)[axes[4]],
        "fits": fits.astype(np.int64),
        "n_networks": np.full(len(fits), config.n_networks),
    }
    with np.errstate(invalid="ignore"):
        columns["accuracy"] = np.where(fits > 0, right / fits, np.nan)
    return columns
