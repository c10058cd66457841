"""Shape bias: decisions, counts, intervals over sources, error consistency."""

from functools import partial
from itertools import combinations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from jaxbias.data.sixteen_categories import CATEGORIES, CIFAR10, IMAGENET, ITSELF
from jaxbias.numerics.bootstrap import counts, interval
from jaxbias.probes.shape_bias import (
    Sources,
    answers,
    category_scores,
    decisions,
    error_consistency,
    hits,
    image_weights,
    shape_bias,
)

REDUCTIONS = {"mean": np.mean, "sum": np.sum, "max": np.max}


@pytest.mark.parametrize("aggregation", REDUCTIONS)
def test_scores_are_those_of_probabilities(aggregation):
    logits = 3 * np.random.default_rng(0).normal(size=(5, 1000)).astype(np.float32)
    probabilities = special.softmax(logits.astype(np.float64), axis=1)
    expected = np.stack(
        [
            REDUCTIONS[aggregation](probabilities[:, list(own)], axis=1)
            for own in IMAGENET.values()
        ],
        axis=1,
    )
    score = partial(category_scores, classes=IMAGENET, aggregation=aggregation)
    found = score(jnp.asarray(logits))
    np.testing.assert_allclose(jax.jit(score)(jnp.asarray(logits)), found, rtol=1e-5)
    np.testing.assert_allclose(np.exp(found), expected, rtol=2e-5)
    chosen = np.argmax(expected, axis=1)
    np.testing.assert_array_equal(decisions(found), chosen)


def test_the_aggregation_decides_about_large_categories():
    # Each of 109 dogs is half as probable as the one knife.
    logits = np.full((1, 1000), -20.0, np.float32)
    logits[0, list(IMAGENET["dog"])] = 0
    logits[0, list(IMAGENET["knife"])] = np.log(2)
    word = {
        kind: CATEGORIES[
            int(decisions(category_scores(jnp.asarray(logits), IMAGENET, kind))[0])
        ]
        for kind in ("mean", "sum", "max")
    }
    assert word == {"mean": "knife", "sum": "dog", "max": "knife"}


def test_a_network_that_is_sure_of_another_class_still_decides():
    # Probabilities of all categories are 0 in float32.
    logits = np.zeros((1, 1000), np.float32)
    logits[0, 0] = 1000
    logits[0, list(IMAGENET["oven"])] = 1
    scores = category_scores(jnp.asarray(logits), IMAGENET)
    assert CATEGORIES[int(decisions(scores)[0])] == "oven"


def test_ties_go_to_the_first_and_what_is_broken_to_none():
    scores = jnp.asarray(
        [
            [0.0, 1.0, 1.0],
            [2.0, jnp.nan, 1.0],
            [-jnp.inf, -jnp.inf, -jnp.inf],
            [-jnp.inf, -5.0, -jnp.inf],
        ]
    )
    np.testing.assert_array_equal(decisions(scores), [1, -1, -1, 1])
    logits = jnp.asarray([[0.0, jnp.inf] + [0.0] * 14])
    assert int(decisions(category_scores(logits, ITSELF))[0]) == -1


def test_categories_without_classes_are_never_answered():
    logits = jnp.asarray(np.eye(10, dtype=np.float32) * 5)
    found = np.asarray(decisions(category_scores(logits, CIFAR10)))
    words = [CATEGORIES[number] for number in found]
    known = {
        0: "airplane",
        1: "car",
        2: "bird",
        3: "cat",
        5: "dog",
        8: "boat",
        9: "truck",
    }
    # Deer, frog and horse: all categories with classes are equal, and the first is taken.
    assert words == [known.get(place, "airplane") for place in range(10)]


@pytest.mark.parametrize(
    "classes", [{"a": (0, 3)}, {"a": (-1,)}, {"a": (0,), "b": (0,)}]
)
def test_classes_that_the_network_has_not_are_refused(classes):
    with pytest.raises(ValueError, match="classes must be 0 to 2, each in one"):
        category_scores(jnp.zeros((1, 3)), classes)


