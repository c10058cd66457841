"""What the naturalism experiment can be asked: options, presets, limits."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from jaxbias.files import UsageError
from jaxbias.settings import at_least, at_most, one_or_more
from jaxbias.studies.synthetic_shape_bias.many_trainings import (
    Case,
    Common,
    check_common,
    check_each,
    training,
)
from jaxbias.studies.synthetic_shape_bias.train.config import Supervision

PUBLISHED: Mapping[str, float] = {
    "spectrum": 30.8,
    "wmm": 31.6,
    "fractal": 33.6,
    "stylegan-random": 34.2,
    "dead-leaves-squares": 35.3,
    "spectrum-colour": 36.9,
    "dead-leaves-oriented": 37.6,
    "dead-leaves-mixed": 39.1,
    "spectrum-wmm-colour": 40.1,
    "dead-leaves-textures": 41.0,
    "stylegan-sparse": 42.2,
    "stylegan-highfreq": 42.3,
    "stylegan-oriented": 43.5,
}
"""Transfer to ImageNet-100, %, of networks trained on each (untrained: 21.5)."""

EXPONENT, SIGMA = "spectrum@exponent=", "dead-leaves-mixed@sigma="
OPACITY, WHITE = "dead-leaves-mixed@opacity=", "stylegan-oriented@white="
"""Sets that a number is put after."""


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Which sets, of as many programs, are learnt from."""

    data: tuple[str, ...] = tuple(PUBLISHED)
    """What makes the images, as for generate: those with a published transfer are held
    against it."""
    exponents: tuple[float, ...] = (0.0, 1.0, 2.0, 3.0)
    """Of spectra, amplitudes falling with frequency to this power: white noise at 0, and
    like photographs at 1."""
    sigmas: tuple[float, ...] = (1.0, 2.0, 3.0, 4.0, 5.0)
    """Of dead leaves, whose radii have this density's exponent: photographs are near 3."""
    opacities: tuple[float, ...] = (0.25, 0.5, 1.0)
    """Of dead leaves: things in photographs hide what is behind them, as at 1."""
    whites: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75)
    """Shares of white noise that images of stylegan-oriented are mixed with."""
    programs: int = 64
    """That share the images of every set out between them."""
    supervision: Supervision = "simclr"
    """As for train."""
    model: str = "cnn4_narrow"
    """A network of the catalogue."""


PRESETS: Mapping[str, Config] = {
    "smoke": replace(
        Config(),
        data=("spectrum", "dead-leaves-squares", "fractal"),
        exponents=(0.0, 2.0),
        sigmas=(),
        opacities=(),
        whites=(),
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
"""Defaults by preset; paper has the sizes of the authors' code."""


def trainings(config: Config) -> list[Case]:
    """Of each set once."""
    names = (
        *config.data,
        *(f"{EXPONENT}{value:g}" for value in config.exponents),
        *(f"{SIGMA}{value:g}" for value in config.sigmas),
        *(f"{OPACITY}{value:g}" for value in config.opacities),
        *(f"{WHITE}{value:g}" for value in config.whites),
    )
    return [
        Case(
            labels={"data": data},
            config=training(
                config,
                data=data,
                programs=config.programs,
                supervision=config.supervision,
                model=config.model,
            ),
        )
        for data in dict.fromkeys(names)
    ]


def check_values(config: Config) -> None:
    """Raise `UsageError`, in one line, for what can be told without JAX."""
    check_common(config)
    one_or_more(config, "data")
    at_least(config, exponents=0, sigmas=0.1, opacities=0.05, whites=0, programs=1)
    at_most(config, exponents=10, sigmas=20, opacities=1, whites=1, programs=100_000)
    if any(":" in name for name in config.data):
        raise UsageError("--data: images that are made; see train for others")
    check_each(trainings(config))
