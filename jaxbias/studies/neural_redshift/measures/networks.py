"""The networks of the measures experiment, and everything that is measured of each."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxbias import lanes, rng, sweeps
from jaxbias.arrays import Array, Params, RandomKey
from jaxbias.models.mlp import MLP, VARIANTS
from jaxbias.models.priors import Prior, draw, scale, template
from jaxbias.numerics import grids, mean_field, walsh
from jaxbias.numerics.activations import resolve, selected
from jaxbias.probes import complexity as probes
from jaxbias.probes import simplicity
from jaxbias.probes.jacobian import jacobian_norm
from jaxbias.probes.paths import path_variation
from jaxbias.probes.sensitivity import noise_sensitivity
from jaxbias.probes.sharpness import function_sharpness
from jaxbias.studies.neural_redshift import checks
from jaxbias.studies.neural_redshift.measures.config import CUBE_SIDE, PROBES, Config
from jaxbias.tables import columns_of

MEAN_FIELD = ("chi", "slope", "variance", "fixed_point")
"""What theory says of the cell of a plain network."""

CPU_PIECE, ACCELERATOR_PIECE = 16, 1024
"""Networks to evaluate at once, over all devices."""

PRIOR = Prior()


def check(config: Config) -> None:
    """Raise ValueError, naming the option, for what does not exist or does not fit."""
    checks.activations("activations", config.activations)
    checks.known("variants", config.variants, VARIANTS)
    checks.known("score-variants", config.score_variants, VARIANTS)
    checks.measures(config.measures, config.resolution)


@dataclass(frozen=True)
class Programs:
    """The compiled programs of a run: one for each variant and depth."""

    config: Config
    mesh: Mesh

    def module(self, variant: str, depth: int) -> MLP:
        return MLP(
            width=self.config.width,
            depth=depth,
            activations=tuple(map(resolve, self.config.activations)),
            variant=VARIANTS[variant],
        )

    def drawn(self, module: MLP, dimension: int, key: RandomKey, number: Array):
        """One network at unit scale."""
        own = jax.random.fold_in(key, number)
        return draw(own, template(module, dimension), PRIOR)

    @lru_cache  # noqa: B019 - one instance lives as long as the run
    def measured(self, variant: str, depth: int) -> Callable:
        """Program from (weights' key, activation, data, key of the probes, network
        numbers, weight scales) to values on the grid and readings, side by side."""
        config, module = self.config, self.module(variant, depth)

        def one(
            key: RandomKey,
            activation: Array,
            data: Array,
            probe_key: RandomKey,
            given: tuple[Array, Array],
        ) -> Array:
            number, weight_scale = given
            params = scale(self.drawn(module, 2, key, number), weight_scale, PRIOR)

            predict = _function(module, activation)

            tile = probes.tile_for(config.width, config.resolution**2)
            grid = grids.grid(config.resolution, 2)
            values = probes.evaluate(predict, params, grid, tile)
            readings = readings_of(predict, params, data, probe_key, config)
            return jnp.concatenate([values.reshape(-1), readings])

        return self._over_networks(one, replicated=4)

    @lru_cache  # noqa: B019
    def scored(self, variant: str) -> Callable:
        """Program from (weights' key, activation, plane, network numbers, weight
        scales) to simplicity and its flag."""
        config = self.config
        module = self.module(variant, config.score_depth)

        def one(
            key: RandomKey, activation: Array, plane: Array, given: tuple[Array, Array]
        ) -> Array:
            number, weight_scale = given
            params = self.drawn(module, config.score_dimension, key, number)
            params = scale(params, weight_scale, PRIOR)
            predict = _function(module, activation)

            tile = probes.tile_for(config.width, config.score_resolution**2)
            values = probes.evaluate(predict, params, plane, tile)
            found = simplicity.simplicity(values)
            return jnp.stack([found.value, found.degenerate.astype(jnp.float32)])

        return self._over_networks(one, replicated=3)

    def _over_networks(self, one: Callable, replicated: int) -> Callable:
        def run(*args: Array) -> Array:
            shared, given = args[:replicated], args[replicated:]
            each = partial(one, *shared)
            return lanes.over(lanes.default_strategy(), each)(given)

        return sweeps.spread(run, self.mesh, replicated=replicated)


def _function(module: MLP, activation: Array) -> Callable[[Params, Array], Array]:
    """The module's output; its depth a plain number, so that it has a gradient."""

    def predict(params: Params, x: Array) -> Array:
        given = {"depth": module.depth, "activation": activation}
        return module.apply({"params": params}, x, **given)[0]  # type: ignore[return-value]

    return predict


