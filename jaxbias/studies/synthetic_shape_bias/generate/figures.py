"""A sheet of images of a generated set: some of every class."""

from functools import partial

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from jaxbias.plotting import save_figures
from jaxbias.runs import RunDirectory
from jaxbias.studies.synthetic_shape_bias.generate.config import Config
from jaxbias.studies.synthetic_shape_bias.generate.making import Drawing

ROWS, COLUMNS = 6, 10


def draw(drawn: Drawing, config: Config, directory: RunDirectory) -> None:
    """Write the sheet."""
    save_figures({"sheet": partial(sheet, drawn, config)}, directory)


def sheet(drawn: Drawing, config: Config) -> Figure:
    """Some images: where programs are few enough, a column is one of them."""
    columns = COLUMNS if config.programs is None else min(config.programs, COLUMNS)
    step = columns if config.programs is None else config.programs
    numbers = step * np.arange(ROWS)[:, None] + np.arange(columns)
    numbers = (
        np.arange(ROWS * columns) if numbers.max() >= config.n else numbers.ravel()
    )
    numbers = numbers[numbers < config.n]
    pixels, _ = drawn(numbers)
    rows = -(-len(pixels) // columns)
    fig, axes = plt.subplots(
        *(rows, columns),
        figsize=(0.95 * columns, 0.95 * rows + 0.4),
        squeeze=False,
        layout="constrained",
    )
    for one in axes.flat:
        one.axis("off")
    for one, image in zip(axes.flat, pixels, strict=False):
        one.imshow(image, interpolation="nearest")
    by_program = config.programs is not None and step * (ROWS - 1) + columns <= config.n
    fig.suptitle(
        f"{config.data}, {config.size} x {config.size}"
        + (": a column is one program" if by_program else "")
    )
    return fig
