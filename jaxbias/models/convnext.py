"""ConvNeXt (Liu et al. 2022), from a toy of 7,000 parameters to Base."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jaxbias.models.layers import (
    Features,
    Images,
    Intermediates,
    Logits,
    classifier_head,
    convolution,
    drop_path,
    gelu,
    global_average_pool,
    layer_norm,
    linear_rates,
    truncated_normal,
)


class ConvNeXtBlock(nn.Module):
    """A 7 x 7 depthwise convolution and a perceptron of each pixel, beside a shortcut."""

    width: int
    layer_scale: float = 1e-6
    drop: float = 0.0
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Images, train: bool) -> Features:
        h = convolution(
            *(self.width, 7),
            groups=self.width,
            bias=True,
            init=truncated_normal,
            dtype=self.dtype,
            name="depthwise",
        )(x)
        h = layer_norm(dtype=self.dtype, name="norm")(h)
        wide = nn.Dense(
            4 * self.width, kernel_init=truncated_normal, dtype=self.dtype, name="wide"
        )
        narrow = nn.Dense(
            self.width, kernel_init=truncated_normal, dtype=self.dtype, name="narrow"
        )
        h = narrow(gelu(wide(h)))
        if self.layer_scale > 0:
            scale = self.param(
                "scale", nn.initializers.constant(self.layer_scale), (self.width,)
            )
            h = h * scale.astype(self.dtype)[None, None, None]
        return x + drop_path(h, self.drop, train, self)


class ConvNeXt(nn.Module):
    """Four stages of ConvNeXt blocks.

    Attributes:
        depths: Blocks of each stage.
        widths: Channels of each stage.
        classes: Outputs.
        patch: Size and stride of the first convolution: 4, or less for small images.
        drop_path: Rate of stochastic depth of the last block; it rises linearly to it.
        layer_scale: First value of the branches' scales; 0 leaves them out.
        dtype: Of the arithmetic.
    """

    depths: tuple[int, ...] = (3, 3, 9, 3)
    widths: tuple[int, ...] = (96, 192, 384, 768)
    classes: int = 1000
    patch: int = 4
    drop_path: float = 0.0
    layer_scale: float = 1e-6
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, images: Images, train: bool = False
    ) -> tuple[Logits, Intermediates]:
        """Classify images.

        Args:
            images: Normalised; sides a multiple of `patch` times 8, or they are cut.
            train: Whether branches are dropped; needs the stream "dropout".

        Returns:
            Logits, and "stem", "stage1" to "stage4" and "features" (pooled, normalised).
        """
        x = images.astype(self.dtype)
        x = self._downsample(x, self.widths[0], self.patch, "stem")
        x = layer_norm(dtype=self.dtype, name="stem_norm")(x)
        found = {"stem": x}
        rates = iter(linear_rates(self.drop_path, sum(self.depths)))
        for stage, (depth, width) in enumerate(
            zip(self.depths, self.widths, strict=True), start=1
        ):
            if stage > 1:
                x = layer_norm(dtype=self.dtype, name=f"down{stage}_norm")(x)
                x = self._downsample(x, width, 2, f"down{stage}")
            for number in range(1, depth + 1):
                x = ConvNeXtBlock(
                    width,
                    layer_scale=self.layer_scale,
                    drop=next(rates),
                    dtype=self.dtype,
                    name=f"stage{stage}_block{number}",
                )(x, train)
            found[f"stage{stage}"] = x
        pooled = global_average_pool(x)
        found["features"] = layer_norm(dtype=jnp.float32, name="norm")(pooled)
        logits = classifier_head(found["features"], self.classes, init=truncated_normal)
        return logits, found

    def _downsample(self, x: Images, width: int, size: int, name: str) -> Features:
        return convolution(
            *(width, size),
            stride=size,
            padding=0,
            bias=True,
            init=truncated_normal,
            dtype=self.dtype,
            name=name,
        )(x)
