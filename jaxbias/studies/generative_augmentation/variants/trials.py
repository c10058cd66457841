"""One trial of any variant: draw, fit a generator, generate, train, judge on new points."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh
from jaxtyping import Array, Float

from jaxbias import rng, sweeps
from jaxbias.arrays import RandomKey
from jaxbias.data import gaussian_mixtures as mixtures
from jaxbias.studies.generative_augmentation import batches, law
from jaxbias.studies.generative_augmentation.variants import classifiers
from jaxbias.studies.generative_augmentation.variants.config import (
    Classifier,
    Config,
    Covariance,
    LabelKind,
)

STATISTICS = (
    "gap",
    "abs_gap",
    "train_loss",
    "test_loss",
    "zero_one_gap",
    "test_error",
    "tv",
)
"""What a trial gives for each gamma: losses of the classifier (nats) on the weighted
training points and on new ones, error rates, and the generator's total variation distance
from the true class (0 to 1, the same for all gammas)."""

RATIO_DRAWS = 64
"""Points of a trial at which the likelihood ratio is taken, for the total variation."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One variant; the defaults are the paper's."""

    classes: int = 2
    labels: LabelKind = "balanced"
    covariance: Covariance = "isotropic"
    generator: Covariance = "diagonal"
    classifier: Classifier = "linear"
    weight: float = 1.0
    degradation: float = 0.0


class Case(NamedTuple):
    """The traced numbers of a variant."""

    mixture: mixtures.Mixture
    precision: Float[Array, ""]
    """1 / (2 sigma^2)."""
    degradation: Float[Array, ""]
    shares: Float[Array, "gamma point"]
    """Each training point's share of the loss."""


class Shapes(NamedTuple):
    """The static sizes of a trial."""

    real: int
    generated: int
    test: int


def trial(
    key: RandomKey,
    case: Case,
    *,
    classes: int,
    labels: LabelKind,
    generator: Covariance,
    classifier: Classifier,
    shapes: Shapes,
) -> Float[Array, "gamma statistic"]:
    """One training set and its generator, with every amount of generated points.

    The points for a smaller gamma are the first of those for a larger one.
    """
    dim = case.mixture.means.shape[1]
    real, more, test = shapes
    y, y_more, y_test = _labels(key, shapes, classes, labels)
    few = mixtures.factor_count(generator, real, dim)
    # What only some generators need comes last: all others share the rest.
    normals, test_normals, ratio_normals, noise, factors = _normals(
        jax.random.fold_in(key, 1),
        [(real, dim), (test, dim), (RATIO_DRAWS, dim), (more, dim), (more, few)],
    )
    x = mixtures.sample(normals, case.mixture, y)
    fitted = mixtures.fit(x, y, classes, generator)
    fitted = mixtures.degrade(fitted, case.degradation)
    x_more = mixtures.generate(noise, factors, fitted, y_more)
    x_test = mixtures.sample(test_normals, case.mixture, y_test)
    points, known = jnp.concatenate([x, x_more]), jnp.concatenate([y, y_more])
    tv = mixtures.total_variation(ratio_normals, case.mixture, fitted)

    def at_gamma(share: Float[Array, " point"]) -> Float[Array, " statistic"]:
        judge = classifiers.train(
            classifier, points, known, share, classes=classes, precision=case.precision
        )
        seen, new = judge(points, known), judge(x_test, y_test)
        train_loss, test_loss = jnp.sum(share * seen.losses), jnp.mean(new.losses)
        test_error = jnp.mean(new.predicted != y_test)
        train_error = jnp.sum(share * (seen.predicted != known))
        gap = test_loss - train_loss
        found = {
            "gap": gap,
            "abs_gap": jnp.abs(gap),
            "train_loss": train_loss,
            "test_loss": test_loss,
            "zero_one_gap": jnp.abs(test_error - train_error),
            "test_error": test_error,
            "tv": tv,
        }
        return jnp.stack([found[name] for name in STATISTICS])

    return lax.map(at_gamma, case.shares)


def _labels(
    key: RandomKey, shapes: Shapes, classes: int, kind: LabelKind
) -> list[mixtures.Labels]:
    """Labels of the real, the generated and the test points."""
    if kind == "balanced":
        return [mixtures.balanced_labels(count, classes) for count in shapes]
    drawn = mixtures.random_labels(key, sum(shapes), classes)
    return jnp.split(drawn, np.cumsum(shapes)[:-1])


