"""Tasks that compare two views of each image, which come as one entry of a batch."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
from jaxtyping import Array

from jaxbias.arrays import RandomKey
from jaxbias.models import catalogue
from jaxbias.models.contrastive import VIEWS, Contrastive
from jaxbias.training import build, steps
from jaxbias.training.objectives import Objective
from jaxbias.training.recipes import Recipe
from jaxbias.training.steps import Task

Pair = Callable[[RandomKey, Array], Array]
"""From an image on the scale 0 to 1 to two views of it, stacked on channels."""


def task(
    recipe: Recipe,
    *,
    pair: Pair,
    objective: Objective,
    width: int | None = 128,
    entry: catalogue.Entry | None = None,
    **options: Any,
) -> Task:
    """A network of the catalogue that is trained on pairs of views.

    Args:
        recipe: What to do; its augmentation is left out.
        pair: Makes the views, in training as at evaluation.
        objective: On outputs (image, 2, width), such as `objectives.contrast`.
        width: Of the projection; None compares the features themselves.
        entry: The network; None takes the one that the catalogue has by the recipe's name.
        options: See `build.task`.
    """
    entry = catalogue.entry(recipe.model) if entry is None else entry
    inner = entry.make
    both = replace(
        entry,
        make=lambda classes, dtype: Contrastive(
            inner(classes, dtype), width=width, dtype=dtype
        ),
    )
    made = build.task(recipe, entry=both, objective=objective, **options)
    mapped = jax.vmap(pair)

    def augment(
        key: RandomKey,
        images: steps.Images,
        targets: steps.Targets,
        seen: steps.Seen,
    ) -> tuple[Array, Array]:
        del seen
        return mapped(jax.random.split(key, len(images)), images), targets

    mean, sd = made.mean * VIEWS, made.sd * VIEWS
    return replace(made, mean=mean, sd=sd, augment=augment, view=mapped)
