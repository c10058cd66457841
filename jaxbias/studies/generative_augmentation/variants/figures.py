"""Figures of the mixture variants: a row of panels for each part."""

from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxbias.plotting import BAND, gamma_axis, save_figures, shades
from jaxbias.runs import RunDirectory
from jaxbias.studies.generative_augmentation.batches import Columns
from jaxbias.studies.generative_augmentation.variants.config import Config
from jaxbias.studies.generative_augmentation.variants.ledger import of_part

PANELS = {
    "abs_gap": "mean |gap|",
    "test_loss": "test loss",
    "test_error": "test error",
}

VARIED = {
    "classes": "classes",
    "labels": "labels",
    "classifier": "classifier",
    "weight": "weight",
    "degradation": "degradation",
}
"""The column that a part varies; the covariance part has a figure of its own."""


def _curves(axes: Axes, columns: Columns, rows: np.ndarray, by: str, name: str) -> None:
    values = list(dict.fromkeys(columns[by][rows].tolist()))
    if isinstance(values[0], float):
        values.sort()
    for value, colour in zip(values, shades(len(values)), strict=True):
        chosen = rows & (columns[by] == value)
        x, y = columns["gamma"][chosen], columns[name][chosen]
        width = BAND * columns[f"{name}_se"][chosen]
        label = f"{value:g}" if isinstance(value, float) else str(value)
        axes.plot(x, y, marker="o", ms=3, lw=1.4, color=colour, label=label)
        axes.fill_between(x, y - width, y + width, color=colour, alpha=0.18, lw=0)
        if f"law_{name}" in columns:
            axes.plot(x, columns[f"law_{name}"][chosen], "k--", lw=0.8)
    gamma_axis(axes, float(columns["gamma"].max()))
    axes.set_ylabel(PANELS[name])


def variants(columns: Columns, config: Config) -> Figure:
    """Gap, test loss and test error over gamma, a row for each part."""
    parts = [part for part in VARIED if part in config.parts]
    figure, panels = plt.subplots(
        *(len(parts), len(PANELS)),
        figsize=(11, 2.7 * len(parts)),
        squeeze=False,
        layout="constrained",
    )
    for row, part in zip(panels, parts, strict=True):
        rows = of_part(columns, part)
        for panel, name in zip(row, PANELS, strict=True):
            _curves(panel, columns, rows, VARIED[part], name)
            panel.set_title(part)
        row[0].legend(frameon=False, fontsize=7)
    figure.suptitle(
        f"m = {config.m_real}, d = {config.dim}, {config.n_trials:,} trials; bands of "
        "95 %, dashed: closed form"
    )
    return figure


def covariances(columns: Columns, config: Config) -> Figure:
    """True covariance against the generator's: distance, and what lda makes of it."""
    most = max(config.gammas)
    rows = of_part(columns, "covariance")
    true, assumed = config.covariances, config.generators
    shape = (len(true), len(assumed))
    figure, panels = plt.subplots(1, 3, figsize=(11.5, 3.4), layout="constrained")

    def grid(name: str, gamma: float) -> np.ndarray:
        found = np.full(shape, np.nan)
        for i, first in enumerate(true):
            for j, second in enumerate(assumed):
                chosen = rows & (columns["covariance"] == first)
                chosen &= (columns["generator"] == second) & (columns["gamma"] == gamma)
                found[i, j] = columns[name][chosen][0]
        return found

    least = min(config.gammas)
    maps = {
        "total variation, data to generator": (grid("tv", least), "magma"),
        f"lda, γ = {most:g}: change of test error, %": (
            100 * (grid("test_error", most) - grid("test_error", least)),
            "RdBu_r",
        ),
        f"lda, γ = {most:g}: change of test loss": (
            grid("test_loss", most) - grid("test_loss", least),
            "RdBu_r",
        ),
    }
    for panel, (title, (values, colours)) in zip(panels, maps.items(), strict=True):
        limit = float(np.abs(values).max()) or 1.0
        low = -limit if colours == "RdBu_r" else 0.0
        image = panel.imshow(values, cmap=colours, vmin=low, vmax=limit)
        for (i, j), value in np.ndenumerate(values):
            dark = value < limit / 2 if colours == "magma" else abs(value) > 0.6 * limit
            colour = "white" if dark else "black"
            panel.text(j, i, f"{value:.2f}", ha="center", va="center", color=colour)
        panel.set_xticks(range(len(assumed)), [a.replace("_", "\n") for a in assumed])
        panel.set_yticks(range(len(true)), [t.replace("_", " ") for t in true])
        panel.set_xlabel("generator assumes")
        panel.set_title(title)
        figure.colorbar(image, ax=panel)
    panels[0].set_ylabel("true covariance")
    return figure


def draw(columns: Columns, config: Config, directory: RunDirectory) -> list[Path]:
    """Draw the figures that the run has parts for; returns the files."""
    wanted: dict[str, Callable[[], Figure]] = {}
    if set(VARIED) & set(config.parts):
        wanted["variants"] = lambda: variants(columns, config)
    if "covariance" in config.parts:
        wanted["covariances"] = lambda: covariances(columns, config)
    return save_figures(wanted, directory)
