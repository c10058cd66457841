"""Figures of the study: accuracies with intervals, confusion, easy and hard images."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxbias import plotting
from jaxbias.plotting import save_figures, shades
from jaxbias.runs import RunDirectory
from jaxbias.studies.dataset_classification.baselines import shown_pixels
from jaxbias.studies.dataset_classification.cases import Outcome
from jaxbias.studies.dataset_classification.images import Pool
from jaxbias.studies.dataset_classification.views import shown

NETWORK, FEATURES, PUBLISHED = "#1f77b4", "#ff7f0e", "#bbbbbb"

SHOWN = 8
"""Images of each source on a row of the examples."""


def _errors(outcomes: Sequence[Outcome]) -> np.ndarray:
    """Lengths below and above each accuracy, in per cent."""
    below, above = [], []
    for outcome in outcomes:
        low, high = outcome.interval
        below.append(100 * (outcome.accuracy - low))
        above.append(100 * (high - outcome.accuracy))
    return np.maximum([below, above], 0)


def _percent(axes: Axes, chance: float) -> None:
    axes.axhline(100 * chance, color="black", lw=0.8, ls=":")
    axes.annotate("chance", (0.995, 100 * chance), xycoords=("axes fraction", "data"),
                  ha="right", va="bottom", fontsize=7)  # fmt: skip
    axes.set_ylim(0, 102)
    axes.set_ylabel("validation accuracy (%)")


def bars(
    outcomes: Sequence[Outcome],
    words: Callable[[Outcome], str],
    published: Mapping[str, float],
    title: str,
) -> Figure:
    """A bar for each case, hand-made features and the published value beside it.

    Args:
        outcomes: In the order of the bars.
        words: The name of a bar.
        published: Accuracies in per cent, by case; of other data sets.
        title: Of the figure.
    """
    width = max(5.0, 0.62 * len(outcomes) + 1.5)
    fig, axes = plt.subplots(figsize=(width, 3.8), layout="constrained")
    place = np.arange(len(outcomes))
    known = [published.get(outcome.case.name, np.nan) for outcome in outcomes]
    here = place
    if np.isfinite(known).any():
        here = place - 0.18
        axes.bar(place + 0.22, known, 0.38, color=PUBLISHED, label="published")
    own = [100 * outcome.accuracy for outcome in outcomes]
    axes.bar(here, own, 0.38, color=NETWORK, label="network, here")
    axes.errorbar(here, own, _errors(outcomes), fmt="none", color="black", lw=1)
    features = [100 * _baseline(outcome) for outcome in outcomes]
    axes.plot(here, features, "D", color=FEATURES, ms=4, label="hand-made features")
    axes.set_xticks(place, [words(o) for o in outcomes], rotation=40, ha="right")
    _percent(axes, outcomes[0].chance)
    axes.legend(frameon=False, ncols=3, loc="lower left", bbox_to_anchor=(0, 1))
    fig.suptitle(title, fontsize=10)
    return fig


def _baseline(outcome: Outcome) -> float:
    return float("nan") if outcome.baseline is None else outcome.baseline.accuracy


def lines(
    outcomes: Sequence[Outcome],
    x: str,
    group: str,
    title: str,
    *,
    training: bool = False,
) -> Figure:
    """Accuracy over a label on a logarithmic axis, a line with its band for each group.

    Args:
        outcomes: Whose labels have `x` (numbers) and `group`.
        x: The label on the axis.
        group: The label that tells the lines apart.
        title: Of the figure.
        training: Draw the accuracy on training images as well, dashed.
    """
    groups = list(dict.fromkeys(outcome.case.labels[group] for outcome in outcomes))
    fig, axes = plt.subplots(figsize=(6.2, 3.8), layout="constrained")
    for name, colour in zip(groups, shades(len(groups)), strict=True):
        own = [o for o in outcomes if o.case.labels[group] == name]
        own = sorted(own, key=lambda o: float(o.case.labels[x]))
        place = [float(o.case.labels[x]) for o in own]
        value = np.asarray([100 * o.accuracy for o in own])
        below, above = _errors(own)
        axes.plot(place, value, "o-", ms=4, color=colour, label=f"{name}")
        axes.fill_between(
            place, value - below, value + above, color=colour, alpha=0.2, lw=0
        )
        if training:
            trained = [100 * o.training_accuracy for o in own]
            axes.plot(place, trained, "s--", ms=3, color=colour, lw=1)
    features = [o for o in outcomes if o.case.labels[group] == groups[0]]
    axes.plot(
        [float(o.case.labels[x]) for o in features],
        [100 * _baseline(o) for o in features],
        "D:", color=FEATURES, ms=4, lw=1, label="hand-made features",
    )  # fmt: skip
    axes.set_xscale("log")
    ticks = sorted({float(outcome.case.labels[x]) for outcome in outcomes})
    axes.set_xticks(ticks, [f"{tick:,.0f}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel(f"training {x} of each class")
    _percent(axes, outcomes[0].chance)
    axes.legend(frameon=False, fontsize=8)
    fig.suptitle(title, fontsize=10)
    return fig


def confusion(outcome: Outcome) -> Figure:
    """How often each source is taken for each, over all seeds."""
    names = outcome.case.split.names
    each = [scores.confusion(len(names)) for scores in outcome.validation]
    return plotting.confusion(np.sum(each, axis=0), names)


def examples(outcome: Outcome, pool: Pool) -> Figure:
    """The validation images of each source that are told best and worst."""
    names, scores = outcome.case.split.names, outcome.validation[0]
    pixels = np.concatenate(
        [p for p, _ in pool.pick(outcome.case.split)[1].batches(500)]
    )
    fig, panels = plt.subplots(
        *(2 * len(names), SHOWN),
        figsize=(SHOWN * 0.95, 2 * len(names) * 1.12),
        squeeze=False,
        layout="constrained",
    )
    for label, name in enumerate(names):
        own = np.flatnonzero(scores.labels == label)
        own = own[np.argsort(scores.losses[own], kind="stable")]
        for row, chosen, word in (
            (panels[2 * label], own[:SHOWN], "easiest"),
            (panels[2 * label + 1], own[::-1][:SHOWN], "hardest"),
        ):
            for axes in row:
                axes.set_xticks([])
                axes.set_yticks([])
                axes.spines[:].set_visible(False)
            for axes, index in zip(row, chosen, strict=False):
                axes.imshow(pixels[index])
                if word == "hardest":
                    axes.set_title(names[scores.predicted[index]], fontsize=6, pad=2)
            row[0].set_ylabel(f"{name}\n{word}", fontsize=6)
    fig.suptitle("told best and worst; above the worst, what they are taken for")
    return fig


def views(outcomes: Sequence[Outcome], pool: Pool) -> Figure:
    """An image of each source as every case shows it."""
    split = outcomes[0].case.split
    pixels, labels = next(pool.pick(split)[1].batches(len(pool.validation)))
    chosen = [int(np.flatnonzero(labels == n)[0]) for n in range(len(split.names))]
    fig, panels = plt.subplots(
        *(len(chosen), len(outcomes)),
        figsize=(0.95 * len(outcomes), 1.15 * len(chosen) + 0.3),
        squeeze=False,
        layout="constrained",
    )
    for number, (column, outcome) in enumerate(zip(panels.T, outcomes, strict=True)):
        view = shown(outcome.case.view, pool.size, pool.stored)
        seen = shown_pixels(pixels[chosen], view)
        column[0].set_title(outcome.case.view.replace("-", "\n"), fontsize=6)
        for axes, image, name in zip(column, seen, split.names, strict=True):
            axes.imshow(image[..., :3])
            axes.set_xticks([])
            axes.set_yticks([])
            if number == 0:
                axes.set_ylabel(name, fontsize=7)
    return fig


def leaks(directory: RunDirectory) -> Figure:
    """How well the sources are told apart without a network."""
    rows = directory.read_table("audit_classifiers.parquet")
    fig, axes = plt.subplots(figsize=(6.2, 3.4), layout="constrained")
    place = np.arange(len(rows["classifier"]))
    value = 100 * rows["accuracy"]
    axes.bar(place, value, 0.6, color=FEATURES)
    errors = [value - 100 * rows["low"], 100 * rows["high"] - value]
    axes.errorbar(place, value, np.maximum(errors, 0), fmt="none", color="black", lw=1)
    axes.set_xticks(place, rows["classifier"], rotation=35, ha="right")
    _percent(axes, float(rows["chance"][0]))
    fig.suptitle("sources told apart without a network", fontsize=10)
    return fig


def draw_name_that_dataset(
    outcome: Outcome, pool: Pool, directory: RunDirectory
) -> list[Path]:
    """Draw confusion, examples and the audit; returns the files."""
    wanted: dict[str, Callable[[], Figure]] = {
        "confusion": lambda: confusion(outcome),
        "examples": lambda: examples(outcome, pool),
    }
    return save_figures(wanted | _of_audit(directory), directory)


def _of_audit(directory: RunDirectory) -> dict[str, Callable[[], Figure]]:
    if not (directory.path / "audit_classifiers.parquet").exists():
        return {}
    return {"leaks": lambda: leaks(directory)}


def draw(
    make: Callable[[], Figure], name: str, directory: RunDirectory, **more: Any
) -> list[Path]:
    """Draw an experiment's own figure and that of the audit; returns the files."""
    return save_figures({name: make} | more | _of_audit(directory), directory)


