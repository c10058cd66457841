"""Random networks of a few bits, and the truth tables that they compute."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Float, UInt32

from jaxbias import lanes, rng, sweeps
from jaxbias.arrays import Params, RandomKey
from jaxbias.models.mlp import HIGHEST, MLP
from jaxbias.models.priors import template
from jaxbias.numerics import boolean
from jaxbias.numerics.activations import resolve
from jaxbias.studies.neural_redshift.boolean_prior.config import Config

BATCH = 16
"""Networks that share one draw of random numbers: a draw for each takes twice the time.
Network i is number i % 16 of batch i // 16, whatever the chunks and devices."""

DRAW_MULTIPLE = 64
"""XLA:CPU draws slowly where BATCH times the weights does not divide evenly."""

PIECE = {"cpu": 2048}
"""Batches to evaluate at once; elsewhere as many as fit `ACCELERATOR_BYTES`."""

ACCELERATOR_BYTES = 8 * 2**30


@dataclass(frozen=True, kw_only=True)
class Condition:
    """Networks that differ in draw alone; `sources` of functions besides networks.

    Attributes:
        source: "network"; "perceptron", a linear threshold without bias on inputs 0 and
            1, the depth being 0; "uniform", every truth table equally likely.
        activation: Empty where there is none.
        depth: Hidden layers.
        sigma_w: NaN where there are no weights.
    """

    source: str
    activation: str = ""
    depth: int = 0
    sigma_w: float = math.nan


PERCEPTRON = Condition(source="perceptron", sigma_w=1.0)
UNIFORM = Condition(source="uniform")


def conditions(config: Config) -> list[Condition]:
    """The networks asked for, then the two references."""
    found = [
        Condition(source="network", activation=name, depth=depth, sigma_w=sigma)
        for depth in config.depths
        for name in config.activations
        for sigma in config.sigma_ws
    ]
    return [*found, PERCEPTRON, UNIFORM]


def scaled(
    shapes: Params,
    normal: Float[Array, " number"],
    sigma_w: Array | float,
    sigma_b: Array | float,
) -> Params:
    """Weights N(0, sigma_w^2 / fan-in) and biases N(0, sigma_b^2), from N(0, 1)."""
    leaves, tree = jax.tree_util.tree_flatten_with_path(shapes)
    made, start = [], 0
    for path, leaf in leaves:
        values = normal[start : start + leaf.size].reshape(leaf.shape)
        start += leaf.size
        if path[-1].key.endswith("bias"):
            made.append(values * sigma_b)
        else:
            made.append(values * (sigma_w / math.sqrt(leaf.shape[-2])))
    return jax.tree_util.tree_unflatten(tree, made)


def packed(output: Float[Array, " point"]) -> UInt32[Array, " word"]:
    """A network's truth table, then 1 if all its outputs are finite.

    The label is 1 where the output is above 0.
    """
    finite = jnp.all(jnp.isfinite(output)).astype(jnp.uint32)
    return jnp.append(boolean.pack(output > 0), finite)


