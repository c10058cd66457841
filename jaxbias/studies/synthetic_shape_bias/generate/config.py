"""What the generate experiment can be asked: options, presets, limits."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from jaxbias.files import UsageError
from jaxbias.settings import at_least, at_most, check_seed

MOST = 10_000_000


@dataclass(frozen=True, kw_only=True)
class Config:
    """Which images to make, and how to write them."""

    data: str = "stylegan-oriented"
    """What makes them: stylegan-random, -highfreq, -sparse, -oriented; dead-leaves-squares,
    -oriented, -mixed, -textures; spectrum, spectrum-colour, wmm, spectrum-wmm-colour;
    fractal, visual-atom, programs, programs-mixed, perlin, coloured-noise. Their settings
    can be others: spectrum@exponent=2, dead-leaves-mixed@sigma=1.5,radii=0.1~1."""
    n: int = 1_000
    """How many."""
    size: int = 64
    """Side in pixels."""
    programs: int | None = 100
    """Networks, fractals, expressions and so on that make them, each a class; none lets
    every image have its own, in one class."""
    form: Literal["folder", "tar"] = "folder"
    """A folder of images for each class, or WebDataset tar shards; both can be given to
    --data and --sources of other experiments."""
    encoding: Literal["png", "jpeg", "webp"] = "png"
    """Of the files; png and webp keep every pixel, jpeg (quality 95) does not."""
    piece: int = 1_000
    """Images that are made at once: those of a shard, and of what is lost at a kill."""
    seed: int = 0
    """Seed of all random numbers, 0 to 2^32 - 1; image i of a seed is always the same."""


PRESETS: Mapping[str, Config] = {
    "smoke": replace(Config(), n=64, size=32, programs=8, piece=32),
    "quick": Config(),
    "paper": replace(Config(), n=105_000, size=128, programs=None, form="tar"),
}
"""Defaults by preset; paper is the small scale of Baradad et al. (2021)."""


def check_values(config: Config) -> None:
    """Raise `UsageError`, in one line, for what can be told without JAX."""
    at_least(config, n=1, piece=1, size=16)
    at_most(config, n=MOST, piece=100_000, size=1_024)
    if config.programs is not None:
        at_least(config, programs=1)
        at_most(config, programs=100_000)
        if config.programs > config.n:
            raise UsageError(
                f"--programs: {config.programs} of them for {config.n} images"
            )
    check_seed(config)
