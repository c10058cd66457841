"""What the diversity experiment can be asked: options, presets, limits."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from jaxbias.files import UsageError
from jaxbias.settings import at_least, at_most, one_or_more
from jaxbias.studies.synthetic_shape_bias.many_trainings import (
    VARIOUS,
    Case,
    Common,
    check_common,
    check_each,
    training,
    without_autoencoders,
)
from jaxbias.studies.synthetic_shape_bias.train.config import LABELLED, Supervision


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """From how many programs, and in how many images, a network learns."""

    data: tuple[str, ...] = VARIOUS
    """What makes the images, as for generate."""
    programs: tuple[int, ...] = (1, 8, 64, 512)
    """Numbers of programs that share the images out between them."""
    counts: tuple[int, ...] = (1_024,)
    """Numbers of different images; as many are seen in a training whatever they are."""
    supervisions: tuple[Supervision, ...] = ("simclr", "cross-entropy")
    """As for train; those that name programs need two."""
    model: str = "cnn4_narrow"
    """A network of the catalogue."""


PRESETS: Mapping[str, Config] = {
    "smoke": replace(
        Config(),
        data=("coloured-noise", "perlin", "visual-atom"),
        programs=(1, 16),
        supervisions=("simclr",),
        images=128,
        counts=(128,),
        epochs=2,
        batch=32,
        transfer_images=200,
        resamples=100,
        permutations=500,
    ),
    "quick": Config(),
    "paper": replace(
        Config(),
        programs=(1, 4, 16, 64, 256, 1_024, 4_096),
        counts=(1_024, 16_384, 94_500),
        supervisions=("simclr", "cross-entropy", "supcon"),
        model="resnet18_cifar",
        images=94_500,
        size=64,
        epochs=20,
        batch=256,
        transfer_images=10_000,
        n_seeds=3,
        resamples=1_000,
        permutations=10_000,
    ),
}
"""Defaults by preset; paper has the numbers of programs of Baradad et al. (2022)."""


def trainings(config: Config) -> list[Case]:
    """All of them; those on the same images stand together."""
    return [
        Case(
            labels={
                "data": data,
                "programs": programs,
                "count": count,
                "supervision": supervision,
            },
            config=training(
                config,
                data=data,
                programs=programs,
                images=count,
                epochs=config.epochs * config.images / count,
                supervision=supervision,
                model=config.model,
            ),
        )
        for data in config.data
        for programs in config.programs
        for count in config.counts
        for supervision in config.supervisions
        if programs > 1 or supervision not in LABELLED
    ]


def check_values(config: Config) -> None:
    """Raise `UsageError`, in one line, for what can be told without JAX."""
    check_common(config)
    one_or_more(config, "data", "programs", "counts", "supervisions")
    at_least(config, programs=1, counts=2)
    at_most(config, programs=100_000, counts=10**7)
    if any(":" in name for name in config.data):
        raise UsageError("--data: images that are made, which programs tell apart")
    if len(config.programs) < 2:
        raise UsageError("--programs: two numbers or more")
    without_autoencoders(config.supervisions)
    if not (found := trainings(config)):
        raise UsageError("--supervisions: programs are needed that can be named")
    check_each(found)
