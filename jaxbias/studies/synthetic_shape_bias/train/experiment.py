"""Train: a network learns from made images, and its shape bias is watched.

Images come from a generator (untrained networks, dead leaves, fractals, programs, noise),
made on the device; the network learns to name their programs, to know two views of an image
as one, to fill in masked patches, or to tell which program's parameters go with an image.
Before the first step and at steps evenly apart in their logarithm its frozen features are
asked: whether cue-conflict images are nearest to images of their shape or of their texture
(with the interval over source images, beside what the untrained network reads), how well
either cue can be decoded linearly, how well another set's labels can, and what of that is
left when patches are shuffled, how far apart images are, and how much they move with colour
and mirroring.

    python -m experiments.synthetic_shape_bias train --data fractal --supervision simclr
    python -m experiments.synthetic_shape_bias train --data cifar10:DIR --cue-conflict DIR

Published: features learned from made images transfer better than untrained ones; shape
bias differs with what is trained on and for; shape can be decoded where shape bias is
low. smoke takes a minute and a half; quick, a network of four layers on 4,096 images of
32 pixels, some five minutes on two cores; paper has the sizes of the authors' code and
wants a GPU. --mode released trains as their code does: Adam of one rate whose moments
are forgotten with every epoch, batches of 64, no projection, stimuli of 32 pixels.
"""

from jaxbias.files import UsageError
from jaxbias.runs import RunDirectory
from jaxbias.studies.synthetic_shape_bias.train.config import (
    PRESETS,
    PRESETS_BY,
    Config,
    check_values,
)
from jaxbias.terminal import Reporter

__all__ = ["PRESETS", "PRESETS_BY", "Config", "check", "check_values", "run", "show"]

OWN = 512
"""Training images whose distances are taken."""


def check(config: Config) -> None:
    """Raise `UsageError`, in one line, if a run could not succeed."""
    from jaxbias.data.cue_conflict import Stimuli
    from jaxbias.models import catalogue, mae
    from jaxbias.studies.synthetic_shape_bias.train import images

    check_values(config)
    if config.supervision == "mae":
        if config.model not in mae.MODELS:
            raise UsageError(f"--model: one of {', '.join(mae.MODELS)}")
    else:
        catalogue.check(config.model)
    if ":" not in config.data:
        images.generator(config)
    if config.cue_conflict:
        Stimuli.open(config.cue_conflict)
    for folder in filter(None, (config.edges, config.silhouettes)):
        Stimuli.open(folder, conflict=False)
    images.transfer(config)


def run(config: Config, directory: RunDirectory, reporter: Reporter) -> None:
    """Make, train, look, judge and draw; goes on where an earlier run was cut."""
    from jaxbias import devices, tables
    from jaxbias.studies.synthetic_shape_bias.train import (
        figures,
        following,
        images,
        published,
        readouts,
    )

    with reporter.status("making images"):
        found = images.opened(config)
    total = following.total_steps(config, found)
    _say_what(config, len(found.training), total, reporter)
    with reporter.status("drawing the stimuli"):
        look = readouts.Readouts(
            readouts.shown(config),
            images.transfer(config),
            found.training.sample(OWN),
            config,
            single=readouts.of_one_cue(config),
        )
    fitted = following.followed(config, found, look, directory, reporter)
    if not devices.is_writer():
        return
    directory.write_table(tables.columns_of(readouts.rows_of(fitted.looks)))
    directory.write_verdicts(published.judge(config, directory.read_table()))
    directory.update_manifest(parameters=fitted.parameters, steps=total)
    with reporter.status("drawing the figures"):
        figures.draw(config, look, directory)
    show(directory, reporter)


def _say_what(config: Config, count: int, steps: int, reporter: Reporter) -> None:
    made = ""
    if ":" not in config.data:
        own = "one each" if config.programs is None else f"{config.programs:,}"
        made = f", programs: {own}{', made anew each epoch' if config.endless else ''}"
    reporter.say(
        f"{config.model} on {count:,} images of {config.data}, {config.size} x "
        f"{config.size}{made}; {config.supervision}, {steps:,} steps of {config.batch}"
    )
    if config.transfer == "shapes":
        reporter.say(
            "no --transfer: features are asked about shapes that are drawn here"
        )


def show(directory: RunDirectory, reporter: Reporter) -> None:
    """Print the looks, means over seeds."""
    import numpy as np

    columns = directory.read_table()
    names = {
        "bias, on a colour": "solid_bias",
        "on a texture": "textured_bias",
        "official": "official_bias",
        "above chance": "official_apart_bias",
        "shape decoded": "solid_shape_decoded",
        "texture decoded": "solid_texture_decoded",
        "transfer": "transfer",
        "shuffled": "jigsaw_quarter",
        "spread": "spread",
    }
    names = {words: name for words, name in names.items() if name in columns}
    rows = []
    for step in np.unique(columns["step"]):
        own = columns["step"] == step
        cells = (float(np.mean(columns[name][own])) for name in names.values())
        rows.append([f"{step:,}", *(f"{value:.3f}" for value in cells)])
    reporter.table(["step", *names], rows)
