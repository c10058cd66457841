"""The ledger of the transformers experiment: what was published, as data, and its rules."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from jaxbias.ledger import (
    Entry,
    Judgement,
    MissingError,
    held,
    judge_all,
    not_judged,
    where_possible,
)
from jaxbias.studies.neural_redshift.transformers.evidence import Evidence, spread
from jaxbias.studies.neural_redshift.transformers.sequences import floor

NEGLIGIBLE = 0.02
"""LZ78 over length: a difference known to be smaller is none (ReLU's to GELU is 0.05)."""

REFERENCE = {
    ("gelu", 1.0): 0.298,
    ("relu", 1.0): 0.246,
    ("tanh", 1.0): 0.473,
    ("gaussian", 1.0): 0.180,
    ("gelu", 5.0): 0.719,
    ("tanh", 5.0): 0.951,
}
"""LZ78 over length by activation and gamma: GPT-2 small in PyTorch, written independently;
60 new tokens, mean of 6 first tokens of one draw of weights."""

REFERENCE_PROMPTS = 6

FIGURE = "section 5, Fig. 10"

Rule = Callable[[Evidence], Judgement]


def direction(differences: np.ndarray, words: str) -> Judgement:
    """Judge whether paired differences, one a draw, are above 0."""
    mean = float(np.mean(differences))
    se = float(np.std(differences, ddof=1)) / math.sqrt(len(differences))
    here = f"{words}: {mean:+.3f}, standard error {se:.3f}"
    if abs(mean) > 2 * se or (mean == 0 and se == 0):
        return held(mean > 0, here)
    if abs(mean) + 2 * se < NEGLIGIBLE:
        return held(False, here)
    return not_judged(f"{here}: within the noise")


def higher(first: str, second: str, gamma: float = 1.0) -> Rule:
    """One activation's sequences are more complex than another's, draw by draw."""

    @where_possible
    def judge(evidence: Evidence) -> Judgement:
        one, other = (evidence.sequences(name, gamma=gamma) for name in (first, second))
        differences = one.mean(axis=1) - other.mean(axis=1)
        words = f"{first} {one.mean():.3f}, {second} {other.mean():.3f}"
        return direction(differences, f"{words}; {first} minus {second}")

    return judge


@where_possible
def constants_at_the_floor(evidence: Evidence) -> Judgement:
    """A sequence of one token reads the closed form, and none reads less."""
    length = evidence.config.tokens + 1
    least = np.float32(floor(length))
    values = evidence.columns["lz78"].astype(np.float32)
    constant = evidence.columns["distinct"] == 1
    known = ~np.isnan(values)
    if not constant.any():
        raise MissingError("no sequence was constant")
    # One rounding of a quotient in float32.
    fine = np.isclose(values[constant], least, rtol=1e-6, atol=0).all()
    fine &= bool((values[known] >= least * (1 - 1e-6)).all())
    return held(
        bool(fine),
        f"{least:.4f} for {length} tokens; {constant.sum():,} constant sequences read "
        f"{values[constant].min():.4f} to {values[constant].max():.4f}, "
        f"the least of all {values[known].min():.4f}",
    )


@where_possible
def gelu_is_simple(evidence: Evidence) -> Judgement:
    """GPT-2 as published lies in the lower half of what there is."""
    mean = float(evidence.sequences("gelu").mean())
    least = float(floor(evidence.config.tokens + 1))
    share = (mean - least) / (1 - least)
    return held(
        share < 0.5, f"{mean:.3f}: {share:.2f} of the way from {least:.3f} to 1"
    )


@where_possible
def gaussian_ends_high(evidence: Evidence) -> Judgement:
    """At the largest scale a Gaussian is above more than half of the others."""
    gamma = max(evidence.gammas)
    if gamma < 5:
        raise MissingError(f"the largest gamma is {gamma:g}, 5 or more are needed")
    others = [name for name in evidence.config.activations if name != "gaussian"]
    if len(others) < 4:
        raise MissingError(f"{len(others)} other activations, 4 are needed")
    own = float(evidence.sequences("gaussian", gamma=gamma).mean())
    means = {name: evidence.sequences(name, gamma=gamma).mean() for name in others}
    above = sum(bool(own > mean) for mean in means.values())
    words = ", ".join(f"{name} {mean:.3f}" for name, mean in means.items())
    return held(
        above > len(others) / 2,
        f"gamma {gamma:g}: gaussian {own:.3f}, above {above} of {len(others)} ({words})",
    )


@where_possible
def rises_with_gamma(evidence: Evidence) -> Judgement:
    """From each scale to each larger one no activation falls by more than noise."""
    if len(evidence.gammas) < 3:
        raise MissingError(f"{len(evidence.gammas)} gammas, 3 are needed")
    falls, risen = {}, True
    for name in evidence.config.activations:
        by_gamma = [
            evidence.sequences(name, gamma=gamma).mean(axis=1)
            for gamma in evidence.gammas
        ]
        risen &= bool(by_gamma[-1].mean() > by_gamma[0].mean())
        worst = 0.0
        for i, before in enumerate(by_gamma):
            for after in by_gamma[i + 1 :]:
                fall = before - after
                se = fall.std(ddof=1) / math.sqrt(len(fall))
                # 3: the largest of many pairs.
                worst = max(worst, float(fall.mean() - 3 * se))
        falls[name] = worst
    largest = max(falls, key=lambda name: falls[name])
    return held(
        risen and falls[largest] <= NEGLIGIBLE,
        f"largest fall beyond 3 standard errors: {falls[largest]:.3f} ({largest})"
        + ("" if risen else "; not all end above where they began"),
    )


def _range(means: np.ndarray) -> float:
    """Between the extreme activations, mean over gammas, of means by both and draw."""
    return float(np.ptp(means.mean(axis=2), axis=0).mean())


@where_possible
def depth_magnifies(evidence: Evidence) -> Judgement:
    """Activations lie further apart in the deepest than in the shallowest network."""
    shallow, deep = evidence.depths[0], evidence.depths[-1]
    if shallow == deep or len(evidence.config.activations) < 3:
        raise MissingError("two depths and three activations are needed")
    means = {
        depth: np.stack(
            [
                [
                    evidence.sequences(name, gamma=gamma, depth=depth).mean(axis=1)
                    for gamma in evidence.gammas
                ]
                for name in evidence.config.activations
            ]
        )
        for depth in (shallow, deep)
    }
    wide, narrow = _range(means[deep]), _range(means[shallow])
    draws = evidence.config.draws
    # The jackknife: a range is no mean of the draws' ranges.
    without = [
        _range(np.delete(means[deep], i, axis=2))
        - _range(np.delete(means[shallow], i, axis=2))
        for i in range(draws)
    ]
    se = float(np.std(without)) * math.sqrt(draws - 1)
    here = f"range {narrow:.3f} at {shallow} layers, {wide:.3f} at {deep}, se {se:.3f}"
    if abs(wide - narrow) <= 2 * se:
        return not_judged(f"{here}: within the noise")
    return held(wide > narrow, here)


def as_measured_before(activation: str, gamma: float) -> Rule:
    """The mean is that of the independent run, within the noise of both."""

    @where_possible
    def judge(evidence: Evidence) -> Judgement:
        config = evidence.config
        for name, value in (
            *(("layers", 12), ("width", 768), ("heads", 12)),
            *(("vocabulary", 50_257), ("init_std", 0.02), ("scale_final", False)),
        ):
            if getattr(config, name) != value:
                here = f"{name.replace('_', '-')} is {getattr(config, name)}"
                raise MissingError(f"{here}, not {value}")
        if max(config.depths) != 12:
            raise MissingError("12 layers were not run")
        ours = spread(evidence.sequences(activation, gamma=gamma, measure="lz78_60"))
        if math.isnan(ours.within):
            raise MissingError("one first token a draw does not tell their noise")
        noise = math.sqrt(
            ours.se**2 + ours.between**2 + ours.within**2 / REFERENCE_PROMPTS
        )
        value = REFERENCE[activation, gamma]
        return held(
            abs(ours.mean - value) <= 3 * noise + 0.0005,
            f"{ours.mean:.3f} against {value:.3f}; noise of the difference {noise:.3f}",
        )

    return judge


def _entry(
    id: str,
    claim: str,
    expected: str,
    judge: Rule,
    *,
    tolerance: str = "2 standard errors over draws of weights, in pairs; the paper prints "
    "no number",
) -> Entry:
    return Entry(
        id=id,
        source=FIGURE,
        claim=claim,
        expected=expected,
        tolerance=tolerance,
        certainty="read",
        judge=judge,
    )


def _references() -> Sequence[Entry]:
    return [
        Entry(
            id=f"rerun-{activation}-gamma-{gamma:g}",
            source="an independent run of GPT-2 small in PyTorch, not published",
            claim=f"{activation}, gamma {gamma:g}: LZ78 / length {value:.3f} after 60 "
            "tokens",
            expected=f"{value:.3f}",
            tolerance="3 standard errors of both; the run was one draw of weights and 6 "
            "first tokens, its noise taken to be that of ours",
            certainty="computed",
            judge=as_measured_before(activation, gamma),
        )
        for (activation, gamma), value in REFERENCE.items()
    ]


ENTRIES: tuple[Entry, ...] = (
    Entry(
        id="floor",
        source="closed form",
        claim="a constant sequence of n tokens reads (sqrt(8 n + 1) - 1) / 2, rounded "
        "down, over n, and nothing reads less",
        expected="exactly",
        tolerance="one rounding in float32",
        certainty="computed",
        judge=constants_at_the_floor,
    ),
    _entry(
        "gelu-simple",
        "untrained GPT-2 (GELU, gamma 1) writes relatively simple sequences",
        "in the lower half between a constant's and 1",
        gelu_is_simple,
        tolerance="'relatively' is not a number: half of the range",
    ),
    _entry(
        "relu-lower",
        "ReLU in place of GELU lowers complexity",
        "GELU above ReLU at gamma 1",
        higher("gelu", "relu"),
    ),
    *(
        _entry(
            f"{name}-higher",
            f"{name} in place of GELU raises complexity",
            f"{name} above GELU at gamma 1",
            higher(name, "gelu"),
        )
        for name in ("selu", "tanh", "sine")
    ),
    _entry(
        "gaussian-begins-low",
        "a Gaussian's complexity is initially low",
        "below GELU's at gamma 1",
        higher("gelu", "gaussian"),
    ),
    _entry(
        "gaussian-ends-high",
        "a Gaussian's complexity climbs above most others' at large gamma",
        "above more than half of the other activations at the largest gamma, 5 or more",
        gaussian_ends_high,
        tolerance="an order of means",
    ),
    _entry(
        "rises-with-gamma",
        "complexity rises with the scale of the layer norms, monotonically",
        "no fall between any two scales, and the last above the first, every activation",
        rises_with_gamma,
        tolerance=f"3 standard errors over draws, in pairs, and {NEGLIGIBLE}: the largest "
        "of many pairs",
    ),
    _entry(
        "depth-magnifies",
        "depth magnifies the differences between activations",
        "a wider range of means, over all gammas, in the deepest network than in the "
        "shallowest",
        depth_magnifies,
        tolerance="2 standard errors, jackknife over draws",
    ),
    *_references(),
)


def judge(evidence: Evidence) -> list[dict[str, str]]:
    """Judge every entry."""
    return judge_all(ENTRIES, evidence)
