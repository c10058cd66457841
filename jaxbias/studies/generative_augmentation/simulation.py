"""The Gaussian-mixture simulation: every trial of every point, spread and pooled.

A group is a number of real points m and a dimension; its trials share the real points and
the test set across gamma, as in the authors' code. Each sampler is compiled once, whatever
the points. The unit of work is a batch of trials, which returns the means and the squared
deviations of its statistics, so that a million trials need no memory.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int

from jaxbias import lanes, rng, sweeps
from jaxbias.arrays import RandomKey
from jaxbias.studies.generative_augmentation import bounds, law
from jaxbias.studies.generative_augmentation.config import (
    Config,
    Group,
    Sampler,
    generated,
)
from jaxbias.studies.generative_augmentation.samplers import (
    COORDINATES,
    GENERATED_TILE,
    STATISTICS,
    Case,
    Shapes,
    Trial,
    direct_trial,
    sufficient_trial,
)

BATCH = 25
"""Trials of one batch: enough lanes to fill vector units, few enough to stay in cache."""

PIECE = {"cpu": {"sufficient": 64, "direct": 8}}
ACCELERATOR_PIECE = {"sufficient": 512, "direct": 32}
"""Batches to compute at once, over all devices."""


def moments(
    values: Float[Array, "trial *rest"], count: Int[Array, ""]
) -> Float[Array, "*rest 2"]:
    """Mean, and sum of squared deviations from it, of the first `count` trials."""
    used = jnp.arange(len(values)).reshape(-1, *[1] * (values.ndim - 1)) < count
    mean = jnp.where(used, values, 0.0).sum(0) / count
    squares = jnp.where(used, (values - mean[None]) ** 2, 0.0).sum(0)
    return jnp.stack([mean, squares], axis=-1)


@dataclass(frozen=True)
class Programs:
    """The compiled programs of a run, one a sampler."""

    config: Config
    mesh: Mesh

    def shapes(self) -> Shapes:
        """Buffers that hold the largest trial; generated points in whole tiles."""
        groups = self.config.groups().items()
        most = max(generated(m, max(gammas)) for (m, _), gammas in groups)
        return Shapes(
            real=max(m for (m, _), _ in groups),
            generated=max(1, -(-most // GENERATED_TILE)) * GENERATED_TILE,
            test=self.config.n_test,
        )

    def trial(self, sampler: Sampler) -> Trial:
        if sampler == "sufficient":
            return sufficient_trial
        return partial(direct_trial, shapes=self.shapes())

    @lru_cache  # noqa: B019 - one instance lives as long as the run
    def evaluate(self, sampler: Sampler) -> Callable:
        """Program from (stream key, case, batch numbers, their sizes) to moments."""
        trial = self.trial(sampler)
        strategy = lanes.default_strategy()

        def run(key: RandomKey, case: Case, number: Array, count: Array) -> Array:
            def batch(given: tuple[Array, Array]) -> Array:
                members = given[0] * BATCH + jnp.arange(BATCH, dtype=jnp.uint32)
                keys = rng.member_keys(key, members)
                one = lambda k: trial(k, case)  # noqa: E731
                if sampler == "sufficient":
                    return moments(jax.vmap(one)(keys), given[1])
                return moments(lanes.over(strategy, one)(keys), given[1])

            return lanes.over(strategy, batch)((number, count))

        return sweeps.spread(run, self.mesh, replicated=2)

    @lru_cache  # noqa: B019
    def finish(self) -> Callable:
        return jax.jit(lambda values: {"moments": values})


def _case(config: Config, group: Group, gammas: tuple[float, ...], width: int) -> Case:
    """A group's numbers, its gammas filled up with zeros to a common width."""
    m, dim = group
    padding = [0.0] * (width - len(gammas))
    amounts = [generated(m, gamma) for gamma in gammas]
    return Case(
        m_real=jnp.float32(m),
        dim=jnp.int32(dim),
        sigma=jnp.float32(config.sigma),
        n_test=jnp.float32(config.n_test),
        gamma=jnp.asarray([*gammas, *padding], jnp.float32),
        m_generated=jnp.asarray([*amounts, *padding], jnp.float32),
    )


