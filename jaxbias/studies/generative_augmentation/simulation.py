"""The Gaussian-mixture simulation as compiled programs: every trial of every point.

A group is a number of real points m and a dimension; its trials share the real points and
the test set across gamma, as in the authors' code. m, gamma, the dimension and sigma are
traced numbers: each sampler is compiled once, whatever the points. The unit of work is a
batch of trials, which returns the means and the squared deviations of its statistics, so
that a million trials need no memory.

Everything is computed in the frame z = y (x - y mu) / sigma, in which both classes are one:
x's distribution is symmetric, and the gap depends on neither mu nor sigma.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.special import ndtr
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int

from jaxbias import lanes, rng, sweeps
from jaxbias.arrays import RandomKey
from jaxbias.studies.generative_augmentation import bounds, law
from jaxbias.studies.generative_augmentation.config import Config, Sampler, generated

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

BATCH = 25
"""Trials of one batch: enough lanes to fill vector units, few enough to stay in cache."""

COORDINATES = 32
"""Coordinates that are drawn together by the sufficient sampler."""

RATIO_DRAWS = 8
"""Points of a trial at which the likelihood ratio is taken, for the total variation."""

GENERATED_TILE = 512
TEST_TILE = 2048
"""Points of one coordinate that are drawn together by the direct sampler."""

PIECE = {"cpu": {"sufficient": 64, "direct": 8}}
ACCELERATOR_PIECE = {"sufficient": 512, "direct": 32}
"""Batches to compute at once, over all devices."""


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


Trial = Callable[[RandomKey, Case], Float[Array, "gamma statistic"]]


def chi_squared(
    key: RandomKey, degrees: Float[Array, ""], shape: tuple[int, ...]
) -> Array:
    """Chi-squared numbers; `degrees` broadcasts against `shape`."""
    return 2 * jax.random.gamma(key, jnp.broadcast_to(degrees / 2, shape))


def sufficient_trial(key: RandomKey, case: Case) -> Float[Array, "gamma statistic"]:
    """One trial by its sufficient statistics: a few random numbers a coordinate.

    For each coordinate: the mean of the real points (Y), the difference of the class means
    (X), their spread (W), and for each gamma those of the generated points (E, F, V).
    """
    m, gamma = case.m_real, case.gamma
    augmented = gamma > 0
    share = jnp.where(augmented, jnp.sqrt(gamma) / (1 + gamma), 0.0)

    def tile(number: Array, sums: tuple) -> tuple:
        keys = jax.random.split(jax.random.fold_in(key, number), 7)
        used = number * COORDINATES + jnp.arange(COORDINATES) < case.dim
        one, each = (COORDINATES,), (COORDINATES, len(gamma))
        y, x = jax.random.normal(keys[0], one), jax.random.normal(keys[1], one)
        w = chi_squared(keys[2], m - 2, one)
        variance = w / (m - 2)
        s = jnp.sqrt(variance)[:, None]
        e, f = jax.random.normal(keys[3], each), jax.random.normal(keys[4], each)
        # Without generated points any number of degrees will do: it is not used.
        v = chi_squared(keys[5], jnp.where(augmented, case.m_generated - 2, 2.0), each)
        theta = y[:, None] + share * s * e
        spread = (w + x**2)[:, None] + jnp.where(
            augmented,
            s**2 * v
            + (jnp.sqrt(gamma) * x[:, None] + s * f) ** 2
            + s**2 * e**2 / (1 + gamma),
            0.0,
        )
        # The generator's class has mean (y + x) / sqrt(m) and this variance.
        moved = (y + x) / jnp.sqrt(m)
        kl = (variance - 1 - jnp.log(variance) + moved**2) / 2
        points = jax.random.normal(keys[6], (RATIO_DRAWS, COORDINATES))
        log_ratio = (points**2 - (points - moved) ** 2 / variance) / 2 - jnp.log(
            variance
        ) / 2
        found = (
            jnp.where(used[:, None], theta, 0.0).sum(0),
            jnp.where(used[:, None], theta**2, 0.0).sum(0) / m,
            jnp.where(used[:, None], spread, 0.0).sum(0) / (m + case.m_generated),
            jnp.where(used, kl, 0.0).sum(),
            jnp.where(used, log_ratio, 0.0).sum(1),
        )
        return tuple(a + b for a, b in zip(sums, found, strict=True))

    nothing = jnp.zeros(len(gamma))
    start = (nothing, nothing, nothing, jnp.zeros(()), jnp.zeros(RATIO_DRAWS))
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
    real_scores: Float[Array, "real gamma"]
    generated_scores: Float[Array, "generated gamma"]
    test_scores: Float[Array, "test gamma"]
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
        side = lambda z: (mu + case.sigma * z)[:, None] * weight  # noqa: E731
        test, test_scores = _draw_test(
            keys[2], case, theta, side, sums.test_scores, shapes
        )
        return _Sums(
            train=sums.train + train,
            test=sums.test + test,
            real_scores=sums.real_scores + side(e),
            generated_scores=_add_scores(
                sums.generated_scores, points, side, generated_tiles
            ),
            test_scores=test_scores,
            kl=sums.kl + jnp.mean(variance - 1 - jnp.log(variance) + means**2) / 2,
        )

    start = _Sums(
        train=jnp.zeros(count),
        test=jnp.zeros(count),
        real_scores=jnp.zeros((shapes.real, count)),
        generated_scores=jnp.zeros((shapes.generated, count)),
        test_scores=jnp.zeros((shapes.test, count)),
        kl=jnp.zeros(()),
    )
    sums = lax.fori_loop(0, case.dim, coordinate, start)
    among = jnp.arange(shapes.generated)[:, None] < case.m_generated
    wrong = jnp.sum((sums.real_scores < 0) & is_real[:, None], axis=0)
    wrong += jnp.sum((sums.generated_scores < 0) & among, axis=0)
    is_test = jnp.arange(shapes.test)[:, None] < case.n_test
    test_error = jnp.sum((sums.test_scores < 0) & is_test, axis=0) / case.n_test
    train, test = sums.train / (2 * total), sums.test / (2 * case.n_test)
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
        among = (index[:, None] < case.m_generated).astype(z.dtype)
        points = lax.dynamic_update_slice(points, z, (number * GENERATED_TILE,))
        sums = (z[:, None] * among).sum(0), ((z**2)[:, None] * among).sum(0)
        return points, first + sums[0], second + sums[1]

    nothing = jnp.zeros(len(case.gamma))
    start = jnp.zeros(shapes.generated), nothing, nothing
    return lax.fori_loop(0, tiles, tile, start)


def _add_scores(
    scores: Float[Array, "generated gamma"],
    points: Float[Array, " generated"],
    side: Callable,
    tiles: Int[Array, ""],
) -> Float[Array, "generated gamma"]:
    """Add one coordinate's share to the scores of the generated points."""

    def tile(number: Array, scores: Array) -> Array:
        start = number * GENERATED_TILE
        z = lax.dynamic_slice(points, (start,), (GENERATED_TILE,))
        there = lax.dynamic_slice(scores, (start, 0), (GENERATED_TILE, scores.shape[1]))
        return lax.dynamic_update_slice(scores, there + side(z), (start, 0))

    return lax.fori_loop(0, tiles, tile, scores)


