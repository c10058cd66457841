"""Shape bias of nearest neighbours: against loops, scikit-learn and published rows."""

from functools import lru_cache
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from benchmarks import released_shape_bias
from jaxbias.data.cue_conflict import Stimuli, sources
from jaxbias.data.images import read_image
from jaxbias.data.sixteen_categories import CATEGORIES
from jaxbias.numerics import image_features
from jaxbias.probes.neighbours import (
    RELEASED_ORDER,
    NeighbourBias,
    above_chance,
    chance,
    elected,
    nearest,
    neighbour_accuracy,
    neighbour_bias,
    released_labels,
    resampled,
)
from jaxbias.probes.shape_bias import Sources

CLASSES = 4
STIMULI = Path(__file__).parents[3] / "shared" / "data" / "cue_conflict"


class Design:
    """Images of every source of a shape with some of a texture, no category with itself."""

    def __init__(self, shapes: int, textures: int, seed: int = 0):
        of_shape = np.repeat(np.arange(CLASSES), shapes)
        of_texture = np.repeat(np.arange(CLASSES), textures)
        pairs = [
            (i, j)
            for i in range(len(of_shape))
            for j in range(len(of_texture))
            if of_shape[i] != of_texture[j]
        ]
        chosen = np.random.default_rng(seed).permutation(len(pairs))[:60]
        self.shape, self.texture = np.asarray(pairs, np.int32)[np.sort(chosen)].T
        strata = (jnp.asarray(x, jnp.int32) for x in (of_shape, of_texture))
        self.sources = Sources(
            jnp.asarray(self.shape), jnp.asarray(self.texture), *strata
        )
        self.shapes = jnp.asarray(of_shape[self.shape], jnp.int32)
        self.textures = jnp.asarray(of_texture[self.texture], jnp.int32)

    @property
    def labels(self):
        return self.shapes, self.textures, self.sources

    def embeddings(self, seed: int, by_shape=0.5, by_texture=0.5) -> jax.Array:
        """Noise, with something of each source and of each category."""
        rng = np.random.default_rng(seed)
        found = rng.normal(size=(len(self.shape), 8))
        for amount, source, label in (
            (by_shape, self.shape, self.shapes),
            (by_texture, self.texture, self.textures),
        ):
            found += amount * rng.normal(size=(40, 8))[source]
            found += amount * rng.normal(size=(CLASSES, 8))[np.asarray(label)]
        return jnp.asarray(found, jnp.float32)


def by_hand(embeddings, design, exclusion):
    """Accuracies and mean shape bias, one image after the other in float64."""
    values = np.asarray(embeddings, np.float64)
    units = values / np.linalg.norm(values, axis=1, keepdims=True)
    right = np.zeros((2, 5, len(units)), bool)
    for i, unit in enumerate(units):
        siblings = design.shape == design.shape[i], design.texture == design.texture[i]
        for cue, labels in enumerate((design.shapes, design.textures)):
            out = np.arange(len(units)) == i
            if exclusion == "own":
                out = siblings[cue]
            elif exclusion == "either":
                out = siblings[0] | siblings[1]
            similar = np.where(out, -np.inf, units @ unit)
            order = np.argsort(-similar, kind="stable")
            for k in range(1, 6):
                votes = np.bincount(np.asarray(labels)[order[:k]], minlength=CLASSES)
                right[cue, k - 1, i] = votes.argmax() == labels[i]
    shape, texture = right.mean(axis=2)
    decided = right.any(axis=0).mean(axis=1)
    return shape, texture, decided, np.mean(shape / (shape + texture))


