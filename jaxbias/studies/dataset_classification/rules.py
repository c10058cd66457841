"""Rules by which outcomes are held against published claims, at any scale.

The papers' figures are of six data sets with a million images each. What can be judged on
other images is what does not depend on them: whether accuracy is above chance, what is
above what, and what rises with what.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

from jaxbias.ledger import Judgement, MissingError, held, where_possible
from jaxbias.studies.dataset_classification.cases import Outcome

FEW = 200
"""Validation images below which nothing is judged: the interval is +-7 points."""

CLEAR = 1.25
"""The lower end of an interval over chance, for "far above"."""

SIGMAS = 2.0
"""Standard errors that a difference must have to count, and to speak against an order."""

Judge = Callable[[list[Outcome]], Judgement]


def enough(outcomes: Sequence[Outcome]) -> None:
    """Raise `MissingError` where there are no outcomes, or too few validation images."""
    if not outcomes:
        raise MissingError("the cases it needs were not run")
    count = min(len(o.validation[0].labels) for o in outcomes)
    if count < FEW:
        raise MissingError(f"{count} validation images, {FEW} are needed")


def error(outcome: Outcome) -> float:
    """Standard error of an accuracy: of the images, or of the seeds where that is more."""
    share, count = outcome.accuracy, len(outcome.validation[0].labels)
    of_images = (max(share * (1 - share), 1 / count) / count) ** 0.5
    each = [scores.accuracy for scores in outcome.validation]
    of_seeds = np.std(each, ddof=1) / len(each) ** 0.5 if len(each) > 1 else 0.0
    return float(max(of_images, of_seeds))


def apart(lower: Outcome, upper: Outcome) -> float:
    """How far one accuracy is above another, in standard errors of the difference."""
    both = (error(lower) ** 2 + error(upper) ** 2) ** 0.5
    return (upper.accuracy - lower.accuracy) / both


def words(outcomes: Sequence[Outcome]) -> str:
    """Accuracies in words, with the case that each is of."""
    return ", ".join(f"{o.case.name} {o.accuracy:.1%}" for o in outcomes)


def chosen(**labels: object) -> Callable[[list[Outcome]], list[Outcome]]:
    """Those outcomes whose labels have these values."""

    def choose(outcomes: list[Outcome]) -> list[Outcome]:
        return [
            o
            for o in outcomes
            if all(o.case.labels.get(k) == v for k, v in labels.items())
        ]

    return choose


def all_above_chance(
    choose: Callable[[list[Outcome]], list[Outcome]] = list, clear: float = CLEAR
) -> Judge:
    """Every chosen case is told far better than by chance."""

    @where_possible
    def judge(outcomes: list[Outcome]) -> Judgement:
        found = choose(outcomes)
        enough(found)
        worst = min(found, key=lambda o: o.interval[0] / o.chance)
        low = worst.interval[0]
        text = words(found) if len(found) <= 4 else f"least: {words([worst])}"
        return held(
            low > clear * worst.chance,
            f"{text}; lower end {low:.1%}, chance {worst.chance:.1%}",
        )

    return judge


def at_chance(choose: Callable[[list[Outcome]], list[Outcome]] = list) -> Judge:
    """Every chosen case is told no better and no worse than by chance."""

    @where_possible
    def judge(outcomes: list[Outcome]) -> Judgement:
        found = choose(outcomes)
        enough(found)
        # Of many intervals of 95 % some miss: the width is that of all together.
        within = SIGMAS + math.log2(len(found)) / 2
        far = [abs(o.accuracy - o.chance) / error(o) for o in found]
        return held(
            max(far) <= within,
            f"{words(found)}; at most {max(far):.1f} standard errors from chance",
        )

    return judge


def in_order(names: Sequence[str], label: str) -> Judge:
    """Accuracies rise in the order of a label's values; ties within noise are allowed."""

    @where_possible
    def judge(outcomes: list[Outcome]) -> Judgement:
        found = []
        for name in names:
            found += chosen(**{label: name})(outcomes)
        if len(found) < 3:
            raise MissingError(f"three of {', '.join(names)} are needed")
        enough(found)
        wrong = [
            f"{b.case.name} below {a.case.name}"
            for i, a in enumerate(found)
            for b in found[i + 1 :]
            if apart(a, b) < -SIGMAS
        ]
        clear = apart(found[0], found[-1]) > SIGMAS
        text = words(found) + (f"; {', '.join(wrong)}" if wrong else "")
        return held(clear and not wrong, text)

    return judge


