"""Trials in batches: how any simulation of the study is spread, and pooled to a table.

A trial is a pure function of a key and of a case (its traced numbers) that gives an array
of rows by statistics. The unit of work is a batch of trials, which returns the means and
the squared deviations of its statistics: a million trials need no memory, and a trial's key
depends on its number alone, so that neither the devices nor the chunks matter.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int

from jaxbias import lanes, rng, sweeps
from jaxbias.arrays import RandomKey

LANES = 25
"""Trials computed together: enough to fill vector units, few enough to stay in cache."""

MOST_BATCHES = 4000
"""Batches of a case, about: their moments are held until the table is made."""

PIECE = {"cpu": 8}
ACCELERATOR_PIECE = 64
"""Batches to compute at once, see `default_piece`."""

Trial = Callable[[RandomKey, Any], Float[Array, "row statistic"]]
Columns = dict[str, np.ndarray]


def moments(
    values: Float[Array, "trial *rest"], count: Int[Array, ""]
) -> Float[Array, "*rest 2"]:
    """Mean, and sum of squared deviations from it, of the first `count` trials."""
    used = jnp.arange(len(values)).reshape(-1, *[1] * (values.ndim - 1)) < count
    mean = jnp.where(used, values, 0.0).sum(0) / count
    squares = jnp.where(used, (values - mean[None]) ** 2, 0.0).sum(0)
    return jnp.stack([mean, squares], axis=-1)


def batch_size(n_trials: int) -> int:
    """Trials of one batch: `LANES`, or a multiple of it where trials are very many."""
    return LANES * max(1, n_trials // (LANES * MOST_BATCHES))


def program(trial: Trial, mesh: Mesh, *, n_trials: int, vectorised: bool) -> Callable:
    """Compile a trial for batches spread over a mesh.

    Args:
        trial: What one trial gives.
        mesh: From `devices.mesh`.
        n_trials: How many trials each case will have.
        vectorised: Whether a batch's trials are computed together on a CPU too: right for
            trials of a few numbers.

    Returns:
        A function of (stream key, case, batch numbers, trials in each batch).
    """
    strategy = lanes.default_strategy()
    within: lanes.Strategy = "vmap" if vectorised else strategy
    size = batch_size(n_trials)

    def run(key: RandomKey, case: Any, number: Array, count: Array) -> Array:
        def batch(given: tuple[Array, Array]) -> Array:
            members = given[0] * size + jnp.arange(size, dtype=jnp.uint32)
            one = lambda k: trial(k, case)  # noqa: E731
            some = lanes.over(within, one)
            keys = rng.member_keys(key, members).reshape(-1, LANES)
            # One group needs no loop, and would not be rounded as in one.
            values = (
                lanes.over(strategy, some)(keys) if len(keys) > 1 else some(keys[0])
            )
            return moments(values.reshape(size, *values.shape[-2:]), given[1])

        return lanes.over(strategy, batch)((number, count))

    return sweeps.spread(run, mesh, replicated=2)


def default_piece() -> int:
    """Batches to compute at once, over all devices, for trials of no special size."""
    return PIECE.get(jax.default_backend(), ACCELERATOR_PIECE)


def block(
    name: str,
    run: Callable,
    stream: RandomKey,
    case: Any,
    *,
    n_trials: int,
    piece: int,
    cost: float,
    mesh: Mesh,
) -> sweeps.Block:
    """The batches of one case.

    Args:
        name: For messages.
        run: From `program`.
        stream: Key of the case's trials.
        case: The trial's traced numbers.
        n_trials: How many trials.
        piece: Most batches to compute at once, over all devices.
        cost: Relative time of one batch.
        mesh: The one that `run` was compiled for.
    """

    def evaluate(inputs: dict[str, Array]) -> Array:
        return run(stream, case, inputs["batch"], inputs["count"])

    size = batch_size(n_trials)
    number = np.arange(-(-n_trials // size), dtype=np.uint32)
    left = n_trials - size * number.astype(np.int64)
    return sweeps.Block(
        name=name,
        evaluate=evaluate,
        finish=sweeps.kept("moments"),
        inputs={"batch": number, "count": np.minimum(size, left).astype(np.int32)},
        piece=sweeps.even_piece([len(number)], max(piece, mesh.size)),
        cost=cost,
    )


def pooled(
    moments: Float[np.ndarray, "batch row statistic 2"], n_trials: int
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard error over all trials, from the batches' moments.

    Returns:
        Two float64 arrays of shape (row, statistic).
    """
    moments = moments.astype(np.float64)
    size = batch_size(n_trials)
    counts = np.full(len(moments), size, np.float64)
    counts[-1] = n_trials - size * (len(moments) - 1)
    weights = counts[:, None, None]
    mean = (weights * moments[..., 0]).sum(0) / n_trials
    squares = moments[..., 1].sum(0) + (weights * (moments[..., 0] - mean) ** 2).sum(0)
    return mean, np.sqrt(squares / (n_trials - 1) / n_trials)


def table(
    swept: Columns,
    labels: Sequence[Mapping[str, Any]],
    statistics: Sequence[str],
    *,
    n_trials: int,
) -> Columns:
    """The tidy table of a sweep: labels, then each statistic's mean and standard error.

    Args:
        swept: What the sweep over the blocks gave.
        labels: For each block, columns by name: single values, or one for each of its rows
            (a block may use fewer rows than its trials give: the first).
        statistics: Names of the trials' statistics.
        n_trials: Trials of each block.
    """
    batches = -(-n_trials // batch_size(n_trials))
    parts = []
    for number, label in enumerate(labels):
        mean, error = pooled(
            swept["moments"][number * batches : (number + 1) * batches], n_trials
        )
        columns = [np.atleast_1d(np.asarray(value)) for value in label.values()]
        count = max(map(len, columns))
        part = {
            name: np.broadcast_to(column, count)
            for name, column in zip(label, columns, strict=True)
        }
        part["n_trials"] = np.full(count, n_trials)
        for i, name in enumerate(statistics):
            part[name] = mean[:count, i]
            part[f"{name}_se"] = error[:count, i]
        parts.append(part)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
