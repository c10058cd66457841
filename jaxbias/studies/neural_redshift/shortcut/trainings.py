"""Trainings on images in which two things tell the label, and what is seen of them."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxbias import devices, lanes, rng, sweeps, tables
from jaxbias.arrays import Array, Params, RandomKey
from jaxbias.models.priors import PRIORS
from jaxbias.numerics import sequences
from jaxbias.numerics.lempel_ziv import lz78
from jaxbias.probes.paths import path_values, variation
from jaxbias.runs import RunDirectory
from jaxbias.studies.neural_redshift import checks
from jaxbias.studies.neural_redshift.learners import Learner
from jaxbias.studies.neural_redshift.shortcut.config import Trainings
from jaxbias.studies.neural_redshift.shortcut.images import Sets
from jaxbias.terminal import Reporter

CPU_PIECE, ACCELERATOR_PIECE = 4, 1024
"""Trainings to run at once, over all devices."""

PATHS = 40
LEVELS = 10
"""Straight lines between training images along which outputs are read, and the levels that
they are mapped to for Lempel-Ziv complexity."""


def check(config: Trainings) -> None:
    """Raise ValueError, naming the option, for an activation or prior that is not there."""
    checks.activations("activations", config.activations)
    checks.known("prior", (config.prior,), PRIORS)


def seen(config: Trainings) -> tuple[str, ...]:
    """What is seen at each look.

    The error on training images (mean absolute error, or share of wrong classes); 1 minus
    the error on each test set; LZ78 dictionary size and variation of outputs along paths.
    """
    accuracies = (f"{cue}_accuracy" for cue in config.cues)
    return ("train_error", *accuracies, "lz78", "path_variation")


def learner(config: Trainings) -> Learner:
    """The models of a run."""
    return Learner(
        activations=config.activations,
        depth=config.depth,
        width=config.width,
        outputs=config.outputs,
        prior=PRIORS[config.prior],
        loss="mse" if config.outputs == 1 else "softmax",
        learning_rate=config.learning_rate,
        marks=(0, *config.iterations),
    )


def error(outputs: Array, y: Array) -> Array:
    """Mean absolute error of numbers, share of wrong ones of classes."""
    if outputs.ndim == 1:
        return jnp.mean(jnp.abs(outputs - y))
    return jnp.mean((jnp.argmax(outputs, axis=1) != y).astype(jnp.float32))


def path_complexity(values: Array) -> tuple[Array, Array]:
    """LZ78 of outputs along paths, one after the other, and their variation.

    # Paper: how Lempel-Ziv complexity is taken of a function of images is not said. Of
    # several outputs the follow-up takes one at random; at random weights the first is.

    Args:
        values: (path, step) or (path, step, output).

    Returns:
        Dictionary size of the values on `LEVELS` levels; sum of |differences| along a
        path, averaged over paths, in standard deviations of all values.
    """
    values = values if values.ndim == 2 else values[:, :, 0]
    symbols = sequences.quantise(values.reshape(-1), LEVELS)
    phrases = lz78(symbols, LEVELS).astype(jnp.float32)
    return phrases, variation(values, normalise=True)


def _program(config: Trainings, mesh: Mesh):
    """Program from (data, keys, activation, network numbers, prefactors) to looks."""
    model = learner(config)

    def one(
        data: tuple[Array, ...],
        weights_key: RandomKey,
        paths_key: RandomKey,
        activation: Array,
        given: tuple[Array, Array],
    ) -> Array:
        x, y, *tests = data
        network, prefactor = given
        predict = partial(model.predict, activation=activation, prefactor=prefactor)
        params = model.start(jax.random.fold_in(weights_key, network), x.shape[1])

        def observe(params: Params) -> Array:
            # The same paths at each look and for every network.
            paths = jax.random.clone(paths_key)
            values = path_values(predict, params, x, paths, num_paths=PATHS)
            return jnp.stack(
                [
                    error(predict(params, x), y),
                    *(
                        1 - error(predict(params, test_x), test_y)
                        for test_x, test_y in zip(tests[::2], tests[1::2], strict=True)
                    ),
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
    config: Trainings, sets: Sets, key: RandomKey, mesh: Mesh, prefix: str = ""
) -> list[sweeps.Block]:
    """A block for each activation, in the order of the table.

    Args:
        config: What to train.
        sets: On what; those of a run's parts have the same shapes.
        key: Of the run.
        mesh: From `devices.mesh`.
        prefix: Of the blocks' names, where a run has several parts.
    """
    run = _program(config, mesh)
    used = (sets.train, *(sets.tests[cue] for cue in config.cues))
    data = tuple(jnp.asarray(part) for one in used for part in (one.x, one.y))
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
                name=prefix + name,
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


def swept(
    blocks: list[sweeps.Block],
    config: Trainings,
    directory: RunDirectory,
    reporter: Reporter,
) -> sweeps.Columns:
    """Train every network of the blocks, or go on, and tell of it."""
    mesh = devices.mesh()
    reporter.say(
        f"{sum(map(len, blocks)):,} trainings of {config.iterations[-1]:,} steps on "
        f"{config.train_images:,} images, on {devices.words(mesh)}"
    )
    with reporter.progress("trainings") as progress:
        return sweeps.sweep(blocks, mesh, store=directory, progress=progress)


def _labels(config: Trainings) -> Iterator[dict]:
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


def table(config: Trainings, swept: sweeps.Columns) -> sweeps.Columns:
    """The results: a row for each network and look, the first before any training."""
    columns = tables.columns_of(_labels(config))
    found = swept["seen"].reshape(len(columns["steps"]), -1)
    return columns | {name: found[:, i] for i, name in enumerate(seen(config))}
