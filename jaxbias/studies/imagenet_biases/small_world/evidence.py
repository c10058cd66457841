"""Measure the networks of a small world, and bring them into the published table's form."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array

from jaxbias import rng
from jaxbias.arrays import Params, RandomKey
from jaxbias.data.archives import CIFAR10_CLASSES
from jaxbias.files import UsageError
from jaxbias.models import catalogue
from jaxbias.numerics.bootstrap import interval
from jaxbias.probes import shape_bias
from jaxbias.runs import RunDirectory
from jaxbias.studies.imagenet_biases.correlations import evidence as correlations
from jaxbias.studies.imagenet_biases.correlations.config import Config as Statistics
from jaxbias.studies.imagenet_biases.correlations.table import Table, column_of
from jaxbias.studies.imagenet_biases.probe.config import CHANGED
from jaxbias.studies.imagenet_biases.probe.config import Config as Probe
from jaxbias.studies.imagenet_biases.probe.counting import Material, Walk
from jaxbias.studies.imagenet_biases.probe.images import (
    VALIDATION,
    ImageSet,
    classes_of_categories,
    of_categories,
)
from jaxbias.studies.imagenet_biases.probe.networks import Networks
from jaxbias.studies.imagenet_biases.probe.profile import (
    MEANS,
    Profile,
    attack_name,
    profiled,
)
from jaxbias.studies.imagenet_biases.small_world import stimuli
from jaxbias.studies.imagenet_biases.small_world.config import Config
from jaxbias.studies.imagenet_biases.small_world.stimuli import Conflict, World
from jaxbias.studies.imagenet_biases.small_world.zoo import ADVERSARIAL, ZOO
from jaxbias.sweeps import Columns
from jaxbias.terminal import Reporter

RENAMED = {
    VALIDATION: "test",
    MEANS["corruptions"]: "corrupted",
    MEANS["c-bar"]: "corrupted-bar",
}
"""Benchmarks that the probe calls by ImageNet's names."""

OFFICIAL_SHAPE = "shape-bias/official"

Shown = tuple[tuple[str, int], ...]
"""Name and seed of each network that is measured."""


@dataclass(frozen=True)
class Evidence:
    """A run's tables.

    Attributes:
        results: A row for each network and seed: biases and accuracies.
        profile: Every count, from the probe.
        statistics: Correlations of the networks' means over seeds.
        config: What was asked.
        photographs: Whether the images are CIFAR-10's.
    """

    results: Columns
    profile: Profile
    statistics: correlations.Evidence
    config: Config
    photographs: bool


def asked_of_probe(config: Config, classes: int = 0) -> Probe:
    """The probe's options, where there are so many classes."""
    return Probe(
        model=config.model,
        imagenet=config.data,
        **{name: getattr(config, name) for name in config.official},
        categories=config.categories,
        images=config.images,
        clean_images=config.clean_images,
        size=config.size,
        resize=config.size,
        batch=100,
        pgd_steps=config.pgd_steps,
        pgd_radius=config.pgd_radius,
        pgd_step=config.pgd_step,
        band_strength=config.band_strength,
        # Of a thousand classes guessing is nothing; of ten, ratios would be to guessing.
        chance=1 / classes if classes else 0.0,
        resamples=config.resamples,
        seed=config.seed,
    )


def official_sets(
    config: Config, classes: int
) -> tuple[list[ImageSet], shape_bias.Classes]:
    """Official images of sixteen categories that are given, and their classes here.

    Raises:
        UsageError: Naming the option, for what cannot be used.
    """
    if not config.official:
        return [], {}
    asked = asked_of_probe(config)
    # Sizes of sets are limited for those of the networks' classes alone.
    asked = replace(asked, clean_images=0)
    sets = [of_categories(name, asked) for name in config.official]
    return sets, classes_of_categories(asked, classes)


def measured(
    shown: Shown,
    params: Params,
    world: World,
    config: Config,
    directory: RunDirectory,
    reporter: Reporter,
    classes: tuple[str, ...],
) -> tuple[Columns, Profile]:
    """Show everything to every network.

    Returns:
        A row for each network, and the probe's tables.
    """
    entry = catalogue.entry(config.model)
    names = tuple(_label(name, seed, config) for name, seed in shown)
    networks = Networks(names, params, entry, len(classes), entry.mean, entry.sd)
    official, of = official_sets(config, len(classes))
    sets = (*world.sets, *official)
    material = Material(networks, sets, CHANGED, config.images, of, real=None)
    asked = asked_of_probe(config, len(classes))
    walk = Walk(material, asked, directory)
    counts = walk.run(reporter)
    profile = profiled(material, asked, counts, walk.conditions)
    own = shape_biases(counts.answers[stimuli.CONFLICT], world.conflict, config)
    return _results(shown, profile, own), profile


