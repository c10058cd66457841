"""Answers counted by observer and image; shares, their intervals, error consistency."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array

from jaxbias import tables
from jaxbias.arrays import RandomKey
from jaxbias.data.cue_conflict import numbered, sources
from jaxbias.data.sixteen_categories import CATEGORIES
from jaxbias.data.trials import Trials
from jaxbias.numerics.bootstrap import counts, interval
from jaxbias.probes import shape_bias as probe
from jaxbias.studies.imagenet_biases.trials.config import Config
from jaxbias.sweeps import Columns

Ends = tuple[np.ndarray, np.ndarray]
"""Lower and upper ends of intervals, of (observers and pools, categories and all)."""

POOLED = "people"
"""Kind of the rows that pool all people of an experiment."""


@dataclass(frozen=True)
class Evidence:
    """A run's tables.

    Attributes:
        results: A row for each observer, people first, and for each pool of people.
        categories: The same for each category of the shape.
        consistency: A row for each pair of observers; empty for a single one.
    """

    results: Columns
    categories: Columns
    consistency: Columns


@dataclass(frozen=True)
class _Counts:
    """Trials of each observer on each image, (observer, image), int64."""

    shape: np.ndarray
    texture: np.ndarray
    conflict: np.ndarray
    right: np.ndarray
    shown: np.ndarray


@dataclass(frozen=True)
class _Pool:
    """All people of one experiment."""

    name: str
    experiment: str
    members: np.ndarray


def _ordered(observers: Sequence[Trials]) -> list[Trials]:
    """People by experiment, then networks."""

    def place(one: Trials) -> tuple[bool, str, str]:
        return not one.is_person, one.experiment if one.is_person else "", one.name

    return sorted(observers, key=place)


def _counted(observers: Sequence[Trials]) -> tuple[_Counts, probe.Sources, np.ndarray]:
    """Counts, what images were made from, and the category of each image's shape."""
    images = sorted({cue for one in observers for cue in one.cues})
    place = {cue: number for number, cue in enumerate(images)}
    row = np.repeat(np.arange(len(observers)), [len(one.cues) for one in observers])
    column = np.asarray([place[cue] for one in observers for cue in one.cues])
    hits = probe.hits(
        *(
            jnp.asarray(np.concatenate([getattr(one, name) for one in observers]))
            for name in ("answers", "shapes", "textures")
        )
    )

    def sums(marks: Array | np.ndarray) -> np.ndarray:
        found = np.zeros((len(observers), len(images)), np.int64)
        np.add.at(found, (row, column), np.asarray(marks))
        return found

    marks = (
        hits.shape,
        hits.texture,
        hits.conflict,
        hits.right,
        np.ones(len(row), int),
    )
    shape, shape_strata = sources(images, "shape")
    texture, texture_strata = sources(images, "texture")
    made_from = (shape, texture, shape_strata, texture_strata)
    return (
        _Counts(*map(sums, marks)),
        probe.Sources(*map(jnp.asarray, made_from)),
        numbered(cue.shape for cue in images),
    )


def _pools(observers: Sequence[Trials]) -> list[_Pool]:
    """People of each experiment that has several."""
    experiments = sorted({one.experiment for one in observers if one.is_person})
    found = []
    for experiment in experiments:
        members = np.asarray(
            [one.is_person and one.experiment == experiment for one in observers]
        )
        name = POOLED if len(experiments) == 1 else f"{POOLED} {experiment}".strip()
        if members.sum() > 1:
            found.append(_Pool(name, experiment, members))
    return found


@partial(jax.jit, static_argnames="resamples")
def _resampled(
    totals: Array,
    in_category: Array,
    errors: tuple[Array, Array],
    made_from: probe.Sources,
    members: Array,
    strata: Array,
    key: RandomKey,
    *,
    resamples: int,
) -> tuple[Array, Array]:
    """Shape bias of (observers and pools, categories and all), and kappa, of resamples.

    All observers share a resample's images; a pool's people are resampled too.
    """
    product = partial(jnp.matmul, precision=lax.Precision.HIGHEST)

    def one(key: RandomKey) -> tuple[Array, Array]:
        image_key, people_key = jax.random.split(key)
        weights = probe.image_weights(image_key, made_from).astype(jnp.float32)
        each = product(totals, weights[:, None] * in_category)
        people = members * counts(people_key, strata)[None, :]
        pooled = product(jnp.broadcast_to(people, (2, *people.shape)), each)
        shape, texture = jnp.concatenate([each, pooled], axis=1)
        bias = probe.shape_bias(shape, texture, shape + texture).shape_bias
        return bias, probe.error_consistency(*errors, weights).kappa

    return lax.map(one, jax.random.split(key, resamples))


