"""Figures of the zero-mean experiment."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from jaxbias.plotting import save_figures
from jaxbias.runs import RunDirectory
from jaxbias.studies.neural_redshift.looks import colour_of, label_of
from jaxbias.studies.neural_redshift.zero_mean.ledger import Evidence


def _panels(evidence: Evidence) -> list[tuple[str, float]]:
    config = evidence.config
    return [(v, b) for v in config.variants for b in config.bias_ranges]


def _title(variant: str, bias_range: float) -> str:
    biases = f"biases in ±{bias_range:g}" if bias_range else "no biases"
    return f"{variant.replace('_', ' ')}, {biases}"


def shifts(evidence: Evidence) -> Figure:
    """Complexity over the mean that is left, with the unshifted activations marked."""
    config, columns = evidence.config, evidence.columns
    panels = _panels(evidence)
    measures = config.measures[:3]
    figure, axes = plt.subplots(
        *(len(measures), len(panels)),
        figsize=(3.1 * len(panels) + 1.2, 2.7 * len(measures)),
        squeeze=False,
        sharex=True,
        sharey="row",
        layout="constrained",
    )
    deepest = (columns["depth"] == max(config.depths)) & ~columns["degenerate"]
    for row, measure in zip(axes, measures, strict=True):
        row[0].set_ylabel(label_of(measure))
        for panel, (variant, bias_range) in zip(row, panels, strict=True):
            here = deepest & (columns["variant"] == variant)
            here &= columns["bias_range"] == bias_range
            for name in config.activations:
                colour = colour_of(name, config.activations)
                chosen = here & (columns["activation"] == name)
                shifted = chosen & (columns["setting"] == "shifted")
                means = np.unique(columns["mean"][shifted])
                centre = [
                    columns[measure][shifted & (columns["mean"] == m)].mean()
                    for m in means
                ]
                panel.plot(means, centre, color=colour, label=name, marker=".", lw=1.3)
                asis = chosen & (columns["setting"] == "as_is")
                if asis.any():
                    at = columns["mean"][asis][0], columns[measure][asis].mean()
                    panel.plot(
                        *at,
                        marker="o",
                        mfc="white",
                        mec=colour,
                        ls="",
                        mew=1.5,
                        zorder=4,
                    )
            panel.axvline(0, color="#888888", lw=0.8, ls="--")
            if measure == measures[0]:
                panel.set_title(_title(variant, bias_range))
    figure.legend(
        *axes[0][0].get_legend_handles_labels(),
        loc="outside right center",
        frameon=False,
    )
    figure.supxlabel(
        "E[φ(z)] in standard deviations of φ(z), z ~ N(0, 1)  (open: unshifted; "
        f"{max(config.depths)} hidden layers, mean over weight scales)"
    )
    return figure


def correlation(evidence: Evidence) -> Figure:
    """Correlation of outputs at a right angle over depth, beside the prediction."""
    config, rows = evidence.config, evidence.correlations
    panels = _panels(evidence)
    figure, axes = plt.subplots(
        *(2, len(panels)),
        figsize=(3.1 * len(panels) + 1.2, 5.2),
        squeeze=False,
        sharex=True,
        sharey=True,
        layout="constrained",
    )
    words = {"as_is": "as it is", "zero_mean": "shifted to mean 0"}
    for line, (setting, label) in zip(axes, words.items(), strict=True):
        line[0].set_ylabel(f"{label}\ncorrelation of outputs")
        for panel, (variant, bias_range) in zip(line, panels, strict=True):
            for name in config.activations:
                chosen = (rows["activation"] == name) & (rows["setting"] == setting)
                chosen &= (rows["variant"] == variant) & (rows["angle"] == 90)
                chosen &= rows["bias_range"] == bias_range
                colour = colour_of(name, config.activations)
                panel.errorbar(
                    rows["depth"][chosen],
                    rows["correlation"][chosen],
                    1.96 * rows["correlation_se"][chosen],
                    fmt="o",
                    ms=3,
                    color=colour,
                    label=name,
                )
                panel.plot(
                    rows["depth"][chosen], rows["predicted"][chosen], color=colour, lw=1
                )
            panel.axhline(0, color="#888888", lw=0.8)
            if setting == "as_is":
                panel.set_title(_title(variant, bias_range))
    figure.legend(
        *axes[0][0].get_legend_handles_labels(),
        loc="outside right center",
        frameon=False,
    )
    figure.supxlabel(
        f"hidden layers (inputs at a right angle, weight scale "
        f"{config.correlation_scale:g}; points: {config.correlation_networks:,} networks, "
        "lines: infinite width)"
    )
    return figure


def draw(evidence: Evidence, directory: RunDirectory) -> list[Path]:
    """Draw both figures; returns the files."""
    return save_figures(
        {
            "shifts": lambda: shifts(evidence),
            "correlation": lambda: correlation(evidence),
        },
        directory,
    )
