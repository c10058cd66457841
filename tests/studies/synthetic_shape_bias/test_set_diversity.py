"""Diversity: a whole run, rules on tables of known making, refusals."""

from dataclasses import replace

import numpy as np
import pytest
import whole_runs

from jaxbias.files import UsageError
from jaxbias.studies.synthetic_shape_bias.diversity import experiment, published
from jaxbias.studies.synthetic_shape_bias.diversity.config import (
    PRESETS,
    Config,
    check_values,
    trainings,
)
from jaxbias.studies.synthetic_shape_bias.trends import trends

pytestmark = pytest.mark.usefixtures("cnn_tiny", "few_stimuli")

TINY = Config(
    data=("coloured-noise",),
    programs=(1, 4),
    counts=(32,),
    supervisions=("simclr",),
    model="cnn_tiny",
    images=32,
    size=16,
    epochs=1,
    batch=16,
    transfer_images=100,
    resamples=100,
    permutations=100,
)


@pytest.mark.slow
def test_a_run_follows_the_programs(tmp_path):
    directory = whole_runs.finished(experiment, TINY, tmp_path / "run")
    rows = directory.read_table()
    assert rows["programs"].tolist() == [1, 1, 4, 4]
    found = directory.read_table("trends.parquet")
    last = rows["step"] > 0
    slope = np.diff(rows["transfer"][last]) / 2
    assert found["slope"][found["reading"] == "transfer"] == pytest.approx(slope)
    assert len(directory.read_verdicts()) == 6
    for name in ("diversity", "scores", "sets"):
        assert (directory.path / "figures" / f"{name}.png").stat().st_size > 8_000


def test_as_many_images_are_seen_whatever_their_number():
    config = replace(TINY, counts=(16, 32, 64), supervisions=("simclr", "supcon"))
    found = trainings(config)
    assert {case.config.epochs * case.config.images for case in found} == {32}
    # Of one program none can be told from others.
    assert [case.labels["supervision"] for case in found].count("simclr") == 6
    assert [case.labels["supervision"] for case in found].count("supcon") == 3


def made(slopes, noise=0.01):
    """Readings of six generators that go with the logarithm of the programs."""
    random = np.random.default_rng(0)
    logs = np.tile([0.0, 2.0, 4.0], 6)
    rows = {
        "data": np.repeat(list("abcdef"), 3),
        "programs": (2**logs).astype(int),
        "step": np.full(18, 5),
        "set": np.asarray([f"{i}" for i in range(18)]),
    }
    for name in ("solid_bias", "textured_bias", "transfer"):
        rows[name] = 0.5 + slopes.get(name, 0.0) * logs + noise * random.normal(size=18)
    scores = {
        f"vendi_{feature}": random.random(18) + 1
        for feature in ("pixels", "power-spectrum", "random-map", "random-pooled")
    }
    scores["vendi_hog-4"] = 1 + np.tile([1.0, 2.0, 3.0], 6)
    return rows, {"set": rows["set"]} | scores


@pytest.mark.parametrize(
    ("slopes", "expected"),
    [
        ({}, {"transfer-rises": False, "tracks-diversity": False}),
        (
            {"solid_bias": 0.05, "transfer": 0.05},
            {
                "transfer-rises": True,
                "tracks-diversity": True,
                "rises-with-diversity": True,
                "falls-with-diversity": False,
                "score-rises": True,
                "best-aligned": True,
            },
        ),
        (
            {"textured_bias": -0.05, "transfer": -0.05},
            {
                "transfer-rises": False,
                "rises-with-diversity": False,
                "falls-with-diversity": True,
                "best-aligned": False,
            },
        ),
    ],
)
def test_verdicts_follow_the_slopes(slopes, expected):
    rows, sets = made(slopes)
    logs = np.log2(rows["programs"].astype(float))
    found = trends(rows, logs, replace(TINY, permutations=1_000))
    evidence = published.Evidence(rows, sets, {"all": found, "simclr": found})
    outcomes = {row["id"]: row["outcome"] for row in published.judge(evidence)}
    for name, held in expected.items():
        assert outcomes[name] == ("reproduced" if held else "not reproduced"), name


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"programs": (4,)}, "--programs: two numbers"),
        ({"counts": (8,)}, "--batch: 16 for 8 images"),
        ({"supervisions": ("mae",)}, "--supervisions: mae"),
        ({"data": ("x",)}, "--data: no generator 'x'"),
        ({"data": ("coloured-noise@cells=x",)}, "a number is needed"),
        ({"data": ("folder:x",)}, "--data: images that are made"),
    ],
)
def test_what_cannot_be_done_is_one_line(changes, message):
    with pytest.raises(UsageError) as error:
        experiment.check(replace(TINY, **changes))
    assert message in str(error.value) and "\n" not in str(error.value)


def test_every_preset_is_in_order():
    for config in PRESETS.values():
        check_values(config)
