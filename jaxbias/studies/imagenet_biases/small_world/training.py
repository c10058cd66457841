"""Train the networks of a small world: one task for each kind, and the weights kept."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util
from jaxtyping import Array

from jaxbias.arrays import Params, RandomKey
from jaxbias.data import transforms, views
from jaxbias.files import UsageError
from jaxbias.models import catalogue
from jaxbias.models.contrastive import NETWORK
from jaxbias.numerics.statistics import evenly
from jaxbias.probes import adversarial, linear
from jaxbias.probes.features import extract
from jaxbias.runs import RunDirectory
from jaxbias.studies.imagenet_biases.small_world.config import Config
from jaxbias.studies.imagenet_biases.small_world.zoo import ZOO, Network
from jaxbias.terminal import Reporter
from jaxbias.training import build, contrastive, fit, steps
from jaxbias.training.checkpoints import kept_or_made
from jaxbias.training.objectives import contrast
from jaxbias.training.recipes import Recipe, Running
from jaxbias.training.sets import Prepared
from jaxbias.training.steps import Task, TrainState

STEP_OF_RADIUS = 2.5
"""An attack's steps are this over their number times its radius (Madry et al. 2018)."""

LABELLED = 10_000
"""Images that the classifier on contrastive features is fitted to, at most."""

PIECE = 500
"""Images whose features, or answers, are computed at once."""

REFERENCE = "reference"
"""A baseline of another seed, which says which images are hard."""

BASELINE = "baseline"

Weights = dict[str, np.ndarray]
"""By path, with a leading axis of seeds."""


@dataclass(frozen=True)
class Sets:
    """What networks are trained and scored on.

    Attributes:
        plain: Training images.
        scored: Some validation images, for the log: all are shown to networks later.
        stylised: Makes the training images in the style of others of them, once.
        both: Makes the two sets in one.
    """

    plain: Prepared
    scored: Prepared
    stylised: Callable[[], Prepared]
    both: Callable[[], Prepared]

    def of(self, network: Network) -> Prepared:
        """What a network is trained on."""
        made = {"stylised": self.stylised, "both": self.both}
        return made[network.images]() if network.images in made else self.plain


