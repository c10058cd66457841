"""Augmentation: which trainings there are, rules on tables of known making, refusals."""

from dataclasses import replace

import numpy as np
import pytest
import whole_runs

from jaxbias.files import UsageError
from jaxbias.studies.synthetic_shape_bias.augmentation import (
    analysis,
    experiment,
    published,
)
from jaxbias.studies.synthetic_shape_bias.augmentation.config import (
    PRESETS,
    Config,
    check_values,
    trainings,
)
from jaxbias.studies.synthetic_shape_bias.trends import trends

pytestmark = pytest.mark.usefixtures("cnn_tiny", "few_stimuli")

TINY = Config(
    data=("coloured-noise",),
    programs=4,
    crops=(0.08, 1.0),
    model="cnn_tiny",
    images=32,
    size=16,
    epochs=1,
    batch=16,
    transfer_images=100,
    resamples=100,
    permutations=100,
)


def test_one_setting_is_varied_at_a_time():
    config = replace(TINY, crops=(0.08, 0.25, 1.0), jitters=(0.0, 0.5, 1.0))
    found = [
        (case.config.crop_area[0], case.config.jitter, case.config.smoothing)
        for case in trainings(config)
    ]
    assert found == [
        *((0.08, 0.5, "none"), (0.25, 0.5, "none"), (1.0, 0.5, "none")),
        *((0.08, 0.0, "none"), (0.08, 1.0, "none")),
        *((0.08, 0.5, "blur"), (0.08, 0.5, "bilateral")),
    ]
    rows = {"step": np.arange(7)} | {
        name: np.asarray([case.labels[name] for case in trainings(config)])
        for name in ("crop", "jitter", "smoothing")
    }
    for setting, expected in (
        ("crop", {0: 0.08, 1: 0.25, 2: 1.0}),
        ("jitter", {0: 0.5, 3: 0.0, 4: 1.0}),
        ("blur", {0: 0, 5: 1}),
        ("bilateral", {0: 0, 6: 1}),
    ):
        kept, position = analysis.along(rows, setting)
        places = dict(zip(kept["step"].tolist(), position.tolist(), strict=True))
        assert places == expected


@pytest.mark.slow
def test_a_run_follows_every_setting(tmp_path):
    directory = whole_runs.finished(experiment, TINY, tmp_path / "run")
    rows = directory.read_table()
    assert len(rows["step"]) == 2 * 5
    last = (rows["step"] > 0) & (rows["smoothing"] == "none")
    for setting, fixed, usual, width in (
        ("crop", "jitter", 0.5, 0.92),
        ("jitter", "crop", 0.08, 0.5),
    ):
        own = last & (rows[fixed] == usual)
        order = np.argsort(rows[setting][own])
        slope = np.diff(rows["solid_bias"][own][order]) / width
        found = directory.read_table(f"{setting}.parquet")
        assert found["slope"][0] == pytest.approx(slope[0])
        assert (directory.path / "figures" / f"{setting}.png").stat().st_size > 8_000
    for name in ("blur", "bilateral"):
        assert (directory.path / "figures" / f"{name}.png").stat().st_size > 8_000
    assert len(directory.read_verdicts()) == 4


def test_verdicts_follow_the_slopes():
    random = np.random.default_rng(0)
    position = np.tile([0.1, 0.5, 1.0], 6)

    def over(slope):
        rows = {
            "data": np.repeat(list("abcdef"), 3),
            "step": np.full(18, 5),
            "solid_bias": 0.5 + slope * position + 0.01 * random.normal(size=18),
            "textured_bias": random.random(18),
            "transfer": random.random(18),
        }
        return trends(rows, position, TINY)

    both = {
        "crop": over(0.2),
        "jitter": over(-0.2),
        "blur": over(0.2),
        "bilateral": {},
    }
    found = [one["outcome"] for one in published.judge(published.Evidence(both))]
    assert found == ["reproduced", "not reproduced", "reproduced", "not judged"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"crops": (0.0,)}, "--crops: shares"),
        ({"jitters": (2.0,)}, "--jitters: 0 to 1"),
        ({"crops": ()}, "--crops: one or more"),
        ({"data": ("x",)}, "--data: no generator 'x'"),
        ({"model": "x"}, "--model: no model 'x'"),
    ],
)
def test_what_cannot_be_done_is_one_line(changes, message):
    with pytest.raises(UsageError) as error:
        experiment.check(replace(TINY, **changes))
    assert message in str(error.value) and "\n" not in str(error.value)


def test_every_preset_is_in_order():
    for config in PRESETS.values():
        check_values(config)
