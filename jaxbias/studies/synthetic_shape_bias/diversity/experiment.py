"""Diversity: the same number of images from few programs, or from many.

How various a set of made images is can be set: by how many programs (networks, fractals,
expressions) share its images out, and by how many different images there are. All else
alike, networks learn from such sets and are asked for shape bias, on stimuli that are drawn
here and on the official ones if given, and for what a linear classifier makes of their
features. Beside it stand scores of diversity on five features, which disagree.

    python -m experiments.synthetic_shape_bias diversity --transfer cifar10:DIR

Published: transfer rises with the logarithm of the number of programs (Baradad et al.
2022), and shape bias tells how various images are (the study). smoke takes a minute;
quick trains 42 small networks on sets of six generators, in a quarter of an hour on two
cores; paper, of 94,500 images a set, wants a GPU.
"""

from jaxbias.runs import RunDirectory
from jaxbias.studies.synthetic_shape_bias.diversity.config import (
    PRESETS,
    Config,
    check_values,
    trainings,
)
from jaxbias.terminal import Reporter

__all__ = ["PRESETS", "Config", "check", "check_values", "run", "show"]

LABELS = ("data", "programs", "count", "supervision")


def check(config: Config) -> None:
    """Raise `UsageError`, in one line, if a run could not succeed."""
    from jaxbias.studies.synthetic_shape_bias.cases import check_all

    check_values(config)
    check_all(trainings(config))


def run(config: Config, directory: RunDirectory, reporter: Reporter) -> None:
    """Train, measure, judge and draw; resumes what is already there."""
    from jaxbias import devices
    from jaxbias.studies.synthetic_shape_bias import measures
    from jaxbias.studies.synthetic_shape_bias.cases import chosen, read
    from jaxbias.studies.synthetic_shape_bias.diversity import figures, published
    from jaxbias.studies.synthetic_shape_bias.trends import doublings, trends

    found = read(trainings(config), directory, reporter)
    if found is None or not devices.is_writer():
        return
    sets = measures.written(found, config, directory, reporter)

    def over_programs(rows):
        return trends(rows, doublings(rows), config)

    by = {"all": over_programs(found.rows)}
    for supervision in config.supervisions:
        own = found.rows["supervision"] == supervision
        by[supervision] = over_programs(chosen(found.rows, own))
    directory.write_table(by["all"], "trends.parquet")
    evidence = published.Evidence(found.rows, sets, by)
    directory.write_verdicts(published.judge(evidence))
    with reporter.status("drawing the figures"):
        figures.draw(found, evidence, directory)
    show(directory, reporter)


def show(directory: RunDirectory, reporter: Reporter) -> None:
    """Print the networks, means over seeds, before and after."""
    from jaxbias.studies.synthetic_shape_bias.cases import show as table

    table(directory.read_table(), LABELS, reporter)