def probes(
    outcomes: Sequence[Outcome],
    words: Callable[[Outcome], str],
    published: Mapping[str, float],
    title: str,
) -> Figure:
    """A bar for each case's linear probe, the published value beside it."""
    fig, axes = plt.subplots(figsize=(5.5, 3.6), layout="constrained")
    place = np.arange(len(outcomes))
    known = [published.get(outcome.case.name, np.nan) for outcome in outcomes]
    if np.isfinite(known).any():
        axes.bar(place + 0.22, known, 0.38, color=PUBLISHED, label="published")
    value, low, high = (
        np.asarray([100 * o.numbers[f"probe_{k}"] for o in outcomes])
        for k in ("accuracy", "low", "high")
    )
    axes.bar(place - 0.18, value, 0.38, color=NETWORK, label="here")
    errors = np.maximum([value - low, high - value], 0)
    axes.errorbar(place - 0.18, value, errors, fmt="none", color="black", lw=1)
    axes.set_xticks(place, [words(o) for o in outcomes], rotation=30, ha="right")
    axes.set_ylim(0, 100)
    axes.set_ylabel("accuracy of the probe (%)")
    axes.legend(frameon=False)
    fig.suptitle(title, fontsize=10)
    return fig


def draw_crossing(
    names: Sequence[str], matrix: np.ndarray, directory: RunDirectory
) -> list[Path]:
    """Draw accuracies by source of training (rows) and of the test."""

    def make() -> Figure:
        fig, axes = plt.subplots(figsize=(4.8, 4.0), layout="constrained")
        picture = axes.imshow(100 * matrix, vmin=0, vmax=100, cmap="viridis")
        fig.colorbar(picture, label="accuracy (%)")
        places = range(len(names))
        axes.set_xticks(places, names, rotation=45, ha="right")
        axes.set_yticks(places, names)
        for i, j in np.ndindex(matrix.shape):
            shade = "black" if matrix[i, j] > 0.6 else "white"
            axes.text(
                *(j, i, f"{100 * matrix[i, j]:.1f}"),
                ha="center", va="center", color=shade,
            )  # fmt: skip
        axes.set_xlabel("tested on")
        axes.set_ylabel("trained on")
        return fig

    return save_figures({"cross-dataset": make}, directory)


def with_size(outcome: Outcome) -> str:
    """A model's name and number of weights."""
    count = outcome.numbers["parameters"]
    size = f"{count / 1e6:.1f}M" if count >= 1e6 else f"{count / 1e3:.0f}K"
    return f"{outcome.case.labels['model']} ({size})"
