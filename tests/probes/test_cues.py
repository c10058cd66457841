"""Triplets, dimensions, linear probes, distances and jigsaws: loops and limiting cases."""

from itertools import combinations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbias.probes.cues import (
    Matches,
    decisions,
    decodability,
    dimensions,
    in_batch_spread,
    jigsaw,
    matches,
    pair_distance,
    pair_score,
    partners,
    released_pairs,
    triplets,
    view_distance,
)

SHAPES = jnp.asarray(np.arange(48) // 12, jnp.int32)
TEXTURES = jnp.asarray(np.arange(48) // 3 % 4, jnp.int32)


def draw(seed: int, *shape: int) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def of_cues(by_shape: float, by_texture: float, noise: float = 0.1) -> jax.Array:
    """Embeddings with four dimensions of each cue."""
    eye = jnp.eye(4)
    parts = [by_shape * eye[SHAPES], by_texture * eye[TEXTURES]]
    return jnp.concatenate(parts, axis=1) + noise * draw(0, 48, 8)


# Partners


def test_partners_fit_and_are_equally_likely(key):
    fitting = jnp.asarray([[0, 1, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0], [1, 1, 1, 1]]) > 0
    found = jax.vmap(partners, (0, None))(jax.random.split(key, 2000), fitting)
    seen = [np.bincount(np.asarray(row) + 1, minlength=5) / 2000 for row in found.T]
    expected = [[0, 0, 0.5, 0.5, 0], [0, 0, 0, 0, 1], [1, 0, 0, 0, 0]]
    np.testing.assert_allclose(seen, [*expected, [0, *[0.25] * 4]], atol=0.05)


def test_matches_share_one_cue(key):
    drawn = matches(key, SHAPES, TEXTURES)
    np.testing.assert_array_equal(SHAPES[drawn.shape], SHAPES)
    np.testing.assert_array_equal(TEXTURES[drawn.texture], TEXTURES)
    assert (TEXTURES[drawn.shape] != TEXTURES).all()
    assert (SHAPES[drawn.texture] != SHAPES).all()
    odd = jnp.arange(48) % 2
    apart = odd[:, None] != odd[None]
    drawn = matches(jax.random.key(1), SHAPES, TEXTURES, apart)
    assert all((odd[one] != odd).all() for one in drawn)


# Triplets


@pytest.mark.parametrize("similarity", ["cosine", "dot", "euclidean"])
def test_triplets_are_counted(similarity, key):
    values = of_cues(0.4, 0.4, noise=0.5)
    drawn = matches(key, SHAPES, TEXTURES)
    found = triplets(values, drawn, similarity)
    nearer = []
    for anchor, shape, texture in zip(values, *drawn, strict=True):
        anchor = np.asarray(anchor, float)
        near, far = (np.asarray(values[i], float) for i in (shape, texture))
        cosine = lambda a, b: a @ b / np.linalg.norm(a) / np.linalg.norm(b)  # noqa: E731
        score = {
            "cosine": cosine,
            "dot": lambda a, b: a @ b,
            "euclidean": lambda a, b: -np.linalg.norm(a - b),
        }[similarity]
        nearer.append(score(anchor, near) > score(anchor, far))
    assert float(found.shape) == pytest.approx(np.mean(nearer))
    assert 0.2 < float(found.shape) < 0.8 and int(found.count) == 48


def test_triplets_follow_the_cue_that_is_there(key):
    drawn = matches(key, SHAPES, TEXTURES)
    for similarity in ("cosine", "dot", "euclidean"):
        assert float(triplets(of_cues(2, 0.1), drawn, similarity).shape) == 1
        assert float(triplets(of_cues(0.1, 2), drawn, similarity).shape) == 0
    tied = triplets(of_cues(1, 1, noise=0.0), drawn, "dot")
    assert (float(tied.shape), float(tied.tied)) == (0.5, 1)


def test_anchors_without_a_match_are_left_out():
    drawn = Matches(jnp.asarray([1, 0, -1, 2]), jnp.asarray([2, -1, 0, 1]))
    values = jnp.asarray([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]])
    found = triplets(values, drawn)
    assert (float(found.shape), int(found.count)) == (1, 2)
    none = Matches(jnp.full(4, -1), jnp.full(4, -1))
    assert np.isnan(triplets(values, none).shape)
    for broken in (jnp.ones((4, 2)), values.at[0].set(jnp.nan), values.at[1].set(0)):
        assert np.isnan(triplets(broken, drawn).shape)


# Dimensions


def test_scores_are_correlations_of_pairs():
    values, partner = draw(1, 30, 5) + 3, jnp.asarray(np.arange(30) ^ 1)
    partner = partner.at[4].set(-1)
    there = np.asarray(partner) >= 0
    x = np.asarray(values, float)
    a, b = x[there], x[np.asarray(partner)[there]]
    middle = (a.mean(0) + b.mean(0)) / 2
    expected = ((a - middle) * (b - middle)).mean(0).sum() / x.var(0).sum()
    assert float(pair_score(values, partner)) == pytest.approx(expected, abs=1e-5)


def test_dimensions_of_perfect_cues_and_of_none(key):
    values = of_cues(1, 0, noise=0.0)
    drawn = matches(key, SHAPES, TEXTURES)
    found = dimensions(values, drawn)
    assert float(found.shape_score) == pytest.approx(1, abs=1e-5)
    # Other shapes are all that a texture pair has: below 0.
    assert -0.6 < float(found.texture_score) < 0
    itself = jnp.arange(48)
    both = dimensions(draw(2, 48, 6), Matches(itself, itself))
    np.testing.assert_allclose(both[2:], 2, rtol=1e-4)
    # A cue that is all, one that is nothing: the ends that the softmax has.
    ends = np.exp([1, 0, 1]) / np.sum(np.exp([1, 0, 1]))
    assert ends[:2] == pytest.approx([0.422, 0.155], abs=1e-3)
    assert sum(float(x) for x in found[2:]) == pytest.approx(8, rel=1e-5)
    shares = jax.nn.softmax(jnp.stack([*found[:2], jnp.ones(())]))
    np.testing.assert_allclose(found[2:], 8 * shares, rtol=1e-5)


def test_constant_embeddings_have_no_scores():
    nobody = jnp.full(48, -1)
    assert np.isnan(pair_score(jnp.ones((48, 3)), jnp.arange(48)))
    assert np.isnan(pair_score(0.1 + 1e-7 * draw(0, 48, 3), jnp.arange(48)))
    assert np.isnan(pair_score(draw(0, 48, 3), nobody))


# Linear probes


def test_probes_read_the_cue_that_is_there():
    values = np.asarray(of_cues(1, 0))
    shapes, textures = np.asarray(SHAPES), np.asarray(TEXTURES)
    every = np.arange(48)
    assert decodability(values, shapes, every, penalties=(0.01,)) == 1
    assert decodability(values, textures, every, penalties=(0.01,)) < 0.5


@pytest.mark.parametrize(("shape", "texture"), [(3.0, 1.0), (1.0, 3.0)])
def test_decisions_follow_the_stronger_of_two_cues(shape, texture):
    random = np.random.default_rng(0)
    pairs = np.argwhere(~np.eye(4, dtype=bool)).repeat(5, axis=0)

    def embedded(shapes, textures):
        parts = [shape * np.eye(4)[shapes], texture * np.eye(4)[textures]]
        noise = 0.1 * random.normal(size=(len(shapes), 8))
        return (np.concatenate(parts, axis=1) + noise).astype(np.float32)

    labels = np.arange(4).repeat(10)
    # Both cues are learnt, and the one that is larger against the noise has the say.
    agreeing = embedded(labels, labels)
    agreeing[:, :4] += (random.normal(size=(40, 4)) / shape).astype(np.float32)
    agreeing[:, 4:] += (random.normal(size=(40, 4)) / texture).astype(np.float32)
    found = decisions(
        embedded(*pairs.T), pairs[:, 0], pairs[:, 1], agreeing, labels, penalty=0.1
    )
    assert found.shape + found.texture <= 1
    assert (found.bias > 0.9) == (shape > texture)
    assert (found.bias < 0.1) == (shape < texture)


def test_decisions_of_features_that_say_nothing_are_unknown():
    alike, spoiled = np.ones((6, 3), np.float32), np.full((6, 3), np.nan, np.float32)
    labels = np.arange(6) % 3
    for values in (alike, spoiled):
        found = decisions(values, labels, labels[::-1].copy(), values, labels)
        assert np.isnan([found.shape, found.texture, found.bias]).all()


def test_probes_do_not_see_a_source_twice():
    # Embeddings know the source (three of each category), and nothing of the category.
    rng = np.random.default_rng(0)
    sources = np.arange(48) // 4
    labels = sources // 3
    values = rng.normal(size=(12, 30))[sources] + 0.01 * rng.normal(size=(48, 30))
    values = values.astype(np.float32)
    seen = decodability(values, labels, np.arange(48), penalties=(0.01,))
    assert seen == 1
    assert decodability(values, labels, sources, penalties=(0.01,)) < 0.6
    with pytest.raises(ValueError, match="label 0 has 3 sources for 4 folds"):
        decodability(values, labels, sources, folds=4)
    values[0, 0] = np.nan
    assert np.isnan(decodability(values, labels, sources))
    assert np.isnan(decodability(np.ones((48, 3), np.float32), labels, sources))


# Distances


def cosine_distance(a, b):
    a, b = np.asarray(a, float), np.asarray(b, float)
    return 1 - a @ b / np.linalg.norm(a) / np.linalg.norm(b)


def test_distances_are_means_over_pairs():
    first, second = draw(3, 7, 4), draw(4, 7, 4)
    expected = np.mean([cosine_distance(*pair) for pair in zip(first, second)])  # noqa: B905
    assert float(pair_distance(first, second)) == pytest.approx(expected, rel=1e-5)
    views = draw(5, 3, 7, 4)
    found = [
        cosine_distance(views[i, n], views[j, n])
        for n in range(7)
        for i, j in combinations(range(3), 2)
    ]
    assert float(view_distance(views)) == pytest.approx(np.mean(found), rel=1e-5)
    two = view_distance(jnp.stack([first, second]))
    assert float(two) == pytest.approx(expected, rel=1e-5)


def test_spread_is_the_mean_over_pairs_of_a_batch():
    values = draw(6, 11, 4)
    batches = [values[:5], values[5:10]]
    pairs = [
        cosine_distance(*pair) for batch in batches for pair in combinations(batch, 2)
    ]
    found = float(in_batch_spread(values, 5))
    assert found == pytest.approx(np.mean(pairs), rel=1e-5)
    # As released: the sum over all pairs, over the images.
    assert found * released_pairs(5) == pytest.approx(np.sum(pairs) / 10, rel=1e-5)
    assert (released_pairs(64), released_pairs(64, views=2)) == (31.5, 127)


def test_small_distances_keep_their_digits():
    base = draw(7, 1, 50)
    values = base + 1e-3 * draw(8, 6, 50)
    pairs = [cosine_distance(*pair) for pair in combinations(values, 2)]
    found = float(in_batch_spread(values, 6))
    assert found == pytest.approx(np.mean(pairs), rel=1e-3) and found < 2e-6
    assert np.isnan(in_batch_spread(values.at[0].set(0.0), 6))
    assert np.isnan(pair_distance(values.at[0].set(0.0), values))


# Jigsaw


def upper_half(params, images):
    """Class 1 if the upper half of an image is the brighter one."""
    assert images.dtype == jnp.float32
    middle = images.shape[1] // 2
    halves = images[:, :middle].mean((1, 2, 3)), images[:, middle:].mean((1, 2, 3))
    return jnp.stack([halves[1], halves[0]], axis=1) * params


@pytest.mark.parametrize("batch", [64, 70])
def test_jigsaws_lose_what_places_tell(batch):
    labels = jnp.asarray(np.arange(201) % 2, jnp.int32)
    images = np.zeros((201, 8, 8, 3), np.uint8)
    images[labels == 1, :4] = 200
    images[labels == 0, 4:] = 200
    read = lambda side, params=1.0: float(  # noqa: E731
        jigsaw(
            *(jax.random.key(0), upper_half, jnp.asarray(params)),
            *(jnp.asarray(images), labels),
            side=side,
            batch=batch,
        )
    )
    assert read(8) == 1
    # Of four patches two are bright: both above in one order of six, one each in four.
    assert read(4) == pytest.approx(1 / 6 + 4 / 6 / 2, abs=0.12)
    assert np.isnan(read(8, np.nan))
    with pytest.raises(ValueError, match="do not fill"):
        read(3)
