"""What is published of various and of few programs, and the rules that judge it."""

from dataclasses import dataclass

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
from jaxbias.studies.synthetic_shape_bias.claims import judged_transfer, of_diversity
from jaxbias.studies.synthetic_shape_bias.trends import doublings
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
    return judged_transfer(evidence.trends["simclr"])


def _main_rises(evidence: Evidence) -> Judgement:
    last = ends(evidence.rows)[1]
    values = measures.at(evidence.sets, last, measures.VARIETY)
    logs = doublings(last)
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
    *of_diversity(lambda evidence: evidence.trends["all"]),
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
