"""Shape bias from trials: do people and networks go by shape or by texture?

Reads model-vs-human's files of trials on cue-conflict images (and texture-vs-shape's,
which are alike), and counts for each observer the answers by shape and by texture:
shape bias, the share of trials that it decides, accuracy, all of these by category,
with intervals over source images; and Cohen's kappa of every two observers' errors.
Published: shape bias 0.96 of ten people, below 0.5 of networks trained on ImageNet,
0.75 to 0.83 of those trained on stylised images. smoke takes a few seconds and quick
five seconds on two cores; paper, 10,000 resamples, half a minute (reckoned).
"""

from jaxbias.files import UsageError
from jaxbias.runs import RunDirectory
from jaxbias.studies.imagenet_biases.trials.config import (
    PRESETS,
    SOURCE,
    Config,
    check_values,
)
from jaxbias.terminal import Reporter

__all__ = ["PRESETS", "Config", "check", "check_values", "run"]


def check(config: Config) -> None:
    """Raise `UsageError`, in one line, if a run could not succeed."""
    from jaxbias.data.trials import read_folder

    check_values(config)
    if not config.trials:
        raise UsageError(f"--trials: a folder of files of trials is needed, {SOURCE}")
    read_folder(config.trials)


def run(config: Config, directory: RunDirectory, reporter: Reporter) -> None:
    """Count, resample, judge and draw the figures."""
    from jaxbias import devices
    from jaxbias.data.trials import read_folder
    from jaxbias.studies.imagenet_biases.trials import evidence, figures, published

    if not devices.is_writer():
        return
    observers = read_folder(config.trials)
    people = sum(one.is_person for one in observers)
    reporter.say(
        f"{people} people and {len(observers) - people} networks, "
        f"{sum(len(one.cues) for one in observers):,} trials"
    )
    with reporter.status("resampling"):
        found = evidence.gathered(observers, config)
    directory.write_table(found.results)
    directory.write_table(found.categories, "categories.parquet")
    if found.consistency:
        directory.write_table(found.consistency, "consistency.parquet")
    directory.write_verdicts(published.judge(found))
    with reporter.status("drawing the figures"):
        figures.draw(found, directory)