def above(lower: dict[str, object], upper: dict[str, object]) -> Judge:
    """One case is told better than another, beyond noise."""

    @where_possible
    def judge(outcomes: list[Outcome]) -> Judgement:
        first, second = (chosen(**which)(outcomes) for which in (lower, upper))
        enough(first), enough(second)
        distance = apart(first[0], second[0])
        text = f"{words([first[0], second[0]])}; {distance:.1f} standard errors apart"
        return held(distance > SIGMAS, text)

    return judge


def _number(outcome: Outcome, name: str) -> float:
    """A label or a number of an outcome."""
    return float(outcome.case.labels.get(name, outcome.numbers.get(name, math.nan)))


def rises(label: str, choose: Callable[[list[Outcome]], list[Outcome]] = list) -> Judge:
    """Accuracy rises with a label or number: last above first, no step clearly down."""

    @where_possible
    def judge(outcomes: list[Outcome]) -> Judgement:
        found = sorted(choose(outcomes), key=lambda o: _number(o, label))
        if len(found) < 2:
            raise MissingError(f"two values of {label} are needed")
        enough(found)
        steps = [apart(a, b) for a, b in zip(found, found[1:], strict=False)]
        total = apart(found[0], found[-1])
        return held(
            total > SIGMAS and min(steps) > -SIGMAS,
            f"{words(found)}; {total:.1f} standard errors from first to last",
        )

    return judge


def _trained(
    outcomes: list[Outcome], labels: dict[str, object], most: bool
) -> tuple[Outcome, str]:
    """The case of these labels with the fewest or most images, and its figures."""
    found = chosen(**labels)(outcomes)
    enough(found)
    pick = max if most else min
    outcome = pick(found, key=lambda o: float(o.case.labels["images"]))
    text = f"{outcome.case.name}: {outcome.training_accuracy:.1%} of training images"
    return outcome, text


def by_heart(labels: dict[str, object], *, least: float) -> Judge:
    """Training images are told, at the fewest images."""

    @where_possible
    def judge(outcomes: list[Outcome]) -> Judgement:
        outcome, text = _trained(outcomes, labels, most=False)
        return held(outcome.training_accuracy >= least, text)

    return judge


def not_by_heart(labels: dict[str, object], *, most: float) -> Judge:
    """Training images are not told, at the most images."""

    @where_possible
    def judge(outcomes: list[Outcome]) -> Judgement:
        outcome, text = _trained(outcomes, labels, most=True)
        return held(outcome.training_accuracy <= most, text)

    return judge


def probe_above(lower: str, upper: str | None = None) -> Judge:
    """The probe of a case, the last one or a named one, is above another, beyond noise."""

    @where_possible
    def judge(outcomes: list[Outcome]) -> Judgement:
        first = [o for o in outcomes if o.case.name == lower]
        enough(first)
        last = [o for o in outcomes if upper in (None, o.case.name)][-1]
        half = [
            (o.numbers["probe_high"] - o.numbers["probe_low"]) / 2 / 1.96
            for o in (first[0], last)
        ]
        low, high = (o.numbers["probe_accuracy"] for o in (first[0], last))
        text = f"{first[0].case.name} {low:.1%}, {last.case.name} {high:.1%}"
        return held(high - low > SIGMAS * math.hypot(*half), text)

    return judge
