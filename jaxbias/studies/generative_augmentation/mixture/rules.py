"""The rules by which a gaussian-mixture run is held against what is known of it.

All limits were fixed before the first run.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from jaxbias.ledger import Judgement, MissingError, held, where_possible
from jaxbias.numerics.statistics import pearson, spearman
from jaxbias.studies.generative_augmentation import bounds
from jaxbias.studies.generative_augmentation.mixture.config import (
    FIGURE_1,
    GAMMAS,
    Group,
)
from jaxbias.studies.generative_augmentation.mixture.evidence import Evidence, Series

FEW = 100
"""Trials below which nothing is judged."""

ENOUGH = 500
"""Trials from which differences of a few per cent between curves are visible."""

LARGEST_Z = 4.0
"""Standard errors; one of 100 true comparisons exceeds it with probability 0.006."""


def _panel(name: str) -> list[tuple[Group, float]]:
    return [(group, g) for group, gammas in FIGURE_1[name].items() for g in gammas]


def _abs_gap(evidence: Evidence, points: Sequence[tuple[Group, float]]) -> Series:
    return evidence.series(
        "abs_gap",
        m_real=[m for (m, _), _ in points],
        dim=[d for (_, d), _ in points],
        gamma=[gamma for _, gamma in points],
    )


def reference_values(
    panel: str, reference: Mapping[tuple[Group, float], float], trials: int
):
    """|gap| at every point of a panel equals an independent simulation's."""

    @where_possible
    def judge(evidence: Evidence) -> Judgement:
        evidence.needs(FEW)
        points = _panel(panel)
        found = _abs_gap(evidence, points)
        expected = np.asarray([reference[point] for point in points])
        # The reference has the same spread, its own trials, and four digits.
        theirs = found.error * np.sqrt(evidence.config.n_trials / trials)
        error = np.sqrt(found.error**2 + theirs**2 + 5e-5**2)
        z = np.abs(found.value - expected) / error
        worst = int(np.argmax(z))
        (m, d), gamma = points[worst]
        return held(
            bool(z.max() <= LARGEST_Z),
            f"{int((z <= 3).sum())} of {len(z)} within 3 standard errors; largest "
            f"{z.max():.1f} (m {m}, d {d}, gamma {gamma:g})",
        )

    return judge


def read_values(readings: Mapping[tuple[Group, float], float], tolerance: float):
    """|gap| lies within a tolerance of values read off a published picture."""

    @where_possible
    def judge(evidence: Evidence) -> Judgement:
        evidence.needs(FEW)
        points = list(readings)
        found = _abs_gap(evidence, points)
        read = np.asarray(list(readings.values()))
        off = np.abs(found.value - read)
        # The tolerance is the readings' own; the simulation's error comes on top.
        fine = off <= tolerance * read + 2 * found.error
        return held(
            bool(fine.all()),
            f"{int(fine.sum())} of {len(off)} points, largest difference "
            f"{100 * np.max(off / read):.0f} %",
        )

    return judge


@where_possible
def no_visible_change(evidence: Evidence) -> Judgement:
    """In one dimension the curves of all gammas nearly coincide and fall as m^(-1/2)."""
    evidence.needs(ENOUGH)
    sizes = [m for m, _ in FIGURE_1["a"]]
    gammas = FIGURE_1["a"][sizes[0], 1]
    curves = np.asarray(
        [evidence.series("abs_gap", m_real=sizes, dim=1, gamma=g).value for g in gammas]
    )
    spread = float((curves.max(0) / curves.min(0)).max() - 1)
    slopes = [np.polyfit(np.log(sizes), np.log(curve), 1)[0] for curve in curves]
    return held(
        spread <= 0.2 and all(abs(slope + 0.5) <= 0.06 for slope in slopes),
        f"curves within {100 * spread:.0f} % of one another; log-log slopes "
        f"{min(slopes):.2f} to {max(slopes):.2f}",
    )


