"""What is known of the functions of random networks, as data. Rules precede results."""

import numpy as np
from scipy import stats

from jaxbias.ledger import (
    Entry,
    Judgement,
    MissingError,
    held,
    judge_all,
    where_possible,
)
from jaxbias.studies.neural_redshift.boolean_prior.evidence import (
    RARE,
    Envelope,
    Evidence,
    Found,
    envelope,
)

ORDERED, CHAOTIC = 1.5, 4.0
"""Weight scales up to, and from, which tanh is taken for ordered or chaotic; the border
of the deep mean-field limit lies between 1 and 1.5 at small biases."""

ENOUGH = 100_000
"""Networks without which no envelope is judged: a sample of fewer shows too few levels of
K where the constants take most of it."""

SIMPLE = 0.75
"""Mean K over that of random functions, up to which networks are called biased."""

DEEP = 8
"""Hidden layers from which order and chaos have room to show."""


def fit(found: Found) -> Envelope:
    """The upper envelope of one condition."""
    levels = found.levels()
    return envelope(levels["complexity"], levels["most"], found.networks)


def falls(one: Envelope) -> bool:
    """Whether P falls about exponentially with K."""
    return one.levels >= 5 and one.slope > 0 and one.correlation <= -0.9


def enough(found: Found) -> Found:
    """The same, if there are networks enough to see an envelope.

    Raises:
        MissingError: If there are not.
    """
    if found.networks < ENOUGH:
        raise MissingError(f"{found.networks:,} networks, {ENOUGH:,} are needed")
    return found


def described(found: Found) -> str:
    one = fit(found)
    where = f"sigma_w {found.condition.sigma_w:g}"
    if np.isnan(one.slope):
        return f"{where}: {one.levels} levels of K with a function found {RARE} times"
    return (
        f"{where}: P <= 2^-({one.slope:.2f} K {one.offset:+.1f}), "
        f"r {one.correlation:.2f} over {one.levels} levels"
    )


def shallow(evidence: Evidence, activation: str) -> Found:
    """The fewest layers at the smallest weight scale."""
    return evidence.over_sigma(activation, min(evidence.config.depths))[0]


def deep(evidence: Evidence) -> int:
    """The most layers, if they are many.

    Raises:
        MissingError: If they are few.
    """
    depth = max(evidence.config.depths)
    if depth < DEEP:
        raise MissingError(f"at most {depth} hidden layers, {DEEP} are needed")
    return depth


def simplicity_bias(activation: str):
    """The upper envelope of P falls exponentially with K at the smallest scale."""

    @where_possible
    def judge(evidence: Evidence) -> Judgement:
        found = enough(shallow(evidence, activation))
        if found.condition.sigma_w > ORDERED:
            raise MissingError(f"no sigma_w up to {ORDERED:g} was run")
        return held(falls(fit(found)), described(found))

    return judge


@where_possible
def spans_orders(evidence: Evidence) -> Judgement:
    """The most frequent function is found so often, and others but once."""
    found = shallow(evidence, "relu")
    counts = found.tally.counts
    decades = float(np.log10(counts[0] / counts[-1]))
    possible = float(np.log10(found.networks))
    return held(
        decades >= max(3.0, possible - 2) and int(counts[-1]) == 1,
        f"{decades:.1f} decades of the {possible:.1f} that {found.networks:,} networks "
        f"can show; {(counts == 1).sum():,} functions found once",
    )


@where_possible
def zipf(evidence: Evidence) -> Judgement:
    """The slope of log frequency over log rank."""
    found = shallow(evidence, "relu")
    counts = found.tally.counts
    last = int((counts >= RARE).sum())
    if last < 100:
        raise MissingError(f"{last} functions found {RARE} times, 100 are needed")
    rank = np.unique(np.geomspace(10, last, 60).round().astype(int))
    slope = float(np.polyfit(np.log(rank), np.log(counts[rank - 1]), 1)[0])
    return held(
        -1.3 <= slope <= -0.7,
        f"slope {slope:.2f} over ranks 10 to {last:,}",
    )


