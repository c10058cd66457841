"""What is particular to each kind of generator that `image_generators` times."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import training
from jaxbias.models.adaptive_adversaries import LAZY
from jaxbias.models.cdcgan import NOISE
from jaxbias.models.stylegan2 import Generator
from jaxbias.numerics.diffusion import Sampler
from jaxbias.studies.generative_augmentation.generator.config import SIZE, Config

CLASSES = 10


class Kind(Protocol):
    """What is particular to a kind of generator; the other side has its own."""

    def start(self, key: Any, count: int, config: Config) -> np.ndarray:
        """What images are drawn from, as `networks.drawer` draws it."""
        ...

    def given(self, count: int) -> dict[str, np.ndarray]:
        """What else `outputs` is given, beside pixels, labels and start."""
        ...

    def outputs(
        self, model: Any, variables: Any, given: Mapping[str, Any]
    ) -> dict[str, Any]:
        """What both sides must agree on."""
        ...

    def flops(self, model: Any, variables: Any, config: Config) -> dict[str, float]:
        """Of one image, by part."""
        ...


def one_hot(labels: Any) -> jax.Array:
    return jax.nn.one_hot(jnp.asarray(labels), CLASSES)


class OfEdm:
    """A denoiser."""

    def start(self, key: Any, count: int, config: Config) -> np.ndarray:
        del config
        first, _ = jax.random.split(key)
        shape = (count, SIZE, SIZE, 3)
        return np.asarray(jax.random.normal(first, (int(np.prod(shape)),))).reshape(
            shape
        )

    def given(self, count: int) -> dict[str, np.ndarray]:
        random = np.random.default_rng(1)
        level = np.exp(random.normal(-1.2, 1.2, count))
        noise = random.normal(size=(count, SIZE, SIZE, 3))
        noisy = (0.25 + level[:, None, None, None] ** 2) ** 0.5 * noise
        return {"level": level.astype(np.float32), "noisy": noisy.astype(np.float32)}

    def outputs(
        self, model: Any, variables: Any, given: Mapping[str, Any]
    ) -> dict[str, Any]:
        args = given["noisy"], given["level"], one_hot(given["labels"])
        args = [jnp.asarray(one) for one in args]
        return {"denoised": model.apply(variables, *args, method="denoised")}

    def flops(self, model: Any, variables: Any, config: Config) -> dict[str, float]:
        image = jnp.zeros((1, SIZE, SIZE, 3))
        one = training.layer_flops(lambda: model.apply(variables, image))
        calls = Sampler(steps=config.steps).calls
        return {"training": 3 * one, "sampling": calls * one}


class OfCdcgan:
    """A generator and its discriminator."""

    def start(self, key: Any, count: int, config: Config) -> np.ndarray:
        del config
        return np.asarray(jax.random.normal(key, (count * NOISE,))).reshape(-1, NOISE)

    def given(self, count: int) -> dict[str, np.ndarray]:
        return {}

    def outputs(
        self, model: Any, variables: Any, given: Mapping[str, Any]
    ) -> dict[str, Any]:
        classes, found = one_hot(given["labels"]), {}
        images = jnp.asarray(given["pixels"]).astype(jnp.float32) / 127.5 - 1
        for train in (False, True):
            run = lambda name, *given, train=train: getattr(model, name).apply(  # noqa: E731
                {group: own[name] for group, own in variables.items()},
                *(*given, train),
                mutable=["batch_stats"],
            )[0]
            made = run("generator", jnp.asarray(given["start"]), classes)
            found[f"made {train}"] = made
            found[f"real {train}"] = run("discriminator", images, classes)
            found[f"fake {train}"] = run("discriminator", made, classes)
        return found

    def flops(self, model: Any, variables: Any, config: Config) -> dict[str, float]:
        own = {
            name: {group: one[name] for group, one in variables.items()}
            for name in ("generator", "discriminator")
        }
        classes, image = jnp.zeros((1, CLASSES)), jnp.zeros((1, SIZE, SIZE, 3))
        make = training.layer_flops(
            lambda: model.generator.apply(
                own["generator"], jnp.zeros((1, NOISE)), classes
            )
        )
        judge = training.layer_flops(
            lambda: model.discriminator.apply(own["discriminator"], image, classes)
        )
        # Forward and both gradients of real and made images; where the generator learns,
        # not that of the discriminator's weights.
        return {"training": 3 * make + 8 * judge, "sampling": make}


class OfStylegan2:
    """A generator by styles and its discriminator; nothing is augmented."""

    def start(self, key: Any, count: int, config: Config) -> np.ndarray:
        each = config.factors[-1] * config.width + PIXELS
        return np.asarray(jax.random.normal(key, (count * each,))).reshape(-1, each)

    def given(self, count: int) -> dict[str, np.ndarray]:
        return {}

    def outputs(
        self, model: Any, variables: Any, given: Mapping[str, Any]
    ) -> dict[str, Any]:
        classes, start = one_hot(given["labels"]), jnp.asarray(given["start"])
        images = jnp.asarray(given["pixels"]).astype(jnp.float32) / 127.5 - 1
        own = {name: {"params": params} for name, params in variables["params"].items()}
        width = model.generator.width
        noise, added = start[:, :width], start[:, width:]
        made = model.generator.apply(own["generator"], noise, classes, added)
        judge = partial(model.discriminator.apply, own["discriminator"])
        slope = jax.grad(lambda images: judge(images, classes).sum())(images)
        return {
            "made": made,
            "fake": judge(made, classes),
            "real": judge(images, classes),
            "squares": jnp.sum(slope**2, axis=(1, 2, 3)),
        }

    def flops(self, model: Any, variables: Any, config: Config) -> dict[str, float]:
        own = {name: {"params": params} for name, params in variables["params"].items()}
        classes, image = jnp.zeros((1, CLASSES)), jnp.zeros((1, SIZE, SIZE, 3))
        start = jnp.zeros((1, model.generator.width)), jnp.zeros((1, PIXELS))
        make = training.layer_flops(
            lambda: model.generator.apply(own["generator"], start[0], classes, start[1])
        )
        judge = training.layer_flops(
            lambda: model.discriminator.apply(own["discriminator"], image, classes)
        )
        # R1: there and back to the image, and back through both, once for the weights and
        # once for what they are multiplied with.
        return {"training": 3 * make + (8 + 6 / LAZY) * judge, "sampling": make}


PIXELS = Generator().pixels
"""Numbers of noise that StyleGAN2 adds to an image's features."""

KINDS: Mapping[str, Kind] = {
    "edm": OfEdm(),
    "cdcgan": OfCdcgan(),
    "stylegan2": OfStylegan2(),
}
"""To measure another: a class here, one on the other side, and `image_generators.CASES`."""