def brightest(params, images):
    """Logits: the mean of each channel, times weights."""
    assert images.dtype == jnp.float32
    return images.mean(axis=(1, 2)) @ params


@pytest.mark.parametrize("count, batch", [(7, 3), (6, 3), (2, 64)])
def test_answers_are_those_of_single_images(count, batch):
    images = np.random.default_rng(0).integers(0, 256, (count, 4, 4, 3), np.uint8)
    params = jnp.eye(3, 16) * 10
    found = jax.jit(lambda p, x: answers(brightest, p, x, ITSELF, batch=batch))(
        params, images
    )
    np.testing.assert_array_equal(found, images.mean(axis=(1, 2)).argmax(axis=1))
    as_floats = answers(
        brightest, params, jnp.asarray(images / 255.0), ITSELF, batch=batch
    )
    np.testing.assert_array_equal(found, as_floats)


def drawn_trials(count=400, seed=0):
    random = np.random.default_rng(seed)
    answered, shapes, textures = random.integers(0, 16, (3, count))
    answered = np.where(random.random(count) < 0.3, shapes, answered)
    answered[random.random(count) < 0.1] = -1
    return answered.astype(np.int32), shapes.astype(np.int32), textures.astype(np.int32)


def test_hits_are_those_of_a_loop():
    answered, shapes, textures = drawn_trials()
    found = hits(*map(jnp.asarray, (answered, shapes, textures)))
    s = t = conflict = right = 0
    for a, shape, texture in zip(answered, shapes, textures, strict=True):
        right += a == shape
        if shape != texture:
            conflict += 1
            s += a == shape
            t += a == texture
    assert [int(marks.sum()) for marks in found] == [s, t, conflict, right]
    bias = shape_bias(jnp.asarray(s), jnp.asarray(t), jnp.asarray(conflict))
    assert float(bias.shape_bias) == pytest.approx(s / (s + t))
    assert float(bias.decided) == pytest.approx((s + t) / conflict)


def test_images_of_one_cue_are_no_conflict():
    shapes = jnp.asarray([0, 1, 2], jnp.int32)
    found = hits(shapes, shapes, jnp.full(3, -1, jnp.int32))
    assert int(found.conflict.sum()) == 0 and int(found.right.sum()) == 3
    # No answer is not the texture that is not there.
    nothing = hits(jnp.full(3, -1, jnp.int32), shapes, jnp.full(3, -1, jnp.int32))
    assert int(nothing.texture.sum()) == 0


def test_only_categories_that_can_be_answered_count():
    answered, shapes, textures = drawn_trials()
    possible = np.asarray([len(own) > 0 for own in CIFAR10.values()])
    found = hits(*map(jnp.asarray, (answered, shapes, textures, possible)))
    both = possible[shapes] & possible[textures] & (shapes != textures)
    np.testing.assert_array_equal(found.conflict, both)
    np.testing.assert_array_equal(found.texture, both & (answered == textures))


def test_limits_of_shape_bias():
    s, t = jnp.asarray([5, 0, 3, 0]), jnp.asarray([0, 5, 3, 0])
    found = shape_bias(s, t, jnp.asarray([10, 10, 6, 0]))
    np.testing.assert_allclose(found.shape_bias, [1, 0, 0.5, np.nan])
    np.testing.assert_allclose(found.decided, [0.5, 0.5, 1, np.nan])


# Resampling


def test_resamples_stay_within_their_groups(key):
    strata = jnp.asarray([0, 0, 0, 2, 5, 5], jnp.int32)
    draws = np.asarray(
        jax.vmap(lambda k: counts(k, strata))(jax.random.split(key, 2000))
    )
    for group, size in ((slice(0, 3), 3), (slice(3, 4), 1), (slice(4, 6), 2)):
        assert (draws[:, group].sum(axis=1) == size).all()
    # A member is taken Binomial(size, 1 / size) times.
    seen = np.bincount(draws[:, 1], minlength=4) / 2000
    np.testing.assert_allclose(seen, stats.binom.pmf(range(4), 3, 1 / 3), atol=0.04)


