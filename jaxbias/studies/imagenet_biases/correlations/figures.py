"""Figures of the correlations: scatter panels, heat maps, band-pass curves, prediction."""

from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxbias.plotting import save_figures
from jaxbias.probes.spectral_bias import CUT_OFFS
from jaxbias.runs import RunDirectory
from jaxbias.studies.imagenet_biases.correlations.evidence import Evidence
from jaxbias.studies.imagenet_biases.correlations.prediction import TOGETHER
from jaxbias.studies.imagenet_biases.correlations.table import SUBSETS, Table

LABELS = {
    "shape": "shape bias",
    "low_frequency": "low-frequency bias",
    "high_frequency": "high-frequency bias",
    "bandwidth": "critical bandwidth (octaves)",
    "centre": "critical centre (cycles / image)",
    "peak_sensitivity": "peak noise sensitivity",
}

LOGARITHMIC, DECADE = ("high_frequency", "bandwidth", "centre"), 10.0
"""What is drawn on a logarithmic axis, where it spans as many times its least."""

COLOURS = {
    "baseline": "#000000",
    "training_recipes": "#1f77b4",
    "augmentation": "#2ca02c",
    "stylized": "#d62728",
    "adversarial_training": "#ff7f0e",
    "contrastive": "#9467bd",
    "freezing": "#8c564b",
}
OTHERS = ("#17becf", "#e377c2", "#7f7f7f", "#bcbd22")

FILTERS = {"LFC": "low-pass", "HFC": "high-pass"}


def colours(table: Table) -> dict[str, str]:
    """A colour for each category."""
    names = list(dict.fromkeys(table.categories.tolist()))
    extra = [name for name in names if name not in COLOURS]
    spare = {name: OTHERS[i % len(OTHERS)] for i, name in enumerate(extra)}
    return {name: COLOURS.get(name) or spare[name] for name in names}


def is_logarithmic(bias: str, table: Table) -> bool:
    """Whether a bias is drawn on a logarithmic axis."""
    values = table.biases.get(bias)
    if bias not in LOGARITHMIC or values is None:
        return False
    return bool(values.min() > 0 and values.max() > DECADE * values.min())