@dataclass(frozen=True)
class Programs:
    """The compiled programs of a run: one for each depth, and one for each reference."""

    config: Config
    mesh: Mesh

    def module(self, depth: int) -> MLP:
        names = self.config.activations
        functions = tuple(resolve(name) for name in names)
        return MLP(width=self.config.width, depth=depth, activations=functions)

    def template(self, depth: int) -> Params:
        """Shapes of a network's weights."""
        return template(self.module(depth), self.config.bits)

    @lru_cache  # noqa: B019 - one instance lives as long as the run
    def network(self, depth: int) -> Callable:
        """From (stream, activation, sigma_w, sigma_b, batches) to packed tables."""
        config, module = self.config, self.module(depth)
        shapes = self.template(depth)
        count = sum(leaf.size for leaf in jax.tree.leaves(shapes))
        padded = -(-count // DRAW_MULTIPLE) * DRAW_MULTIPLE
        points = jnp.asarray(boolean.cube(config.bits, config.inputs))

        def batch(
            key: RandomKey, activation: Array, sigma_w: Array, sigma_b: Array
        ) -> UInt32[Array, "network word"]:
            def one(normal: Array) -> Array:
                params = scaled(shapes, normal, sigma_w, sigma_b)
                values, _ = module.apply(
                    {"params": params}, points, depth=depth, activation=activation
                )
                return packed(values)

            return jax.vmap(one)(jax.random.normal(key, (BATCH, padded)))

        return self._spread(batch, replicated=3)

    @lru_cache  # noqa: B019
    def perceptron(self) -> Callable:
        """From (stream, batches) to packed tables of sum_i w_i x_i > 0."""
        points = jnp.asarray(boolean.cube(self.config.bits))

        def batch(key: RandomKey) -> UInt32[Array, "network word"]:
            weights = jax.random.normal(key, (BATCH, self.config.bits))
            values = jnp.dot(weights, points.T, precision=HIGHEST)
            return jax.vmap(packed)(values)

        return self._spread(batch, replicated=0)

    @lru_cache  # noqa: B019
    def uniform(self) -> Callable:
        """From (stream, batches) to packed tables of labels drawn one by one."""
        shape = (BATCH, 1 << self.config.bits)

        def batch(key: RandomKey) -> UInt32[Array, "network word"]:
            labels = jax.random.bits(key, shape, jnp.uint8) & 1
            return jax.vmap(packed)(labels.astype(jnp.float32))

        return self._spread(batch, replicated=0)

    def _spread(self, batch: Callable, replicated: int) -> Callable:
        def run(key: RandomKey, *given: Array) -> Array:
            *same, numbers = given
            each = lambda one: batch(one, *same)  # noqa: E731
            keys = rng.member_keys(key, numbers)
            return lanes.over(lanes.default_strategy(), each)(keys)

        return sweeps.spread(run, self.mesh, replicated=1 + replicated)

    @lru_cache  # noqa: B019
    def finish(self) -> Callable:
        """From packed tables to columns."""

        def run(values: Array) -> dict[str, Array]:
            return {"packed": values[..., :-1], "finite": values[..., -1] > 0}

        return sweeps.spread(run, self.mesh)


def _piece(config: Config, batches: int, mesh: Mesh) -> int:
    """Batches to evaluate at once, over all devices."""
    most = PIECE.get(jax.default_backend())
    if most is None:
        weights = max(config.depths) * config.width**2
        activations = 4 * 2**config.bits * config.width
        each = BATCH * 4 * (2 * weights + activations)
        most = max(1, ACCELERATOR_BYTES // each) * mesh.size
    return sweeps.even_piece([batches], max(most, mesh.size))


def _evaluate(programs: Programs, condition: Condition, key: RandomKey) -> Callable:
    config = programs.config
    if condition.source != "network":
        program = getattr(programs, condition.source)()
        stream = rng.stream(key, condition.source)
        return lambda inputs: program(stream, inputs["batch"])
    program = programs.network(condition.depth)
    # Scales and activations share the draw: their differences are not those of it.
    words = (f"depth {condition.depth}", f"width {config.width}", f"bits {config.bits}")
    stream = rng.stream(key, "network", *words)
    number = config.activations.index(condition.activation)
    sigma_w = np.float32(condition.sigma_w)
    sigma_b = np.float32(config.sigma_b)
    return lambda inputs: program(stream, number, sigma_w, sigma_b, inputs["batch"])


def blocks(config: Config, key: RandomKey, mesh: Mesh) -> list[sweeps.Block]:
    """A block for each of `conditions`, an entry for each batch of networks."""
    programs = Programs(config, mesh)
    key = rng.stream(key, "boolean prior")
    batches = -(-config.n_networks // BATCH)
    piece = _piece(config, batches, mesh)
    found = []
    for condition in conditions(config):
        # Measured: a weight is drawn in the time of 64 products and sums, and a
        # reference in that of a network with few weights.
        weights = 200 + condition.depth * config.width**2
        found.append(
            sweeps.Block(
                name=f"{condition.source} {condition.activation} {condition.depth}",
                evaluate=_evaluate(programs, condition, key),
                finish=programs.finish(),
                inputs={"batch": np.arange(batches, dtype=np.uint32)},
                piece=piece,
                cost=float(weights * BATCH),
            )
        )
    return found


def tables_of(
    config: Config, swept: sweeps.Columns, number: int
) -> tuple[np.ndarray, np.ndarray]:
    """One condition's packed truth tables, network by network, and whether finite."""
    batches = -(-config.n_networks // BATCH)
    rows = slice(number * batches, (number + 1) * batches)
    found = swept["packed"][rows]
    flat = found.reshape(-1, found.shape[-1])[: config.n_networks]
    return flat, swept["finite"][rows].reshape(-1)[: config.n_networks]
