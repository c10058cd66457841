"""The metric dispute: a whole run, what tables of known making say, refusals."""

from dataclasses import replace

import numpy as np
import pytest
import whole_runs

from jaxbias.files import UsageError
from jaxbias.studies.synthetic_shape_bias.dispute import (
    analysis,
    config,
    experiment,
    published,
)
from jaxbias.studies.synthetic_shape_bias.dispute.config import (
    PRESETS,
    Config,
    check_values,
    trainings,
)

pytestmark = pytest.mark.usefixtures("cnn_tiny", "few_stimuli")

TINY = Config(
    data=("coloured-noise", "perlin", "coloured-noise@exponent=1"),
    models=("cnn_tiny",),
    supervisions=("simclr",),
    programs=4,
    images=32,
    size=16,
    epochs=1,
    batch=16,
    transfer_images=100,
    resamples=100,
    permutations=100,
)


@pytest.mark.slow
def test_a_run_takes_every_measure_of_every_network(tmp_path, monkeypatch):
    monkeypatch.setattr(config, "FEWEST", 3)
    directory = whole_runs.finished(experiment, TINY, tmp_path / "run")
    found = directory.read_table("readings.parquet")
    assert len(found["value"]) == 2 * len(analysis.MEASURES) * 3 * 2
    assert ((found["value"] >= 0) & (found["value"] <= 1)).all()
    pairs = directory.read_table("agreement.parquet")
    # Ten measures and transfer.
    assert len(pairs["first"]) == 11 * 10 / 2
    assert pairs["same_stimuli"].sum() == 2 * 10
    assert len(directory.read_verdicts()) == 3
    for name in ("agreement", "readings"):
        assert (directory.path / "figures" / f"{name}.png").stat().st_size > 8_000


def made(solid):
    """Readings of twelve networks of two models; one measure by its values."""
    random = np.random.default_rng(0)
    order = np.linspace(-0.4, 0.4, 12)
    rows = {
        "data": np.repeat(list("abcdef"), 2),
        "model": np.tile(["m", "n"], 6),
        "supervision": np.repeat("simclr", 12),
        "seed": np.zeros(12, int),
        "step": np.full(12, 9),
        "transfer": random.random(12),
    }
    readings = {
        "solid_bias": 0.5 + order,
        "solid_decision_bias": 0.5 + solid("decision", order),
        "solid_triplet": 0.5 + solid("triplet", order),
        "solid_shape_score": solid("dimensions", order),
        "solid_texture_score": np.zeros(12),
        "solid_shape_decoded": 0.5 + solid("decoded", order),
        "solid_texture_decoded": 0.5 - solid("decoded", order),
    }
    return rows | readings


ASKED = Config(resamples=200)


def outcomes(rows):
    evidence = published.Evidence(rows, analysis.agreement(rows, ASKED))
    return {row["id"]: row["outcome"] for row in published.judge(evidence)}


def test_measures_of_one_order_agree():
    rows = made(lambda name, order: order)
    found = analysis.agreement(rows, ASKED)
    same = found["same_stimuli"] == 1
    assert found["spearman"][same] == pytest.approx(np.ones(10))
    # Of readings less a mean, which a logistic bends.
    assert found["within"][same] == pytest.approx(np.ones(10), abs=0.02)
    assert analysis.contradicted(rows) == {"solid": 0}
    # The least that is decoded of a network whose neighbours go by texture: 0.1.
    assert outcomes(rows) == {
        "weak-agreement": "not reproduced",
        "measure-decides": "not reproduced",
        "decodable": "not reproduced",
    }


def test_measures_of_several_orders_dispute():
    random = np.random.default_rng(1)
    orders = {name: random.permutation(12) for name in analysis.MEASURES}

    def mixed(name, order):
        return 0.7 * order[orders[name]] + (0.3 if name == "decoded" else 0)

    assert outcomes(made(mixed)) == {
        "weak-agreement": "reproduced",
        "measure-decides": "reproduced",
        "decodable": "reproduced",
    }


def test_networks_without_a_measure_are_left_out_of_its_pairs():
    rows = made(lambda name, order: order)
    rows["solid_decision_bias"][:4] = np.nan
    found = analysis.agreement(rows, ASKED)
    own = found["second"] == "solid: decision"
    assert found["networks"][own] == pytest.approx(8)
    assert found["spearman"][own] == pytest.approx(1)
    rows["solid_decision_bias"][:10] = np.nan
    assert "solid: decision" not in analysis.agreement(rows, ASKED)["second"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "--data: 6 networks or more"),
        ({"n_seeds": 2, "data": ("a", "b", "c")}, "--data: no generator 'a'"),
        ({"models": ()}, "--models: one or more"),
        ({"supervisions": ("mae",)}, "--supervisions: mae"),
    ],
)
def test_what_cannot_be_done_is_one_line(changes, message):
    with pytest.raises(UsageError) as error:
        experiment.check(replace(TINY, **changes))
    assert message in str(error.value) and "\n" not in str(error.value)


def test_every_preset_is_in_order_and_its_cases_have_names():
    for preset in PRESETS.values():
        check_values(preset)
        names = [case.name for case in trainings(preset)]
        assert len(set(names)) == len(names)
