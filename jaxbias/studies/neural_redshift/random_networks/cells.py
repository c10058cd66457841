"""Which networks the random-networks experiment draws, and the programs that do it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache, partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxbias import lanes, rng, sweeps
from jaxbias.arrays import Array, Params, RandomKey
from jaxbias.models.mlp import MLP, VARIANTS, pad_hidden
from jaxbias.models.priors import PRIORS, Prior, draw, scale, template
from jaxbias.models.unbiased import UnbiasedModel
from jaxbias.numerics import grids
from jaxbias.numerics.activations import resolve
from jaxbias.numerics.polynomials import DegreeError
from jaxbias.probes import complexity as probes
from jaxbias.studies.neural_redshift import checks
from jaxbias.studies.neural_redshift.random_networks.config import (
    FULL_GRID_POINTS,
    Config,
)

MOST_NETWORKS = 10**8
"""Rows of the results table, which is held in memory."""

PIECE = {"cpu": 64}
"""Networks to evaluate at once; elsewhere as many as fit `ACCELERATOR_BYTES`."""

ACCELERATOR_BYTES = 8 * 2**30
"""Memory for the activations of one piece on a device that is not a CPU."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """Networks that differ in weight scale and draw alone."""

    activation: str
    variant: str
    prior: str
    bias_range: float
    depth: int
    width: int
    resolution: int

    @property
    def draws(self) -> tuple[str, ...]:
        """The name of the cell's stream of weights.

        Prior, bias range and resolution are left out: across them the same uniform
        numbers are used, so differences are not those of the draw.
        """
        words = (self.activation, self.variant)
        return (*words, f"depth {self.depth}", f"width {self.width}")


def cells(config: Config) -> dict[Cell, tuple[float, ...]]:
    """Every cell of the parts asked for, with its weight scales, each once."""
    base = Cell(
        activation="relu",
        variant="plain",
        prior=config.prior,
        bias_range=1.0,
        depth=config.control_depth,
        width=config.width,
        resolution=config.resolution,
    )
    found: dict[Cell, set[float]] = {}

    def add(scales: Iterable[float], **fields: object) -> None:
        found.setdefault(replace(base, **fields), set()).update(scales)

    control = config.control_scales
    for activation in config.activations:
        if "heatmaps" in config.parts:
            for depth in config.depths:
                add(config.weight_scales, activation=activation, depth=depth)
        if "curves" in config.parts:
            for variant in config.variants:
                add(
                    config.weight_scales,
                    activation=activation,
                    variant=variant,
                    depth=config.curve_depth,
                )
    for activation in config.controls:
        if "width" in config.parts:
            for width in config.widths:
                add(control, activation=activation, width=width)
        if "prior" in config.parts:
            for prior in config.priors:
                add(control, activation=activation, prior=prior)
        if "bias" in config.parts:
            for bias_range in config.bias_ranges:
                add(control, activation=activation, bias_range=bias_range)
        if "resolution" in config.parts:
            for resolution in config.resolutions:
                add(control, activation=activation, resolution=resolution)
    if "unbiased" in config.parts:
        # Its units are the frequencies up to the grid's limit.
        most = config.resolution // 2
        width = ((2 * most + 1) ** config.input_dim - 1) // 2
        if width <= FULL_GRID_POINTS // 16:
            add(
                control,
                activation="sine",
                variant="unbiased",
                depth=1,
                width=width,
            )
    return {cell: tuple(sorted(scales)) for cell, scales in found.items()}


def options(config: Config) -> probes.MeasureOptions:
    """The measures' parameters."""
    return probes.MeasureOptions(
        fourier_binning=config.fourier_binning,
        degree=config.degree,
        order=config.polynomial_order,
        levels=config.levels,
        traversal=config.traversal,
    )


