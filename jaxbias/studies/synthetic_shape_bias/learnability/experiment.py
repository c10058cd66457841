"""Learnability: the same images, learnt by shape or by texture.

If networks go by texture, is it because they cannot learn shape? Images of a shape and
another texture are learnt by one cue or by the other, from few of them and from many, in as
many steps, and tested on images whose cue comes from an original that was not seen. Images
are drawn here, with colours that say nothing; official cue-conflict images are learnt too
if they are given.

    python -m experiments.synthetic_shape_bias learnability --cue-conflict DIR

Published (Hermann et al. 2020): shape is learnt at least as easily as texture. smoke
takes a minute; quick makes 20 trainings of a small network, 30 with the official
images, in six minutes on two cores; paper takes the networks of Hermann et al. (2020)
and wants a GPU.
"""

from jaxbias.runs import RunDirectory
from jaxbias.studies.synthetic_shape_bias.learnability.config import (
    CUES,
    PRESETS,
    Config,
    check_values,
)
from jaxbias.terminal import Reporter

__all__ = ["PRESETS", "Config", "check", "check_values", "run", "show"]


def check(config: Config) -> None:
    """Raise `UsageError`, in one line, if a run could not succeed."""
    from jaxbias.data.cue_conflict import Stimuli
    from jaxbias.models import catalogue

    check_values(config)
    catalogue.check(*config.models, option="--models")
    if config.cue_conflict:
        Stimuli.open(config.cue_conflict)


def run(config: Config, directory: RunDirectory, reporter: Reporter) -> None:
    """Take every lesson, judge and draw; resumes what is already there."""
    from jaxbias import devices
    from jaxbias.studies.synthetic_shape_bias.learnability import (
        figures,
        lessons,
        published,
    )

    rows = lessons.learnt(config, directory, reporter)
    if rows is None or not devices.is_writer():
        return
    directory.write_table(rows)
    directory.write_verdicts(published.judge(published.Evidence(rows)))
    with reporter.status("drawing the figure"):
        figures.draw(rows, directory)
    show(directory, reporter)


def show(directory: RunDirectory, reporter: Reporter) -> None:
    """Print accuracies by shape and by texture, means over seeds."""
    columns = directory.read_table()
    labels = ("stimuli", "model", "share")
    keys = list(zip(*(columns[label].tolist() for label in labels), strict=True))
    rows = []
    for key in dict.fromkeys(keys):
        cells = []
        for cue in CUES:
            own = [
                k == key and c == cue for k, c in zip(keys, columns["cue"], strict=True)
            ]
            found = columns["accuracy"][own]
            cells.append(f"{found.mean():.1%}" if len(found) else "")
        rows.append([key[0], key[1], f"{key[2]:g}", *cells])
    reporter.table([*labels, *CUES], rows)
