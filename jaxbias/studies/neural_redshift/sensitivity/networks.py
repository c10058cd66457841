"""Random sequence models, and what flipping a bit does to their labels."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Float

from jaxbias import lanes, rng, sweeps
from jaxbias.arrays import Params, RandomKey
from jaxbias.models.mlp import MLP
from jaxbias.models.priors import Prior, draw, scale, template
from jaxbias.models.sequence import EncoderClassifier, LSTMClassifier
from jaxbias.numerics import boolean
from jaxbias.probes.complexity import evaluate
from jaxbias.studies.neural_redshift.sensitivity.config import Config

PRIORS: dict[str, Prior] = {
    "uniform": Prior(glorot=False, bias_scale="with_weights"),
    "normal": Prior(family="normal", glorot=False, bias_scale="with_weights"),
    "xavier": Prior(bias_range=0.0),
}
SCALES = {"normal": math.sqrt(3), "xavier": 1.0}
"""Factors on the priors' weights: the normal one has the variance of U(-1, 1)."""

RANDOM = "random function"
"""In place of a model: every string's label is drawn for itself."""

STATISTICS = ("sensitivity", "ones", "finite")

PIECE = {"cpu": 16}
ACCELERATOR_BYTES = 8 * 2**30

TILE_ROWS = 1024
"""Tokens that a CPU works on at once, so that activations stay in cache."""


@dataclass(frozen=True, kw_only=True)
class Condition:
    """Networks that differ in draw alone.

    Attributes:
        model: A name of `Config.models`, or `RANDOM`.
        length: Bits of a string.
        prior: A key of `PRIORS`; empty for random functions.
        weight_range: Factor on the prior; NaN for random functions.
    """

    model: str
    length: int
    prior: str = ""
    weight_range: float = math.nan


def conditions(config: Config) -> list[Condition]:
    """Lengths under the published prior, other priors at one length; each once."""
    lengths = list(dict.fromkeys((*config.lengths, config.length)))
    found = []
    for model in config.models:
        for length in lengths:
            found.append((model, length, "uniform", config.weight_range))
        for value in config.ranges:
            found.append((model, config.length, "uniform", value))
        for name in config.others:
            found.append((model, config.length, name, SCALES[name]))
    labels = ("model", "length", "prior", "weight_range")
    networks = [Condition(**dict(zip(labels, one, strict=True))) for one in found]
    random = [Condition(model=RANDOM, length=length) for length in lengths]
    return list(dict.fromkeys(networks)) + random


def strings(
    config: Config, length: int, key: RandomKey
) -> Float[np.ndarray, "*axes bit"]:
    """The strings to evaluate: all [2^n, n], or samples with their neighbours.

    Returns:
        0 and 1. Where there are too many to take all: [sample, 1 + n, n], each sample's
        string itself first, then with each of its bits flipped.
    """
    if length <= config.full_cube:
        return boolean.cube(length)
    key = rng.stream(key, "strings", f"length {length}")
    bits = jax.random.bits(key, (config.samples, length), jnp.uint8)
    first = np.asarray(bits & 1, np.float32)[:, None, :]
    flipped = np.abs(first - np.eye(length, dtype=np.float32)[None])
    return np.concatenate([first, flipped], axis=1)


def statistics(values: Float[Array, "*axes"]) -> Float[Array, " statistic"]:
    """Sensitivity, share of labels 1, and whether all outputs are finite.

    Args:
        values: Outputs for `strings`, either all or samples with their neighbours; the
            label is 1 above 0.
    """
    finite = jnp.all(jnp.isfinite(values)).astype(jnp.float32)
    labels = (values > 0).astype(jnp.int32)
    # A sum of whole numbers is exact in any order, a mean is not.
    ones = jnp.sum(labels) / labels.size
    if values.ndim == 1:
        return jnp.stack([boolean.sensitivity(labels), ones, finite])
    changed = labels[:, 1:] != labels[:, :1]
    return jnp.stack([jnp.sum(changed) / changed.size, ones, finite])


