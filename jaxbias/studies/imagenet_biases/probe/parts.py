"""What a probe shows: images as they are, and under each part's conditions, on a device.

A step takes a batch, and the stacked weights of all networks as an argument: one program
for all of them, and stimuli are made once. Networks take turns in a `lax.map`: a Python
loop would compile the network again for each, and a `vmap` make grouped convolutions,
which are slow. Images go a few at a time, so that few stimuli are held.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh
from jaxtyping import Array, Bool, Float, Int

from jaxbias import rng, sweeps
from jaxbias.arrays import Params, RandomKey
from jaxbias.data import imagenet_c, imagenet_c_bar
from jaxbias.data.severities import Corruption
from jaxbias.probes import adversarial, critical_band, shape_bias, spectral_bias
from jaxbias.probes.paths import Function
from jaxbias.studies.imagenet_biases.probe.config import Config

ON_CPU, ON_ACCELERATOR = 32, 256
"""Stimuli that a network is shown at once on a device."""

WRONG, RIGHT, UNREAD = 0, 1, 2
"""What comes of an image; unread is a logit that is not finite."""

SEVERITIES = 5

Stimulus = Float[Array, "height width 3"]
Answers = Int[Array, "network image member"]


@dataclass(frozen=True)
class Part:
    """A part that shows each validation image under many conditions.

    Attributes:
        conditions: Their names, group by group.
        groups: How many; all have the same number of conditions.
        cost: Passes forward for an image.
        answer: Takes the stacked weights, a few images, a key and a label for each, and a
            group's number; gives `WRONG`, `RIGHT` or `UNREAD`.
    """

    conditions: tuple[str, ...]
    groups: int
    cost: int
    answer: Callable[[Params, Array, Array, Array, Array], Answers]

    @property
    def members(self) -> int:
        """Conditions of a group."""
        return len(self.conditions) // self.groups


def part(name: str, predict: Function, config: Config) -> Part:
    """The part of a name.

    Args:
        name: One of `config.CHANGED`.
        predict: Logits from the weights of one network and images.
        config: Says their size, and the attack.
    """
    if name == "spectral":
        conditions = tuple(f"{k} {cut:g}" for k, cut in spectral_bias.CONDITIONS)
        return _shown(
            predict, lambda key, image, group: spectral_bias.stimuli(image), conditions
        )
    if name == "critical-band":
        sizes = critical_band.conditions(config.size)
        conditions = tuple(f"sd {sd:g} band {band}" for sd, band in sizes)
        return _shown(
            predict,
            lambda key, image, group: critical_band.stimuli(
                image, jax.random.clone(key), strength=config.band_strength
            ),
            conditions,
        )
    if name == "adversarial":
        return _attacked(predict, config)
    which = imagenet_c if name == "corruptions" else imagenet_c_bar
    return _corrupted(predict, which.CORRUPTIONS)


def _shown(
    predict: Function,
    stimuli: Callable[[RandomKey, Stimulus, Array], Array],
    conditions: tuple[str, ...],
    groups: int = 1,
) -> Part:
    """A part whose stimuli are the same for all networks."""

    def answer(
        params: Params, images: Array, keys: Array, labels: Array, group: Array
    ) -> Answers:
        def of(some: tuple[Array, Array]) -> Array:
            return stimuli(*some, group)

        # One image after the other stays in a CPU's cache.
        each = jax.vmap(of) if len(images) == 1 or not _on_cpu() else _in_turn(of)
        shown = each((keys, images))
        flat = shown.reshape(-1, *shown.shape[2:])

        def of_one(own: Params) -> Array:
            logits = predict(own, flat).reshape(*shown.shape[:2], -1)
            return _outcome(logits, labels[:, None])

        return lax.map(of_one, params)

    return Part(conditions, groups, len(conditions), answer)


def _corrupted(predict: Function, table: dict[str, Corruption]) -> Part:
    """Each corruption is a group, of five severities of the same draw."""

    def severities(one: Corruption) -> Callable[[RandomKey, Stimulus], Array]:
        def all_of(key: RandomKey, image: Stimulus) -> Array:
            # Cloned: severities are meant to share the draw.
            return lax.map(
                lambda severity: one(jax.random.clone(key), image, severity),
                jnp.arange(1, SEVERITIES + 1),
            )

        return all_of

    branches = [severities(one) for one in table.values()]

    def stimuli(key: RandomKey, image: Stimulus, group: Array) -> Array:
        # A number and not a program for each: the network is compiled once.
        return lax.switch(group, branches, jax.random.fold_in(key, group), image)

    names = tuple(f"{n}_{s}" for n, s in product(table, range(1, SEVERITIES + 1)))
    return _shown(predict, stimuli, names, len(table))


def _attacked(predict: Function, config: Config) -> Part:
    """Right before and after the attack, which has a random start for each image."""

    def answer(
        params: Params, images: Array, keys: Array, labels: Array, group: Array
    ) -> Answers:
        def attack(own: Params, image: Array, key: RandomKey, label: Array) -> Array:
            # Cloned: every network is attacked from the same start.
            return adversarial.pgd(
                *(predict, own, image[None], label[None], jax.random.clone(key)),
                norm="linf",
                radius=config.pgd_radius,
                step_size=config.pgd_step,
                num_steps=config.pgd_steps,
            )[0]

        def of_one(own: Params) -> Array:
            attacked = jax.vmap(attack, (None, 0, 0, 0))(own, images, keys, labels)
            after = _outcome(predict(own, attacked), labels)
            before = _outcome(predict(own, images), labels)
            broken = (before == UNREAD) | (after == UNREAD)
            robust = jnp.minimum(before, after)
            return jnp.where(broken, UNREAD, robust)[:, None]

        return lax.map(of_one, params)

    return Part((f"PGD-{config.pgd_steps}",), 1, 3 * config.pgd_steps + 2, answer)


def _outcome(logits: Array, labels: Array) -> Array:
    right = jnp.argmax(logits, axis=-1) == labels
    finite = jnp.all(jnp.isfinite(logits), axis=-1)
    return jnp.where(finite, jnp.where(right, RIGHT, WRONG), UNREAD)


# Steps


def counter(one: Part, mesh: Mesh) -> Callable[..., Array]:
    """Compile the step that counts outcomes.

    Args:
        one: The part.
        mesh: Devices, over which images are spread.

    Returns:
        Takes weights, the part's key (an image's is that and its number), and of each
        image pixels (uint8), number, label and whether it counts; gives (device, network,
        condition, 2): right, and unread.
    """

    def counts(
        params: Params,
        key: RandomKey,
        pixels: Array,
        numbers: Array,
        labels: Array,
        real: Array,
    ) -> Array:
        keys = rng.member_keys(key, numbers)

        def few(some: tuple[Array, ...]) -> Array:
            images, keys, labels, real = some

            def group(number: Array) -> Array:
                found = one.answer(params, _floats(images), keys, labels, number)
                marks = jnp.stack([found == RIGHT, found == UNREAD], axis=-1)
                return jnp.sum(marks & real[None, :, None, None], axis=1)

            return lax.map(group, jnp.arange(one.groups))

        parts = _pieces((pixels, keys, labels, real), one.members)
        total = jnp.sum(lax.map(few, parts), axis=0)
        return jnp.moveaxis(total, 0, 1).reshape(1, -1, len(one.conditions), 2)

    return sweeps.spread(counts, mesh, replicated=2)


Decide = Callable[[Float[Array, "image class"], Bool[Array, " class"]], Array]
"""A number for each image, from its logits and which classes there are to choose among."""


def answerer(
    predict: Function, decide: Decide, mesh: Mesh
) -> Callable[[Params, np.ndarray, Array], Int[Array, "image network"]]:
    """Compile the step that notes what each network takes images for.

    Args:
        predict: Logits from the weights of one network and images.
        decide: `class_of`, or from `category_of`.
        mesh: Devices, over which images are spread.

    Returns:
        Takes weights, the classes to choose among, and pixels (uint8).
    """

    def answers(params: Params, allowed: Array, pixels: Array) -> Array:
        def few(images: Array) -> Array:
            shown = _floats(images)
            return lax.map(lambda own: decide(predict(own, shown), allowed), params)

        found = lax.map(few, _pieces(pixels, 1))
        return jnp.moveaxis(found, 1, 2).reshape(len(pixels), -1)

    return sweeps.spread(answers, mesh, replicated=2)


def class_of(logits: Array, allowed: Array) -> Array:
    """The most probable of the classes; -1 where a logit is not finite."""
    possible = jnp.where(allowed[None], logits, -jnp.inf)
    best = jnp.argmax(possible, axis=1).astype(jnp.int32)
    return jnp.where(jnp.all(jnp.isfinite(logits), axis=1), best, -1)


def category_of(classes: shape_bias.Classes, config: Config) -> Decide:
    """Decide for one of the sixteen categories; -1 where a logit is not finite."""

    def decide(logits: Array, allowed: Array) -> Array:
        del allowed  # A category has the classes that it has.
        scores = shape_bias.category_scores(logits, classes, config.aggregation)
        return shape_bias.decisions(scores)

    return decide


def _on_cpu() -> bool:
    return jax.default_backend() == "cpu"


def _in_turn(function: Callable) -> Callable:
    return lambda entries: lax.map(function, entries)


def _floats(pixels: Array) -> Array:
    return pixels.astype(jnp.float32) / 255


def _pieces(arrays: Any, members: int) -> Any:
    """Cut a device's images into pieces of equal size."""
    count = len(jax.tree.leaves(arrays)[0])
    most = (ON_CPU if _on_cpu() else ON_ACCELERATOR) // members
    size = max(n for n in range(1, max(1, most) + 1) if count % n == 0)

    def cut(leaf: Array) -> Array:
        return leaf.reshape(count // size, size, *leaf.shape[1:])

    return jax.tree.map(cut, arrays)


def padded(arrays: Sequence[np.ndarray], count: int) -> list[np.ndarray]:
    """Fill up a batch with copies of its first image."""
    return [np.concatenate([x, np.repeat(x[:1], count - len(x), 0)]) for x in arrays]