def readings_of(
    predict: Callable, params: Params, data: Array, key: RandomKey, config: Config
) -> Array:
    """The new measures of one network, in the order of `PROBES`."""
    middle = jnp.median(predict(params, data))
    cube = grids.grid(CUBE_SIDE, 2).reshape(-1, 2)
    # Of the names, so that every network meets the same paths, noise and directions.
    keys = {name: rng.stream(key, name) for name in PROBES}

    def side(p: Params, x: Array) -> Array:
        return predict(p, x) - middle

    noisy = partial(
        noise_sensitivity, inputs=data, scale=config.noise, repeats=config.repeats
    )
    found = {
        "path_variation": path_variation(
            *(predict, params, data, keys["path_variation"]),
            num_paths=config.paths,
            num_steps=config.path_steps,
            normalise=True,
        ),
        "noise_sensitivity": noisy(
            predict, params, key=keys["noise_sensitivity"]
        ).value,
        "flip_share": noisy(
            side, params, key=keys["flip_share"], kind="classifier"
        ).value,
        "jacobian": jacobian_norm(predict, params, data, normalise=True).value,
        "walsh_degree": walsh.mean_degree(predict(params, cube)),
        "sharpness": function_sharpness(
            *(predict, params, data, keys["sharpness"]), num_steps=config.lanczos_steps
        ).largest,
    }
    return jnp.stack([found[name] for name in PROBES])


def finish(config: Config, mesh: Mesh) -> Callable:
    """Program from what `Programs.measured` gives to columns of the table."""
    measure = partial(
        probes.complexity, measures=config.measures, strategy=lanes.default_strategy()
    )

    def run(values: Array) -> dict[str, Array]:
        side = config.resolution
        found = measure(values[:, : side**2].reshape(-1, side, side))
        readings = {name: values[:, side**2 + i] for i, name in enumerate(PROBES)}
        spoiled = found["degenerate"] > 0
        return found | {
            name: jnp.where(spoiled, jnp.nan, one) for name, one in readings.items()
        }

    return sweeps.spread(run, mesh)


@jax.jit
def _scores(values: Array) -> dict[str, Array]:
    return {"simplicity": values[:, 0], "score_flag": values[:, 1]}


def cells(config: Config) -> Iterator[tuple[str, str, int]]:
    """Variant, depth and activation of each block that is measured."""
    for variant in config.variants:
        for depth in config.depths:
            for activation in config.activations:
                yield activation, variant, depth


def score_cells(config: Config) -> Iterator[tuple[str, str]]:
    """Activation and variant of each block that is scored."""
    for variant in config.score_variants:
        for activation in config.activations:
            yield activation, variant


def blocks(config: Config, key: RandomKey, mesh: Mesh) -> list[sweeps.Block]:
    """The blocks of the table's rows, and after them those of SimBa's score."""
    programs = Programs(config, mesh)
    data = jax.random.uniform(
        rng.stream(key, "data"), (config.points, 2), minval=-1.0, maxval=1.0
    )
    probe_key = rng.stream(key, "probes")
    done = finish(config, mesh)
    scales = np.asarray(config.weight_scales, np.float32)
    found = []
    for activation, variant, depth in cells(config):
        weights = rng.stream(key, "weights", activation, variant, f"depth {depth}")
        shared = (weights, config.activations.index(activation), data, probe_key)
        cost = depth * (config.resolution**2 + 20 * config.points)
        block = _block(
            *(f"{activation} {variant} depth {depth}", mesh),
            program=programs.measured(variant, depth),
            shared=shared,
            finish=done,
            scales=scales,
            n_networks=config.n_networks,
            cost=float(cost),
        )
        found.append(block)
    plane = simplicity.plane(
        rng.stream(key, "plane"),
        config.score_dimension,
        resolution=config.score_resolution,
    )
    for activation, variant in score_cells(config):
        weights = rng.stream(key, "score", activation, variant)
        block = _block(
            *(f"score of {activation} {variant}", mesh),
            program=programs.scored(variant),
            shared=(weights, config.activations.index(activation), plane),
            finish=_scores,
            scales=np.ones(1, np.float32),
            n_networks=config.score_networks,
            cost=float(config.score_depth * config.score_resolution**2),
        )
        found.append(block)
    return found


