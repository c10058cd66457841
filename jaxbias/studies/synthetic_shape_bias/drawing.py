"""Figures that several experiments share: readings over a setting, a sheet of sets."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from jaxbias.studies.synthetic_shape_bias import measures
from jaxbias.studies.synthetic_shape_bias.cases import BIAS, WORDS, Reading, ends
from jaxbias.sweeps import Columns

ACROSS = 8
"""Images of a set that are shown."""


def once(values: np.ndarray) -> list:
    """Different values, in the order in which they come."""
    return list(dict.fromkeys(values.tolist()))


def colours_of(names: Sequence[str]) -> dict[str, tuple]:
    """A colour for each name."""
    shades = plt.get_cmap("tab10")
    return {name: shades(number % 10) for number, name in enumerate(names)}


def trend_panels(
    rows: Columns,
    position: np.ndarray,
    trends: Columns,
    *,
    axis: str,
    log: bool = False,
) -> Figure:
    """Readings over a setting: every network, and the mean of each set.

    Args:
        rows: See `cases.Reading`; those after the last step are drawn.
        position: The setting of each row.
        trends: See `trends.trends`: a panel for each row.
        axis: What the setting is, in words.
        log: Whether its axis is logarithmic.
    """
    last = ends(rows)[1]
    position = position[rows["step"] > 0]
    colours = colours_of(once(last["data"]))
    names = trends["reading"].tolist()
    fig, axes = plt.subplots(
        *(1, len(names)),
        figsize=(3.0 * len(names) + 1.8, 3.4),
        squeeze=False,
        layout="constrained",
    )
    ticks = np.unique(position)
    for number, (panel, name) in enumerate(zip(axes[0], names, strict=True)):
        for key, colour in colours.items():
            own = last["data"] == key
            at = [tick for tick in ticks if (own & (position == tick)).any()]
            means = [np.mean(last[name][own & (position == tick)]) for tick in at]
            panel.plot(position[own], last[name][own], ".", color=colour, ms=3)
            panel.plot(at, means, "-", color=colour, lw=1.5)
        if log:
            panel.set_xscale("log", base=2)
        panel.set_xticks(ticks, [f"{tick:,g}" for tick in ticks])
        panel.minorticks_off()
        panel.set_xlabel(axis)
        panel.set_title(_title(name), fontsize=9)
        panel.text(
            *(0.03, 0.03),
            f"{trends['slope'][number]:+.3g} a {'doubling' if log else 'unit'}\n"
            f"p rising {trends['p_rising'][number]:.2g}, "
            f"falling {trends['p_falling'][number]:.2g}",
            transform=panel.transAxes,
            fontsize=7,
        )
        low, high = panel.get_ylim()
        panel.set_ylim(low - 0.18 * (high - low), high)
    handles = [
        Line2D([], [], color=colour, label=name) for name, colour in colours.items()
    ]
    fig.legend(handles=handles, loc="outside right center", frameon=False, fontsize=7)
    return fig


def _title(name: str) -> str:
    if not name.endswith(BIAS):
        return name
    return f"shape bias\n{WORDS[name.removesuffix(BIAS)]}"


def collage(found: Reading, sets: Columns) -> Figure:
    """Some images of each set, with what is measured of it."""
    names = list(found.samples)
    fig, axes = plt.subplots(
        *(len(names), ACROSS),
        figsize=(0.7 * ACROSS + 3.4, 0.72 * len(names) + 0.3),
        squeeze=False,
        layout="constrained",
    )
    for row, name in enumerate(names):
        for axis, image in zip(axes[row], found.samples[name], strict=False):
            axis.imshow(image, interpolation="nearest")
        for axis in axes[row]:
            axis.axis("off")
        own = sets["set"].tolist().index(name)
        axes[row, -1].text(
            *(1.1, 0.5),
            f"{name}\nVendi {sets[measures.VARIETY][own]:.1f}, KID "
            f"{sets['kid'][own]:.2g}, slope {sets['slope'][own]:.1f}",
            transform=axes[row, -1].transAxes,
            va="center",
            fontsize=7,
        )
    return fig