@where_possible
def constants_first(evidence: Evidence) -> Judgement:
    """The two most frequent functions are the constants."""
    found = shallow(evidence, "relu")
    first = found.measured.constant[:2]
    share = found.tally.counts[found.measured.constant].sum() / found.networks
    return held(bool(first.all()), f"constants: {share:.1%} of the networks")


def _along(evidence: Evidence) -> tuple[list[Found], list[float], float]:
    found = evidence.over_sigma("tanh", deep(evidence))
    sigma = [one.condition.sigma_w for one in found]
    if sigma[0] > ORDERED or sigma[-1] < CHAOTIC:
        raise MissingError(f"sigma_w must reach from {ORDERED:g} to {CHAOTIC:g}")
    uniform = evidence.of("uniform")
    means = [one.mean(one.measured.complexity) for one in found]
    return found, means, uniform.mean(uniform.measured.complexity)


@where_possible
def chaos_weakens(evidence: Evidence) -> Judgement:
    """Deep tanh: mean K rises with sigma_w, and functions repeat less and less."""
    found, means, _ = _along(evidence)
    repeated = [
        float(one.tally.counts[one.tally.counts > 1].sum() / one.networks)
        for one in found
    ]
    errors = [one.summary(evidence.config.bits)["complexity_se"] for one in found]
    rises = all(
        after >= before - 3 * float(error)
        for before, after, error in zip(means, means[1:], errors[1:], strict=False)
    )
    shown = ", ".join(
        f"{one.condition.sigma_w:g}: {mean:.1f} ({again:.0%})"
        for one, mean, again in zip(found, means, repeated, strict=True)
    )
    return held(
        rises and means[-1] > 1.3 * means[0] and repeated[-1] < repeated[0] / 2,
        f"mean K (networks whose function was found again) by sigma_w {shown}",
    )


@where_possible
def chaos_is_random(evidence: Evidence) -> Judgement:
    """Deep tanh at the largest scale: K is nearly that of random functions."""
    _, means, uniform = _along(evidence)
    share = (means[-1] - means[0]) / (uniform - means[0])
    return held(
        share >= 0.8,
        f"mean K {means[0]:.1f} ordered, {means[-1]:.1f} chaotic, {uniform:.1f} of "
        f"random functions: {share:.0%} of the way",
    )


@where_possible
def relu_always(evidence: Evidence) -> Judgement:
    """ReLU at every depth and scale: K is low, and the envelope falls if there is one."""
    if max(evidence.config.sigma_ws) < CHAOTIC:
        raise MissingError(f"sigma_w must reach {CHAOTIC:g}")
    uniform = evidence.of("uniform")
    random = uniform.mean(uniform.measured.complexity)
    shown, fine = [], []
    for depth in evidence.config.depths:
        words = []
        for found in evidence.over_sigma("relu", depth):
            one = fit(enough(found))
            share = found.mean(found.measured.complexity) / random
            fine.append(share <= SIMPLE and (one.levels < 5 or falls(one)))
            words.append(f"{share:.2f} (r {one.correlation:.2f})")
        shown.append(f"depth {depth}: " + ", ".join(words))
    return held(
        all(fine),
        "mean K over that of random functions by sigma_w, " + "; ".join(shown),
    )


@where_possible
def never_repeated(evidence: Evidence) -> Judgement:
    """Random truth tables are all distinct, as chance has it."""
    found = evidence.of("uniform")
    points = 1 << evidence.config.bits
    expected = found.networks * (found.networks - 1) / 2 / 2.0**points
    if expected > 0.001:
        raise MissingError(f"{expected:.2g} repeats are expected by chance")
    again = found.networks - len(found.tally.counts)
    return held(
        again == 0, f"{again} repeats of {found.networks:,}, {expected:.0e} expected"
    )


