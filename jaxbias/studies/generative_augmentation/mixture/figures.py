"""Figures of the gaussian-mixture experiment, from its table and the exact law."""

from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxbias.ledger import MissingError
from jaxbias.plotting import BAND, gamma_axis, save_figures, shades
from jaxbias.runs import RunDirectory
from jaxbias.studies.generative_augmentation import bounds, law
from jaxbias.studies.generative_augmentation.mixture.config import FIGURE_1, Group
from jaxbias.studies.generative_augmentation.mixture.evidence import Evidence
from jaxbias.studies.generative_augmentation.mixture.published import (
    READ_A,
    READ_D,
    READ_E,
)

MOST_PANELS = 12

MIN_ERROR_RANGE = 0.002
"""Height of an axis of error rates that are all alike."""

PARTS = {
    "divergence": ("divergence: how far the generator is from the data", "#4c78a8"),
    "stability": ("loss bound and stability", "#72b7b2"),
    "concentration": ("stability with logarithms", "#eeca3b"),
    "generator": ("generator: how far one real point moves it", "#e45756"),
}


def _band(
    axes: Axes,
    x: Sequence[float] | Sequence[int],
    evidence: Evidence,
    name: str,
    where: dict,
    **style,
) -> None:
    """A statistic with its 95 % band."""
    found = evidence.series(name, **where)
    axes.plot(x, found.value, marker="o", ms=3, lw=1.4, **style)
    low, high = (found.value + sign * BAND * found.error for sign in (-1, 1))
    axes.fill_between(x, low, high, color=style["color"], alpha=0.18, lw=0)


def _gap_over_gamma(axes: Axes, evidence: Evidence, group: Group) -> None:
    """Simulated |gap| over gamma, with the law."""
    m, d = group
    gammas = evidence.config.groups()[group]
    where = {"m_real": m, "dim": d, "gamma": gammas}
    _band(axes, gammas, evidence, "abs_gap", where, color="#1f77b4", label="simulated")
    fine = np.concatenate([[0], np.geomspace(max(4 / m, 0.05), max(*gammas, 1), 200)])
    n_test = evidence.config.n_test or np.inf
    exact = law.mean_abs_gap(m, fine, d, n_test)
    axes.plot(fine, exact, "k--", lw=1, label="law (folded normal)", zorder=1)
    axes.set_ylabel("mean |test − training loss|")
    axes.set_title(f"d = {d}, m = {m}")
    gamma_axis(axes, max(gammas))


def _readings(axes: Axes, x: list, y: list, colours: list) -> None:
    axes.scatter(
        *(x, y),
        s=34,
        facecolors="none",
        edgecolors=colours,
        lw=1,
        zorder=3,
        label="published (read by eye)",
    )


def _family(
    axes: Axes, evidence: Evidence, panel: str, over: str, readings: dict
) -> None:
    """|gap| over m or d, a curve for each gamma."""
    groups = list(FIGURE_1[panel])
    gammas = FIGURE_1[panel][groups[0]]
    x = [m if over == "m" else d for m, d in groups]
    fine = np.geomspace(min(x), max(x), 100)
    colours = dict(zip(gammas, shades(len(gammas)), strict=True))
    for gamma, colour in colours.items():
        where = {
            "m_real": [m for m, _ in groups],
            "dim": [d for _, d in groups],
            "gamma": gamma,
        }
        label = f"γ = {gamma:g}"
        _band(axes, x, evidence, "abs_gap", where, color=colour, label=label)
        exact = law.mean_abs_gap(
            fine if over == "m" else groups[0][0],
            gamma,
            fine if over == "d" else groups[0][1],
            evidence.config.n_test or np.inf,
        )
        axes.plot(fine, exact, "--", color=colour, lw=0.9)
    _readings(
        axes,
        [m if over == "m" else d for ((m, d), _) in readings],
        list(readings.values()),
        [colours[gamma] for _, gamma in readings],
    )
    axes.set_xlabel("m, real points" if over == "m" else "d, dimension")
    axes.set_ylabel("mean |test − training loss|")
    axes.legend(frameon=False, fontsize=7, ncol=2)


def _bound_panel(axes: Axes, evidence: Evidence, group: Group) -> None:
    """The bound's terms stacked over gamma, and the other variant."""
    m, d = group
    gammas = np.asarray(evidence.config.groups()[group])
    variant = evidence.config.bound_variant
    terms = bounds.gaussian_mixture(m, gammas, d, variant)
    axes.stackplot(
        gammas,
        *(getattr(terms, name) for name in PARTS),
        colors=[colour for _, colour in PARTS.values()],
        labels=[words for words, _ in PARTS.values()],
        alpha=0.75,
    )
    axes.plot(gammas, terms.total, "k-o", ms=3, lw=1.2, label=f"sum ({variant})")
    other = "remembered" if variant == "notebook" else "notebook"
    theirs = bounds.gaussian_mixture(m, gammas, d, other).total
    axes.plot(gammas, theirs, "k:", lw=1.2, label=f"sum ({other})")
    axes.set_ylabel("bound of Theorem 3.1")
    axes.set_title(f"bound, d = {d}, m = {m}")
    gamma_axis(axes, max(gammas))


