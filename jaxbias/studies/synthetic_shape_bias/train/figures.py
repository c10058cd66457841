"""Figures: what is read in the course of a training, and what the images are like."""

from functools import partial

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxbias.plotting import save_figures
from jaxbias.runs import RunDirectory
from jaxbias.studies.synthetic_shape_bias.train.config import Config
from jaxbias.studies.synthetic_shape_bias.train.readouts import WORDS, Readouts

COLOURS = {"solid": "#1f4e79", "textured": "#c8702a", "official": "#3a7d44"}
PATCHED = {"jigsaw_quarter": "--", "jigsaw_eighth": ":"}
SINGLE = {"edges": "#b5651d", "silhouettes": "#555555"}
WORDS_OF = {
    "jigsaw_quarter": "of shuffled patches, 1/4",
    "jigsaw_eighth": "of shuffled patches, 1/8",
    "edges": "edges",
    "silhouettes": "silhouettes",
}
ROWS, COLUMNS = 4, 10


def draw(config: Config, look: Readouts, directory: RunDirectory) -> None:
    """Write both figures."""
    columns = directory.read_table()
    save_figures(
        {
            "curves": partial(curves, columns, config),
            "images": partial(examples, look.own, config),
        },
        directory,
    )


def curves(columns: dict[str, np.ndarray], config: Config) -> Figure:
    """Readings over steps; the first one is the untrained network."""
    sets = [name for name in WORDS if f"{name}_bias" in columns]
    fig, axes = plt.subplots(2, 3, figsize=(11, 5.6), layout="constrained")
    for name in sets:
        label = WORDS[name]
        _line(axes[0, 0], columns, f"{name}_bias", COLOURS[name], label, band=name)
        _line(axes[0, 1], columns, f"{name}_shape", COLOURS[name], label)
        _line(axes[0, 2], columns, f"{name}_texture", COLOURS[name], label)
        _line(axes[1, 0], columns, f"{name}_shape_decoded", COLOURS[name], label)
        _line(axes[1, 1], columns, f"{name}_texture_decoded", COLOURS[name], label)
    if "official_apart_bias" in columns:
        axes[0, 0].plot([], [], ":", color=COLOURS["official"], label="above chance")
        _line(
            *(axes[0, 0], columns, "official_apart_bias", COLOURS["official"], None),
            style=":",
        )
    _line(axes[1, 2], columns, "transfer", "0.2", "transfer")
    for name, style in PATCHED.items():
        if name in columns:
            _line(axes[1, 2], columns, name, "0.5", WORDS_OF[name], style=style)
    for name, colour in SINGLE.items():
        if name in columns:
            _line(axes[0, 1], columns, name, colour, WORDS_OF[name])
    for name, colour in (("spread", "#7b3294"), ("colour", "#d7191c")):
        label = {"spread": "two images apart", "colour": "from its grey version"}[name]
        _line(axes[1, 2], columns, name, colour, label)
    titles = (
        *("shape bias by neighbours", "shape found", "texture found"),
        *("shape decoded", "texture decoded", "transfer, distances"),
    )
    last = columns["step"].max()
    for axis, title in zip(axes.flat, titles, strict=True):
        axis.set_title(title)
        axis.set_xscale("symlog", linthresh=1, linscale=0.4)
        axis.set_xlim(-0.1, last * 1.2)
        axis.set_ylim(bottom=min(0, axis.get_ylim()[0]))
        axis.set_xlabel("steps")
    axes[0, 0].set_ylim(0, 1)
    axes[0, 0].axhline(0.5, color="0.8", lw=1, zorder=0)
    axes[0, 0].legend(frameon=False, fontsize=7)
    axes[1, 2].legend(frameon=False, fontsize=7)
    if any(name in columns for name in SINGLE):
        axes[0, 1].legend(frameon=False, fontsize=7)
    fig.suptitle(f"{config.model} on {config.data}, {config.supervision}")
    return fig


def _line(
    axes: Axes,
    columns: dict[str, np.ndarray],
    name: str,
    colour: str,
    label: str | None,
    *,
    band: str | None = None,
    style: str = "-",
) -> None:
    """The mean over seeds, and each seed's own values."""
    steps = np.unique(columns["step"])
    own = [columns["step"] == step for step in steps]
    mean = [np.mean(columns[name][at]) for at in own]
    axes.plot(steps, mean, style, marker="o", ms=3, color=colour, label=label)
    if len(np.unique(columns["seed"])) > 1:
        axes.plot(columns["step"], columns[name], ".", color=colour, alpha=0.4, ms=3)
    if band is not None:
        low, high = (
            [np.mean(columns[f"{band}_{end}"][at]) for at in own]
            for end in ("low", "high")
        )
        axes.fill_between(steps, low, high, color=colour, alpha=0.15, lw=0)


def examples(own: np.ndarray, config: Config) -> Figure:
    """Some training images."""
    fig, axes = plt.subplots(
        ROWS, COLUMNS, figsize=(0.95 * COLUMNS, 0.95 * ROWS + 0.4), layout="constrained"
    )
    for axis in axes.flat:
        axis.axis("off")
    for axis, image in zip(axes.flat, own, strict=False):
        axis.imshow(image, interpolation="nearest")
    fig.suptitle(f"{config.data}, {config.size} x {config.size}")
    return fig
