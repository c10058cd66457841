"""Curves of a training, and the classes that are taken for one another."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from jaxbias import plotting
from jaxbias.plotting import save_figures, shades
from jaxbias.runs import RunDirectory, read_metrics
from jaxbias.studies.train.config import Config

SMOOTHED = 50
"""Parts of the training whose means are drawn, of the noisy metrics of single steps."""


def _means(step: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means over consecutive stretches of steps."""
    cuts = np.array_split(np.arange(len(step)), min(SMOOTHED, len(step)))
    return tuple(np.asarray([x[cut].mean() for cut in cuts]) for x in (step, values))  # type: ignore[return-value]


def curves(config: Config, directory: RunDirectory) -> Figure:
    """Loss and accuracy over the steps, of training batches and of the validation set."""
    rows = read_metrics(directory.path / "metrics.jsonl")
    fig, panels = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    for seed, colour in zip(config.seeds, shades(len(config.seeds)), strict=True):
        for panel, name in zip(panels, ("loss", "accuracy"), strict=True):
            for kind, style in (("train", "-"), ("validation", "o--")):
                own = [r for r in rows if r["seed"] == seed and r["kind"] == kind]
                own = [r for r in own if r[name] is not None]
                step = np.asarray([r["step"] for r in own], float)
                values = np.asarray([r[name] for r in own], float)
                if kind == "train" and len(own):
                    step, values = _means(step, values)
                label = f"{kind}, seed {seed}" if len(config.seeds) <= 3 else None
                if len(config.seeds) == 1:
                    label = "training batches" if kind == "train" else "validation"
                panel.plot(step, values, style, ms=4, color=colour, label=label)
            panel.set_xlabel("step")
            panel.set_ylabel("cross-entropy (nats)" if name == "loss" else "accuracy")
    panels[1].set_ylim(0, 1)
    if len(config.seeds) <= 3:
        panels[0].legend(frameon=False)
    fig.suptitle(f"{config.model} on {config.data}", fontsize=10)
    return fig


def confusion(directory: RunDirectory) -> Figure:
    """How often each class is taken for each, over all seeds."""
    rows = directory.read_table("predictions.parquet")
    names = directory.manifest["classes"]
    counts = np.zeros((len(names), len(names)))
    np.add.at(counts, (rows["label"], rows["predicted"]), 1)
    return plotting.confusion(counts, names)


def draw(config: Config, directory: RunDirectory) -> list[Path]:
    """Draw the figures; returns the files."""
    wanted = {
        "curves": lambda: curves(config, directory),
        "confusion": lambda: confusion(directory),
    }
    return save_figures(wanted, directory)