@where_possible
def rises_then_falls(evidence: Evidence) -> Judgement:
    """At d = 1 and m = 40 a few generated points raise the gap, many bring it back."""
    evidence.needs(ENOUGH)
    gap = evidence.series("abs_gap", m_real=40, dim=1, gamma=GAMMAS).value
    change = gap / gap[0] - 1
    top = GAMMAS[int(np.argmax(change))]
    return held(
        all((top in (1.0, 2.0), 0.05 <= change.max() <= 0.18, change[-1] < 0.06)),
        f"{gap[0]:.4f} without, {gap.max():.4f} at gamma {top:g} "
        f"({100 * change.max():+.0f} %), {gap[-1]:.4f} at 100 "
        f"({100 * change[-1]:+.0f} %)",
    )


@where_possible
def linear_in_dimension(evidence: Evidence) -> Judgement:
    """With few real points the gap is linear in d, and augmentation lowers it."""
    evidence.needs(FEW)
    dims = [d for _, d in FIGURE_1["d"]]
    plain = evidence.series("abs_gap", m_real=10, dim=dims, gamma=0.0).value
    slope = float(np.polyfit(dims, plain, 1)[0])
    fit = pearson(np.asarray(dims), plain) ** 2
    most = evidence.series("abs_gap", m_real=10, dim=[100], gamma=50.0).value[0]
    factor = plain[-1] / most
    return held(
        all((abs(slope - 0.1) <= 0.005, fit >= 0.999, 4 <= factor <= 5.2)),
        f"slope {slope:.4f} at gamma 0 (1/m is 0.1), R^2 {fit:.5f}; at "
        f"d 100 from {plain[-1]:.2f} to {most:.2f} at gamma 50, a factor {factor:.1f}",
    )


@where_possible
def falls_steeply(evidence: Evidence) -> Judgement:
    """At d = 50 and m = 10 the gap falls until gamma 10 and is flat after."""
    evidence.needs(FEW)
    gap = evidence.series("abs_gap", m_real=10, dim=50, gamma=GAMMAS)
    early = (gap.value[0] - gap.value[4]) / (gap.value[0] - gap.value[-1])
    rises = np.diff(gap.value) > 3 * gap.error[1:]
    return held(
        bool(early >= 0.9 and not rises.any()),
        f"{gap.value[0]:.2f} to {gap.value[-1]:.2f}, {100 * early:.0f} % of it by "
        "gamma 10",
    )


def bound_values(group: Group, expected: Sequence[float], digits: int):
    """The bound at the published gammas has the values of the authors' notebook."""

    @where_possible
    def judge(evidence: Evidence) -> Judgement:
        m, d = group
        if evidence.config.bound_variant != "notebook":
            raise MissingError("the bound is not the notebook's")
        found = evidence.series("bound", m_real=m, dim=d, gamma=GAMMAS).value
        off = float(np.abs(found - np.asarray(expected)).max())
        shown = ", ".join(f"{value:.{digits}f}" for value in found)
        return held(off <= 1.01 * 10.0**-digits, shown)

    return judge


def same_trend(group: Group, least: float):
    """Bound and simulated gap order the gammas alike."""

    @where_possible
    def judge(evidence: Evidence) -> Judgement:
        evidence.needs(ENOUGH)
        m, d = group
        gap = evidence.series("abs_gap", m_real=m, dim=d, gamma=GAMMAS).value
        bound = evidence.series("bound", m_real=m, dim=d, gamma=GAMMAS).value
        rank = spearman(gap, bound)
        return held(
            rank >= least,
            f"Spearman {rank:.2f}; the bound is {(bound / gap).min():.0f} to "
            f"{(bound / gap).max():.0f} times the gap",
        )

    return judge


