"""Figures of the shortcut experiment."""

from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from jaxbias.plotting import save_figures
from jaxbias.runs import RunDirectory
from jaxbias.studies.neural_redshift.looks import colour_of
from jaxbias.studies.neural_redshift.shortcut.config import Config
from jaxbias.studies.neural_redshift.shortcut.images import Sets
from jaxbias.studies.neural_redshift.shortcut.published import Evidence
from jaxbias.sweeps import Columns

PANELS = {
    "lz78": ("complexity at random weights (LZ78)", 0),
    "colour_accuracy": ("colour learned (1 - error)", None),
    "digit_accuracy": ("digit learned (1 - error)", None),
}


def curves(columns: Columns, config: Config) -> Figure:
    """Complexity before training, and both accuracies after it, over the prefactor."""
    evidence = Evidence(columns, config)
    fig, panels = plt.subplots(1, 3, figsize=(11, 3.4), layout="constrained")
    for axes, (name, (words, steps)) in zip(panels, PANELS.items(), strict=True):
        for activation in config.activations:
            values = evidence.curve(name, activation, steps)
            colour = colour_of(activation, config.activations)
            axes.plot(
                *(evidence.prefactors, values.mean(axis=1), "o-"),
                ms=3,
                color=colour,
                label=activation,
            )
            low, high = values.min(axis=1), values.max(axis=1)
            axes.fill_between(
                evidence.prefactors, low, high, color=colour, alpha=0.12, lw=0
            )
        axes.set_xscale("log", base=2)
        axes.set_xlabel("prefactor before each activation")
        axes.set_title(words, fontsize=9)
    panels[0].legend(frameon=False, fontsize=7)
    return fig


def examples(sets: Sets) -> Figure:
    """Images of the three sets with their labels."""
    fig, panels = plt.subplots(3, 10, figsize=(9, 3.2), layout="constrained")
    for row, (name, one) in zip(panels, sets._asdict().items(), strict=True):
        for number, axes in enumerate(row):
            if number < len(one.x):
                axes.imshow(
                    one.x[number].reshape(one.shape), cmap="gray", vmin=0, vmax=1
                )
                axes.set_title(f"{one.y[number]:.2f}", fontsize=7)
            axes.axis("off")
        row[0].text(
            -0.3, 0.5, name, rotation=90, va="center", transform=row[0].transAxes
        )
    fig.suptitle("training images, random digits, random colours; above, their labels")
    return fig


def draw(
    columns: Columns, config: Config, sets: Sets, directory: RunDirectory
) -> list[Path]:
    """Draw the figures of a run."""
    wanted = {
        "curves": lambda: curves(columns, config),
        "examples": lambda: examples(sets),
    }
    return save_figures(wanted, directory)
