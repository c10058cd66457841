"""Every generator of images, by name, and its images by number.

A set of images is a seed, a number of programs and nothing else: image i is of program
i mod K, and follows from the set's seed and i alone, on any device and in any order.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int, Integer, UInt8

from jaxbias import rng
from jaxbias.arrays import RandomKey
from jaxbias.data.generators import (
    dead_leaves,
    fractals,
    noises,
    programs,
    statistical,
    stylegan,
    visual_atoms,
)

Code = Any
"""A program: a tree of arrays."""

Image = Float[Array, "size size 3"]
Index = Int[Array, " image"]
Seed = Integer[Array, ""] | Integer[np.ndarray, ""] | np.uint32 | int


@dataclass(frozen=True)
class Known:
    """A generator of the list.

    Attributes:
        module: Has Config, code, draw and parameters.
        source: Where its law is from.
        options: Fields of its configuration.
        program: What its programs are, in words.
    """

    module: ModuleType
    source: str
    program: str
    options: Mapping[str, Any] = field(default_factory=dict)


_BARADAD = "Baradad et al., Learning to see by looking at noise (NeurIPS 2021)"

_NETWORK = "a network with random weights"

_LEAVES = "the leaves in front"

_LAW = "a spectrum and colours"

GENERATORS: Mapping[str, Known] = {
    # Paper: 512 channels, which cost 200 times as much; spectra are the same.
    "stylegan-random": Known(
        stylegan, _BARADAD, _NETWORK, {"kind": "random", "channels": 32}
    ),
    **{
        f"stylegan-{kind}": Known(stylegan, _BARADAD, _NETWORK, {"kind": kind})
        for kind in ("highfreq", "sparse", "oriented")
    },
    **{
        f"dead-leaves-{kind}": Known(dead_leaves, _BARADAD, _LEAVES, {"kind": kind})
        for kind in ("squares", "oriented", "mixed", "textures")
    },
    **{
        name: Known(statistical, _BARADAD, _LAW, {"kind": name})
        for name in ("spectrum", "spectrum-colour", "wmm", "spectrum-wmm-colour")
    },
    "fractal": Known(
        fractals,
        "FractalDB: Kataoka et al., Pre-training without natural images (ACCV 2020)",
        "an iterated function system",
    ),
    "visual-atom": Known(
        visual_atoms,
        "VisualAtom: Takashima et al., Visual atoms (CVPR 2023)",
        "two waves around an oval",
    ),
    "programs": Known(
        programs,
        "this project, in place of the shaders of Baradad et al. (NeurIPS 2022)",
        "an expression in place and time",
    ),
    "programs-mixed": Known(
        programs,
        "this project, in place of the mixed shaders of Baradad et al. (NeurIPS 2022)",
        "six expressions in place and time",
        {"mixed": 6},
    ),
    "perlin": Known(
        noises, "Perlin, An image synthesizer (SIGGRAPH 1985)", "cells and colours"
    ),
    "coloured-noise": Known(
        noises,
        "noise of amplitude 1 / frequency^a",
        "an exponent and colours",
        {"kind": "coloured"},
    ),
}
"""What can be drawn, by the name that the command line takes."""


class UnknownGeneratorError(ValueError):
    """No generator of that name; the message lists those that there are."""


@dataclass(frozen=True)
class Generator:
    """A generator at a size: hashable, so that it can be static in a compiled program.

    Attributes:
        name: Of `GENERATORS`.
        module: Has code, draw and parameters.
        config: What they are called with.
    """

    name: str
    module: ModuleType
    config: Any

    def code(self, key: RandomKey) -> Code:
        """Draw a program."""
        return self.module.code(key, self.config)

    def draw(self, key: RandomKey, code: Code) -> Image:
        """Draw an image of a program, float32 in [0, 1]."""
        return self.module.draw(key, code, self.config)

    def sample(self, key: RandomKey) -> Image:
        """Draw an image of a program of its own."""
        own, noise = jax.random.split(key)
        return self.draw(noise, self.code(own))

    def parameters(self, code: Code) -> Float[Array, " parameter"]:
        """What describes a program, of order 1."""
        return self.module.parameters(code, self.config)


def generator(name: str, size: int, **changes: Any) -> Generator:
    """A generator of the list.

    Args:
        name: Of `GENERATORS`.
        size: Side of the images, in pixels.
        changes: Fields of its configuration that are others than published.

    Raises:
        UnknownGeneratorError: If there is none of that name.
        ValueError: If its configuration does not allow the size or a change.
    """
    if name not in GENERATORS:
        known = ", ".join(GENERATORS)
        raise UnknownGeneratorError(f"no generator {name!r}: one of {known}")
    found = GENERATORS[name]
    config = found.module.Config(size=size, **(dict(found.options) | changes))
    return Generator(name, found.module, config)


def codes(made: Generator, seed: Seed, count: int) -> Code:
    """The programs of a set, with a leading axis; one compiled program draws them."""
    return _codes(made, seed, jnp.arange(count, dtype=jnp.int32))


def _codes(made: Generator, seed: Seed, index: Index) -> Code:
    keys = rng.stream(jax.random.key(seed), "programs")

    def one(number: Int[Array, ""]) -> Code:
        return made.code(jax.random.fold_in(jax.random.clone(keys), number))

    return _each(one, index)


def images(
    made: Generator,
    seed: Seed,
    index: Index,
    table: Code | None = None,
) -> tuple[UInt8[Array, "image size size 3"], Int[Array, " image"]]:
    """Images of a set, by number.

    Pure and traceable.

    Args:
        made: The generator.
        seed: Of the set.
        index: Numbers of the images, 0 or more.
        table: The set's programs, from `codes`; None gives every image one of its own.

    Returns:
        Pixels, and the number of each image's program; 0 without a table.
    """
    stem = rng.stream(jax.random.key(seed), "images")
    count = 1 if table is None else jax.tree.leaves(table)[0].shape[0]

    def one(number: Int[Array, ""]) -> Array:
        key = jax.random.fold_in(jax.random.clone(stem), number)
        if table is None:
            image = made.sample(key)
        else:
            code = jax.tree.map(lambda leaf: leaf[number % count], table)
            image = made.draw(key, code)
        return jnp.round(255 * image).astype(jnp.uint8)

    return _each(one, index), index % count


def _each(function: Callable[[Array], Any], index: Index) -> Any:
    """One after the other on a CPU, where arrays then stay in cache; else all at once."""
    if jax.default_backend() == "cpu":
        return lax.map(function, index)
    return jax.vmap(function)(index)
