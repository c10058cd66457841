"""Figures of shortcut and collage."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from jaxbias.plotting import save_figures
from jaxbias.runs import RunDirectory
from jaxbias.studies.neural_redshift.looks import colour_of
from jaxbias.studies.neural_redshift.shortcut.config import (
    CLASSES,
    CollageConfig,
    Config,
    Trainings,
)
from jaxbias.studies.neural_redshift.shortcut.evidence import Evidence
from jaxbias.studies.neural_redshift.shortcut.images import Set, Sets
from jaxbias.sweeps import Columns


class Panel(NamedTuple):
    """One panel of curves over the prefactor.

    Attributes:
        columns: Table.
        name: Column.
        title: In words.
        steps: After which to look; None is the end.
    """

    columns: Columns
    name: str
    title: str
    steps: int | None = None


def curves(panels: Sequence[Panel], config: Trainings, chance: float | None) -> Figure:
    """Panels beside each other: means over networks, and bands from least to most."""
    size = (3.6 * len(panels), 3.4)
    fig, row = plt.subplots(1, len(panels), figsize=size, layout="constrained")
    for axes, panel in zip(row, panels, strict=True):
        evidence = Evidence(panel.columns, config)
        for activation in config.activations:
            values = evidence.curve(panel.name, activation, panel.steps)
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
        if chance is not None and panel.name.endswith("accuracy"):
            axes.axhline(chance, color="#888", lw=0.8, ls=":")
            axes.set_ylim(0, 1.02)
        axes.set_xscale("log", base=2)
        axes.set_xlabel("prefactor before each activation")
        axes.set_title(panel.title, fontsize=9)
    row[0].legend(frameon=False, fontsize=7)
    return fig


def examples(rows: dict[str, Set], title: str, label: str) -> Figure:
    """Images of each set with their labels."""
    height = 0.35 + sum(0.9 * one.shape[0] / one.shape[1] for one in rows.values())
    size = (9, max(height, 2.4))
    fig, panels = plt.subplots(
        len(rows), 10, figsize=size, layout="constrained", squeeze=False
    )
    for row, (name, one) in zip(panels, rows.items(), strict=True):
        for number, axes in enumerate(row):
            if number < len(one.x):
                picture = one.x[number].reshape(one.shape)
                axes.imshow(picture, cmap="gray", vmin=0, vmax=1)
                axes.set_title(label.format(one.y[number]), fontsize=7)
            axes.axis("off")
        row[0].text(
            -0.3, 0.5, name, rotation=90, va="center", transform=row[0].transAxes
        )
    fig.suptitle(title)
    return fig


def draw(
    columns: Columns, config: Config, sets: Sets, directory: RunDirectory
) -> list[Path]:
    """Draw the figures of a run on colour."""
    panels = [
        Panel(columns, "lz78", "complexity at random weights (LZ78)", 0),
        Panel(columns, "colour_accuracy", "colour learned (1 - error)"),
        Panel(columns, "digit_accuracy", "digit learned (1 - error)"),
    ]
    title = "training images, random digits, random colours; above, their labels"
    rows = {"train": sets.train} | sets.tests
    wanted = {
        "curves": lambda: curves(panels, config, None),
        "examples": lambda: examples(rows, title, "{:.2f}"),
    }
    return save_figures(wanted, directory)


def draw_collage(
    tables: dict[str, Columns],
    config: CollageConfig,
    sets: Sets,
    directory: RunDirectory,
) -> list[Path]:
    """Draw the figures of a run on collages."""
    both, picture = tables["both"], tables["picture"]
    panels = [
        Panel(both, "path_variation", "variation along paths, random weights / sd", 0),
        Panel(both, "digit_accuracy", "digit learned (share right)"),
        Panel(both, "picture_accuracy", "picture learned (share right)"),
        Panel(picture, "picture_accuracy", "picture, where it alone tells"),
    ]
    title = "in training both are of one class; in the test set they are not"
    rows = {"train": sets.train, "test": sets.tests["digit"]}
    wanted = {
        "curves": lambda: curves(panels, config, 1 / CLASSES),
        "examples": lambda: examples(rows, title, "{}"),
    }
    return save_figures(wanted, directory)
