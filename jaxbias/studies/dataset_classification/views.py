"""Transforms by name, at the size at hand: what a network of this study is shown."""

import re
from collections.abc import Callable, Sequence
from functools import partial

import jax

from jaxbias.arrays import Array, RandomKey
from jaxbias.data import transforms
from jaxbias.runs import UsageError
from jaxbias.training.build import WHOLE, Shown
from jaxbias.training.steps import Images, Keys

Apply = Callable[[RandomKey, Images], Array]

PAPERS_SIDE = 224
"""Pixels of the images for which the papers give lengths."""

LENGTHS = ("blur", "low-resolution", "patch-shuffle-random", "patch-shuffle-fixed")
"""Transforms whose number is a length in pixels."""


def scaled(name: str, size: int) -> str:
    """A transform of the papers, with its length scaled to images of another size.

    Sides of patches become the nearest divisor of the size that is not 1; resolutions are
    rounded to whole pixels.
    """
    found = re.fullmatch(rf"({'|'.join(LENGTHS)})-(\d+)", name)
    if found is None or size == PAPERS_SIDE:
        return name
    kind, length = found.group(1), float(found.group(2)) * size / PAPERS_SIDE
    if kind == "blur":
        return f"{kind}-{length:.2f}"
    if kind == "low-resolution":
        return f"{kind}-{max(1, round(length))}"
    sides = [n for n in range(2, size) if size % n == 0]
    return f"{kind}-{min(sides, key=lambda n: abs(n - length))}"


def shown(name: str, size: int, stored: int) -> Shown:
    """What a network sees of stored squares under a transform.

    Args:
        name: Of `data.transforms.transform`.
        size: Side of what it sees, in pixels.
        stored: Side of the squares.

    Raises:
        ValueError: If there is no such transform, or it does not suit the size.
    """
    cut = None if size == stored else size
    if name == "none":
        return WHOLE if cut is None else Shown(size=cut)
    found = transforms.transform(name, size)
    change = partial(_each if found.random else _all, found.apply)
    channels = 3 * (name.count("+") + 1)
    plain = (0.0,) * channels, (1.0,) * channels
    mean, sd = (None, None) if found.normalise and channels == 3 else plain
    return Shown(size=cut, change=change, before=found.before, mean=mean, sd=sd)


def _each(apply: Apply, keys: Keys, images: Images) -> Array:
    """Every image by its own key, whatever else is in the batch."""
    return jax.vmap(lambda key, image: apply(key, image[None])[0])(keys, images)


def _all(apply: Apply, keys: Keys, images: Images) -> Array:
    """All images at once; nothing is drawn."""
    del keys
    return apply(jax.random.key(0), images)


def check_views(option: str, names: Sequence[str], size: int) -> None:
    """Raise `UsageError` if one of the transforms does not exist or suit the size."""
    if len(set(names)) < len(names):
        raise UsageError(f"{option}: the same value twice")
    for name in names:
        try:
            shown(name, size, size)
        except ValueError as error:
            raise UsageError(f"{option}: {error}") from error