def check(config: Config) -> None:
    """Raise ValueError, naming the option, for what does not exist or does not fit."""
    for option in ("activations", "controls"):
        checks.activations(option, getattr(config, option))
    checks.known("variants", config.variants, VARIANTS)
    checks.known("prior", (config.prior,), PRIORS)
    checks.known("priors", config.priors, PRIORS)
    used = (config.resolution,)
    if "resolution" in config.parts:
        used += config.resolutions
    for resolution in used:
        try:
            probes.check(config.measures, resolution, options(config))
        except ValueError as error:
            option = "degree" if isinstance(error, DegreeError) else "measures"
            raise ValueError(f"--{option}: {error}") from error
        planar = config.grid_dimension(resolution) <= 2
        if config.traversal in ("snake", "hilbert") and not planar:
            raise ValueError(
                f"--traversal {config.traversal} needs grids of two dimensions, got "
                f"input-dim {config.input_dim}"
            )
        if config.traversal == "hilbert" and resolution & (resolution - 1):
            raise ValueError(
                f"--traversal hilbert needs a power of two, got resolution {resolution}"
            )
    rows = config.n_networks * sum(map(len, cells(config).values()))
    if rows == 0:
        raise ValueError("--parts: these measure no networks; add heatmaps or curves")
    if rows > MOST_NETWORKS:
        raise ValueError(
            f"--n-networks: {rows:,} networks in all, at most {MOST_NETWORKS:,}"
        )


def points(config: Config, resolution: int, key: RandomKey) -> tuple[Array, int]:
    """The points to evaluate, and how many leading axes number planes (0 or 1)."""
    if config.grid_dimension(resolution) == config.input_dim:
        return grids.grid(resolution, config.input_dim), 0
    planes = grids.random_planes(
        rng.stream(key, "planes"), config.planes, resolution, config.input_dim
    )
    return planes, 1


