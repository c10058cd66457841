"""Rules of the ledger on outcomes that are made by hand."""

import numpy as np
import pytest

from jaxbias.studies.dataset_classification import published, rules
from jaxbias.studies.dataset_classification.cases import Case, Outcome
from jaxbias.studies.dataset_classification.config import Common
from jaxbias.studies.dataset_classification.images import Part, Split
from jaxbias.training.evaluation import Scores


def scores(accuracy, count=1000, classes=3):
    labels = np.arange(count) % classes
    wrong = np.arange(count) >= round(accuracy * count)
    predicted = np.where(wrong, (labels + 1) % classes, labels)
    return Scores(np.ones(count), predicted, labels)


def outcome(accuracy, *, count=1000, training=None, seeds=(), numbers=None, **labels):
    name = "-".join(str(value) for value in labels.values()) or "sources"
    split = Split(tuple(Part(name=n, source=n, training=(0, 9)) for n in "YCD"))
    return Outcome(
        Case(
            name=name, labels=labels, split=split, view=str(labels.get("view", "none"))
        ),
        tuple(scores(a, count) for a in (accuracy, *seeds)),
        () if training is None else (scores(training),),
        scores(0.4),
        numbers or {},
    )


def test_an_outcome_is_the_mean_of_its_seeds():
    found = outcome(0.5, seeds=(0.7,), training=0.9)
    assert found.accuracy == pytest.approx(0.6) and found.chance == 1 / 3
    assert found.training_accuracy == 0.9
    low, high = found.interval
    assert 0.56 < low < 0.6 < high < 0.64
    assert np.isnan(outcome(0.5).training_accuracy)
    # Seeds that differ weigh more than the images of one.
    assert rules.error(found) == pytest.approx(0.1)
    assert rules.error(outcome(0.5)) == pytest.approx(0.5 / 1000**0.5)


def test_far_above_chance():
    judge = rules.all_above_chance()
    assert judge([outcome(0.5), outcome(0.46)]).outcome == "reproduced"
    assert judge([outcome(0.5), outcome(0.43)]).outcome == "not reproduced"
    assert judge([outcome(0.5, count=90)]).outcome == "not judged"
    assert judge([]).outcome == "not judged"


def test_at_chance():
    judge = rules.at_chance()
    assert judge([outcome(0.34), outcome(0.31)]).outcome == "reproduced"
    assert judge([outcome(0.34), outcome(0.42)]).outcome == "not reproduced"
    # Lower than by chance is no accident either.
    assert judge([outcome(0.24)]).outcome == "not reproduced"


def test_order_allows_ties_but_no_reversal():
    judge = rules.in_order(("a", "b", "c"), "view")

    def judged(*accuracies):
        pairs = zip("abc", accuracies, strict=False)
        return judge([outcome(value, view=name) for name, value in pairs])

    assert judged(0.4, 0.5, 0.6).outcome == "reproduced"
    assert judged(0.4, 0.39, 0.6).outcome == "reproduced"
    reversed_ = judged(0.5, 0.4, 0.6)
    assert reversed_.outcome == "not reproduced" and "b below a" in reversed_.here
    assert judged(0.5, 0.5, 0.51).outcome == "not reproduced"
    assert judged(0.4, 0.5).outcome == "not judged"


def test_rising_and_above():
    judge = rules.rises("images")
    rising = [outcome(a, images=n) for n, a in ((300, 0.6), (100, 0.4), (1000, 0.61))]
    assert judge(rising).outcome == "reproduced"
    assert judge(rising[:1]).outcome == "not judged"
    assert judge([*rising, outcome(0.5, images=3000)]).outcome == "not reproduced"
    # What a network's size is called is a number of the outcome, no label.
    sized = [outcome(a, numbers={"parameters": float(n)}, model=f"m{n}")
             for n, a in ((10, 0.5), (5, 0.4))]  # fmt: skip
    assert rules.rises("parameters")(sized).outcome == "reproduced"
    above = rules.above({"view": "x"}, {"view": "y"})
    assert (
        above([outcome(0.4, view="x"), outcome(0.5, view="y")]).outcome == "reproduced"
    )
    assert above([outcome(0.5, view="x"), outcome(0.5, view="y")]).outcome == (
        "not reproduced"
    )
    assert above([outcome(0.5, view="x")]).outcome == "not judged"


def test_what_is_learned_by_heart():
    labels = {"augmentation": "none"}
    few = outcome(0.33, training=1.0, images=30, **labels)
    many = outcome(0.33, training=0.5, images=900, **labels)
    assert rules.by_heart(labels, least=0.99)([few, many]).outcome == "reproduced"
    assert rules.by_heart(labels, least=0.99)([many]).outcome == "not reproduced"
    assert rules.not_by_heart(labels, most=0.9)([few, many]).outcome == "reproduced"
    assert rules.not_by_heart(labels, most=0.9)([few]).outcome == "not reproduced"


def test_probes_are_compared_by_their_intervals():
    def probe(name, value):
        ends = {"probe_low": value - 0.02, "probe_high": value + 0.02}
        return outcome(0.5, numbers={"probe_accuracy": value} | ends, trained=name)

    judge = rules.probe_above("random")
    assert judge([probe("random", 0.3), probe("all", 0.4)]).outcome == "reproduced"
    assert judge([probe("random", 0.3), probe("all", 0.31)]).outcome == "not reproduced"
    assert judge([probe("all", 0.4)]).outcome == "not judged"


def test_the_ledger_has_unique_ids_and_judges_real_sources_alone():
    everything = [e for entries in published.ENTRIES.values() for e in entries]
    ids = {entry.id for entry in everything}
    assert len(ids) == len({id(entry) for entry in everything})
    found = [outcome(0.6)]
    real, drawn = (
        published.judge("name-that-dataset", found, Common(sources=s))
        for s in (("Y=a", "C=b", "D=c"), ())
    )
    assert [row["outcome"] for row in real] == ["reproduced", "not judged"]
    assert {row["outcome"] for row in drawn} == {"not judged"}
    assert "generated" in drawn[0]["here"]


def test_published_accuracies_of_the_papers_letters():
    assert published.by_letters([outcome(0.5)]) == {"sources": 84.7}
    assert len(published.COMBINATIONS) == 23
    triples = [v for k, v in published.COMBINATIONS.items() if len(k) == 3]
    assert len(triples) == 20 and sum(v > 80 for v in triples) == 16
    assert min(triples) == 62.8 and max(triples) == 92.7
