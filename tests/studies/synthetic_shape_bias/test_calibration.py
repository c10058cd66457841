"""Metric calibration: its sets, its readings, its verdicts, a whole small run, refusals."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
import whole_runs
from PIL import Image

from jaxbias import tables
from jaxbias.data.sixteen_categories import CATEGORIES
from jaxbias.files import UsageError
from jaxbias.probes import neighbours
from jaxbias.studies.synthetic_shape_bias.calibration import (
    evidence,
    experiment,
    published,
    stimuli,
)
from jaxbias.studies.synthetic_shape_bias.calibration.config import (
    PRESETS,
    Config,
    check_values,
)
from jaxbias.terminal import Reporter

TINY = replace(
    PRESETS["smoke"], drawn=("solid",), networks=1, permutations=10, resamples=100
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Images as the official ones: a colour for the texture, a bar for the shape."""
    root = tmp_path_factory.mktemp("conflict")
    rng = np.random.default_rng(0)
    colours = rng.integers(0, 255, (len(CATEGORIES), 3))
    for shape, name in enumerate(CATEGORIES):
        (root / name).mkdir()
        for number in range(1, 3):
            for texture in (shape, (shape + number) % 16, (shape + 5) % 16):
                image = np.full((16, 16, 3), colours[texture], np.uint8)
                image[shape, :] = 255
                image = np.clip(image + rng.integers(-3, 4, image.shape), 0, 255)
                file = f"{name}{number}-{CATEGORIES[texture]}{number}.png"
                pixels = Image.fromarray(image.astype(np.uint8))
                pixels.resize((224, 224)).save(root / name / file)
    return root


def test_official_images_without_those_of_one_category(folder):
    found = stimuli.official(str(folder))
    assert found.images.shape == (64, 128, 128, 3) and found.shared
    assert (found.shapes != found.textures).all()
    names = np.asarray(neighbours.RELEASED_ORDER)[found.shapes]
    # Sorted by category and number, two originals of each.
    assert names[:4].tolist() == ["airplane"] * 4
    assert len(found.sources.shape_strata) == len(found.sources.texture_strata) == 32
    for sources, strata, labels in (
        (found.sources.shape, found.sources.shape_strata, found.shapes),
        (found.sources.texture, found.sources.texture_strata, found.textures),
    ):
        of = np.asarray(CATEGORIES)[np.asarray(strata)[np.asarray(sources)]]
        assert of.tolist() == np.asarray(neighbours.RELEASED_ORDER)[labels].tolist()


def test_images_whose_cues_agree_come_when_they_are_asked_for(folder):
    config = replace(TINY, cue_conflict=str(folder), instances=1)
    official, drawn = stimuli.sets(config, agreeing=2)
    for one in (official, drawn):
        assert one.agreeing is not None
        assert one.agreeing.images.shape == (32, *one.images.shape[1:])
        assert np.bincount(one.agreeing.labels).tolist() == [2] * 16
    assert all(one.agreeing is None for one in stimuli.sets(config))


def test_drawn_sets_have_no_sources_in_common():
    for found in stimuli.sets(replace(TINY, drawn=("solid", "textured"))):
        assert found.images.shape == (240, 64, 64, 3) and not found.shared
        own = found.sources
        for source, strata, labels in (
            (own.shape, own.shape_strata, found.shapes),
            (own.texture, own.texture_strata, found.textures),
        ):
            assert sorted(np.asarray(source).tolist()) == list(range(240))
            assert (np.diff(strata) >= 0).all()
            np.testing.assert_array_equal(np.asarray(strata)[source], labels)


def test_padding_and_rows_are_those_of_the_probe():
    (found,) = stimuli.sets(TINY)
    values = np.random.default_rng(0).normal(size=(240, 20)).astype(np.float32)
    values[:, :16] += 3 * np.eye(16)[found.shapes] + 2 * np.eye(16)[found.textures]
    (row,) = evidence.rows_of(found, "x", 0, values, TINY)
    labels = jnp.asarray(found.shapes), jnp.asarray(found.textures), found.sources
    alone = neighbours.neighbour_bias(jnp.asarray(values), *labels)
    assert row["shape_bias"] == pytest.approx(float(alone.mean), abs=1e-6)
    assert row["shape"] == pytest.approx(float(alone.shape_accuracy.mean()), abs=1e-6)
    assert row["low"] < row["shape_bias"] < row["high"]
    assert row["shape"] > row["texture"] > row["chance_texture"] > 0
    assert row["above_chance"] > row["shape_bias"]


