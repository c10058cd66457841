"""The Gaussian-mixture simulation: which trials belong to which points, and their table.

A group is a number of real points m and a dimension; its trials share the real points and
the test set across gamma, as in the authors' code. Each sampler is compiled once, whatever
the points.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxbias import rng, sweeps
from jaxbias.arrays import RandomKey
from jaxbias.studies.generative_augmentation import batches, bounds, law
from jaxbias.studies.generative_augmentation.mixture.config import (
    Config,
    Group,
    Sampler,
    generated,
)
from jaxbias.studies.generative_augmentation.mixture.samplers import (
    COORDINATES,
    GENERATED_TILE,
    STATISTICS,
    Case,
    Shapes,
    direct_trial,
    sufficient_trial,
)

PIECE = {"cpu": {"sufficient": 64, "direct": 8}}
ACCELERATOR_PIECE = {"sufficient": 512, "direct": 32}
"""Batches to compute at once, over all devices."""


def shapes(config: Config) -> Shapes:
    """Buffers that hold the largest trial; generated points in whole tiles."""
    groups = config.groups().items()
    most = max(generated(m, max(gammas)) for (m, _), gammas in groups)
    return Shapes(
        real=max(m for (m, _), _ in groups),
        generated=max(1, -(-most // GENERATED_TILE)) * GENERATED_TILE,
        test=config.n_test,
    )


def _trial(config: Config, sampler: Sampler) -> batches.Trial:
    if sampler == "sufficient":
        return sufficient_trial
    return partial(direct_trial, shapes=shapes(config))


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


def blocks(config: Config, key: RandomKey, mesh: Mesh) -> list[sweeps.Block]:
    """A block for each sampler and group, in the order of the results table."""
    groups = config.groups()
    width = max(map(len, groups.values()))
    piece = PIECE.get(jax.default_backend(), ACCELERATOR_PIECE)
    found = []
    for sampler in config.sampler:
        run = batches.program(
            _trial(config, sampler),
            mesh,
            n_trials=config.n_trials,
            vectorised=sampler == "sufficient",
        )
        for (m, dim), gammas in groups.items():
            block = batches.block(
                f"{sampler} m {m} dim {dim}",
                run,
                rng.stream(key, sampler, f"m {m}", f"dim {dim}"),
                _case(config, (m, dim), gammas, width),
                n_trials=config.n_trials,
                piece=piece[sampler],
                cost=_cost(sampler, dim, m, generated(m, max(gammas)), config.n_test),
                mesh=mesh,
            )
            found.append(block)
    return found


def _cost(sampler: Sampler, dim: int, m: int, most: int, n_test: int) -> float:
    """Relative time of one batch, measured on a CPU."""
    if sampler == "sufficient":
        return 1.5 * -(-dim // COORDINATES)
    return dim * (m + 2 * most + n_test) / 2000


def table(config: Config, swept: batches.Columns) -> batches.Columns:
    """The results: a row for each sampler and point, by group and gamma."""
    points = [
        {"sampler": sampler, "m_real": m, "gamma": gammas, "dim": dim}
        for sampler in config.sampler
        for (m, dim), gammas in config.groups().items()
    ]
    columns = batches.table(swept, points, STATISTICS, n_trials=config.n_trials)
    return columns | _exact(config, columns)


def _exact(config: Config, columns: batches.Columns) -> batches.Columns:
    """What the law and the bound say of the points."""
    m, gamma, dim = columns["m_real"], columns["gamma"], columns["dim"]
    n_test = config.n_test or np.inf
    terms = bounds.gaussian_mixture(m, gamma, dim, config.bound_variant)
    found = {
        "law_gap": law.mean_gap(m, gamma, dim),
        "law_gap_sd": np.sqrt(law.variance_gap(m, gamma, dim, n_test)),
        "law_abs_gap": law.mean_abs_gap(m, gamma, dim, n_test),
        "law_test_nll": law.mean_test_nll(m, gamma, dim),
        "law_test_error": law.zero_one_risk(m, gamma, dim, config.sigma),
        "bound": terms.total,
        "bound_divergence": terms.divergence,
        "bound_stability": terms.stability,
        "bound_concentration": terms.concentration,
        "bound_generator": terms.generator,
    }
    return {name: np.asarray(values) for name, values in found.items()}
