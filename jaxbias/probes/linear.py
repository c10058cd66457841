"""Linear probes: multinomial logistic regression on features that stay as they are.

The objective is the mean cross-entropy plus half the penalty times the squared weights;
the bias is free. It is convex, and solved until its gradient is rounding, so that a probe
depends on nothing but its data and its penalty.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.sparse.linalg import cg
from jaxtyping import Array, Bool, Float, Int

PENALTIES = (1.0, 0.1, 0.01, 1e-3, 1e-4)
"""What is tried; scikit-learn's `C` is 1 / (images * penalty)."""

FOLDS = 5
"""Parts of the training set that are held out in turn to choose a penalty."""

TOLERANCE = 2e-6
"""Largest entry of the preconditioned gradient at which a fit has converged."""

SURE = 1e-6
"""Decrease of the objective, in nats, that is not looked for in its float32 values."""

MOST_STEPS = 60
MOST_PRODUCTS = 40
HALVINGS = 12
PATIENCE = 4
"""Steps in a row that may fail to halve the gradient near the minimum."""
PADDED_TO = 64

Features: TypeAlias = Float[Array, "image feature"] | Float[np.ndarray, "image feature"]
Labels: TypeAlias = Int[Array, " image"] | Int[np.ndarray, " image"]


@dataclass(frozen=True, kw_only=True)
class Linear:
    """A fitted probe.

    Attributes:
        mean: Of each feature in training.
        scale: Standard deviation of each feature in training; infinite for a constant.
        weights: Of the standardised features.
        bias: Of each class; the biases add up to 0, as do each feature's weights.
        penalty: The one that it was fitted with.
        penalties: Those that were tried.
        losses: Mean cross-entropy of the held-out folds at each; empty if only one was
            tried.
        gradient: Largest entry of the objective's gradient where the fit ended, of the
            weights in the eigenvectors of the features' covariance.
    """

    mean: Float[np.ndarray, " feature"]
    scale: Float[np.ndarray, " feature"]
    weights: Float[np.ndarray, "feature class"]
    bias: Float[np.ndarray, " class"]
    penalty: float
    penalties: tuple[float, ...]
    losses: tuple[float, ...]
    gradient: float

    def logits(self, features: Features) -> Float[np.ndarray, "image class"]:
        """Logarithms of the classes' probabilities, up to a constant for each image."""
        standard = _standardised(np.asarray(features), self.mean, self.scale)
        return standard @ self.weights + self.bias

    def probabilities(self, features: Features) -> Float[np.ndarray, "image class"]:
        """Probability of each class."""
        logits = self.logits(features)
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        return shares / shares.sum(axis=1, keepdims=True)

    def predict(self, features: Features) -> Int[np.ndarray, " image"]:
        """The likeliest class of each image."""
        return np.argmax(self.logits(features), axis=1)

    def accuracy(self, features: Features, labels: Labels) -> float:
        """Share of images whose likeliest class is their label."""
        return float(np.mean(self.predict(features) == np.asarray(labels)))


def fit(
    features: Features,
    labels: Labels,
    classes: int,
    *,
    penalties: Sequence[float] = PENALTIES,
    folds: int = FOLDS,
) -> Linear:
    """Fit a probe, with the penalty that is best on held-out folds.

    Features are standardised. Folds are dealt out within each class in the order of the
    images, so the same data give the same probe. Of penalties with equal cross-entropy the
    largest is taken. All fits are one program, which is compiled again only for another
    number of images or classes or another multiple of 64 features.

    Args:
        features: Of the training images; float32 is what is computed in.
        labels: Their classes, from 0.
        classes: How many there are; each must occur, twice if there is a choice to make.
        penalties: One or several, above 0.
        folds: At least 2; of no account with one penalty.

    Raises:
        ValueError: If a feature is not finite, a label is no class, a class is too rare,
            or a penalty or the folds are out of range.
    """
    features, labels = np.asarray(features), np.asarray(labels)
    penalties = tuple(sorted((float(x) for x in penalties), reverse=True))
    folds = folds if len(penalties) > 1 else 0
    _check(features, labels, classes, penalties, folds)
    mean, scale = _moments(features)
    standard = _standardised(features, mean, scale)
    # Zeros change nothing, and sets of like size share a program.
    standard = np.pad(standard, ((0, 0), (0, -standard.shape[1] % PADDED_TO)))
    held = _held_out(labels, folds)
    solved = _solve(standard, labels, held, np.asarray(penalties, np.float32), classes)
    weights, bias, losses, gradient = jax.device_get(solved)
    best = int(np.argmin(losses)) if folds else 0
    return Linear(
        mean=mean,
        scale=scale,
        weights=weights[best, : features.shape[1]],
        bias=bias[best],
        penalty=penalties[best],
        penalties=penalties,
        losses=tuple(losses.tolist()) if folds else (),
        gradient=float(gradient[best]),
    )


