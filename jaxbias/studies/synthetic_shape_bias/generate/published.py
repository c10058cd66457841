"""What is known of the sets' statistics, and the rules that judge a run by it."""

from functools import partial

import numpy as np

from jaxbias.ledger import (
    Entry,
    Judgement,
    MissingError,
    held,
    judge_all,
    where_possible,
)
from jaxbias.studies.synthetic_shape_bias.generate.config import Config

SIDE, FEWEST = 64, 64
"""What the numbers are of, and from how many images they can be told."""

SLOPES = {
    "stylegan-random": (-5.40, 0.21),
    "stylegan-highfreq": (-2.92, 0.67),
    "stylegan-sparse": (-3.03, 0.65),
    "stylegan-oriented": (-3.29, 1.26),
    "spectrum": (-4.36, 1.78),
    "dead-leaves-squares": (-2.09, None),
    "dead-leaves-mixed": (-2.10, None),
}
"""Exponents of power spectra: mean over 128 images of 64 pixels, and their deviation, of
programs written apart from these."""

WITHIN = 0.15
"""For those whose deviation is not known."""


def _slope(
    evidence: tuple[Config, dict[str, np.ndarray]], mean: float, spread: float | None
) -> Judgement:
    config, results = evidence
    slopes = results["slope"][np.isfinite(results["slope"])]
    if config.size != SIDE:
        raise MissingError(f"of {SIDE} pixels; these have {config.size}")
    if len(slopes) < FEWEST:
        raise MissingError(f"{FEWEST} images or more are needed")
    here = float(slopes.mean())
    return held(
        abs(here - mean) <= (spread or WITHIN),
        f"{here:.2f}, deviation {slopes.std():.2f}, {len(slopes):,} images",
    )


def entries(data: str) -> list[Entry]:
    """What is known of a set."""
    if data not in SLOPES:
        return []
    mean, spread = SLOPES[data]
    within = WITHIN if spread is None else spread
    return [
        Entry(
            id=f"slope-{data}",
            source="an independent program, 128 images of 64 pixels",
            claim=f"the power spectrum of {data} falls with an exponent of {mean:.2f}",
            expected=f"within {within:.2f} of {mean:.2f}, mean over images",
            tolerance="the deviation from image to image, or 0.15 where it is not known",
            certainty="computed",
            judge=where_possible(partial(_slope, mean=mean, spread=spread)),
        )
    ]


def judge(config: Config, results: dict[str, np.ndarray]) -> list[dict[str, str]]:
    """Rows for `verdicts.json`."""
    return judge_all(entries(config.data), (config, results))
