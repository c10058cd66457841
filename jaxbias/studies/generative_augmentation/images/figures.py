"""Figures of the images experiment: gains, accuracies and gaps by amount, classes."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxbias.numerics.bootstrap import interval
from jaxbias.plotting import save_figures, shades
from jaxbias.runs import RunDirectory
from jaxbias.studies.generative_augmentation.generator.figures import sheet
from jaxbias.studies.generative_augmentation.images.config import Config
from jaxbias.studies.generative_augmentation.images.quality import Shown
from jaxbias.studies.generative_augmentation.images.results import none, usual
from jaxbias.sweeps import Columns

WORDS = {"none": "without augmentation", "base": "with standard augmentation"}

SETTINGS = ("weight", "real_share", "keep")
"""What may be asked for several times, beside amounts."""

RESAMPLES = 500
"""Of seeds, for the bands of means."""


def draw(config: Config, shown: Shown, directory: RunDirectory) -> None:
    """Write all figures."""
    table = directory.read_table()
    gains, classes = (
        directory.read_table(f"{name}.parquet") for name in ("gains", "classes")
    )
    wanted: dict[str, Callable[[], Figure]] = {
        "gains": partial(gain_curves, gains, config),
        "accuracies": partial(curves, table, config, ACCURACIES),
        "gaps": partial(curves, table, config, GAPS),
        "classes": partial(class_gains, classes, config),
    }
    for name, images in shown.images.items():
        wanted[f"images_{name}"] = partial(sheet, images, shown.classes, name)
    save_figures(wanted, directory)


def _lines(table: Columns, own: np.ndarray) -> Iterator[tuple[str, str, np.ndarray]]:
    """Rows of each generator under each setting: generator, words, and places."""
    settings = np.stack([table[name] for name in SETTINGS], axis=1)
    varied = [len(np.unique(table[name][own & ~none(table)])) > 1 for name in SETTINGS]
    for generator in dict.fromkeys(table["generator"][own].tolist()):
        if not generator:
            continue
        of_it = own & (table["generator"] == generator)
        for setting in np.unique(settings[of_it], axis=0):
            words = [
                f"{name.replace('_', ' ')} {value:g}"
                for name, value, several in zip(SETTINGS, setting, varied, strict=True)
                if several
            ]
            rows = np.flatnonzero(of_it & (settings == setting).all(1))
            order = np.argsort(table["amount"][rows], kind="stable")
            yield generator, ", ".join([generator, *words]), rows[order]


STYLES = ("-", "--", ":", "-.")


def _styled(
    table: Columns, own: np.ndarray
) -> Iterator[tuple[str, np.ndarray, dict[str, Any]]]:
    """As `_lines`, with a colour for each generator and a dash for each setting."""
    names = [name for name in dict.fromkeys(table["generator"].tolist()) if name]
    colours = dict(zip(names, shades(len(names)), strict=True))
    seen: dict[str, int] = {}
    for generator, words, rows in _lines(table, own):
        number = seen[generator] = seen.get(generator, -1) + 1
        style = STYLES[number % len(STYLES)]
        yield words, rows, {"color": colours[generator], "ls": style}


def _short(amount: int) -> str:
    for unit, word in ((1_000_000, "M"), (1_000, "k")):
        if amount >= unit and amount % unit == 0:
            return f"{amount // unit}{word}"
    return str(amount)


def _amount_axis(axes: Axes, amounts: np.ndarray) -> None:
    axes.set_xticks(range(len(amounts)), [_short(int(one)) for one in amounts])
    axes.set_xlabel("generated images that are added")


def _panels(config: Config, rows: int) -> tuple[Figure, np.ndarray]:
    columns = len(config.augmentations)
    return plt.subplots(
        *(rows, columns),
        figsize=(4.4 * columns + 0.6, 2.9 * rows + 0.3),
        squeeze=False,
        layout="constrained",
        sharey="row",
    )


def gain_curves(gains: Columns, config: Config) -> Figure:
    """Points of test accuracy that generated images add, with 95 % bands."""
    figure, panels = _panels(config, 1)
    amounts = np.unique(np.append(gains["amount"], 0))
    for axes, augmentation in zip(panels[0], config.augmentations, strict=True):
        own = (gains["augmentation"] == augmentation) & ~gains["alone"]
        axes.axhline(0, color="0.4", lw=0.8)
        for words, rows, style in _styled(gains, own):
            x = np.append(0, np.searchsorted(amounts, gains["amount"][rows]))
            gain, low, high = (
                np.append(0.0, 100 * gains[name][rows])
                for name in ("gain", "low", "high")
            )
            axes.plot(x, gain, marker="o", ms=3, lw=1.4, label=words, **style)
            axes.fill_between(x, low, high, color=style["color"], alpha=0.15, lw=0)
        _amount_axis(axes, amounts)
        axes.set_title(WORDS[augmentation], fontsize=9)
    panels[0, 0].set_ylabel("gain in test accuracy, points")
    panels[0, 0].legend(frameon=False, fontsize=7)
    figure.suptitle(
        f"{config.n_seeds} paired seeds; bands: 95 % over seeds and test images",
        fontsize=8,
    )
    return figure


ACCURACIES = {
    "test_accuracy": "test accuracy",
    "train_accuracy": "training accuracy",
    "worst_class": "accuracy of the worst class",
}
GAPS = {
    "gap_accuracy": "gap in accuracy",
    "gap_loss": "gap in loss",
    "calibration": "calibration error of the test set",
}


def curves(table: Columns, config: Config, names: dict[str, str]) -> Figure:
    """Measures over the amount: means over seeds with 95 % bands, and each seed."""
    figure, panels = _panels(config, len(names))
    amounts = np.unique(table["amount"])
    for column, augmentation in enumerate(config.augmentations):
        own = (table["augmentation"] == augmentation) & ~table["alone"]
        bare = own & none(table)
        for row, (name, words) in enumerate(names.items()):
            axes = panels[row, column]
            for label, rows, style in _styled(table, own):
                both = np.concatenate([np.flatnonzero(bare), rows])
                _curve(axes, table, both, name, amounts, label, style)
            _amount_axis(axes, amounts)
            if not column:
                axes.set_ylabel(words)
        panels[0, column].set_title(WORDS[augmentation], fontsize=9)
    panels[0, 0].legend(frameon=False, fontsize=7)
    return figure


def _curve(
    axes: Axes,
    table: Columns,
    rows: np.ndarray,
    name: str,
    amounts: np.ndarray,
    label: str,
    style: dict[str, Any],
) -> None:
    """One line of `curves`."""
    x = np.searchsorted(amounts, table["amount"][rows])
    y = table[name][rows]
    places = np.unique(x)
    each = [y[x == place] for place in places]
    random = np.random.default_rng(0)
    means = [values.mean() for values in each]
    axes.plot(places, means, lw=1.4, label=label, **style)
    axes.plot(x, y, ".", ms=2.5, alpha=0.5, color=style["color"])
    if min(map(len, each)) > 1:
        bands = [
            interval(
                values[random.integers(0, len(values), (RESAMPLES, len(values)))].mean(
                    1
                )
            )
            for values in each
        ]
        low, high = (
            np.where(np.isnan(ends), means, ends) for ends in np.asarray(bands).T
        )
        axes.fill_between(places, low, high, color=style["color"], alpha=0.15, lw=0)


def class_gains(classes: Columns, config: Config) -> Figure:
    """Points that the largest amount adds to the accuracy of each class."""
    names = list(dict.fromkeys(classes["class"].tolist()))
    plain = usual(classes, config) & ~classes["alone"] & ~none(classes)
    most = plain & (classes["amount"] == classes["amount"].max())
    labels, values = [], []
    for augmentation in config.augmentations:
        own = classes["augmentation"] == augmentation
        bare = classes["test_accuracy"][own & none(classes)]
        for generator in dict.fromkeys(classes["generator"][most].tolist()):
            of_it = classes["test_accuracy"][
                most & own & (classes["generator"] == generator)
            ]
            labels.append(f"{generator}, {WORDS[augmentation]}")
            values.append(100 * (of_it - bare))
    grid = np.asarray(values)
    figure, axes = plt.subplots(
        figsize=(0.62 * len(names) + 3.4, 0.42 * len(labels) + 1.5),
        layout="constrained",
    )
    limit = float(np.abs(grid).max()) or 1.0
    image = axes.imshow(grid, cmap="RdBu", vmin=-limit, vmax=limit, aspect="auto")
    for (i, j), value in np.ndenumerate(grid):
        colour = "white" if abs(value) > 0.6 * limit else "black"
        axes.text(
            j, i, f"{value:+.1f}", ha="center", va="center", fontsize=7, color=colour
        )
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right", fontsize=8)
    axes.set_yticks(range(len(labels)), labels, fontsize=8)
    figure.colorbar(image, ax=axes, label="points")
    axes.set_title(
        f"gain of each class, {_short(int(classes['amount'].max()))} images", fontsize=9
    )
    return figure
