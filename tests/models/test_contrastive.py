"""A network with a projection head over two views."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxbias.models.contrastive import Contrastive
from jaxbias.models.plain import ImageMLP

NETWORK = ImageMLP(classes=3, width=8, depth=1)
WHOLE = Contrastive(NETWORK, width=5)


def test_each_view_goes_through_the_network_and_the_head():
    views = jax.random.normal(jax.random.key(0), (2, 4, 6, 6, 3))
    pairs = jnp.concatenate(list(views), axis=-1)
    variables = jax.jit(WHOLE.init)(jax.random.key(1), pairs)
    projections, found = jax.jit(WHOLE.apply)(variables, pairs)
    assert projections.shape == (4, 2, 5) and projections.dtype == jnp.float32
    params = variables["params"]
    for number, view in enumerate(views):
        own = {"params": params["network"]}
        features = np.asarray(jax.jit(NETWORK.apply)(own, view)[1]["features"])
        np.testing.assert_allclose(found["features"][:, number], features, rtol=1e-5)
        first, last = (
            [np.asarray(params[layer][part]) for part in ("kernel", "bias")]
            for layer in ("hidden", "projection")
        )
        hidden = features @ first[0] + first[1]
        expected = np.maximum(hidden, 0) @ last[0] + last[1]
        np.testing.assert_allclose(projections[:, number], expected, atol=1e-5)
