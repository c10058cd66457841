"""Every generator of images, by name, and its images by number.

A set of images is a seed, a number of programs and nothing else: image i is of program
i mod K, and follows from the set's seed and i alone, on any device and in any order.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import ModuleType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

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


KEPT_AT_ONCE = 64
"""Images that are made at once to be kept."""

NOT_TYPED = ("size", "kind")
"""Fields that are given elsewhere: by an option, and by the generator's name."""


class UnknownGeneratorError(ValueError):
    """No generator or field of that name; the message lists those that there are."""


@dataclass(frozen=True)
class Generator:
    """A generator at a size: hashable, so that it can be static in a compiled program.

    Attributes:
        name: Of `GENERATORS`.
        module: Has code, draw and parameters.
        config: What they are called with.
        white: Share of white noise in every image, 0 to 1.
    """

    name: str
    module: ModuleType
    config: Any
    white: float = 0.0

    def __post_init__(self):
        if not 0 <= self.white <= 1:
            raise ValueError(f"white {self.white:g}: 0 to 1")

    def code(self, key: RandomKey) -> Code:
        """Draw a program."""
        return self.module.code(key, self.config)

    def draw(self, key: RandomKey, code: Code) -> Image:
        """Draw an image of a program, float32 in [0, 1]."""
        if not self.white:
            return self.module.draw(key, code, self.config)
        own, noise = jax.random.split(key)
        image = self.module.draw(own, code, self.config)
        flat = jax.random.uniform(noise, (image.size,))
        return (1 - self.white) * image + self.white * flat.reshape(image.shape)

    def sample(self, key: RandomKey) -> Image:
        """Draw an image of a program of its own."""
        own, noise = jax.random.split(key)
        return self.draw(noise, self.code(own))

    def parameters(self, code: Code) -> Float[Array, " parameter"]:
        """What describes a program, of order 1."""
        return self.module.parameters(code, self.config)


def generator(name: str, size: int, *, white: float = 0.0, **changes: Any) -> Generator:
    """A generator of the list.

    Args:
        name: Of `GENERATORS`.
        size: Side of the images, in pixels.
        white: Share of white noise in every image, 0 to 1.
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
    return Generator(name, found.module, config, white)


def named(text: str, size: int) -> Generator:
    """A generator as it is typed: NAME, or NAME@FIELD=VALUE,FIELD=VALUE.

    Fields are those of its configuration; a pair, the least and the greatest value of a
    law, is LOW~HIGH, or one number for both: spectrum@exponent=2, or
    dead-leaves-mixed@sigma=1.5,radii=0.1~1. Every generator has a field `white` beside
    them, the share of white noise that images are mixed with.

    Raises:
        UnknownGeneratorError: If there is no such generator or field, or a value cannot
            be read.
        ValueError: If its configuration does not allow the size or a value.
    """
    name, _, given = text.partition("@")
    if not given:
        return generator(text, size)
    kinds = get_type_hints(generator(name, size).module.Config) | {"white": float}
    changes = {}
    for part in given.split(","):
        field, _, value = part.partition("=")
        if field not in kinds or field in NOT_TYPED:
            known = ", ".join(one for one in kinds if one not in NOT_TYPED)
            raise UnknownGeneratorError(f"{name} has no {field!r}: one of {known}")
        try:
            changes[field] = _read(value, kinds[field])
        except ValueError as error:
            raise UnknownGeneratorError(f"{name}: {field}={value}: {error}") from error
    return generator(name, size, **changes)


def _read(value: str, kind: Any) -> Any:
    """A field's value as typed.

    Raises:
        ValueError: Saying what is wanted.
    """
    if get_origin(kind) is Union or isinstance(kind, UnionType):
        kind = next(one for one in get_args(kind) if one is not type(None))
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise ValueError(f"one of {', '.join(get_args(kind))}")
        return value
    if get_origin(kind) is tuple:
        low, _, high = value.partition("~")
        one = get_args(kind)[0]
        return _number(low, one), _number(high or low, one)
    return _number(value, kind)


def _number(value: str, kind: type) -> float | int:
    try:
        return kind(value)
    except ValueError as error:
        words = "a whole number" if kind is int else "a number"
        raise ValueError(f"{words} is needed") from error


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
        code = None
        if table is not None:
            code = jax.tree.map(lambda leaf: leaf[number % count], table)
        return _pixels(made, stem, number, code)

    return _each(one, index), index % count


def _pixels(
    made: Generator, stem: RandomKey, number: Int[Array, ""], code: Code | None
) -> UInt8[Array, "size size 3"]:
    """One image of a set, of a program that is given or of its own."""
    key = jax.random.fold_in(jax.random.clone(stem), number)
    image = made.sample(key) if code is None else made.draw(key, code)
    return jnp.round(255 * image).astype(jnp.uint8)


def kept(
    made: Generator,
    seed: Seed,
    index: Integer[np.ndarray, " image"],
    table: Code | None,
) -> tuple[UInt8[np.ndarray, "image size size 3"], Integer[np.ndarray, " image"]]:
    """The images of `images`, made once and kept; those of wmm models but for rounding.

    Codes of a batch are taken from the table before: sets of all numbers of programs then
    share what is compiled.

    Args:
        made: The generator.
        seed: Of the set.
        index: Numbers of the images.
        table: The set's programs; None gives every image one of its own.
    """
    count = 1 if table is None else jax.tree.leaves(table)[0].shape[0]
    found = []
    for first in range(0, len(index), KEPT_AT_ONCE):
        # Filled up, so that one program serves all.
        own = np.resize(index[first : first + KEPT_AT_ONCE], KEPT_AT_ONCE)
        own = own.astype(np.int32)
        codes = None
        if table is not None:
            codes = jax.tree.map(lambda leaf, own=own: leaf[own % count], table)
        pixels = _kept(made, np.uint32(seed), own, codes)
        found.append(np.asarray(pixels)[: len(index) - first])
    return np.concatenate(found), index % count


@partial(jax.jit, static_argnums=0)
def _kept(made: Generator, seed: Seed, index: Index, codes: Code | None) -> Array:
    stem = rng.stream(jax.random.key(seed), "images")

    return _each(lambda given: _pixels(made, stem, *given), (index, codes))


def _each(function: Callable[[Any], Any], given: Any) -> Any:
    """One after the other on a CPU, where arrays then stay in cache; else all at once."""
    if jax.default_backend() == "cpu":
        return lax.map(function, given)
    return jax.vmap(function)(given)