def gathered(observers: Sequence[Trials], config: Config) -> Evidence:
    """Count and resample the trials of all observers."""
    observers = _ordered(observers)
    found, made_from, categories = _counted(observers)
    pools = _pools(observers)
    members = np.zeros((len(pools), len(observers)), bool)
    # People of a pool come together; every other observer is a stratum of its own.
    strata = np.arange(len(observers), dtype=np.int32)
    for row, pool in enumerate(pools):
        members[row] = pool.members
        strata[pool.members] = pool.members.argmax()
    in_category = np.concatenate(
        [
            categories[:, None] == np.arange(len(CATEGORIES)),
            np.ones((len(categories), 1)),
        ],
        axis=1,
    )
    # An image that an observer answered twice has no one error to compare.
    errors = found.right > 0, found.shown == 1
    bias, kappa = _resampled(
        jnp.asarray(np.stack([found.shape, found.texture]), jnp.float32),
        jnp.asarray(in_category, jnp.float32),
        (jnp.asarray(errors[0]), jnp.asarray(errors[1])),
        made_from,
        jnp.asarray(members, jnp.float32),
        jnp.asarray(strata),
        jax.random.key(config.seed),
        resamples=config.resamples,
    )
    ends = interval(np.asarray(bias, np.float64))
    every = np.concatenate(
        [np.eye(len(observers), dtype=np.int64), members.astype(int)]
    )
    results = _results(observers, pools, found, every, ends)
    return Evidence(
        results,
        _by_category(results, found, every, in_category, ends),
        _consistency(observers, errors, np.asarray(kappa, np.float64)),
    )


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Shares; NaN of nothing."""
    return np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)


def _biases(
    shape: np.ndarray, texture: np.ndarray, conflict: np.ndarray, ends: Ends
) -> Columns:
    """Columns of counts and shares, with the interval of shape bias."""
    columns = {
        "shape_hits": shape,
        "texture_hits": texture,
        "shape_bias": _share(shape, shape + texture),
        "decided": _share(shape + texture, conflict),
        "low": ends[0],
        "high": ends[1],
        "conflict_trials": conflict,
    }
    return {name: column.ravel() for name, column in columns.items()}


def _results(
    observers: Sequence[Trials],
    pools: Sequence[_Pool],
    found: _Counts,
    every: np.ndarray,
    ends: Ends,
) -> Columns:
    """A row for each observer and pool."""
    parts = (found.shape, found.texture, found.conflict, found.right, found.shown)
    *counted, right, shown = (every @ part.sum(axis=1) for part in parts)
    answers = [np.bincount(one.answers + 1, minlength=17) for one in observers]
    answers = every @ np.asarray(answers)
    kinds = ["person" if one.is_person else "network" for one in observers]
    names = [pool.name for pool in pools]
    return {
        "observer": np.asarray([one.name for one in observers] + names),
        **_biases(*counted, ends=(ends[0][:, -1], ends[1][:, -1])),
        "trials": shown,
        "accuracy": _share(right, shown),
        "no_answer": _share(answers[:, 0], shown),
        "categories_answered": (answers[:, 1:] > 0).sum(axis=1),
        "kind": np.asarray(kinds + [POOLED] * len(pools)),
        "experiment": np.asarray([one.experiment for one in [*observers, *pools]]),
        "subject": np.asarray([one.subject for one in observers] + names),
        "files": np.asarray(
            [";".join(one.files) for one in observers] + [""] * len(pools)
        ),
    }


def _by_category(
    results: Columns,
    found: _Counts,
    every: np.ndarray,
    in_category: np.ndarray,
    ends: Ends,
) -> Columns:
    """A row for each observer or pool, and category of the shape."""
    parts = (found.shape, found.texture, found.conflict)
    inside = in_category[:, :-1].astype(np.int64)
    counted = (every @ part @ inside for part in parts)
    return {
        "observer": np.repeat(results["observer"], len(CATEGORIES)),
        "category": np.tile(np.asarray(CATEGORIES), len(results["observer"])),
        **_biases(*counted, ends=(ends[0][:, :-1], ends[1][:, :-1])),
    }


def _consistency(
    observers: Sequence[Trials],
    errors: tuple[np.ndarray, np.ndarray],
    drawn: np.ndarray,
) -> Columns:
    """A row for each pair of observers."""
    if len(observers) < 2:
        return {}
    whole = jax.device_get(probe.error_consistency(*map(jnp.asarray, errors)))
    low, high = interval(drawn)
    rows = [
        {
            "first": observers[i].name,
            "second": observers[j].name,
            "images": int(whole.images[i, j]),
            "observed": float(whole.observed[i, j]),
            "expected": float(whole.expected[i, j]),
            "kappa": float(whole.kappa[i, j]),
            "low": low[i, j],
            "high": high[i, j],
        }
        for i, j in combinations(range(len(observers)), 2)
    ]
    return tables.columns_of(rows)
