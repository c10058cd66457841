"""What the image generations experiment can be asked: options, presets, limits."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

from jaxbias.files import UsageError
from jaxbias.settings import at_least, at_most, one_or_more
from jaxbias.studies.generative_augmentation.generations.config import Scheme
from jaxbias.studies.generative_augmentation.generator import config as generator
from jaxbias.studies.generative_augmentation.generator.config import Config as Generator

PRESETS_BY = "kind"
"""Field that has other defaults for each value."""


@dataclass(frozen=True, kw_only=True)
class Config(Generator):
    """Which generators follow one another; `samples` images are drawn of each.

    All are trained for as many steps as the first, from new weights.
    """

    schemes: tuple[Scheme, ...] = ("replace", "accumulate", "fresh")
    """replace: each sees the images of the last one alone; accumulate: all images so far,
    the real ones among them; fresh: those of the last one, and as many new real ones."""
    generations: int = 4
    """Generators after the first, which sees real images alone."""


def _of(kind: str, preset: str, **changes: object) -> Config:
    own = generator.PRESETS[kind][preset]
    return replace(Config(**asdict(own)), **changes)  # type: ignore[arg-type]


PRESETS: Mapping[str, Mapping[str, Config]] = {
    kind: {
        "smoke": _of(kind, "smoke", **few, most_images=few["samples"], generations=1),
        "quick": _of(kind, "quick", **some, most_images=some["samples"]),
        "paper": _of(kind, "paper", most_images=10_000, samples=10_000),
    }
    for kind, few, some in (
        (
            "cdcgan",
            {"samples": 100, "measured": 60},
            {"width": 32, "samples": 1_000, "measured": 500, "epochs": 40},
        ),
        (
            "edm",
            {"samples": 60, "measured": 60, "batch": 20},
            {"samples": 500, "measured": 500, "epochs": 20},
        ),
        (
            "stylegan2",
            {"samples": 60, "measured": 60, "batch": 20},
            {"samples": 1_000, "measured": 500},
        ),
    )
}
"""Defaults by kind and preset; this experiment goes beyond the paper."""


def check_values(config: Config) -> None:
    """Raise `UsageError`, in one line, for what can be told without JAX."""
    generator.check_values(config)
    one_or_more(config, "schemes")
    at_least(config, generations=1)
    at_most(config, generations=1_000)
    if config.most_images is None:
        raise UsageError("--most-images: how many each generator is trained on")
    if config.samples < config.most_images:
        raise UsageError(
            f"--samples: {config.samples} images, of which the next generator takes "
            f"{config.most_images}"
        )
