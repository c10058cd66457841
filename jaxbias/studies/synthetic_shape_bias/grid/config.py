"""What the grid can be asked: options, presets, limits."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product

from jaxbias.files import UsageError
from jaxbias.settings import at_least, at_most, one_or_more
from jaxbias.studies.synthetic_shape_bias.many_trainings import (
    Case,
    Common,
    check_common,
    check_each,
    training,
    without_autoencoders,
)
from jaxbias.studies.synthetic_shape_bias.train.config import RELEASED, Supervision

SIX = (
    *("stylegan-random", "stylegan-highfreq", "stylegan-sparse", "stylegan-oriented"),
    *("fractal", "programs"),
)
"""The study's six sets; the last one stands for a network trained on shaders."""

FEWEST_SETS = 4
"""Sets of images without which nothing can be said of other sets."""


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Every set of images with every model and every supervision."""

    data: tuple[str, ...] = SIX
    """What makes the images, as for generate."""
    models: tuple[str, ...] = ("cnn4_narrow", "mlp")
    """Networks of the catalogue."""
    supervisions: tuple[Supervision, ...] = ("cross-entropy", "simclr")
    """As for train."""
    programs: tuple[int, ...] = (4, 64)
    """Numbers of programs that share the images out between them: how various a set of one
    kind is."""


PRESETS: Mapping[str, Config] = {
    "smoke": replace(
        Config(),
        data=("coloured-noise", "perlin", "dead-leaves-squares", "programs"),
        # Quick to compile.
        models=("mlp",),
        supervisions=("simclr",),
        programs=(2, 16),
        images=128,
        epochs=2,
        batch=32,
        transfer_images=200,
        resamples=100,
        permutations=500,
    ),
    "quick": Config(),
    # The authors' sizes, models and optimiser; programs as Shaders21k has them.
    "paper": replace(
        Config(),
        models=("resnet18_cifar", "vit_32"),
        programs=(4, 64, 1_024),
        images=94_500,
        size=64,
        **RELEASED,
        epochs=20,
        transfer_images=10_000,
        n_seeds=3,
        resamples=1_000,
        permutations=10_000,
    ),
}
"""Defaults by preset; paper has the sizes of the authors' code."""


def trainings(config: Config) -> list[Case]:
    """Every set with every model and supervision; those of one set stand together."""
    found = []
    for data, programs, model, supervision in product(
        config.data, config.programs, config.models, config.supervisions
    ):
        labels = {
            "data": data,
            "programs": programs,
            "model": model,
            "supervision": supervision,
        }
        found.append(Case(labels=labels, config=training(config, **labels)))
    return found


def check_values(config: Config) -> None:
    """Raise `UsageError`, in one line, for what can be told without JAX."""
    check_common(config)
    one_or_more(config, "data", "models", "supervisions", "programs")
    at_least(config, programs=1)
    at_most(config, programs=100_000)
    if len(config.data) < FEWEST_SETS:
        raise UsageError(
            f"--data: {FEWEST_SETS} sets or more, to tell of others; "
            f"got {len(config.data)}"
        )
    if any(":" in name for name in config.data):
        raise UsageError("--data: images that are made, which programs tell apart")
    without_autoencoders(config.supervisions)
    check_each(trainings(config))
