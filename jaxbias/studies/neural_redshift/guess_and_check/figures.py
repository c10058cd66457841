"""The figure of the guess-and-check experiment."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from jaxbias.plotting import BAND, save_figures
from jaxbias.runs import RunDirectory
from jaxbias.studies.neural_redshift.guess_and_check.config import Config
from jaxbias.studies.neural_redshift.looks import colour_of
from jaxbias.sweeps import Columns

STYLES = ("-", "--", ":", "-.")


def accuracy(columns: Columns, config: Config) -> Figure:
    """Accuracy of networks that fit, and how many do, over the points to fit."""
    fig, panels = plt.subplots(
        *(1, len(config.targets) + 1),
        figsize=(4 * len(config.targets) + 4, 3.6),
        layout="constrained",
    )
    shown = columns["criterion"] == "signs"
    models = dict.fromkeys(
        zip(columns["model"].tolist(), columns["weight_scale"].tolist(), strict=True)
    )
    x = np.asarray(config.train_points)
    for name, weight_scale in models:
        own = shown & (columns["model"] == name)
        own &= columns["weight_scale"] == weight_scale
        free = name == "unbiased"
        style = {
            "color": "black" if free else colour_of(name, config.activations),
            "ls": "-" if free else STYLES[config.weight_scales.index(weight_scale) % 4],
            "label": name if free else f"{name}, scale {weight_scale:g}",
        }
        for axes, target in zip(panels, config.targets, strict=False):
            chosen = own & (columns["target"] == target)
            values = 100 * columns["accuracy"][chosen].reshape(-1, len(x))
            counted = np.isfinite(values).sum(axis=0)
            usable = counted > 1
            values, place = values[:, usable], x[usable]
            mean = np.nanmean(values, axis=0)
            error = BAND * np.nanstd(values, axis=0) / np.sqrt(counted[usable])
            axes.plot(place, mean, marker="o", ms=3, **style)
            axes.fill_between(
                place, mean - error, mean + error, color=style["color"], alpha=0.1, lw=0
            )
        fits = columns["fits"][own & (columns["target"] == config.targets[0])]
        share = fits.reshape(-1, len(x)).mean(axis=0) / config.n_networks
        panels[-1].plot(x[share > 0], share[share > 0], marker="o", ms=3, **style)
    for axes, target in zip(panels, config.targets, strict=False):
        axes.axhline(50, color="#888888", lw=0.8)
        axes.set_title(target.replace("_", " "))
        axes.set_xlabel("points that a network must get right")
    panels[0].set_ylabel("right on other points (%)")
    panels[-1].plot(x, 2.0**-x, color="#888888", lw=0.8, label="coins")
    panels[-1].set_yscale("log")
    panels[-1].set_title(f"share of networks that fit, {config.targets[0]}")
    panels[-1].set_xlabel("points that a network must get right")
    panels[-1].legend(frameon=False, fontsize=6)
    return fig


def draw(columns: Columns, config: Config, directory: RunDirectory) -> list[Path]:
    """Draw the figure of a run."""
    return save_figures({"accuracy": lambda: accuracy(columns, config)}, directory)