@dataclass(frozen=True)
class Programs:
    """The compiled programs of a run, one for each shape of network and grid."""

    config: Config
    mesh: Mesh

    @property
    def names(self) -> tuple[str, ...]:
        """Activations that share one program; which is used is a traced number."""
        extra = [name for name in self.config.controls]
        return tuple(dict.fromkeys((*self.config.activations, *extra)))

    def module(self, variant: str, width: int, depth: int) -> MLP:
        functions = [
            resolve(name, gaussian_width=self.config.gaussian_width)
            for name in self.names
        ]
        return MLP(
            width=width,
            depth=depth,
            activations=tuple(functions),
            variant=VARIANTS[variant],
        )

    @lru_cache  # noqa: B019 - one instance lives as long as the run
    def draw(
        self, variant: str, width: int, depth: int, padded: int, prior: Prior
    ) -> Callable:
        """Program from (stream key, network numbers) to unit-scale weights."""
        if variant == "unbiased":
            module = UnbiasedModel(self.config.resolution // 2)
        else:
            module = self.module(variant, width, depth)
        shapes = template(module, self.config.input_dim)

        def one(key: RandomKey) -> Params:
            params = draw(key, shapes, prior)
            return params if variant == "unbiased" else pad_hidden(params, padded)

        def run(key: RandomKey, networks: Array) -> Params:
            keys = rng.member_keys(key, networks)
            return lanes.over(lanes.default_strategy(), one)(keys)

        return sweeps.spread(run, self.mesh, replicated=1)

    @lru_cache  # noqa: B019
    def evaluate(self, variant: str, width: int, padded: int, prior: Prior) -> Callable:
        """Program from (depth, activation, points, weights, scales) to values."""

        def one(
            depth: Array, activation: Array, grid: Array, params: Params, factor: Array
        ) -> Array:
            params = scale(params, factor, prior)
            if variant == "unbiased":
                module = UnbiasedModel(self.config.resolution // 2)
                apply = lambda p, x: module.apply({"params": p}, x)[0]  # noqa: E731
            else:
                network = self.module(variant, width, padded)

                def apply(p: Params, x: Array) -> Array:
                    return network.apply(
                        {"params": p},
                        x,
                        depth=depth,
                        activation=activation,
                        prefactor=self.config.prefactor,
                    )[0]

            tile = probes.tile_for(width, int(np.prod(grid.shape[:-1])))
            return probes.evaluate(apply, params, grid, tile)

        def run(
            depth: Array,
            activation: Array,
            grid: Array,
            params: Params,
            factors: Array,
        ) -> Array:
            each = lambda given: one(depth, activation, grid, *given)  # noqa: E731
            return lanes.over(lanes.default_strategy(), each)((params, factors))

        return sweeps.spread(run, self.mesh, replicated=3)

    @lru_cache  # noqa: B019
    def finish(self, planes: int, resolution: int) -> Callable:
        """Program from values to measures; planes of one network are averaged."""
        measure = partial(
            probes.complexity,
            measures=self.config.measures,
            options=options(self.config),
            strategy=lanes.default_strategy(),
        )

        def run(values: Array) -> dict[str, Array]:
            if not planes:
                return measure(values)
            count = values.shape[0]
            found = measure(values.reshape(-1, *values.shape[2:]))
            found = {k: v.reshape(count, -1) for k, v in found.items()}
            flag = jnp.max(found.pop("degenerate"), axis=1)
            return {k: jnp.mean(v, axis=1) for k, v in found.items()} | {
                "degenerate": flag
            }

        return sweeps.spread(run, self.mesh)


def together(config: Config) -> int:
    """Networks to measure at once."""
    dimension = config.grid_dimension(config.resolution)
    return probes.together_for(config.resolution**dimension)


def _piece(config: Config, counts: list[int], mesh: Mesh) -> int:
    """Networks to evaluate at once, over all devices."""
    if jax.default_backend() in PIECE:
        most = PIECE[jax.default_backend()]
        return sweeps.even_piece(counts, max(most, mesh.size))
    activations = config.resolution**2 * config.width * 4 * 4
    most = max(1, ACCELERATOR_BYTES // activations) * mesh.size
    return sweeps.even_piece(counts, most)


def _block(
    programs: Programs,
    cell: Cell,
    scales: tuple[float, ...],
    key: RandomKey,
    grid: tuple[Array, int],
    piece: int,
) -> sweeps.Block:
    """The block of one cell: `piece` networks at a time on a grid from `points`."""
    config = programs.config
    unbiased = cell.variant == "unbiased"
    prior = replace(PRIORS[cell.prior], bias_range=cell.bias_range)
    deepest = max(*config.depths, config.curve_depth, config.control_depth)
    padded = 1 if unbiased else deepest
    where, planes = grid
    drawn = programs.draw(cell.variant, cell.width, cell.depth, padded, prior)
    # Only the bias' scaling matters to this program, not how the weights were drawn.
    scaling = Prior(bias_scale=prior.bias_scale)
    values = programs.evaluate(cell.variant, cell.width, padded, scaling)
    stream = rng.stream(key, "weights", *cell.draws)
    number = 0 if unbiased else programs.names.index(cell.activation)

    def evaluate(inputs: dict[str, Array]) -> Array:
        params = drawn(stream, inputs["network"])
        return values(cell.depth, number, where, params, inputs["weight_scale"])

    networks = np.arange(config.n_networks, dtype=np.uint32)
    # Measured on a CPU: a hidden layer's products and activations, the first layer's,
    # and the measures of one point.
    hidden = (cell.depth - 1) * cell.width * (cell.width + 16)
    cost = cell.resolution**2 * (hidden + 40 * cell.width + 3000)
    return sweeps.Block(
        name=f"{cell.activation} {cell.variant} depth {cell.depth}",
        evaluate=evaluate,
        finish=programs.finish(planes, cell.resolution),
        inputs={
            "network": np.tile(networks, len(scales)),
            "weight_scale": np.repeat(np.asarray(scales, np.float32), len(networks)),
        },
        piece=piece,
        cost=float(cost),
    )


def plan(
    config: Config, key: RandomKey, mesh: Mesh
) -> tuple[list[sweeps.Block], dict[str, np.ndarray]]:
    """All blocks of a run, and the labels of the rows of its table."""
    programs = Programs(config, mesh)
    chosen = sorted(
        cells(config).items(),
        # Blocks that are measured by one program lie side by side.
        key=lambda item: (item[0].resolution, item[0].variant == "unbiased"),
    )
    size = _piece(
        config, [len(scales) * config.n_networks for _, scales in chosen], mesh
    )
    used = {cell.resolution for cell, _ in chosen}
    places = {resolution: points(config, resolution, key) for resolution in used}
    blocks = [
        _block(programs, cell, scales, key, places[cell.resolution], size)
        for cell, scales in chosen
    ]
    labels: dict[str, list] = {}
    for (cell, scales), block in zip(chosen, blocks, strict=True):
        repeated = {
            "activation": cell.activation,
            "variant": cell.variant,
            "prior": cell.prior,
            "bias_range": cell.bias_range,
            "depth": cell.depth,
            "width": cell.width,
        }
        for name, value in repeated.items():
            labels.setdefault(name, []).append(np.repeat(value, len(block)))
        exact = np.repeat(np.asarray(scales, np.float64), config.n_networks)
        labels.setdefault("weight_scale", []).append(exact)
        labels.setdefault("resolution", []).append(
            np.repeat(cell.resolution, len(block))
        )
        labels.setdefault("network", []).append(
            block.inputs["network"].astype(np.int64)
        )
    return blocks, {name: np.concatenate(parts) for name, parts in labels.items()}


def table(
    labels: dict[str, np.ndarray], measured: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """The results table: labels, flags, and a column for each measure there is.

    A measure that was not taken is NaN throughout, so that scripts find every column.
    """
    flag = measured["degenerate"]
    columns = labels | probes.flagged(flag)
    for name in probes.MEASURES:
        columns[name] = measured.get(name, np.full(len(flag), np.nan, np.float32))
    return columns


SAMPLE_SCALES = 5
SAMPLE_DEPTH = 3
SAMPLE_RESOLUTION = 100
"""Images need no more points than this along an axis."""


def sample_images(config: Config, key: RandomKey, mesh: Mesh) -> dict[str, np.ndarray]:
    """Values of one random network for each activation and a few weight scales.

    Returns:
        A tidy table, a row a pixel, with columns activation, weight_scale, row, column
        and value; empty for inputs that are not planar.
    """
    if config.input_dim != 2:
        return {}
    resolution = min(config.resolution, SAMPLE_RESOLUTION)
    programs = Programs(replace(config, n_networks=1), mesh)
    index = np.linspace(0, len(config.weight_scales) - 1, SAMPLE_SCALES).round()
    scales = tuple(config.weight_scales[int(i)] for i in sorted(set(index)))
    place = points(config, resolution, key)
    size = -(-len(scales) // mesh.size) * mesh.size
    images = []
    for activation in config.activations:
        cell = Cell(
            activation=activation,
            variant="plain",
            prior=config.prior,
            bias_range=1.0,
            depth=min(SAMPLE_DEPTH, max(config.depths)),
            width=config.width,
            resolution=resolution,
        )
        block = _block(programs, cell, scales, key, place, size)
        rows = np.minimum(np.arange(size), len(block) - 1)
        inputs = {
            name: sweeps.to_mesh(values[rows], mesh)
            for name, values in block.inputs.items()
        }
        values = sweeps.to_host({"values": block.evaluate(inputs)})["values"]
        images.append(values[: len(block)])
    pixels = resolution**2
    row, column = np.divmod(np.arange(pixels), resolution)
    images_each = len(scales)
    return {
        "activation": np.repeat(config.activations, images_each * pixels),
        "weight_scale": np.tile(np.repeat(scales, pixels), len(config.activations)),
        "row": np.tile(row, images_each * len(config.activations)),
        "column": np.tile(column, images_each * len(config.activations)),
        "value": np.stack(images).reshape(-1),
    }