def figure_1(evidence: Evidence) -> Figure:
    """The paper's Figure 1: simulated gaps with 95 % bands, the law, and the bounds."""
    figure, panels = plt.subplots(2, 3, figsize=(12.5, 7), layout="constrained")
    (a, b, c), (d, e, f) = panels
    _family(a, evidence, "a", "m", READ_A)
    a.set_xscale("log")
    a.set_yscale("log")
    a.set_xticks([20, 50, 100, 200, 500], ["20", "50", "100", "200", "500"])
    a.set_yticks([0.03, 0.05, 0.1, 0.15], ["0.03", "0.05", "0.1", "0.15"])
    a.minorticks_off()
    a.set_title("d = 1")
    _gap_over_gamma(b, evidence, (40, 1))
    b.legend(frameon=False)
    _bound_panel(c, evidence, (40, 1))
    _family(d, evidence, "d", "d", READ_D)
    d.set_title("m = 10")
    _gap_over_gamma(e, evidence, (10, 50))
    _readings(
        e, [g for _, g in READ_E], list(READ_E.values()), ["#d62728"] * len(READ_E)
    )
    e.set_ylim(bottom=0)
    e.legend(frameon=False)
    _bound_panel(f, evidence, (10, 50))
    f.set_ylim(top=1.5 * f.get_ylim()[1])
    f.legend(frameon=False, fontsize=7, loc="upper right")
    for name, panel in zip("abcdef", panels.ravel(), strict=True):
        panel.set_title(f"({name}) {panel.get_title()}", loc="center")
    figure.suptitle(
        f"{evidence.config.n_trials:,} trials a point by {evidence.sampler} sampling, "
        "bands of 95 %; dashed: exact law; bounds have no constants, only a trend"
    )
    return figure


def _some_groups(evidence: Evidence, most: int) -> list[Group]:
    groups = list(evidence.config.groups())
    kept = np.unique(np.linspace(0, len(groups) - 1, most).round().astype(int))
    return [groups[i] for i in kept]


