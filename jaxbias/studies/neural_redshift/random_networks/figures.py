"""Figures of the random-networks experiment, from its table alone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxbias.ledger import MissingError
from jaxbias.numerics.statistics import bootstrap_correlation
from jaxbias.plotting import save_figures
from jaxbias.probes.complexity import MEASURES
from jaxbias.runs import RunDirectory
from jaxbias.studies.neural_redshift.looks import colour_of, label_of
from jaxbias.studies.neural_redshift.random_networks.config import AUTHOR_AMPLITUDES
from jaxbias.studies.neural_redshift.random_networks.evidence import Evidence
from jaxbias.studies.neural_redshift.random_networks.published import author_heatmaps


def _show_heatmap(
    axes: Axes, means: np.ndarray, scales: list[float], depths: list[int], **colour: Any
) -> Any:
    """Weight scale upwards, depth to the right; cells without a value stay grey."""
    axes.set_facecolor("#bbbbbb")
    image = axes.imshow(means, origin="lower", aspect="auto", cmap="magma", **colour)
    axes.set_xticks(range(len(depths)), [str(d) for d in depths])
    step = -(-len(scales) // 7)
    shown = range(0, len(scales), step)
    axes.set_yticks(list(shown), [f"{scales[i]:.3g}" for i in shown])
    for spine in axes.spines.values():
        spine.set_visible(False)
    return image


def heatmaps(evidence: Evidence, measure: str) -> Figure:
    """Mean complexity over weight scale and depth, a panel for each activation.

    For the Fourier measure the authors' published heatmaps stand below, on the same
    colours as far as their grid and prior allow.
    """
    config = evidence.config
    depths, scales = list(config.depths), list(config.weight_scales)
    means = {a: evidence.grid(measure, a, config.depths) for a in config.activations}
    published = author_heatmaps() if measure == "fourier" else {}
    columns = min(4, len(means))
    rows = -(-len(means) // columns)
    total = rows + (1 if published else 0)
    figure, panels = plt.subplots(
        total,
        max(columns, len(published)),
        figsize=(2.6 * max(columns, len(published)) + 0.8, 2.4 * total),
        squeeze=False,
        layout="constrained",
    )
    every = np.concatenate([m.ravel() for m in means.values()])
    seen = every[~np.isnan(every)]
    low, high = (seen.min(), seen.max()) if seen.size else (0.0, 1.0)
    if measure == "fourier":
        plane, noise = evidence.plane_and_noise()
        low, high = min(low, plane), max(high, noise)
    for panel in panels.ravel():
        panel.set_visible(False)
    image: Any = None
    for panel, (activation, grid) in zip(panels.ravel(), means.items(), strict=False):
        panel.set_visible(True)
        image = _show_heatmap(panel, grid, scales, depths, vmin=low, vmax=high)
        panel.set_title(activation)
    for panel, (activation, cells) in zip(panels[-1], published.items(), strict=False):
        grid = np.asarray(
            [[cells[a, d] for d in range(1, 8)] for a in AUTHOR_AMPLITUDES]
        )
        panel.set_visible(True)
        there = _show_heatmap(
            panel, grid, list(AUTHOR_AMPLITUDES), list(range(1, 8)), vmin=0.14, vmax=0.5
        )
        panel.set_title(f"{activation}, published", style="italic")
        if panel is panels[-1][-1]:
            figure.colorbar(there, ax=list(panels[-1]), label="as published, 300 x 300")
    figure.supylabel("weight scale")
    grey = ""
    if np.isnan(every).any():
        grey = " (grey: most networks differ from a constant by rounding alone)"
    figure.supxlabel(f"hidden layers{grey}")
    figure.colorbar(image, ax=panels[:rows].ravel().tolist(), label=label_of(measure))
    return figure


def curves(evidence: Evidence) -> Figure:
    """Complexity over the weight scale, by architecture, with bands of one sd."""
    config = evidence.config
    measures = [
        m for m in ("fourier", "chebyshev", "lz76") if m in config.measures
    ] or list(config.measures)
    figure, panels = plt.subplots(
        len(measures),
        len(config.variants),
        figsize=(2.7 * len(config.variants) + 1.2, 2.2 * len(measures) + 0.6),
        squeeze=False,
        sharex=True,
        sharey="row",
        layout="constrained",
    )
    for row, measure in zip(panels, measures, strict=True):
        row[0].set_ylabel(label_of(measure))
        for panel, variant in zip(row, config.variants, strict=True):
            for activation in config.activations:
                where = {"variant": variant, "depth": config.curve_depth}
                _curve(panel, evidence, measure, activation, where)
            _scale_axis(panel, config.weight_scales)
    for panel, variant in zip(panels[0], config.variants, strict=True):
        panel.set_title(variant.replace("_", " "))
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", frameon=False)
    figure.supxlabel(f"weight scale ({config.curve_depth} hidden layers)")
    return figure


def _scale_axis(panel: Axes, scales: tuple[float, ...]) -> None:
    """A logarithmic axis with a tick at every few of the scales, in plain numbers."""
    panel.set_xscale("log")
    shown = sorted(scales)[:: -(-len(scales) // 7)]
    panel.set_xticks(shown, [f"{scale:.3g}" for scale in shown])
    panel.minorticks_off()


def _curve(
    panel: Axes,
    evidence: Evidence,
    measure: str,
    activation: str,
    where: dict[str, object],
) -> None:
    scales, means, spreads = [], [], []
    for weight_scale in evidence.config.weight_scales:
        try:
            sample = evidence.sample(
                measure, activation=activation, weight_scale=weight_scale, **where
            )
        except MissingError:
            continue
        scales.append(weight_scale)
        means.append(sample.mean)
        spreads.append(sample.sd)
    centre, spread = np.asarray(means), np.asarray(spreads)
    colour = colour_of(activation, evidence.config.activations)
    panel.plot(scales, centre, color=colour, label=activation, lw=1.6)
    panel.fill_between(
        scales, centre - spread, centre + spread, color=colour, alpha=0.12, lw=0
    )


CONTROLS = {
    "width": ("width", "widths"),
    "prior": ("prior", "priors"),
    "bias": ("bias_range", "bias_ranges"),
    "resolution": ("resolution", "resolutions"),
}


def controls(evidence: Evidence) -> Figure:
    """What should change nothing: width, prior, bias range; and the grid's resolution."""
    config = evidence.config
    parts = [part for part in CONTROLS if part in config.parts]
    measures = [m for m in ("fourier", "dct", "lz76") if m in config.measures]
    measures = measures or list(config.measures[:1])
    figure, panels = plt.subplots(
        len(measures),
        len(parts),
        figsize=(2.9 * len(parts) + 1.6, 2.1 * len(measures) + 0.8),
        squeeze=False,
        sharey="row",
        layout="constrained",
    )
    for row, measure in zip(panels, measures, strict=True):
        row[0].set_ylabel(label_of(measure))
        for panel, part in zip(row, parts, strict=True):
            label, values = CONTROLS[part]
            _control(panel, evidence, measure, label, getattr(config, values))
            if measure == measures[0]:
                panel.set_title(part)
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", frameon=False)
    figure.supxlabel(f"{config.control_depth} hidden layers; mean and sd of networks")
    return figure


