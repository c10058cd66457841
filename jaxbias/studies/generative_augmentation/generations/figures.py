"""The figure of the generations experiment."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from jaxbias.plotting import BAND, save_figures
from jaxbias.runs import RunDirectory
from jaxbias.studies.generative_augmentation.batches import Columns
from jaxbias.studies.generative_augmentation.generations.config import Config

COLOURS = {"replace": "#d62728", "accumulate": "#1f77b4", "fresh": "#2ca02c"}

PANELS = {
    "log_variance": "ln(fitted variance / true)",
    "displacement": "squared shift of a class mean / σ²",
    "test_error": "error rate on new points",
}


def figure(columns: Columns, config: Config) -> Figure:
    """Variance, displacement and test error over generations, by scheme and m."""
    groups = [(m, dim) for dim in config.dims for m in config.m_real][:4]
    panels: np.ndarray
    fig, panels = plt.subplots(
        *(len(groups), len(PANELS)),
        figsize=(11, 2.8 * len(groups)),
        squeeze=False,
        layout="constrained",
    )
    for row, (m, dim) in zip(panels, groups, strict=True):
        for panel, (name, words) in zip(row, PANELS.items(), strict=True):
            for scheme in config.schemes:
                chosen = columns["scheme"] == scheme
                chosen &= (columns["m_real"] == m) & (columns["dim"] == dim)
                x, y = columns["generation"][chosen], columns[name][chosen]
                width = BAND * columns[f"{name}_se"][chosen]
                colour = COLOURS[scheme]
                panel.plot(x, y, color=colour, lw=1.4, label=scheme)
                panel.fill_between(
                    x, y - width, y + width, color=colour, alpha=0.2, lw=0
                )
                if scheme == "replace" and f"law_{name}" in columns:
                    exact = columns[f"law_{name}"][chosen]
                    panel.plot(x, exact, "k--", lw=1, label="law (replace)")
            panel.set_title(f"m = {m}, d = {dim}")
            panel.set_ylabel(words)
    for panel in panels[-1]:
        panel.set_xlabel("generation")
    panels[0][0].legend(frameon=False)
    fig.suptitle(
        f"{config.n_trials:,} chains, bands of 95 %; once the variance has spread, its "
        "mean and the shift rest on chains too rare to be drawn"
    )
    return fig


def draw(columns: Columns, config: Config, directory: RunDirectory) -> list[Path]:
    """Draw the figure; returns the files."""
    return save_figures({"generations": lambda: figure(columns, config)}, directory)
