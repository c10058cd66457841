"""Figures of shape bias: by category, by observer, and whose errors agree."""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxbias.data.sixteen_categories import CATEGORIES
from jaxbias.plotting import save_figures
from jaxbias.runs import RunDirectory
from jaxbias.studies.imagenet_biases.trials.evidence import POOLED, Evidence

PEOPLE = "#c8102e"
MARKS = "o^svP*X<>p"

MOST_NUMBERS = 16
"""More observers than this have no numbers on the matrix."""

LONGEST = 30
"""Letters of a name in a figure."""


def _shades(evidence: Evidence) -> dict[str, tuple]:
    """Colour and mark of each network."""
    columns = evidence.results
    names = columns["observer"][columns["kind"] == "network"].tolist()
    shades = plt.get_cmap("viridis")(np.linspace(0, 0.85, max(len(names), 1)))
    return {name: (shades[i], MARKS[i % len(MARKS)]) for i, name in enumerate(names)}


def _label(name: str) -> str:
    """A name, or the end of a long one."""
    return name if len(name) <= LONGEST else f"…{name[1 - LONGEST :]}"


def _of(evidence: Evidence, name: str) -> np.ndarray:
    """An observer's shape bias by category, in the order of `CATEGORIES`."""
    columns = evidence.categories
    return columns["shape_bias"][columns["observer"] == name]


def _other(share: Any) -> Any:
    """The share of the other cue."""
    return 1 - share


def by_category(evidence: Evidence) -> Figure:
    """Share of decisions by shape in each category; a line is an observer's over all."""
    columns = evidence.results
    kinds = dict(
        zip(columns["observer"].tolist(), columns["kind"].tolist(), strict=True)
    )
    whole = dict(zip(columns["observer"].tolist(), columns["shape_bias"], strict=True))
    single = [name for name, kind in kinds.items() if kind == "person"]
    pools = [name for name, kind in kinds.items() if kind == POOLED]
    shown = {name: (PEOPLE, "D") for name in pools or single} | _shades(evidence)
    shares = np.stack([_of(evidence, name) for name in shown])
    order = np.argsort(np.nan_to_num(shares, nan=0.5).mean(axis=0), kind="stable")
    # Networks may have classes of some categories alone.
    known = np.any(np.isfinite(shares), axis=0)
    order = order[known[order]]
    places = np.arange(len(order))
    fig, axes = plt.subplots(figsize=(6.4, 5.6), layout="constrained")
    for name in single if pools else []:
        axes.plot(
            *(_of(evidence, name)[order], places),
            **{"marker": "D", "ls": "", "ms": 3, "color": PEOPLE, "alpha": 0.25},
            label="each person" if name == single[0] else None,
        )
    for name, (colour, mark) in shown.items():
        axes.axvline(whole[name], color=colour, lw=1, alpha=0.7)
        axes.plot(
            *(_of(evidence, name)[order], places, mark),
            **{"color": colour, "ms": 6, "mew": 0.4, "mec": "white"},
            label=f"{_label(name)} ({whole[name]:.2f})",
        )
    axes.set_yticks(places, [CATEGORIES[place] for place in order])
    axes.set_xlim(-0.02, 1.02)
    axes.grid(axis="y", lw=0.3)
    axes.set_xlabel("share of decisions by shape")
    above = axes.secondary_xaxis("top", functions=(_other, _other))
    above.set_xlabel("share of decisions by texture")
    fig.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=7)
    return fig


def _bars(axes: Axes, evidence: Evidence, column: str) -> None:
    columns, shades = evidence.results, _shades(evidence)
    for row, name in enumerate(columns["observer"].tolist()):
        colour, mark = shades.get(name, (PEOPLE, "D"))
        place = len(columns["observer"]) - 1 - row
        if column == "shape_bias":
            ends = columns["low"][row], columns["high"][row]
            axes.plot(ends, (place, place), color=colour, lw=1.5)
        axes.plot(columns[column][row], place, mark, color=colour, ms=5)
    axes.set_xlim(-0.02, 1.02)
    axes.grid(axis="x", lw=0.3)


def by_observer(evidence: Evidence) -> Figure:
    """Shape bias with its interval, and what it leaves out, of each observer."""
    names = evidence.results["observer"].tolist()
    words = {
        "shape_bias": "shape bias, 95 % over source images",
        "decided": "trials decided by either cue",
        "accuracy": "accuracy, congruent images too",
    }
    fig, panels = plt.subplots(
        *(1, len(words)),
        figsize=(9.5, 1.2 + 0.24 * len(names)),
        layout="constrained",
        sharey=True,
    )
    for axes, (column, title) in zip(panels, words.items(), strict=True):
        _bars(axes, evidence, column)
        axes.set_title(title, fontsize=8)
    panels[0].set_yticks(range(len(names)), list(map(_label, names[::-1])), fontsize=7)
    return fig


def consistency(evidence: Evidence) -> Figure:
    """Cohen's kappa of every two observers' errors."""
    columns = evidence.results
    names = columns["observer"][columns["kind"] != POOLED].tolist()
    matrix = np.full((len(names), len(names)), np.nan)
    pairs = evidence.consistency
    for first, second, kappa in zip(
        *(pairs[name].tolist() for name in ("first", "second", "kappa")), strict=True
    ):
        i, j = names.index(first), names.index(second)
        matrix[i, j] = matrix[j, i] = kappa
    side = 2.6 + 0.33 * len(names)
    fig, axes = plt.subplots(figsize=(side + 0.8, side), layout="constrained")
    known = np.append(matrix[np.isfinite(matrix)], (0.0, 0.1))
    largest = known.max()
    picture = axes.imshow(matrix, vmin=known.min(), vmax=largest)
    fig.colorbar(picture, label="error consistency, Cohen's κ", shrink=0.8)
    if len(names) <= MOST_NUMBERS:
        for (i, j), kappa in np.ndenumerate(matrix):
            if np.isfinite(kappa):
                shade = "black" if kappa > 0.6 * largest else "white"
                text = f"{round(kappa, 2) + 0:.2f}".replace("0.", ".")
                axes.text(j, i, text, ha="center", va="center", color=shade, size=6)
    labels = list(map(_label, names))
    axes.set_xticks(range(len(names)), labels, rotation=60, ha="right", fontsize=7)
    axes.set_yticks(range(len(names)), labels, fontsize=7)
    axes.spines[:].set_visible(False)
    return fig


def draw(evidence: Evidence, directory: RunDirectory) -> list[Path]:
    """Draw all figures; that of consistency where there are two observers."""
    wanted = {
        "by_category": lambda: by_category(evidence),
        "by_observer": lambda: by_observer(evidence),
    }
    if evidence.consistency:
        wanted["consistency"] = lambda: consistency(evidence)
    return save_figures(wanted, directory)
