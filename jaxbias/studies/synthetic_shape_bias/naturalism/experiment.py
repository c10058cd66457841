"""Naturalism: sets of as many programs, with more or fewer statistics of photographs.

Made images can have the spectrum of photographs, their colours, the marginals of their
wavelets, things that hide each other, sizes of things in the right proportions. A network
learns from each of such sets, of as many programs and images, and is asked for shape bias
and for transfer. Transfer is held against what is published for the same sets; shape bias
against what alone was changed: the exponent of a spectrum, the law of sizes, the opacity of
what hides other things, the share of white noise.

    python -m experiments.synthetic_shape_bias naturalism --transfer cifar10:DIR

How natural is told by the distance to the transfer images: give photographs, as drawn
shapes say nothing of it.

Published: sets with more of photographs' statistics transfer better (30.8 to 43.5 %),
and shape bias is entangled with how natural images are. smoke takes three quarters of a
minute; quick trains 29 small networks, in a quarter of an hour on two cores; paper, of
94,500 images a set, wants a GPU.
"""

from jaxbias.runs import RunDirectory
from jaxbias.studies.synthetic_shape_bias.naturalism.config import (
    PRESETS,
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
    """Train, measure, judge and draw; resumes what is already there."""
    from jaxbias import devices
    from jaxbias.studies.synthetic_shape_bias import measures
    from jaxbias.studies.synthetic_shape_bias.cases import read
    from jaxbias.studies.synthetic_shape_bias.naturalism import figures, published

    found = read(trainings(config), directory, reporter)
    if found is None or not devices.is_writer():
        return
    sets = measures.written(found, config, directory, reporter)
    evidence = published.Evidence(found.rows, sets, config)
    directory.write_verdicts(published.judge(evidence))
    with reporter.status("drawing the figures"):
        figures.draw(found, evidence, directory)
    show(directory, reporter)


def show(directory: RunDirectory, reporter: Reporter) -> None:
    """Print the networks, means over seeds, before and after."""
    from jaxbias.studies.synthetic_shape_bias.cases import show as table

    table(directory.read_table(), ("data",), reporter)