@pytest.mark.parametrize("exclusion", ["none", "own", "either"])
def test_readings_are_those_of_single_images(exclusion):
    design = Design(4, 4)
    embeddings = design.embeddings(0)
    found = neighbour_bias(
        embeddings, *design.labels, exclusion=exclusion, classes=CLASSES
    )
    shape, texture, decided, bias = by_hand(embeddings, design, exclusion)
    np.testing.assert_allclose(found.shape_accuracy, shape, atol=1e-6)
    np.testing.assert_allclose(found.texture_accuracy, texture, atol=1e-6)
    np.testing.assert_allclose(found.decided, decided, atol=1e-6)
    assert float(found.mean) == pytest.approx(bias, abs=1e-6)
    assert int(found.degenerate) == 0
    # Lengths do not count, nor does what all have in common shift any digits away.
    lengths = jnp.asarray(np.random.default_rng(1).uniform(0.1, 9, (60, 1)))
    again = neighbour_bias(
        1e-20 * lengths.astype(jnp.float32) * embeddings,
        *design.labels,
        exclusion=exclusion,
        classes=CLASSES,
    )
    np.testing.assert_allclose(again.shape_bias, found.shape_bias, atol=1e-6)


def test_many_embeddings_at_once_are_single_ones():
    design = Design(4, 4)
    several = jnp.stack([design.embeddings(seed) for seed in range(3)])
    one = lambda x: neighbour_bias(  # noqa: E731
        x, *design.labels, exclusion="either", classes=CLASSES
    )
    both = jax.jit(jax.vmap(one))(several)
    for place, embeddings in enumerate(several):
        for here, there in zip(one(embeddings), both, strict=True):
            np.testing.assert_allclose(there[place], here, atol=1e-6)


def test_scikit_learn_finds_the_same():
    pytest.importorskip("sklearn")
    design = Design(4, 4)
    embeddings = design.embeddings(2)
    some = range(0, 60, 4)
    found = neighbour_bias(embeddings, *design.labels, classes=CLASSES)
    for near, labels in (
        (found.shape_nearest, design.shapes),
        (found.texture_nearest, design.textures),
    ):
        right = released_shape_bias.right(
            np.asarray(embeddings), np.asarray(labels), some
        )
        ours = elected(near, labels, CLASSES) == labels[None]
        np.testing.assert_array_equal(np.asarray(ours)[:, ::4], right)
    # 1/2 and 2/3 of those that are right are shapes.
    shape = np.asarray([[True, False], [True, True]])
    texture = np.asarray([[True, False], [False, True]])
    expected = released_shape_bias.shape_bias(shape, texture)
    assert expected == pytest.approx((1 / 2 + 2 / 3) / 2)


def test_equal_votes_go_to_the_lowest_label():
    neighbours = jnp.asarray([[1, 2, 3, 0, 0], [2, 3, 0, 1, -1]])
    labels = jnp.asarray([3, 2, 1, 2])
    neighbours = jnp.concatenate([neighbours, neighbours])
    found = elected(neighbours, labels, CLASSES)
    expected = [[2, 1, 2, 2, 2], [1, 1, 1, 2, -1]] * 2
    np.testing.assert_array_equal(found, np.transpose(expected))


def test_categories_are_numbered_as_released():
    assert sorted(RELEASED_ORDER) == sorted(CATEGORIES)
    places = np.asarray([CATEGORIES.index("knife"), CATEGORIES.index("dog"), -1])
    np.testing.assert_array_equal(released_labels(places), [0, 15, -1])


def test_embeddings_that_are_nearly_one_direction_keep_their_neighbours():
    spread = np.random.default_rng(0).normal(size=(40, 6))
    values = jnp.asarray(1 + 1e-3 * spread, jnp.float32)
    units = np.asarray(values, np.float64)
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    cosines = units @ units.T - 2 * np.eye(40)
    expected = np.argsort(-cosines, axis=1)[:, :5]
    ones = values / jnp.linalg.norm(values, axis=1, keepdims=True)
    found = nearest(ones, ~jnp.eye(40, dtype=bool))
    assert (np.asarray(found) == expected).mean() > 0.98


def broken(kind: str, embeddings: jax.Array) -> jax.Array:
    match kind:
        case "alike":
            return jnp.ones_like(embeddings) * jnp.arange(1, 61.0)[:, None]
        case "rounding":
            return jnp.ones_like(embeddings) + 1e-6 * embeddings
        case "nan":
            return embeddings.at[3, 2].set(jnp.nan)
        case "infinite":
            return embeddings.at[3, 2].set(jnp.inf)
        case _:
            return embeddings.at[3].set(0.0)


