"""Metric calibration: what measures of shape bias read on features that nobody trained.

The study's shape bias of networks trained on made images is that of nearest neighbours
among features (leave one out, cosines, k = 1 to 5): is an image found among images of its
shape, or of its texture? Before a trained network's number means anything, one must know
what pixels, colours, gradients and untrained networks read. They read anything from 0.1 to
1, since most neighbours of an official image are siblings made from the same photograph or
the same style: so the measure is shown as published, without siblings, and with what chance
gives taken off. Stimuli that are drawn here have no siblings and colours that say nothing.

    python -m experiments.synthetic_shape_bias
    python -m experiments.synthetic_shape_bias metric-calibration --cue-conflict DIR

Published is the measure, and nothing that it reads on such features: verdicts compare
with an independent program. smoke takes three quarters of a minute and quick two
minutes on two cores with the official images; paper some ten minutes (reckoned).
"""

from jaxbias.files import UsageError
from jaxbias.runs import RunDirectory
from jaxbias.studies.synthetic_shape_bias.calibration.config import (
    PRESETS,
    Config,
    check_values,
)
from jaxbias.terminal import Reporter

__all__ = ["PRESETS", "Config", "check", "check_values", "run", "show"]


def check(config: Config) -> None:
    """Raise `UsageError`, in one line, if a run could not succeed."""
    from jaxbias.data.cue_conflict import Stimuli

    check_values(config)
    if config.cue_conflict:
        stimuli = Stimuli.open(config.cue_conflict)
        if not (stimuli.shapes != stimuli.textures).any():
            raise UsageError(f"{config.cue_conflict}: no image whose cues differ")


def run(config: Config, directory: RunDirectory, reporter: Reporter) -> None:
    """Read every feature on every set, judge and draw."""
    from jaxbias import devices
    from jaxbias.studies.synthetic_shape_bias.calibration import (
        evidence,
        figures,
        published,
        stimuli,
    )

    if not devices.is_writer():
        return
    found = evidence.gathered(stimuli.sets(config), config, reporter)
    directory.write_table(found.results)
    directory.write_verdicts(published.judge(found))
    with reporter.status("drawing the figures"):
        figures.draw(found, config, directory)
    show(directory, reporter)


def show(directory: RunDirectory, reporter: Reporter) -> None:
    """Print the readings, means over untrained networks."""
    import numpy as np

    columns = directory.read_table()
    rows = []
    for stimuli in dict.fromkeys(columns["stimuli"].tolist()):
        for feature in dict.fromkeys(columns["feature"].tolist()):
            own = (columns["stimuli"] == stimuli) & (columns["feature"] == feature)
            if not own.any():
                continue
            plain = own & (columns["excluded"] == "none")
            apart = own & (columns["excluded"] == "either")
            cells = [np.mean(columns[n][plain]) for n in ("shape", "texture")]
            cells.append(np.mean(columns["shape_bias"][plain]))
            cells += [
                np.mean(columns[name][apart]) if apart.any() else np.nan
                for name in ("shape", "texture", "above_chance")
            ]
            words = ("" if np.isnan(value) else f"{value:.3f}" for value in cells)
            rows.append([f"{stimuli}: {feature}", *words])
    headings = ["stimuli: feature", "shape", "texture", "shape bias"]
    reporter.table(
        [*headings, "shape, no siblings", "texture", "bias above chance"], rows
    )
