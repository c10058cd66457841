"""GPT-2: the published architecture and initialisation, and greedy generation.

The rows of a batch share one draw of weights and may differ in all else: in the scale of
layer norms (traced, one number a row), and, in groups of equal size, in activation and
depth. Weights are the larger part of what a step of generation reads, so a whole study of
one draw is one batch: its products are then limited by arithmetic, not by memory.
"""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from jaxbias.arrays import Params, RandomKey
from jaxbias.models.mlp import HIGHEST, normalise
from jaxbias.models.priors import draw_length
from jaxbias.numerics.activations import Activation, resolve

EPSILON = 1e-5
"""Of the layer norms."""

STD = 0.02
"""Standard deviation of all weights in the published initialisation."""

STOPPED = -1
"""In place of a token where logits are not finite, and for all later ones."""

STAGE = 32
"""Tokens for which one program generates: attention reads the positions up to the end of
its stage, and each stage is compiled on its own."""

Hidden = Float[Array, "row token channel"]
Cache = Sequence[tuple[Array, Array]]
"""Keys and values of each block, [row, head, position, channel]."""


def _normalise(
    x: Hidden,
    scale: Float[Array, " channel"],
    bias: Float[Array, " channel"],
    gamma: Float[Array, " row"] | None,
) -> Hidden:
    factor = scale[None, None, :]
    if gamma is not None:
        factor = factor * gamma[:, None, None]
    return normalise(x, EPSILON) * factor + bias[None, None, :]


