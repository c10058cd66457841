"""Figures of the transformers experiment, from its table alone."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxbias.plotting import BAND, save_figures
from jaxbias.runs import RunDirectory
from jaxbias.studies.neural_redshift import looks
from jaxbias.studies.neural_redshift.transformers.evidence import Evidence
from jaxbias.studies.neural_redshift.transformers.sequences import floor
from jaxbias.sweeps import Columns

LZ78 = "LZ78 dictionary / length"


def _line(
    panel: Axes,
    evidence: Evidence,
    summary: Columns,
    over: str,
    activation: str,
    **where: float | int,
) -> None:
    """One activation's means over a label of the summary, with a band of 95 %."""
    chosen = summary["activation"] == activation
    for name, value in where.items():
        chosen &= summary[name] == value
    x, mean = summary[over][chosen], summary["lz78"][chosen]
    width = BAND * summary["lz78_se"][chosen]
    colour = looks.colour_of(activation, evidence.config.activations)
    panel.plot(x, mean, color=colour, lw=1.6, marker=".", label=activation)
    panel.fill_between(x, mean - width, mean + width, color=colour, alpha=0.15, lw=0)


def _floor(panel: Axes, evidence: Evidence) -> None:
    least = float(floor(evidence.config.tokens + 1))
    panel.axhline(least, color="black", lw=0.8, ls=":", label="a constant")
    panel.set_ylim(0.9 * least, 1.02)


def _gamma_axis(panel: Axes, gammas: list[float]) -> None:
    panel.set_xscale("log")
    shown = gammas[:: -(-len(gammas) // 7)]
    panel.set_xticks(shown, [f"{gamma:.2g}" for gamma in shown])
    panel.minorticks_off()


def over_gamma(evidence: Evidence) -> Figure:
    """Complexity over the scale of layer norms, a panel for each depth."""
    depths, summary = evidence.depths, evidence.summary()
    figure, panels = plt.subplots(
        *(1, len(depths)),
        figsize=(2.9 * len(depths) + 1.3, 3.2),
        squeeze=False,
        sharey=True,
        layout="constrained",
    )
    for panel, depth in zip(panels[0], depths, strict=True):
        for activation in evidence.config.activations:
            _line(panel, evidence, summary, "gamma", activation, depth=depth)
        _floor(panel, evidence)
        _gamma_axis(panel, evidence.gammas)
        panel.set_title(f"{depth} layer{'s' if depth > 1 else ''}")
    panels[0][0].set_ylabel(LZ78)
    figure.supxlabel("γ, scale of the layer norms (bands: 95 %, over draws of weights)")
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", frameon=False)
    return figure


def over_depth(evidence: Evidence) -> Figure:
    """Complexity over depth, a panel for a few scales."""
    gammas, summary = evidence.gammas, evidence.summary()
    one = int(np.argmin(np.abs(np.log(gammas))))
    shown = sorted({one, (one + len(gammas)) // 2, len(gammas) - 1})
    figure, panels = plt.subplots(
        *(1, len(shown)),
        figsize=(2.9 * len(shown) + 1.3, 3.2),
        squeeze=False,
        sharey=True,
        layout="constrained",
    )
    for panel, number in zip(panels[0], shown, strict=True):
        for activation in evidence.config.activations:
            where = {"gamma": gammas[number]}
            _line(panel, evidence, summary, "depth", activation, **where)
        _floor(panel, evidence)
        panel.set_xticks(evidence.depths)
        panel.set_title(f"γ = {gammas[number]:.3g}")
    panels[0][0].set_ylabel(LZ78)
    figure.supxlabel("layers")
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", frameon=False)
    return figure


def spreads(evidence: Evidence) -> Figure:
    """Where the spread comes from: draws of weights, or first tokens of one draw."""
    summary, depth = evidence.summary(), max(evidence.depths)
    kinds = {
        "sd_draws": "between draws of weights",
        "sd_prompts": "between first tokens of one draw",
    }
    figure, panels = plt.subplots(
        *(1, len(kinds)), figsize=(7.2, 3.2), sharey=True, layout="constrained"
    )
    for panel, (name, words) in zip(panels, kinds.items(), strict=True):
        for activation in evidence.config.activations:
            chosen = summary["activation"] == activation
            chosen &= summary["depth"] == depth
            panel.plot(
                summary["gamma"][chosen],
                summary[f"lz78_{name}"][chosen],
                color=looks.colour_of(activation, evidence.config.activations),
                **{"lw": 1.4, "marker": ".", "label": activation},
            )
        _gamma_axis(panel, evidence.gammas)
        panel.set_title(words)
    panels[0].set_ylabel(f"standard deviation of\n{LZ78}")
    panels[0].set_ylim(bottom=0)
    figure.supxlabel(f"γ, scale of the layer norms ({depth} layers)")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", frameon=False)
    return figure


def draw(evidence: Evidence, directory: RunDirectory) -> list[Path]:
    """Draw what the run has enough for; returns the files."""
    wanted = {"gamma": lambda: over_gamma(evidence)}
    if len(evidence.depths) > 1:
        wanted["depth"] = lambda: over_depth(evidence)
    if evidence.config.draws > 1 and evidence.config.prompts > 1:
        wanted["spread"] = lambda: spreads(evidence)
    return save_figures(wanted, directory)
