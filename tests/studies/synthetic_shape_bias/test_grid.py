"""The grid: a whole run, what it finds in tables of known making, refusals."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import whole_runs

from jaxbias.files import UsageError
from jaxbias.studies.synthetic_shape_bias import cases, measures
from jaxbias.studies.synthetic_shape_bias.grid import (
    analysis,
    config,
    experiment,
    published,
)
from jaxbias.studies.synthetic_shape_bias.grid.config import (
    PRESETS,
    Config,
    check_values,
    trainings,
)
from jaxbias.studies.synthetic_shape_bias.trends import doublings, trends

pytestmark = pytest.mark.usefixtures("cnn_tiny", "few_stimuli")

TINY = Config(
    # Quick to compile.
    data=("coloured-noise", "perlin"),
    models=("cnn_tiny",),
    supervisions=("simclr",),
    programs=(1, 4),
    images=32,
    size=16,
    epochs=1,
    batch=16,
    transfer_images=100,
    resamples=100,
    permutations=100,
)


@pytest.fixture(scope="module", autouse=True)
def two_sets_will_do():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(config, "FEWEST_SETS", 2)
        yield


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return whole_runs.finished(experiment, TINY, tmp_path_factory.mktemp("r") / "run")


@pytest.mark.slow
def test_a_run_trains_every_combination_and_judges(directory):
    rows = directory.read_table()
    assert len(rows["step"]) == 2 * 2 * 2 and set(rows["step"].tolist()) == {0, 2}
    first, last = cases.ends(rows)
    assert first["data"].tolist() == last["data"].tolist()
    # Untrained networks are the same, whatever they will be trained on.
    assert len(set(first["solid_bias"].tolist())) == 1
    assert len(set(last["solid_bias"].tolist())) > 1
    sets = directory.read_table("sets.parquet")
    assert sets["set"].tolist() == list(dict.fromkeys(rows["set"].tolist()))
    assert (sets["vendi_hog-4"] >= 1).all() and np.isfinite(sets["kid"]).all()
    verdicts = {row["id"]: row for row in directory.read_verdicts()}
    assert verdicts["architecture"]["outcome"] == "not judged"
    assert verdicts["tracks-diversity"]["outcome"] != "not judged"
    for name in ("bias_and_transfer", "shares", "diversity", "sets"):
        assert (directory.path / "figures" / f"{name}.png").stat().st_size > 8_000


DESIGN = Config(
    data=tuple("abcdefgh"), models=("m", "n"), permutations=500, resamples=200
)


def made(**effects):
    """A table of a whole grid: readings as functions of generator, model, task, log2 K."""
    cells = list(itertools.product(range(8), (4, 64), (0, 1), (0, 1)))
    random = np.random.default_rng(0)
    rows = []
    for step in (0, 5):
        for data, programs, model, task in cells:
            row = {
                "data": "abcdefgh"[data],
                "programs": programs,
                "model": "mn"[model],
                "supervision": ("cross-entropy", "simclr")[task],
                "set": f"{data} {programs}",
                "seed": 0,
                "step": step,
            }
            for name in ("solid_bias", "textured_bias", "transfer"):
                effect = effects.get(name, lambda *_: 0.0)
                trained = effect(data, model, task, np.log2(programs)) if step else 0.0
                row[name] = 0.5 + trained + 0.01 * random.normal()
            rows.append(row)
    columns = {name: np.asarray([row[name] for row in rows]) for name in rows[0]}
    names = list(dict.fromkeys(columns["set"].tolist()))
    numbers = np.asarray([[int(one) for one in name.split()] for name in names])
    sets = {
        "set": np.asarray(names),
        measures.VARIETY: np.exp(numbers[:, 0] + 1.0),
        "kid": random.random(len(names)),
    }
    return columns, sets


def judged(**effects):
    columns, sets = made(**effects)
    evidence = published.Evidence(
        analysis.shares(columns, DESIGN),
        analysis.correlations(columns, sets, DESIGN),
        analysis.predictions(columns, sets),
        trends(columns, doublings(columns), DESIGN),
        DESIGN,
    )
    return {row["id"]: row["outcome"] for row in published.judge(evidence)}


def test_verdicts_follow_what_the_table_was_made_of():
    nothing = judged()
    for name in ("architecture", "supervision", "entangled", "tracks-diversity"):
        assert nothing[name] == "not reproduced"
    assert nothing["no-predictor"] == "reproduced"
    some = judged(
        solid_bias=lambda data, model, task, logs: 0.1 * model + 0.02 * logs,
        transfer=lambda data, model, task, logs: 0.02 * logs,
    )
    assert some["architecture"] == some["architecture-in-training"] == "reproduced"
    assert some["supervision"] == "not reproduced"
    assert some["tracks-diversity"] == some["rises-with-diversity"] == "reproduced"
    assert some["falls-with-diversity"] == "not reproduced"
    assert some["transfer-rises"] == "reproduced"
    # Both rise with the programs, so that one predicts the other.
    assert some["no-predictor"] == "not reproduced"
    other = judged(
        textured_bias=lambda data, model, task, logs: (
            0.1 * task - 0.02 * logs + 0.05 * data
        )
    )
    assert other["supervision"] == other["entangled"] == "reproduced"
    assert other["falls-with-diversity"] == "reproduced"
    assert other["rises-with-diversity"] == "not reproduced"


def test_the_variance_is_shared_out():
    columns, _ = made(solid_bias=lambda data, model, task, logs: 0.1 * model)
    found = analysis.shares(columns, DESIGN)
    own = (found["stimuli"] == "solid") & (found["reading"] == "last")
    by = dict(zip(found["factor"][own].tolist(), found["share"][own], strict=True))
    assert by["model"] > 0.9 and by["data"] < 0.05
    assert sum(by.values()) == pytest.approx(1)


def test_measures_tell_many_images_from_one():
    random = np.random.default_rng(0)
    various = random.integers(0, 256, (32, 16, 16, 3)).astype(np.uint8)
    alike = np.repeat(various[:1], 32, axis=0)
    found = measures.measured(
        {"various": various, "alike": alike}, various[::-1], seed=0
    )
    for name in measures.FEATURES:
        assert found[f"vendi_{name}"][1] == pytest.approx(1, abs=1e-3)
        assert found[f"vendi_{name}"][0] > 2
    assert found["kid"][0] < found["kid"][1] and found["coverage"][0] == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": ("perlin",)}, "--data: 2 sets"),
        ({"data": ("a:b", "c", "d", "e")}, "--data: images that are made"),
        ({"data": ("a", "c", "d", "e")}, "--data: no generator 'a'"),
        ({"models": ("x",)}, "--model: no model 'x'"),
        ({"programs": ()}, "--programs: one or more"),
        ({"supervisions": ("cross-entropy",)}, "needs two --programs"),
        ({"supervisions": ("mae",)}, "--supervisions: mae"),
        ({"permutations": 1}, "--permutations: must be >= 100"),
        ({"batch": 64}, "--batch: 64 for 32 images"),
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