def _normals(key: RandomKey, sizes: list[tuple[int, int]]) -> list[Array]:
    """Standard normal arrays of the given shapes, from one draw."""
    counts = [rows * columns for rows, columns in sizes]
    drawn = jnp.split(jax.random.normal(key, (sum(counts),)), np.cumsum(counts)[:-1])
    return [part.reshape(size) for part, size in zip(drawn, sizes, strict=True)]


def cells(config: Config) -> dict[Cell, list[str]]:
    """Every variant of the parts asked for, and the parts that it belongs to."""
    base = Cell()
    values = {
        "classes": [replace(base, classes=k) for k in config.classes],
        "labels": [replace(base, labels=kind) for kind in config.labels],
        "covariance": [
            replace(base, covariance=true, generator=assumed, classifier="lda")
            for true in config.covariances
            for assumed in config.generators
        ],
        "classifier": [replace(base, classifier=name) for name in config.classifiers],
        "weight": [replace(base, weight=weight) for weight in config.weights],
        "degradation": [replace(base, degradation=d) for d in config.degradations],
    }
    found: dict[Cell, list[str]] = {}
    for part in config.parts:
        for cell in values[part]:
            found.setdefault(cell, []).append(part)
    return found


def _shares(config: Config, cell: Cell, shapes: Shapes) -> np.ndarray:
    """Each training point's share of the loss, for every gamma."""
    amounts = np.asarray(config.gammas)[:, None] * config.m_real
    used = np.arange(shapes.generated) < np.round(amounts)
    real = np.ones((len(amounts), shapes.real))
    weights = np.concatenate([real, cell.weight * used], axis=1)
    return weights / weights.sum(1, keepdims=True)


def _case(config: Config, cell: Cell, shapes: Shapes) -> Case:
    factor = mixtures.covariance_factor(cell.covariance, config.dim)
    return Case(
        mixture=mixtures.Mixture(
            means=jnp.asarray(mixtures.centres(cell.classes, config.dim)),
            factor=jnp.asarray(config.sigma * factor, jnp.float32),
        ),
        precision=jnp.float32(1 / (2 * config.sigma**2)),
        degradation=jnp.float32(cell.degradation),
        shares=jnp.asarray(_shares(config, cell, shapes), jnp.float32),
    )


def blocks(config: Config, key: RandomKey, mesh: Mesh) -> list[sweeps.Block]:
    """A block for each variant; variants share their random numbers where they can."""
    shapes = Shapes(
        real=config.m_real,
        generated=max(1, round(max(config.gammas) * config.m_real)),
        test=config.n_test,
    )
    programs: dict[tuple, Callable] = {}
    found = []
    for cell in cells(config):
        kind = (cell.classes, cell.labels, cell.generator, cell.classifier)
        if kind not in programs:
            one = partial(
                trial,
                classes=cell.classes,
                labels=cell.labels,
                generator=cell.generator,
                classifier=cell.classifier,
                shapes=shapes,
            )
            programs[kind] = batches.program(
                one, mesh, n_trials=config.n_trials, vectorised=False
            )
        block = batches.block(
            " ".join(map(str, kind)),
            programs[kind],
            rng.stream(key, "variants", f"m {config.m_real}", f"dim {config.dim}"),
            _case(config, cell, shapes),
            n_trials=config.n_trials,
            piece=batches.default_piece(),
            cost={"linear": 1.0, "lda": 1.5, "logistic": 20.0}[cell.classifier],
            mesh=mesh,
        )
        found.append(block)
    return found


def table(config: Config, swept: batches.Columns) -> batches.Columns:
    """The results: a row for each variant and gamma, with the law where there is one."""
    labels = [
        {
            "parts": " ".join(parts),
            "classes": cell.classes,
            "labels": cell.labels,
            "covariance": cell.covariance,
            "generator": cell.generator,
            "classifier": cell.classifier,
            "weight": cell.weight,
            "degradation": cell.degradation,
            "m_real": config.m_real,
            "dim": config.dim,
            "gamma": np.asarray(config.gammas),
        }
        for cell, parts in cells(config).items()
    ]
    columns = batches.table(swept, labels, STATISTICS, n_trials=config.n_trials)
    m, gamma, dim = columns["m_real"], columns["gamma"], columns["dim"]
    at = (m, gamma, dim, columns["weight"], columns["degradation"], config.sigma)
    known = (columns["classifier"] == "linear") & (columns["classes"] == 2)
    known &= (columns["labels"] == "balanced") & (columns["covariance"] == "isotropic")
    known &= columns["generator"] != "low_rank"
    for name, values in (
        ("law_test_loss", law.mixed_test_nll(*at)),
        ("law_gap", law.mixed_gap(*at)),
    ):
        columns[name] = np.where(known, values, np.nan)
    return columns
