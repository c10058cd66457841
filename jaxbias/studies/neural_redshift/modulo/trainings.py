"""Trainings on modulo addition, and what is seen of them."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxbias import lanes, rng, sweeps, tables
from jaxbias.arrays import Array, Params, RandomKey
from jaxbias.models.priors import PRIORS
from jaxbias.numerics import grids
from jaxbias.probes import complexity as probes
from jaxbias.probes.paths import path_variation
from jaxbias.studies.neural_redshift import checks
from jaxbias.studies.neural_redshift.learners import Learner, loss_of
from jaxbias.studies.neural_redshift.modulo import task
from jaxbias.studies.neural_redshift.modulo.config import Config, Setting

CPU_PIECE, ACCELERATOR_PIECE = 8, 4096
"""Trainings to run at once, over all devices."""

PATHS = 50
"""Straight lines between points of the task along which variation is measured."""

SEEN = ("train_accuracy", "test_accuracy", "train_loss", "path_variation")
"""What is seen at each look, besides complexity on the grid."""


def check(config: Config) -> None:
    """Raise ValueError, naming the option, for what does not exist or does not fit."""
    checks.activations("activations", config.activations)
    checks.known("prior", (config.prior,), PRIORS)
    checks.measures(config.measures, config.resolution)


def learner(config: Config, make: Callable[..., Learner] = Learner) -> Learner:
    """The models of a run, or what else is made of the same fields."""
    return make(
        activations=config.activations,
        depth=config.depth,
        width=config.width,
        prior=PRIORS[config.prior],
        loss=config.loss,
        learning_rate=config.learning_rate,
        marks=(0, *config.iterations),
    )


def statistics(config: Config) -> tuple[str, ...]:
    """Names of what is seen at each look, in order."""
    return (*SEEN, *config.measures, "degenerate")


def _where(config: Config, dimension: int, key: RandomKey) -> Array:
    """Points on which complexity is measured, in [-1, 1]^dimension."""
    if dimension <= 2:
        return grids.grid(config.resolution, dimension)
    key = rng.stream(key, "plane", f"dimension {dimension}")
    return grids.random_planes(key, 1, config.resolution, dimension)[0]


def program(config: Config, setting: Setting, model: Learner, mesh: Mesh) -> Callable:
    """Program from (keys of splits and of weights, activation, modulus, grid, network
    numbers, prefactors, input scales) to what is seen at each look.

    One compiled program serves every activation, modulus, prefactor and scale of inputs.
    """
    n_train, dimension = config.train_points(setting), setting.dimension

    def one(
        split_key: RandomKey,
        weights_key: RandomKey,
        activation: Array,
        modulus: Array,
        grid: Array,
        given: tuple[Array, Array, Array],
    ) -> Array:
        network, prefactor, scale = given
        split_key, weights_key = (
            jax.random.fold_in(key, network) for key in (split_key, weights_key)
        )
        count = config.integers**dimension
        place_key, paths_key = jax.random.split(split_key)
        numbers = task.place(place_key, count, config.points(dimension))
        integers = task.digits(numbers, config.integers, dimension)
        x = task.inputs(integers, config.integers, scale)
        labels = task.labels(integers, modulus)
        targets = labels.astype(jnp.float32)
        predict = partial(model.predict, activation=activation, prefactor=prefactor)
        threshold = 0.5 if config.loss == "mse" else 0.0

        def observe(params: Params) -> Array:
            outputs = predict(params, x)
            right = ((outputs > threshold) == labels).astype(jnp.float32)
            loss = loss_of(config.loss, outputs[:n_train], targets[:n_train])
            tile = probes.tile_for(config.width, int(np.prod(grid.shape[:-1])))
            values = probes.evaluate(predict, params, grid * scale, tile)
            found = probes.complexity(values[None], measures=config.measures)
            # The same paths at each look.
            paths = jax.random.clone(paths_key)
            varied = path_variation(
                predict, params, x, paths, num_paths=PATHS, normalise=True
            )
            seen = [jnp.mean(right[:n_train]), jnp.mean(right[n_train:]), loss, varied]
            seen += [found[name][0] for name in config.measures]
            return jnp.stack([*seen, found["degenerate"][0].astype(jnp.float32)])

        params = model.start(weights_key, dimension)
        x_train, y_train = x[:n_train], targets[:n_train]
        _, seen = model.fit(predict, params, x_train, y_train, observe)
        base = jnp.full(seen.shape[0], task.majority(labels[n_train:]))
        return jnp.concatenate([seen, base[:, None]], axis=1)

    def run(*args: Array) -> Array:
        *shared, network, prefactor, scale = args
        return lanes.over(lanes.default_strategy(), partial(one, *shared))(
            (network, prefactor, scale)
        )

    return sweeps.spread(run, mesh, replicated=5)


def cases(config: Config) -> Iterator[tuple[Setting, str, int]]:
    """Setting, activation and modulus of each block."""
    for setting in config.settings():
        for activation in config.activations:
            for modulus in config.moduli:
                yield setting, activation, modulus


def blocks(
    config: Config, key: RandomKey, mesh: Mesh, model: Learner | None = None
) -> list[sweeps.Block]:
    """A block for each setting, activation and modulus, in the order of the table.

    Args:
        config: What to train on.
        key: Of the run.
        mesh: From `devices.mesh`.
        model: What to train; None is the configuration's perceptron.
    """
    model = model or learner(config)
    programs, found = {}, []
    rows = len(config.prefactors) * config.n_seeds
    piece = sweeps.piece_for([rows], mesh, cpu=CPU_PIECE, accelerator=ACCELERATOR_PIECE)
    for setting, activation, modulus in cases(config):
        shape = setting._replace(input_scale=1.0)
        if shape not in programs:
            programs[shape] = program(config, setting, model, mesh)
        words = f"dimension {setting.dimension}"
        # The same splits for all, and the same weights for each activation: differences
        # are not those of the draw.
        shared = (
            rng.stream(key, "split", words),
            rng.stream(key, "weights", words),
            config.activations.index(activation),
            modulus,
            _where(config, setting.dimension, key),
        )

        def evaluate(inputs: dict[str, Array], run=programs[shape], shared=shared):
            named = (inputs[name] for name in ("network", "prefactor", "scale"))
            return run(*shared, *named)

        networks = np.arange(config.n_seeds, dtype=np.uint32)
        prefactors = np.asarray(config.prefactors, np.float32)
        found.append(
            sweeps.Block(
                name=f"{activation}, modulus {modulus}, {setting}",
                evaluate=evaluate,
                finish=sweeps.kept("seen"),
                inputs={
                    "network": np.tile(networks, len(prefactors)),
                    "prefactor": np.repeat(prefactors, config.n_seeds),
                    "scale": np.full(rows, setting.input_scale, np.float32),
                },
                piece=piece,
                cost=float(config.train_points(setting)),
            )
        )
    return found


class Part(NamedTuple):
    """The trainings of one model in a run of several."""

    config: Config
    model: Learner
    labels: dict[str, Any]
    """What the table's rows say of it, besides."""