@where_possible
def theorem_orders(evidence: Evidence) -> Judgement:
    """The gap grows no faster than Theorem 3.2's orders, over m and over d."""
    evidence.needs(ENOUGH)
    sizes = np.asarray([m for m, _ in FIGURE_1["a"]])
    dims = np.asarray([d for _, d in FIGURE_1["d"]])
    orders = bounds.theorem_orders(sizes)
    shares = []
    for gamma, words in ((0.0, "no generated points"), (1.0, "as many as real ones")):
        gap = evidence.series("abs_gap", m_real=sizes.tolist(), dim=1, gamma=gamma)
        shares.append(gap.value / orders[words])
    for gamma in (0.0, 50.0):
        gap = evidence.series("abs_gap", m_real=10, dim=dims.tolist(), gamma=gamma)
        shares.append(gap.value / dims)
    growth = [float(share[-1] / share[0]) for share in shares]
    names = ("log m/sqrt m at gamma 0", "log^2 m/sqrt m at 1", "d at 0", "d at 50")
    return held(
        max(growth) <= 1.05,
        "gap over order, last over first: "
        + ", ".join(f"{n} {g:.2f}" for n, g in zip(names, growth, strict=True)),
    )


@where_possible
def exact_moments(evidence: Evidence) -> Judgement:
    """Mean and variance of the signed gap are the closed forms."""
    evidence.needs(FEW)
    columns = evidence.columns
    trials = evidence.config.n_trials
    z = np.abs(columns["gap"] - columns["law_gap"]) / columns["gap_se"]
    ratio = columns["gap_se"] ** 2 * trials / columns["law_gap_sd"] ** 2
    # A variance of `trials` values, nearly normal or chi-squared with one degree.
    width = 6 * np.sqrt(8 / trials)
    return held(
        bool(z.max() <= LARGEST_Z and np.abs(ratio - 1).max() <= width),
        f"{len(z)} means within {z.max():.1f} standard errors; variances "
        f"{ratio.min():.2f} to {ratio.max():.2f} of the law's",
    )


@where_possible
def test_risk_never_falls(evidence: Evidence) -> Judgement:
    """No amount of generated points lowers the loss or the error on new points."""
    evidence.needs(ENOUGH)
    where = {"m_real": 10, "dim": 50, "gamma": GAMMAS}
    loss = evidence.series("test_nll", **where)
    error = evidence.series("test_error", **where)
    excess = loss.value - 25
    more = float(excess[1] / excess[0] - 1)
    no_lower = all(
        np.all(s.value[1:] >= s.value[0] - 3 * np.hypot(s.error[1:], s.error[0]))
        for s in (loss, error)
    )
    return held(
        bool(no_lower and 0.15 <= more <= 0.35),
        f"excess loss {excess[0]:.2f} without, {excess[1]:.2f} at gamma 1 "
        f"({100 * more:+.0f} %), {excess[-1]:.2f} at 100; errors "
        f"{error.value[0]:.4f}, {error.value[1]:.4f}, {error.value[-1]:.4f}",
    )


@where_possible
def training_loss_rises(evidence: Evidence) -> Judgement:
    """The gap shrinks because the training loss rises, not because the test loss falls."""
    evidence.needs(FEW)
    where = {"m_real": 10, "dim": 50, "gamma": [0.0, 100.0]}
    train = evidence.series("train_nll", **where).value
    test = evidence.series("test_nll", **where).value
    up, down = train[1] - train[0], test[0] - test[1]
    return held(
        bool(up > 10 * abs(down)),
        f"from gamma 0 to 100 the training loss goes up by {up:.2f}, the test loss "
        f"{'down' if down > 0 else 'up'} by {abs(down):.2f}",
    )


@where_possible
def samplers_agree(evidence: Evidence) -> Judgement:
    """Drawing every point and drawing sufficient statistics give the same."""
    evidence.needs(FEW)
    largest = {}
    for name in ("abs_gap", "train_nll", "test_nll"):
        ours, theirs = evidence.both(name)
        z = np.abs(ours.value - theirs.value) / np.hypot(ours.error, theirs.error)
        largest[name] = float(z.max())
    return held(
        max(largest.values()) <= LARGEST_Z,
        "largest differences in standard errors: "
        + ", ".join(f"{name} {z:.1f}" for name, z in largest.items()),
    )
