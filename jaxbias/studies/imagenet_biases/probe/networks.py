"""Networks to be measured: weights of one architecture, stacked, and one function."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxbias.arrays import Params
from jaxbias.files import UsageError
from jaxbias.models import catalogue
from jaxbias.models.torch_weights import State, WeightsError, convert, read_state
from jaxbias.studies.imagenet_biases.probe.config import Config, names_of

_HEAD = re.compile(r"(fc|head|head\.fc|heads\.head|classifier\.\d+)\.bias")


@dataclass(frozen=True)
class Networks:
    """Networks of one architecture.

    Attributes:
        names: What each is called.
        params: Their variables, stacked on the host.
        entry: Of the catalogue.
        classes: Outputs.
        mean: Subtracted from images.
        sd: Images are divided by it.
        precision: Of products.
    """

    names: tuple[str, ...]
    params: Params
    entry: catalogue.Entry
    classes: int
    mean: tuple[float, ...]
    sd: tuple[float, ...]
    precision: str = "highest"

    def predict(
        self, params: Params, images: Float[Array, "image height width 3"]
    ) -> Float[Array, "image class"]:
        """Logits of one network, of images on the scale 0 to 1."""
        shape = (1, 1, 1, -1)
        mean = jnp.asarray(self.mean, jnp.float32).reshape(shape)
        sd = jnp.asarray(self.sd, jnp.float32).reshape(shape)
        network = self.entry.make(self.classes, jnp.float32)
        with jax.default_matmul_precision(self.precision):
            return network.apply(params, (images - mean) / sd)[0]


def outputs(state: State) -> int | None:
    """Number of classes that weights have; None if it cannot be told."""
    heads = [name for name in state if _HEAD.fullmatch(name)]
    if not heads:
        return None
    # The classifier of AlexNet and VGG has several layers.
    last = max(heads, key=lambda name: [int(n) for n in re.findall(r"\d+", name)])
    return len(state[last])


def load(config: Config, classes: int | None) -> Networks:
    """Read all weights.

    Args:
        config: Says which, of what.
        classes: That images have; None takes those of the weights.

    Raises:
        UsageError: Naming the option, for files that cannot be read, of another
            architecture or another number of classes.
    """
    try:
        entry = catalogue.entry(config.model)
    except catalogue.UnknownModelError as error:
        raise UsageError(f"--model: {error}") from error
    found: list[Any] = []
    for path in config.weights:
        try:
            state = read_state(Path(path))
            there = outputs(state)
            classes = classes or there
            if classes is None:
                raise UsageError(f"--weights: {path}: weights of no known classifier")
            if there is not None and there != classes:
                what = "classes of the images" if config.imagenet else "of the first"
                raise UsageError(
                    f"--weights: {path}: {there} classes, {classes} {what}"
                )
            found.append(convert(config.model, state, _shapes(entry, classes, config)))
        except WeightsError as error:
            raise UsageError(f"--weights: {path}: {error}") from error
    assert classes is not None
    return Networks(
        names=names_of(config),
        params=jax.tree.map(lambda *leaves: np.stack(leaves), *found),
        entry=entry,
        classes=classes,
        mean=config.mean or entry.mean,
        sd=config.sd or entry.sd,
        precision=config.precision,
    )


def _shapes(entry: catalogue.Entry, classes: int, config: Config) -> Any:
    """The variables of a network, as shapes."""
    images = jax.ShapeDtypeStruct((1, config.size, config.size, 3), jnp.float32)
    network = entry.make(classes, jnp.float32)
    return jax.eval_shape(network.init, jax.random.key(0), images)
