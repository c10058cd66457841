"""Masked autoencoders: vision transformers that learn to fill in most of an image.

He et al., "Masked Autoencoders Are Scalable Vision Learners", CVPR 2022: an encoder sees a
quarter of the patches, and a smaller decoder predicts the pixels of the others.
"""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from jaxbias.models.catalogue import HALF, Entry
from jaxbias.models.layers import Images, Intermediates, layer_norm
from jaxbias.models.vit import Block, Tokens

Patches = Float[Array, "image patch value"]
"""Pixels of each patch, row by row and channels last; patches row by row."""

Keys = Key[Array, " image"]
Order = Int[Array, "image patch"]
Kept = Int[Array, "image kept"]
Mask = Float[Array, "image patch"]

EPSILON = 1e-6
"""Added to the variance of a patch."""

token_init = nn.initializers.normal(0.02)
xavier = nn.initializers.xavier_uniform()


class MaskedAutoencoder(nn.Module):
    """An encoder of the patches that are kept, and a decoder of all.

    Positions are sines and cosines that are not trained and fit any size of image.

    Attributes:
        width: Channels of the encoder; a multiple of 4.
        depth: Blocks of the encoder.
        heads: Attention heads of the encoder.
        decoder_width: Channels of the decoder; a multiple of 4.
        decoder_depth: Blocks of the decoder.
        decoder_heads: Attention heads of the decoder.
        patch: Side of a patch, in pixels.
        masked: Share of the patches that the encoder does not see, 0 to 1.
        normalise_patches: Predict each patch's pixels less their mean, over their
            standard deviation (paper, section 3).
        dtype: Of the arithmetic.
    """

    width: int = 768
    depth: int = 12
    heads: int = 12
    decoder_width: int = 512
    decoder_depth: int = 8
    decoder_heads: int = 16
    patch: int = 16
    masked: float = 0.75
    normalise_patches: bool = True
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, images: Images, train: bool = False, keys: Keys | None = None
    ) -> tuple[Patches, Intermediates]:
        """Encode what is kept of images, and predict all of their patches.

        Args:
            images: Normalised; sides a multiple of `patch`.
            train: Whether to mask; needs the stream "dropout" where there are no `keys`.
            keys: One for each image, from which its mask follows; None masks in training
                alone, and otherwise the encoder sees every patch.

        Returns:
            The prediction; and "mask" (image, patch; 1 where the encoder did not see it),
            "targets" (what the prediction should be), "block1", ... of the encoder
            (tokens, class token first), "before_norm" (class token), "features" (class
            token, normalised) and "mean_features" (mean of all other tokens, normalised).
        """
        values = patches(images, self.patch)
        rows, columns = (side // self.patch for side in images.shape[1:3])
        if keys is None and train:
            keys = jax.random.split(self.make_rng("dropout"), len(images))
        order = shuffled(keys, len(images), rows * columns)
        kept = rows * columns
        if keys is not None:
            kept -= round(self.masked * kept)
        places = jnp.argsort(order, axis=1)
        tokens, found = self._encoder(values, order[:, :kept], rows, columns)
        prediction = self._decoder(tokens, places, rows, columns, values.shape[-1])
        found["mask"] = (places >= kept).astype(jnp.float32)
        wanted = values.astype(jnp.float32)
        found["targets"] = normalised(wanted) if self.normalise_patches else wanted
        return prediction, found

    def _encoder(
        self, values: Patches, kept: Kept, rows: int, columns: int
    ) -> tuple[Tokens, Intermediates]:
        """Normalised tokens of the class and of the patches that are kept."""
        seen = jnp.take_along_axis(values, kept[:, :, None], axis=1)
        x = self._dense(self.width, "patches")(seen.astype(self.dtype))
        positions = jnp.asarray(sine_positions(rows, columns, self.width), self.dtype)
        x = x + positions[kept]
        token = self.param("token", token_init, (1, 1, self.width))
        token = jnp.broadcast_to(token.astype(self.dtype), (len(x), 1, self.width))
        x = jnp.concatenate([token, x], axis=1)
        found: Intermediates = {}
        for number in range(1, self.depth + 1):
            name = f"block{number}"
            # The paper's code starts from Xavier's weights, other ViTs do not.
            block = Block(
                self.heads, 4 * self.width, init=xavier, dtype=self.dtype, name=name
            )
            # Nothing is dropped, in training neither.
            x = found[name] = block(x, False)
        found["before_norm"] = x[:, 0].astype(jnp.float32)
        x = layer_norm(dtype=jnp.float32, name="norm")(x)
        found["features"] = x[:, 0]
        found["mean_features"] = jnp.mean(x[:, 1:], axis=1)
        return x, found

    def _decoder(
        self, tokens: Tokens, places: Order, rows: int, columns: int, size: int
    ) -> Patches:
        """Pixels of each patch, from the tokens of those that were kept."""
        width = self.decoder_width
        x = self._dense(width, "decoder_patches")(tokens.astype(self.dtype))
        token = self.param("mask_token", token_init, (1, 1, width)).astype(self.dtype)
        missing = places.shape[1] + 1 - x.shape[1]
        hidden = jnp.broadcast_to(token, (len(x), missing, width))
        whole = jnp.concatenate([x[:, 1:], hidden], axis=1)
        whole = jnp.take_along_axis(whole, places[:, :, None], axis=1)
        positions = jnp.asarray(sine_positions(rows, columns, width), self.dtype)
        x = jnp.concatenate([x[:, :1], whole + positions[None]], axis=1)
        for number in range(1, self.decoder_depth + 1):
            x = Block(
                self.decoder_heads,
                4 * width,
                init=xavier,
                dtype=self.dtype,
                name=f"decoder_block{number}",
            )(x, False)
        x = layer_norm(dtype=jnp.float32, name="decoder_norm")(x[:, 1:])
        return nn.Dense(size, kernel_init=xavier, dtype=jnp.float32, name="pixels")(x)

    def _dense(self, features: int, name: str) -> nn.Dense:
        # Paper: the layers inside the blocks start from Xavier's uniform too; here they
        # are those of `vit`, of standard deviation 0.02.
        return nn.Dense(features, kernel_init=xavier, dtype=self.dtype, name=name)


def shuffled(keys: Keys | None, images: int, count: int) -> Order:
    """Numbers of each image's patches, those that are kept first.

    Args:
        keys: One for each image; None leaves the patches in order.
        images: How many.
        count: Patches of an image.
    """
    if keys is None:
        return jnp.broadcast_to(jnp.arange(count), (images, count))
    noise = jax.vmap(lambda key: jax.random.uniform(key, (count,)))(keys)
    return jnp.argsort(noise, axis=1)


def patches(images: Images, size: int) -> Patches:
    """Cut images into patches.

    Args:
        images: Sides a multiple of `size`.
        size: Side of a patch, in pixels.

    Raises:
        ValueError: If patches do not fill the images.
    """
    count, height, width, channels = images.shape
    if height % size or width % size:
        raise ValueError(f"patches of {size} do not fill {height} by {width} pixels")
    cut = images.reshape(count, height // size, size, width // size, size, channels)
    return cut.swapaxes(2, 3).reshape(count, -1, size * size * channels)


def images_of(values: Patches, size: int, height: int, width: int) -> Images:
    """Put patches together again: the inverse of `patches`.

    Args:
        values: Patches.
        size: Side of a patch, in pixels.
        height: Of the images, in pixels.
        width: Of the images, in pixels.
    """
    count, rows, columns = len(values), height // size, width // size
    cut = values.reshape(count, rows, columns, size, size, -1)
    return cut.swapaxes(2, 3).reshape(count, height, width, -1)


def normalised(values: Patches) -> Patches:
    """Each patch less its mean, over its standard deviation (of n - 1)."""
    mean = jnp.mean(values, axis=-1, keepdims=True)
    variance = jnp.var(values, axis=-1, keepdims=True, ddof=1)
    return (values - mean) / jnp.sqrt(variance + EPSILON)


def losses(prediction: Patches, targets: Patches, mask: Mask) -> Float[Array, " image"]:
    """Mean squared error of each image, over the patches that were masked.

    As many are masked in each image, so that their mean is the paper's loss. Where none
    are it is NaN.

    Args:
        prediction: Of every patch.
        targets: What it should be.
        mask: 1 for patches that were masked, 0 for those that were seen.
    """
    each = jnp.mean((prediction.astype(jnp.float32) - targets) ** 2, axis=-1)
    return jnp.sum(each * mask, axis=1) / jnp.sum(mask, axis=1)


def sine_positions(
    rows: int, columns: int, width: int
) -> Float[np.ndarray, "patch width"]:
    """Fixed positions on a grid, as the authors' code lays them.

    The first half of the channels is of the column, the second of the row; of each, the
    first half are sines and the second cosines, of `position / 10000 ** (i / (width / 4))`
    for `i` from 0.

    Args:
        rows: Patches from top to bottom.
        columns: Patches from left to right.
        width: Channels.

    Raises:
        ValueError: If the channels are no multiple of 4.
    """
    if width % 4:
        raise ValueError(f"{width} channels: a multiple of 4 is needed")
    frequencies = 10_000.0 ** (-np.arange(width // 4) / (width / 4))

    def waves(place: np.ndarray) -> np.ndarray:
        angle = place[:, None] * frequencies
        return np.concatenate([np.sin(angle), np.cos(angle)], axis=1)

    row, column = np.divmod(np.arange(rows * columns), columns)
    both = np.concatenate([waves(column), waves(row)], axis=1)
    return both.astype(np.float32)


MODELS: Mapping[str, Entry] = {
    "mae_base": Entry(
        make=lambda _, dtype: MaskedAutoencoder(dtype=dtype),
        size=224,
        source="He et al., CVPR 2022: mae_vit_base_patch16 of the authors (CC BY-NC)",
    ),
    "mae_32": Entry(
        make=lambda _, dtype: MaskedAutoencoder(
            width=128,
            depth=4,
            heads=4,
            decoder_width=64,
            decoder_depth=2,
            decoder_heads=2,
            patch=4,
            dtype=dtype,
        ),
        size=32,
        mean=HALF,
        sd=HALF,
        source="this project",
    ),
}
"""Masked autoencoders by name; the number of classes has no say in them."""
