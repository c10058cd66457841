"""Multi-layer perceptrons whose depth and activation may be traced.

Hidden layers of equal width are stacked in one array, so that a loop over them compiles
once: the number of layers in use and the activation are ordinary arguments of the
compiled program, and one program serves a whole study. On the CPU the loop costs 1 to
4 % against the unrolled network.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxbias.arrays import RandomKey
from jaxbias.numerics.activations import Activation, resolve, selected

HIGHEST = lax.Precision.HIGHEST
"""Float32 products in float32: lower precision would read as complexity."""

LAYER_NORM_EPSILON = 1e-12
"""Guards a layer whose pre-activations are all equal; the paper has none."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """Building blocks around the activation; each may be combined with the others.

    Attributes:
        layer_norm: x -> phi((x - mean) / std) over channels, offset and gain at 0 and 1.
        residual: x -> x + phi(x), the identity around the activation alone.
        gated: phi(W x + b) * sigmoid(W' x + b').
    """

    layer_norm: bool = False
    residual: bool = False
    gated: bool = False


VARIANTS: dict[str, Variant] = {
    "plain": Variant(),
    "layer_norm": Variant(layer_norm=True),
    "residual": Variant(residual=True),
    "gated": Variant(gated=True),
    "layer_norm_residual": Variant(layer_norm=True, residual=True),
}
"""The architectures of section 3 of the paper, by the names of the results table."""


def normalise(
    x: Float[Array, "*axes channel"], epsilon: float = LAYER_NORM_EPSILON
) -> Float[Array, "*axes channel"]:
    """Layer norm without gain and offset: over channels, mean 0 and variance 1."""
    centred = x - jnp.mean(x, axis=-1, keepdims=True)
    variance = jnp.mean(centred**2, axis=-1, keepdims=True)
    return centred * lax.rsqrt(variance + epsilon)


def _glorot_uniform(key: RandomKey, shape: tuple[int, ...]) -> Array:
    """Flax's default would take the axis of stacked layers for a receptive field."""
    limit = math.sqrt(6 / (shape[-2] + shape[-1]))
    return jax.random.uniform(key, shape, minval=-limit, maxval=limit)


class MLP(nn.Module):
    """A perceptron with `depth` hidden layers and a linear output.

    Attributes:
        width: Channels of every hidden layer.
        depth: Hidden layers, at least 1. `__call__` may use fewer.
        activations: One activation, or several among which `activation` chooses; names
            (see `numerics.activations`) or functions.
        variant: Layer norm, residual, gate.
        outputs: 1 gives a number for each point, without an axis of outputs.
    """

    width: int = 64
    depth: int = 3
    activations: Sequence[str | Activation] = ("relu",)
    variant: Variant = Variant()
    outputs: int = 1

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "point dimension"],
        *,
        depth: Array | int | None = None,
        activation: Array | int = 0,
        prefactor: Array | float = 1.0,
    ) -> tuple[Float[Array, "point *out"], dict[str, Array]]:
        """Evaluate the network.

        Args:
            x: Inputs, one a row.
            depth: How many of the hidden layers to use, 1 to `self.depth`; may be
                traced. None uses all, and then the intermediates are returned.
            activation: Which of `self.activations`; may be traced.
            prefactor: phi is applied to `prefactor` times the pre-activation.

        Returns:
            The outputs, and by name the output of each hidden layer ("hidden1", ...),
            empty where the depth is given.
        """
        names: tuple[str, ...] = ("kernel", "bias")
        if self.variant.gated:
            names += ("gate_kernel", "gate_bias")
        first = self._parameters("input", names, (x.shape[-1], self.width))
        rest = self._parameters(
            "hidden", names, (self.width, self.width), layers=(self.depth - 1,)
        )
        last = self._parameters(
            "output", ("kernel", "bias"), (self.width, self.outputs)
        )
        layer = self._layer(activation, prefactor)
        h = layer(first, x)
        intermediates = {}
        if depth is None:
            intermediates["hidden1"] = h
            for index in range(self.depth - 1):
                h = layer({name: leaf[index] for name, leaf in rest.items()}, h)
                intermediates[f"hidden{index + 2}"] = h
        elif self.depth > 1:

            def body(index: Array, h: Array) -> Array:
                weights = {
                    name: lax.dynamic_index_in_dim(leaf, index, keepdims=False)
                    for name, leaf in rest.items()
                }
                return layer(weights, h)

            h = lax.fori_loop(0, depth - 1, body, h)
        output = jnp.dot(h, last["kernel"], precision=HIGHEST)
        if self.outputs == 1:
            return output[:, 0] + last["bias"][0], intermediates
        return output + last["bias"][None, :], intermediates

    def _parameters(
        self,
        layer: str,
        names: tuple[str, ...],
        shape: tuple[int, int],
        layers: tuple[int, ...] = (),
    ) -> dict[str, Array]:
        """Declare a layer's parameters; the prior fills them, so `init` is Flax's own."""
        made = {}
        for name in names:
            bias = name.endswith("bias")
            made[name] = self.param(
                f"{layer}_{name}",
                nn.initializers.zeros if bias else _glorot_uniform,
                layers + (shape[1:] if bias else shape),
            )
        return made

    def _layer(
        self, activation: Array | int, prefactor: Array | float
    ) -> Callable[[dict[str, Array], Array], Array]:
        functions = [a if callable(a) else resolve(a) for a in self.activations]
        variant = self.variant

        def layer(weights: dict[str, Array], x: Array) -> Array:
            h = jnp.dot(x, weights["kernel"], precision=HIGHEST)
            h = h + weights["bias"][None, :]
            inner = normalise(h) if variant.layer_norm else h
            if not (isinstance(prefactor, float) and prefactor == 1.0):
                inner = inner * prefactor
            out = selected(functions, jnp.asarray(activation), inner)
            if variant.residual:
                out = h + out
            if variant.gated:
                gate = jnp.dot(x, weights["gate_kernel"], precision=HIGHEST)
                out = out * jax.nn.sigmoid(gate + weights["gate_bias"][None, :])
            return out

        return layer


def pad_hidden(params: dict[str, Array], depth: int) -> dict[str, Array]:
    """Append zero layers to the stacked hidden weights, up to `depth` hidden layers.

    Networks of different depths then have arrays of the same shapes, and share a
    program; `MLP(...)(x, depth=...)` never reads the added layers.
    """

    def pad(name: str, leaf: Array) -> Array:
        if not name.startswith("hidden_"):
            return leaf
        missing = depth - 1 - leaf.shape[0]
        return jnp.pad(leaf, [(0, missing)] + [(0, 0)] * (leaf.ndim - 1))

    return {name: pad(name, leaf) for name, leaf in params.items()}
