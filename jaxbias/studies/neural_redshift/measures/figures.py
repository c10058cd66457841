"""Figures of the measures experiment."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from jaxbias.ledger import MissingError
from jaxbias.plotting import save_figures
from jaxbias.probes.simplicity import score, simplicity
from jaxbias.runs import RunDirectory
from jaxbias.studies.neural_redshift.looks import colour_of, label_of
from jaxbias.studies.neural_redshift.measures import agreement as agree
from jaxbias.studies.neural_redshift.measures import ledger
from jaxbias.studies.neural_redshift.measures.agreement import Evidence

LABELS = {
    "path_variation": "variation on paths / sd",
    "noise_sensitivity": "noise sensitivity",
    "flip_share": "share of flips",
    "jacobian": "Jacobian norm² / variance",
    "walsh_degree": "Walsh degree (bits)",
    "sharpness": "sharpness",
    "chi": "χ₁ (theory, plain)",
}

PAIRS = 4
NAMED = 4


def _label(name: str) -> str:
    short = LABELS.get(name, label_of(name))
    return f"log₁₀ {short}" if name in agree.ORDERS_OF_MAGNITUDE else short


def agreement(evidence: Evidence) -> Figure:
    """All correlations, in clusters; and the pairs that disagree most, with names."""
    figure = plt.figure(figsize=(16, 8), layout="constrained")
    halves: Any = figure.subfigures(1, 2, width_ratios=(1.15, 1))
    left, right = halves
    _matrix(left.subplots(), evidence)
    panels = right.subplots(2, 2).ravel()
    pairs = agree.worst_pairs(evidence, PAIRS)
    for panel in panels[len(pairs) :]:
        panel.set_visible(False)
    for panel, (first, second) in zip(panels, pairs, strict=False):
        _scatter(panel, evidence, first, second)
    handles = [
        Line2D(
            [], [], ls="", marker="o", ms=4, label=name, color=_colour(evidence, name)
        )
        for name in evidence.config.activations
    ]
    right.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False)
    right.suptitle("least agreement; named: where the ranks differ most")
    return figure


def _colour(evidence: Evidence, activation: str) -> str:
    return colour_of(activation, evidence.config.activations)


def _matrix(axes: Axes, evidence: Evidence) -> None:
    order = agree.clustered(evidence)
    names = [evidence.names[i] for i in order]
    ranks, lines = (
        evidence.matrix(ranks=ranks)[np.ix_(order, order)] for ranks in (True, False)
    )
    size = len(names)
    shown = np.where(np.tri(size, k=-1) > 0, ranks, lines)
    np.fill_diagonal(shown, np.nan)
    axes.set_facecolor("#dddddd")
    image = axes.imshow(shown, cmap="RdBu", vmin=-1, vmax=1)
    for i, j in np.ndindex(shown.shape):
        if i == j or not np.isfinite(shown[i, j]):
            continue
        pair = names[i], names[j]
        found = evidence.correlation(*pair, ranks=i > j)
        text = "\n".join(
            (
                f"{found.value:.2f}",
                f"{found.low:.2f} {found.high:.2f}".replace("0.", "."),
            )
        )
        shade = "white" if abs(found.value) > 0.6 else "black"
        axes.text(j, i, text, ha="center", va="center", fontsize=5.5, color=shade)
    labels = [_label(name) for name in names]
    axes.set_xticks(range(size), labels, rotation=45, ha="right")
    axes.set_yticks(range(size), labels)
    axes.figure.colorbar(image, ax=axes, shrink=0.7)
    count = (~evidence.columns["degenerate"]).sum()
    axes.set_title(
        f"{count:,} random networks\nbelow the diagonal Spearman's coefficient, above "
        "Pearson's; 95 % intervals over whole draws"
    )


def _scatter(axes: Axes, evidence: Evidence, first: str, second: str) -> None:
    chosen = np.flatnonzero(evidence.both(first, second))
    few = np.random.default_rng(0).permutation(chosen)[:3000]
    x, y = evidence.values(first), evidence.values(second)
    activations = evidence.columns["activation"]
    colours = [_colour(evidence, name) for name in activations[few]]
    axes.scatter(x[few], y[few], s=4, c=colours, lw=0, alpha=0.7, rasterized=True)
    named = agree.disagreements(evidence, first, second, NAMED)
    for number, row in enumerate(named, 1):
        axes.scatter(
            *(x[row], y[row]),
            s=45,
            marker=f"${number}$",
            c="black",
            lw=0.3,
            zorder=4,
            label=evidence.name_of(row),
        )
        axes.scatter(
            x[row], y[row], s=110, fc="#ffffffbb", ec="black", lw=0.6, zorder=3
        )
    axes.legend(
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        ncols=2,
        fontsize=6.5,
        frameon=False,
        columnspacing=0.8,
        handletextpad=0.1,
    )
    axes.set_xlabel(_label(first))
    axes.set_ylabel(_label(second))
    rank = evidence.correlation(first, second, ranks=True)
    axes.text(
        *(0.98, 0.02, f"ρ = {rank.value:.2f} [{rank.low:.2f}, {rank.high:.2f}]"),
        ha="right",
        transform=axes.transAxes,
    )


def chaos(evidence: Evidence) -> Figure:
    """Rise of complexity with depth beside the two numbers of theory."""
    cells = ledger.rises(evidence)
    depths = evidence.config.depths
    figure, panels = plt.subplots(
        1, 2, figsize=(9, 3.8), sharey=True, layout="constrained"
    )
    words = {"chi": "χ₁", "slope": "slope of the correlation map at 1"}
    for axes, (name, label) in zip(panels, words.items(), strict=True):
        for activation in evidence.config.activations:
            chosen = cells["activation"] == activation
            colour = _colour(evidence, activation)
            axes.plot(
                cells[name][chosen],
                cells["rise"][chosen],
                color=colour,
                lw=0.8,
                alpha=0.6,
            )
            for fixed in (True, False):
                here = chosen & (cells["fixed_point"] == fixed)
                axes.scatter(
                    *(cells[name][here], cells["rise"][here]),
                    s=22,
                    fc=colour if fixed else "white",
                    ec=colour,
                    label=activation if fixed else None,
                    zorder=3,
                )
        axes.axvline(1, color="#888888", lw=0.8, ls="--")
        axes.axhline(0, color="#888888", lw=0.8)
        axes.set_xscale("log")
        axes.set_xlabel(label)
    panels[0].set_ylabel(f"rise of dct, depth {min(depths)} to {max(depths)}")
    panels[0].legend(frameon=False, fontsize=7)
    figure.suptitle(
        "plain networks by activation and weight scale (open: no fixed point)"
    )
    return figure


def scores(evidence: Evidence) -> Figure:
    """SimBa's score by activation and architecture, with 95 % intervals."""
    config, rows = evidence.config, evidence.scores
    figure, axes = plt.subplots(
        figsize=(1.6 + 1.0 * len(config.activations), 3.6), layout="constrained"
    )
    markers = "os^Dvx"
    for number, variant in enumerate(config.score_variants):
        found = [
            score(
                rows["simplicity"][
                    (rows["activation"] == activation) & (rows["variant"] == variant)
                ],
                resamples=config.resamples,
            )
            for activation in config.activations
        ]
        values = np.asarray([s.value for s in found])
        low, high = (
            np.asarray([getattr(s, end) for s in found]) for end in ("low", "high")
        )
        shift = 0.14 * (number - (len(config.score_variants) - 1) / 2)
        axes.errorbar(
            np.arange(len(found)) + shift,
            values,
            np.nan_to_num([values - low, high - values]),
            fmt=markers[number % len(markers)],
            ms=4,
            capsize=2,
            label=variant.replace("_", " "),
        )
    side = np.arange(config.score_resolution, dtype=np.float32)
    plane = jnp.asarray(np.add.outer(side, side))
    flat = float(simplicity(plane).value)
    axes.axhline(flat, color="#888888", lw=0.8, ls="--", label="a plane", zorder=0)
    axes.set_xticks(range(len(config.activations)), config.activations)
    axes.set_ylabel("SimBa's score (higher: simpler)")
    axes.legend(frameon=False, fontsize=7)
    axes.set_title(
        f"{config.score_networks} initialisations, {config.score_resolution}² points on "
        "[-100, 100]²"
    )
    return figure


def draw(evidence: Evidence, directory: RunDirectory) -> list[Path]:
    """Draw every figure that the run has networks for; returns the files."""
    wanted: dict[str, Callable[[], Figure]] = {
        "agreement": lambda: agreement(evidence),
        "scores": lambda: scores(evidence),
    }
    try:
        ledger.rises(evidence)
    except MissingError:
        pass
    else:
        wanted["chaos"] = lambda: chaos(evidence)
    return save_figures(wanted, directory)
