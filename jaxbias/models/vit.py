"""Vision transformers: the published sizes (as in timm), and one for small images."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxbias.models.layers import (
    Images,
    Intermediates,
    Logits,
    classifier_head,
    convolution,
    drop_path,
    dropout,
    gelu,
    layer_norm,
    linear_rates,
    truncated_normal,
)

Initializer = nn.initializers.Initializer

Tokens = Float[Array, "image token channel"]


class Attention(nn.Module):
    """Self-attention of all tokens, with one projection for queries, keys and values.

    Attributes:
        heads: Number of heads; divides the channels.
        scale_by_width: Divide scores by the root of all channels, not of a head's.
        init: Of the weights.
        dtype: Of the arithmetic; scores are taken in float32.
    """

    heads: int
    scale_by_width: bool = False
    init: Initializer = truncated_normal
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Tokens) -> Tokens:
        images, tokens, width = x.shape
        dense = lambda features, name: nn.Dense(  # noqa: E731
            features, kernel_init=self.init, dtype=self.dtype, name=name
        )
        size = width // self.heads
        split = dense(3 * width, "qkv")(x).reshape(images, tokens, 3, self.heads, size)
        # Heads before tokens: batched products of what lies together are faster.
        query, key, value = split.transpose(2, 0, 3, 1, 4)
        scale = (width if self.scale_by_width else size) ** -0.5
        scores = (query @ key.swapaxes(2, 3)).astype(jnp.float32) * scale
        weights = jax.nn.softmax(scores, axis=-1).astype(self.dtype)
        mixed = (weights @ value).swapaxes(1, 2)
        return dense(width, "out")(mixed.reshape(images, tokens, width))


class Block(nn.Module):
    """Attention and a perceptron of each token, each after a layer norm."""

    heads: int
    hidden: int
    drop_path: float = 0.0
    scale_by_width: bool = False
    gelu_after: bool = False
    init: Initializer = truncated_normal
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Tokens, train: bool) -> Tokens:
        h = layer_norm(dtype=self.dtype, name="norm1")(x)
        h = Attention(
            self.heads,
            scale_by_width=self.scale_by_width,
            init=self.init,
            dtype=self.dtype,
            name="attention",
        )(h)
        x = x + drop_path(h, self.drop_path, train, self)
        h = layer_norm(dtype=self.dtype, name="norm2")(x)
        for features, name in ((self.hidden, "wide"), (x.shape[-1], "narrow")):
            dense = nn.Dense(
                features, kernel_init=self.init, dtype=self.dtype, name=name
            )
            h = dense(h)
            if name == "wide" or self.gelu_after:
                h = gelu(h)
        return x + drop_path(h, self.drop_path, train, self)


class ViT(nn.Module):
    """A vision transformer with a class token and learned positions.

    Attributes:
        width: Channels.
        depth: Blocks.
        heads: Attention heads.
        patch: Side of a patch, in pixels.
        classes: Outputs.
        hidden: Channels of the perceptrons; None takes four times the width.
        drop: Rate of dropout after the positions.
        drop_path: Rate of stochastic depth of the last block; it rises linearly to it.
        small_image_quirks: As in the small-image ViT that `synthetic_shape_bias` uses:
            scores divided by the root of all channels, a GELU after each perceptron,
            class token and positions from N(0, 1), patches by a linear layer.
        dtype: Of the arithmetic.
    """

    width: int = 384
    depth: int = 12
    heads: int = 6
    patch: int = 16
    classes: int = 1000
    hidden: int | None = None
    drop: float = 0.0
    drop_path: float = 0.0
    small_image_quirks: bool = False
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, images: Images, train: bool = False
    ) -> tuple[Logits, Intermediates]:
        """Classify images.

        Args:
            images: Normalised; sides a multiple of `patch`. Positions are learned for one
                size.
            train: Whether values and branches are dropped; needs the stream "dropout".

        Returns:
            Logits, and "block1", ... (tokens, class token first), "before_norm" (class
            token) and "features" (class token, normalised).
        """
        quirks = self.small_image_quirks
        x = convolution(
            *(self.width, self.patch),
            stride=self.patch,
            padding=0,
            bias=True,
            init=truncated_normal,
            dtype=self.dtype,
            name="patches",
        )(images.astype(self.dtype))
        x = x.reshape(x.shape[0], -1, self.width)
        init = nn.initializers.normal(1.0) if quirks else truncated_normal
        token = self.param("token", init, (1, 1, self.width))
        positions = self.param("positions", init, (1, x.shape[1] + 1, self.width))
        token = jnp.broadcast_to(token.astype(self.dtype), (len(x), 1, self.width))
        x = jnp.concatenate([token, x], axis=1) + positions.astype(self.dtype)
        x = dropout(x, self.drop, train)
        found: Intermediates = {}
        rates = linear_rates(self.drop_path, self.depth)
        for number, rate in enumerate(rates, start=1):
            x = found[f"block{number}"] = Block(
                self.heads,
                self.hidden or 4 * self.width,
                drop_path=rate,
                scale_by_width=quirks,
                gelu_after=quirks,
                dtype=self.dtype,
                name=f"block{number}",
            )(x, train)
        found["before_norm"] = x[:, 0].astype(jnp.float32)
        norm = layer_norm(dtype=jnp.float32, name="norm")
        found["features"] = norm(found["before_norm"])
        logits = classifier_head(
            found["features"], self.classes, init=nn.initializers.zeros
        )
        return logits, found