def _block(
    programs: Programs, sampler: Sampler, group: Group, case: Case, key: RandomKey
) -> sweeps.Block:
    """The batches of one group by one sampler."""
    config, (m, dim) = programs.config, group
    run = programs.evaluate(sampler)
    stream = rng.stream(key, sampler, f"m {m}", f"dim {dim}")

    def evaluate(inputs: dict[str, Array]) -> Array:
        return run(stream, case, inputs["batch"], inputs["count"])

    number = np.arange(-(-config.n_trials // BATCH), dtype=np.uint32)
    left = config.n_trials - BATCH * number.astype(np.int64)
    piece = PIECE.get(jax.default_backend(), ACCELERATOR_PIECE)[sampler]
    return sweeps.Block(
        name=f"{sampler} m {m} dim {dim}",
        evaluate=evaluate,
        finish=programs.finish(),
        inputs={"batch": number, "count": np.minimum(BATCH, left).astype(np.int32)},
        piece=sweeps.even_piece([len(number)], max(piece, programs.mesh.size)),
        cost=_cost(sampler, dim, m, int(case.m_generated.max()), config.n_test),
    )


def blocks(config: Config, key: RandomKey, mesh: Mesh) -> list[sweeps.Block]:
    """A block for each sampler and group, in the order of the results table."""
    programs = Programs(config, mesh)
    groups = config.groups()
    width = max(map(len, groups.values()))
    return [
        _block(programs, sampler, group, _case(config, group, gammas, width), key)
        for sampler in config.sampler
        for group, gammas in groups.items()
    ]


def _cost(sampler: Sampler, dim: int, m: int, most: int, n_test: int) -> float:
    """Relative time of one batch, measured on a CPU."""
    if sampler == "sufficient":
        return 1.5 * -(-dim // COORDINATES)
    return dim * (m + 2 * most + n_test) / 2000


def pooled(
    moments: Float[np.ndarray, "batch gamma statistic 2"], n_trials: int
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard error over all trials, from the batches' moments.

    Returns:
        Two float64 arrays of shape (gamma, statistic).
    """
    moments = moments.astype(np.float64)
    counts = np.full(len(moments), BATCH, np.float64)
    counts[-1] = n_trials - BATCH * (len(moments) - 1)
    weights = counts[:, None, None]
    mean = (weights * moments[..., 0]).sum(0) / n_trials
    squares = moments[..., 1].sum(0) + (weights * (moments[..., 0] - mean) ** 2).sum(0)
    return mean, np.sqrt(squares / (n_trials - 1) / n_trials)


def table(config: Config, swept: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The results: a row for each sampler and point, by group and gamma."""
    rows: dict[str, list] = {}
    batches = -(-config.n_trials // BATCH)
    start = 0
    for sampler in config.sampler:
        for (m, dim), gammas in config.groups().items():
            mean, error = pooled(
                swept["moments"][start : start + batches], config.n_trials
            )
            start += batches
            exact = _exact(config, m, dim, np.asarray(gammas))
            for i, gamma in enumerate(gammas):
                row: dict[str, object] = {
                    "sampler": sampler,
                    "m_real": m,
                    "gamma": gamma,
                    "dim": dim,
                    "n_trials": config.n_trials,
                }
                for j, name in enumerate(STATISTICS):
                    row[name] = mean[i, j]
                    row[f"{name}_se"] = error[i, j]
                row |= {name: values[i] for name, values in exact.items()}
                for name, value in row.items():
                    rows.setdefault(name, []).append(value)
    return {name: np.asarray(values) for name, values in rows.items()}


def _exact(
    config: Config, m: int, dim: int, gammas: np.ndarray
) -> dict[str, np.ndarray]:
    """What the law and the bound say of a group's points."""
    n_test = config.n_test or np.inf
    terms = bounds.gaussian_mixture(m, gammas, dim, config.bound_variant)
    found = {
        "law_gap": law.mean_gap(m, gammas, dim),
        "law_gap_sd": np.sqrt(law.variance_gap(m, gammas, dim, n_test)),
        "law_abs_gap": law.mean_abs_gap(m, gammas, dim, n_test),
        "law_test_nll": law.mean_test_nll(m, gammas, dim),
        "law_test_error": law.zero_one_risk(m, gammas, dim, config.sigma),
        "bound": terms.total,
        "bound_divergence": terms.divergence,
        "bound_stability": terms.stability,
        "bound_concentration": terms.concentration,
        "bound_generator": terms.generator,
    }
    return {name: np.asarray(values) for name, values in found.items()}
