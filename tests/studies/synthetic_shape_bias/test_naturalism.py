"""Naturalism: which trainings there are, rules on tables of known making, refusals."""

from dataclasses import replace

import numpy as np
import pytest
import whole_runs

from jaxbias.files import UsageError
from jaxbias.studies.synthetic_shape_bias.naturalism import experiment, published
from jaxbias.studies.synthetic_shape_bias.naturalism.config import (
    EXPONENT,
    PRESETS,
    PUBLISHED,
    SIGMA,
    Config,
    check_values,
    trainings,
)

pytestmark = pytest.mark.usefixtures("cnn_tiny", "few_stimuli")

TINY = Config(
    data=("coloured-noise", "fractal"),
    exponents=(0.0, 2.0),
    sigmas=(),
    opacities=(),
    whites=(),
    programs=4,
    model="cnn_tiny",
    images=32,
    size=16,
    epochs=1,
    batch=16,
    transfer_images=100,
    resamples=100,
    permutations=200,
)


def test_every_set_is_trained_once():
    config = replace(TINY, data=("spectrum", "spectrum@exponent=2"), sigmas=(1.0, 2.5))
    config = replace(config, opacities=(0.5,), whites=(0.0, 0.3))
    assert [case.config.data for case in trainings(config)] == [
        *("spectrum", "spectrum@exponent=2", "spectrum@exponent=0"),
        *("dead-leaves-mixed@sigma=1", "dead-leaves-mixed@sigma=2.5"),
        "dead-leaves-mixed@opacity=0.5",
        *("stylegan-oriented@white=0", "stylegan-oriented@white=0.3"),
    ]


@pytest.mark.slow
def test_a_run_has_a_row_for_each_set(tmp_path):
    directory = whole_runs.finished(experiment, TINY, tmp_path / "run")
    rows = directory.read_table()
    assert len(rows["step"]) == 2 * 4
    outcomes = {row["id"]: row["outcome"] for row in directory.read_verdicts()}
    assert outcomes["published-order"] == outcomes["sizes"] == "not judged"
    assert outcomes["spectrum"] != "not judged"
    for name in ("sets", "settings", "transfer"):
        assert (directory.path / "figures" / f"{name}.png").stat().st_size > 8_000


def judged(transfer, bias, distance=None):
    """Of the published sets and of settings, with readings as functions of the name."""
    names = [*PUBLISHED, *(f"{EXPONENT}{n}" for n in range(4)), f"{SIGMA}1"]
    random = np.random.default_rng(0)
    rows = {
        "data": np.asarray(2 * names),
        "set": np.asarray(2 * names),
        "step": np.repeat([0, 5], len(names)),
        "transfer": np.asarray([0.2] * len(names) + [transfer(n) for n in names]),
        "solid_bias": np.asarray(2 * [bias(n) for n in names]),
        "textured_bias": random.random(2 * len(names)),
    }
    for end, sign in (("low", -1), ("high", 1)):
        rows[f"solid_{end}"] = rows["solid_bias"] + 0.02 * sign
        rows[f"textured_{end}"] = 0.5 + 0.5 * sign * np.ones(2 * len(names))
    kid = [distance(n) if distance else random.random() for n in names]
    sets = {"set": np.asarray(names), "kid": np.asarray(kid)}
    evidence = published.Evidence(rows, sets, TINY)
    return {row["id"]: row["outcome"] for row in published.judge(evidence)}


def number(name):
    return float(name.partition("=")[2] or 0)


def test_verdicts_follow_the_readings():
    random = np.random.default_rng(1)
    found = judged(
        lambda name: PUBLISHED.get(name, 40) / 100,
        lambda name: 0.4 + 0.05 * number(name) + 0.001 * len(name),
        lambda name: len(name) + number(name) / 10,
    )
    assert found["published-order"] == found["above-untrained"] == "reproduced"
    assert found["spectrum"] == found["distance"] == "reproduced"
    assert {found[n] for n in ("sizes", "occlusion", "white-noise")} == {"not judged"}
    other = judged(lambda name: 0.6 - PUBLISHED.get(name, 0) / 100, lambda name: 0.5)
    assert other["published-order"] == other["spectrum"] == "not reproduced"
    assert other["above-untrained"] == "not reproduced"
    # A shape bias that does not vary is near to nothing.
    assert other["distance"] == "not reproduced"
    chance = judged(lambda name: random.random(), lambda name: random.random())
    assert chance["distance"] == "not reproduced"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": ()}, "--data: one or more"),
        ({"data": ("x",)}, "--data: no generator 'x'"),
        ({"data": ("folder:x",)}, "--data: images that are made"),
        ({"exponents": (-1.0,)}, "--exponents: must be >= 0"),
        ({"sigmas": (0.0,)}, "--sigmas: must be >= 0.1"),
        ({"opacities": (0.0,)}, "--opacities: must be >= 0.05"),
        ({"whites": (1.5,)}, "--whites: must be at most 1"),
    ],
)
def test_what_cannot_be_done_is_one_line(changes, message):
    with pytest.raises(UsageError) as error:
        experiment.check(replace(TINY, **changes))
    assert message in str(error.value) and "\n" not in str(error.value)


def test_every_preset_is_in_order():
    for config in PRESETS.values():
        check_values(config)
