"""Networks of shifted activations: complexity on a grid, correlation of outputs."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxbias import lanes, rng, sweeps
from jaxbias.arrays import Array, Params, RandomKey
from jaxbias.models.mlp import MLP, VARIANTS
from jaxbias.models.priors import Prior, draw, scale, template
from jaxbias.numerics import grids, mean_field
from jaxbias.numerics.activations import resolve, selected
from jaxbias.probes import complexity as probes
from jaxbias.studies.neural_redshift import checks
from jaxbias.studies.neural_redshift.zero_mean.config import Config

CPU_PIECE, ACCELERATOR_PIECE = 64, 4096
"""Networks to evaluate at once, over all devices."""

PRIOR = Prior()

CIRCLE = 8
"""Points on the unit circle where outputs are correlated: whole turns of 45 degrees."""

NODES = 2**13
"""A kink that is no symmetric one, as SELU's, wants many."""

ROUNDING = 1e-4
"""A mean below this share of the deviation is the quadrature's error: 0."""


class Moments(NamedTuple):
    """Of an activation under N(0, 1)."""

    mean: float
    sd: float


@lru_cache
def moments(name: str) -> Moments:
    """Mean and standard deviation of phi(z), z ~ N(0, 1); a mean of 0 is exactly 0."""
    activation = resolve(name)
    average = partial(mean_field.gaussian_mean, nodes=NODES)
    mean = float(average(activation))
    variance = average(lambda x: (activation(x) - mean) ** 2)
    sd = float(jnp.sqrt(variance))
    return Moments(0.0 if abs(mean) <= ROUNDING * sd else mean, sd)


class Shift(NamedTuple):
    """What is subtracted from an activation.

    Attributes:
        label: "as_is", or "shifted" to a given mean.
        mean: The mean under N(0, 1) that is left, in standard deviations.
        constant: What is subtracted.
    """

    label: str
    mean: float
    constant: float


def shifts(config: Config, activation: str) -> list[Shift]:
    """The activation as it is, and shifted to each of the means asked for."""
    mean, sd = moments(activation)
    found = [Shift("as_is", mean / sd, 0.0)]
    return found + [Shift("shifted", m, mean - m * sd) for m in config.means]


def check(config: Config) -> None:
    """Raise ValueError, naming the option, for what does not exist or does not fit."""
    checks.activations("activations", config.activations)
    checks.known("variants", config.variants, VARIANTS)
    checks.measures(config.measures, config.resolution)
    for name in config.activations:
        mean, sd = moments(name)
        if not (np.isfinite(mean) and np.isfinite(sd) and sd > 0):
            raise ValueError(f"--activations: {name} has no spread under N(0, 1)")


@dataclass(frozen=True)
class Programs:
    """The compiled programs of a run: one for each variant, and set of points."""

    config: Config
    mesh: Mesh

    @property
    def deepest(self) -> int:
        return max(*self.config.depths, *self.config.correlation_depths)

    @lru_cache  # noqa: B019 - one instance lives as long as the run
    def values(self, variant: str, points: str) -> Callable:
        """Program from (weights' key, activation, depth, network numbers, weight scales,
        bias ranges, shifts) to values at the points, "grid" or "circle".

        The deepest network is drawn, and its first layers are used: one program serves
        all but the variant.
        """
        config = self.config
        functions = list(map(resolve, config.activations))
        shapes = template(MLP(width=config.width, depth=self.deepest), 2)

        def one(
            key: RandomKey, activation: Array, depth: Array, given: tuple[Array, ...]
        ) -> Array:
            number, weight_scale, bias_range, shift = given
            params = draw(jax.random.fold_in(key, number), shapes, PRIOR)
            params = scale(params, weight_scale, PRIOR)
            params = {
                name: leaf * bias_range if name.endswith("bias") else leaf
                for name, leaf in params.items()
            }

            def shifted(x: Array) -> Array:
                return selected(functions, activation, x) - shift

            network = MLP(
                width=config.width,
                depth=self.deepest,
                activations=(shifted,),
                variant=VARIANTS[variant],
            )

            def predict(p: Params, x: Array) -> Array:
                return network.apply({"params": p}, x, depth=depth)[0]  # type: ignore[return-value]

            if points == "circle":
                return predict(params, circle())
            tile = probes.tile_for(config.width, config.resolution**2)
            return probes.evaluate(
                predict, params, grids.grid(config.resolution, 2), tile
            )

        def run(
            key: RandomKey, activation: Array, depth: Array, *given: Array
        ) -> Array:
            each = partial(one, key, activation, depth)
            return lanes.over(lanes.default_strategy(), each)(given)

        return sweeps.spread(run, self.mesh, replicated=3)


