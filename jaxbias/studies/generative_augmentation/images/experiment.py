"""Images: do generated images help a classifier, how many, and with what beside them.

Trains the same networks on real images and on these with more and more generated ones,
from files that people have (npz, arrays of a class, zip) or from the `generator`
experiment; with and without crops and mirror images. Seeds are paired, so that a gain is a
difference of networks that began alike. What is held out of the training images chooses
the amount; test images choose nothing.

    python -m experiments.generative_augmentation images
    python -m experiments.generative_augmentation images --recipe plain \\
        --data cifar10:DIR --generated edm=5m.npz cdcgan=RUN/samples.npz \\
        --amounts 0 100k 300k 1M

Published: cDCGAN's images help without standard augmentation, StyleGAN2-ADA's do not
help with it, EDM's do even then. The table of accuracies is a picture, so its words
alone are judged. smoke takes three quarters of a minute and quick some five minutes on
two cores, on shapes that are drawn here; paper takes some five hours (reckoned) with
--recipe small, and plain's, with the published amounts and lengths, wants GPUs: an
exaFLOP for each generator.
"""

from pathlib import Path

from jaxbias.files import UsageError
from jaxbias.runs import RunDirectory
from jaxbias.studies.generative_augmentation.images.config import (
    PRESETS,
    PRESETS_BY,
    Config,
    check_values,
    generators_of,
    recipe_of,
)
from jaxbias.terminal import Reporter

__all__ = ["PRESETS", "PRESETS_BY", "Config", "check", "check_values", "run", "show"]


def check(config: Config) -> None:
    """Raise `UsageError`, in one line, if a run could not succeed."""
    from jaxbias.data import generated
    from jaxbias.models import catalogue
    from jaxbias.studies.generative_augmentation.generator import samples

    check_values(config)
    samples.check_weights(config.inception)
    catalogue.check(recipe_of(config, "none").model)
    for name, files in generators_of(config).items():
        for file in files:
            for path in generated.files_of(Path(file)):
                if not path.exists():
                    raise UsageError(f"--generated: {name}: no {path}")


def run(config: Config, directory: RunDirectory, reporter: Reporter) -> None:
    """Train every case, compare, judge and draw; resumes what is already there."""
    from jaxbias import devices
    from jaxbias.data.archives import SourceError
    from jaxbias.studies.generative_augmentation.images import (
        figures,
        published,
        quality,
        results,
    )
    from jaxbias.studies.generative_augmentation.images.pools import Real
    from jaxbias.studies.generative_augmentation.images.trainings import Sweep
    from jaxbias.training.checkpoints import CheckpointError

    try:
        with reporter.status(f"reading {config.data}"):
            real = Real.read(config)
        reporter.say(
            f"{len(real.training):,} real images of {len(real.classes)} classes, "
            f"{len(real.validation):,} held out, {len(real.test):,} to test"
        )
        sweep = Sweep(config, real, directory, reporter)
        outcomes = list(sweep.run())
        if not devices.is_writer():
            return
        with reporter.status("measuring the generated images"):
            measured, shown = quality.measured(sweep, real, config)
    except (SourceError, CheckpointError) as error:
        raise UsageError(str(error)) from error
    table = results.trainings(outcomes, config)
    gains = results.gains(outcomes, config)
    directory.write_table(table)
    directory.write_table(gains, "gains.parquet")
    directory.write_table(results.chosen(table, config), "chosen.parquet")
    directory.write_table(results.classes(outcomes, real.classes), "classes.parquet")
    directory.write_table(measured, "quality.parquet")
    evidence = published.Evidence(config, table, gains, len(real.training))
    directory.write_verdicts(published.judge(evidence))
    directory.update_manifest(
        real=len(real.training), parameters=int(outcomes[0].found["parameters"])
    )
    with reporter.status("drawing the figures"):
        figures.draw(config, shown, directory)
    show(directory, reporter)


def show(directory: RunDirectory, reporter: Reporter) -> None:
    """Print gains over real images alone, in points of test accuracy."""
    table, gains = directory.read_table(), directory.read_table("gains.parquet")
    for augmentation in dict.fromkeys(table["augmentation"].tolist()):
        own = (table["augmentation"] == augmentation) & (table["generator"] == "")
        accuracy = table["test_accuracy"][own]
        reporter.say(
            f"{augmentation}: {accuracy.mean():.2%} of the test images are right after "
            f"real images alone ({len(accuracy)} seeds)"
        )
    rows = [
        [
            str(gains["augmentation"][row]),
            str(gains["generator"][row]),
            f"{gains['amount'][row]:,}{' alone' if gains['alone'][row] else ''}",
            f"{gains['weight'][row]:g}",
            f"{gains['real_share'][row]:g}" if gains["real_share"][row] else "",
            f"{gains['keep'][row]:g}",
            f"{100 * gains['gain'][row]:+.2f}",
            f"{100 * gains['low'][row]:+.2f} to {100 * gains['high'][row]:+.2f}",
            f"{gains['seeds_above'][row]} of {gains['seeds'][row]}",
        ]
        for row in range(len(gains["gain"]))
    ]
    headings = ["augmentation", "generator", "images", "weight", "real share", "kept"]
    reporter.table([*headings, "gain", "95 %", "seeds above"], rows)
