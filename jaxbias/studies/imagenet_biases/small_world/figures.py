"""Figures of a small world: its networks, its stimuli, and those of the published table."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D

from jaxbias.plotting import save_figures
from jaxbias.runs import RunDirectory
from jaxbias.studies.imagenet_biases.correlations import figures as correlations
from jaxbias.studies.imagenet_biases.probe.figures import draw_channel
from jaxbias.studies.imagenet_biases.small_world.evidence import (
    RENAMED,
    Evidence,
    table_of,
)
from jaxbias.studies.imagenet_biases.small_world.stimuli import World
from jaxbias.studies.imagenet_biases.trials import figures as trials

EXAMPLES = 10
"""Images of each set that are shown."""

STAND_INS: Mapping[str, str] = {
    "test": "validation images (for ImageNet)",
    "hard": "those that another baseline gets wrong (ImageNet-A)",
    "posters": "few colours, little detail (ImageNet-R)",
    "lines": "edges alone (ImageNet-Sketch)",
    "stylised": "in the style of a training image (stylised ImageNet)",
    "conflict": "the shape of one class, the texture of another (cue conflict)",
}
"""What each set is, and for what it stands."""


def _labels(category: str) -> str:
    return category.replace("_", " ")


def networks(found: Evidence) -> Figure:
    """Every network's biases and group scores: means over seeds, and each faintly."""
    table, results = found.statistics.table, found.results
    colours = correlations.colours(table)
    panels = {**table.biases, **table.groups}
    seeds = [
        table_of(
            {k: v[results["seed"] == seed] for k, v in results.items()}, found.config
        )
        for seed in np.unique(results["seed"])
    ]
    order = np.arange(len(table.models))[::-1]
    fig, axes = plt.subplots(
        *(1, len(panels)),
        figsize=(2 + 1.45 * len(panels), 1.2 + 0.21 * len(order)),
        layout="constrained",
        sharey=True,
        squeeze=False,
    )
    own = [colours[category] for category in table.categories]
    for panel, (name, values) in zip(axes[0], panels.items(), strict=True):
        panel.hlines(order, values.min(), values, color=own, lw=1, alpha=0.35)
        panel.scatter(values, order, color=own, s=22, zorder=3)
        for each in seeds if len(seeds) > 1 else []:
            one = (each.biases | each.groups).get(name)
            if one is not None:
                panel.scatter(one, order, color=own, s=8, alpha=0.5, lw=0)
        if name == "shape":
            for place, model in zip(order, table.models, strict=True):
                for row in np.flatnonzero(results["network"] == model):
                    ends = [
                        results[f"shape-bias/{end}"][row] for end in ("low", "high")
                    ]
                    panel.plot(ends, [place] * 2, color="0.3", lw=0.8)
        words = correlations.LABELS.get(name, f"{name} (%)").replace(" (", "\n(")
        panel.set_title(words, fontsize=7)
        panel.tick_params(labelsize=7)
        if correlations.is_logarithmic(name, table):
            panel.set_xscale("log")
        panel.grid(axis="y", lw=0.3)
    axes[0, 0].set_yticks(order, table.models, fontsize=7)
    for label, colour in zip(axes[0, 0].get_yticklabels(), own, strict=True):
        label.set_color(colour)
    handles = [
        Line2D([], [], marker="o", ls="", color=c, label=_labels(n))
        for n, c in colours.items()
    ]
    fig.legend(
        handles=handles, loc="outside lower center", ncols=7, frameon=False, fontsize=7
    )
    return fig


def channels(found: Evidence) -> Figure:
    """Thresholds of each band and the fitted channel, a panel for each category."""
    table, columns = found.statistics.table, found.profile.channels
    colours = correlations.colours(table)
    chosen = columns["relative"] & ~columns["smooth"]
    names = found.profile.results["model"].tolist()
    categories = dict(zip(names, found.results["category"].tolist(), strict=True))
    fig, panels = plt.subplots(
        *(1, len(colours)),
        figsize=(2.2 * len(colours), 2.8),
        layout="constrained",
        sharey=True,
        squeeze=False,
    )
    for axes, (category, colour) in zip(panels[0], colours.items(), strict=True):
        for row in np.flatnonzero(chosen):
            if categories[columns["model"][row]] == category:
                size = found.config.size
                draw_channel(
                    *(axes, found.profile, int(row), size), color=colour, alpha=0.6
                )
        axes.set_title(_labels(category), fontsize=8)
        axes.set_xlabel("noise (cycles / image)", fontsize=7)
    panels[0, 0].set_ylabel("threshold, halvings of the largest SD", fontsize=8)
    return fig


def stimuli(world: World) -> Figure:
    """Some images of each set."""
    sets = list(world.sets)
    fig, panels = plt.subplots(
        *(len(sets), EXAMPLES),
        figsize=(0.85 * EXAMPLES, 1.12 * len(sets)),
        layout=ConstrainedLayoutEngine(h_pad=0.1),
        squeeze=False,
    )
    # Keeps room above the first row, whose words take part in no layout.
    fig.suptitle(" ", fontsize=7)
    for row, images in zip(panels, sets, strict=True):
        count = min(EXAMPLES, len(images))
        shown = images.pixels(0, count)
        for axes in row:
            axes.axis("off")
        for axes, pixels in zip(row, shown, strict=False):
            axes.imshow(pixels)
        name = RENAMED.get(images.name, images.name)
        words = f"{name}: {STAND_INS[name]}"
        # Wider than its panel, which must not grow with it.
        place = {"transform": row[0].transAxes, "fontsize": 7}
        row[0].text(0, 1.08, words, **place).set_in_layout(False)
    return fig


def draw(found: Evidence, world: World, directory: RunDirectory) -> list[Path]:
    """Draw everything."""
    statistics = found.statistics
    wanted = {
        "networks": partial(networks, found),
        "stimuli": partial(stimuli, world),
        **correlations.possible(statistics),
        "channels": partial(channels, found),
    }
    if found.profile.shape is not None:
        wanted["shape_bias"] = partial(trials.by_category, found.profile.shape)
    return save_figures(wanted, directory)