@pytest.mark.parametrize("kind", ["alike", "rounding", "nan", "infinite", "zero"])
def test_degenerate_embeddings_have_no_reading(kind):
    design = Design(4, 4)
    values = broken(kind, design.embeddings(0))
    found = neighbour_bias(values, *design.labels, classes=CLASSES)
    readings = (found.shape_accuracy, found.texture_accuracy, found.decided, found.mean)
    assert all(np.isnan(reading).all() for reading in readings)
    assert int(found.degenerate) in {"alike": (1, 3), "rounding": (3,)}.get(kind, (2,))
    assert np.isnan(neighbour_accuracy(values, design.shapes, classes=CLASSES)).all()
    drawn = resampled(
        jax.random.key(0), found, *design.labels, classes=CLASSES, resamples=2
    )
    assert np.isnan(drawn.mean).all()


def test_where_neighbours_are_too_few_there_is_no_reading():
    design = Design(4, 4)
    few = design.sources._replace(shape=jnp.arange(60, dtype=jnp.int32) % 2)
    found = neighbour_bias(
        design.embeddings(0),
        *(design.shapes, design.textures, few._replace(texture=few.shape)),
        exclusion="either",
        classes=CLASSES,
        most=31,
    )
    np.testing.assert_array_equal(np.isnan(found.shape_bias), np.arange(31) >= 30)


def test_accuracy_of_one_cue_is_that_of_its_labels():
    design = Design(4, 4)
    embeddings = design.embeddings(3)
    both = neighbour_bias(embeddings, *design.labels, classes=CLASSES)
    found = neighbour_accuracy(embeddings, design.textures, classes=CLASSES)
    np.testing.assert_allclose(found, both.texture_accuracy, atol=1e-6)


def test_chance_takes_off_what_siblings_find():
    # Embeddings that know the photograph, and nothing of categories.
    design = Design(4, 4)
    photographs = np.random.default_rng(0).normal(size=(16, 8))[design.shape]
    noise = np.random.default_rng(1).normal(size=(60, 8))
    embeddings = jnp.asarray(photographs + 0.05 * noise, jnp.float32)

    def read(exclusion) -> tuple[NeighbourBias, jax.Array, jax.Array]:
        found = neighbour_bias(
            embeddings, *design.labels, exclusion=exclusion, classes=CLASSES
        )
        key = jax.random.key(0)
        return found, *chance(key, found, *design.labels, classes=CLASSES)

    found, shape, texture = read("none")
    # One photograph is in a single image. Permuted labels are found by siblings as well.
    assert float(found.shape_accuracy[0]) == pytest.approx(59 / 60)
    assert float(shape[0]) > 0.98 and float(texture[0]) < 0.4
    assert float(found.shape_accuracy[0] - shape[0]) < 0.01
    found, shape, texture = read("either")
    assert np.all(np.abs(np.asarray(shape) - 0.2) < 0.06)


