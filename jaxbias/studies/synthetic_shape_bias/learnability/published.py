"""What is published of how easily shapes and textures are learnt, and its rule."""

from collections.abc import Callable
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
from jaxbias.studies.synthetic_shape_bias.learnability.config import CUES, OFFICIAL
from jaxbias.sweeps import Columns

MARGIN = 0.02
"""By which shape may be below texture and still be as easy."""


@dataclass(frozen=True)
class Evidence:
    """What there is to judge.

    Attributes:
        rows: See `lessons.learnt`.
    """

    rows: Columns


def advantage(rows: Columns, stimuli: str) -> dict[str, np.ndarray]:
    """By model: accuracy by shape less that by texture, for each share, over seeds.

    Raises:
        MissingError: If one of the two was not learnt.
    """
    found = {}
    own = rows["stimuli"] == stimuli
    if not own.any():
        raise MissingError(f"no {stimuli} images")
    for model in dict.fromkeys(rows["model"][own].tolist()):
        means = []
        for cue in CUES:
            mine = own & (rows["model"] == model) & (rows["cue"] == cue)
            if not mine.any():
                raise MissingError(f"nothing was learnt by {cue}")
            shares = np.unique(rows["share"][mine])
            means.append(
                [rows["accuracy"][mine & (rows["share"] == s)].mean() for s in shares]
            )
        found[model] = np.asarray(means[0]) - np.asarray(means[1])
    return found


def _as_easily(stimuli: str) -> Callable[[Evidence], Judgement]:
    def judge(evidence: Evidence) -> Judgement:
        found = advantage(evidence.rows, stimuli)
        text = "; ".join(
            f"{model} {100 * gap.mean():+.1f} points "
            f"({100 * gap.min():+.1f} to {100 * gap.max():+.1f})"
            for model, gap in found.items()
        )
        least = min(float(gap.mean()) for gap in found.values())
        return held(least >= -MARGIN, text)

    return where_possible(judge)


WORDS = {
    OFFICIAL: "official cue-conflict images",
    "solid": "shapes that are drawn on a colour",
    "textured": "shapes that are drawn on a ground of their texture",
}

ENTRIES = tuple(
    Entry(
        id=f"as-easily-{stimuli}",
        source="Hermann et al. 2020, abstract: AlexNet and ResNet-50, 5 to 100 % of three "
        "sets" + ("" if stimuli == OFFICIAL else "; other images than theirs"),
        claim=f"networks learn shape at least as easily as texture: {words}",
        expected="accuracy by shape is no more than 2 points below that by texture, as the "
        "mean over shares of the training images, for every network",
        tolerance="two points, chosen before any whole run: a mean of five shares has an "
        "error of under a point",
        certainty="read",
        judge=_as_easily(stimuli),
    )
    for stimuli, words in WORDS.items()
)


def judge(evidence: Evidence) -> list[dict[str, str]]:
    """Rows for `verdicts.json`."""
    return judge_all(ENTRIES, evidence)
