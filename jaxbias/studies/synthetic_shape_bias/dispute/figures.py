"""Figures of the metric-dispute experiment."""

from functools import partial

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from jaxbias.plotting import save_figures
from jaxbias.runs import RunDirectory
from jaxbias.studies.synthetic_shape_bias.cases import Reading, ends
from jaxbias.studies.synthetic_shape_bias.dispute import analysis
from jaxbias.studies.synthetic_shape_bias.dispute.published import Evidence
from jaxbias.studies.synthetic_shape_bias.drawing import colours_of, once


def draw(found: Reading, evidence: Evidence, directory: RunDirectory) -> None:
    """Write both figures."""
    save_figures(
        {
            "agreement": partial(agreement, evidence),
            "readings": partial(readings, found),
        },
        directory,
    )


def agreement(evidence: Evidence) -> Figure:
    """Rank correlations: of all networks below the diagonal, within kinds above it."""
    columns = evidence.agreement
    names = list(
        dict.fromkeys([*columns["first"].tolist(), *columns["second"].tolist()])
    )
    values = np.full((len(names), len(names)), np.nan)
    for first, second, across, within in zip(
        *(columns[name] for name in ("first", "second", "spearman", "within")),
        strict=True,
    ):
        x, y = names.index(first), names.index(second)
        values[max(x, y), min(x, y)], values[min(x, y), max(x, y)] = across, within
    words = {one.name: one.words for one in analysis.read(evidence.rows)}
    labels = [str(words.get(name, name)) for name in names]
    side = 0.5 * len(names)
    fig, axis = plt.subplots(figsize=(side + 3.4, side + 2.2), layout="constrained")
    image = axis.imshow(values, vmin=-1, vmax=1, cmap="RdBu_r")
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            axis.text(
                *(column, row, f"{value:+.2f}"),
                ha="center",
                va="center",
                fontsize=6.5,
                color="white" if abs(value) > 0.7 else "black",
            )
    axis.set_xticks(range(len(names)), labels, rotation=40, ha="right", fontsize=7.5)
    axis.set_yticks(range(len(names)), labels, fontsize=7.5)
    kinds = [name.split(":")[0] for name in names]
    for place in range(1, len(names)):
        if kinds[place] != kinds[place - 1]:
            axis.axhline(place - 0.5, color="black", lw=0.8)
            axis.axvline(place - 0.5, color="black", lw=0.8)
    fig.colorbar(image, ax=axis, shrink=0.7, label="rank correlation")
    axis.set_title(
        "do measures of shape bias order networks alike?\n"
        "below the diagonal all networks, above it those of one model and task",
        fontsize=9,
    )
    return fig


def readings(found: Reading) -> Figure:
    """What every measure says of every network, untrained ones in grey."""
    first, last = ends(found.rows)
    before, after = analysis.read(first), analysis.read(last)
    models = once(last["model"])
    colours = colours_of(models)
    stimuli = list(dict.fromkeys(measure.stimuli for measure in after))
    fig, axis = plt.subplots(
        figsize=(7.6, 0.36 * len(after) + 1.5), layout="constrained"
    )
    spread = np.random.default_rng(0).uniform(-0.22, 0.22, len(last["model"]))
    for place, (measure, values) in enumerate(after.items()):
        axis.plot(*(before[measure], place + spread, "."), color="0.75", ms=4, zorder=1)
        for model in models:
            own = last["model"] == model
            axis.plot(
                *(values[own], place + spread[own], "o"),
                color=colours[model],
                ms=4,
                alpha=0.8,
            )
    axis.axvline(analysis.NEUTRAL, color="black", lw=0.8)
    for number in range(1, len(after)):
        names = list(after)
        if names[number].stimuli != names[number - 1].stimuli:
            axis.axhline(number - 0.5, color="0.8", lw=0.6)
    axis.set_yticks(range(len(after)), [measure.words for measure in after], fontsize=8)
    axis.invert_yaxis()
    axis.set_xlim(-0.02, 1.02)
    axis.set_xlabel("0: texture alone; 0.5: neither; 1: shape alone")
    handles = [
        Line2D([], [], ls="", marker="o", color=colour, label=model)
        for model, colour in colours.items()
    ]
    handles.append(
        Line2D([], [], ls="", marker=".", color="0.75", label="untrained networks")
    )
    fig.legend(
        handles=handles, loc="outside lower center", ncols=len(handles), frameon=False
    )
    fig.suptitle(
        f"the same networks, asked in {len(analysis.MEASURES)} ways "
        f"on {len(stimuli)} kinds of stimuli"
    )
    return fig
