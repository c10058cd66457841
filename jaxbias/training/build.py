"""From a recipe, as data, to the task that steps are made of.

A task is a loss, an optimiser, its schedule and the augmentation, all of them pure
functions.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxbias.arrays import Array, RandomKey
from jaxbias.data import augmentation
from jaxbias.data.randaugment import randaugment
from jaxbias.models import catalogue
from jaxbias.training import optimisers
from jaxbias.training.feeds import PROGRAMS
from jaxbias.training.objectives import CLASSIFICATION, Objective
from jaxbias.training.optimisers import Pace
from jaxbias.training.recipes import Change, Recipe
from jaxbias.training.steps import (
    Augment,
    Images,
    Keys,
    Seen,
    Targets,
    Task,
    View,
    as_they_are,
    keys_of,
)

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_SD = (0.26862954, 0.26130258, 0.27577711)

SWITCH = 0.5
"""How often cutmix is taken where both it and mixup are wanted, as timm does."""

VIEW = 2**31
"""Folded into a step's key for what views draw."""

MIXES = ("mixup", "cutmix")
"""Changes of several images at once: they come last."""


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What a network is shown of an image, in training as at evaluation.

    Attributes:
        size: Side of the square that it sees, in pixels: resized-crop makes it, without
            one it is the central square. None is the whole image.
        change: A transform of the images, with a key for each.
        before: Transform the whole images, and crop and augment what comes out; otherwise
            it is the last but mixing and normalisation.
        mean: Of the channels that come out, where they are not the images' own.
        sd: Of the same.
    """

    size: int | None = None
    change: Callable[[Keys, Images], Array] | None = None
    before: bool = False
    mean: tuple[float, ...] | None = None
    sd: tuple[float, ...] | None = None

    def view(self) -> View:
        """At evaluation."""

        def view(keys: Keys, images: Images) -> Array:
            if self.change is not None and self.before:
                images = self.change(keys, images)
            if self.size is not None:
                images = augmentation.central(images, self.size)
            if self.change is not None and not self.before:
                images = self.change(keys, images)
            return images

        return as_they_are if self == WHOLE else view


WHOLE = Shown()
"""The images as they are."""

DTYPES: Mapping[str, Any] = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}


def task(
    recipe: Recipe,
    *,
    classes: int,
    size: int,
    epoch_steps: int,
    mean: tuple[float, ...],
    sd: tuple[float, ...],
    shown: Shown = WHOLE,
    entry: catalogue.Entry | None = None,
    objective: Objective = CLASSIFICATION,
) -> Task:
    """Make the task of a recipe.

    Args:
        recipe: What to do.
        classes: Number of classes.
        size: Side of the images, in pixels.
        epoch_steps: Steps of an epoch.
        mean: Of the training set's channels, on the scale 0 to 1; for images of one
            channel, one number.
        sd: Of the channels.
        shown: What the network is shown of an image.
        entry: The model; None takes the one that the catalogue has by the recipe's name.
        objective: What the model is trained for.

    Returns:
        Equal ones for what differs in `epoch_steps` alone.

    Raises:
        UnknownModelError: If the catalogue has no such model.
        ValueError: If the schedule cannot be that short.
    """
    if entry is None:
        entry = catalogue.entry(recipe.model)
    pace = pace_of(recipe, epoch_steps)
    rate(recipe, pace), _momentum(recipe, pace)  # Raises where one cannot be.
    return replace(
        _task(recipe, classes, size, mean, sd, shown, entry, objective), pace=pace
    )


@lru_cache(maxsize=PROGRAMS)
def _task(
    recipe: Recipe,
    classes: int,
    size: int,
    mean: tuple[float, ...],
    sd: tuple[float, ...],
    shown: Shown,
    entry: catalogue.Entry,
    objective: Objective,
) -> Task:
    """See `task`: all but the length of the training."""
    if recipe.normalise == "model":
        mean, sd = entry.mean[: len(mean)], entry.sd[: len(sd)]
    elif recipe.normalise == "clip":
        mean, sd = CLIP_MEAN[: len(mean)], CLIP_SD[: len(sd)]
    mean, sd = shown.mean or mean, shown.sd or sd
    return Task(
        model=entry.make(classes, DTYPES[recipe.dtype]),
        optimiser=_optimiser(recipe, entry),
        classes=classes,
        mean=mean,
        sd=sd,
        augment=augment(recipe, size, shown),
        view=shown.view(),
        smoothing=recipe.smoothing,
        accumulate=recipe.accumulate,
        ema_decay=recipe.ema_decay,
        ema_ramp=recipe.ema_ramp,
        lookahead=optimisers.Lookahead() if recipe.lookahead else None,
        prepare=entry.prepare,
        objective=objective,
    )


def total_steps(recipe: Recipe, epoch_steps: int) -> int:
    """Steps of a whole training; the last epoch may be cut short."""
    return _steps(recipe.epochs, epoch_steps)


def _steps(epochs: float | int, epoch_steps: int) -> int:
    # Rounded first: 1.1 epochs of 10 steps are 11.000000000000002.
    return math.ceil(round(epochs * epoch_steps, 6))


def pace_of(recipe: Recipe, epoch_steps: int) -> Pace:
    """How long the training of a recipe is."""
    return Pace(epoch_steps, total_steps(recipe, epoch_steps))


def rate(recipe: Recipe, pace: Pace) -> optimisers.Schedule:
    """The learning rate of a recipe, by step."""
    (peak, _), steps = _coupled(recipe), pace.total
    if recipe.schedule == "one-cycle":
        return optimisers.one_cycle(peak, steps, rise=recipe.rise)
    if recipe.schedule == "one-cycle-epochs":
        by_epoch = optimisers.one_cycle(
            peak, math.ceil(recipe.epochs), rise=recipe.rise
        )
        return optimisers.per_epoch(by_epoch, pace.epoch)
    if recipe.schedule in ("cosine", "warm-up"):
        warmup = jnp.minimum(jnp.round(recipe.rise * steps), steps - 1)
        end = peak if recipe.schedule == "warm-up" else 0.0
        return optimisers.warmup_cosine(peak, steps, warmup=warmup, end=end)
    if recipe.schedule == "triangular":
        return optimisers.triangular(peak, steps, rise=recipe.rise, start=0.2, end=0.07)
    return lambda step: jnp.float32(peak)


def _coupled(recipe: Recipe) -> tuple[float, float]:
    """Largest learning rate and weight decay, in PyTorch's units for a mean loss."""
    if not recipe.decoupled:
        return recipe.rate, recipe.weight_decay
    return optimisers.decoupled(
        recipe.rate, recipe.weight_decay, momentum=recipe.momentum, batch=recipe.batch
    )


