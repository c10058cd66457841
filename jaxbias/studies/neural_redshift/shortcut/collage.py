"""Collage: a digit above a picture of the same class: which of the two is learned?

In training both tell the class; in the test set they are combined at random, and what a
network answers agrees with the digit, with the picture, or with neither. Beside it the
same networks are trained where the digits are shuffled: so much can be learned of the
picture. Published (Teney et al., CVPR 2025, on MNIST above CIFAR-10): ReLU networks end at
chance on the picture; other activations can be steered to it. There activations are
learned, here a prefactor is set. smoke takes a quarter of a minute and quick two minutes
on two cores; paper wants a GPU and --digits mnist:DIR --pictures cifar10:DIR.
"""

from jaxbias.runs import RunDirectory
from jaxbias.settings import refusing
from jaxbias.studies.neural_redshift.shortcut.config import (
    COLLAGE_PRESETS as PRESETS,
)
from jaxbias.studies.neural_redshift.shortcut.config import (
    CollageConfig as Config,
)
from jaxbias.studies.neural_redshift.shortcut.config import check_values
from jaxbias.terminal import Reporter

__all__ = ["PRESETS", "Config", "check", "check_values", "run"]


def check(config: Config) -> None:
    """Raise `UsageError`, in one line, if a run could not succeed."""
    check_values(config)
    # These know the names of activations and priors, and open files; they load JAX.
    from jaxbias.studies.neural_redshift.shortcut import collages, trainings

    with refusing():
        trainings.check(config)
        collages.check(config)


def run(config: Config, directory: RunDirectory, reporter: Reporter) -> None:
    """Train, judge and draw the figures; resumes what is already there."""
    import jax
    import numpy as np

    from jaxbias import devices, tables
    from jaxbias.studies.neural_redshift.shortcut import (
        collage_ledger,
        collages,
        figures,
        trainings,
    )

    mesh = devices.mesh()
    parts = collages.sets(config)
    if drawn := collages.drawn(config):
        reporter.say(f"{' and '.join(drawn)} are drawn here: not MNIST above CIFAR-10")
    key = jax.random.key(config.seed)
    blocks = [
        block
        for name, sets in parts.items()
        for block in trainings.blocks(config, sets, key, mesh, prefix=f"{name}, ")
    ]
    swept = trainings.swept(blocks, config, directory, reporter)
    if not devices.is_writer():
        return
    halves = np.split(swept["seen"], len(parts))
    found = {
        name: trainings.table(config, {"seen": half})
        for name, half in zip(parts, halves, strict=True)
    }
    labelled = ((columns, {"told_by": name}) for name, columns in found.items())
    directory.write_table(tables.stacked(labelled))
    directory.write_verdicts(collage_ledger.judge(found, config))
    with reporter.status("drawing the figures"):
        figures.draw_collage(found, config, parts["both"], directory)
