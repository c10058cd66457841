"""Figures of the grid: what explains shape bias, and what it says."""

from functools import partial

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from jaxbias.plotting import save_figures
from jaxbias.runs import RunDirectory
from jaxbias.studies.synthetic_shape_bias import measures
from jaxbias.studies.synthetic_shape_bias.cases import WORDS, Reading, ends, kinds
from jaxbias.studies.synthetic_shape_bias.drawing import (
    collage,
    colours_of,
    once,
    trend_panels,
)
from jaxbias.studies.synthetic_shape_bias.grid.published import Evidence
from jaxbias.sweeps import Columns

MARKERS = "osD^vP*"


def draw(
    found: Reading, sets: Columns, evidence: Evidence, directory: RunDirectory
) -> None:
    """Write all figures."""
    wanted = {
        "bias_and_transfer": partial(bias_and_transfer, found.rows, sets),
        "shares": partial(shares, evidence),
        "sets": partial(collage, found, sets),
    }
    if evidence.diversity:
        wanted["diversity"] = partial(
            trend_panels,
            *(found.rows, found.rows["programs"].astype(float), evidence.diversity),
            axis="programs",
            log=True,
        )
    save_figures(wanted, directory)


def bias_and_transfer(rows: Columns, sets: Columns) -> Figure:
    """Transfer over shape bias for each kind of stimuli, and over what images are like."""
    _, last = ends(rows)
    stimuli = kinds(rows)
    others = {
        f"Vendi score ({measures.MAIN})": measures.at(sets, last, measures.VARIETY),
        "distance to the transfer images (KID)": measures.at(sets, last, "kid"),
    }
    columns = {
        f"shape bias\n{WORDS[one]}": last[f"{one}_bias"] for one in stimuli
    } | others
    fig, axes = plt.subplots(
        *(1, len(columns)),
        figsize=(2.6 * len(columns) + 1.6, 3.6),
        sharey=True,
        layout="constrained",
    )
    for axis, (words, values) in zip(axes, columns.items(), strict=True):
        _points(axis, values, last)
        axis.set_xlabel(words)
    axes[0].set_ylabel("transfer: a linear classifier")
    axes[0].yaxis.set_major_formatter(PercentFormatter(1, 0))
    fig.legend(
        handles=_legend(last),
        loc="outside right center",
        frameon=False,
        fontsize=7,
    )
    fig.suptitle("does shape bias say how well features transfer?")
    return fig


def _points(axis: Axes, values: np.ndarray, last: Columns) -> None:
    colours = colours_of(once(last["data"]))
    markers = dict(zip(once(last["model"]), MARKERS, strict=False))
    filled = once(last["supervision"])[0]
    for place, value in enumerate(values):
        colour = colours[last["data"][place]]
        full = last["supervision"][place] == filled
        axis.plot(
            *(value, last["transfer"][place]),
            markers.get(last["model"][place], "o"),
            color=colour,
            mfc=colour if full else "none",
            ms=5,
            alpha=0.85,
        )


def _legend(last: Columns) -> list[Line2D]:
    def handle(label: str, marker: str, colour, **options) -> Line2D:
        return Line2D(
            [], [], ls="", marker=marker, color=colour, label=label, **options
        )

    colours = colours_of(once(last["data"]))
    found = [handle(name, "o", colour) for name, colour in colours.items()]
    found += [
        handle(model, marker, "0.3")
        for model, marker in zip(once(last["model"]), MARKERS, strict=False)
    ]
    for number, name in enumerate(once(last["supervision"])):
        found.append(handle(name, "o", "0.3", mfc="none" if number else "0.3"))
    return found


def shares(evidence: Evidence) -> Figure:
    """What explains the variance of shape bias, after training and in it."""
    columns = evidence.shares
    stimuli, readings = once(columns["stimuli"]), once(columns["reading"])
    factors = once(columns["factor"])
    single = [name for name in factors if ":" not in name and name != "rest"]
    colours = colours_of(single) | {"of two": (0.6, 0.6, 0.6, 1), "rest": (0.85,) * 3}
    words = {"last": "after training", "moved": "less the untrained network's"}
    fig, axes = plt.subplots(
        *(1, len(readings)),
        figsize=(4.6 * len(readings) + 1.2, 0.55 * len(stimuli) + 1.6),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for axis, reading in zip(axes[0], readings, strict=True):
        for row, name in enumerate(stimuli):
            own = (columns["stimuli"] == name) & (columns["reading"] == reading)
            found = dict(
                zip(columns["factor"][own].tolist(), columns["share"][own], strict=True)
            )
            p = dict(
                zip(columns["factor"][own].tolist(), columns["p"][own], strict=True)
            )
            if not found:
                continue
            parts = {factor: found[factor] for factor in single}
            parts["of two"] = sum(v for k, v in found.items() if ":" in k)
            parts["rest"] = found["rest"]
            left = 0.0
            for factor, share in parts.items():
                axis.barh(row, share, left=left, color=colours[factor], height=0.7)
                if share > 0.05:
                    star = "*" if p.get(factor, 1) <= 0.05 else ""
                    axis.text(
                        left + share / 2,
                        row,
                        f"{share:.0%}{star}",
                        ha="center",
                        va="center",
                        fontsize=7,
                    )
                left += share
        axis.set_xlim(0, 1)
        axis.set_xlabel("share of the variance")
        axis.set_title(f"shape bias, {words[reading]}")
        axis.spines[["top", "right", "left"]].set_visible(False)
        axis.tick_params(left=False)
    axes[0, 0].set_yticks(range(len(stimuli)), [WORDS[name] for name in stimuli])
    axes[0, 0].invert_yaxis()
    handles = [
        Line2D([], [], lw=6, color=colour, label=name)
        for name, colour in colours.items()
    ]
    fig.legend(handles=handles, loc="outside right center", frameon=False, fontsize=8)
    return fig
