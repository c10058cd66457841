"""Mean-field theory of wide random networks: variances, order and chaos, correlations.

In the limit of width, pre-activations are Gaussian. Their variance q goes from layer to
layer as q' = s_w E[phi(sqrt(q) z)^2] + s_b, where s_w is the fan-in times the variance of
a weight, s_b the variance of a bias and z is N(0, 1). A small difference between two
inputs grows or shrinks by chi = s_w E[phi'(sqrt(q) z)^2] in squared length.
"""

from functools import lru_cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float
from scipy.special import roots_hermitenorm

from jaxbias.numerics.activations import Activation

NODES = 512
"""Even, so that a kink or jump at 0 is met symmetrically. A wave sin(w z) is integrated to
float32's accuracy for w up to 20."""

_FARTHEST = 12.0
"""Nodes beyond so many standard deviations have weights below 1e-31."""

_LARGEST = 1e12
"""A variance above this has no fixed point in reach."""


@lru_cache(maxsize=8)
def _rule(nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Hermite nodes and weights for N(0, 1), as far as they matter."""
    places, weights = roots_hermitenorm(nodes)
    near = np.abs(places) < _FARTHEST
    weights = weights[near] / weights[near].sum()
    return places[near].astype(np.float32), weights.astype(np.float32)


def gaussian_mean(
    function: Activation, variance: Array | float = 1.0, *, nodes: int = NODES
) -> Float[Array, ""]:
    """E[f(x)] for x ~ N(0, variance).

    Args:
        function: Elementwise.
        variance: Of x, >= 0; may be traced.
        nodes: Of the Gauss-Hermite rule, even.
    """
    places, weights = _rule(nodes)
    values = function(jnp.sqrt(jnp.asarray(variance, jnp.float32)) * places)
    return jnp.sum(weights * values)


def layer_variances(
    fan_in: int,
    fan_out: int,
    weight_scale: Array | float = 1.0,
    bias_range: Array | float = 1.0,
) -> tuple[Array | float, Array | float]:
    """s_w and s_b of a layer with Glorot-uniform weights times a scale.

    Weights are U(-s, s) with s = weight_scale sqrt(6 / (fan_in + fan_out)), biases
    U(-bias_range, bias_range); every family of `models.priors` has these variances.
    Between layers of equal width s_w is the square of the weight scale.
    """
    limit_squared = weight_scale**2 * 6 / (fan_in + fan_out)
    return fan_in * limit_squared / 3, bias_range**2 / 3


def next_variance(
    activation: Activation,
    variance: Array | float,
    weight_variance: Array | float,
    bias_variance: Array | float,
    *,
    nodes: int = NODES,
) -> Float[Array, ""]:
    """The variance of pre-activations one layer on: s_w E[phi(sqrt(q) z)^2] + s_b."""
    second = gaussian_mean(lambda x: activation(x) ** 2, variance, nodes=nodes)
    return weight_variance * second + bias_variance


def chi(
    activation: Activation,
    variance: Array | float,
    weight_variance: Array | float,
    *,
    nodes: int = NODES,
) -> Float[Array, ""]:
    """s_w E[phi'(sqrt(q) z)^2]: growth of a small squared difference in one layer."""
    slope = jax.vmap(jax.grad(activation))
    squared = gaussian_mean(lambda x: slope(x) ** 2, variance, nodes=nodes)
    return weight_variance * squared


class FixedPoint(NamedTuple):
    """Where the variance of a deep network goes.

    Attributes:
        variance: q*; the last iterate where there is none in reach.
        chi: chi_1 at that variance: above 1 neighbouring inputs part ("chaos") and
            gradients grow, below 1 they meet ("order") and gradients vanish.
        slope: Growth of the small squared difference in units of the variance, that is
            the slope of the correlation's map at 1. Equal to `chi` at a fixed point;
            where the variance itself grows without limit (ReLU at s_w > 2) it is what
            tells whether inputs part.
        residual: |q' - q| / q of the last step.
        converged: Whether that is within the tolerance.
    """

    variance: Float[Array, ""]
    chi: Float[Array, ""]
    slope: Float[Array, ""]
    residual: Float[Array, ""]
    converged: Array


def fixed_point(
    activation: Activation,
    weight_variance: Array | float,
    bias_variance: Array | float,
    *,
    start: Array | float = 1.0,
    most_steps: int = 10_000,
    tolerance: float = 1e-6,
    nodes: int = NODES,
) -> FixedPoint:
    """Iterate the variance to its fixed point, and read chi there.

    All numbers may be traced, and the function may be vmapped over them.

    Args:
        activation: Elementwise and differentiable almost everywhere.
        weight_variance: s_w > 0, see `layer_variances`.
        bias_variance: s_b >= 0.
        start: First variance; matters where there are several fixed points.
        most_steps: Layers to go at most. Near criticality the error is `residual`
            divided by one minus the map's slope, so it is larger than `residual`.
        tolerance: Of the relative change in one step.
        nodes: Of the quadrature.

    References:
        Poole et al., Exponential expressivity in deep neural networks through transient
        chaos (NeurIPS 2016); Schoenholz et al., Deep information propagation (2017).
    """

    def step(q: Array) -> Array:
        return next_variance(activation, q, weight_variance, bias_variance, nodes=nodes)

    def apart(q: Array, new: Array) -> Array:
        # A variance that dies out is at its fixed point, 0.
        return jnp.abs(new - q) / jnp.maximum(q, np.float32(1e-12))

    def unfinished(state: tuple[Array, Array, Array]) -> Array:
        number, q, new = state
        going = (apart(q, new) > tolerance) & (new < _LARGEST)
        return going & (number < most_steps)

    def advance(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        number, _, new = state
        return number + 1, new, step(new)

    first = jnp.asarray(start, jnp.float32)
    _, q, new = lax.while_loop(unfinished, advance, (jnp.int32(0), first, step(first)))
    growth = chi(activation, q, weight_variance, nodes=nodes)
    residual = apart(q, new)
    return FixedPoint(
        variance=q,
        chi=growth,
        slope=growth * q / jnp.maximum(new, np.float32(1e-30)),
        residual=residual,
        converged=residual <= tolerance,
    )


class Pair(NamedTuple):
    """Second moments of the pre-activations (or outputs) of two inputs."""

    first: Float[Array, ""]
    second: Float[Array, ""]
    product: Float[Array, ""]

    def correlation(self) -> Float[Array, ""]:
        """Their correlation over random networks, -1 to 1; NaN where one vanishes."""
        return self.product / jnp.sqrt(self.first * self.second)


def input_pair(
    x: Float[Array, " dimension"],
    y: Float[Array, " dimension"],
    weight_variance: Array | float,
    bias_variance: Array | float,
) -> Pair:
    """The pair at the first layer, whose inputs are not random.

    Args:
        x: One input.
        y: The other.
        weight_variance: s_w of the first layer, fan-in included.
        bias_variance: s_b.
    """

    def moment(a: Array, b: Array) -> Array:
        return weight_variance * jnp.mean(a * b) + bias_variance

    return Pair(moment(x, x), moment(y, y), moment(x, y))


def next_pair(
    activation: Activation,
    pair: Pair,
    weight_variance: Array | float,
    bias_variance: Array | float,
    *,
    layer_norm: bool = False,
    nodes: int = 128,
) -> Pair:
    """The pair one layer on.

    Args:
        activation: Elementwise.
        pair: Of this layer's pre-activations.
        weight_variance: s_w of the next layer.
        bias_variance: s_b of the next layer.
        layer_norm: Whether pre-activations are normalised to mean 0 and variance 1 over
            channels first.
        nodes: Of the quadrature, along each of two axes.
    """
    places, weights = _rule(nodes)
    c = jnp.clip(pair.correlation(), -1.0, 1.0)
    spread = jnp.sqrt(1 - c**2)
    deviations = (jnp.sqrt(pair.first), jnp.sqrt(pair.second))
    one, other = (jnp.float32(1), jnp.float32(1)) if layer_norm else deviations
    phi_x = activation(one * places)
    phi_y = activation(other * (c * places[:, None] + spread * places[None, :]))
    cross = jnp.sum(weights * phi_x * jnp.sum(weights[None, :] * phi_y, axis=1))
    own = (jnp.sum(weights * activation(d * places) ** 2) for d in (one, other))
    first, second, product = (
        weight_variance * moment + bias_variance for moment in (*own, cross)
    )
    return Pair(first, second, product)
