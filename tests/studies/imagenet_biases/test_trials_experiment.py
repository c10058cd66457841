"""Shape bias from trials: counts, intervals, consistency, the ledger, real people."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import whole_runs

from jaxbias.data.sixteen_categories import CATEGORIES
from jaxbias.data.trials import read_folder, write_file
from jaxbias.files import UsageError
from jaxbias.studies.imagenet_biases.trials import evidence, experiment, published
from jaxbias.studies.imagenet_biases.trials.config import PRESETS, Config

PEOPLE = Path(__file__).parents[4] / "shared" / "data" / "human_cue_conflict"


def images():
    """All pairs of 16 shapes and textures, two images each; 32 are congruent."""
    return [
        f"{shape}{1 + (i + j + k) % 4}-{texture}{1 + (i * j + k) % 3}.png"
        for i, shape in enumerate(CATEGORIES)
        for j, texture in enumerate(CATEGORIES)
        for k in range(2)
    ]


def drawn_answers(by_shape, by_texture, seed):
    """The shape or the texture with given probabilities, else anything; some none."""
    random = np.random.default_rng(seed)
    shapes, textures = np.divmod(np.repeat(np.arange(256), 2), 16)
    u, other = random.random(512), random.integers(-1, 16, 512)
    found = np.where(
        u < by_shape, shapes, np.where(u < by_shape + by_texture, textures, other)
    )
    return found, shapes, textures


OBSERVERS = {
    "subject-01": (0.8, 0.05),
    "subject-02": (0.7, 0.1),
    "subject-03": (0.9, 0.01),
    "resnet50": (0.15, 0.6),
    "vgg": (0.1, 0.7),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    found = tmp_path_factory.mktemp("trials")
    for seed, (name, shares) in enumerate(OBSERVERS.items()):
        path = found / f"cue-conflict_{name}_session-1.csv"
        write_file(path, name, images(), drawn_answers(*shares, seed)[0])
    return found


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory):
    config = Config(trials=str(folder), resamples=200)
    return whole_runs.finished(experiment, config, tmp_path_factory.mktemp("r") / "run")


def test_results_are_those_of_a_loop(run):
    found = run.read_table()
    first = ["observer", "shape_hits", "texture_hits", "shape_bias", "decided"]
    assert list(found)[:5] == first
    assert found["observer"].tolist() == [
        *("subject-01", "subject-02", "subject-03", "resnet50", "vgg", "people")
    ]
    people = np.zeros(3, int)
    for row, name in enumerate(found["observer"][:5]):
        seed = list(OBSERVERS).index(name)
        answered, shapes, textures = drawn_answers(*OBSERVERS[name], seed)
        conflict = shapes != textures
        s = int((conflict & (answered == shapes)).sum())
        t = int((conflict & (answered == textures)).sum())
        assert (found["shape_hits"][row], found["texture_hits"][row]) == (s, t)
        assert found["shape_bias"][row] == pytest.approx(s / (s + t), abs=1e-12)
        assert found["decided"][row] == pytest.approx((s + t) / 480, abs=1e-12)
        assert found["accuracy"][row] == pytest.approx(np.mean(answered == shapes))
        assert found["no_answer"][row] == pytest.approx(np.mean(answered < 0))
        assert (found["conflict_trials"][row], found["trials"][row]) == (480, 512)
        if name.startswith("subject"):
            people += s, t, 480
    assert [found[n][5] for n in ("shape_hits", "texture_hits", "conflict_trials")] == (
        people.tolist()
    )
    assert found["kind"].tolist() == ["person"] * 3 + ["network"] * 2 + ["people"]
    assert (found["low"] < found["shape_bias"]).all()
    assert (found["shape_bias"] < found["high"]).all()
    # People differ: their pool is less sure than one of their own number of answers.
    width = found["high"] - found["low"]
    assert width[5] > width[:3].min()


def test_categories_add_up_to_the_whole(run):
    whole, parts = run.read_table(), run.read_table("categories.parquet")
    assert parts["category"].tolist() == list(CATEGORIES) * 6
    for column in ("shape_hits", "texture_hits", "conflict_trials"):
        sums = parts[column].reshape(6, 16).sum(axis=1)
        np.testing.assert_array_equal(sums, whole[column])
    answered, shapes, textures = drawn_answers(*OBSERVERS["vgg"], 4)
    cats = (shapes == CATEGORIES.index("cat")) & (textures != shapes)
    row = np.flatnonzero((parts["observer"] == "vgg") & (parts["category"] == "cat"))[0]
    assert parts["shape_hits"][row] == (cats & (answered == shapes)).sum()
    known = np.isfinite(parts["low"])
    assert (parts["low"][known] <= parts["shape_bias"][known]).all()


def test_consistency_of_every_pair(run):
    found = run.read_table("consistency.parquet")
    assert len(found["first"]) == 10 and (found["images"] == 512).all()
    right = [
        a == s
        for a, s, _ in (
            drawn_answers(*OBSERVERS[name], list(OBSERVERS).index(name))
            for name in ("subject-01", "vgg")
        )
    ]
    row = np.flatnonzero((found["first"] == "subject-01") & (found["second"] == "vgg"))[
        0
    ]
    p, q = right[0].mean(), right[1].mean()
    chance = p * q + (1 - p) * (1 - q)
    expected = (np.mean(right[0] == right[1]) - chance) / (1 - chance)
    assert found["kappa"][row] == pytest.approx(expected, abs=1e-5)
    assert found["low"][row] <= found["kappa"][row] <= found["high"][row]


def test_a_run_draws_and_judges_what_is_there(run):
    drawn = {path.name for path in (run.path / "figures").iterdir()}
    assert drawn == {"by_category.png", "by_observer.png", "consistency.png"}
    outcomes = {row["id"]: row for row in run.read_verdicts()}
    # Neither the people nor the trials are the published ones.
    assert {row["outcome"] for row in outcomes.values()} == {"not judged"}
    assert "480 trials, published are 1,200" in outcomes["trials-resnet50-mean"]["here"]


def test_one_observer_alone_and_repeated_images(tmp_path):
    names = ["cat1-dog1.png", "cat1-dog1.png", "dog2-cat1.png"]
    write_file(tmp_path / "x.csv", "vgg", names, np.array([7, 10, 7]))
    found = evidence.gathered(read_folder(tmp_path), Config(trials="x", resamples=100))
    columns = found.results
    assert columns["observer"].tolist() == ["vgg"] and not found.consistency
    counted = [columns[n][0] for n in ("shape_hits", "texture_hits", "trials")]
    assert counted == [1, 2, 3]
    write_file(tmp_path / "y.csv", "alexnet", names[1:], np.array([7, 10]))
    found = evidence.gathered(read_folder(tmp_path), Config(trials="x", resamples=100))
    # The image that one of them saw twice has no one error to compare.
    assert found.consistency["images"].tolist() == [1]


def test_what_cannot_run_is_refused(tmp_path, folder):
    with pytest.raises(UsageError, match="--trials: a folder of files"):
        experiment.check(Config())
    with pytest.raises(UsageError, match="not a folder"):
        experiment.check(Config(trials=str(tmp_path / "none")))
    with pytest.raises(UsageError, match="--resamples"):
        experiment.check(Config(trials=str(folder), resamples=10))
    assert {replace(one, resamples=0) for one in PRESETS.values()} == {
        Config(resamples=0)
    }


# The ledger


def results(*rows, **changes):
    """Results with rows of (subject, kind, experiment, s, t, file)."""
    columns = {
        "observer": [row[0] for row in rows],
        "subject": [row[0] for row in rows],
        "kind": [row[1] for row in rows],
        "experiment": [row[2] for row in rows],
        "shape_hits": [row[3] for row in rows],
        "texture_hits": [row[4] for row in rows],
        "files": [row[5] for row in rows],
        "conflict_trials": [12_000 if row[1] == "people" else 1200 for row in rows],
    }
    found = {name: np.asarray(column) for name, column in columns.items()}
    s, t = found["shape_hits"], found["texture_hits"]
    return evidence.Evidence({**found, "shape_bias": s / (s + t), **changes}, {}, {})


def network_rows(networks, more=0):
    """A row for each network, with the published answers and some more by shape."""
    return [
        (
            network.subject,
            *("network", published.TVS),
            (network.hits or (round(network.bias * 10**6), 0))[0] + more,
            (network.hits or (0, round((1 - network.bias) * 10**6)))[1],
            f"x_{network.subject}_{network.file or 'session-1'}",
        )
        for network in networks
    ]


def people_rows(experiment, pooled):
    """Ten people of equal answers, and their pool with other ones."""
    rows = [(f"subject-{i}", "person", experiment, 900, 100, "x") for i in range(10)]
    return [*rows, ("people", "people", experiment, *pooled, "")]


def outcome(id, found):
    (entry,) = [entry for entry in published.ENTRIES if entry.id == id]
    return entry.judge(found).outcome


def test_rules_of_networks_can_go_either_way():
    every = published.NETWORKS
    right = results(*network_rows(every))
    for id in ("trials-networks", "trials-stylised", "trials-texture-bias"):
        assert outcome(id, right) == "reproduced", id
        none = results(("other", "network", published.TVS, 1, 1, "x"))
        assert outcome(id, none) == "not judged", id
    for id, more in (("trials-networks", 1), ("trials-texture-bias", 900)):
        assert outcome(id, results(*network_rows(every, more))) == "not reproduced", id
    assert outcome("trials-stylised", results(*network_rows(every[-1:], 2000))) == (
        "not reproduced"
    )
    # One of them off by one answer is enough, and those that are not there do not count.
    one_off = [*network_rows(every[:1]), *network_rows(every[1:2], 1)]
    assert outcome("trials-networks", results(*one_off)) == "not reproduced"
    assert outcome("trials-networks", results(*one_off[:1])) == "reproduced"
    fewer = results(*one_off[:1], conflict_trials=np.array([1199]))
    assert outcome("trials-networks", fewer) == "not judged"


def test_files_tell_two_networks_of_one_name_apart():
    caffe, torchvision = [one for one in published.NETWORKS if one.subject == "alexnet"]
    rows = network_rows([caffe, torchvision])
    assert outcome("trials-networks", results(*rows)) == "reproduced"
    swapped = [
        row[:3] + other[3:5] + row[5:]
        for row, other in zip(rows, rows[::-1], strict=True)
    ]
    assert outcome("trials-networks", results(*swapped)) == "not reproduced"
    unknown = [(*rows[0][:5], "alexnet")]
    assert outcome("trials-networks", results(*unknown)) == "not judged"


def test_the_mean_of_probabilities_has_its_own_value():
    def row(s, t, experiment="cue-conflict"):
        return results(("resnet50", "network", experiment, s, t, "x"))

    assert outcome("trials-resnet50-mean", row(214, 786)) == "reproduced"
    assert outcome("trials-resnet50-mean", row(221, 779)) == "not reproduced"
    assert outcome("trials-resnet50-mean", row(214, 786, "other")) == "not judged"
    assert outcome("trials-networks", row(214, 786)) == "not judged"


def test_rules_of_people_can_go_either_way():
    right = results(*people_rows("cue-conflict", (9236, 398)))
    assert outcome("trials-people", right) == "reproduced"
    assert outcome("trials-people-mean", right) == "not reproduced"
    wrong = results(*people_rows("cue-conflict", (9230, 404)))
    assert outcome("trials-people", wrong) == "not reproduced"
    few = results(*people_rows("cue-conflict", (9236, 398))[1:])
    assert outcome("trials-people", few) == "not judged"
    for word, share in (("shape", 0.9706), ("texture", 0.696)):
        name = {"shape": "content", "texture": "texture"}[word]
        hits = round(1e4 * share), round(1e4 * (1 - share))
        told = results(*people_rows(published.ASKED.format(name), hits))
        assert outcome(f"trials-people-asked-{word}", told) == "reproduced"
        assert outcome("trials-people", told) == "not judged"
        told = results(*people_rows(published.ASKED.format(name), (5000, 5000)))
        assert outcome(f"trials-people-asked-{word}", told) == "not reproduced"


def test_published_counts_and_values_agree():
    for network in published.NETWORKS:
        if network.hits:
            s, t = network.hits
            assert abs(s / (s + t) - network.bias) <= published.PRINTED, network.name


@pytest.mark.skipif(not PEOPLE.exists(), reason="the people's answers are not here")
def test_ten_people(tmp_path):
    config = Config(trials=str(PEOPLE), resamples=200)
    run = whole_runs.finished(experiment, config, tmp_path / "run")
    found = run.read_table()
    pool = found["observer"].tolist().index("people")
    assert (found["shape_hits"][pool], found["texture_hits"][pool]) == (9236, 398)
    assert f"{found['shape_bias'][pool]:.4f}" == "0.9587"
    people = found["kind"] == "person"
    assert f"{found['shape_bias'][people].mean():.4f}" == "0.9576"
    assert people.sum() == 10 and (found["conflict_trials"][people] == 1200).all()
    assert found["no_answer"][pool] == pytest.approx(131 / 12_800)
    outcomes = {row["id"]: row["outcome"] for row in run.read_verdicts()}
    assert outcomes["trials-people"] == outcomes["trials-people-mean"] == "reproduced"
    kappa = run.read_table("consistency.parquet")["kappa"]
    assert len(kappa) == 45 and 0.1 < kappa.min() < kappa.max() < 0.5
