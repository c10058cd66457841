"""The looks of all figures, and how they are saved."""

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxbias.runs import RunDirectory, write_atomic

BAND = 1.96
"""Standard errors on either side of a mean: 95 %."""

STYLE: dict[Any, Any] = {
    "figure.dpi": 110,
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "savefig.bbox": "tight",
}


def shades(count: int) -> list:
    """Colours for values in order, dark to light."""
    return [plt.get_cmap("viridis")(x) for x in np.linspace(0.05, 0.9, count)]


def gamma_axis(axes: Axes, largest: float) -> None:
    """An axis of generated points for each real one: logarithmic, but it holds 0."""
    axes.set_xscale("symlog", linthresh=1, linscale=0.6)
    ticks = [t for t in (0, 1, 2, 5, 10, 20, 50, 100, 1000) if t <= largest]
    axes.set_xticks(ticks, [str(t) for t in ticks])
    axes.minorticks_off()
    axes.set_xlim(-0.2, max(largest, 1) * 1.15)
    axes.set_xlabel("γ, generated points for each real one")


MOST_NAMES = 20
"""More classes than this are not named on a confusion matrix."""


def confusion(counts: np.ndarray, names: Sequence[str]) -> Figure:
    """How often each class is taken for each.

    Args:
        counts: True class by predicted class.
        names: Of the classes.
    """
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    fig, axes = plt.subplots(figsize=(5, 4.4), layout="constrained")
    picture = axes.imshow(shares, vmin=0, vmax=1, cmap="viridis")
    fig.colorbar(picture, label="share of the true class's images")
    if len(names) <= MOST_NAMES:
        places = range(len(names))
        axes.set_xticks(places, names, rotation=60, ha="right")
        axes.set_yticks(places, names)
        if len(names) <= 10:
            for i, j in np.ndindex(shares.shape):
                shade = "black" if shares[i, j] > 0.6 else "white"
                text = f"{100 * shares[i, j]:.0f}"
                axes.text(j, i, text, ha="center", va="center", color=shade, size=7)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    return fig


def save_figures(
    wanted: Mapping[str, Callable[[], Figure]], directory: RunDirectory
) -> list[Path]:
    """Draw figures in the house's style and write each whole; returns the files.

    Args:
        wanted: What makes each figure, by its name.
        directory: The run that they belong to.
    """
    written = []
    with plt.rc_context(STYLE):
        for name, make in wanted.items():
            figure = make()
            path = directory.figure_path(name)
            picture = io.BytesIO()
            figure.savefig(picture, format="png")
            plt.close(figure)
            write_atomic(path, picture.getvalue())
            written.append(path)
    return written
