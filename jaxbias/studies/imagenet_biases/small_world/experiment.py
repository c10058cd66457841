"""Small world: the whole study on CIFAR-10, with networks that are trained here.

Residual networks of the paper's seven categories (the baseline, other recipes,
augmentations, training on stylised images, adversarial training at several radii,
contrastive training, frozen random filters) are trained on small images and shown
everything that the paper shows to 48 ResNet-50s: conflicts of cues, low and high
frequencies, noise by octave, corruptions, an attack, and other images of the same classes.
Their biases are then correlated with how they generalise, as in the paper.

It is an analogue: other images, other networks, other sets in place of ImageNet-A, -R and
Sketch, made of the validation images. Directions may carry over, numbers do not. Where
accuracy is held against that on clean images, what guessing gives is left out of both: of
ten classes it is no trifle, as of a thousand. A figure, stimuli, shows what each set looks
like. Without --data the images are shapes that are drawn here, and nothing is judged.

Published of ImageNet: training on stylised images and adversarial training make for
more shape bias, and no single bias explains generalisation. smoke takes half a minute
on two cores; quick trains 17 networks, in 12 minutes on CIFAR-10; paper, 48 networks of
ResNet-18 with three seeds, is some 750 million passes forward and back, 2.5e18
operations: about 7 hours of a GPU that does 1e14 a second of these (estimated; none was
at hand).
"""

from jaxbias.files import UsageError
from jaxbias.runs import RunDirectory
from jaxbias.studies.imagenet_biases.small_world.config import (
    PRESETS,
    Config,
    check_values,
)
from jaxbias.studies.imagenet_biases.small_world.zoo import ZOO, in_order
from jaxbias.terminal import Reporter

__all__ = ["PRESETS", "Config", "check", "check_values", "run", "show"]


def check(config: Config) -> None:
    """Raise `UsageError`, in one line, if a run could not succeed."""
    from jaxbias.data import transforms
    from jaxbias.models import catalogue
    from jaxbias.studies.imagenet_biases.small_world import evidence, stimuli

    check_values(config)
    catalogue.check(config.model)
    for name in config.networks:
        try:
            transforms.transform(ZOO[name].change or "none", config.size)
        except ValueError as error:
            raise UsageError(f"--size {config.size}: {name}: {error}") from error
    training, _ = stimuli.opened(config)
    if len(training) < config.batch:
        raise UsageError(
            f"--batch: {config.batch}, but there are {len(training)} training images"
        )
    evidence.official_sets(config, len(training.source.classes))


def run(config: Config, directory: RunDirectory, reporter: Reporter) -> None:
    """Train, measure, correlate, judge and draw; resumes what is already there."""
    from jaxbias import devices
    from jaxbias.data.archives import SourceError
    from jaxbias.studies.imagenet_biases.small_world import (
        evidence,
        figures,
        published,
        stimuli,
        training,
    )
    from jaxbias.training.checkpoints import CheckpointError

    with reporter.status(f"reading {config.data}"):
        first, second = stimuli.opened(config)
    classes = first.source.classes
    _say_what(config, len(first), len(second), len(classes), reporter)
    sets = stimuli.training_sets(first, second, config)
    weights = {}
    names = (training.REFERENCE, *in_order(config.networks))
    for number, name in enumerate(names, 1):
        reporter.say(f"{number} of {len(names)}: {name}")
        try:
            weights[name] = training.trained(name, sets, config, directory, reporter)
        except (SourceError, CheckpointError) as error:
            raise UsageError(str(error)) from error
    if not devices.is_writer():
        return
    with reporter.status("making the stimuli"):
        world = stimuli.world(
            *(first, second),
            training.answerer(weights[training.REFERENCE], config, len(classes)),
            config,
        )
    shown = tuple(
        (name, config.seed + number)
        for name in config.networks
        for number in range(config.n_seeds)
    )
    params = training.stacked([weights[name] for name in config.networks])
    results, profile = evidence.measured(
        shown, params, world, config, directory, reporter, classes
    )
    directory.write_table(results)
    directory.write_table(profile.profile, "profile.parquet")
    directory.write_table(profile.channels, "channels.parquet")
    if profile.shape is not None:
        directory.write_table(profile.shape.results, "shape_bias.parquet")
        directory.write_table(profile.shape.categories, "categories.parquet")
    with reporter.status("correlating"):
        found = evidence.gathered(results, profile, config, classes)
    for name in ("cells", "pairs", "predictions"):
        if columns := getattr(found.statistics, name):
            directory.write_table(columns, f"{name}.parquet")
    directory.write_verdicts(published.judge(found))
    with reporter.status("drawing the figures"):
        figures.draw(found, world, directory)
    show(directory, reporter)


def _say_what(
    config: Config, images: int, others: int, classes: int, reporter: Reporter
) -> None:
    if config.data == "shapes":
        reporter.say(
            "no --data: shapes that are drawn here stand in for photographs; what comes "
            "out says nothing of these"
        )
    passes = 1 + sum(
        ZOO[name].passes(config.attack_steps) * config.n_seeds
        for name in in_order(config.networks)
    )
    passes *= config.epochs * images
    reporter.say(
        f"{len(config.networks)} networks ({config.model}), {config.n_seeds} seeds; "
        f"{images:,} training images of {classes} classes, {others:,} to measure on; an "
        "analogue of the published study, not a replication"
    )
    reporter.say(f"training: {passes:,.0f} passes of an image forward and back")


def show(directory: RunDirectory, reporter: Reporter) -> None:
    """Print the main columns of a finished run, means over seeds."""
    import numpy as np

    columns = directory.read_table()
    attack = next(name for name in columns if name.startswith("top1_acc/PGD"))
    wanted = {
        "test %": "top1_acc/test",
        "shape bias": "shape-bias",
        "decided": "shape-bias/decided",
        "bandwidth": "metric/criticalband/bw_norm",
        "corrupted %": "top1_acc/corrupted",
        f"{attack.removeprefix('top1_acc/')} %": attack,
    }
    rows = []
    for name in dict.fromkeys(columns["network"].tolist()):
        own = columns["network"] == name
        values = (np.mean(columns[column][own]) for column in wanted.values())
        category = columns["category"][own][0].replace("_", " ")
        rows.append([name, category, *(f"{value:.3g}" for value in values)])
    reporter.table(["network", "category", *wanted], rows)
