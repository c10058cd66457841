"""What is published of networks trained on made images, and the rules that judge one."""

import numpy as np

from jaxbias.ledger import (
    Entry,
    Judgement,
    MissingError,
    held,
    judge_all,
    where_possible,
)
from jaxbias.numerics.statistics import wilson
from jaxbias.studies.synthetic_shape_bias.train.config import Config

Evidence = tuple[Config, dict[str, np.ndarray]]

CHANCE = 1 / 16
"""Of naming a shape or a texture."""

DECODED = 3
"""Times chance from which a cue is taken for decodable."""

MOVED = 0.05
"""Change of a shape bias that is taken for one."""


def _ends(columns: dict[str, np.ndarray], name: str) -> tuple[float, float]:
    """A reading before the first step and after the last, means over seeds."""
    steps = columns["step"]
    return tuple(  # type: ignore[return-value]
        float(np.mean(columns[name][steps == at])) for at in (0, steps.max())
    )


def _transfers(evidence: Evidence) -> Judgement:
    config, columns = evidence
    before, after = _ends(columns, "transfer")
    count = config.transfer_images
    low = wilson(after * count, count)[0]
    high = wilson(before * count, count)[1]
    return held(low > high, f"{before:.1%} untrained, {after:.1%} trained")


def _baseline(evidence: Evidence) -> Judgement:
    _, columns = evidence
    found = {name: _ends(columns, f"{name}_bias") for name in ("solid", "textured")}
    if "official_bias" in columns:
        found["official"] = _ends(columns, "official_bias")
    text = "; ".join(f"{name} {a:.2f} to {b:.2f}" for name, (a, b) in found.items())
    return held(max(abs(b - a) for a, b in found.values()) > MOVED, text)


def _decodable(evidence: Evidence) -> Judgement:
    _, columns = evidence
    shape, bias = (
        _ends(columns, f"textured_{n}")[1] for n in ("shape_decoded", "bias")
    )
    if not bias < 0.5:
        raise MissingError(f"the shape bias is not low: {bias:.2f} on textures")
    return held(
        shape > DECODED * CHANCE, f"{shape:.1%} decoded, chance 6.2 %; bias {bias:.2f}"
    )


ENTRIES: tuple[Entry, ...] = (
    Entry(
        id="transfers",
        source="Baradad et al. 2021, small scale, figure of ImageNet-100",
        claim="features learned from made images transfer better than untrained ones "
        "(26 to 44 % against 21.5 %)",
        expected="a linear classifier's accuracy after the last step above that before "
        "the first, intervals apart",
        tolerance="Wilson's 95 % of the images that it is tested on",
        certainty="read",
        judge=where_possible(_transfers),
    ),
    Entry(
        id="training-moves-it",
        source="Benarous et al. 2023, abstract",
        claim="shape bias differs with what a network is trained on and for",
        expected=f"it moves by more than {MOVED} from the untrained network's, on some "
        "stimuli",
        tolerance="two standard errors of 1,200 images",
        certainty="read",
        judge=where_possible(_baseline),
    ),
    Entry(
        id="decodable",
        source="Hermann et al. 2020, linear decoding",
        claim="shape can be decoded from features although shape bias is low",
        expected="three times chance where the shape bias on textures is below 0.5",
        tolerance="none: the direction alone",
        certainty="remembered",
        judge=where_possible(_decodable),
    ),
)


def judge(config: Config, columns: dict[str, np.ndarray]) -> list[dict[str, str]]:
    """Rows for `verdicts.json`."""
    return judge_all(ENTRIES, (config, columns))
