"""What is published of how measures of shape bias agree, and the rules that judge it."""

from dataclasses import dataclass

import numpy as np

from jaxbias.ledger import (
    Entry,
    Judgement,
    MissingError,
    held,
    judge_all,
    where_possible,
)
from jaxbias.studies.synthetic_shape_bias.cases import ends
from jaxbias.studies.synthetic_shape_bias.dispute import analysis
from jaxbias.studies.synthetic_shape_bias.train.published import CHANCE, DECODED
from jaxbias.sweeps import Columns

SHARED = 0.5
"""Share of the variance of ranks that measures of one thing have in common, at least."""


@dataclass(frozen=True)
class Evidence:
    """What there is to judge.

    Attributes:
        rows: See `cases.Reading`.
        agreement: See `analysis.agreement`.
    """

    rows: Columns
    agreement: Columns


def _pairs(evidence: Evidence) -> np.ndarray:
    """Rank correlations of measures on the same stimuli.

    Raises:
        MissingError: If there are none.
    """
    own = evidence.agreement["same_stimuli"] == 1
    found = evidence.agreement["spearman"][own]
    if not (known := np.isfinite(found)).any():
        raise MissingError("no two measures of three networks")
    return found[known]


def _weak(evidence: Evidence) -> Judgement:
    found = _pairs(evidence)
    middle = float(np.median(found))
    text = (
        f"median {middle:+.2f} of {len(found)} pairs, {found.min():+.2f} to "
        f"{found.max():+.2f}"
    )
    return held(middle < SHARED**0.5, text)


def _opposed(evidence: Evidence) -> Judgement:
    found = analysis.contradicted(evidence.rows)
    if not found:
        raise MissingError("no two measures on the same stimuli")
    text = "; ".join(f"{name} {share:.0%}" for name, share in found.items())
    return held(max(found.values()) >= 0.5, f"{text} of networks")


def _decodable(evidence: Evidence) -> Judgement:
    last = ends(evidence.rows)[1]
    parts, all_above = [], []
    for measure, values in analysis.read(last).items():
        if (
            measure.how != "neighbours"
            or f"{measure.stimuli}_shape_decoded" not in last
        ):
            continue
        low = values < analysis.NEUTRAL
        if not low.any():
            continue
        decoded = last[f"{measure.stimuli}_shape_decoded"][low]
        parts.append(
            f"{measure.stimuli}: {low.sum()} networks, {decoded.min():.0%} to "
            f"{decoded.max():.0%}"
        )
        all_above.append(bool(decoded.min() > DECODED * CHANCE))
    if not parts:
        raise MissingError("no network whose neighbours go by texture")
    return held(all(all_above), "; ".join(parts))


ENTRIES: tuple[Entry, ...] = (
    Entry(
        id="weak-agreement",
        source="DiST (arXiv 2310.07555) and REFINED-BIAS (arXiv 2603.10834), as they are "
        "cited; their tables could not be read",
        claim="measures of shape bias order networks differently",
        expected="on the same stimuli, the median rank correlation of two measures is "
        "below 0.71: ranks have less than half of their variance in common",
        tolerance="half was chosen before any run",
        certainty="read",
        judge=where_possible(_weak),
    ),
    Entry(
        id="measure-decides",
        source="Tartaglini et al. 2022: by triplets networks prefer shape",
        claim="whether a network prefers shape or texture depends on how it is asked",
        expected="on some stimuli, measures put half of the networks or more on both "
        "sides of 0.5",
        tolerance="half was chosen before any run",
        certainty="read",
        judge=where_possible(_opposed),
    ),
    Entry(
        id="decodable",
        source="Hermann et al. 2020: 66 % and 78 % from networks that go by texture",
        claim="shape can be read from features of networks whose shape bias is low",
        expected="a linear classifier finds it three times as often as chance in every "
        "network whose neighbours go by texture",
        tolerance="three times, as for single trainings; images of sources that were not "
        "seen",
        certainty="read",
        judge=where_possible(_decodable),
    ),
)


def judge(evidence: Evidence) -> list[dict[str, str]]:
    """Rows for `verdicts.json`."""
    return judge_all(ENTRIES, evidence)
