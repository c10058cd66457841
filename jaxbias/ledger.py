"""The ledger: published outcomes as data, and what a run makes of them.

An entry is a claim with its source, what is expected, how much may differ, how surely
it is known, and the rule that judges it. A rule is fixed before the run; where a run
does not hold what the rule needs, the verdict is `not judged`, with the reason.
"""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

Certainty = Literal["read", "computed", "remembered"]
Outcome = Literal["reproduced", "not reproduced", "not judged"]
OUTCOMES: tuple[str, ...] = get_args(Outcome)


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What a run found of one published outcome.

    Attributes:
        outcome: The verdict.
        here: What was measured, in words and figures; for "not judged", the reason.
    """

    outcome: Outcome
    here: str


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One published outcome and the rule by which a run is held against it.

    Attributes:
        id: Short unique name.
        source: Where it stands (section, figure, table).
        claim: The outcome in words.
        expected: What must come out for "reproduced", as fixed before any run.
        tolerance: Why the rule has the width that it has.
        certainty: How the expectation is known: read in the paper or the authors' code,
            computed independently, or remembered.
        judge: Takes a run's evidence and gives the judgement.
    """

    id: str
    source: str
    claim: str
    expected: str
    tolerance: str
    certainty: Certainty
    judge: Callable[[Any], Judgement]


def held(condition: bool, here: str) -> Judgement:
    """Judge a claim whose condition could be evaluated."""
    return Judgement(outcome="reproduced" if condition else "not reproduced", here=here)


def not_judged(reason: str) -> Judgement:
    """Leave a claim open, with the reason."""
    return Judgement(outcome="not judged", here=reason)


class MissingError(LookupError):
    """The run holds nothing that could answer; the message says why, for a verdict."""


def where_possible(rule: Callable[..., Judgement]) -> Callable[..., Judgement]:
    """Leave a claim open where the run lacks what the rule asks for."""

    def judge(evidence: Any) -> Judgement:
        try:
            return rule(evidence)
        except MissingError as missing:
            return not_judged(str(missing))

    return judge


def judge_all(entries: Iterable[Entry], evidence: Any) -> list[dict[str, str]]:
    """Judge every entry; the rows are what `verdicts.json` holds."""
    rows = []
    for entry in entries:
        row = asdict(entry)
        del row["judge"]
        rows.append(row | asdict(entry.judge(evidence)))
    return rows
