"""Classifiers of strings of bits: a stacked LSTM and a transformer encoder.

Both take all strings of a batch at once and give one number a string, whose sign is the
label. Layers of equal shape are stacked in one array and looped over, so depth costs no
compile time; parameter names end in "kernel" or "bias", as `priors.draw` needs them.
"""

import math
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxbias.models.mlp import HIGHEST, normalise
from jaxbias.numerics.activations import resolve

Strings = Float[Array, "string position"]
"""Bits 0 and 1."""

Hidden = Float[Array, "string position channel"]

EPSILON = 1e-5
"""Of the layer norms, as in PyTorch."""

_init = nn.initializers.variance_scaling(
    1.0, "fan_avg", "uniform", in_axis=-2, out_axis=-1, batch_axis=0
)
"""Glorot's, for stacked kernels [layer, fan_in, fan_out]."""

_init_one = nn.initializers.glorot_uniform()


def _dot(x: Array, kernel: Array) -> Array:
    return jnp.dot(x, kernel, precision=HIGHEST)


def _embedded(bits: Strings, kernel: Float[Array, "token channel"]) -> Hidden:
    """The row of each bit's token."""
    zero, one = kernel[0][None, None, :], kernel[1][None, None, :]
    return jnp.where(bits[:, :, None] > 0.5, one, zero)


class LSTMClassifier(nn.Module):
    """Stacked LSTMs over embedded bits; a linear readout of the last state.

    Gates are in PyTorch's order (input, forget, cell, output); of its two biases there is
    one, their sum.

    Attributes:
        width: Channels of the embedding and of every layer.
        depth: Layers.
    """

    width: int = 64
    depth: int = 4

    @nn.compact
    def __call__(self, bits: Strings) -> tuple[Float[Array, " string"], dict]:
        """Evaluate.

        Args:
            bits: Strings of 0 and 1, one a row.

        Returns:
            The output for each string, and by name "last", the last layer's last state.
        """
        width, depth = self.width, self.depth
        layers = {
            "input": self.param("input_kernel", _init, (depth, width, 4 * width)),
            "hidden": self.param("hidden_kernel", _init, (depth, width, 4 * width)),
            "bias": self.param("gate_bias", nn.initializers.zeros, (depth, 4 * width)),
        }
        embedding = self.param("embedding_kernel", _init_one, (2, width))
        # Time first: a step then reads what lies together.
        x = jnp.swapaxes(_embedded(bits, embedding), 0, 1)
        x, _ = lax.scan(lambda x, layer: (_lstm(layer, x), None), x, layers)
        return _readout(self, x[-1]), {"last": x[-1]}


def _lstm(
    layer: dict[str, Array], x: Float[Array, "position string channel"]
) -> Float[Array, "position string channel"]:
    """All states of one layer."""

    def step(state: tuple[Array, Array], token: Array):
        h, c = state
        gates = token + _dot(h, layer["hidden"])
        write, keep, new, show = jnp.split(gates, 4, axis=-1)
        c = jax.nn.sigmoid(keep) * c + jax.nn.sigmoid(write) * jnp.tanh(new)
        h = jax.nn.sigmoid(show) * jnp.tanh(c)
        return (h, c), h

    # Tokens do not wait for states: one product for all of them.
    tokens = _dot(x, layer["input"]) + layer["bias"][None, None, :]
    start = jnp.zeros_like(x[0])
    _, states = lax.scan(step, (start, start), tokens)
    return states


class EncoderClassifier(nn.Module):
    """A transformer encoder over embedded bits, read out at a first token of its own.

    Post-norm layers (norm of the sum of what came in and what a block gives), as in
    Vaswani et al. and `torch.nn.TransformerEncoderLayer`; learned positions. The norms
    have neither gain nor offset: those of a new network are 1 and 0.

    Attributes:
        width: Channels.
        depth: Layers.
        heads: Attention heads; divides the width.
        expansion: Channels of a perceptron's hidden layer over the width.
        activation: Of the perceptrons, by name.
    """

    width: int = 64
    depth: int = 4
    heads: int = 4
    expansion: int = 4
    activation: str = "relu"

    @nn.compact
    def __call__(self, bits: Strings) -> tuple[Float[Array, " string"], dict]:
        """Evaluate.

        Args:
            bits: Strings of 0 and 1, one a row, all of the length at `init`.

        Returns:
            The output for each string, and by name "last", the first token's last state.
        """
        width, depth, wide = self.width, self.depth, self.expansion * self.width
        shapes = {
            "qkv": (width, 3 * width),
            "out": (width, width),
            "mlp_in": (width, wide),
            "mlp_out": (wide, width),
        }
        layers = {}
        zeros = nn.initializers.zeros
        for name, (fan_in, fan_out) in shapes.items():
            layers[f"{name}_kernel"] = self.param(
                f"{name}_kernel", _init, (depth, fan_in, fan_out)
            )
            layers[f"{name}_bias"] = self.param(f"{name}_bias", zeros, (depth, fan_out))
        # Tokens 0 and 1, and the one that is read out.
        tokens = self.param("embedding_kernel", _init_one, (3, width))
        positions = self.param("position_kernel", _init_one, (bits.shape[1] + 1, width))
        first = jnp.broadcast_to(tokens[2][None, None, :], (len(bits), 1, width))
        x = jnp.concatenate([first, _embedded(bits, tokens)], axis=1)
        x = x + positions[None, :, :]
        block = self._block(resolve(self.activation))
        x, _ = lax.scan(lambda x, layer: (block(layer, x), None), x, layers)
        return _readout(self, x[:, 0]), {"last": x[:, 0]}

    def _block(
        self, activation: Callable
    ) -> Callable[[dict[str, Array], Array], Array]:
        def dense(layer: dict[str, Array], name: str, x: Array) -> Array:
            bias = layer[f"{name}_bias"][None, None, :]
            return _dot(x, layer[f"{name}_kernel"]) + bias

        def block(layer: dict[str, Array], x: Array) -> Array:
            mixed = _attend(dense(layer, "qkv", x), self.heads)
            x = normalise(x + dense(layer, "out", mixed), EPSILON)
            hidden = activation(dense(layer, "mlp_in", x))
            return normalise(x + dense(layer, "mlp_out", hidden), EPSILON)

        return block


def _attend(qkv: Float[Array, "string position three_channels"], heads: int) -> Hidden:
    """Attention of every token to every token."""
    strings, tokens, channels = qkv.shape
    size = channels // 3 // heads
    split = qkv.reshape(strings, tokens, 3, heads, size).transpose(2, 0, 3, 1, 4)
    query, key, value = split
    score = _einsum("shqc,shkc->shqk", query, key) / math.sqrt(size)
    mixed = _einsum("shqk,shkc->shqc", jax.nn.softmax(score), value)
    return mixed.transpose(0, 2, 1, 3).reshape(strings, tokens, heads * size)


def _einsum(formula: str, *arrays: Array) -> Array:
    return jnp.einsum(formula, *arrays, precision=HIGHEST)


def _readout(
    module: nn.Module, x: Float[Array, "string channel"]
) -> Float[Array, " string"]:
    kernel = module.param("output_kernel", _init_one, (x.shape[-1], 1))
    bias = module.param("output_bias", nn.initializers.zeros, (1,))
    return _dot(x, kernel)[:, 0] + bias[0]
