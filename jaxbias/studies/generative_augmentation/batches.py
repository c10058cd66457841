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

BATCH = 25
"""Trials of one batch: enough lanes to fill vector units, few enough to stay in cache."""

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


def program(trial: Trial, mesh: Mesh, *, vectorised: bool) -> Callable:
    """Compile a trial for batches spread over a mesh.

    Args:
        trial: What one trial gives.
        mesh: From `devices.mesh`.
        vectorised: Whether a batch's trials are computed together on a CPU too: right for
            trials of a few numbers.

    Returns:
        A function of (stream key, case, batch numbers, trials in each batch).
    """
    strategy = lanes.default_strategy()
    within: lanes.Strategy = "vmap" if vectorised else strategy

    def run(key: RandomKey, case: Any, number: Array, count: Array) -> Array:
        def batch(given: tuple[Array, Array]) -> Array:
            members = given[0] * BATCH + jnp.arange(BATCH, dtype=jnp.uint32)
            one = lambda k: trial(k, case)  # noqa: E731
            values = lanes.over(within, one)(rng.member_keys(key, members))
            return moments(values, given[1])

        return lanes.over(strategy, batch)((number, count))

    return sweeps.spread(run, mesh, replicated=2)


@jax.jit
def _kept(values: Array) -> dict[str, Array]:
    return {"moments": values}


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

    number = np.arange(-(-n_trials // BATCH), dtype=np.uint32)
    left = n_trials - BATCH * number.astype(np.int64)
    return sweeps.Block(
        name=name,
        evaluate=evaluate,
        finish=_kept,
        inputs={"batch": number, "count": np.minimum(BATCH, left).astype(np.int32)},
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
    counts = np.full(len(moments), BATCH, np.float64)
    counts[-1] = n_trials - BATCH * (len(moments) - 1)
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
    batches = -(-n_trials // BATCH)
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
