"""Figures: what each feature reads, and the stimuli that it reads it on."""

from functools import partial

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from jaxbias.plotting import save_figures
from jaxbias.runs import RunDirectory
from jaxbias.studies.synthetic_shape_bias.calibration import stimuli
from jaxbias.studies.synthetic_shape_bias.calibration.config import Config
from jaxbias.studies.synthetic_shape_bias.calibration.evidence import (
    NOISE,
    PLAIN,
    RANDOM,
    Evidence,
)
from jaxbias.studies.synthetic_shape_bias.calibration.published import TABLE

NAMES = {
    NOISE: "noise",
    "pixels": "pixels, 32 px",
    "pixels-64": "pixels, 64 px",
    "grey-pixels": "grey pixels, 32 px",
    "thumbnail": "grey thumbnail, 8 px",
    "mean-colour": "mean colour",
    "colour-histogram": "colour histogram",
    "hog-1": "gradients, 1 cell",
    "hog-2": "gradients, 2 x 2",
    "hog-4": "gradients, 4 x 4",
    "hog-8": "gradients, 8 x 8",
    "power-spectrum": "power spectrum",
    "random-map": "untrained network, map",
    "random-pooled": "untrained, pooled",
    "random-pooled-64": "untrained, pooled, 64 px",
}
ORDER = (NOISE, *PLAIN, *RANDOM)

TITLES = {
    stimuli.OFFICIAL: "official images",
    "solid": "drawn, on a colour",
    "textured": "drawn, on a texture",
    "navon": "letters of letters",
}

PLAIN_COLOUR, APART_COLOUR, KNOWN_COLOUR = "#1f4e79", "#c8702a", "#666666"

ROWS, COLUMNS = 4, 8


def draw(evidence: Evidence, config: Config, directory: RunDirectory) -> None:
    """Write both figures."""
    save_figures(
        {
            "readings": partial(readings, evidence),
            "stimuli": partial(examples, config),
        },
        directory,
    )


def readings(evidence: Evidence) -> Figure:
    """Shape bias of every feature; a panel for each set."""
    sets = list(dict.fromkeys(evidence.results["stimuli"].tolist()))
    fig, axes = plt.subplots(
        *(1, len(sets)),
        figsize=(1.9 + 2.5 * len(sets), 4.6),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for one, name in zip(axes[0], sets, strict=True):
        _panel(one, evidence, name)
    axes[0, 0].set_yticks(range(len(ORDER)), [NAMES[feature] for feature in ORDER])
    axes[0, 0].invert_yaxis()
    handles, labels = axes[0, 0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    fig.suptitle("Shape bias of features that nobody trained, by nearest neighbours")
    return fig


def _panel(axes, evidence: Evidence, name: str) -> None:
    first = True
    for place, feature in enumerate(ORDER):
        if (rows := evidence.at(name, feature)) is None:
            continue
        label = lambda text: text if first else None  # noqa: E731, B023
        for low, high in zip(rows["low"], rows["high"], strict=True):
            axes.plot([low, high], [place] * 2, color=PLAIN_COLOUR, alpha=0.4, lw=2)
        axes.plot(
            *(rows["shape_bias"], [place] * len(rows["low"]), "o"),
            color=PLAIN_COLOUR,
            ms=5,
            label=label("as published, with its 95 % interval"),
        )
        if (apart := evidence.at(name, feature, "either")) is not None:
            axes.plot(
                *(apart["above_chance"], [place + 0.25] * len(apart["low"]), "D"),
                color=APART_COLOUR,
                ms=4,
                label=label("without siblings, above chance"),
            )
        if name == stimuli.OFFICIAL and feature in TABLE:
            axes.plot(
                *(TABLE[feature][2], place - 0.25, "|"),
                color=KNOWN_COLOUR,
                ms=9,
                mew=2,
                label="an independent program" if feature == "pixels" else None,
            )
        first = False
    axes.axvline(0.5, color="0.8", lw=1, zorder=0)
    axes.set_xlim(-0.03, 1.03)
    axes.set_title(TITLES[name])
    axes.set_xlabel("texture        shape bias        shape")


def examples(config: Config) -> Figure:
    """Some images of each set."""
    found = list(stimuli.sets(config))
    fig, axes = plt.subplots(
        *(ROWS * len(found), COLUMNS),
        figsize=(0.95 * COLUMNS, 0.98 * ROWS * len(found)),
        squeeze=False,
        layout="constrained",
    )
    for number, one in enumerate(found):
        chosen = np.random.default_rng(0).permutation(len(one.images))
        part = axes[number * ROWS : (number + 1) * ROWS]
        for place, axis in zip(chosen, part.flat, strict=False):
            axis.imshow(one.images[place], interpolation="nearest")
        part[0, 0].set_title(TITLES[one.name], loc="left")
    for axis in axes.flat:
        axis.axis("off")
    return fig
