"""Networks with a projection over two views, or beside what describes programs."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxbias.models.contrastive import Contrastive, Matched
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
        np.testing.assert_allclose(
            found["features"][:, number], features, rtol=1e-5, atol=1e-6
        )
        first, last = (
            [np.asarray(params[layer][part]) for part in ("kernel", "bias")]
            for layer in ("hidden", "projection")
        )
        hidden = features @ first[0] + first[1]
        expected = np.maximum(hidden, 0) @ last[0] + last[1]
        np.testing.assert_allclose(projections[:, number], expected, atol=1e-5)


def test_without_a_head_the_features_are_compared():
    pairs = jax.random.normal(jax.random.key(0), (4, 6, 6, 6))
    bare = Contrastive(NETWORK, width=None)
    variables = jax.jit(bare.init)(jax.random.key(1), pairs)
    assert set(variables["params"]) == {"network"}
    projections, found = jax.jit(bare.apply)(variables, pairs)
    np.testing.assert_array_equal(projections, found["features"])


def test_images_and_programs_are_brought_to_one_space():
    table = jax.random.normal(jax.random.key(2), (7, 3))
    whole = Matched(NETWORK, table=lambda: table, hidden=4, width=5)
    images = jax.random.normal(jax.random.key(0), (2, 6, 6, 3))
    variables = jax.jit(whole.init)(jax.random.key(1), images)
    cosines, found = jax.jit(whole.apply)(variables, images)
    params = jax.tree.map(np.asarray, variables["params"])
    line = lambda x, name: x @ params[name]["kernel"] + params[name]["bias"]  # noqa: E731
    image = line(np.asarray(found["features"]), "projection")
    program = line(np.maximum(line(np.asarray(table), "described"), 0), "placed")
    lengths = [np.linalg.norm(x, axis=1) for x in (image, program)]
    expected = image @ program.T / np.outer(*lengths)
    assert cosines.shape == (2, 7)
    np.testing.assert_allclose(cosines, expected, atol=1e-5)
