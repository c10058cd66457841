"""The figure of the unbiased-training experiment."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from jaxbias.plotting import save_figures, shades
from jaxbias.runs import RunDirectory
from jaxbias.studies.neural_redshift.looks import COLOURS
from jaxbias.sweeps import Columns

PANELS = {
    "train_accuracy": "right on training points",
    "relative_accuracy": "held-out points (0: majority, 1: all right)",
    "dct": "complexity (mean DCT frequency)",
}


def models(columns: Columns) -> Figure:
    """Every network at the end, by model, a row of panels for each target."""
    moduli = list(dict.fromkeys(columns["modulus"].tolist()))
    names = list(dict.fromkeys(columns["model"].tolist()))
    shown = {name: words for name, words in PANELS.items() if name in columns}
    fig, panels = plt.subplots(
        *(len(moduli), len(shown)),
        figsize=(3.4 * len(shown), 2.6 * len(moduli)),
        squeeze=False,
        layout="constrained",
    )
    last = columns["steps"] == columns["steps"].max()
    greys = shades(len(names))
    for row, modulus in zip(panels, moduli, strict=True):
        for axes, (name, words) in zip(row, shown.items(), strict=True):
            for place, model in enumerate(names):
                chosen = last & (columns["model"] == model)
                values = columns[name][chosen & (columns["modulus"] == modulus)]
                spread = np.linspace(-0.15, 0.15, len(values))
                colour = COLOURS.get(model, greys[place])
                axes.scatter(place + spread, values, s=10, color=colour)
                if np.isfinite(values).any():
                    mean = np.nanmean(values)
                    axes.hlines(mean, place - 0.3, place + 0.3, color=colour)
            axes.set_xticks(range(len(names)), names, rotation=30, ha="right")
            axes.set_title(f"M = {modulus}: {words}", fontsize=8)
    return fig


def draw(columns: Columns, directory: RunDirectory) -> list[Path]:
    """Draw the figure of a run."""
    return save_figures({"models": lambda: models(columns)}, directory)