def _control(
    panel: Axes, evidence: Evidence, measure: str, label: str, values: tuple
) -> None:
    styles = ("-", "--", ":", "-.")
    for activation in evidence.config.controls:
        for number, weight_scale in enumerate(evidence.config.control_scales):
            samples = []
            for value in values:
                where = {"weight_scale": weight_scale, label: value}
                try:
                    samples.append(
                        evidence.sample(
                            measure,
                            activation=activation,
                            depth=evidence.config.control_depth,
                            **where,
                        )
                    )
                except MissingError:
                    samples.append(None)
            panel.errorbar(
                range(len(values)),
                [np.nan if s is None else s.mean for s in samples],
                [np.nan if s is None else s.sd for s in samples],
                color=colour_of(activation, evidence.config.activations),
                ls=styles[number % len(styles)],
                marker="o",
                ms=3,
                capsize=2,
                label=f"{activation}, scale {weight_scale:g}",
            )
    names = [
        v.removeprefix("glorot_").replace("_", "\n") if isinstance(v, str) else f"{v:g}"
        for v in values
    ]
    panel.set_xticks(range(len(values)), names)


def agreement(evidence: Evidence) -> Figure:
    """Every measure against every other: a point a network, and the correlations."""
    names = sorted(evidence.config.measures, key=MEASURES.index)
    chosen = evidence.rows(variant=None, width=None, prior=None, bias_range=None)
    chosen &= ~evidence.columns["degenerate"]
    data = {name: evidence.columns[name][chosen] for name in names}
    labels = [evidence.columns[k][chosen] for k in ("activation", "variant", "depth")]
    labels.append(evidence.columns["network"][chosen])
    groups = np.asarray(["/".join(map(str, label)) for label in zip(*labels)])  # noqa: B905
    few = np.random.default_rng(0).permutation(chosen.sum())[:3000]
    colours = np.asarray(
        [
            colour_of(a, evidence.config.activations)
            for a in evidence.columns["activation"][chosen][few]
        ]
    )
    size = len(names)
    figure, panels = plt.subplots(
        size, size, figsize=(1.35 * size + 0.6, 1.35 * size), squeeze=False
    )
    figure.subplots_adjust(wspace=0.06, hspace=0.06)
    for i, first in enumerate(names):
        for j, second in enumerate(names):
            panel = panels[i][j]
            panel.set_xticks([])
            panel.set_yticks([])
            if i == j:
                text = label_of(first).replace("(", "").replace(")", "")
                _centred(panel, text.replace(" ", "\n"))
            elif i > j:
                panel.scatter(
                    data[second][few],
                    data[first][few],
                    s=1.5,
                    c=colours,
                    lw=0,
                    rasterized=True,
                )
            else:
                _correlations(panel, data[first], data[second], groups)
    figure.suptitle(
        f"{chosen.sum():,} networks; above the diagonal Pearson r and Spearman ρ, "
        "with 95 % intervals over whole draws",
        y=0.905,
    )
    return figure


