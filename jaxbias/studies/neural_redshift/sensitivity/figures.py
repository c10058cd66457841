"""The figures of the sensitivity experiment, from its table alone."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxbias.plotting import BAND, save_figures
from jaxbias.runs import RunDirectory
from jaxbias.studies.neural_redshift.sensitivity.networks import RANDOM
from jaxbias.studies.neural_redshift.sensitivity.published import Evidence

COLOURS = {
    "transformer": "#1f77b4",
    "lstm": "#d62728",
    "mlp": "#2ca02c",
    RANDOM: "#7f7f7f",
}
SENSITIVITY = "share of bit flips that change the label"


def _distributions(panel: Axes, evidence: Evidence) -> None:
    bins = np.linspace(0, 0.7, 36).tolist()
    for model in (*evidence.config.models, RANDOM):
        prior = "" if model == RANDOM else "uniform"
        values = evidence.columns["sensitivity"][evidence.rows(model, prior=prior)]
        if len(values):
            share = np.full(len(values), 1 / len(values))
            panel.hist(
                values,
                bins,
                weights=share,
                **{"color": COLOURS[model], "label": model},
                **{"histtype": "stepfilled", "alpha": 0.45},
            )
    panel.set_xlabel(SENSITIVITY)
    panel.set_ylabel("share of networks")
    panel.set_title(
        f"{evidence.config.length} bits, weights U(±{evidence.config.weight_range:g})"
    )
    panel.legend(frameon=False)


def _line(
    panel: Axes, evidence: Evidence, model: str, name: str, values: list, prior: str
) -> None:
    """Means over a setting, with a band of 95 %."""
    means, errors = [], []
    for value in values:
        rows = evidence.rows(model, prior=prior, **{name: value})
        found = evidence.columns["sensitivity"][rows]
        means.append(found.mean() if len(found) else np.nan)
        errors.append(
            found.std(ddof=1) / np.sqrt(len(found)) if len(found) > 1 else np.nan
        )
    middle, width = np.asarray(means), BAND * np.asarray(errors)
    colour = COLOURS[model]
    panel.plot(values, middle, ".-", color=colour, label=model)
    panel.fill_between(
        values, middle - width, middle + width, color=colour, alpha=0.2, lw=0
    )


def _balance(panel: Axes, evidence: Evidence) -> None:
    share = np.linspace(0, 1, 100)
    panel.plot(share, 2 * share * (1 - share), "k:", lw=1, label="random labels")
    for model in evidence.config.models:
        rows = evidence.rows(model)
        columns = evidence.columns
        panel.scatter(
            *(columns["ones"][rows], columns["sensitivity"][rows]),
            **{"s": 8, "alpha": 0.5, "lw": 0, "color": COLOURS[model]},
        )
    panel.set_xlabel("share of strings with label 1")
    panel.legend(frameon=False)
    panel.set_title("against the balance of labels")


def figure(evidence: Evidence) -> Figure:
    """Distributions, lengths, ranges, and the balance of labels."""
    config = evidence.config
    panels: np.ndarray
    drawn, panels = plt.subplots(1, 4, figsize=(15, 3.6), layout="constrained")
    _distributions(panels[0], evidence)
    lengths = sorted({*config.lengths, config.length})
    ranges = sorted({*config.ranges, config.weight_range})
    for model in config.models:
        _line(panels[1], evidence, model, "length", lengths, "uniform")
        _line(panels[2], evidence, model, "weight_range", ranges, "uniform")
    _line(panels[1], evidence, RANDOM, "length", lengths, "")
    panels[1].set_xticks(lengths)
    panels[1].set_xlabel("bits of a string")
    panels[1].set_title(f"weights U(±{config.weight_range:g}), bands of 95 %")
    panels[1].legend(frameon=False, fontsize=8)
    panels[2].axhline(0.5, color=COLOURS[RANDOM], lw=1)
    panels[2].set_xscale("log")
    panels[2].set_xlabel("range of the weights, ±")
    panels[2].set_title(f"{config.length} bits, bands of 95 %")
    _balance(panels[3], evidence)
    for panel in panels[1:]:
        panel.set_ylabel(SENSITIVITY)
        panel.set_ylim(0, 0.6)
    return drawn


def draw(evidence: Evidence, directory: RunDirectory) -> list[Path]:
    """Draw the figure; returns the files."""
    return save_figures({"sensitivity": lambda: figure(evidence)}, directory)