def circle() -> Array:
    """Evenly spaced points of length 1."""
    angle = 2 * np.pi * np.arange(CIRCLE) / CIRCLE
    return jnp.asarray(np.stack([np.cos(angle), np.sin(angle)], axis=1), jnp.float32)


class Cell(NamedTuple):
    """Networks that differ in draw, scale, biases and shift alone."""

    activation: str
    variant: str
    depth: int


def cells(config: Config) -> Iterator[Cell]:
    """The cells whose complexity is measured."""
    for variant in config.variants:
        for depth in config.depths:
            for activation in config.activations:
                yield Cell(activation, variant, depth)


def correlation_cells(config: Config) -> Iterator[Cell]:
    """The cells whose outputs are correlated."""
    for variant in config.variants:
        for depth in config.correlation_depths:
            for activation in config.activations:
                yield Cell(activation, variant, depth)


def rows_of(
    config: Config, activation: str, *, correlated: bool = False
) -> dict[str, np.ndarray]:
    """What varies within a block, a row a network; draws are the innermost."""
    scales = (config.correlation_scale,) if correlated else config.weight_scales
    count = config.correlation_networks if correlated else config.n_networks
    rows: dict[str, list] = {}
    for shift in shifts(config, activation):
        if correlated and shift.label == "shifted" and shift.mean != 0:
            continue
        for bias_range in config.bias_ranges:
            for weight_scale in scales:
                row = {
                    "setting": shift.label,
                    "mean": shift.mean,
                    "shift": shift.constant,
                    "bias_range": bias_range,
                    "weight_scale": weight_scale,
                }
                for name, value in row.items():
                    rows.setdefault(name, []).extend([value] * count)
                rows.setdefault("network", []).extend(range(count))
    return {name: np.asarray(values) for name, values in rows.items()}


def blocks(config: Config, key: RandomKey, mesh: Mesh) -> list[sweeps.Block]:
    """The blocks of the table's rows, and after them those of the correlations."""
    programs = Programs(config, mesh)
    measure = partial(
        probes.complexity, measures=config.measures, strategy=lanes.default_strategy()
    )
    measured = sweeps.spread(measure, mesh)
    found = []
    for cell in cells(config):
        rows = rows_of(config, cell.activation)
        cost = float(config.resolution**2 * (config.width * cell.depth + 100))
        found.append(_block(programs, cell, key, rows, "grid", measured, cost))
    for cell in correlation_cells(config):
        rows = rows_of(config, cell.activation, correlated=True)
        # Drawing a network costs more than evaluating it at a few points.
        cost = 20.0 * config.width * programs.deepest
        found.append(
            _block(programs, cell, key, rows, "circle", sweeps.kept("outputs"), cost)
        )
    return found


def _block(
    programs: Programs,
    cell: Cell,
    key: RandomKey,
    rows: dict[str, np.ndarray],
    points: str,
    finish: Callable,
    cost: float,
) -> sweeps.Block:
    # Every shift, bias range, scale, depth and variant has the same draws, so that
    # differences are not those of the draw.
    shared = (
        rng.stream(key, "weights", points, cell.activation),
        programs.config.activations.index(cell.activation),
        cell.depth,
    )
    program = programs.values(cell.variant, points)
    given = ("network", "weight_scale", "bias_range", "shift")

    def evaluate(inputs: dict[str, Array]) -> Array:
        return program(*shared, *(inputs[name] for name in given))

    types = {"network": np.uint32}
    inputs = {k: rows[k].astype(types.get(k, np.float32)) for k in given}
    return sweeps.Block(
        name=f"{cell.activation} {cell.variant} depth {cell.depth} on the {points}",
        evaluate=evaluate,
        finish=finish,
        inputs=inputs,
        piece=sweeps.piece_for(
            [len(rows["network"])],
            programs.mesh,
            cpu=CPU_PIECE,
            accelerator=ACCELERATOR_PIECE,
        ),
        cost=cost,
    )


def together(config: Config) -> int:
    """Networks to measure at once on their grids."""
    return probes.together_for(config.resolution**2)


def table(config: Config, swept: sweeps.Columns) -> sweeps.Columns:
    """A row for each network whose complexity was measured."""
    parts: dict[str, list] = {}
    for cell in cells(config):
        rows = rows_of(config, cell.activation)
        count = len(rows["network"])
        repeated = {name: np.repeat(v, count) for name, v in cell._asdict().items()}
        for name, values in (repeated | rows).items():
            parts.setdefault(name, []).append(values)
    columns = {name: np.concatenate(values) for name, values in parts.items()}
    count = len(columns["network"])
    columns |= probes.flagged(swept["degenerate"][:count])
    return columns | {name: swept[name][:count] for name in config.measures}
