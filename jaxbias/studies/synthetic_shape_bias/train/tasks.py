"""What a network is trained for: names, views, patches or parameters of programs.

Each supervision gives a task for the steps, and says how the trained network's features
are taken.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from functools import lru_cache, partial
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jaxtyping import Array

from jaxbias.data import views
from jaxbias.models import catalogue, mae
from jaxbias.models.contrastive import NETWORK, Matched
from jaxbias.studies.synthetic_shape_bias.train.config import (
    Config,
    Smoothing,
    Supervision,
)
from jaxbias.studies.synthetic_shape_bias.train.images import Sets
from jaxbias.training import build, contrastive, steps
from jaxbias.training.feeds import PROGRAMS
from jaxbias.training.objectives import (
    RECONSTRUCTION,
    contrast,
    match,
    supervised_contrast,
)
from jaxbias.training.recipes import Recipe
from jaxbias.training.steps import Task, TrainState

WITHIN = ("simclr", "supcon", "parameters")
"""Where the network is part of a larger one."""


def recipe_of(config: Config) -> Recipe:
    """AdamW, with a warm-up of a tenth of the training and a cosine after it; or Adam."""
    released = config.optimiser == "released"
    return Recipe(
        model=config.model,
        epochs=float(config.epochs),
        batch=config.batch,
        optimiser="adamw",
        rate=config.rate,
        schedule="constant" if released else "cosine",
        forget=released,
        rise=0.1,
        weight_decay=config.weight_decay,
        augment=("resized-crop", "flip"),
        crop_area=config.crop_area,
        normalise=config.normalise,
    )


def maker(config: Config, images: Sets) -> Callable[..., Task]:
    """What makes the task of a recipe; see `fit.fit`."""
    if config.supervision == "parameters":
        return partial(_matched, images)
    return partial(_task, Aim(**{f.name: getattr(config, f.name) for f in fields(Aim)}))


@dataclass(frozen=True)
class Aim:
    """Fields of a configuration that say what a network is trained for."""

    supervision: Supervision
    model: str
    head: bool
    temperature: float
    crop_area: tuple[float, float]
    jitter: float
    smoothing: Smoothing


@lru_cache(maxsize=PROGRAMS)
def _task(aim: Aim, recipe: Recipe, **options: Any) -> Task:
    """The same object for trainings that differ in their images alone."""
    if aim.supervision == "cross-entropy":
        return build.task(recipe, **options)
    if aim.supervision == "mae":
        entry = mae.MODELS[aim.model]
        return build.task(recipe, entry=entry, objective=RECONSTRUCTION, **options)
    objective = contrast if aim.supervision == "simclr" else supervised_contrast
    return contrastive.task(
        recipe,
        pair=partial(
            views.pair,
            area=aim.crop_area,
            strength=aim.jitter,
            smoothing=aim.smoothing,
        ),
        objective=objective(aim.temperature),
        width=128 if aim.head else None,
        **options,
    )


def _matched(images: Sets, recipe: Recipe, **options: Any) -> Task:
    assert images.table is not None
    table, entry = np.asarray(images.table), catalogue.entry(recipe.model)
    inner = entry.make
    whole = replace(
        entry,
        make=lambda classes, dtype: Matched(
            inner(classes, dtype), table=lambda: jnp.asarray(table), dtype=dtype
        ),
    )
    return build.task(recipe, entry=whole, objective=match(0.1), **options)


@dataclass(frozen=True)
class Features:
    """Takes the features of a network, in one compiled program for all of its states.

    Attributes:
        network: By itself, without what it is part of in training.
        within: Whether it is part of another.
        mean: Of the channels that it was trained on.
        sd: Of the same.
    """

    network: nn.Module
    within: bool
    mean: tuple[float, ...]
    sd: tuple[float, ...]

    @classmethod
    def of(cls, task: Task, config: Config) -> "Features":
        """Those of a task of this experiment."""
        within = config.supervision in WITHIN
        network = task.model.network if within else task.model  # type: ignore[attr-defined]
        return cls(network, within, task.mean[:3], task.sd[:3])

    def weights(self, state: TrainState) -> Any:
        """The network's own part of a state."""
        found = {"params": state.params, "batch_stats": state.batch_stats}
        if self.within:
            return {kind: tree.get(NETWORK, {}) for kind, tree in found.items()}
        return found

    def __call__(
        self, weights: Any, pixels: steps.Pixels, index: Array
    ) -> Mapping[str, Array]:
        """Named layers; see `probes.features.extract`."""
        del index
        mean, sd = (
            np.asarray(x, np.float32).reshape(1, 1, 1, -1) for x in (self.mean, self.sd)
        )
        found: Any = self.network.apply(weights, (steps.as_floats(pixels) - mean) / sd)
        return found[1]
