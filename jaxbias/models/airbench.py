"""airbench's network (Jordan, arXiv 2404.00498): small, and soon at 94 % on CIFAR-10.

Its first layer is not trained: `whiten` sets it from training images, so that what the
layer gives is uncorrelated and of one scale. The definition is that of the author's code,
KellerJordan/cifar10-airbench (MIT).
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxbias.arrays import Params, RandomKey
from jaxbias.models.convolution import convolve
from jaxbias.models.layers import (
    Features,
    Images,
    Intermediates,
    Logits,
    convolution,
    gelu,
    max_pool,
    torch_uniform,
)

WIDTHS_94 = (64, 256, 256)
WIDTHS_95 = (128, 384, 384)
"""Channels of the three groups, in the networks for 94 % and 95 %."""

PATCH = 2
"""Side of the patches that are whitened, in pixels."""

WHITENING_EPSILON = 5e-4
"""Added to each eigenvalue, so that directions without variance are not blown up."""

MOMENTUM = 0.6
"""Of the running statistics: PyTorch's 0.4 counts the other way."""

NORM_EPSILON = 1e-12

LOGIT_SCALE = 1 / 9

SMALLEST = 9
"""Pixels that an image needs on each side: 8 after whitening, halved three times."""

FIXED = ("whiten/kernel",)
"""Parameters that `whiten` sets, and that are not trained."""

EARLY = ("whiten/bias",)
"""Parameters that are trained in the first epochs alone."""


def dirac(key: RandomKey, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Array:
    """Initial weights of a convolution whose first filters pass its input through.

    There are as many of these as input channels; the others are PyTorch's default.

    Args:
        key: Random key.
        shape: Height, width, input and output channels.
        dtype: Of the weights.
    """
    height, width, fan_in, fan_out = shape
    passing = jnp.zeros(shape, dtype)
    passing = passing.at[height // 2, width // 2].set(jnp.eye(fan_in, fan_out))
    first = (jnp.arange(fan_out) < fan_in)[None, None, None]
    return jnp.where(first, passing, torch_uniform(key, shape, dtype))


def _fixed_kernel(x: Array, kernel: Array, *args: Any, **options: Any) -> Array:
    """A convolution whose kernel has no gradient: none is computed, either."""
    return convolve(x, lax.stop_gradient(kernel), *args, **options)


class Group(nn.Module):
    """Two convolutions with batch normalisation; the first one's result is halved."""

    width: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Images, train: bool) -> Features:
        for number in (1, 2):
            x = convolution(
                self.width, 3, init=dirac, dtype=self.dtype, name=f"conv{number}"
            )(x)
            if number == 1:
                x = max_pool(x, 2, 2)
            x = gelu(self._norm(train, f"norm{number}")(x))
        return x

    def _norm(self, train: bool, name: str) -> nn.BatchNorm:
        """Batch normalisation without a scale; its statistics are float32.

        The variance is that of centred values: as a difference of two means it would
        drown in rounding where epsilon is this small.
        """
        return nn.BatchNorm(
            use_running_average=not train,
            momentum=MOMENTUM,
            epsilon=NORM_EPSILON,
            use_scale=False,
            use_fast_variance=False,
            dtype=self.dtype,
            name=name,
        )


class Airbench(nn.Module):
    """Whitening, three groups of two convolutions, and the maximum over what is left.

    # Paper: trained with float16 weights; here parameters are float32, and so is the last
    # layer, whatever the dtype of the other arithmetic.

    Attributes:
        widths: Channels of the groups.
        classes: Outputs.
        dtype: Of the arithmetic.
    """

    widths: tuple[int, ...] = WIDTHS_94
    classes: int = 10
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, images: Images, train: bool = False
    ) -> tuple[Logits, Intermediates]:
        """Classify images.

        Args:
            images: Normalised, 9 x 9 or larger. What is left of 32 x 32 after the groups
                is 3 x 3, whose maximum the author takes; for others it is global too.
            train: Whether batch statistics are those of the batch, and are updated.

        Returns:
            Logits, and "whiten", "group1" to "group3" and "features" (pooled).

        Raises:
            ValueError: If the images are too small.
        """
        if min(images.shape[1:3]) < SMALLEST:
            raise ValueError(f"airbench's images are {SMALLEST} x {SMALLEST} or larger")
        whiten = nn.Conv(
            2 * PATCH**2 * images.shape[-1],
            (PATCH, PATCH),
            padding="VALID",
            kernel_init=dirac,
            dtype=self.dtype,
            conv_general_dilated=_fixed_kernel,
            name="whiten",
        )
        x = gelu(whiten(images.astype(self.dtype)))
        found = {"whiten": x}
        for number, width in enumerate(self.widths, start=1):
            x = Group(width, dtype=self.dtype, name=f"group{number}")(x, train)
            found[f"group{number}"] = x
        found["features"] = x.max((1, 2)).astype(jnp.float32)
        head = nn.Dense(
            self.classes, use_bias=False, kernel_init=torch_uniform, name="head"
        )
        return head(found["features"]) * LOGIT_SCALE, found


def second_moments(images: Images) -> Float[Array, "value value"]:
    """Mean products of the values of a patch, over all patches of all images.

    Values are in the order of a kernel's axes: row, column, channel.
    """
    rows, columns = (n - PATCH + 1 for n in images.shape[1:3])
    shifted = [
        images[:, i : i + rows, j : j + columns]
        for i in range(PATCH)
        for j in range(PATCH)
    ]
    patches = jnp.concatenate(shifted, axis=-1).reshape(-1, PATCH**2 * images.shape[-1])
    # Precision: a GPU's default, 10 bits, is too rough for the small eigenvalues.
    return jnp.dot(patches.T, patches, precision="highest") / len(patches)


@jax.jit
def whitening_kernel(images: Images) -> Float[Array, "down right channel filter"]:
    """Filters that give uncorrelated values of mean square 1, and their negatives.

    Each is an eigenvector of the second moments of the images' patches over the root of
    its eigenvalue, to which `WHITENING_EPSILON` is added; the largest comes first. As in
    the author's code the mean is not taken off: normalised images have about none.
    """
    values, vectors = jnp.linalg.eigh(second_moments(images))
    values, vectors = values[::-1], vectors[:, ::-1]
    # An eigenvector's sign is the library's choice: the largest entry is made positive.
    largest = jnp.argmax(jnp.abs(vectors), axis=0)[None]
    vectors = vectors * jnp.sign(jnp.take_along_axis(vectors, largest, axis=0))
    filters = vectors / jnp.sqrt(values + WHITENING_EPSILON)[None]
    both = jnp.concatenate([filters, -filters], axis=1)
    return both.reshape(PATCH, PATCH, images.shape[-1], -1)


def whiten(params: Params, images: Images) -> Params:
    """Set the first layer of `Airbench` from images.

    Args:
        params: The network's; nothing else in them changes.
        images: Of the training set, as the network sees them; the author takes 5,000.
    """
    layer = {**params["whiten"], "kernel": whitening_kernel(images)}
    return {**params, "whiten": layer}