@where_possible
def perceptron_uniform(evidence: Evidence) -> Judgement:
    """Perceptrons without bias: every number of ones below 2^n is equally likely."""
    found = evidence.of("perceptron")
    points = 1 << evidence.config.bits
    networks = found.balance(points)["networks"]
    if found.networks < 20 * points:
        raise MissingError(f"fewer than {20 * points:,} perceptrons")
    p = float(stats.chisquare(networks[:-1]).pvalue)
    return held(
        p >= 0.001 and int(networks[-1]) == 0,
        f"{networks[:-1].min():,} to {networks[:-1].max():,} networks for each number "
        f"of ones, chi-squared p {p:.2g}; none with all ones: {networks[-1] == 0}",
    )


BIAS = "log2 P and K correlate at -0.9 or less over 5 levels of K"
WIDTH = f"the most frequent function of each K, if found {RARE} times"

ENTRIES: tuple[Entry, ...] = (
    Entry(
        id="bias-relu",
        source="Valle-Perez et al. 2018; Dingle et al. 2018",
        claim="ReLU: P(f) falls exponentially with complexity, P <= 2^-(aK+b)",
        expected=BIAS,
        tolerance=WIDTH,
        certainty="remembered",
        judge=simplicity_bias("relu"),
    ),
    Entry(
        id="bias-tanh-ordered",
        source="Mingard et al. 2025",
        claim="tanh, ordered phase: P(f) falls exponentially with complexity",
        expected=BIAS,
        tolerance=WIDTH,
        certainty="remembered",
        judge=simplicity_bias("tanh"),
    ),
    Entry(
        id="orders-of-magnitude",
        source="Valle-Perez et al. 2018",
        claim="ReLU: probabilities of functions span orders of magnitude",
        expected="3 decades, and all but 2 of those that the sample can show",
        tolerance="the most frequent against functions found once",
        certainty="remembered",
        judge=spans_orders,
    ),
    Entry(
        id="zipf",
        source="Valle-Perez et al. 2018",
        claim="ReLU: frequency over rank is near Zipf's law",
        expected="slope -1.3 to -0.7",
        tolerance=f"from rank 10, so far as functions were found {RARE} times",
        certainty="remembered",
        judge=zipf,
    ),
    Entry(
        id="constants-first",
        source="Valle-Perez et al. 2018",
        claim="ReLU: the two constants are the most frequent functions",
        expected="ranks 1 and 2",
        tolerance="none",
        certainty="remembered",
        judge=constants_first,
    ),
    Entry(
        id="chaos-weakens",
        source="Mingard et al. 2025",
        claim="deep tanh: from order to chaos the simplicity bias weakens",
        expected="mean K rises, by 30 % in all; repeated functions halve",
        tolerance="3 standard errors a step",
        certainty="remembered",
        judge=chaos_weakens,
    ),
    Entry(
        id="chaos-random",
        source="Mingard et al. 2025",
        claim="deep tanh, far into chaos: nearly the complexity of random functions",
        expected="80 % of the way from order",
        tolerance="a direction; the published figure is not at hand",
        certainty="remembered",
        judge=chaos_is_random,
    ),
    Entry(
        id="relu-always",
        source="Mingard et al. 2025",
        claim="ReLU: biased towards simple functions at every sigma_w",
        expected="at each sigma_w and depth mean K up to 0.75 of random functions', and "
        f"{BIAS} where there are 5",
        tolerance=WIDTH,
        certainty="remembered",
        judge=relu_always,
    ),
    Entry(
        id="random-never-repeat",
        source="2^128 functions",
        claim="functions drawn uniformly are as good as never found twice",
        expected="no repeats",
        tolerance="judged where fewer than 0.001 are expected",
        certainty="computed",
        judge=never_repeated,
    ),
    Entry(
        id="perceptron-uniform",
        source="Mingard et al. 2019, Theorem 4.1",
        claim="perceptron without bias on {0,1}^n: P(T ones) = 2^-n for 0 <= T < 2^n",
        expected="chi-squared p >= 0.001, none with all ones",
        tolerance="one false alarm in a thousand",
        certainty="remembered",
        judge=perceptron_uniform,
    ),
)


def judge(evidence: Evidence) -> list[dict[str, str]]:
    """Judge every entry."""
    return judge_all(ENTRIES, evidence)
