"""Figures of the init-vs-trained experiment."""

from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from jaxbias.plotting import save_figures, shades
from jaxbias.runs import RunDirectory
from jaxbias.studies.neural_redshift.init_vs_trained.correlations import pairs
from jaxbias.studies.neural_redshift.looks import colour_of, label_of
from jaxbias.studies.neural_redshift.modulo.evidence import Evidence
from jaxbias.sweeps import Columns


def scatter(evidence: Evidence, dimension: int) -> Figure:
    """Every network before and after training, a row for each target."""
    config = evidence.config
    measures = ("path_variation", *config.measures)
    fig, panels = plt.subplots(
        *(len(config.moduli), len(measures)),
        figsize=(2.5 * len(measures), 2.6 * len(config.moduli)),
        squeeze=False,
        layout="constrained",
    )
    for row, modulus in zip(panels, config.moduli, strict=True):
        for axes, measure in zip(row, measures, strict=True):
            steps = config.iterations[-1]
            x, y, names, _ = pairs(evidence, measure, dimension, modulus, steps)
            for name in config.activations:
                own = names == name
                colour = colour_of(name, config.activations)
                axes.scatter(x[own], y[own], s=9, color=colour, label=name, alpha=0.7)
            if len(x):
                low, high = min(x.min(), y.min()), max(x.max(), y.max())
                axes.plot([low, high], [low, high], color="#888888", lw=0.8)
            axes.set_title(f"{label_of(measure)}\nM = {modulus}", fontsize=8)
        row[0].set_ylabel(f"after {config.iterations[-1]:,} steps")
    for axes in panels[-1]:
        axes.set_xlabel("at random weights")
    panels[0, 0].legend(frameon=False, fontsize=6)
    fig.suptitle(f"{dimension} inputs; grey: unchanged")
    return fig


def over_training(evidence: Evidence, table: Columns) -> Figure:
    """Rank correlation with the start, over training."""
    config = evidence.config
    cases = [(d, m) for d in config.dimensions for m in config.moduli]
    fig, panels = plt.subplots(
        *(1, len(cases)),
        figsize=(3.1 * len(cases), 3),
        squeeze=False,
        sharey=True,
        layout="constrained",
    )
    measures = ("path_variation", *config.measures)
    for axes, (dimension, modulus) in zip(panels[0], cases, strict=True):
        for measure, colour in zip(measures, shades(len(measures)), strict=True):
            chosen = (table["dimension"] == dimension) & (table["modulus"] == modulus)
            chosen &= table["measure"] == measure
            x, y = table["steps"][chosen], table["spearman"][chosen]
            low, high = table["spearman_low"][chosen], table["spearman_high"][chosen]
            axes.plot(x, y, "o-", ms=3, color=colour, label=label_of(measure))
            axes.fill_between(x, low, high, color=colour, alpha=0.12, lw=0)
        axes.set_xlim(min(config.iterations) / 1.3, max(config.iterations) * 1.3)
        axes.set_xscale("log")
        axes.set_title(f"{dimension} inputs, M = {modulus}")
        axes.set_xlabel("training steps")
    panels[0, 0].set_ylabel("rank correlation with the start")
    panels[0, 0].set_ylim(-1.02, 1.02)
    panels[0, -1].legend(frameon=False, fontsize=6)
    return fig


def draw(evidence: Evidence, table: Columns, directory: RunDirectory) -> list[Path]:
    """Draw the figures of a run."""
    wanted = {"over_training": lambda: over_training(evidence, table)}
    for dimension in evidence.config.dimensions:
        wanted[f"scatter_{dimension}d"] = lambda d=dimension: scatter(evidence, d)
    return save_figures(wanted, directory)