def scatter(evidence: Evidence) -> Figure:
    """Every bias against every group, a mark for each network."""
    table, columns = evidence.table, evidence.cells
    rows, cols = list(table.biases), list(table.groups)
    fig, panels = plt.subplots(
        *(len(rows), len(cols)),
        figsize=(2.7 * len(cols) + 1.6, 2.1 * len(rows)),
        layout="constrained",
        squeeze=False,
    )
    for i, bias in enumerate(rows):
        for j, group in enumerate(cols):
            axes = panels[i, j]
            for category, colour in colours(table).items():
                chosen = table.categories == category
                axes.plot(
                    *(table.biases[bias][chosen], table.groups[group][chosen], "o"),
                    ms=3.5,
                    color=colour,
                    alpha=0.8,
                    label=category.replace("_", " "),
                )
            chosen = (columns["bias"] == bias) & (columns["target"] == group)
            chosen &= columns["kind"] == "group"
            shown = [
                f"{subset} {columns['spearman'][row]:+.2f}"
                + ("*" if columns["p"][row] < evidence.config.significance else "")
                for row in np.flatnonzero(chosen)
                for subset in [columns["subset"][row]]
            ]
            axes.set_title(", ".join(shown), fontsize=6.5)
            if is_logarithmic(bias, table):
                axes.set_xscale("log")
            axes.set_xlabel(LABELS[bias], fontsize=7)
            axes.set_ylabel(f"{group} (%)", fontsize=7)
            axes.tick_params(labelsize=6)
    handles, labels = panels[0, 0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside right upper", frameon=False, fontsize=7)
    return fig


def _heat(axes: Axes, values: np.ndarray, p: np.ndarray, level: float) -> None:
    axes.imshow(values, vmin=-1, vmax=1, cmap="RdBu_r", aspect="auto")
    for (i, j), value in np.ndenumerate(values):
        if np.isfinite(value):
            weak = p[i, j] >= level
            axes.text(
                *(j, i, f"{value:.2f}"),
                ha="center",
                va="center",
                fontsize=6.5,
                color="#999" if weak else "white" if abs(value) > 0.6 else "black",
            )
    axes.tick_params(length=0, labelsize=7)
    axes.spines[:].set_visible(False)


def heat_maps(evidence: Evidence) -> Figure:
    """Correlations with groups and single benchmarks, a panel for each subset."""
    columns, table = evidence.cells, evidence.table
    subsets = [name for name in SUBSETS if (columns["subset"] == name).any()]
    biases = list(table.biases)
    targets = [*table.groups, *table.benchmarks]
    fig, panels = plt.subplots(
        *(1, len(subsets)),
        figsize=(1.6 + 4.2 * len(subsets), 4.6),
        layout="constrained",
        squeeze=False,
        sharey=True,
    )
    for axes, subset in zip(panels[0], subsets, strict=True):
        values, p = (np.full((len(targets), len(biases)), np.nan) for _ in range(2))
        for row in np.flatnonzero(columns["subset"] == subset):
            place = targets.index(columns["target"][row])
            place = place, biases.index(columns["bias"][row])
            values[place] = columns["spearman"][row]
            p[place] = columns["p"][row]
        _heat(axes, values, p, evidence.config.significance)
        names = [LABELS[bias].split(" (")[0] for bias in biases]
        axes.set_xticks(range(len(biases)), names, rotation=40, ha="right")
        axes.set_yticks(range(len(targets)), targets)
        axes.axhline(len(table.groups) - 0.5, color="black", lw=0.8)
        count = int(table.subset(subset).sum())
        axes.set_title(f"{subset}: {count} networks")
    level = evidence.config.significance
    fig.suptitle(f"Spearman's correlation; grey: p of {level:g} or more, uncorrected")
    return fig


def band_pass(evidence: Evidence) -> Figure:
    """Accuracy on filtered images over accuracy on whole ones, by category."""
    table = evidence.table
    fig, panels = plt.subplots(1, 2, figsize=(9.5, 3.6), layout="constrained")
    for axes, (kind, words) in zip(panels, FILTERS.items(), strict=True):
        found = [table.column(f"metric/bandpass/{kind}/{cut:g}") for cut in CUT_OFFS]
        curves = np.stack(found, axis=1)  # type: ignore[arg-type]
        for category, colour in colours(table).items():
            own = curves[table.categories == category]
            axes.plot(CUT_OFFS, own.T, color=colour, lw=0.5, alpha=0.4)
            axes.plot(
                *(CUT_OFFS, own.mean(axis=0)),
                color=colour,
                lw=1.8,
                label=category.replace("_", " "),
            )
        axes.axvspan(0.1, 0.5, color="#eee", zorder=0)
        axes.set_xlabel("cut-off, share of the largest frequency")
        axes.set_title(f"{words}: accuracy / accuracy on whole images")
    panels[0].legend(frameon=False, fontsize=7)
    return fig


def predicted(evidence: Evidence) -> Figure:
    """R2 of networks that were left out, by what predicts them."""
    columns = evidence.predictions
    targets = [*evidence.table.groups, *evidence.table.benchmarks]
    names = [*evidence.table.biases, TOGETHER]
    fig, panels = plt.subplots(
        1, 2, figsize=(12.5, 3.8), layout="constrained", sharey=True
    )
    for axes, left_out in zip(panels, ("model", "category"), strict=True):
        for number, name in enumerate(names):
            chosen = (columns["predictors"] == name) & (columns["left_out"] == left_out)
            rows = {columns["target"][row]: row for row in np.flatnonzero(chosen)}
            values = [columns["r2"][rows[target]] for target in targets]
            place = np.arange(len(targets)) + 0.8 * (number / len(names) - 0.5)
            together = name == TOGETHER
            axes.bar(
                *(place, np.maximum(values, -1)),
                width=0.8 / len(names),
                color="black" if together else plt.get_cmap("tab10")(number),
                label=name if together else LABELS[name].split(" (")[0],
            )
        axes.axhline(0, color="black", lw=0.6)
        axes.set_xticks(
            range(len(targets)), targets, rotation=45, ha="right", fontsize=7
        )
        axes.set_ylim(-1, 1)
        title = "each network" if left_out == "model" else "each category"
        axes.set_title(f"{title} left out in turn")
    panels[0].set_ylabel("R², 0: no better than a mean")
    handles, labels = panels[1].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside right upper", frameon=False, fontsize=7)
    return fig


def possible(evidence: Evidence) -> dict[str, Callable[[], Figure]]:
    """The figures that the table has columns for, by name."""
    wanted = {"heat_maps": lambda: heat_maps(evidence)}
    if evidence.table.groups:
        wanted["scatter"] = lambda: scatter(evidence)
    wanted["prediction"] = lambda: predicted(evidence)
    names = (f"metric/bandpass/{kind}/{cut:g}" for kind in FILTERS for cut in CUT_OFFS)
    if all(evidence.table.column(name) is not None for name in names):
        wanted["band_pass"] = lambda: band_pass(evidence)
    return wanted


def draw(evidence: Evidence, directory: RunDirectory) -> list[Path]:
    """Draw them."""
    return save_figures(possible(evidence), directory)