def blocks_of(parts: Sequence[Part], key: RandomKey, mesh: Mesh) -> list[sweeps.Block]:
    """The blocks of every part, which share splits and draws."""
    return [
        block for part in parts for block in blocks(part.config, key, mesh, part.model)
    ]


def table_of(parts: Sequence[Part], swept: sweeps.Columns) -> sweeps.Columns:
    """The results of `blocks_of`, part after part."""
    found, start = [], 0
    for config, _, labels in parts:
        networks = len(config.prefactors) * config.n_seeds
        stop = start + networks * len(list(cases(config)))
        found.append((table(config, {"seen": swept["seen"][start:stop]}), labels))
        start = stop
    return tables.stacked(found)


def table(config: Config, swept: sweeps.Columns) -> sweeps.Columns:
    """The results: a row for each network and look, the first before any training."""
    looks = (0, *config.iterations)
    columns = tables.columns_of(
        {
            **setting._asdict(),
            "activation": activation,
            "modulus": modulus,
            "prefactor": prefactor,
            "network": network,
            "steps": steps,
        }
        for setting, activation, modulus in cases(config)
        for prefactor in config.prefactors
        for network in range(config.n_seeds)
        for steps in looks
    )
    seen = swept["seen"].reshape(len(columns["steps"]), -1)
    names = (*statistics(config), "test_majority")
    columns |= {name: seen[:, i] for i, name in enumerate(names)}
    columns["degenerate"] = columns["degenerate"] > 0
    base = columns["test_majority"].astype(np.float64)
    # 0 for a constant guess, 1 for all right; NaN where one label is all there is.
    with np.errstate(divide="ignore", invalid="ignore"):
        columns["relative_accuracy"] = np.where(
            base < 1, (columns["test_accuracy"] - base) / (1 - base), np.nan
        )
    return columns
