"""What is published of crops and colours, and the rules that judge it."""

from dataclasses import dataclass

from jaxbias.ledger import Entry, Judgement, judge_all, where_possible
from jaxbias.studies.synthetic_shape_bias.augmentation.config import CROP, JITTER
from jaxbias.studies.synthetic_shape_bias.claims import FLIPS, judged_signs
from jaxbias.sweeps import Columns

HERMANN = "Hermann et al. 2020 (on photographs)"


@dataclass(frozen=True)
class Evidence:
    """What there is to judge.

    Attributes:
        trends: See `trends.trends`, over the crop's least share, over the colours'
            change, and from sharp views to blurred and to smoothed ones.
    """

    trends: dict[str, Columns]


def _rises(setting: str):
    def judge(evidence: Evidence) -> Judgement:
        return judged_signs(evidence.trends[setting], "p_any_rising")

    return where_possible(judge)


ENTRIES: tuple[Entry, ...] = (
    Entry(
        id="crops",
        source=HERMANN,
        claim="views that show more of an image make for more shape bias",
        expected="it rises with the least share that is shown: p 0.05, one-sided",
        tolerance=FLIPS,
        certainty="read",
        judge=_rises(CROP),
    ),
    Entry(
        id="colours",
        source=HERMANN,
        claim="views of other colours make for more shape bias",
        expected="it rises with the change of colours: p 0.05, one-sided",
        tolerance=FLIPS,
        certainty="read",
        judge=_rises(JITTER),
    ),
    Entry(
        id="blur",
        source=HERMANN,
        claim="blurred views make for more shape bias",
        expected="it rises from sharp views to blurred ones: p 0.05, one-sided",
        tolerance=FLIPS,
        certainty="read",
        judge=_rises("blur"),
    ),
    Entry(
        id="bilateral",
        source="Benarous et al. 2023, released code: a bilateral filter in place of the "
        "blur; what came of it could not be read",
        claim="views without textures, whose edges stay, make for more shape bias",
        expected="it rises from sharp views to smoothed ones: p 0.05, one-sided",
        tolerance=FLIPS,
        certainty="read",
        judge=_rises("bilateral"),
    ),
)


def judge(evidence: Evidence) -> list[dict[str, str]]:
    """Rows for `verdicts.json`."""
    return judge_all(ENTRIES, evidence)
