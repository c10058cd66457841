"""One trial of the Gaussian mixture, in two ways that give the same distribution.

Everything is computed in the frame z = y (x - y mu) / sigma, in which both classes are one:
a class is symmetric about its mean, and the gap depends on neither mu nor sigma. The number
of real points, gamma, the dimension and sigma are traced, so that one program serves all.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.special import ndtr
from jaxtyping import Array, Float, Int

from jaxbias.arrays import RandomKey

STATISTICS = (
    "gap",
    "abs_gap",
    "train_nll",
    "test_nll",
    "zero_one_gap",
    "test_error",
    "kl",
    "tv",
)
"""What a trial gives for each gamma. Losses are in nats up to a constant (the quadratic
part of -log p alone), errors are rates; `kl` in nats and `tv` (0 to 1) say how far the
generator's class is from the true one. `test_error` is the population's for the sufficient
sampler, the test set's for the direct one; what a sampler cannot know is NaN."""

COORDINATES = 32
"""Coordinates that are drawn together by the sufficient sampler."""

RATIO_DRAWS = 8
"""Points of a trial at which the likelihood ratio is taken, for the total variation."""

GENERATED_TILE = 512
"""Generated points of one coordinate that are drawn together by the direct sampler."""


class Case(NamedTuple):
    """The traced numbers of a group; every gamma's generated points, padded with 0."""

    m_real: Float[Array, ""]
    dim: Int[Array, ""]
    sigma: Float[Array, ""]
    n_test: Float[Array, ""]
    gamma: Float[Array, " gamma"]
    m_generated: Float[Array, " gamma"]


class Shapes(NamedTuple):
    """The static sizes of the direct sampler's buffers."""

    real: int
    generated: int
    test: int


def chi_squared(
    key: RandomKey, degrees: Float[Array, "*shape"], shape: tuple[int, ...]
) -> Array:
    """Chi-squared numbers; `degrees` broadcasts against `shape`."""
    return 2 * jax.random.gamma(key, jnp.broadcast_to(degrees / 2, shape))


