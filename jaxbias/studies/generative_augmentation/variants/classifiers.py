"""Classifiers with a weight on every training point, trained to the optimum."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import lax
from jaxtyping import Array, Float, Int

from jaxbias.data.gaussian_mixtures import Labels, Points

Classifier = Literal["linear", "lda", "logistic"]

SHRINKAGE = 0.1
"""How far linear discriminant analysis moves its covariance towards a multiple of the
identity: it would be singular with few points."""

PENALTY = 1e-2
"""Squared-weight penalty of the logistic regression, on a mean loss."""

TOLERANCE = 1e-4
MOST_STEPS = 200
"""When L-BFGS ends: norm of the gradient, or steps."""


class Judged(NamedTuple):
    """What a trained classifier makes of points."""

    losses: Float[Array, " point"]
    predicted: Int[Array, " point"]


Judge = Callable[[Points, Labels], Judged]


def train(
    name: Classifier,
    points: Points,
    labels: Labels,
    share: Float[Array, " point"],
    *,
    classes: int,
    precision: Float[Array, ""],
) -> Judge:
    """Train a classifier on weighted points.

    Args:
        name: "linear" is the paper's: for two classes theta, the mean of y x, with loss
            |x - y theta|^2 / (2 sigma^2); for more, the nearest class mean with the same
            loss. "lda" is linear discriminant analysis with a shrunken pooled covariance,
            "logistic" multinomial logistic regression with a small penalty; their loss is
            the cross-entropy, in nats. "logistic" alone may differ in the last bits
            between one device and several: its steps are rounded otherwise.
        points: Training points, one a row.
        labels: Their classes.
        share: Their weights, >= 0, which add up to 1.
        classes: Number of classes.
        precision: 1 / (2 sigma^2), for the linear loss. Not sigma: on one device XLA
            divides by a number that no trial changes by way of its reciprocal.

    Returns:
        A function of points and labels that gives losses and predicted classes.
    """
    if name == "linear":
        return _linear(points, labels, share, classes, precision)
    if name == "lda":
        return _discriminant(points, labels, share, classes)
    return _logistic(points, labels, share, classes)


def _class_means(
    points: Points, labels: Labels, share: Float[Array, " point"], classes: int
) -> tuple[Float[Array, "class dimension"], Float[Array, " class"]]:
    member = jax.nn.one_hot(labels, classes) * share[:, None]
    sizes = member.sum(0)
    return member.T @ points / jnp.maximum(sizes, 1e-12)[:, None], sizes


def _linear(
    points: Points,
    labels: Labels,
    share: Float[Array, " point"],
    classes: int,
    precision: Float[Array, ""],
) -> Judge:
    if classes == 2:
        sign = (2 * labels - 1).astype(points.dtype)
        theta = jnp.sum((share * sign)[:, None] * points, axis=0)
        means = jnp.stack([-theta, theta])
    else:
        means, _ = _class_means(points, labels, share, classes)

    def judge(points: Points, labels: Labels) -> Judged:
        apart = jnp.sum((points[:, None] - means[None]) ** 2, axis=-1)
        own = jnp.take_along_axis(apart, labels[:, None], axis=1)[:, 0]
        return Judged(precision * own, jnp.argmin(apart, axis=1))

    return judge


def _by_scores(scores: Callable[[Points], Float[Array, "point class"]]) -> Judge:
    """The cross-entropy of scores, and the class with the highest."""

    def judge(points: Points, labels: Labels) -> Judged:
        found = scores(points)
        losses = optax.softmax_cross_entropy_with_integer_labels(found, labels)
        return Judged(losses, jnp.argmax(found, axis=1))

    return judge


def _discriminant(
    points: Points, labels: Labels, share: Float[Array, " point"], classes: int
) -> Judge:
    means, sizes = _class_means(points, labels, share, classes)
    residual = (points - means[labels]) * jnp.sqrt(share)[:, None]
    covariance = residual.T @ residual
    dim = covariance.shape[0]
    level = jnp.trace(covariance) / dim
    covariance = (1 - SHRINKAGE) * covariance + SHRINKAGE * level * jnp.eye(dim)
    slopes = jax.scipy.linalg.solve(covariance, means.T, assume_a="pos")
    offsets = jnp.log(jnp.maximum(sizes, 1e-12)) - jnp.sum(means.T * slopes, 0) / 2
    return _by_scores(lambda x: x @ slopes + offsets[None])


def _logistic(
    points: Points, labels: Labels, share: Float[Array, " point"], classes: int
) -> Judge:
    def scores(params: tuple, x: Points) -> Float[Array, "point class"]:
        return x @ params[0] + params[1][None]

    def objective(params: tuple) -> Float[Array, ""]:
        losses = optax.softmax_cross_entropy_with_integer_labels(
            scores(params, points), labels
        )
        return jnp.sum(share * losses) + PENALTY / 2 * jnp.sum(params[0] ** 2)

    solver = optax.lbfgs()
    start = jnp.zeros((points.shape[1], classes)), jnp.zeros(classes)
    value_and_grad = optax.value_and_grad_from_state(objective)

    def step(carry: tuple) -> tuple:
        params, state, number, _ = carry
        value, gradient = value_and_grad(params, state=state)
        updates, state = solver.update(
            gradient, state, params, value=value, grad=gradient, value_fn=objective
        )
        params = optax.apply_updates(params, updates)
        return params, state, number + 1, optax.tree.norm(gradient)

    def unfinished(carry: tuple) -> Array:
        return (carry[2] < MOST_STEPS) & (carry[3] > TOLERANCE)

    begin = start, solver.init(start), jnp.int32(0), jnp.float32(jnp.inf)
    params, *_ = lax.while_loop(unfinished, step, begin)
    return _by_scores(lambda x: scores(params, x))