def _draw_test(
    key: RandomKey,
    case: Case,
    theta: Float[Array, " gamma"],
    side: Callable,
    scores: Float[Array, "test gamma"],
    shapes: Shapes,
) -> tuple[Float[Array, " gamma"], Float[Array, "test gamma"]]:
    """One coordinate of the test points: squared distances to theta, and scores."""

    def tile(number: Array, carry: tuple) -> tuple:
        first, second, scores = carry
        start = number * TEST_TILE
        z = jax.random.normal(jax.random.fold_in(key, number), (TEST_TILE,))
        z = jnp.where(start + jnp.arange(TEST_TILE) < case.n_test, z, 0.0)
        there = lax.dynamic_slice(scores, (start, 0), (TEST_TILE, scores.shape[1]))
        scores = lax.dynamic_update_slice(scores, there + side(z), (start, 0))
        return first + z.sum(), second + (z**2).sum(), scores

    start = jnp.zeros(()), jnp.zeros(()), scores
    tiles = shapes.test // TEST_TILE
    first, second, scores = lax.fori_loop(0, tiles, tile, start)
    return second - 2 * theta * first + case.n_test * theta**2, scores


def moments(
    values: Float[Array, "trial *rest"], count: Int[Array, ""]
) -> Float[Array, "*rest 2"]:
    """Mean, and sum of squared deviations from it, of the first `count` trials."""
    used = jnp.arange(len(values)).reshape(-1, *[1] * (values.ndim - 1)) < count
    mean = jnp.where(used, values, 0.0).sum(0) / count
    squares = jnp.where(used, (values - mean) ** 2, 0.0).sum(0)
    return jnp.stack([mean, squares], axis=-1)


