"""Probe: the bias and robustness profile of networks that you have the weights of.

Shape bias on cue-conflict images; spectral bias, critical band, the corruptions of
ImageNet-C and C-bar, and a PGD attack on validation images; accuracy on other sets of the
same classes, on edges, silhouettes and stylised images. Each image is decoded once and
changed on the device. Corruptions are made anew: they are not the stored JPEG files of
ImageNet-C, and accuracies on them must not be compared with published ones.

results.csv has a row for each network in the columns of the published table, so that
`correlations` can read the tables of several networks; profile.csv has every count with
its interval (Wilson, 95 %). What no images are given for is left out, which is said. A
ResNet-50 takes about 0.8 TFLOP for each 100 passes forward; all changed parts make
about 320 of an image. Published is the row of torchvision's first ResNet-50, which
--published tv_resnet50 judges by. smoke, of two images, takes 75 s on two cores, most
of it compiling; on them a ResNet-50 answers 19 images a second, so that quick, of 2,000
images, wants a GPU; paper, of all of them, wants one too.
"""

from jaxbias.runs import RunDirectory
from jaxbias.studies.imagenet_biases.probe.config import (
    PRESETS,
    Config,
    check_given,
    check_values,
    left_out,
    measured,
)
from jaxbias.terminal import Reporter

__all__ = ["PRESETS", "Config", "check", "check_values", "run", "show"]


def check(config: Config) -> None:
    """Raise `UsageError`, in one line, if a run could not succeed."""
    from jaxbias.studies.imagenet_biases.probe.counting import gathered

    check_values(config)
    check_given(config)
    gathered(config)


def run(config: Config, directory: RunDirectory, reporter: Reporter) -> None:
    """Show, count, judge and draw the figures; resumes what is already there."""
    from jaxbias import devices
    from jaxbias.studies.imagenet_biases.probe import counting, figures, published
    from jaxbias.studies.imagenet_biases.probe.profile import profiled

    if not devices.is_writer():
        return
    with reporter.status("reading the weights"):
        material = counting.gathered(config)
    reporter.say(
        f"{', '.join(material.networks.names)} ({config.model}, "
        f"{material.networks.classes} classes): {', '.join(measured(config))}"
    )
    for words in left_out(config):
        reporter.say(f"left out, its images are not given: {words}")
    walk = counting.Walk(material, config, directory)
    counts = walk.run(reporter)
    with reporter.status("fitting and resampling"):
        found = profiled(material, config, counts, walk.conditions)
    directory.write_table(found.results)
    directory.write_table(found.profile, "profile.parquet")
    if found.channels:
        directory.write_table(found.channels, "channels.parquet")
    if found.shape is not None:
        directory.write_table(found.shape.results, "shape_bias.parquet")
        directory.write_table(found.shape.categories, "categories.parquet")
    _write_trials(found.trials, directory)
    directory.write_verdicts(published.judge(found, config))
    with reporter.status("drawing the figures"):
        figures.draw(found, config, directory)
    show(directory, reporter)


def _write_trials(observers: tuple, directory: RunDirectory) -> None:
    """Answers to cue-conflict images, as model-vs-human keeps them."""
    from jaxbias.data.trials import file_name, write_file

    folder = directory.path / "trials"
    for old in folder.glob("*_session-1.csv"):
        # Of networks of an earlier run that was overwritten.
        old.unlink()
    if observers:
        folder.mkdir(exist_ok=True)
    for one in observers:
        path = folder / file_name(one.experiment, one.name)
        write_file(path, one.name, one.files, one.answers)


def show(directory: RunDirectory, reporter: Reporter) -> None:
    """Print the main columns of a finished run."""
    columns = directory.read_table()
    wanted = {
        "top-1 %": "top1_acc/imagenet",
        "shape bias": "shape-bias",
        "bandwidth": "metric/criticalband/bw_norm",
        "C %": "top1_acc/imagenet-c",
        "C-bar %": "top1_acc/imagenet-cbar",
    }
    attacks = [name for name in columns if name.startswith("top1_acc/PGD")]
    wanted |= {f"{name.removeprefix('top1_acc/')} %": name for name in attacks}
    shown = {word: name for word, name in wanted.items() if name in columns}
    rows = [
        [name, *(f"{columns[column][place]:.3g}" for column in shown.values())]
        for place, name in enumerate(columns["model"].tolist())
    ]
    reporter.table(["network", *shown], rows)
