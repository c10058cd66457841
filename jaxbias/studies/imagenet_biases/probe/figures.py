"""Figures of a profile: band-pass curves, channel, corruptions, shape bias."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxbias.plotting import save_figures, shades
from jaxbias.probes import critical_band
from jaxbias.probes.spectral_bias import CUT_OFFS
from jaxbias.runs import RunDirectory
from jaxbias.studies.imagenet_biases.probe.config import Config
from jaxbias.studies.imagenet_biases.probe.profile import BANDPASS, Profile, severities
from jaxbias.studies.imagenet_biases.trials import figures as trials


def bandpass(found: Profile) -> Figure:
    """Filtered over clean accuracy, by cut-off; what is averaged is shaded."""
    names = found.results["model"].tolist()
    fig, panels = plt.subplots(1, 2, figsize=(8.4, 3.4), layout="constrained")
    for axes, (kind, short) in zip(panels, BANDPASS.items(), strict=True):
        for place, colour in enumerate(shades(len(names))):
            columns = [f"metric/bandpass/{short}/{cut:g}" for cut in CUT_OFFS]
            ratios = [found.results[column][place] for column in columns]
            axes.plot(CUT_OFFS, ratios, "o-", ms=4, color=colour, label=names[place])
        axes.axvspan(0.1, 0.5, color="0.93", zorder=0)
        axes.set_title(f"{kind}-pass")
        axes.set_xlabel("cut-off, share of the highest frequency")
        axes.set_ylim(bottom=-0.02)
    panels[0].set_ylabel("accuracy, filtered / clean")
    panels[0].legend(frameon=False, fontsize=7)
    return fig


def channel(found: Profile, config: Config) -> Figure:
    """Thresholds of each band, on accuracy relative to clean, and the fitted channel."""
    rows = np.flatnonzero(found.channels["relative"] & ~found.channels["smooth"])
    fig, axes = plt.subplots(figsize=(5, 3.6), layout="constrained")
    for row, colour in zip(rows, shades(len(rows)), strict=True):
        draw_channel(axes, found, int(row), config.size, color=colour)
    axes.set_ylabel("threshold, halvings of the largest SD")
    if axes.lines:
        axes.legend(frameon=False, fontsize=7)
    return fig


def draw_channel(
    axes: Axes, found: Profile, row: int, size: int, **options: Any
) -> None:
    """One row of `channels`: thresholds as dots, and the channel as a line."""
    columns = found.channels
    labels = critical_band.labels(size)
    places = np.arange(len(labels))
    axes.set_xticks(places, [f"{label:g}" for label in labels])
    axes.set_ylim(-0.15, 4.3)
    axes.set_xlabel("nominal frequency of the noise, cycles per image")
    steps = columns["thresholds"][row]
    if not steps.isdecimal():
        return
    fine = np.linspace(-0.5, len(labels) - 0.5, 400)
    amplitude, mu, sigma = (columns[n][row] for n in ("amplitude", "mu", "sigma"))
    curve = amplitude * np.exp(-((fine - mu) ** 2) / (2 * sigma**2))
    width = f"{columns['bandwidth'][row]:.2f} octaves"
    if columns["undetermined"][row]:
        width = "undetermined"
    axes.plot(fine, curve, label=f"{columns['model'][row]}: {width}", **options)
    axes.plot(places, [int(step) for step in steps], "o", ms=4, **options)


def corruptions(found: Profile, part: str) -> Figure:
    """Accuracy by corruption and severity, of one network; the mean, of several."""
    networks = found.results["model"].tolist()
    tables = [severities(found, name, part) for name in networks]
    kinds = tables[0][0]
    if len(networks) == 1:
        shares, across = tables[0][1], [str(n) for n in range(1, 6)]
    else:
        shares, across = np.stack([t.mean(axis=1) for _, t in tables], 1), networks
    fig, axes = plt.subplots(
        figsize=(3 + 0.5 * len(across), 1.6 + 0.24 * len(kinds)), layout="constrained"
    )
    picture = axes.imshow(shares, vmin=0, vmax=1, aspect="auto")
    fig.colorbar(picture, label="accuracy")
    for (i, j), share in np.ndenumerate(shares):
        shade = "black" if share > 0.6 else "white"
        if np.isfinite(share):
            text = f"{100 * share:.0f}"
            axes.text(j, i, text, ha="center", va="center", color=shade, size=6)
    axes.set_yticks(range(len(kinds)), [kind.replace("_", " ") for kind in kinds])
    turn = 60 if len(networks) > 1 else 0
    axes.set_xticks(range(len(across)), across, rotation=turn)
    axes.set_xlabel("mean over severities" if len(networks) > 1 else "severity")
    return fig


def draw(found: Profile, config: Config, directory: RunDirectory) -> list[Path]:
    """Draw a figure for each part that was measured."""
    wanted: dict[str, Callable[[], Figure]] = {}
    parts = set(found.profile["part"].tolist())
    if "spectral" in parts:
        wanted["bandpass"] = partial(bandpass, found)
    if "critical-band" in parts:
        wanted["channel"] = partial(channel, found, config)
    for part in ("corruptions", "c-bar"):
        if part in parts:
            wanted[part] = partial(corruptions, found, part)
    if found.shape is not None:
        wanted["shape_bias"] = partial(trials.by_category, found.shape)
    return save_figures(wanted, directory)
