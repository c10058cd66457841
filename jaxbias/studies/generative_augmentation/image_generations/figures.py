"""Figures of the image generations experiment."""

from collections.abc import Callable
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from jaxbias.plotting import save_figures
from jaxbias.runs import RunDirectory
from jaxbias.studies.generative_augmentation.generations.figures import COLOURS
from jaxbias.studies.generative_augmentation.generator.figures import rows_of_images
from jaxbias.studies.generative_augmentation.image_generations.chains import (
    FIRST,
    Drawn,
)
from jaxbias.studies.generative_augmentation.image_generations.config import Config
from jaxbias.sweeps import Columns

PANELS = {
    "kid": "kernel distance",
    "precision": "precision",
    "recall": "recall",
    "vendi": "Vendi score",
}

SHOWN = 10
"""Classes that a figure shows."""


def draw(
    table: Columns, drawn: list[Drawn], config: Config, directory: RunDirectory
) -> None:
    """Write all figures."""
    wanted: dict[str, Callable[[], Figure]] = {"curves": partial(curves, table, config)}
    for scheme in config.schemes:
        own = [one for one in drawn if one.scheme in (FIRST, scheme)]
        wanted[f"images_{scheme}"] = partial(sheet, own, scheme)
    save_figures(wanted, directory)


def curves(table: Columns, config: Config) -> Figure:
    """Measures over generations, a row for each feature; dashed: real training images."""
    features = list(dict.fromkeys(table["feature"].tolist()))
    figure, panels = plt.subplots(
        *(len(features), len(PANELS)),
        figsize=(2.9 * len(PANELS), 2.5 * len(features) + 0.3),
        squeeze=False,
        layout="constrained",
    )
    for row, feature in zip(panels, features, strict=True):
        of_it = table["feature"] == feature
        for axes, (name, words) in zip(row, PANELS.items(), strict=True):
            real = table[name][of_it & (table["scheme"] == "real")]
            axes.axhline(float(real[0]), color="0.5", ls="--", lw=0.9)
            for scheme in config.schemes:
                own = of_it & np.isin(table["scheme"], (FIRST, scheme))
                order = np.argsort(table["generation"][own])
                axes.plot(
                    *(table["generation"][own][order], table[name][own][order]),
                    **{"marker": "o", "ms": 3, "lw": 1.4},
                    color=COLOURS[scheme],
                    label=scheme,
                )
            axes.set_title(f"{words}, {feature}", fontsize=9)
            axes.xaxis.get_major_locator().set_params(integer=True)
    for axes in panels[-1]:
        axes.set_xlabel("generation")
    panels[0, 0].legend(frameon=False, fontsize=8)
    return figure


def sheet(drawn: list[Drawn], scheme: str) -> Figure:
    """Images of each class, a generation a row."""
    rows = {}
    for one in drawn:
        places = [np.flatnonzero(one.images.labels == label) for label in range(SHOWN)]
        rows[str(one.generation)] = [
            one.images.pixels[own[0]] if len(own) else None for own in places
        ]
    title = f"{scheme}: an image of each class, by generation"
    return rows_of_images(rows, SHOWN, title)