class Block(nn.Module):
    """Attention and a perceptron, each added to what it read through a layer norm.

    Attributes:
        heads: Attention heads; divides the channels.
        layers: Blocks of the network: their sum has the variance of one.
        activations: Of the perceptrons of each group of rows, in turn.
        groups: How often the list of activations is gone through.
    """

    heads: int
    layers: int
    activations: tuple[Activation, ...]
    groups: int

    @nn.compact
    def __call__(
        self,
        x: Hidden,
        gamma: Float[Array, " row"],
        position: Array | int,
        past: tuple[Array, Array] | None,
    ) -> tuple[Hidden, tuple[Array, Array]]:
        mixed, cache = self._attention(self._norm("ln_1", x, gamma), position, past)
        x = x + mixed
        hidden = self._dense("mlp_in", self._norm("ln_2", x, gamma), 4 * x.shape[-1])
        hidden = self._activate(hidden)
        return x + self._dense("mlp_out", hidden, x.shape[-1], added=True), cache

    def _norm(self, name: str, x: Hidden, gamma: Float[Array, " row"]) -> Hidden:
        return _normalise(x, *norm_weights(self, name, x.shape[-1]), gamma)

    def _dense(
        self, name: str, x: Hidden, features: int, *, added: bool = False
    ) -> Float[Array, "row token feature"]:
        std = STD / math.sqrt(2 * self.layers) if added else STD
        init = nn.initializers.normal(std)
        kernel = self.param(f"{name}_kernel", init, (x.shape[-1], features))
        bias = self.param(f"{name}_bias", nn.initializers.zeros, (features,))
        return jnp.dot(x, kernel, precision=HIGHEST) + bias[None, None, :]

    def _attention(
        self, x: Hidden, position: Array | int, past: tuple[Array, Array] | None
    ) -> tuple[Hidden, tuple[Array, Array]]:
        rows, tokens, width = x.shape
        split = self._dense("qkv", x, 3 * width)
        split = split.reshape(rows, tokens, 3, self.heads, width // self.heads)
        query, key, value = split.transpose(2, 0, 3, 1, 4)
        if past is not None:
            place = (0, 0, position, 0)
            key = lax.dynamic_update_slice(past[0], key, place)
            value = lax.dynamic_update_slice(past[1], value, place)
        scores = jnp.einsum("rhqc,rhkc->rhqk", query, key, precision=HIGHEST)
        scores = scores * (width // self.heads) ** -0.5
        asking = position + jnp.arange(tokens)
        seen = jnp.arange(key.shape[2])[None, :] <= asking[:, None]
        weights = jax.nn.softmax(jnp.where(seen[None, None], scores, -jnp.inf), axis=-1)
        mixed = jnp.einsum("rhqk,rhkc->rhqc", weights, value, precision=HIGHEST)
        mixed = mixed.swapaxes(1, 2).reshape(rows, tokens, width)
        return self._dense("attention_out", mixed, width, added=True), (key, value)

    def _activate(self, x: Hidden) -> Hidden:
        if len(self.activations) == 1:
            return self.activations[0](x)
        grouped = x.reshape(self.groups, len(self.activations), -1, *x.shape[1:])
        parts = [f(grouped[:, i]) for i, f in enumerate(self.activations)]
        return jnp.stack(parts, axis=1).reshape(x.shape)


def norm_weights(module: nn.Module, name: str, width: int) -> tuple[Array, Array]:
    """Declare scale and offset of a layer norm."""
    scale = module.param(f"{name}_scale", nn.initializers.ones, (width,))
    return scale, module.param(f"{name}_bias", nn.initializers.zeros, (width,))


class GPT2(nn.Module):
    """GPT-2; the defaults are the published network of 124 million parameters.

    With several depths or activations the rows of a batch are cut evenly into groups: by
    depth, and within a depth by activation.

    Attributes:
        layers: Blocks that the initialisation is made for.
        width: Channels.
        heads: Attention heads; divides the width.
        vocabulary: Tokens that there are.
        positions: Longest sequence.
        activations: Of the perceptrons in the blocks, by name (see
            `numerics.activations`). The default is the published GELU, by tanh.
        depths: Blocks in use, deepest first, each at most `layers`; () takes all. The
            others are cut off, as the authors of Neural Redshift do.
        scale_final: Whether the scale of layer norms holds for the last one too.
    """

    layers: int = 12
    width: int = 768
    heads: int = 12
    vocabulary: int = 50_257
    positions: int = 1024
    activations: tuple[str | Activation, ...] = ("jax.nn.gelu",)
    depths: tuple[int, ...] = ()
    scale_final: bool = False

    @nn.compact
    def __call__(
        self,
        tokens: Int[Array, "row token"],
        gamma: Float[Array, " row"] | None = None,
        *,
        position: Array | int = 0,
        cache: Cache | None = None,
    ) -> tuple[Float[Array, "row token vocabulary"], dict[str, Any]]:
        """Logits of the token after each token.

        Args:
            tokens: Numbers below `vocabulary`.
            gamma: Factor on the scale of the blocks' layer norms, one a row; None is 1.
            position: Of the first token; may be traced.
            cache: From an earlier call, padded to the positions that are to come: then
                `tokens` go on where that call ended, and attend to what it read.

        Returns:
            Logits, and by name "embedded" and "block1", ... (the residual stream) and
            "cache", keys and values of each block.
        """
        rows, count = tokens.shape
        if gamma is None:
            gamma = jnp.ones(rows)
        depths = self.depths or (self.layers,)
        init = nn.initializers.normal(STD)
        table = self.param("wte", init, (self.vocabulary, self.width))
        places = self.param("wpe", init, (self.positions, self.width))
        where = lax.dynamic_slice_in_dim(places, position, count)
        x = jnp.take(table, tokens, axis=0, mode="clip") + where[None]
        found: dict[str, Any] = {"embedded": x}
        caches = []
        for number in range(depths[0]):
            groups = sum(depth > number for depth in depths)
            # Deepest first: the rows that still have a block to go lie together.
            going = rows * groups // len(depths)
            block = Block(
                heads=self.heads,
                layers=self.layers,
                activations=tuple(_function(name) for name in self.activations),
                groups=groups,
                name=f"block{number + 1}",
            )
            past = cache[number] if cache is not None else None
            moved, kept = block(x[:going], gamma[:going], position, past)
            caches.append(kept)
            x = moved if going == rows else jnp.concatenate([moved, x[going:]])
            found[f"block{number + 1}"] = x
        norm = norm_weights(self, "ln_f", self.width)
        x = _normalise(x, *norm, gamma if self.scale_final else None)
        logits = jnp.einsum("rtc,vc->rtv", x, table, precision=HIGHEST)
        return logits, found | {"cache": caches}

    def empty_cache(self, rows: int, positions: int) -> Cache:
        """Keys and values of no token yet, with room for `positions`."""
        depths = self.depths or (self.layers,)
        caches = []
        for number in range(depths[0]):
            going = rows * sum(depth > number for depth in depths) // len(depths)
            shape = (going, self.heads, positions, self.width // self.heads)
            caches.append((jnp.zeros(shape), jnp.zeros(shape)))
        return caches


def _function(activation: str | Activation) -> Activation:
    return resolve(activation) if isinstance(activation, str) else activation


def parameters(model: GPT2) -> int:
    """How many numbers a network has; the tied output counts once."""
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(_template(model)))


def _template(model: GPT2) -> Params:
    groups = max(1, len(model.depths)) * len(model.activations)
    example = jax.ShapeDtypeStruct((groups, 1), jnp.int32)
    return jax.eval_shape(model.init, jax.random.key(0), example)["params"]


def draw(key: RandomKey, model: GPT2, *, kernel_std: float = STD) -> Params:
    """Draw a network from the published initialisation, all weights at once.

    N(0, 0.02^2); biases 0, scales of layer norms 1; what is added to the residual stream
    divided by sqrt(2 layers) (Hugging Face's GPT-2, remembered).

    Args:
        key: The network's key.
        model: Whose weights to draw.
        kernel_std: Of the blocks' weights. Their outputs grow with the root of the width:
            0.02 sqrt(768 / width) keeps them as they are in the published network.

    Returns:
        Parameters as `model.init` has them, float32.
    """
    leaves, tree = jax.tree_util.tree_flatten_with_path(_template(model))
    names = [str(path[-1].key) for path, _ in leaves]
    sizes = [
        0 if name.endswith(("bias", "scale")) else math.prod(leaf.shape)
        for name, (_, leaf) in zip(names, leaves, strict=True)
    ]
    # One draw for all leaves: a draw for each is most of the compile time.
    flat = jax.random.normal(key, (draw_length(sum(sizes)),))
    drawn, start = [], 0
    for name, (_, leaf), size in zip(names, leaves, sizes, strict=True):
        if not size:
            drawn.append(jnp.full(leaf.shape, float(name.endswith("scale"))))
            continue
        std = kernel_std if name.endswith("kernel") else STD
        if name in ("attention_out_kernel", "mlp_out_kernel"):
            std /= math.sqrt(2 * model.layers)
        drawn.append(flat[start : start + size].reshape(leaf.shape) * std)
        start += size
    return jax.tree_util.tree_unflatten(tree, drawn)


def _best(logits: Float[Array, "row vocabulary"]) -> Int[Array, " row"]:
    """The first largest of each row, or `STOPPED` where the largest is not finite."""
    top = jnp.max(logits, axis=-1)
    tokens = jnp.arange(logits.shape[1], dtype=jnp.int32)
    # XLA:CPU does not vectorise argmax: it would take a tenth of a step's time.
    best = jnp.where(logits == top[:, None], tokens[None], logits.shape[1])
    return jnp.where(jnp.isfinite(top), jnp.min(best, axis=-1), STOPPED)


def generate(
    model: GPT2,
    params: Params,
    prompts: Int[Array, "row prompt"],
    *,
    tokens: int,
    gamma: Float[Array, " row"] | None = None,
    stage: int = STAGE,
) -> Int[Array, "row token"]:
    """Go on from prompts, at each step with the most likely token.

    Each token is read once, by a scan; keys and values of the earlier ones are kept. Put
    it under `jax.jit` with `model`, `tokens` and `stage` fixed; `jax.vmap` and `lax.map`
    go over draws of weights.

    Args:
        model: The network; several depths and activations go by groups of rows.
        params: Its weights.
        prompts: The first tokens, at least one a row.
        tokens: How many to add.
        gamma: As for the network.
        stage: As `STAGE`; the tokens do not depend on it, but for rounding.

    Returns:
        Prompts and new tokens, int32; `STOPPED` (-1) from where a row's logits were not
        finite.
    """
    rows, given = prompts.shape
    length = given + tokens - 1
    prompts = prompts.astype(jnp.int32)
    forced = jnp.pad(prompts[:, 1:], ((0, 0), (0, tokens)))[:, :length].T

    def step(
        state: tuple[Array, Cache], place: tuple[Array, Array]
    ) -> tuple[tuple[Array, Any], Array]:
        token, cache = state
        position, prompt = place
        read = partial(model.apply, {"params": params}, position=position, cache=cache)
        logits, found = read(token[:, None], gamma)
        best = _best(logits[:, 0])
        best = jnp.where(token == STOPPED, STOPPED, best)
        following = jnp.where(position + 1 < given, prompt, best)
        return (following, found["cache"]), following

    state = prompts[:, 0], model.empty_cache(rows, 0)
    read = [prompts[:, :1]]
    for start in range(0, length, stage):
        stop = min(start + stage, length)
        room = ((0, 0), (0, 0), (0, stop - start), (0, 0))
        cache = jax.tree.map(lambda kept: jnp.pad(kept, room), state[1])  # noqa: B023
        places = jnp.arange(start, stop), forced[start:stop]
        state, added = lax.scan(step, (state[0], cache), places)
        read.append(added.T)
    return jnp.concatenate(read, axis=1)