def _check(
    features: np.ndarray,
    labels: np.ndarray,
    classes: int,
    penalties: tuple[float, ...],
    folds: int,
) -> None:
    if not penalties or not all(0 < x < np.inf for x in penalties):
        raise ValueError(f"penalties {penalties}: numbers above 0 are needed")
    if len(penalties) > 1 and folds < 2:
        raise ValueError(f"{folds} folds cannot choose between penalties")
    if len(features) != len(labels) or not features.size:
        raise ValueError(f"features {features.shape} for {len(labels)} labels")
    if not np.isfinite(features).all():
        raise ValueError("features that are not finite")
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(
            f"labels from {labels.min()} to {labels.max()}, but there are {classes} classes"
        )
    counts = np.bincount(labels, minlength=classes)
    least = 2 if folds else 1
    if counts.min() < least:
        raise ValueError(
            f"class {counts.argmin()} has {counts.min()} images, {least} are needed"
        )


def _moments(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mean = features.mean(axis=0, dtype=np.float64)
    sd = np.sqrt(np.mean((features - mean) ** 2, axis=0, dtype=np.float64))
    # What a constant differs from its mean by is rounding.
    constant = sd <= 1e-6 * np.abs(mean)
    return mean, np.where(constant, np.inf, sd)


def _standardised(
    features: np.ndarray, mean: np.ndarray, scale: np.ndarray
) -> Float[np.ndarray, "image feature"]:
    return ((features - mean) / scale).astype(np.float32)


def _held_out(labels: np.ndarray, folds: int) -> Bool[np.ndarray, "fit image"]:
    """Which images each fit leaves out; the last one leaves out none."""
    fold = np.empty(len(labels), int)
    fold[np.argsort(labels, kind="stable")] = np.arange(len(labels)) % max(folds, 1)
    return np.stack([fold == i for i in range(folds)] + [np.zeros(len(fold), bool)])


# Newton's method. Images are the last axis: there are few classes, and a processor's
# vectors run along the last.


class _Problem(NamedTuple):
    """What one fit minimises: features, each image's weight, targets, ridge, scaling."""

    features: Float[Array, "feature image"]
    weight: Float[Array, " image"]
    targets: Float[Array, "class image"]
    ridge: Float[Array, " feature"]
    scaling: Float[Array, " feature"]


def _dot(a: Array, b: Array) -> Array:
    return jnp.dot(a, b, precision=lax.Precision.HIGHEST)


@partial(jax.jit, static_argnames="classes")
def _solve(
    features: Float[Array, "image feature"],
    labels: Int[Array, " image"],
    held: Bool[Array, "fit image"],
    penalties: Float[Array, " penalty"],
    classes: int,
) -> tuple[Array, ...]:
    """Weights and bias of the last fit, the others' held-out loss, and the gradient.

    All by penalty. In the eigenvectors of the features' covariance the penalty is what it
    was and the problem nearly diagonal: half the eigenvalue plus the penalty bounds the
    curvature (Boehning 1992).
    """
    count = len(features)
    _, axes = jnp.linalg.eigh(_dot(features.T, features) / count)
    turned = _dot(axes.T, features.T)
    extended = jnp.concatenate([turned, jnp.ones((1, count))])
    spread = jnp.mean(extended**2, axis=1)
    targets = jax.nn.one_hot(labels, classes, axis=0)
    kept = (~held).astype(jnp.float32)
    kept = kept / kept.sum(1, keepdims=True)

    def at(start: Array, penalty: Array) -> tuple[Array, tuple[Array, ...]]:
        # The bias, which is the last of the features, is free.
        ridge = jnp.full(spread.shape, penalty).at[-1].set(0.0)
        scaling = lax.rsqrt(spread / 2 + ridge)

        def one(weight: Array, start: Array) -> tuple[Array, Array, Array]:
            problem = _Problem(extended, weight, targets, ridge, scaling)
            weights, gradient = _newton(problem, start)
            return weights, gradient, _missed(_dot(weights, extended), targets)

        found, gradient, missed = jax.vmap(one)(kept, start)
        loss = jnp.sum(jnp.where(held, missed, 0.0)) / jnp.maximum(held.sum(), 1)
        weights, bias = found[-1, :, :-1], found[-1, :, -1]
        return found, (_dot(axes, weights.T), bias, loss, gradient[-1])

    # From the largest penalty on, each fit starts where the one before it ended.
    start = jnp.zeros((len(held), classes, len(extended)))
    _, found = lax.scan(at, start, penalties)
    return found


def _missed(
    logits: Float[Array, "class image"], targets: Float[Array, "class image"]
) -> Float[Array, " image"]:
    """Cross-entropy of each image."""
    return jax.nn.logsumexp(logits, axis=0) - jnp.sum(logits * targets, axis=0)


class _State(NamedTuple):
    """Weights, steps taken, the last one's scaled gradient, how many steps in a row have
    not halved it, and whether it goes on."""

    weights: Float[Array, "class feature"]
    step: Int[Array, ""]
    largest: Float[Array, ""]
    idle: Int[Array, ""]
    going: Bool[Array, ""]


def _newton(problem: _Problem, start: Array) -> tuple[Array, Array]:
    """Minimise, and give the largest entry of the gradient at the end.

    Newton's steps by conjugate gradients, in variables in which the curvature is at most
    1, and halved until they descend.
    """
    features, weight, targets, ridge, scaling = problem
    ridge, scaling, weight = ridge[None], scaling[None], weight[None]

    def gradient_at(weights: Array) -> tuple[Array, Array, Array]:
        logits = _dot(weights, features)
        chances = jax.nn.softmax(logits, axis=0)
        error = weight * (chances - targets)
        return logits, chances, _dot(error, features.T) + ridge * weights

    def step(state: _State) -> _State:
        weights = state.weights
        logits, chances, gradient = gradient_at(weights)

        def product(move: Array) -> Array:
            """The Hessian times a direction."""
            slope = chances * _dot(scaling * move, features)
            slope = weight * (slope - chances * jnp.sum(slope, axis=0, keepdims=True))
            return scaling * (_dot(slope, features.T) + ridge * scaling * move)

        down = -scaling * gradient
        # Far from the end a rough step is as good; near it, this keeps it quadratic.
        rough = jnp.minimum(0.3, jnp.sqrt(jnp.linalg.norm(down)))
        move, _ = cg(product, down, tol=rough, maxiter=MOST_PRODUCTS)  # type: ignore[arg-type]
        move = scaling * move
        # What all classes share changes nothing, and would grow by rounding.
        move = move - jnp.mean(move, axis=0, keepdims=True)
        along, slope = _dot(move, features), jnp.sum(gradient * move)
        before = jnp.sum(weight[0] * _missed(logits, targets))

        def descends(size: Array) -> Array:
            after = jnp.sum(weight[0] * _missed(logits + size * along, targets))
            ridged = jnp.sum(ridge * move * (weights + size / 2 * move))
            return after - before + size * ridged <= 1e-4 * size * slope

        # A decrease this small drowns in rounding; so near the minimum, the whole step is
        # right, until the gradient is rounding too.
        near = -slope < SURE
        size, better = lax.while_loop(
            lambda tried: ~tried[1] & (tried[0] > 2.0**-HALVINGS),
            lambda tried: (tried[0] / 2, descends(tried[0] / 2)),
            (jnp.float32(1), near | descends(jnp.float32(1))),
        )
        largest = jnp.max(jnp.abs(down))
        # Conjugate gradients that end early may miss the half once.
        idle = jnp.where(near & (largest > state.largest / 2), state.idle + 1, 0)
        # Where the gradient is nothing, conjugate gradients divide by nothing.
        better &= (idle < PATIENCE) & (largest > TOLERANCE)
        going = better & (state.step < MOST_STEPS)
        weights = jnp.where(better, weights + size * move, weights)
        return _State(weights, state.step + 1, largest, idle, going)

    none = jnp.int32(0)
    state = _State(start, none, jnp.float32(jnp.inf), none, jnp.bool_(True))
    weights = lax.while_loop(lambda state: state.going, step, state).weights
    return weights, jnp.max(jnp.abs(gradient_at(weights)[2]))