@dataclass(frozen=True)
class Programs:
    """The compiled programs of a run."""

    config: Config
    mesh: Mesh

    def module(self, model: str) -> nn.Module:
        width, depth = self.config.width, self.config.depth
        if model == "transformer":
            return EncoderClassifier(width=width, depth=depth, heads=self.config.heads)
        if model == "lstm":
            return LSTMClassifier(width=width, depth=depth)
        return MLP(width=width, depth=depth)

    @lru_cache  # noqa: B019 - one instance lives as long as the run
    def draw(self, model: str, length: int, prior: str) -> Callable:
        """From (stream, network numbers) to weights at scale 1."""
        shapes = template(self.module(model), length)

        def run(key: RandomKey, networks: Array) -> Params:
            one = lambda k: draw(k, shapes, PRIORS[prior])  # noqa: E731
            keys = rng.member_keys(key, networks)
            return lanes.over(lanes.default_strategy(), one)(keys)

        return sweeps.spread(run, self.mesh, replicated=1)

    @lru_cache  # noqa: B019
    def measure(self, model: str, length: int) -> Callable:
        """From (strings, factor, weights) to statistics."""
        module = self.module(model)

        def apply(params: Params, bits: Array) -> Array:
            inputs = 2 * bits - 1 if model == "mlp" else bits
            return module.apply({"params": params}, inputs)[0]  # type: ignore[index]

        def run(points: Array, factor: Array, params: Params) -> Array:
            count = math.prod(points.shape[:-1])
            cached = jax.default_backend() == "cpu" and model != "mlp"
            tile = max(1, TILE_ROWS // (length + 1)) if cached else count

            def one(given: Params) -> Array:
                # Biases are 0 where the prior would not scale them.
                scaled = scale(given, factor, PRIORS["uniform"])
                return statistics(evaluate(apply, scaled, points, tile))

            return lanes.over(lanes.default_strategy(), one)(params)

        return sweeps.spread(run, self.mesh, replicated=2)

    @lru_cache  # noqa: B019
    def random(self, shape: tuple[int, ...]) -> Callable:
        """From (stream, function numbers) to the statistics of random labels."""

        def run(key: RandomKey, networks: Array) -> Array:
            one = lambda k: statistics(jax.random.normal(k, shape))  # noqa: E731
            keys = rng.member_keys(key, networks)
            return lanes.over(lanes.default_strategy(), one)(keys)

        return sweeps.spread(run, self.mesh, replicated=1)

    @lru_cache  # noqa: B019
    def finish(self) -> Callable:
        """From statistics to columns."""

        def run(found: Array) -> dict[str, Array]:
            columns = dict(zip(STATISTICS, jnp.unstack(found, axis=1), strict=True))
            good = columns.pop("finite") > 0
            return {
                name: jnp.where(good, values, jnp.nan)
                for name, values in columns.items()
            } | {"degenerate": ~good}

        return sweeps.spread(run, self.mesh)


def _piece(config: Config, points: np.ndarray, mesh: Mesh) -> int:
    most = PIECE.get(jax.default_backend())
    if most is None:
        # Of one network: a perceptron's hidden layer of every token, a few times.
        each = points.size * 4 * config.width * 4 * 4
        most = max(1, ACCELERATOR_BYTES // each) * mesh.size
    return sweeps.even_piece([config.n_networks], max(most, 2 * mesh.size))


def _evaluate(
    programs: Programs, condition: Condition, points: np.ndarray, key: RandomKey
) -> Callable:
    length = f"length {condition.length}"
    stream = rng.stream(key, condition.model, length)
    if condition.model == RANDOM:
        labels = programs.random(points.shape[:-1])
        return lambda inputs: labels(stream, inputs["network"])
    drawn = programs.draw(condition.model, condition.length, condition.prior)
    measured = programs.measure(condition.model, condition.length)
    factor, where = np.float32(condition.weight_range), jnp.asarray(points)
    return lambda inputs: measured(where, factor, drawn(stream, inputs["network"]))


def cost(config: Config, condition: Condition, points: np.ndarray) -> float:
    """Products of one network: what its time goes by."""
    count = math.prod(points.shape[:-1])
    layer = {"transformer": 12, "lstm": 8}.get(condition.model)
    if layer is None:
        return float(count * config.width * 100)
    tokens = count * (condition.length + 1)
    return float(tokens * config.depth * layer * config.width**2)


def blocks(config: Config, key: RandomKey, mesh: Mesh) -> list[sweeps.Block]:
    """A block for each of `conditions`, an entry for each network."""
    programs = Programs(config, mesh)
    key = rng.stream(key, "sensitivity")
    chosen = conditions(config)
    where = {
        length: strings(config, length, key)
        for length in {condition.length for condition in chosen}
    }
    return [
        sweeps.Block(
            name=f"{condition.model} of {condition.length} bits",
            evaluate=_evaluate(programs, condition, where[condition.length], key),
            finish=programs.finish(),
            inputs={"network": np.arange(config.n_networks, dtype=np.uint32)},
            piece=_piece(config, where[condition.length], mesh),
            cost=cost(config, condition, where[condition.length]),
        )
        for condition in chosen
    ]


def table(config: Config, swept: sweeps.Columns) -> sweeps.Columns:
    """The results: a row for each network."""
    chosen, count = conditions(config), config.n_networks
    columns: sweeps.Columns = {
        name: np.repeat([getattr(one, name) for one in chosen], count)
        for name in ("model", "length", "prior", "weight_range")
    }
    columns["network"] = np.tile(np.arange(count), len(chosen))
    columns["degenerate"] = swept["degenerate"]
    columns["sensitivity"] = swept["sensitivity"]
    columns["ones"] = swept["ones"]
    # Of labels drawn at random with so many ones.
    expected = 2 * swept["ones"] * (1 - swept["ones"])
    columns["constant"] = swept["sensitivity"] == 0
    columns["relative_sensitivity"] = np.divide(
        *(swept["sensitivity"], expected),
        out=np.full(len(expected), np.nan, np.float32),
        where=expected > 0,
    )
    return columns
