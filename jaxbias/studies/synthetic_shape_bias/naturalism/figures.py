"""Figures of the naturalism experiment."""

from functools import partial

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from jaxbias.plotting import save_figures
from jaxbias.runs import RunDirectory
from jaxbias.studies.synthetic_shape_bias.cases import WORDS, Reading, ends, kinds
from jaxbias.studies.synthetic_shape_bias.drawing import collage, colours_of
from jaxbias.studies.synthetic_shape_bias.naturalism.config import (
    EXPONENT,
    OPACITY,
    PUBLISHED,
    SIGMA,
    WHITE,
)
from jaxbias.studies.synthetic_shape_bias.naturalism.published import (
    Evidence,
    along,
    means,
)

AXES = {
    EXPONENT: "exponent of the spectrum",
    SIGMA: "sigma of the leaves' sizes",
    OPACITY: "opacity of the leaves",
    WHITE: "share of white noise",
}


def draw(found: Reading, evidence: Evidence, directory: RunDirectory) -> None:
    """Write all figures."""
    wanted = {"sets": partial(collage, found, evidence.sets)}
    if any(name in PUBLISHED for name in means(found.rows, "transfer")):
        wanted["transfer"] = partial(transfer, evidence)
    if any(len(along(found.rows, stem)[0]) for stem in AXES):
        wanted["settings"] = partial(settings, evidence)
    save_figures(wanted, directory)


def transfer(evidence: Evidence) -> Figure:
    """Transfer here over the published one, set by set."""
    here = means(evidence.rows, "transfer")
    before = float(np.mean(ends(evidence.rows)[0]["transfer"]))
    fig, axis = plt.subplots(figsize=(5.6, 4.4), layout="constrained")
    placed: list[tuple[float, float]] = []
    for name, value in PUBLISHED.items():
        if name not in here:
            continue
        point = value / 100, here[name]
        axis.plot(*point, "o", color="#1f4e79", ms=4)
        # Names of near neighbours stand above and below.
        near = any(
            abs(point[0] - x) < 0.025 and abs(point[1] - y) < 0.003 for x, y in placed
        )
        placed.append(point)
        axis.annotate(
            *(name, point),
            xytext=(4, -9 if near else 3),
            textcoords="offset points",
            fontsize=7,
        )
    axis.axhline(before, color="0.7", lw=1, zorder=0)
    axis.annotate(
        *("untrained", (0.99, before)),
        xycoords=("axes fraction", "data"),
        xytext=(0, 3),
        textcoords="offset points",
        ha="right",
        color="0.5",
        fontsize=7,
    )
    axis.set_xlabel("published: ImageNet-100")
    axis.set_ylabel("here: a linear classifier of the transfer images")
    axis.xaxis.set_major_formatter(PercentFormatter(1))
    axis.yaxis.set_major_formatter(PercentFormatter(1))
    axis.margins(x=0.25)
    return fig


def settings(evidence: Evidence) -> Figure:
    """Shape biases, with intervals, and transfer over what alone was changed."""
    stems = [stem for stem in AXES if len(along(evidence.rows, stem)[0])]
    stimuli = kinds(evidence.rows)
    colours = colours_of(stimuli)
    fig, axes = plt.subplots(
        *(2, len(stems)),
        figsize=(2.9 * len(stems) + 1.8, 5.4),
        squeeze=False,
        sharex="col",
        layout="constrained",
    )
    for column, stem in enumerate(stems):
        position, rows = along(evidence.rows, stem)
        ticks = np.unique(position)

        def mean(name: str, rows=rows, position=position, ticks=ticks) -> list[float]:
            return [float(np.mean(rows[name][position == tick])) for tick in ticks]

        for kind in stimuli:
            axes[0, column].plot(
                *(ticks, mean(f"{kind}_bias"), "o-"),
                color=colours[kind],
                label=WORDS[kind],
                ms=3,
            )
            if f"{kind}_low" in rows:
                axes[0, column].fill_between(
                    *(ticks, mean(f"{kind}_low"), mean(f"{kind}_high")),
                    color=colours[kind],
                    alpha=0.15,
                    lw=0,
                )
        axes[1, column].plot(ticks, mean("transfer"), "o-", color="0.2", ms=3)
        axes[1, column].set_xlabel(AXES[stem])
        axes[1, column].set_xticks(ticks)
        axes[1, column].yaxis.set_major_formatter(PercentFormatter(1))
    axes[0, 0].set_ylabel("shape bias")
    axes[1, 0].set_ylabel("transfer")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    fig.legend(
        *(handles, labels), loc="outside right center", frameon=False, fontsize=7
    )
    return fig
