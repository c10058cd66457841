"""What is published of various and of few programs, and the rules that judge it."""

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
from jaxbias.numerics.statistics import spearman
from jaxbias.studies.synthetic_shape_bias import measures
from jaxbias.studies.synthetic_shape_bias.cases import ends
from jaxbias.studies.synthetic_shape_bias.trends import judged_signs, judged_transfer
from jaxbias.sweeps import Columns


@dataclass(frozen=True)
class Evidence:
    """What there is to judge.

    Attributes:
        rows: See `cases.Reading`.
        sets: See `measures.measured`.
        trends: See `trends.trends`, over doublings of the programs; by supervision, and
            of all together by "all".
    """

    rows: Columns
    sets: Columns
    trends: dict[str, Columns]


def _transfer(evidence: Evidence) -> Judgement:
    if "simclr" not in evidence.trends:
        raise MissingError("no SimCLR")
    return judged_transfer(evidence.trends["simclr"], " points a doubling")


def _tracks(column: str):
    def judge(evidence: Evidence) -> Judgement:
        return judged_signs(evidence.trends["all"], column)

    return where_possible(judge)


def _main_rises(evidence: Evidence) -> Judgement:
    last = ends(evidence.rows)[1]
    values = measures.at(evidence.sets, last, f"vendi_{measures.MAIN}")
    logs = np.log2(last["programs"].astype(float))
    found = {}
    for data in dict.fromkeys(last["data"].tolist()):
        own = last["data"] == data
        found[data] = spearman(logs[own], values[own])
    text = "; ".join(f"{data} {value:+.2f}" for data, value in found.items())
    return held(min(found.values()) > 0, text)


def _best_aligned(evidence: Evidence) -> Judgement:
    last = ends(evidence.rows)[1]
    found = {}
    for feature in measures.FEATURES:
        values = measures.at(evidence.sets, last, f"vendi_{feature}")
        found[feature] = spearman(values, last["transfer"])
    text = ", ".join(f"{feature} {value:+.2f}" for feature, value in found.items())
    return held(max(found, key=found.__getitem__) == measures.MAIN, text)


ABSTRACT = "Benarous et al. 2023, abstract"

ENTRIES: tuple[Entry, ...] = (
    Entry(
        id="transfer-rises",
        source="Baradad et al. 2022, figure of the number of programs, SimCLR",
        claim="transfer rises with the logarithm of the number of programs (23 to 47 %)",
        expected="a positive slope, mean over generators: p 0.05, one-sided",
        tolerance="flips of the generators' signs",
        certainty="read",
        judge=where_possible(_transfer),
    ),
    Entry(
        id="tracks-diversity",
        source=ABSTRACT,
        claim="shape bias tells how various the samples of a data set are (the sign is "
        "not in the abstract)",
        expected="it rises, or it falls, with the number of programs: p 0.05, two-sided",
        tolerance="flips of the generators' signs, of all kinds of stimuli together",
        certainty="read",
        judge=_tracks("p_any"),
    ),
    Entry(
        id="rises-with-diversity",
        source=f"{ABSTRACT}; one of its two possible signs",
        claim="shape bias is higher where samples are more various",
        expected="it rises with the number of programs: p 0.05, one-sided",
        tolerance="flips of the generators' signs, of all kinds of stimuli together",
        certainty="read",
        judge=_tracks("p_any_rising"),
    ),
    Entry(
        id="falls-with-diversity",
        source=f"{ABSTRACT}; the other one",
        claim="shape bias is lower where samples are more various",
        expected="it falls with the number of programs: p 0.05, one-sided",
        tolerance="flips of the generators' signs, of all kinds of stimuli together",
        certainty="read",
        judge=_tracks("p_any_falling"),
    ),
    Entry(
        id="score-rises",
        source="this project: a score of diversity should know of it",
        claim=f"the Vendi score of {measures.MAIN} rises with the number of programs",
        expected="a positive rank correlation for every generator",
        tolerance="none: the direction alone",
        certainty="computed",
        judge=where_possible(_main_rises),
    ),
    Entry(
        id="best-aligned",
        source="an independent program, of images of nine sets",
        claim="Vendi scores disagree; that of gradient histograms orders sets most like "
        "their transfer",
        expected=f"of five features {measures.MAIN} has the highest rank correlation with "
        "transfer",
        tolerance="none: the order alone",
        certainty="computed",
        judge=where_possible(_best_aligned),
    ),
)


def judge(evidence: Evidence) -> list[dict[str, str]]:
    """Rows for `verdicts.json`."""
    return judge_all(ENTRIES, evidence)