def _block(
    name: str,
    mesh: Mesh,
    *,
    program: Callable,
    shared: tuple,
    finish: Callable,
    scales: np.ndarray,
    n_networks: int,
    cost: float,
) -> sweeps.Block:
    def evaluate(inputs: dict[str, Array]) -> Array:
        return program(*shared, inputs["network"], inputs["weight_scale"])

    rows = len(scales) * n_networks
    return sweeps.Block(
        name=name,
        evaluate=evaluate,
        finish=finish,
        inputs={
            "network": np.tile(np.arange(n_networks, dtype=np.uint32), len(scales)),
            "weight_scale": np.repeat(scales, n_networks),
        },
        piece=sweeps.piece_for(
            [rows], mesh, cpu=CPU_PIECE, accelerator=ACCELERATOR_PIECE
        ),
        cost=cost,
    )


def together(config: Config) -> int:
    """Networks to measure at once on their grids."""
    return probes.together_for(config.resolution**2)


def theory(config: Config) -> dict[str, np.ndarray]:
    """Mean-field numbers of each activation (rows) and weight scale (columns)."""
    functions = list(map(resolve, config.activations))

    @jax.jit
    def solved(index: Array, weight_scale: Array) -> mean_field.FixedPoint:
        variances = mean_field.layer_variances(
            *(config.width, config.width, weight_scale, PRIOR.bias_range)
        )
        return mean_field.fixed_point(
            lambda x: selected(functions, index, x), *variances, most_steps=2000
        )

    shape = len(functions), len(config.weight_scales)
    index, scales = np.meshgrid(
        np.arange(shape[0]), np.asarray(config.weight_scales, np.float32), indexing="ij"
    )
    found = jax.device_get(jax.vmap(solved)(index.ravel(), scales.ravel()))
    named = (found.chi, found.slope, found.variance, found.converged)
    return {
        name: values.reshape(shape)
        for name, values in zip(MEAN_FIELD, named, strict=True)
    }


def tables(
    config: Config, swept: sweeps.Columns
) -> tuple[sweeps.Columns, sweeps.Columns]:
    """A row for each measured network, and a row for each scored one."""
    columns = columns_of(
        {
            "activation": activation,
            "variant": variant,
            "depth": depth,
            "weight_scale": weight_scale,
            "network": network,
            "_scale": i,
        }
        for activation, variant, depth in cells(config)
        for i, weight_scale in enumerate(config.weight_scales)
        for network in range(config.n_networks)
    )
    count = len(columns["network"])
    columns |= probes.flagged(swept["degenerate"][:count])
    for name in (*config.measures, *PROBES):
        columns[name] = swept[name][:count]
    number = [config.activations.index(a) for a in columns["activation"]]
    at = np.asarray(number), columns.pop("_scale")
    plain = columns["variant"] == "plain"
    for name, grid in theory(config).items():
        if name == "fixed_point":
            columns[name] = grid[at] & plain
        else:
            columns[name] = np.where(plain, grid[at], np.nan)
    each = config.score_networks
    order = list(score_cells(config))
    scores = {
        "activation": np.repeat([a for a, _ in order], each),
        "variant": np.repeat([v for _, v in order], each),
        "network": np.tile(np.arange(each), len(order)),
        "simplicity": swept["simplicity"][count:],
        "degenerate": swept["score_flag"][count:] > 0,
    }
    return columns, scores
