"""Figures of the diversity experiment."""

from functools import partial

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from jaxbias.plotting import save_figures
from jaxbias.runs import RunDirectory
from jaxbias.studies.synthetic_shape_bias import measures
from jaxbias.studies.synthetic_shape_bias.cases import Reading, ends
from jaxbias.studies.synthetic_shape_bias.diversity.published import Evidence
from jaxbias.studies.synthetic_shape_bias.drawing import (
    collage,
    colours_of,
    once,
    trend_panels,
)


def draw(found: Reading, evidence: Evidence, directory: RunDirectory) -> None:
    """Write all figures."""
    save_figures(
        {
            "diversity": partial(
                trend_panels,
                *(found.rows, found.rows["programs"].astype(float)),
                evidence.trends["all"],
                axis="programs",
                log=True,
            ),
            "scores": partial(scores, evidence),
            "sets": partial(collage, found, evidence.sets),
        },
        directory,
    )


def scores(evidence: Evidence) -> Figure:
    """Vendi scores of five features over the number of programs."""
    last = ends(evidence.rows)[1]
    colours = colours_of(once(last["data"]))
    fig, axes = plt.subplots(
        *(1, len(measures.FEATURES)),
        figsize=(2.4 * len(measures.FEATURES) + 1.8, 3.2),
        layout="constrained",
    )
    for axis, feature in zip(axes, measures.FEATURES, strict=True):
        values = measures.at(evidence.sets, last, f"vendi_{feature}")
        for data, colour in colours.items():
            own = last["data"] == data
            pairs = sorted({*zip(last["programs"][own], values[own], strict=True)})
            axis.plot(*zip(*pairs, strict=True), "o-", color=colour, ms=3, label=data)
        axis.set_xscale("log", base=2)
        axis.set_yscale("log")
        axis.set_title(f"Vendi score\n{feature}", fontsize=9)
        axis.set_xlabel("programs")
    handles, labels = axes[0].get_legend_handles_labels()
    fig.legend(
        *(handles, labels), loc="outside right center", frameon=False, fontsize=7
    )
    return fig
