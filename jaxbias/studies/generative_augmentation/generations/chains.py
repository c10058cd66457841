"""Chains of generators, each fitted to what came before, by their sufficient statistics.

The frame is that of `samplers`: z = y (x - y mu) / sigma, two classes, coordinates alike. A
batch of m balanced points is drawn as its class means and its spread within classes, which
is all that a fit sees.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.special import ndtr
from jax.sharding import Mesh
from jaxtyping import Array, Float

from jaxbias import rng, sweeps
from jaxbias.arrays import RandomKey
from jaxbias.studies.generative_augmentation import batches, law
from jaxbias.studies.generative_augmentation.generations.config import Config, Scheme
from jaxbias.studies.generative_augmentation.mixture.samplers import chi_squared

STATISTICS = (
    "variance",
    "log_variance",
    "displacement",
    "excess_nll",
    "test_error",
)
"""What a chain gives for each generation. Means over coordinates: the generator's variance
over the true one, its logarithm, the squared distance of a class mean from the true one
over the true variance. Of the linear classifier of all points that the fit saw: the excess
of the population test loss over the best one, and the error rate."""


class Case(NamedTuple):
    """The traced numbers of a chain."""

    m: Float[Array, ""]
    sigma: Float[Array, ""]


class Summary(NamedTuple):
    """Points of two balanced classes, as far as a fit sees them."""

    count: Float[Array, ""]
    means: Float[Array, "class coordinate"]
    squares: Float[Array, " coordinate"]
    """Sum of squared deviations from the class means."""

    def variance(self) -> Float[Array, " coordinate"]:
        """The pooled unbiased estimate."""
        return self.squares / (self.count - 2)


def draw(
    key: RandomKey,
    m: Float[Array, ""],
    means: Float[Array, "class coordinate"],
    variance: Float[Array, " coordinate"],
) -> Summary:
    """The summary of m points, half of them of each class."""
    place, spread = jax.random.split(key)
    noise = jax.random.normal(place, means.shape) * jnp.sqrt(2 * variance / m)[None]
    return Summary(
        count=m,
        means=means + noise,
        squares=variance * chi_squared(spread, m - 2, variance.shape),
    )


def merge(first: Summary, second: Summary) -> Summary:
    """The summary of two sets of points together."""
    count = first.count + second.count
    apart = second.means - first.means
    between = jnp.sum(apart**2, axis=0) * first.count * second.count / (2 * count)
    return Summary(
        count=count,
        means=first.means + apart * second.count / count,
        squares=first.squares + second.squares + between,
    )


def chain(
    key: RandomKey, case: Case, *, scheme: Scheme, dim: int, generations: int
) -> Float[Array, "generation statistic"]:
    """One chain: a row for the fit to real points, and one for each later generator."""
    origin = jnp.zeros((2, dim)), jnp.ones(dim)

    def step(seen: Summary, number: Array) -> tuple[Summary, Array]:
        keys = jax.random.split(jax.random.fold_in(key, number))
        new = draw(keys[0], case.m, seen.means, seen.variance())
        if scheme == "accumulate":
            new = merge(seen, new)
        elif scheme == "fresh":
            new = merge(draw(keys[1], case.m, *origin), new)
        # Rounded here, and not as it is fused with what follows: alike on any devices.
        new = lax.optimization_barrier(new)
        return new, _statistics(new, case.sigma)

    real = draw(key, case.m, *origin)
    _, later = lax.scan(step, real, jnp.arange(1, generations + 1))
    return jnp.concatenate([_statistics(real, case.sigma)[None], later])


def _statistics(seen: Summary, sigma: Float[Array, ""]) -> Float[Array, " statistic"]:
    variance = seen.variance()
    theta = jnp.mean(seen.means, axis=0)
    dim = theta.shape[0]
    # theta = mu + sigma times this, every coordinate of mu being 1 / sqrt(dim).
    along = 1 + sigma * jnp.sum(theta) / jnp.sqrt(dim)
    length = jnp.sqrt(jnp.sum((1 / jnp.sqrt(dim) + sigma * theta) ** 2))
    found = {
        "variance": jnp.mean(variance),
        "log_variance": jnp.mean(jnp.log(variance)),
        "displacement": jnp.mean(seen.means**2),
        "excess_nll": jnp.sum(theta**2) / 2,
        "test_error": ndtr(-along / (length * sigma)),
    }
    return jnp.stack([found[name] for name in STATISTICS])


def _combinations(config: Config) -> list[tuple[Scheme, int, int]]:
    return [
        (scheme, m, dim)
        for scheme in config.schemes
        for dim in config.dims
        for m in config.m_real
    ]


def blocks(config: Config, key: RandomKey, mesh: Mesh) -> list[sweeps.Block]:
    """A block for each scheme, dimension and m, in the order of the results table."""
    programs = {}
    found = []
    for scheme, m, dim in _combinations(config):
        if (scheme, dim) not in programs:
            trial = partial(
                chain, scheme=scheme, dim=dim, generations=config.generations
            )
            programs[scheme, dim] = batches.program(
                trial, mesh, n_trials=config.n_trials, vectorised=True
            )
        # The schemes share their first generation.
        block = batches.block(
            f"{scheme} m {m} dim {dim}",
            programs[scheme, dim],
            rng.stream(key, "generations", f"m {m}", f"dim {dim}"),
            Case(m=jnp.float32(m), sigma=jnp.float32(config.sigma)),
            n_trials=config.n_trials,
            piece=batches.default_piece(),
            cost=float(dim * config.generations),
            mesh=mesh,
        )
        found.append(block)
    return found


def table(config: Config, swept: batches.Columns) -> batches.Columns:
    """The results: a row for each combination and generation, with the law beside it."""
    generation = np.arange(config.generations + 1)
    labels = [
        {"scheme": scheme, "m_real": m, "dim": dim, "generation": generation}
        for scheme, m, dim in _combinations(config)
    ]
    columns = batches.table(swept, labels, STATISTICS, n_trials=config.n_trials)
    exact = law.replaced_generations(columns["m_real"], columns["generation"])
    known = (columns["scheme"] == "replace") | (columns["generation"] == 0)
    for name, values in exact._asdict().items():
        columns[f"law_{name}"] = np.where(known, values, np.nan)
    return columns