def _label(name: str, seed: int, config: Config) -> str:
    return name if config.n_seeds == 1 else f"{name} {seed}"


def _results(shown: Shown, profile: Profile, own: Columns) -> Columns:
    columns: Columns = {
        "network": np.asarray([name for name, _ in shown]),
        "category": np.asarray([ZOO[name].category for name, _ in shown]),
        "seed": np.asarray([seed for _, seed in shown]),
    }
    others = {column_of(old): column_of(new) for old, new in RENAMED.items()}
    others["shape-bias"] = OFFICIAL_SHAPE
    found = {k: v for k, v in profile.results.items() if k != "model"}
    return columns | {others.get(k, k): v for k, v in found.items()} | own


def shape_biases(answers: np.ndarray, conflict: Conflict, config: Config) -> Columns:
    """Shape bias of each network on images in conflict, with an interval over sources.

    Args:
        answers: Classes, (image, network).
        conflict: What the images were made of.
        config: Says how often to resample.
    """
    shapes, textures = jnp.asarray(conflict.shapes), jnp.asarray(conflict.textures)
    marks = jax.vmap(lambda own: shape_bias.hits(own, shapes, textures))(
        jnp.asarray(answers.T)
    )
    both = jnp.stack([marks.shape, marks.texture]).astype(jnp.float32)
    by_shape, by_texture = both.sum(axis=2)
    trials = jnp.full_like(by_shape, len(answers))
    found = shape_bias.shape_bias(by_shape, by_texture, trials)
    key = rng.stream(jax.random.key(config.seed), "conflict")
    drawn = _resampled(both, conflict.made_from, key, resamples=config.resamples)
    low, high = interval(np.asarray(drawn, np.float64))
    return {
        "shape-bias": np.asarray(found.shape_bias, np.float64),
        "shape-bias/low": low,
        "shape-bias/high": high,
        "shape-bias/decided": np.asarray(found.decided, np.float64),
    }


@partial(jax.jit, static_argnames="resamples")
def _resampled(
    hits: Array, made_from: shape_bias.Sources, key: RandomKey, *, resamples: int
) -> Array:
    def one(key: RandomKey) -> Array:
        weights = shape_bias.image_weights(key, made_from).astype(jnp.float32)
        shape, texture = jnp.matmul(hits, weights, precision=lax.Precision.HIGHEST)
        return shape_bias.shape_bias(shape, texture, shape + texture).shape_bias

    return lax.map(one, jax.random.split(key, resamples))


# Statistics


def members(results: Columns, config: Config) -> dict[str, tuple[str, ...]]:
    """Benchmarks of each group of the paper's that there is one for."""
    wanted = {
        "ID": (RENAMED[VALIDATION],),
        "Robustness": (stimuli.HARD, *list(RENAMED.values())[1:]),
        "Concepts": (stimuli.POSTERS, stimuli.LINES, stimuli.STYLISED),
        "Adversarial": (attack_name(asked_of_probe(config)),),
    }
    there = {
        group: tuple(name for name in names if column_of(name) in results)
        for group, names in wanted.items()
    }
    return {group: names for group, names in there.items() if names}


def table_of(results: Columns, config: Config) -> Table:
    """The networks' means over seeds, as the published table has its models."""
    names = list(dict.fromkeys(results["network"].tolist()))
    rows = [results["network"] == name for name in names]
    numbers = {
        column: [repr(float(np.mean(values[own]))) for own in rows]
        for column, values in results.items()
        if column not in ("network", "category", "seed")
    }
    return Table(
        tuple(names),
        np.asarray([ZOO[name].category for name in names]),
        numbers,
        ADVERSARIAL,
        members=members(results, config),
    )


def gathered(
    results: Columns, profile: Profile, config: Config, classes: Sequence[str]
) -> Evidence:
    """Correlate.

    Raises:
        UsageError: If no bias could be told of every network.
    """
    table = table_of(results, config)
    if not table.biases:
        raise UsageError("--images: too few to tell any bias of every network")
    asked = Statistics(
        adversarial=ADVERSARIAL,
        significance=config.significance,
        resamples=config.resamples,
        permutations=config.permutations,
        seed=config.seed,
    )
    statistics = correlations.gathered(table, asked, audited=False)
    photographs = tuple(classes) == CIFAR10_CLASSES
    return Evidence(results, profile, statistics, config, photographs)
