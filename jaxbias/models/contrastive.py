"""A network that is trained to know two views of an image as one (SimCLR).

Chen et al., A simple framework for contrastive learning of visual representations (ICML
2020). The two views come stacked on channels, so that an image stays one entry of a batch.
"""

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
        width: Of the projection.
        dtype: Of the head's arithmetic.
    """

    network: nn.Module
    width: int = 128
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
            Projections, of no particular length; and "features" (image, view, channel).
        """
        count = len(pairs)
        views = jnp.concatenate(jnp.split(pairs, VIEWS, axis=-1))
        features = self.network(views, train)[1]["features"]
        x = nn.Dense(features.shape[-1], dtype=self.dtype, name="hidden")(features)
        x = nn.Dense(self.width, dtype=self.dtype, name="projection")(nn.relu(x))
        both = [jnp.moveaxis(a.reshape(VIEWS, count, -1), 0, 1) for a in (x, features)]
        return both[0].astype(jnp.float32), {"features": both[1]}
