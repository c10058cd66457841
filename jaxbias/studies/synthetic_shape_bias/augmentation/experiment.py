"""Augmentation: how much of an image two views show, in what colours, and how sharply.

Networks that learn to know two views of an image as one learn what views have in common.
Here the least share of the image that a view shows is varied, then how much colours change,
and then whether views are blurred, or smoothed but for their edges, on several sets of made
images (or on photographs); shape bias is asked for before and after, on stimuli that are
drawn here and on the official ones if given.

    python -m experiments.synthetic_shape_bias augmentation --transfer cifar10:DIR

Published of photographs (Hermann et al. 2020): views that show more of an image, other
colours and blur make for more shape bias. smoke takes a minute; quick trains 42 small
networks, in under twenty minutes on two cores; paper, of 94,500 images a set, wants a
GPU.
"""

from jaxbias.runs import RunDirectory
from jaxbias.studies.synthetic_shape_bias.augmentation.config import (
    CROP,
    JITTER,
    PRESETS,
    SMOOTHING,
    Config,
    check_values,
    trainings,
)
from jaxbias.terminal import Reporter

__all__ = ["PRESETS", "Config", "check", "check_values", "run", "show"]


def check(config: Config) -> None:
    """Raise `UsageError`, in one line, if a run could not succeed."""
    from jaxbias.studies.synthetic_shape_bias.cases import check_all

    check_values(config)
    check_all(trainings(config))


def run(config: Config, directory: RunDirectory, reporter: Reporter) -> None:
    """Train, judge and draw; resumes what is already there."""
    from functools import partial

    from jaxbias import devices
    from jaxbias.plotting import save_figures
    from jaxbias.studies.synthetic_shape_bias.augmentation import analysis, published
    from jaxbias.studies.synthetic_shape_bias.cases import read
    from jaxbias.studies.synthetic_shape_bias.drawing import trend_panels
    from jaxbias.studies.synthetic_shape_bias.trends import trends

    found = read(trainings(config), directory, reporter)
    if found is None or not devices.is_writer():
        return
    directory.write_table(found.rows)
    axes = {
        CROP: "least share that a view shows",
        JITTER: "change of colours",
        "blur": "0: sharp, 1: blurred",
        "bilateral": "0: sharp, 1: smooth but for edges",
    }
    by, figures = {}, {}
    for setting, words in axes.items():
        rows, position = analysis.along(found.rows, setting)
        by[setting] = trends(rows, position, config)
        if by[setting]:
            directory.write_table(by[setting], f"{setting}.parquet")
            figures[setting] = partial(
                trend_panels, rows, position, by[setting], axis=words
            )
    directory.write_verdicts(published.judge(published.Evidence(by)))
    with reporter.status("drawing the figures"):
        save_figures(figures, directory)
    show(directory, reporter)


def show(directory: RunDirectory, reporter: Reporter) -> None:
    """Print the networks, means over seeds, before and after."""
    from jaxbias.studies.synthetic_shape_bias.cases import show as table

    table(directory.read_table(), ("data", CROP, JITTER, SMOOTHING), reporter)
