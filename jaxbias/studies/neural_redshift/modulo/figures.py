"""Figures of the modulo-addition experiments."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from jaxbias.plotting import save_figures
from jaxbias.runs import RunDirectory
from jaxbias.studies.neural_redshift.looks import colour_of, label_of
from jaxbias.studies.neural_redshift.modulo.evidence import Evidence
from jaxbias.studies.neural_redshift.modulo.published import LEARNED

LEAST_SHOWN = -0.5
"""Relative accuracy at the bottom of the axes."""


def accuracy(evidence: Evidence) -> Figure:
    """Held-out accuracy over the prefactor, a panel for each target, which is shown."""
    config = evidence.config
    fig, panels = plt.subplots(
        *(2, len(config.moduli)),
        figsize=(3.6 * len(config.moduli), 5.4),
        squeeze=False,
        height_ratios=(1, 2.2),
        layout="constrained",
    )
    colours = {name: colour_of(name, config.activations) for name in config.activations}
    for (picture, axes), modulus in zip(panels.T, config.moduli, strict=True):
        sums = np.add.outer(*[np.arange(config.integers)] * 2)
        picture.imshow(2 * (sums % modulus) <= modulus, cmap="gray", vmin=-0.3)
        picture.set_xticks([])
        picture.set_yticks([])
        picture.set_title(f"M = {modulus}")
        for name in config.activations:
            found = evidence.curve("relative_accuracy", name, modulus)
            found = np.maximum(found, LEAST_SHOWN)
            axes.plot(
                config.prefactors,
                found.mean(axis=1),
                marker="o",
                ms=3,
                color=colours[name],
                label=name,
            )
            low, high = found.min(axis=1), found.max(axis=1)
            axes.fill_between(
                config.prefactors, low, high, color=colours[name], alpha=0.12, lw=0
            )
        # Before the scale: of points without accuracy no limits could be read.
        axes.set_xlim(min(config.prefactors) / 1.2, max(config.prefactors) * 1.2)
        axes.set_xscale("log", base=2)
        axes.axhline(0, color="#888888", lw=0.8)
        axes.axhline(LEARNED, color="#888888", lw=0.8, ls=":")
        axes.set_ylim(LEAST_SHOWN, 1.05)
        axes.set_xlabel("prefactor before each activation")
    panels[1, 0].set_ylabel("accuracy on held-out points\n(0: majority, 1: all right)")
    panels[1, 0].legend(frameon=False, fontsize=7)
    setting = config.settings()[0]
    fig.suptitle(
        f"{setting.train_fraction:g} of {config.points(setting.dimension)} points "
        f"trained on, {config.n_seeds} networks; bands from worst to best"
    )
    return fig


def steps(evidence: Evidence) -> Figure:
    """Complexity of the networks before and after training, beside their accuracy."""
    config = evidence.config
    measures = config.measures
    fig, panels = plt.subplots(
        *(len(config.moduli), len(measures)),
        figsize=(3 * len(measures), 2.7 * len(config.moduli)),
        squeeze=False,
        layout="constrained",
    )
    colours = {name: colour_of(name, config.activations) for name in config.activations}
    for row, modulus in zip(panels, config.moduli, strict=True):
        for axes, measure in zip(row, measures, strict=True):
            for name in config.activations:
                before = evidence.curve(measure, name, modulus, steps=0)
                after = evidence.curve(measure, name, modulus)
                axes.scatter(
                    before, after, s=9, alpha=0.6, color=colours[name], label=name, lw=0
                )
            axes.axline(
                (float(np.nanmin(before)),) * 2, slope=1, color="#888888", lw=0.8
            )
            axes.set_title(f"{label_of(measure)}, M = {modulus}")
        row[0].set_ylabel("after training")
    for axes in panels[-1]:
        axes.set_xlabel("at random weights")
    panels[0, 0].legend(frameon=False, fontsize=6)
    return fig


def search(evidence: Evidence) -> Figure:
    """Best accuracy over prefactors for each activation, target and open choice."""
    config = evidence.config
    chosen = [(s, n) for s in config.settings() for n in config.iterations]
    fig, panels = plt.subplots(
        *(1, len(config.moduli)),
        figsize=(3 + 2.6 * len(config.moduli), 1.6 + 0.28 * len(chosen)),
        squeeze=False,
        sharey=True,
        layout="constrained",
    )
    pictures = []
    for axes, modulus in zip(panels[0], config.moduli, strict=True):
        best = [
            [
                evidence.means(name, modulus, setting=setting, steps=count).max()
                for name in config.activations
            ]
            for setting, count in chosen
        ]
        pictures.append(axes.imshow(best, vmin=0, vmax=1, aspect="auto"))
        for i, j in np.ndindex(np.shape(best)):
            shade = "black" if best[i][j] > 0.6 else "white"
            axes.text(
                *(j, i, f"{best[i][j]:.2f}"),
                ha="center",
                va="center",
                size=6,
                color=shade,
            )
        names = config.activations
        axes.set_xticks(range(len(names)), names, rotation=60, ha="right")
        axes.set_title(f"M = {modulus}")
    words = [
        f"d {s.dimension}, {s.train_fraction:g}, ±{s.input_scale:g}, {n:,}"
        for s, n in chosen
    ]
    panels[0, 0].set_yticks(range(len(words)), words)
    panels[0, 0].set_ylabel("dimension, share trained on, inputs, steps")
    fig.colorbar(pictures[0], ax=panels[0].tolist(), label="best relative accuracy")
    return fig


def draw(evidence: Evidence, directory: RunDirectory) -> list[Path]:
    """Draw the figures of a run."""
    wanted = {
        "accuracy": lambda: accuracy(evidence),
        "complexity": lambda: steps(evidence),
    }
    if len(evidence.config.settings()) > 1:
        wanted["search"] = lambda: search(evidence)
    return save_figures(wanted, directory)
