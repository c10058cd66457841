"""Image generations: generators that are trained on what generators drew, again and again.

What `generations` does with a Gaussian mixture, with networks and images. Each generator
starts anew; its images replace those that it was trained on, are added to them, or come
with new real ones. After each, they stand beside real images that nobody trained on.

    python -m experiments.generative_augmentation image-generations --data cifar10:DIR

Published (Alemohammad et al. and Shumailov et al. 2024): of generated images alone,
generators get worse or less diverse; real images among them prevent it. smoke takes
three quarters of a minute; quick trains thirteen small cDCGANs on 1,000 images each, in
six minutes on two cores; paper, on 10,000 each and of the published width, wants a GPU.
"""

from jaxbias.files import UsageError
from jaxbias.runs import RunDirectory
from jaxbias.studies.generative_augmentation.image_generations.config import (
    PRESETS,
    PRESETS_BY,
    Config,
    check_values,
)
from jaxbias.terminal import Reporter

__all__ = ["PRESETS", "PRESETS_BY", "Config", "check", "check_values", "run", "show"]


def check(config: Config) -> None:
    """Raise `UsageError`, in one line, if a run could not succeed."""
    from jaxbias.studies.generative_augmentation.generator import samples

    check_values(config)
    samples.check_weights(config.inception)


def run(config: Config, directory: RunDirectory, reporter: Reporter) -> None:
    """Train, draw, train on it, measure and judge; resumes what is already there."""
    import numpy as np

    from jaxbias import devices
    from jaxbias.data.archives import SourceError
    from jaxbias.studies.generative_augmentation.generator.experiment import (
        training_and_held_out,
    )
    from jaxbias.studies.generative_augmentation.image_generations import (
        chains,
        figures,
        published,
    )
    from jaxbias.training.checkpoints import CheckpointError

    try:
        with reporter.status(f"reading {config.data}"):
            training, held_out = training_and_held_out(config, most=None)
            real = chains.real_images(config, training.images)
        reporter.say(
            f"{len(config.schemes)} chains of {config.generations} generations after the "
            f"first, {config.most_images:,} images each"
        )
        sweep = chains.Chains(config, real, held_out, directory, reporter)
        drawn = list(sweep.run())
    except (SourceError, CheckpointError) as error:
        raise UsageError(str(error)) from error
    if not devices.is_writer():
        return
    with reporter.status("measuring the images"):
        others = np.asarray(held_out.images.images)
        table = chains.table(drawn, real[0], others, config)
    directory.write_table(table)
    directory.write_verdicts(published.judge(published.Evidence(config, table)))
    with reporter.status("drawing the figures"):
        figures.draw(table, drawn, config, directory)
    show(directory, reporter)


def show(directory: RunDirectory, reporter: Reporter) -> None:
    """Print how each generation's images stand beside real ones."""
    from jaxbias.studies.generative_augmentation.generator.experiment import (
        show_quality,
    )

    labels = ("scheme", "generation", "feature")
    show_quality(directory.read_table(), labels, reporter)