@dataclass(frozen=True)
class Programs:
    """The compiled programs of a run, one a sampler."""

    config: Config
    mesh: Mesh

    def shapes(self) -> Shapes:
        """Buffers that hold the largest trial; a whole number of tiles each."""
        groups = self.config.groups().items()
        most = max(generated(m, max(gammas)) for (m, _), gammas in groups)
        return Shapes(
            real=max(m for (m, _), _ in groups),
            generated=max(1, -(-most // GENERATED_TILE)) * GENERATED_TILE,
            test=-(-self.config.n_test // TEST_TILE) * TEST_TILE,
        )

    def trial(self, sampler: Sampler) -> Trial:
        if sampler == "sufficient":
            return sufficient_trial
        return partial(direct_trial, shapes=self.shapes())

    @lru_cache  # noqa: B019 - one instance lives as long as the run
    def evaluate(self, sampler: Sampler) -> Callable:
        """Program from (stream key, case, batch numbers, their sizes) to moments."""
        trial = self.trial(sampler)
        strategy = lanes.default_strategy()

        def run(key: RandomKey, case: Case, number: Array, count: Array) -> Array:
            def batch(given: tuple[Array, Array]) -> Array:
                members = given[0] * BATCH + jnp.arange(BATCH, dtype=jnp.uint32)
                keys = rng.member_keys(key, members)
                one = lambda k: trial(k, case)  # noqa: E731
                if sampler == "sufficient":
                    return moments(jax.vmap(one)(keys), given[1])
                return moments(lanes.over(strategy, one)(keys), given[1])

            return lanes.over(strategy, batch)((number, count))

        return sweeps.spread(run, self.mesh, replicated=2)

    @lru_cache  # noqa: B019
    def finish(self) -> Callable:
        return jax.jit(lambda values: {"moments": values})


def blocks(config: Config, key: RandomKey, mesh: Mesh) -> list[sweeps.Block]:
    """A block for each sampler and group, in the order of the results table."""
    programs = Programs(config, mesh)
    width = max(map(len, config.groups().values()))
    batches = -(-config.n_trials // BATCH)
    number = np.arange(batches, dtype=np.uint32)
    count = np.minimum(BATCH, config.n_trials - number.astype(np.int64) * BATCH)
    found = []
    for sampler in config.sampler:
        run = programs.evaluate(sampler)
        pieces = PIECE.get(jax.default_backend(), ACCELERATOR_PIECE)
        for (m, dim), gammas in config.groups().items():
            amounts = [generated(m, gamma) for gamma in gammas]
            padding = [0.0] * (width - len(gammas))
            case = Case(
                m_real=jnp.float32(m),
                dim=jnp.int32(dim),
                sigma=jnp.float32(config.sigma),
                n_test=jnp.float32(config.n_test),
                gamma=jnp.asarray([*gammas, *padding], jnp.float32),
                m_generated=jnp.asarray([*amounts, *padding], jnp.float32),
            )
            stream = rng.stream(key, sampler, f"m {m}", f"dim {dim}")

            def evaluate(
                inputs: dict[str, Array],
                run: Callable = run,
                case: Case = case,
                stream: RandomKey = stream,
            ) -> Array:
                return run(stream, case, inputs["batch"], inputs["count"])

            found.append(
                sweeps.Block(
                    name=f"{sampler} m {m} dim {dim}",
                    evaluate=evaluate,
                    finish=programs.finish(),
                    inputs={"batch": number, "count": count.astype(np.int32)},
                    piece=sweeps.even_piece([batches], max(pieces[sampler], mesh.size)),
                    cost=_cost(sampler, dim, m, max(amounts), config.n_test),
                )
            )
    return found


def _cost(sampler: Sampler, dim: int, m: int, most: int, n_test: int) -> float:
    """Relative time of one batch, measured on a CPU."""
    if sampler == "sufficient":
        return 1.5 * -(-dim // COORDINATES)
    return dim * (m + 2 * most + n_test) / 2000


def pooled(
    moments: Float[np.ndarray, "batch gamma statistic 2"], n_trials: int
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard error over all trials, from the batches' moments.

    Returns:
        Two float64 arrays of shape (gamma, statistic).
    """
    moments = moments.astype(np.float64)
    counts = np.full(len(moments), BATCH, np.float64)
    counts[-1] = n_trials - BATCH * (len(moments) - 1)
    weights = counts[:, None, None]
    mean = (weights * moments[..., 0]).sum(0) / n_trials
    squares = moments[..., 1].sum(0) + (weights * (moments[..., 0] - mean) ** 2).sum(0)
    return mean, np.sqrt(squares / (n_trials - 1) / n_trials)


def table(config: Config, swept: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The results: a row for each sampler and point, by group and gamma."""
    rows: dict[str, list] = {}
    batches = -(-config.n_trials // BATCH)
    start = 0
    for sampler in config.sampler:
        for (m, dim), gammas in config.groups().items():
            mean, error = pooled(
                swept["moments"][start : start + batches], config.n_trials
            )
            start += batches
            exact = _exact(config, m, dim, np.asarray(gammas))
            for i, gamma in enumerate(gammas):
                row: dict[str, object] = {
                    "sampler": sampler,
                    "m_real": m,
                    "gamma": gamma,
                    "dim": dim,
                    "n_trials": config.n_trials,
                }
                for j, name in enumerate(STATISTICS):
                    row[name] = mean[i, j]
                    row[f"{name}_se"] = error[i, j]
                row |= {name: values[i] for name, values in exact.items()}
                for name, value in row.items():
                    rows.setdefault(name, []).append(value)
    return {name: np.asarray(values) for name, values in rows.items()}


def _exact(
    config: Config, m: int, dim: int, gammas: np.ndarray
) -> dict[str, np.ndarray]:
    """What the law and the bound say of a group's points."""
    n_test = config.n_test or np.inf
    terms = bounds.gaussian_mixture(m, gammas, dim, config.bound_variant)
    return {
        "law_gap": law.mean_gap(m, gammas, dim),
        "law_gap_sd": np.sqrt(law.variance_gap(m, gammas, dim, n_test)),
        "law_abs_gap": law.mean_abs_gap(m, gammas, dim, n_test),
        "law_test_nll": law.mean_test_nll(m, gammas, dim),
        "law_test_error": law.zero_one_risk(m, gammas, dim, config.sigma),
        "bound": terms.total,
        "bound_divergence": terms.divergence,
        "bound_stability": terms.stability,
        "bound_concentration": terms.concentration,
        "bound_generator": terms.generator,
    }