def _correlations(
    panel: Axes, x: np.ndarray, y: np.ndarray, groups: np.ndarray
) -> None:
    lines = []
    for symbol, ranks in (("r", False), ("ρ", True)):
        c = bootstrap_correlation(x, y, groups, ranks=ranks, resamples=300)
        lines.append(f"{symbol} {c.value:.2f}\n[{c.low:.2f}, {c.high:.2f}]")
        if not ranks:
            panel.set_facecolor(
                plt.get_cmap("RdBu")(0.5 + 0.35 * np.nan_to_num(c.value))
            )
    _centred(panel, "\n".join(lines))


def _centred(panel: Axes, text: str) -> None:
    panel.text(
        *(0.5, 0.5, text),
        ha="center",
        va="center",
        fontsize=8,
        transform=panel.transAxes,
    )


def images(samples: dict[str, np.ndarray]) -> Figure:
    """Random functions as grey images: a network a row, weight scale to the right."""
    activations = list(dict.fromkeys(samples["activation"]))
    scales = list(dict.fromkeys(samples["weight_scale"]))
    rows, columns = len(activations), len(scales)
    side = int(samples["row"].max()) + 1
    values = samples["value"].reshape(rows, columns, side, side)
    figure, panels = plt.subplots(
        rows, columns, figsize=(1.3 * columns + 0.9, 1.3 * rows), squeeze=False
    )
    figure.subplots_adjust(wspace=0.05, hspace=0.05)
    for i, activation in enumerate(activations):
        panels[i][0].set_ylabel(activation)
        for j, weight_scale in enumerate(scales):
            panel = panels[i][j]
            panel.imshow(values[i, j].T, cmap="gray", origin="lower")
            panel.set_xticks([])
            panel.set_yticks([])
            if i == 0:
                panel.set_title(f"scale {weight_scale:.3g}")
    return figure


def draw(
    evidence: Evidence, samples: dict[str, np.ndarray], directory: RunDirectory
) -> list[Path]:
    """Draw every figure that the run has parts for; returns the files."""
    parts = evidence.config.parts
    wanted: dict[str, Callable[[], Figure]] = {}
    if "heatmaps" in parts:
        for measure in evidence.config.measures:
            wanted[f"heatmaps_{measure}"] = lambda m=measure: heatmaps(evidence, m)
    if "curves" in parts:
        wanted["curves"] = lambda: curves(evidence)
    if set(CONTROLS) & set(parts):
        wanted["controls"] = lambda: controls(evidence)
    if len(evidence.config.measures) > 1:
        wanted["agreement"] = lambda: agreement(evidence)
    if samples:
        wanted["samples"] = lambda: images(samples)
    return save_figures(wanted, directory)