def test_chance_of_permutations_is_counted(key):
    # Two sources of each label: the one that is left has it in one permutation of three.
    shape = jnp.arange(4, dtype=jnp.int32)
    sources_ = Sources(shape, shape, shape // 2, shape // 2)
    neighbours = jnp.asarray([[1], [0], [3], [2]])
    known = jnp.ones(1)
    found = NeighbourBias(
        *(known, known, known, known, known[0], jnp.int32(0), neighbours, neighbours)
    )
    drawn = chance(
        *(key, found, shape // 2, shape // 2, sources_),
        classes=2,
        permutations=3000,
    )
    np.testing.assert_allclose(drawn, 1 / 3, atol=0.035)


def test_above_chance_is_a_ratio_of_what_is_left():
    values = [jnp.asarray(x) for x in ([0.5, 0.1, 0.6], [0.2, 0.1, 0.05])]
    found = NeighbourBias(*values, *[values[0]] * 2, *[jnp.zeros(())] * 2, *[None] * 2)  # type: ignore[arg-type]
    ratio = above_chance(found, (jnp.full(3, 0.2), jnp.full(3, 0.1)))
    np.testing.assert_allclose(ratio, [0.75, np.nan, 1], rtol=1e-5)


def test_resamples_weigh_images_by_their_sources(key):
    design = Design(4, 4)
    found = neighbour_bias(
        design.embeddings(1, 1.0, 0.3), *design.labels, classes=CLASSES
    )
    drawn = resampled(key, found, *design.labels, classes=CLASSES, resamples=400)
    assert drawn.shape_accuracy.shape == (400, 5) and drawn.mean.shape == (400,)
    middle = np.mean(drawn.shape_accuracy, axis=0)
    np.testing.assert_allclose(middle, found.shape_accuracy, atol=0.05)
    # Wider than if images were independent: a photograph and its siblings go together.
    share = float(found.shape_accuracy[0])
    alone = np.sqrt(share * (1 - share) / 60)
    assert np.std(drawn.shape_accuracy[:, 0]) > alone


# Published rows of trivial features on the official images


ROWS = {
    # Name: shape, texture, bias, and bias where the own cue's siblings are left out.
    "pixels": (0.935, 0.105, 0.900, 0.94),
    "thumbnail": (0.999, 0.005, 0.995, 0.995),
    "mean-colour": (0.087, 0.711, 0.109, 0.38),
    "colour-histogram": (0.130, 0.943, 0.121, 0.43),
    "hog-1": (0.123, 0.904, 0.12, 0.35),
    "hog-2": (0.339, 0.654, 0.34, 0.52),
    "hog-4": (0.775, 0.312, 0.71, 0.81),
    "hog-8": (0.921, 0.150, 0.86, 0.91),
    "power-spectrum": (0.221, 0.631, 0.259, 0.38),
}
TOLERANCE = 0.02
"""Our copies of the images are JPEGs."""


@lru_cache(maxsize=1)
def official():
    stimuli = Stimuli.open(STIMULI)
    kept = np.flatnonzero(stimuli.shapes != stimuli.textures)
    numbers, strata = zip(
        *(sources(stimuli.cues, cue) for cue in ("shape", "texture")), strict=True
    )
    made_of = [jnp.asarray(x[kept]) for x in numbers]
    labels = (stimuli.shapes[kept], stimuli.textures[kept])
    # Their way to 128 pixels; what is smaller is made from these.
    small = [
        Image.fromarray(read_image(stimuli.paths[place])).resize(
            (128, 128), Image.Resampling.BILINEAR
        )
        for place in kept
    ]
    found = image_features.features(
        jax.random.key(0), np.stack([np.asarray(one) for one in small]), tuple(ROWS)
    )
    colours = np.asarray(image_features.MEAN), np.asarray(image_features.DEVIATION)
    for name in ("pixels", "mean-colour"):
        channels = found[name].reshape(len(kept), -1, 3)
        found[name] = ((channels - colours[0]) / colours[1]).reshape(len(kept), -1)
    found["power-spectrum"] -= found["power-spectrum"].mean(axis=0)
    return (
        {name: jnp.asarray(values, jnp.float32) for name, values in found.items()},
        *(jnp.asarray(released_labels(one)) for one in labels),
        Sources(*made_of, *(jnp.asarray(one) for one in strata)),
    )


@pytest.mark.slow
@pytest.mark.skipif(not STIMULI.exists(), reason="the official images are not here")
@pytest.mark.parametrize("name", ROWS)
def test_trivial_features_read_what_was_published(name):
    features, *labels = official()
    assert len(labels[0]) == 1200
    found = neighbour_bias(features[name], *labels)
    readings = [found.shape_accuracy.mean(), found.texture_accuracy.mean(), found.mean]
    readings.append(neighbour_bias(features[name], *labels, exclusion="own").mean)
    np.testing.assert_allclose(readings, ROWS[name], atol=TOLERANCE)
