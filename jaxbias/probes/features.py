"""Features of frozen networks, for linear probes.

What a named layer gives for each image, averaged over places: the last features before
the answer where no other is asked for.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt8

Pixels = UInt8[Array, "image height width channel"]
Index = Int[Array, " image"]

Apply = Callable[[Any, Pixels, Index], Mapping[str, Array]]
"""From weights, images and their numbers in the set to named layers, images first.

Pure and traceable; of a network that was trained, it shows the images as training did:

    def apply(state, pixels, index):
        return steps.outputs(task, state, steps.shown(task, pixels, index))[1]
"""


def extract(
    apply: Apply,
    weights: Any,
    batches: Iterable[np.ndarray],
    *,
    layer: str = "features",
) -> Float[np.ndarray, "image feature"]:
    """What a layer makes of every image, in one compiled program.

    Args:
        apply: The network. The same function is compiled once for all calls.
        weights: What it is given first: any tree of arrays.
        batches: The images, uint8, NHWC, in order; none has more images than the first.
        layer: A name that `apply` gives. All axes between images and channels (rows and
            columns of a map; tokens, a class token among them) are averaged.

    Returns:
        float32, images in the order of the batches.

    Raises:
        ValueError: If there is no such layer, no image, or a batch larger than the first.
    """
    found: list[tuple[Array, int]] = []
    most = first = 0
    for pixels in batches:
        count = len(pixels)
        if not count:
            continue
        most = most or count
        if count > most:
            raise ValueError(f"a batch of {count} images after one of {most}")
        # Filled with the last image, so that one program serves all.
        places = np.minimum(np.arange(most, dtype=np.int32), count - 1)
        # Not waited for: the next batch is prepared while this one is computed.
        values = _layer(apply, layer, weights, pixels[places], first + places)
        found.append((values, count))
        first += count
    if not found:
        raise ValueError("no images to take features of")
    return np.concatenate([np.asarray(values)[:count] for values, count in found])


@partial(jax.jit, static_argnums=(0, 1))
def _layer(
    apply: Apply, layer: str, weights: Any, pixels: Pixels, index: Index
) -> Float[Array, "image feature"]:
    layers = apply(weights, pixels, index)
    if layer not in layers:
        raise ValueError(f"no layer {layer!r}: one of {', '.join(sorted(layers))}")
    values = layers[layer].astype(jnp.float32)
    return jnp.mean(values, axis=tuple(range(1, values.ndim - 1)))