def sufficient_trial(key: RandomKey, case: Case) -> Float[Array, "gamma statistic"]:
    """One trial by its sufficient statistics: a few random numbers a coordinate.

    For each coordinate: the mean of the real points (Y), the difference of the class means
    (X), their spread (W), and for each gamma those of the generated points (E, F, V).
    """
    m, gamma = case.m_real, case.gamma[None]
    augmented = gamma > 0
    share = jnp.where(augmented, jnp.sqrt(gamma) / (1 + gamma), 0.0)
    # Without generated points any number of degrees will do: it is not used.
    degrees = jnp.where(augmented, case.m_generated[None] - 2, 2.0)
    degrees = jnp.concatenate([jnp.full((1, 1), m - 2), degrees], axis=1)
    count = len(case.gamma)

    def tile(number: Array, sums: tuple) -> tuple:
        # One draw of each kind, sliced: separate ones take most of the compile time.
        normal, spread = jax.random.split(jax.random.fold_in(key, number))
        numbers = jax.random.normal(normal, (COORDINATES, 2 + 2 * count + RATIO_DRAWS))
        y, x, e, f, points = jnp.split(numbers, np.cumsum([1, 1, count, count]), axis=1)
        squares = chi_squared(spread, degrees, (COORDINATES, 1 + count))
        w, v = squares[:, :1], squares[:, 1:]
        used = (number * COORDINATES + jnp.arange(COORDINATES) < case.dim)[:, None]
        variance = w / (m - 2)
        s = jnp.sqrt(variance)
        theta = y + share * s * e
        generated_spread = (
            s**2 * v + (jnp.sqrt(gamma) * x + s * f) ** 2 + s**2 * e**2 / (1 + gamma)
        )
        spread = w + x**2 + jnp.where(augmented, generated_spread, 0.0)
        # The generator's class has mean (y + x) / sqrt(m) and this variance.
        moved = (y + x) / jnp.sqrt(m)
        kl = (variance - 1 - jnp.log(variance) + moved**2) / 2
        log_ratio = (
            points**2 - (points - moved) ** 2 / variance - jnp.log(variance)
        ) / 2
        found = (
            theta,
            theta**2 / m,
            spread / (m + case.m_generated)[None],
            kl,
            log_ratio,
        )
        return tuple(
            total + jnp.where(used, values, 0.0).sum(0)
            for total, values in zip(sums, found, strict=True)
        )

    nothing = jnp.zeros(len(case.gamma))
    start = (nothing, nothing, nothing, jnp.zeros(1), jnp.zeros(RATIO_DRAWS))
    tiles = -(-case.dim // COORDINATES)
    along, length, spread, kl, log_ratio = lax.fori_loop(0, tiles, tile, start)
    dim = case.dim.astype(jnp.float32)
    population = (dim + length) / 2
    test = _test_loss(jax.random.fold_in(key, tiles), case, dim, length)
    test = jnp.where(case.n_test > 0, test, population)
    train = spread / 2
    # theta = mu + sigma noise / sqrt(m), every coordinate of mu being 1 / sqrt(dim).
    along = case.sigma * along / jnp.sqrt(m * dim)
    norm = jnp.sqrt(1 + 2 * along + case.sigma**2 * length)
    return _statistics(
        gap=test - train,
        abs_gap=jnp.abs(test - train),
        train_nll=train,
        test_nll=test,
        test_error=ndtr(-(1 + along) / (norm * case.sigma)),
        kl=kl,
        tv=jnp.mean(jnp.maximum(0.0, 1 - jnp.exp(log_ratio))),
    )


def _test_loss(key: RandomKey, case: Case, dim: Array, length: Array) -> Array:
    """Mean loss of a finite test set, given the length of theta's error."""
    n = jnp.maximum(case.n_test, 1.0)
    square, cross = jax.random.split(key)
    squares = chi_squared(square, n * dim, ()) / n
    return (squares - 2 * jnp.sqrt(length / n) * jax.random.normal(cross) + length) / 2


def _statistics(**found: Array) -> Float[Array, "gamma statistic"]:
    """Stack the statistics in order; NaN for those that a sampler does not know."""
    shape = found["gap"].shape
    columns = [
        jnp.broadcast_to(found[name], shape)
        if name in found
        else jnp.full(shape, jnp.nan)
        for name in STATISTICS
    ]
    return jnp.stack(columns, axis=-1)


class _Sums(NamedTuple):
    """Over the points of one or all coordinates, by gamma: squares and scores."""

    train: Float[Array, " gamma"]
    test: Float[Array, " gamma"]
    real_scores: Float[Array, "gamma real"]
    generated_scores: Float[Array, "gamma generated"]
    test_scores: Float[Array, "gamma test"]
    kl: Float[Array, ""]


def direct_trial(
    key: RandomKey, case: Case, shapes: Shapes
) -> Float[Array, "gamma statistic"]:
    """One trial with every point drawn, coordinate after coordinate.

    Classes alternate, so that any even number of points is balanced.

    # Paper: the authors draw anew for every gamma. Here the points for a smaller gamma are
    # the first of those for a larger one, which changes only how gammas go together.
    """
    count = len(case.gamma)
    mu = 1 / jnp.sqrt(case.dim.astype(jnp.float32))
    m, total = case.m_real, case.m_real + case.m_generated
    real = jnp.arange(shapes.real)
    is_real = real < m
    generated_tiles = -(-jnp.max(case.m_generated).astype(jnp.int32) // GENERATED_TILE)

    def coordinate(number: Array, sums: _Sums) -> _Sums:
        keys = jax.random.split(jax.random.fold_in(key, number), 3)
        e = jnp.where(is_real, jax.random.normal(keys[0], (shapes.real,)), 0.0)
        even = real % 2 == 0
        means = jnp.stack([jnp.where(c, e, 0.0).sum() for c in (even, ~even)]) / (m / 2)
        centred = jnp.where(is_real, e - jnp.where(even, means[0], means[1]), 0.0)
        variance = jnp.sum(centred**2) / (m - 2)
        points, first, second = _draw_generated(
            keys[1], case, shapes, means, jnp.sqrt(variance), generated_tiles
        )
        theta = (e.sum() + first) / total
        train = jnp.sum(e**2) + second - total * theta**2
        # Score of a point: its share of theta . x y.
        weight = mu + case.sigma * theta
        side = lambda z: weight[:, None] * (mu + case.sigma * z)[None]  # noqa: E731
        t = jax.random.normal(keys[2], (shapes.test,))
        distance = jnp.sum(t**2) - 2 * theta * jnp.sum(t) + shapes.test * theta**2
        return _Sums(
            train=sums.train + train,
            test=sums.test + distance,
            real_scores=sums.real_scores + side(e),
            generated_scores=_add_scores(
                sums.generated_scores, points, side, generated_tiles
            ),
            test_scores=sums.test_scores + side(t),
            kl=sums.kl + jnp.mean(variance - 1 - jnp.log(variance) + means**2) / 2,
        )

    start = _Sums(
        train=jnp.zeros(count),
        test=jnp.zeros(count),
        real_scores=jnp.zeros((count, shapes.real)),
        generated_scores=jnp.zeros((count, shapes.generated)),
        test_scores=jnp.zeros((count, shapes.test)),
        kl=jnp.zeros(()),
    )
    sums = lax.fori_loop(0, case.dim, coordinate, start)
    among = jnp.arange(shapes.generated)[None] < case.m_generated[:, None]
    wrong = jnp.sum((sums.real_scores < 0) & is_real[None], axis=1)
    wrong += jnp.sum((sums.generated_scores < 0) & among, axis=1)
    test_error = jnp.mean(sums.test_scores < 0, axis=1)
    train, test = sums.train / (2 * total), sums.test / (2 * shapes.test)
    return _statistics(
        gap=test - train,
        abs_gap=jnp.abs(test - train),
        train_nll=train,
        test_nll=test,
        zero_one_gap=jnp.abs(test_error - wrong / total),
        test_error=test_error,
        kl=sums.kl,
    )


def _draw_generated(
    key: RandomKey,
    case: Case,
    shapes: Shapes,
    means: Float[Array, " class"],
    s: Float[Array, ""],
    tiles: Int[Array, ""],
) -> tuple[Float[Array, " generated"], Float[Array, " gamma"], Float[Array, " gamma"]]:
    """One coordinate of the generated points; their sums and squares for each gamma."""

    def tile(number: Array, carry: tuple) -> tuple:
        points, first, second = carry
        z = jax.random.normal(jax.random.fold_in(key, number), (GENERATED_TILE,))
        index = number * GENERATED_TILE + jnp.arange(GENERATED_TILE)
        z = jnp.where(index % 2 == 0, means[0], means[1]) + s * z
        among = (index[None] < case.m_generated[:, None]).astype(z.dtype)
        points = lax.dynamic_update_slice(points, z, (number * GENERATED_TILE,))
        sums = (z[None] * among).sum(1), ((z**2)[None] * among).sum(1)
        return points, first + sums[0], second + sums[1]

    nothing = jnp.zeros(len(case.gamma))
    start = jnp.zeros(shapes.generated), nothing, nothing
    return lax.fori_loop(0, tiles, tile, start)


def _add_scores(
    scores: Float[Array, "gamma generated"],
    points: Float[Array, " generated"],
    side: Callable,
    tiles: Int[Array, ""],
) -> Float[Array, "gamma generated"]:
    """Add one coordinate's share to the scores of the generated points."""

    def tile(number: Array, scores: Array) -> Array:
        start = number * GENERATED_TILE
        z = lax.dynamic_slice(points, (start,), (GENERATED_TILE,))
        there = lax.dynamic_slice(scores, (0, start), (scores.shape[0], GENERATED_TILE))
        return lax.dynamic_update_slice(scores, there + side(z), (0, start))

    return lax.fori_loop(0, tiles, tile, scores)
