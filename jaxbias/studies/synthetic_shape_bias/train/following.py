"""One training whose network is asked at chosen steps, from before the first one on."""

from jaxbias.data.archives import SourceError
from jaxbias.files import UsageError
from jaxbias.runs import RunDirectory
from jaxbias.studies.synthetic_shape_bias.train import readouts, tasks
from jaxbias.studies.synthetic_shape_bias.train.config import Config
from jaxbias.studies.synthetic_shape_bias.train.images import Sets
from jaxbias.terminal import Reporter
from jaxbias.training import build, fit
from jaxbias.training.checkpoints import CheckpointError
from jaxbias.training.fit import Fitted
from jaxbias.training.recipes import Running


def total_steps(config: Config, images: Sets) -> int:
    """Steps of a whole training."""
    return build.total_steps(
        tasks.recipe_of(config), len(images.training) // config.batch
    )


def followed(
    config: Config,
    images: Sets,
    look: readouts.Readouts,
    directory: RunDirectory,
    reporter: Reporter,
    *,
    case: str | None = None,
) -> Fitted:
    """Train every seed to the end, and look at it on the way; see `fit.fit`.

    Raises:
        UsageError: If the images do not suit, or a checkpoint cannot be read.
    """
    running = Running(
        seed=config.seed,
        n_seeds=config.n_seeds,
        seed_axis="map",
        validate_every=10**6,
        log_every=10,
    )
    steps = readouts.steps_of(total_steps(config, images), config.looks)
    try:
        return fit.fit(
            *(tasks.recipe_of(config), running, images.training, images.scored),
            *(directory, reporter),
            case=case,
            make=tasks.maker(config, images),
            looks=fit.Looks(steps, look),
        )
    except (SourceError, CheckpointError) as error:
        raise UsageError(str(error)) from error