@pytest.fixture(scope="module")
def directory(tmp_path_factory, folder):
    patch = pytest.MonkeyPatch()
    # The fewest programs that the ledger asks for.
    patch.setattr(evidence, "PLAIN", ("pixels", "thumbnail", "mean-colour", "hog-4"))
    config = replace(TINY, cue_conflict=str(folder))
    yield whole_runs.finished(experiment, config, tmp_path_factory.mktemp("r") / "run")
    patch.undo()


def test_a_run_reads_every_feature_on_every_set(directory):
    rows = directory.read_table()
    own = rows["stimuli"] == "official"
    assert set(rows["excluded"][own].tolist()) == {"none", "own", "either"}
    assert set(rows["excluded"][~own].tolist()) == {"none"}
    # Noise, four plain ones, three of an untrained network.
    assert own.sum() == 3 * 8 and (~own).sum() == 8
    colour = own & (rows["feature"] == "mean-colour") & (rows["excluded"] == "none")
    assert rows["texture"][colour][0] > 0.8 > 0.3 > rows["shape"][colour][0]
    apart = own & (rows["feature"] == "pixels") & (rows["excluded"] == "either")
    assert rows["shape"][apart][0] < 1
    drawn = ~own & (rows["feature"] == "thumbnail")
    assert rows["shape_bias"][drawn][0] > 0.7
    outcomes = {row["id"]: row["outcome"] for row in directory.read_verdicts()}
    assert outcomes["colour-says-nothing"] in ("reproduced", "not reproduced")
    assert outcomes["grounds-decide"] == "not judged"
    assert outcomes["official-pixels"] == "not reproduced"
    assert outcomes["official-hog-8"] == "not judged"
    for name in ("readings", "stimuli"):
        assert (directory.path / "figures" / f"{name}.png").stat().st_size > 10_000
    experiment.show(directory, Reporter(quiet=True))


def made_up(**readings):
    """A table in which every feature reads what is published, or what is given."""
    rows = []
    for feature, known in published.TABLE.items():
        for excluded in ("none", "either"):
            shape, texture, bias = readings.get(f"{feature}:{excluded}", known)
            rows.append(
                {"stimuli": "official", "feature": feature, "excluded": excluded}
                | {"shape": shape, "texture": texture, "shape_bias": bias}
            )
    return evidence.Evidence(tables.columns_of(rows))


def test_verdicts_follow_the_numbers():
    outcome = lambda found: {  # noqa: E731
        row["id"]: row["outcome"] for row in published.judge(found)
    }
    whole = outcome(made_up(**{"pixels:either": (0.324, 0.09, 0.78)}))
    assert whole["siblings"] == "reproduced"
    assert {whole[f"official-{name}"] for name in published.TABLE} == {"reproduced"}
    assert whole["untrained-networks"] == "not judged"
    off = outcome(made_up(**{"hog-1:none": (0.123, 0.904, 0.15)}))
    assert off["official-hog-1"] == "not reproduced"
    assert off["siblings"] == "not reproduced"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"drawn": ()}, "--drawn: one or more"),
        ({"drawn": ("x",)}, "--drawn: no 'x': one of solid, textured, navon"),
        ({"size": 32}, "--size: must be >= 64"),
        ({"cue_conflict": "nowhere"}, "nowhere"),
    ],
)
def test_what_cannot_be_done_is_one_line(changes, message):
    with pytest.raises(UsageError) as error:
        experiment.check(replace(Config(), **changes))
    assert message in str(error.value) and "\n" not in str(error.value)


def test_every_preset_is_in_order():
    for config in PRESETS.values():
        check_values(config)