def crossed():
    """Sources of 8 categories, 6 shapes and 3 textures each, all in pairs."""
    shape, texture = np.divmod(np.arange(48 * 24), 24)
    of = (shape, texture, np.repeat(np.arange(8), 6), np.repeat(np.arange(8), 3))
    return Sources(*(jnp.asarray(one, jnp.int32) for one in of))


def test_images_count_as_often_as_both_sources(key):
    sources = crossed()
    weights = np.asarray(image_weights(key, sources)).reshape(48, 24)
    assert weights.sum() == 48 * 24
    # A product of both: any two rows are proportional.
    assert np.linalg.matrix_rank(weights.astype(float)) == 1
    assert len(np.unique(weights.sum(axis=1))) > 2


def test_intervals_hold_the_truth_where_those_of_images_do_not(key):
    sources = crossed()
    draw = jax.jit(jax.vmap(lambda k: image_weights(k, sources)))
    weights = np.asarray(draw(jax.random.split(key, 300))).astype(float)
    random = np.random.default_rng(0)
    inside = naive = 0
    for _ in range(60):
        own = random.normal(size=48)[:, None] + random.normal(size=24)
        by_shape = (random.random((48, 24)) < stats.norm.cdf(own)).ravel()
        low, high = interval(weights @ by_shape / weights.sum(axis=1))
        inside += low <= 0.5 <= high
        naive += abs(by_shape.mean() - 0.5) < 1.96 * 0.5 / np.sqrt(48 * 24)
    assert inside >= 52 and naive <= 40


def test_intervals_without_spread_or_values_are_none():
    values = np.random.default_rng(0).normal(size=(1000, 4))
    values[:, 1] = 1.0
    values[:100, 2] = np.nan
    values[:10, 3] = np.nan
    low, high = interval(values)
    np.testing.assert_array_equal(np.isnan(low), [False, True, True, False])
    assert low[0] == pytest.approx(np.percentile(values[:, 0], 2.5))
    assert high[3] == pytest.approx(np.percentile(values[10:, 3], 97.5))


# Error consistency


def kappa(first, second):
    """Cohen's, by its definition."""
    table = np.zeros((2, 2))
    np.add.at(table, (first.astype(int), second.astype(int)), 1)
    table /= table.sum()
    chance = table.sum(axis=1) @ table.sum(axis=0)
    return (np.trace(table) - chance) / (1 - chance)


def test_consistency_is_cohens_kappa():
    random = np.random.default_rng(0)
    right, shown = random.random((4, 300)) < 0.7, random.random((4, 300)) < 0.8
    found = error_consistency(jnp.asarray(right), jnp.asarray(shown))
    for i, j in combinations(range(4), 2):
        both = shown[i] & shown[j]
        expected = kappa(right[i, both], right[j, both])
        assert float(found.kappa[i, j]) == pytest.approx(expected, abs=1e-5)
        assert int(found.images[i, j]) == both.sum()
    np.testing.assert_allclose(found.kappa, found.kappa.T, atol=1e-6)
    np.testing.assert_allclose(np.diag(found.kappa), 1, atol=1e-5)


def test_weights_of_consistency_are_repeats():
    random = np.random.default_rng(0)
    right, shown = random.random((3, 50)) < 0.7, random.random((3, 50)) < 0.8
    weights = random.integers(0, 4, 50)
    found = error_consistency(*map(jnp.asarray, (right, shown, weights)))
    again = [jnp.asarray(np.repeat(one, weights, axis=1)) for one in (right, shown)]
    for here, there in zip(found, error_consistency(*again), strict=True):
        np.testing.assert_allclose(here, there, atol=1e-6)


def test_limits_of_consistency():
    right = jnp.asarray([[1, 1, 0, 0], [0, 0, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1]]) > 0
    shown = jnp.ones((4, 4), bool)
    found = error_consistency(right, shown)
    assert float(found.kappa[0, 1]) == pytest.approx(-1)
    assert float(found.kappa[0, 2]) == pytest.approx(0)
    assert np.isnan(found.kappa[2, 3])
    apart = error_consistency(right, shown.at[0, :2].set(False).at[1, 2:].set(False))
    assert np.isnan(apart.kappa[0, 1]) and int(apart.images[0, 1]) == 0
