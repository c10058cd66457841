"""Correlation of a random network's outputs at two inputs, measured and predicted."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from jaxbias import sweeps, tables
from jaxbias.arrays import Array
from jaxbias.models.mlp import VARIANTS
from jaxbias.numerics import mean_field
from jaxbias.numerics.activations import resolve, selected
from jaxbias.studies.neural_redshift.zero_mean import shifted
from jaxbias.studies.neural_redshift.zero_mean.config import Config

STEPS = tuple(range(1, shifted.CIRCLE // 2 + 1))
"""Distances of two points on the circle, in steps."""

RESAMPLES = 200


def _correlation(moments: np.ndarray) -> np.ndarray:
    """Mean correlation at each distance; moments are "... point point"."""
    own = np.sqrt(np.einsum("...ii->...i", moments))
    correlation = moments / (own[..., :, None] * own[..., None, :])
    index = np.arange(shifted.CIRCLE)
    return np.stack(
        [
            correlation[..., index, (index + step) % shifted.CIRCLE].mean(axis=-1)
            for step in STEPS
        ],
        axis=-1,
    )


def measured(outputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Correlation over networks at each distance, and its standard error.

    Args:
        outputs: A row a network, a column a point of the circle. Networks whose outputs
            are not finite are left out.

    Returns:
        Means over the pairs at each distance, and bootstrap errors over networks; all
        NaN with fewer than two networks, or without any output.
    """
    outputs = outputs[np.isfinite(outputs).all(axis=1)].astype(np.float64)
    count = len(outputs)
    if count < 2 or not (outputs**2).sum(axis=0).all():
        nothing = np.full(len(STEPS), np.nan)
        return nothing, nothing
    products = np.einsum("ni,nj->nij", outputs, outputs)
    weights = np.random.default_rng(0).multinomial(
        count, np.full(count, 1 / count), RESAMPLES
    )
    drawn = np.einsum("rn,nij->rij", weights / count, products)
    # A prior that is even in the last layer's weights has mean 0 at every input, except
    # for its output bias, which counts as correlation in the prediction too.
    return _correlation(products.mean(axis=0)), _correlation(drawn).std(axis=0)


def predicted(config: Config) -> np.ndarray:
    """Mean-field correlation: variant, activation, setting, bias range, depth, distance.

    Settings are the activation as it is, and of mean 0.
    """
    functions = list(map(resolve, config.activations))
    deepest = max(config.correlation_depths)
    points = np.asarray(shifted.circle())

    def one(norm: bool, index: Array, shift: Array, bias: Array, other: Array) -> Array:
        def activation(x: Array) -> Array:
            return selected(functions, index, x) - shift

        def variances(fan_in: int, fan_out: int) -> tuple:
            return mean_field.layer_variances(
                fan_in, fan_out, config.correlation_scale, bias
            )

        width = config.width
        first = jnp.asarray(points[0])
        pair = mean_field.input_pair(first, other, *variances(2, width))
        onwards = partial(mean_field.next_pair, activation, layer_norm=norm)

        def layer(pair: mean_field.Pair, _: None) -> tuple[mean_field.Pair, Array]:
            output = onwards(pair, *variances(width, 1))
            return onwards(pair, *variances(width, width)), output.correlation()

        return jax.lax.scan(layer, pair, None, length=deepest)[1]

    index, shift = [], []
    for number, name in enumerate(config.activations):
        index += [number, number]
        shift += [0.0, shifted.moments(name).mean]
    shape = len(index), len(config.bias_ranges), len(STEPS)
    which, bias, step = (
        axis.ravel()
        for axis in np.meshgrid(
            np.arange(shape[0]), config.bias_ranges, STEPS, indexing="ij"
        )
    )
    given = (
        np.asarray(index)[which],
        np.asarray(shift, np.float32)[which],
        bias.astype(np.float32),
        points[step],
    )
    at = np.asarray(config.correlation_depths) - 1
    found = []
    for variant in config.variants:
        norm = VARIANTS[variant].layer_norm
        program = jax.jit(
            lambda rows, norm=norm: jax.lax.map(lambda r: one(norm, *r), rows)
        )
        by_depth = np.asarray(program(given))[:, at]
        by_depth = by_depth.reshape(len(functions), 2, *shape[1:], len(at))
        found.append(np.moveaxis(by_depth, -1, -2))
    return np.stack(found)


def table(config: Config, swept: sweeps.Columns) -> sweeps.Columns:
    """A row for each cell, setting, bias range and angle.

    `predicted` is NaN for variants with residuals or gates, which the theory here does
    not have.
    """
    theory = predicted(config)
    start = sum(
        len(shifted.rows_of(config, cell.activation)["network"])
        for cell in shifted.cells(config)
    )
    rows = []
    for cell in shifted.correlation_cells(config):
        variant = VARIANTS[cell.variant]
        plain = not (variant.residual or variant.gated)
        for setting, label in enumerate(("as_is", "zero_mean")):
            for number, bias_range in enumerate(config.bias_ranges):
                stop = start + config.correlation_networks
                values, errors = measured(swept["outputs"][start:stop])
                start = stop
                expected = theory[
                    config.variants.index(cell.variant),
                    config.activations.index(cell.activation),
                    setting,
                    number,
                    config.correlation_depths.index(cell.depth),
                ]
                for i, step in enumerate(STEPS):
                    row = {
                        **cell._asdict(),
                        "setting": label,
                        "bias_range": bias_range,
                        "angle": 360.0 * step / shifted.CIRCLE,
                        "correlation": float(values[i]),
                        "correlation_se": float(errors[i]),
                        "predicted": float(expected[i]) if plain else float("nan"),
                    }
                    rows.append(row)
    return tables.columns_of(rows)
