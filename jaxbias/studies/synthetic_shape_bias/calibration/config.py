"""What the metric-calibration experiment can be asked: options, presets, limits."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from jaxbias.files import UsageError
from jaxbias.settings import at_least, at_most, check_seed, one_or_more

DRAWN = ("solid", "textured", "navon")
"""Sets of stimuli that are drawn here."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """Which stimuli to show, and how often to resample them."""

    cue_conflict: str = ""
    """Official cue-conflict images, in sixteen folders by shape; without it only what is
    drawn here is read."""
    drawn: tuple[str, ...] = DRAWN
    """Stimuli that are drawn here. solid: 16 shapes filled with 16 textures, on a colour;
    textured: the same on a ground of the same texture in other colours; navon: large
    letters of small letters."""
    size: int = 64
    """Side of what is drawn here, in pixels."""
    instances: int = 5
    """Images of each pair of a shape and another texture."""
    networks: int = 3
    """Untrained networks, each with weights of its own."""
    permutations: int = 200
    """Shuffles of the labels of source images, for chance."""
    resamples: int = 1_000
    """Resamples of source images for each interval."""
    seed: int = 0
    """Seed of all random numbers, 0 to 2^32 - 1."""


PRESETS: Mapping[str, Config] = {
    "smoke": replace(Config(), instances=1, networks=2, permutations=20, resamples=100),
    "quick": Config(),
    "paper": replace(Config(), networks=20, permutations=2_000, resamples=10_000),
}
"""Defaults by preset."""


def check_values(config: Config) -> None:
    """Raise `UsageError`, in one line, for what can be told without JAX."""
    for name in config.drawn:
        if name not in DRAWN:
            raise UsageError(f"--drawn: no {name!r}: one of {', '.join(DRAWN)}")
    if not config.cue_conflict:
        one_or_more(config, "drawn")
    at_least(config, size=64, instances=1, networks=1, permutations=10, resamples=100)
    at_most(config, size=256, instances=20, networks=1_000)
    at_most(config, permutations=10**5, resamples=10**6)
    check_seed(config)
