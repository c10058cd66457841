"""One generator after another: what each is trained on, and how its images stand."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from jaxbias import tables
from jaxbias.data.archives import ImageSet, SourceError
from jaxbias.numerics.statistics import rank_within
from jaxbias.runs import RunDirectory
from jaxbias.studies.generative_augmentation.generations.config import Scheme
from jaxbias.studies.generative_augmentation.generator import networks, samples
from jaxbias.studies.generative_augmentation.generator.config import Config as Generator
from jaxbias.studies.generative_augmentation.image_generations.config import Config
from jaxbias.sweeps import Columns
from jaxbias.terminal import Reporter
from jaxbias.training import fit
from jaxbias.training.checkpoints import kept_or_made
from jaxbias.training.recipes import Running
from jaxbias.training.sets import Part, Pool, Prepared

FIRST = "first"
"""The scheme of the generator that all chains begin with."""


@dataclass(frozen=True)
class Images:
    """What a generator is trained on, or drew: uint8 (image, 32, 32, 3), and classes."""

    pixels: np.ndarray
    labels: np.ndarray

    def and_then(self, other: "Images") -> "Images":
        """These, followed by others."""
        return Images(
            np.concatenate([self.pixels, other.pixels]),
            np.concatenate([self.labels, other.labels]),
        )

    def first(self, count: int) -> "Images":
        """The first so many."""
        return Images(self.pixels[:count], self.labels[:count])


@dataclass(frozen=True)
class Drawn:
    """Images of one generator.

    Attributes:
        scheme: How its training images came about; `FIRST` of the first.
        generation: From 0, the first.
        images: That it drew.
    """

    scheme: str
    generation: int
    images: Images


def real_images(config: Config, training: ImageSet) -> list[Images]:
    """As many for each generation as fresh ones are needed: the first one's, and so on.

    Raises:
        SourceError: If there are too few.
    """
    assert config.most_images is not None
    each = config.most_images
    wanted = config.generations + 1 if "fresh" in config.schemes else 1
    # Class by class in turn, so that each part has as many of all.
    order = np.argsort(rank_within(training.labels), kind="stable")
    if len(order) < wanted * each:
        raise SourceError(
            f"--data: {len(order):,} images, {wanted * each:,} are needed: "
            f"{each:,} for each of {wanted} generations"
        )
    return [
        Images(np.asarray(training.images[own]), training.labels[own])
        for own in np.split(order[: wanted * each], wanted)
    ]


def follows(scheme: Scheme, known: Images, last: Images, fresh: Images) -> Images:
    """What the next generator is trained on.

    Args:
        scheme: See `Config.schemes`.
        known: What the last one was trained on.
        last: What the last one drew, as many as the first was trained on.
        fresh: New real ones, as many.
    """
    if scheme == "replace":
        return last
    return (known if scheme == "accumulate" else fresh).and_then(last)


class Chains:
    """Trains the generators, each kept once it has drawn its images."""

    def __init__(
        self,
        config: Config,
        real: list[Images],
        held_out: Prepared,
        directory: RunDirectory,
        reporter: Reporter,
    ) -> None:
        assert config.most_images is not None
        self._config, self._real, self._held_out = config, real, held_out
        self._each = config.most_images
        self._directory, self._reporter = directory, reporter
        own = {one.name: getattr(config, one.name) for one in fields(Generator)}
        self._generator = Generator(**own)
        self._make = networks.maker(self._generator)

    def run(self) -> Iterator[Drawn]:
        """The images of each generator; resumes from the newest whole checkpoint."""
        config = self._config
        first = self._drawn(FIRST, 0, self._real[0])
        if first is None:
            return
        yield Drawn(FIRST, 0, first)
        for scheme in config.schemes:
            known, last = self._real[0], first
            for generation in range(1, config.generations + 1):
                fresh = self._real[generation] if scheme == "fresh" else known
                known = follows(scheme, known, last.first(self._each), fresh)
                found = self._drawn(scheme, generation, known)
                if found is None:
                    return
                last = found
                yield Drawn(scheme, generation, last)

    def _drawn(self, scheme: str, generation: int, known: Images) -> Images | None:
        name = f"{scheme}-{generation}"
        # Another seed for each generation: the same noise would give the same images.
        config = replace(self._generator, seed=seed_of(self._config.seed, name))

        def made() -> Columns:
            self._reporter.say(f"training {name} on {len(known.pixels):,} images")
            fitted = fit.fit(
                networks.recipe_of(config),
                Running(seed=config.seed, validate_every=10**6, log_every=10),
                self._part(known),
                self._held_out,
                *(self._directory, self._reporter),
                case=name,
                make=self._make,
                epoch_steps=max(1, self._each // config.batch),
            )
            draw = networks.drawer(self._generator, fitted.task, fitted.states[0])
            classes = len(self._held_out.classes)
            parts = samples.pieces(draw, config, classes)
            return samples.whole([piece() for piece in parts])

        found = kept_or_made(name, self._directory, made)
        if found is None:
            return None
        # In an order in which the first so many have as many of each class.
        order = np.argsort(rank_within(found["label"]), kind="stable")
        return Images(found["image"][order], found["label"][order])

    def _part(self, known: Images) -> Part:
        """Filled up to the size of the largest, so that one program serves all."""
        count = self._each * self._most()
        pixels = np.zeros((count, *known.pixels.shape[1:]), np.uint8)
        labels = np.zeros(count, np.int64)
        pixels[: len(known.pixels)] = known.pixels
        labels[: len(known.labels)] = known.labels
        whole = ImageSet(pixels, labels, self._held_out.classes)
        return Part(Pool(whole, count), np.arange(len(known.pixels)))

    def _most(self) -> int:
        """Parts of the largest training set."""
        sizes = {"replace": 1, "accumulate": self._config.generations + 1, "fresh": 2}
        return max(sizes[scheme] for scheme in self._config.schemes)


def seed_of(seed: int, name: str) -> int:
    """The seed of a generator: follows from the run's and the generator's name."""
    return int(np.random.SeedSequence([seed, *name.encode()]).generate_state(1)[0])


def table(
    drawn: list[Drawn], real: Images, held_out: np.ndarray, config: Config
) -> Columns:
    """How the images of each generator stand beside real ones that nobody trained on.

    A row for each generator and feature: `scheme`, `generation`, and the columns of
    `samples.quality`; generation -1 of the scheme "real" are the first training images.
    """
    rows: list[dict[str, Any]] = []
    for one in drawn:
        found = samples.quality(
            *(one.images.pixels, held_out, real.pixels),
            most=config.measured,
            seed=config.seed,
            weights=config.inception,
        )
        for row in tables.rows_of(found):
            kind = row.pop("images")
            if kind == "samples":
                rows.append({"scheme": one.scheme, "generation": one.generation} | row)
            elif kind == "training" and one.scheme == FIRST:
                rows.append({"scheme": "real", "generation": -1} | row)
    return tables.columns_of(rows)
