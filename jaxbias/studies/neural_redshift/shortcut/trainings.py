"""Trainings on digits beside a band of colour, and what is seen of them."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxbias import lanes, rng, sweeps, tables
from jaxbias.arrays import Array, Params, RandomKey
from jaxbias.models.priors import PRIORS
from jaxbias.numerics import sequences
from jaxbias.numerics.lempel_ziv import lz78
from jaxbias.probes.paths import path_values, variation
from jaxbias.studies.neural_redshift.learners import Learner
from jaxbias.studies.neural_redshift.shortcut.config import Config
from jaxbias.studies.neural_redshift.shortcut.images import Sets

CPU_PIECE, ACCELERATOR_PIECE = 4, 1024
"""Trainings to run at once, over all devices."""

PATHS = 40
LEVELS = 10
"""Straight lines between training images along which outputs are read, and the levels that
they are mapped to for Lempel-Ziv complexity."""

SEEN = (
    "train_error",
    "colour_accuracy",
    "digit_accuracy",
    "lz78",
    "path_variation",
)
"""What is seen at each look: mean absolute error on training images; 1 minus that error on
the two test sets; LZ78 dictionary size and variation of outputs along paths."""


def learner(config: Config) -> Learner:
    """The models of a run."""
    return Learner(
        activations=config.activations,
        depth=config.depth,
        width=config.width,
        prior=PRIORS[config.prior],
        loss="mse",
        learning_rate=config.learning_rate,
        marks=(0, *config.iterations),
    )


def path_complexity(values: Array) -> tuple[Array, Array]:
    """LZ78 of outputs along paths, one after the other, and their variation.

    # Paper: how Lempel-Ziv complexity is taken of a function of images is not said.

    Args:
        values: (path, step).

    Returns:
        Dictionary size of the values on `LEVELS` levels; sum of |differences| along a
        path, averaged over paths, in standard deviations of all values.
    """
    symbols = sequences.quantise(values.reshape(-1), LEVELS)
    phrases = lz78(symbols, LEVELS).astype(jnp.float32)
    return phrases, variation(values, normalise=True)


def _program(config: Config, mesh: Mesh):
    """Program from (data, keys, activation, network numbers, prefactors) to looks."""
    model = learner(config)

    def one(
        data: tuple[Array, ...],
        weights_key: RandomKey,
        paths_key: RandomKey,
        activation: Array,
        given: tuple[Array, Array],
    ) -> Array:
        x, y, colour_x, colour_y, digit_x, digit_y = data
        network, prefactor = given
        predict = partial(model.predict, activation=activation, prefactor=prefactor)
        params = model.start(jax.random.fold_in(weights_key, network), x.shape[1])

        def error(params: Params, x: Array, y: Array) -> Array:
            return jnp.mean(jnp.abs(predict(params, x) - y))

        def observe(params: Params) -> Array:
            # The same paths at each look and for every network.
            paths = jax.random.clone(paths_key)
            values = path_values(predict, params, x, paths, num_paths=PATHS)
            return jnp.stack(
                [
                    error(params, x, y),
                    1 - error(params, colour_x, colour_y),
                    1 - error(params, digit_x, digit_y),
                    *path_complexity(values),
                ]
            )

        return model.fit(predict, params, x, y, observe)[1]

    def run(*args: Any) -> Array:
        *shared, network, prefactor = args
        return lanes.over(lanes.default_strategy(), partial(one, *shared))(
            (network, prefactor)
        )

    return sweeps.spread(run, mesh, replicated=4)


def blocks(
    config: Config, sets: Sets, key: RandomKey, mesh: Mesh
) -> list[sweeps.Block]:
    """A block for each activation, in the order of the table."""
    run = _program(config, mesh)
    data = tuple(jnp.asarray(part) for one in sets for part in (one.x, one.y))
    rows = len(config.prefactors) * config.n_seeds
    piece = sweeps.piece_for([rows], mesh, cpu=CPU_PIECE, accelerator=ACCELERATOR_PIECE)
    networks = np.arange(config.n_seeds, dtype=np.uint32)
    prefactors = np.asarray(config.prefactors, np.float32)
    found = []
    for number, name in enumerate(config.activations):
        # The same weights for every activation and prefactor.
        keys = rng.stream(key, "weights"), rng.stream(key, "paths")

        def evaluate(inputs: dict[str, Array], shared=(data, *keys, number)) -> Array:
            return run(*shared, inputs["network"], inputs["prefactor"])

        found.append(
            sweeps.Block(
                name=name,
                evaluate=evaluate,
                finish=sweeps.kept("seen"),
                inputs={
                    "network": np.tile(networks, len(prefactors)),
                    "prefactor": np.repeat(prefactors, config.n_seeds),
                },
                piece=piece,
            )
        )
    return found


def _labels(config: Config) -> Iterator[dict]:
    for activation in config.activations:
        for prefactor in config.prefactors:
            for network in range(config.n_seeds):
                for steps in (0, *config.iterations):
                    yield {
                        "activation": activation,
                        "prefactor": prefactor,
                        "network": network,
                        "steps": steps,
                    }


def table(config: Config, swept: sweeps.Columns) -> sweeps.Columns:
    """The results: a row for each network and look, the first before any training."""
    columns = tables.columns_of(_labels(config))
    seen = swept["seen"].reshape(len(columns["steps"]), -1)
    return columns | {name: seen[:, i] for i, name in enumerate(SEEN)}
