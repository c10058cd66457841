"""Networks that are trained by comparison: of views, or with what made the image.

Chen et al., A simple framework for contrastive learning of visual representations (ICML
2020): two views of an image, which come stacked on channels, so that an image stays one
entry of a batch. Radford et al., Learning transferable visual models (ICML 2021): images
and what goes with them, each brought to a common space.
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxbias.models.layers import Images, Intermediates

VIEWS = 2

NETWORK = "network"
"""Where the weights of the network itself are among those of the whole."""


class Contrastive(nn.Module):
    """A network of the catalogue with a projection head in place of its classifier.

    The classifier's own weights stay unused.

    Attributes:
        network: Gives named intermediates, among them "features".
        width: Of the projection; None leaves out the head.
        dtype: Of the head's arithmetic.
    """

    network: nn.Module
    width: int | None = 128
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, pairs: Images, train: bool = False
    ) -> tuple[Float[Array, "image view entry"], Intermediates]:
        """Project both views of each image.

        Args:
            pairs: Normalised, with the channels of one view and then of the other.
            train: Whether batch statistics are those of the batch, over all views.

        Returns:
            Projections, of no particular length, or the features where there is no head;
            and "features" (image, view, channel).
        """
        count = len(pairs)
        views = jnp.concatenate(jnp.split(pairs, VIEWS, axis=-1))
        features = self.network(views, train)[1]["features"]
        x = features
        if self.width is not None:
            x = nn.Dense(x.shape[-1], dtype=self.dtype, name="hidden")(x)
            x = nn.Dense(self.width, dtype=self.dtype, name="projection")(nn.relu(x))
        both = [jnp.moveaxis(a.reshape(VIEWS, count, -1), 0, 1) for a in (x, features)]
        return both[0].astype(jnp.float32), {"features": both[1]}


class Matched(nn.Module):
    """Images and the programs that made them, brought to one space.

    Attributes:
        network: Gives named intermediates, among them "features".
        table: Gives what describes each program, a row for each class of images. A
            function, since a module holds no arrays but weights.
        hidden: Width of the hidden layer that descriptions go through.
        width: Of the common space.
        dtype: Of the arithmetic after the network.
    """

    network: nn.Module
    table: Callable[[], Float[Array, "class parameter"]]
    hidden: int = 128
    width: int = 128
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, images: Images, train: bool = False
    ) -> tuple[Float[Array, "image class"], Intermediates]:
        """Cosines of each image with each program, and "features" of the network."""
        features = self.network(images, train)[1]["features"]
        dense = lambda width, name: nn.Dense(width, dtype=self.dtype, name=name)  # noqa: E731
        image = dense(self.width, "projection")(features)
        program = dense(self.hidden, "described")(self.table())
        program = dense(self.width, "placed")(nn.relu(program))
        image, program = (
            x / jnp.maximum(jnp.linalg.norm(x, axis=-1, keepdims=True), 1e-6)
            for x in (image.astype(jnp.float32), program.astype(jnp.float32))
        )
        cosines = jnp.matmul(image, program.T, precision="highest")
        return cosines, {"features": features}
