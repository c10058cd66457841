"""Augmentation: how much of an image two views show, and in what colours.

Networks that learn to know two views of an image as one learn what views have in common.
Here the least share of the image that a view shows is varied, and then how much colours
change, on several sets of made images (or on photographs); shape bias is asked for before
and after, on stimuli that are drawn here and on the official ones if given.

    python -m experiments.synthetic_shape_bias augmentation --transfer cifar10:DIR

quick trains 30 small networks, in some ten minutes on two cores.
"""

from jaxbias.runs import RunDirectory
from jaxbias.studies.synthetic_shape_bias.augmentation.config import (
    CROP,
    JITTER,
    PRESETS,
    USUAL,
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
    from jaxbias.studies.synthetic_shape_bias.augmentation import published
    from jaxbias.studies.synthetic_shape_bias.cases import chosen, read
    from jaxbias.studies.synthetic_shape_bias.drawing import trend_panels
    from jaxbias.studies.synthetic_shape_bias.trends import trends

    found = read(trainings(config), directory, reporter)
    if found is None or not devices.is_writer():
        return
    directory.write_table(found.rows)
    usual = {CROP: USUAL.crop_area[0], JITTER: USUAL.jitter}
    axes = {CROP: "least share that a view shows", JITTER: "change of colours"}
    by, figures = {}, {}
    for setting, words in axes.items():
        (fixed,) = usual.keys() - {setting}
        rows = chosen(found.rows, found.rows[fixed] == usual[fixed])
        by[setting] = trends(rows, rows[setting], config)
        if by[setting]:
            directory.write_table(by[setting], f"{setting}.parquet")
            figures[setting] = partial(
                trend_panels, rows, rows[setting], by[setting], axis=words
            )
    directory.write_verdicts(published.judge(published.Evidence(by)))
    with reporter.status("drawing the figures"):
        save_figures(figures, directory)
    show(directory, reporter)


def show(directory: RunDirectory, reporter: Reporter) -> None:
    """Print the networks, means over seeds, before and after."""
    from jaxbias.studies.synthetic_shape_bias.cases import show as table

    table(directory.read_table(), ("data", CROP, JITTER), reporter)
