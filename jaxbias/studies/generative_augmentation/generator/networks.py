"""The networks of a generator, how they are trained, and how images are drawn from them."""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxbias.arrays import RandomKey
from jaxbias.data import adaptive_augmentation
from jaxbias.data.geometric_augmentation import Geometric
from jaxbias.models import stylegan2
from jaxbias.models.adaptive_adversaries import AdaptiveAdversaries
from jaxbias.models.adversaries import Adversaries
from jaxbias.models.catalogue import HALF, Entry
from jaxbias.models.cdcgan import NOISE, Discriminator, Generator
from jaxbias.models.denoiser import Denoiser
from jaxbias.models.unet import UNet
from jaxbias.numerics import diffusion
from jaxbias.studies.generative_augmentation.generator.config import SIZE, Config
from jaxbias.training import build
from jaxbias.training.feeds import PROGRAMS
from jaxbias.training.fit import Looks
from jaxbias.training.objectives import ADVERSARIAL, DENOISING, PENALISED
from jaxbias.training.recipes import Recipe
from jaxbias.training.steps import Task, TrainState

Draw = Callable[[RandomKey, Array], Array]
"""From a key and classes to images, uint8, NHWC."""

BETAS = {"cdcgan": (0.5, 0.999), "edm": (0.9, 0.999), "stylegan2": (0.0, 0.99)}
"""Of Adam, as published."""

OBJECTIVES = {"cdcgan": ADVERSARIAL, "edm": DENOISING, "stylegan2": PENALISED}


def recipe_of(config: Config) -> Recipe:
    """Adam at a constant rate, after a linear rise if one is asked for."""
    beta1, beta2 = BETAS[config.kind]
    decay = None
    if config.average is not None and config.kind != "cdcgan":
        decay = 0.5 ** (config.batch / config.average)
    return Recipe(
        model=config.kind,
        epochs=config.epochs,
        batch=config.batch,
        optimiser="adamw",
        rate=config.rate,
        schedule="warm-up" if config.rise else "constant",
        rise=config.rise,
        beta1=beta1,
        beta2=beta2,
        weight_decay=0.0,
        # EDM mirrors half of its images, here or where it is told; cDCGAN is shown none.
        augment=("flip",) if config.kind == "edm" and not config.augmented else (),
        ema_decay=decay,
        ema_ramp=None if decay is None else 0.05,
    )


LOOKS = 50
"""Times that the probability of augmentation is read in a training."""


