"""Generate: images made from nothing, in the form in which others read them.

Untrained networks, dead leaves, fractals, contours, random expressions and noise: the
sets that shape bias is studied on, and any number of their like. Image i of a seed is
always the same one, whatever the number of images, and a run that is cut goes on where it
was. Images lie in the run directory's folder images/, which any experiment takes:

    python -m experiments.synthetic_shape_bias generate --data fractal --n 100000 --out DIR
    python -m experiments.train --data DIR/images

The table has a row for each image, with its class, the exponent of its power spectrum
(photographs are near -2) and the kurtosis of its differences of neighbouring pixels
(edges between flat areas make it large). A figure shows some of every class.

There is nothing published to compare with but the recipes; exponents are held against
those of an independent program. smoke takes ten seconds and quick, 1,000 images of 64
pixels, a few seconds on two cores; paper, 105,000 of 128 pixels, some ten minutes
(reckoned).
"""

from jaxbias.files import UsageError
from jaxbias.runs import RunDirectory
from jaxbias.studies.synthetic_shape_bias.generate.config import (
    PRESETS,
    Config,
    check_values,
)
from jaxbias.terminal import Reporter

__all__ = ["PRESETS", "Config", "check", "check_values", "run", "show"]


def check(config: Config) -> None:
    """Raise `UsageError`, in one line, if a run could not succeed."""
    check_values(config)
    _generator(config)


def _generator(config: Config):
    from jaxbias.data.generators import catalogue

    try:
        return catalogue.named(config.data, config.size)
    except catalogue.UnknownGeneratorError as error:
        raise UsageError(f"--data: {error}") from error
    except ValueError as error:
        raise UsageError(f"--size {config.size}: {error}") from error


def run(config: Config, directory: RunDirectory, reporter: Reporter) -> None:
    """Make, write, measure, judge and draw; goes on where an earlier run was cut."""
    from jaxbias import devices
    from jaxbias.data.generators.catalogue import GENERATORS
    from jaxbias.studies.synthetic_shape_bias.generate import (
        figures,
        making,
        published,
    )

    if not devices.is_writer():
        return
    made = _generator(config)
    known = GENERATORS[made.name]
    each = (
        "a program of its own each"
        if not config.programs
        else (f"{config.programs:,} programs ({known.program})")
    )
    reporter.say(
        f"{config.n:,} images of {config.data}, {config.size} x {config.size}, {each}; "
        f"after {known.source}"
    )
    drawn = making.Drawing(made, config)
    results = making.written(drawn, config, directory, reporter)
    directory.write_table(results)
    directory.write_verdicts(published.judge(config, results))
    with reporter.status("drawing the figure"):
        figures.draw(drawn, config, directory)
    show(directory, reporter)


def show(directory: RunDirectory, reporter: Reporter) -> None:
    """Print where the images are and what they are like."""
    import numpy as np

    columns = directory.read_table()
    rows = []
    for name, words in (
        ("slope", "exponent of the power spectrum"),
        ("kurtosis", "kurtosis of differences"),
        ("mean", "mean grey, 0 to 1"),
        ("deviation", "deviation of grey"),
    ):
        values = columns[name][np.isfinite(columns[name])]
        if len(values):
            numbers = (values.mean(), values.std(), values.min(), values.max())
            rows.append([words, *(f"{value:.3g}" for value in numbers)])
    reporter.table(["of an image", "mean", "deviation", "least", "largest"], rows)
    reporter.say(f"images: {directory.path / 'images'}")