def gaps(evidence: Evidence) -> Figure:
    """|gap| over gamma, a panel for each number of real points and dimension."""
    groups = _some_groups(evidence, MOST_PANELS)
    columns = min(4, len(groups))
    rows = -(-len(groups) // columns)
    figure, panels = plt.subplots(
        *(rows, columns),
        figsize=(3.4 * columns, 2.9 * rows),
        squeeze=False,
        layout="constrained",
    )
    for panel in panels.ravel()[len(groups) :]:
        panel.set_visible(False)
    for panel, group in zip(panels.ravel(), groups, strict=False):
        _gap_over_gamma(panel, evidence, group)
    panels[0][0].legend(frameon=False)
    return figure


def _shown(evidence: Evidence) -> list[Group]:
    """The groups of the panels that go into detail: one low and one high dimension."""
    if evidence.config.is_figure_1:
        return [(40, 1), (10, 50)]
    return _some_groups(evidence, 2)


def losses(evidence: Evidence) -> Figure:
    """What the gap leaves out: training loss, test loss and test error beside it."""
    groups = _shown(evidence)
    figure, panels = plt.subplots(
        *(len(groups), 3),
        figsize=(11, 3 * len(groups)),
        squeeze=False,
        layout="constrained",
    )
    for (gap, loss, error), (m, d) in zip(panels, groups, strict=True):
        gammas = evidence.config.groups()[m, d]
        where = {"m_real": m, "dim": d, "gamma": gammas}
        fine = np.concatenate([[0], np.geomspace(0.1, max(*gammas, 1), 200)])
        _gap_over_gamma(gap, evidence, (m, d))
        gap.set_title(f"gap, d = {d}, m = {m}")
        for name, words, colour, exact in (
            ("train_nll", "training", "#ff7f0e", law.mean_train_nll),
            ("test_nll", "test", "#1f77b4", law.mean_test_nll),
        ):
            _band(loss, gammas, evidence, name, where, color=colour, label=words)
            loss.plot(fine, exact(m, fine, d), "k--", lw=1)
        loss.axhline(d / 2, color="#888888", lw=0.8)
        loss.set_ylabel("mean loss (grey: best possible)")
        loss.set_title("training and test loss")
        loss.legend(frameon=False)
        _band(
            *(error, gammas, evidence, "test_error", where),
            color="#2ca02c",
            label="error on new points",
        )
        risk = np.asarray(law.zero_one_risk(m, fine, d, evidence.config.sigma))
        error.plot(fine, risk, "k--", lw=1, label="law")
        # Where theta has one direction only there is nothing but rounding to see.
        if np.ptp(risk) < MIN_ERROR_RANGE:
            error.set_ylim(risk[0] - MIN_ERROR_RANGE, risk[0] + MIN_ERROR_RANGE)
        error.set_ylabel("error rate on new points")
        error.set_title("test error")
        error.legend(frameon=False)
        for panel in (loss, error):
            gamma_axis(panel, max(gammas))
    figure.suptitle(
        "The gap falls where the training loss rises; new points gain nothing"
    )
    return figure


def bound(evidence: Evidence) -> Figure:
    """Bound and gap on one logarithmic axis, with the distance of the generator."""
    groups = _shown(evidence)
    figure, panels = plt.subplots(
        *(1, len(groups)),
        figsize=(5.6 * len(groups), 4),
        squeeze=False,
        layout="constrained",
    )
    for panel, (m, d) in zip(panels[0], groups, strict=True):
        gammas = evidence.config.groups()[m, d]
        where = {"m_real": m, "dim": d, "gamma": gammas}
        gap = evidence.series("abs_gap", **where).value
        totals = {
            variant: bounds.gaussian_mixture(m, np.asarray(gammas), d, variant).total
            for variant in ("notebook", "remembered")
        }
        for (variant, total), style in zip(totals.items(), ("k-o", "k:"), strict=True):
            panel.plot(gammas, total, style, ms=3, label=f"Theorem 3.1 ({variant})")
        _band(panel, gammas, evidence, "abs_gap", where, color="#1f77b4", label="|gap|")
        ratio = totals[evidence.config.bound_variant] / gap
        amount = bounds.most_efficient_amount(m, d, evidence.config.bound_variant)
        efficient = "none found" if amount is None else f"γ = {amount / m:.3g}"
        panel.set_title(
            f"d = {d}, m = {m}: the bound is {ratio.min():.0f} to {ratio.max():.0f} "
            f"times the gap\nmost efficient amount (remembered): {efficient}; generator: "
            f"{_distance(evidence, where)}",
            fontsize=9,
        )
        panel.set_yscale("log")
        panel.yaxis.set_major_formatter("{x:g}")
        panel.set_ylabel("nats; bounds without constants")
        panel.legend(frameon=False)
        gamma_axis(panel, max(gammas))
    return figure


def _distance(evidence: Evidence, where: dict) -> str:
    """The generator's distance from the data, as far as the sampler measures it."""
    shown = []
    for name, words in (("kl", "KL"), ("tv", "TV")):
        try:
            found = evidence.series(name, **where)
        except MissingError:
            continue
        shown.append(f"{words} {found.value[0]:.3g}")
    return ", ".join(shown)


def effect_map(evidence: Evidence) -> Figure:
    """Where augmentation lowers the gap, and what it does to the risk: the exact law."""
    gamma = evidence.config.map_gamma
    sizes = np.unique((np.geomspace(4, 1000, 60) / 2).round() * 2)
    dims = np.unique(np.geomspace(1, 1000, 60).round())
    m, d = np.meshgrid(sizes, dims)
    change = 100 * (law.mean_abs_gap(m, gamma, d) / law.mean_abs_gap(m, 0, d) - 1)
    sigma = evidence.config.sigma
    risk = law.zero_one_risk(m, gamma, d, sigma)
    risk = 100 * (risk - law.zero_one_risk(m, 0, d, sigma))
    figure, panels = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    for panel, values, words, limit in (
        (panels[0], change, f"mean |gap| at γ = {gamma:g} against γ = 0, %", 80),
        (panels[1], risk, f"test error at γ = {gamma:g} minus γ = 0, points", None),
    ):
        limit = limit or float(np.abs(values).max())
        image = panel.pcolormesh(
            *(sizes, dims, values),
            cmap="RdBu_r",
            vmin=-limit,
            vmax=limit,
            shading="nearest",
            rasterized=True,
        )
        figure.colorbar(image, ax=panel)
        panel.set_xscale("log")
        panel.set_yscale("log")
        panel.set_xlabel("m, real points")
        panel.set_ylabel("d, dimension")
        panel.set_title(words)
    panels[0].contour(sizes, dims, change, levels=[0.0], colors="k", linewidths=1.2)
    figure.suptitle(
        "Blue: augmentation lowers it (above the line the gap falls); the test error "
        f"never falls. Exact law, σ = {sigma:g}; excess test loss "
        f"{100 * (law.excess(1.0, gamma) - 1):+.1f} % everywhere"
    )
    return figure


def draw(evidence: Evidence, directory: RunDirectory) -> list[Path]:
    """Draw every figure; returns the files."""
    wanted: dict[str, Callable[[], Figure]] = {
        "losses": lambda: losses(evidence),
        "bound": lambda: bound(evidence),
        "map": lambda: effect_map(evidence),
    }
    if evidence.config.is_figure_1:
        wanted["figure_1"] = lambda: figure_1(evidence)
    else:
        wanted["gaps"] = lambda: gaps(evidence)
    return save_figures(wanted, directory)