def looks_of(config: Config, images: int) -> Looks | None:
    """What is found out of stylegan2 in the course of its training: the probability."""
    if config.kind != "stylegan2":
        return None
    steps = build.total_steps(recipe_of(config), max(1, images // config.batch))
    at = tuple(dict.fromkeys(steps * i // LOOKS for i in range(LOOKS + 1)))

    def look(task: Task, state: TrainState) -> dict[str, float]:
        del task
        return {"probability": float(state.batch_stats["probability"])}

    return Looks(at, look)


def maker(config: Config) -> Callable[..., Task]:
    """What makes the task of the recipe; see `fit.fit`."""
    makes: dict[str, Callable] = {
        "cdcgan": _adversaries,
        "edm": _denoiser,
        "stylegan2": _adaptive_adversaries,
    }
    make = partial(makes[config.kind], config)
    entry = Entry(make=make, size=SIZE, mean=HALF, sd=HALF, source=config.kind)
    return partial(build.task, entry=entry, objective=OBJECTIVES[config.kind])


def _adversaries(config: Config, classes: int, dtype: Any) -> Adversaries:
    return Adversaries(
        Generator(width=config.width, dtype=dtype),
        Discriminator(width=config.width // 2, dtype=dtype),
        noise=NOISE,
        classes=classes,
    )


def _denoiser(config: Config, classes: int, dtype: Any) -> Denoiser:
    network = UNet(
        width=config.width,
        factors=config.factors,
        blocks=config.blocks,
        attended=config.attended,
        dropout=config.dropout,
        dtype=dtype,
    )
    if not config.augmented:
        return Denoiser(network, classes=classes)
    augment = Geometric(config.augmented)
    return Denoiser(network, classes, augment, augment.numbers)


def _adaptive_adversaries(
    config: Config, classes: int, dtype: Any
) -> AdaptiveAdversaries:
    features = tuple(factor * config.width for factor in config.factors)
    options: dict[str, Any] = {
        "features": features,
        "width": features[-1],
        "dtype": dtype,
    }
    return AdaptiveAdversaries(
        stylegan2.Generator(**options),
        stylegan2.Discriminator(**options),
        classes,
        change=adaptive_augmentation.augmented if config.target < 1 else None,
        target=config.target,
        span=config.span,
        gamma=config.penalty,
    )


def drawer(config: Config, task: Task, state: TrainState) -> Draw:
    """What draws images from a trained generator, compiled for each number of them."""
    params = state.params if state.ema is None else state.ema
    variables = {"params": params, "batch_stats": state.batch_stats}
    return partial(_drawing(config, task), variables)


@lru_cache(maxsize=PROGRAMS)
def _drawing(config: Config, task: Task) -> Callable[..., Array]:
    """The program that draws, which equal generators share."""
    if config.kind == "cdcgan":
        return _from_generator(config, task)
    if config.kind == "stylegan2":
        return _from_styles(task)
    return _from_denoiser(config, task)


def _from_generator(config: Config, task: Task) -> Callable[..., Array]:
    network: Any = task.model.generator  # type: ignore[attr-defined]

    @jax.jit
    def draw(variables: Any, key: RandomKey, labels: Array) -> Array:
        noise = jax.random.normal(key, (len(labels) * NOISE,)).reshape(-1, NOISE)
        classes = jax.nn.one_hot(labels, task.classes)
        own = {name: values["generator"] for name, values in variables.items()}
        made, _ = network.apply(
            *(own, noise, classes, config.one_class), mutable=["batch_stats"]
        )
        return _pixels(made)

    return draw


def _from_styles(task: Task) -> Callable[..., Array]:
    """Noise is added as in training, and latents are as they come: truncation 1."""
    network: Any = task.model.generator  # type: ignore[attr-defined]

    @jax.jit
    def draw(variables: Any, key: RandomKey, labels: Array) -> Array:
        each = network.width + network.pixels
        flat = jax.random.normal(key, (len(labels) * each,)).reshape(-1, each)
        noise, added = flat[:, : network.width], flat[:, network.width :]
        classes = jax.nn.one_hot(labels, task.classes)
        own = {"params": variables["params"]["generator"]}
        made: Any = network.apply(own, noise, classes, added)
        return _pixels(made)

    return draw


def _from_denoiser(config: Config, task: Task) -> Callable[..., Array]:
    how = diffusion.Sampler(
        steps=config.steps,
        churn=config.churn,
        # Published for ImageNet at 64 x 64, where noise is added at all.
        churn_from=0.05,
        churn_to=50.0,
        churn_scale=1.003 if config.churn else 1.0,
    )

    @jax.jit
    def draw(variables: Any, key: RandomKey, labels: Array) -> Array:
        first, added = jax.random.split(key)
        shape = (len(labels), SIZE, SIZE, len(task.mean))
        start = jax.random.normal(first, (int(np.prod(shape)),)).reshape(shape)
        classes = jax.nn.one_hot(labels, task.classes)

        def denoise(x: Array, level: Array) -> Array:
            params = {"params": variables["params"]}
            found: Any = task.model.apply(
                *(params, x, level, classes), method="denoised"
            )
            return found

        return _pixels(diffusion.sampled(denoise, added, start, how))

    return draw


def _pixels(images: Array) -> Array:
    """From -1 to 1 to uint8."""
    return jnp.clip(jnp.round(127.5 * (images + 1)), 0, 255).astype(jnp.uint8)