def _momentum(recipe: Recipe, pace: Pace) -> float | optimisers.Schedule:
    if not recipe.cycle_momentum:
        return recipe.momentum
    if recipe.schedule == "one-cycle-epochs":
        epochs = math.ceil(recipe.epochs)
        by_epoch = optimisers.cycled_momentum(epochs, rise=recipe.rise)
        return optimisers.per_epoch(by_epoch, pace.epoch)
    return optimisers.cycled_momentum(pace.total, rise=recipe.rise)


def _optimiser(
    recipe: Recipe, entry: catalogue.Entry
) -> optax.GradientTransformationExtraArgs:
    """The optimiser of a recipe, which is told the pace at each update."""
    if recipe.forget and recipe.schedule != "constant":
        raise ValueError(f"to forget, with a rate by {recipe.schedule!r}")
    whole = _adamw if recipe.optimiser == "adamw" else _sgd

    def make(pace: Pace) -> optax.GradientTransformation:
        made = whole(recipe, pace)
        if recipe.forget:
            made = optimisers.forgetting(made, pace.epoch)
        # Less a little: 1.1 epochs of 10 steps are more than 11 in single precision.
        early = jnp.ceil(recipe.early_epochs * pace.epoch - 1e-3)
        limits: dict[str, Any] = dict.fromkeys(entry.fixed, 0)
        limits |= dict.fromkeys(entry.early, early)
        return optax.chain(made, optimisers.trained_for(limits)) if limits else made

    return optimisers.paced(make)


