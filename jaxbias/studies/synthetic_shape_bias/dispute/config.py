"""What the metric-dispute experiment can be asked: options, presets, limits."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product

from jaxbias.files import UsageError
from jaxbias.settings import one_or_more
from jaxbias.studies.synthetic_shape_bias.many_trainings import (
    VARIOUS,
    Case,
    Common,
    check_common,
    check_each,
    training,
    without_autoencoders,
)
from jaxbias.studies.synthetic_shape_bias.train.config import Supervision

FEWEST = 6
"""Networks without which there is no order to agree about."""


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """The networks that all measures are taken of."""

    data: tuple[str, ...] = VARIOUS
    """What they learn from: what makes images, as for generate, or images that are there:
    cifar10:DIR, folder:DIR and so on."""
    models: tuple[str, ...] = ("cnn4_narrow", "mlp")
    """Networks of the catalogue."""
    supervisions: tuple[Supervision, ...] = ("cross-entropy", "simclr")
    """As for train."""
    programs: int = 64
    """Programs that share the images of a set out between them."""


PRESETS: Mapping[str, Config] = {
    "smoke": replace(
        Config(),
        data=("coloured-noise", "perlin", "dead-leaves-squares"),
        # One program to compile.
        models=("mlp",),
        n_seeds=2,
        supervisions=("simclr",),
        programs=8,
        images=128,
        epochs=2,
        batch=32,
        transfer_images=200,
        resamples=100,
        permutations=500,
    ),
    "quick": Config(),
    "paper": replace(
        Config(),
        data=(
            *("stylegan-random", "stylegan-highfreq", "stylegan-sparse"),
            *("stylegan-oriented", "dead-leaves-mixed", "fractal", "programs"),
        ),
        models=("cnn4", "resnet18_cifar", "vit_32"),
        supervisions=("cross-entropy", "simclr", "supcon"),
        programs=1_024,
        images=94_500,
        epochs=20,
        batch=256,
        transfer_images=10_000,
        n_seeds=3,
        resamples=1_000,
        permutations=10_000,
    ),
}
"""Defaults by preset."""


def trainings(config: Config) -> list[Case]:
    """Every set with every model and supervision; those of one set stand together."""
    found = []
    for data, model, supervision in product(
        config.data, config.models, config.supervisions
    ):
        labels = {"data": data, "model": model, "supervision": supervision}
        changes = dict(labels, programs=config.programs)
        found.append(Case(labels=labels, config=training(config, **changes)))
    return found


def check_values(config: Config) -> None:
    """Raise `UsageError`, in one line, for what can be told without JAX."""
    check_common(config)
    one_or_more(config, "data", "models", "supervisions")
    without_autoencoders(config.supervisions)
    found = trainings(config)
    if len(found) * config.n_seeds < FEWEST:
        raise UsageError(
            f"--data: {FEWEST} networks or more, to have an order; "
            f"got {len(found) * config.n_seeds}"
        )
    check_each(found)
