"""Figures of the generator experiment."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from jaxbias.files import read_metrics
from jaxbias.plotting import save_figures
from jaxbias.runs import RunDirectory
from jaxbias.studies.generative_augmentation.generator.config import Config
from jaxbias.sweeps import Columns

ACROSS = 10
"""Images of a class that are shown."""


def draw(
    samples: dict[str, np.ndarray],
    training: np.ndarray,
    labels: np.ndarray,
    classes: tuple[str, ...],
    nearest: Columns,
    config: Config,
    directory: RunDirectory,
) -> None:
    """Write all figures."""
    real = {"image": training, "label": labels}
    save_figures(
        {
            "samples": partial(sheet, samples, classes, f"samples of {config.kind}"),
            "training_images": partial(sheet, real, classes, "training images"),
            "curves": partial(curves, directory, config),
            "nearest": partial(distances, nearest),
        },
        directory,
    )


def sheet(
    images: dict[str, np.ndarray], classes: tuple[str, ...], title: str
) -> Figure:
    """Some images of each class, a class a row."""
    rows = {}
    for number, name in enumerate(classes[:20]):
        own = np.flatnonzero(images["label"] == number)[:ACROSS]
        rows[name] = [images["image"][place] for place in own]
    return rows_of_images(rows, ACROSS, title)


def rows_of_images(
    rows: Mapping[str, Sequence[np.ndarray | None]], across: int, title: str
) -> Figure:
    """A sheet of images, with a name beside each row.

    Args:
        rows: Images by the name of their row; None leaves a place free.
        across: Places of a row.
        title: Above all.
    """
    fig, axes = plt.subplots(
        *(len(rows), across),
        figsize=(0.6 * across + 1.2, 0.6 * len(rows) + 0.4),
        squeeze=False,
        layout="constrained",
    )
    for axis in axes.flat:
        axis.set_xticks([])
        axis.set_yticks([])
        axis.spines[:].set_visible(False)
    for row, (name, images) in zip(axes, rows.items(), strict=True):
        for axis, image in zip(row, images, strict=False):
            if image is not None:
                axis.imshow(image, interpolation="nearest")
        row[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=8)
    fig.suptitle(title, fontsize=9)
    return fig


def curves(directory: RunDirectory, config: Config) -> Figure:
    """The loss over steps; of adversaries also how often the discriminator is right.

    And the probability of augmentation, where it is adapted.
    """
    every = read_metrics(directory.path / "metrics.jsonl")
    rows = [row for row in every if row["kind"] == "train"]
    looks = [row for row in every if row["kind"] == "look"]
    steps = [row["step"] for row in rows]
    gan = config.kind != "edm"
    fig, axes = plt.subplots(
        *(1, 2 if gan else 1),
        figsize=(8 if gan else 4.6, 3),
        squeeze=False,
        layout="constrained",
    )
    names = {"loss": "loss", "accuracy": "the discriminator is right"}
    for axis, (name, words) in zip(axes[0], names.items(), strict=False):
        values = np.asarray([row[name] for row in rows], float)
        axis.plot(steps, values, color="0.8", lw=0.6)
        width = max(1, len(values) // 40)
        smooth = np.convolve(values, np.ones(width) / width, mode="valid")
        middle = steps[width // 2 : width // 2 + len(smooth)]
        axis.plot(middle, smooth, color="#1f4e79", lw=1.5)
        axis.set_xlabel("steps")
        axis.set_title(words, fontsize=9)
        if name == "loss" and not gan:
            axis.set_yscale("log")
    if looks:
        axis = axes[0, 1].twinx()
        axis.plot(
            [row["step"] for row in looks],
            [row["probability"] for row in looks],
            color="#c8702a",
        )
        axis.set_ylim(0, 1)
        axis.set_ylabel("probability of augmentation", color="#c8702a", fontsize=8)
    return fig


def distances(nearest: Columns) -> Figure:
    """How far samples and images that were not trained on are from training images."""
    fig, axis = plt.subplots(figsize=(4.8, 3), layout="constrained")
    bins: Any = np.linspace(0, float(nearest["distance"].max()) * 1.02, 50)
    for name, colour in (("held-out", "0.6"), ("samples", "#c8702a")):
        own = nearest["distance"][nearest["images"] == name]
        axis.hist(own, bins, histtype="step", color=colour, label=name, density=True)
    axis.set_xlabel("distance to the nearest training image (r.m.s. of pixels)")
    axis.set_yticks([])
    axis.legend(frameon=False, fontsize=8)
    return fig
