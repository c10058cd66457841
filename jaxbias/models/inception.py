"""Inception v3 as the Frechet inception distance has it, for weights that a user brings.

The network of Szegedy et al. (2015) with the details of the graph that FID is computed on
(Heusel et al., 2017): averages of its pooling branches leave the padding out, and the last
block takes the largest value instead. Weights are those of its PyTorch port
(mseitz/pytorch-fid, `pt_inception-2015-12-05-6726825d.pth`); without them its features mean
no more than those of any untrained network.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, UInt8

from jaxbias.models.layers import (
    Features,
    Images,
    Intermediates,
    Logits,
    classifier_head,
    global_average_pool,
    max_pool,
)
from jaxbias.models.torch_weights import convert, read_state

SIZE = 299
"""Side of its images in pixels."""

CLASSES = 1008
WIDTH = 2048
"""Of the features."""


class Unit(nn.Module):
    """A convolution without bias, batch normalisation by running statistics, a ReLU."""

    width: int
    size: int | tuple[int, int] = 1
    stride: int = 1
    pad: int | tuple[int, int] = 0

    @nn.compact
    def __call__(self, x: Images) -> Features:
        size = (self.size, self.size) if isinstance(self.size, int) else self.size
        pad = (self.pad, self.pad) if isinstance(self.pad, int) else self.pad
        conv = nn.Conv(
            *(self.width, size, (self.stride, self.stride)),
            padding=[(one, one) for one in pad],
            use_bias=False,
            name="conv",
        )
        norm = nn.BatchNorm(use_running_average=True, epsilon=1e-3, name="bn")
        return nn.relu(norm(conv(x)))


def _average(x: Images) -> Features:
    """Mean over 3 x 3 places, of those that are inside the image."""
    pad: Any = ((1, 1), (1, 1))
    return nn.avg_pool(x, (3, 3), padding=pad, count_include_pad=False)


class Block(nn.Module):
    """Branches side by side, joined along the channels.

    Attributes:
        branches: Of each, the units one after the other: a name, and what `Unit` takes. Two
            units in a tuple of tuples read the same and are joined.
        pooled: What the last branch begins with: "average", "largest", or "none" where it
            is the largest values themselves, at every second place.
        width: Channels of that branch.
    """

    branches: Sequence[Sequence[Any]]
    pooled: str
    width: int = 0

    @nn.compact
    def __call__(self, x: Images) -> Features:
        found = []
        for branch in self.branches:
            own = x
            for step in branch:
                twice = step if isinstance(step[0], tuple) else (step,)
                own = jnp.concatenate(
                    [Unit(*rest, name=name)(own) for name, *rest in twice], axis=-1
                )
            found.append(own)
        if self.pooled == "none":
            found.append(max_pool(x, 3, 2))
        else:
            pool = _average(x) if self.pooled == "average" else max_pool(x, 3, 1, 1)
            found.append(Unit(self.width, name="branch_pool")(pool))
        return jnp.concatenate(found, axis=-1)


def _a(width: int, name: str) -> Block:
    branches = (
        (("branch1x1", 64),),
        (("branch5x5_1", 48), ("branch5x5_2", 64, 5, 1, 2)),
        (
            ("branch3x3dbl_1", 64),
            ("branch3x3dbl_2", 96, 3, 1, 1),
            ("branch3x3dbl_3", 96, 3, 1, 1),
        ),
    )
    return Block(branches, "average", width, name=name)


def _b(name: str) -> Block:
    branches = (
        (("branch3x3", 384, 3, 2),),
        (
            ("branch3x3dbl_1", 64),
            ("branch3x3dbl_2", 96, 3, 1, 1),
            ("branch3x3dbl_3", 96, 3, 2),
        ),
    )
    return Block(branches, "none", name=name)


def _c(inner: int, name: str) -> Block:
    wide, tall = ((1, 7), 1, (0, 3)), ((7, 1), 1, (3, 0))
    branches = (
        (("branch1x1", 192),),
        (
            ("branch7x7_1", inner),
            ("branch7x7_2", inner, *wide),
            ("branch7x7_3", 192, *tall),
        ),
        (
            ("branch7x7dbl_1", inner),
            ("branch7x7dbl_2", inner, *tall),
            ("branch7x7dbl_3", inner, *wide),
            ("branch7x7dbl_4", inner, *tall),
            ("branch7x7dbl_5", 192, *wide),
        ),
    )
    return Block(branches, "average", 192, name=name)


def _d(name: str) -> Block:
    branches = (
        (("branch3x3_1", 192), ("branch3x3_2", 320, 3, 2)),
        (
            ("branch7x7x3_1", 192),
            ("branch7x7x3_2", 192, (1, 7), 1, (0, 3)),
            ("branch7x7x3_3", 192, (7, 1), 1, (3, 0)),
            ("branch7x7x3_4", 192, 3, 2),
        ),
    )
    return Block(branches, "none", name=name)


def _e(pooled: str, name: str) -> Block:
    def both(branch: str, part: str) -> tuple:
        return (
            (f"{branch}_{part}a", 384, (1, 3), 1, (0, 1)),
            (f"{branch}_{part}b", 384, (3, 1), 1, (1, 0)),
        )

    branches = (
        (("branch1x1", 320),),
        (("branch3x3_1", 384), both("branch3x3", "2")),
        (
            ("branch3x3dbl_1", 448),
            ("branch3x3dbl_2", 384, 3, 1, 1),
            both("branch3x3dbl", "3"),
        ),
    )
    return Block(branches, pooled, 192, name=name)


class Inception(nn.Module):
    """Inception v3 without its auxiliary classifier; layers have PyTorch's names."""

    classes: int = CLASSES

    @nn.compact
    def __call__(self, images: Images) -> tuple[Logits, Intermediates]:
        """Classify images on the scale -1 to 1; returns logits and 2,048 "features"."""
        x = Unit(32, 3, 2, name="Conv2d_1a_3x3")(images)
        x = Unit(32, 3, name="Conv2d_2a_3x3")(x)
        x = Unit(64, 3, 1, 1, name="Conv2d_2b_3x3")(x)
        x = max_pool(x, 3, 2)
        x = Unit(80, name="Conv2d_3b_1x1")(x)
        x = Unit(192, 3, name="Conv2d_4a_3x3")(x)
        x = max_pool(x, 3, 2)
        for block in (
            *(_a(32, "Mixed_5b"), _a(64, "Mixed_5c"), _a(64, "Mixed_5d")),
            _b("Mixed_6a"),
            *(_c(128, "Mixed_6b"), _c(160, "Mixed_6c"), _c(160, "Mixed_6d")),
            _c(192, "Mixed_6e"),
            _d("Mixed_7a"),
            *(_e("average", "Mixed_7b"), _e("largest", "Mixed_7c")),
        ):
            x = block(x)
        found = global_average_pool(x)
        return classifier_head(found, self.classes), {"features": found}


def layers(
    variables: Any,
    pixels: UInt8[Array, "image height width 3"],
    index: Int[Array, " image"],
) -> Intermediates:
    """The "features" of images of any size, which are stretched to 299 x 299 pixels.

    Args:
        variables: Of `Inception`.
        pixels: Bytes.
        index: Numbers of the images, which say nothing here; see `probes.features`.
    """
    shape = (len(pixels), SIZE, SIZE, 3)
    scaled = pixels.astype(jnp.float32) / 255
    # As PyTorch's `interpolate`: centres of pixels agree, and larger images alias.
    large = jax.image.resize(scaled, shape, "bilinear", antialias=False)
    return Inception().apply(variables, 2 * large - 1)[1]  # type: ignore[index]


def load(path: Path) -> Any:
    """Variables from a file of PyTorch's weights.

    Raises:
        WeightsError: If it is none, or of another network.
    """
    return convert("inception", read_state(path), shapes())


def shapes() -> Any:
    """Shapes of `Inception`'s variables."""
    images = jax.ShapeDtypeStruct((1, SIZE, SIZE, 3), jnp.float32)
    return jax.eval_shape(Inception().init, jax.random.key(0), images)