def _adamw(recipe: Recipe, pace: Pace) -> optax.GradientTransformation:
    return optimisers.adamw(
        rate(recipe, pace),
        b1=recipe.beta1,
        b2=recipe.beta2,
        weight_decay=recipe.weight_decay,
        decay_everything=recipe.decay_everything,
    )


def _sgd(recipe: Recipe, pace: Pace) -> optax.GradientTransformation:
    return optimisers.sgd(
        rate(recipe, pace),
        momentum_decay=_momentum(recipe, pace),
        nesterov=recipe.nesterov,
        weight_decay=_coupled(recipe)[1],
        decay_everything=recipe.decay_everything,
        bias_rate=recipe.bias_rate,
    )


def augment(recipe: Recipe, size: int, shown: Shown = WHOLE) -> Augment:
    """The augmentation of a recipe: its changes, one after the other, and the view."""
    mixes: tuple[Change, ...]
    places: tuple[Change, ...]
    mixes = tuple(name for name in recipe.augment if name in MIXES)
    places = tuple(name for name in recipe.augment if name not in MIXES)
    side = size if shown.size is None else shown.size

    def change(
        key: RandomKey, images: Images, targets: Targets, seen: Seen
    ) -> tuple[Array, Targets]:
        # Folded and cloned, so that a view changes nothing else that is drawn.
        each = keys_of(jax.random.fold_in(jax.random.clone(key), VIEW), seen.index)
        *keys, last = jax.random.split(key, len(places) + 1)
        if shown.change is not None and shown.before:
            images = shown.change(each, images)
        if "resized-crop" not in places and shown.size is not None:
            images = augmentation.central(images, side)
        for own, name in zip(keys, places, strict=True):
            images = _changed(name, own, images, recipe, side, seen)
        if shown.change is not None and not shown.before:
            images = shown.change(each, images)
        return _mixed(mixes, last, images, targets, recipe)

    return change


def _changed(
    name: Change, key: RandomKey, images: Images, recipe: Recipe, size: int, seen: Seen
) -> Array:
    if name == "crop":
        return augmentation.pad_and_crop(
            key, images, recipe.padding, reflect=recipe.reflect
        )
    if name == "flip":
        return augmentation.random_flip(key, images)
    if name == "alternating-flip":
        return augmentation.alternating_flip(seen.key, images, seen.index, seen.epoch)
    if name == "resized-crop":
        return augmentation.random_resized_crop(
            key, images, size, area=recipe.crop_area
        )
    if name == "randaugment":
        return randaugment(key, images)
    if name == "timm-randaugment":
        return randaugment(
            key, images, space="timm", magnitude_std=0.5, increasing=True
        )
    if name == "colour-jitter":
        return augmentation.colour_jitter(
            key,
            images,
            brightness_range=recipe.jitter,
            contrast_range=recipe.jitter,
            saturation_range=recipe.jitter,
        )
    return augmentation.random_erasing(key, images)


def _mixed(
    mixes: tuple[Change, ...],
    key: RandomKey,
    images: Images,
    targets: Targets,
    recipe: Recipe,
) -> tuple[Array, Targets]:
    """Mixup, cutmix, either with probability one half, or nothing."""

    def mixup(key: RandomKey) -> tuple[Array, Targets]:
        return augmentation.mixup(key, images, targets, recipe.mixup_alpha)

    def cutmix(key: RandomKey) -> tuple[Array, Targets]:
        return augmentation.cutmix(key, images, targets, recipe.cutmix_alpha)

    if not mixes:
        return images, targets
    if len(mixes) == 1:
        return mixup(key) if mixes == ("mixup",) else cutmix(key)
    which, own = jax.random.split(key)
    chosen = jax.random.bernoulli(which, SWITCH)
    return jax.lax.cond(chosen, cutmix, mixup, own)
