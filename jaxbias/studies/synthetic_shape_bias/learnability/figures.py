"""The figure of the learnability experiment."""

from functools import partial

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from jaxbias.plotting import save_figures
from jaxbias.runs import RunDirectory
from jaxbias.studies.synthetic_shape_bias.drawing import once
from jaxbias.studies.synthetic_shape_bias.learnability.config import CLASSES, CUES
from jaxbias.studies.synthetic_shape_bias.learnability.published import WORDS
from jaxbias.sweeps import Columns

COLOURS = {"shape": "#1f4e79", "texture": "#c8702a"}


def draw(rows: Columns, directory: RunDirectory) -> None:
    """Write the figure."""
    save_figures({"learnability": partial(curves, rows)}, directory)


def curves(rows: Columns) -> Figure:
    """Accuracy over the number of images: a row for each network, a panel for each kind."""
    models, kinds = once(rows["model"]), once(rows["stimuli"])
    fig, axes = plt.subplots(
        *(len(models), len(kinds)),
        figsize=(3.1 * len(kinds) + 1.4, 2.5 * len(models) + 0.6),
        sharex="col",
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for row, model in enumerate(models):
        for column, stimuli in enumerate(kinds):
            axis = axes[row, column]
            own = (rows["model"] == model) & (rows["stimuli"] == stimuli)
            for cue in CUES:
                mine = own & (rows["cue"] == cue)
                counts = np.unique(rows["images"][mine])
                at = [mine & (rows["images"] == count) for count in counts]
                colour = COLOURS[cue]
                axis.plot(
                    *(counts, [rows["accuracy"][some].mean() for some in at], "o-"),
                    color=colour,
                    ms=4,
                )
                axis.fill_between(
                    counts,
                    [rows["low"][some].min() for some in at],
                    [rows["high"][some].max() for some in at],
                    color=colour,
                    alpha=0.15,
                    lw=0,
                )
                axis.plot(
                    *(counts, [rows["learnt"][some].mean() for some in at], ":"),
                    color=colour,
                    lw=1,
                )
            axis.axhline(1 / CLASSES, color="0.6", lw=0.8, ls="--")
            axis.set_xscale("log")
            ticks = np.unique(rows["images"][own & (rows["cue"] == CUES[0])])
            if len(ticks):
                axis.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
            axis.minorticks_off()
            axis.set_ylim(0, 1.03)
            axis.yaxis.set_major_formatter(PercentFormatter(1, 0))
            if not row:
                axis.set_title(WORDS[stimuli], fontsize=8)
            if row == len(models) - 1:
                axis.set_xlabel("training images")
            if not column:
                axis.set_ylabel(f"{model}\naccuracy")
    handles = [
        Line2D([], [], color=COLOURS[cue], marker="o", label=cue) for cue in CUES
    ]
    handles += [
        Line2D([], [], color="0.4", ls=":", label="on the training images"),
        Line2D([], [], color="0.6", ls="--", label="chance"),
    ]
    fig.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False)
    return fig
