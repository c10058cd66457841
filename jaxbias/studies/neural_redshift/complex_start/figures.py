"""The figure of the complex-start experiment."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from jaxbias.plotting import save_figures
from jaxbias.runs import RunDirectory
from jaxbias.studies.neural_redshift.complex_start.config import Config
from jaxbias.studies.neural_redshift.looks import label_of
from jaxbias.sweeps import Columns

COLOURS = {"random": "#1f77b4", "large": "#ff7f0e", "trained": "#d62728"}
HELD_OUT = "held-out points (0: majority, 1: all right)"


def over_training(columns: Columns, config: Config) -> Figure:
    """Complexity and accuracy over training, a curve for each start."""
    shown = ("relative_accuracy", *config.measures)
    fig, panels = plt.subplots(
        *(len(config.activations), len(shown)),
        figsize=(2.9 * len(shown), 2.6 * len(config.activations)),
        squeeze=False,
        layout="constrained",
    )
    looks = np.asarray((0, *config.iterations))
    for row, activation in zip(panels, config.activations, strict=True):
        for axes, name in zip(row, shown, strict=True):
            for start in config.starts:
                own = (columns["activation"] == activation) & (
                    columns["start"] == start
                )
                own &= columns["modulus"] == config.moduli[0]
                own &= columns["prefactor"] == config.prefactors[0]
                values = columns[name][own].reshape(-1, len(looks))
                for one in values:
                    axes.plot(looks, one, color=COLOURS[start], lw=0.6, alpha=0.4)
                mean = values.mean(axis=0)
                axes.plot(looks, mean, "o-", ms=3, color=COLOURS[start], label=start)
            axes.set_xscale("symlog", linthresh=config.iterations[0], linscale=0.5)
            axes.set_title(
                f"{activation}: "
                f"{HELD_OUT if name == 'relative_accuracy' else label_of(name)}",
                fontsize=7,
            )
    for axes in panels[-1]:
        axes.set_xlabel("training steps")
    panels[0, 0].set_ylim(bottom=-1)
    panels[0, 0].legend(frameon=False, fontsize=7)
    return fig


def draw(columns: Columns, config: Config, directory: RunDirectory) -> list[Path]:
    """Draw the figure of a run."""
    wanted = {"over_training": lambda: over_training(columns, config)}
    return save_figures(wanted, directory)