def recipe_of(network: Network, config: Config, images: int, plain: int) -> Recipe:
    """A network's recipe; epochs are such that it sees as many images as the baseline."""
    epochs = config.epochs * network.longer * plain / images
    recipe = Recipe(
        model=config.model,
        epochs=float(epochs),
        batch=config.batch,
        rate=config.rate,
        padding=max(1, config.size // 16),
    )
    return replace(recipe, **network.recipe)


def trained(
    name: str, sets: Sets, config: Config, directory: RunDirectory, reporter: Reporter
) -> Weights:
    """The weights of all seeds of a network: of an earlier run, or trained now.

    Args:
        name: Of `ZOO`, or `REFERENCE`.
        sets: The images.
        config: Of the experiment.
        directory: Keeps weights, the log and checkpoints.
        reporter: Shows the progress.

    Returns:
        Nothing in a process that does not see what the writer has kept.
    """

    def make() -> Weights:
        network = ZOO[BASELINE if name == REFERENCE else name]
        start: Weights = {}
        if network.after:
            start = trained(network.after, sets, config, directory, reporter)
            if not start:
                raise UsageError("--out: a folder that not all processes see")
        parts = [
            _fitted(name, network, seed, start, sets, config, directory, reporter)
            for seed in _seeds(name, config, start)
        ]
        return {path: np.concatenate([p[path] for p in parts]) for path in parts[0]}

    return kept_or_made(f"weights-{name}", directory, make) or {}


def _seeds(name: str, config: Config, start: Weights) -> Iterator[tuple[int, int]]:
    """First seed and number of those that are trained in one go."""
    last = config.seed + config.n_seeds
    if name == REFERENCE:
        yield last, 1
    elif start:
        # Each from its own weights.
        yield from ((seed, 1) for seed in range(config.seed, last))
    else:
        yield config.seed, config.n_seeds


def _fitted(
    name: str,
    network: Network,
    seeds: tuple[int, int],
    start: Weights,
    sets: Sets,
    config: Config,
    directory: RunDirectory,
    reporter: Reporter,
) -> Weights:
    training = sets.of(network)
    recipe = recipe_of(network, config, len(training), len(sets.plain))
    own = {path: leaf[seeds[0] - config.seed] for path, leaf in start.items()}
    fitted = fit.fit(
        recipe,
        Running(
            seed=seeds[0], n_seeds=seeds[1], size=config.size, validate_every=10**6
        ),
        *(training, sets.scored, directory, reporter),
        case=f"weights-{name}" if not own else f"weights-{name}/{seeds[0]}",
        make=partial(task, network, config=config, start=own),
    )
    each = [_variables(state) for state in fitted.states]
    if network.views is not None:
        each = [_with_classifier(v, sets.plain, config.model) for v in each]
    flat = [traverse_util.flatten_dict(one, sep="/") for one in each]
    return {path: np.stack([np.asarray(f[path]) for f in flat]) for path in flat[0]}


def stacked(found: list[Weights]) -> Params:
    """Weights of several networks as one tree, with a leading axis of networks."""
    whole = {path: np.concatenate([w[path] for w in found]) for path in found[0]}
    return traverse_util.unflatten_dict(whole, sep="/")


def _variables(state: TrainState) -> Params:
    params = state.params if state.ema is None else state.ema
    return jax.device_get({"params": params, "batch_stats": state.batch_stats})


# Tasks


def task(
    network: Network, recipe: Recipe, *, config: Config, start: Weights, **options: Any
) -> Task:
    """The task of a network; `options` are those of `build.task`."""
    entry = catalogue.entry(recipe.model)
    if network.views is not None:
        asked = network.views
        return contrastive.task(
            recipe,
            pair=partial(views.pair, area=asked.area, strength=asked.strength),
            objective=contrast(asked.temperature),
            entry=entry,
            **options,
        )
    if network.frozen:
        entry = replace(entry, fixed=_filters(entry, config.size))
    if start:
        # Not in a closure as arrays of the program: `prepare` runs once, by itself.
        whole = traverse_util.unflatten_dict(start, sep="/")["params"]
        entry = replace(entry, prepare=lambda params, images: _arrays(whole))
    made = build.task(recipe, entry=entry, **options)
    if network.attack is not None:
        made = replace(made, attack=_attack(network, config))
    if network.change:
        made = replace(made, augment=_changing(network, config.size, made.augment))
    return made


def _arrays(tree: Params) -> Params:
    return jax.tree.map(jnp.asarray, tree)


def _filters(entry: catalogue.Entry, size: int) -> tuple[str, ...]:
    """Paths of the weights of convolutions over more than one pixel."""
    network = entry.make(2, jnp.float32)
    images = jax.ShapeDtypeStruct((1, size, size, 3), jnp.float32)
    params = jax.eval_shape(network.init, jax.random.key(0), images)["params"]
    shapes = jax.tree.map(lambda leaf: leaf.shape, params)
    flat: dict[str, Any] = traverse_util.flatten_dict(shapes, sep="/")
    return tuple(
        path for path, shape in flat.items() if len(shape) == 4 and max(shape[:2]) > 1
    )


def _attack(network: Network, config: Config) -> steps.Attack:
    assert network.attack is not None
    norm, radius = network.attack
    number = config.attack_steps

    def attack(
        predict: steps.Predict,
        params: Params,
        images: steps.Images,
        labels: steps.Labels,
        key: RandomKey,
    ) -> Array:
        return adversarial.pgd(
            *(predict, params, images, labels, key),
            norm=norm,
            radius=radius,
            step_size=STEP_OF_RADIUS * radius / number,
            num_steps=number,
            # The loop's convolutions are what is slow.
            unroll=jax.default_backend() == "cpu",
        )

    return attack


def _changing(network: Network, size: int, before: steps.Augment) -> steps.Augment:
    """Augmentation with a transform of half of the images first."""
    change = transforms.transform(network.change, size)

    def augment(
        key: RandomKey,
        images: steps.Images,
        targets: steps.Targets,
        seen: steps.Seen,
    ) -> tuple[Array, Array]:
        own, which, rest = jax.random.split(key, 3)
        chosen = jax.random.bernoulli(which, 0.5, (len(images), 1, 1, 1))
        images = jnp.where(chosen, change.apply(own, images), images)
        return before(rest, images, targets, seen)

    return augment


def _with_classifier(variables: Params, training: Prepared, model: str) -> Params:
    """The network within a contrastive one, its classifier fitted to frozen features."""
    inner = {kind: dict(tree[NETWORK]) for kind, tree in variables.items()}
    entry, classes = catalogue.entry(model), len(training.source.classes)
    network = entry.make(classes, jnp.float32)

    def features(
        weights: Params, pixels: steps.Pixels, index: Array
    ) -> dict[str, Array]:
        del index
        found: Any = network.apply(weights, _normalised(entry, pixels))
        return found[1]

    labels: list[np.ndarray] = []

    def batches() -> Iterator[np.ndarray]:
        for pixels, own in training.batches(PIECE):
            labels.append(own)
            yield pixels

    values = extract(features, inner, batches())
    chosen = evenly(len(values), LABELLED)
    probe = linear.fit(values[chosen], np.concatenate(labels)[chosen], classes)
    # Its standardisation goes into its weights; constants have none.
    kernel = probe.weights / probe.scale[:, None]
    bias = probe.bias - probe.mean @ kernel
    head = {"kernel": kernel.astype(np.float32), "bias": bias.astype(np.float32)}
    inner["params"]["head"] = head
    return inner


def _normalised(entry: catalogue.Entry, pixels: steps.Pixels) -> steps.Images:
    mean, sd = (
        np.asarray(x, np.float32).reshape(1, 1, 1, -1) for x in (entry.mean, entry.sd)
    )
    return (steps.as_floats(pixels) - mean) / sd


def answerer(
    weights: Weights, config: Config, classes: int
) -> Callable[[np.ndarray], np.ndarray]:
    """The classes that one network takes images for; of several seeds, the first."""
    entry = catalogue.entry(config.model)
    network = entry.make(classes, jnp.float32)
    own = jax.tree.map(lambda leaf: leaf[0], stacked([weights]))

    def logits(weights: Params, pixels: steps.Pixels, index: Array) -> dict[str, Array]:
        del index
        found: Any = network.apply(weights, _normalised(entry, pixels))
        return {"logits": found[0]}

    def answer(pixels: np.ndarray) -> np.ndarray:
        batches = (pixels[i : i + PIECE] for i in range(0, len(pixels), PIECE))
        return extract(logits, own, batches, layer="logits").argmax(axis=1)

    return answer
