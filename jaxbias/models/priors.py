"""Distributions that random networks are drawn from.

A network's weights are drawn once, at unit scale, from one flat vector of uniform
numbers; `scale` then multiplies them. Sweeping the scale keeps the draw, so networks
that differ in scale alone are the same network (common random numbers), and one compiled
program serves every scale.
"""

import math
from dataclasses import dataclass
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import erfinv
from jaxtyping import Array, Float

from jaxbias.arrays import Params, RandomKey

Family = Literal["uniform", "normal", "ball", "long_tailed"]
BiasScale = Literal["fixed", "with_weights"]


@dataclass(frozen=True, kw_only=True)
class Prior:
    """A distribution over the weights of a network, up to the scale.

    Attributes:
        family: Distribution of a layer's weights: "uniform" U(-s, s); "normal"
            N(0, s^2/3); "ball", uniform in a ball over all weights of a layer; and
            "long_tailed", Student's t with 4 degrees of freedom. All have the variance
            of U(-s, s), so that one scale means the same for each.
        glorot: Whether s = scale * sqrt(6 / (fan_in + fan_out)), else s = scale.
        bias_scale: Whether biases are multiplied by the scale as the weights are.
        bias_range: Biases are U(-bias_range, bias_range) at scale 1.
    """

    family: Family = "uniform"
    glorot: bool = True
    bias_scale: BiasScale = "fixed"
    bias_range: float = 1.0


PRIORS: dict[str, Prior] = {
    # Teney et al. 2024, section 2: the paper's prior.
    "glorot_uniform": Prior(),
    # The authors' heatmaps: weights and biases U(-A, A) alike.
    "uniform": Prior(glorot=False, bias_scale="with_weights"),
    # Appendix E names these three; their parameters are not known to us.
    "glorot_normal": Prior(family="normal"),
    "glorot_ball": Prior(family="ball"),
    "glorot_long_tailed": Prior(family="long_tailed"),
}


_DRAW_MULTIPLE = 1024


def _is_bias(path: tuple) -> bool:
    """Tell biases from kernels by the leaf's name, as Flax names them."""
    return "bias" in str(getattr(path[-1], "key", path[-1]))


def _student_t4(probability: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Quantile of Student's t with 4 degrees of freedom (Shaw 2006, closed form)."""
    tail = jnp.sqrt(jnp.clip(4 * probability * (1 - probability), 1e-7, 1.0))
    q = jnp.cos(jnp.arccos(tail) / 3) / tail
    return jnp.sign(probability - 0.5) * 2 * jnp.sqrt(jnp.maximum(q - 1, 0))


def _shape_weights(
    prior: Prior, uniform: Float[Array, "*layers fan_in fan_out"], radius: Array | float
) -> Float[Array, "*layers fan_in fan_out"]:
    """Turn U(-1, 1) draws into the prior's family, with the variance of U(-1, 1)."""
    if prior.family == "uniform":
        return uniform
    if prior.family == "long_tailed":
        return _student_t4(0.5 + 0.5 * uniform) * np.float32(math.sqrt(1 / 6))
    # uniform() can return -1 exactly, where the normal quantile is infinite.
    normal = np.float32(math.sqrt(2)) * erfinv(jnp.maximum(uniform, -1 + 2**-23))
    if prior.family == "normal":
        return normal * np.float32(math.sqrt(1 / 3))
    count = uniform.shape[-2] * uniform.shape[-1]
    length = jnp.sqrt(jnp.sum(normal**2, axis=(-2, -1), keepdims=True))
    # The distance from the centre of a uniform point of an n-ball is u^(1/n).
    return normal / length * radius ** (1 / count) * math.sqrt((count + 2) / 3)


def template(module: nn.Module, dimension: int) -> Params:
    """Shapes of a module's parameters for inputs of a dimension: what `draw` fills."""
    example = jnp.zeros((1, dimension))
    return jax.eval_shape(module.init, jax.random.key(0), example)["params"]


def draw_length(numbers: int) -> int:
    """Random numbers to draw for so many; those above are not used.

    XLA:CPU splits a draw among its threads, and where the length does not divide evenly
    the loop is scalar: ten times slower.
    """
    return -(-numbers // _DRAW_MULTIPLE) * _DRAW_MULTIPLE


def draw(key: RandomKey, template: Params, prior: Prior) -> Params:
    """Draw the weights of one network at scale 1.

    Args:
        key: The network's key.
        template: A pytree of arrays or `jax.ShapeDtypeStruct`, as `jax.eval_shape` of a
            Flax module's `init` returns. Leaves named "bias..." are biases; all others
            are kernels of shape [..., fan_in, fan_out], leading axes being layers.
        prior: What to draw from.

    Returns:
        A pytree like the template, in float32.
    """
    leaves, tree = jax.tree_util.tree_flatten_with_path(template)
    sizes = [math.prod(leaf.shape) for _, leaf in leaves]
    # One draw for all layers: a draw for each is most of the compile time.
    radii = sum(math.prod(leaf.shape[:-2]) for p, leaf in leaves if not _is_bias(p))
    extra = radii if prior.family == "ball" else 0
    length = draw_length(sum(sizes) + extra)
    flat = jax.random.uniform(key, (length,), minval=-1.0, maxval=1.0)
    drawn, start, spent = [], 0, sum(sizes)
    for (path, leaf), size in zip(leaves, sizes, strict=True):
        values = flat[start : start + size].reshape(leaf.shape)
        start += size
        if _is_bias(path):
            drawn.append(values * np.float32(prior.bias_range))
            continue
        layers = leaf.shape[:-2]
        radius: Array | float = 1.0
        if prior.family == "ball":
            count = math.prod(layers)
            radius = 0.5 + 0.5 * flat[spent : spent + count].reshape(*layers, 1, 1)
            spent += count
        unit = _shape_weights(prior, values, radius)
        fans = leaf.shape[-2] + leaf.shape[-1]
        drawn.append(unit * np.float32(math.sqrt(6 / fans)) if prior.glorot else unit)
    return jax.tree_util.tree_unflatten(tree, drawn)


def scale(params: Params, weight_scale: Array | float, prior: Prior) -> Params:
    """Multiply unit-scale weights (and biases, if the prior says so) by a scale."""

    def one(path: tuple, leaf: Array) -> Array:
        if _is_bias(path) and prior.bias_scale == "fixed":
            return leaf
        return leaf * weight_scale

    return jax.tree_util.tree_map_with_path(one, params)
