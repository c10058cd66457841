"""Walk over all images once, keeping counts as they come; resumes where it was cut."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxbias import rng
from jaxbias.arrays import Array
from jaxbias.devices import NETWORKS, laid_out
from jaxbias.probes.shape_bias import Classes
from jaxbias.runs import RunDirectory
from jaxbias.studies.imagenet_biases.probe import parts
from jaxbias.studies.imagenet_biases.probe.config import CHANGED, Config, measured
from jaxbias.studies.imagenet_biases.probe.images import (
    VALIDATION,
    ImageSet,
    classes_of_categories,
    of_categories,
    others,
    real_labels,
    validation,
)
from jaxbias.studies.imagenet_biases.probe.networks import Networks, load
from jaxbias.sweeps import Columns
from jaxbias.terminal import Progress, Reporter

CATEGORY_SETS = {
    "shape": ("cue_conflict",),
    "cues": ("edges", "silhouettes", "stylized"),
}


@dataclass(frozen=True)
class Material:
    """Everything that a run needs, opened and checked; no image is decoded.

    Attributes:
        networks: Whom to measure.
        sets: What to show, the validation images first if they are there.
        changed: Parts that show the first `count` of these under many conditions.
        count: How many.
        classes: The networks' classes of each of the sixteen categories; empty if no set
            is of these.
        real: ReaL labels of the validation images, in their order; None without.
    """

    networks: Networks
    sets: tuple[ImageSet, ...]
    changed: tuple[str, ...]
    count: int
    classes: Classes
    real: list[list[int]] | None


def gathered(config: Config) -> Material:
    """Open all images and read all weights.

    Raises:
        UsageError: Naming the option, for what cannot be used.
    """
    wanted = measured(config)
    sets, classes, real = [], None, None
    if config.imagenet:
        first, names = validation(config)
        classes, sets = len(names), [first]
        if "ood" in wanted:
            sets += others(config, names)
            real = real_labels(config, first, classes) if config.real else None
    networks = load(config, classes)
    of: Classes = {}
    for part in ("shape", "cues"):
        if part in wanted:
            of = classes_of_categories(config, networks.classes)
            fields = (f for f in CATEGORY_SETS[part] if getattr(config, f))
            sets += [of_categories(f, config) for f in fields]
    changed = tuple(part for part in CHANGED if part in wanted)
    count = (config.images or len(sets[0])) if changed else 0
    return Material(networks, tuple(sets), changed, count, of, real)


@dataclass
class Counts:
    """What came of it.

    Attributes:
        answers: Of each set: (image, network), the class or category that was answered.
        outcomes: Of each part: (network, condition, 2): right, and unread.
    """

    answers: dict[str, np.ndarray] = field(default_factory=dict)
    outcomes: dict[str, np.ndarray] = field(default_factory=dict)


class Walk:
    """The compiled steps, and the way through the sets."""

    def __init__(
        self, material: Material, config: Config, directory: RunDirectory
    ) -> None:
        """Nothing is compiled before it is needed."""
        # Processes of other hosts would have to read the same images: they do not help.
        self._mesh = Mesh(np.asarray(jax.local_devices()), (NETWORKS,))
        self._material, self._config, self._directory = material, config, directory
        networks = material.networks
        self._params = laid_out(networks.params, NamedSharding(self._mesh, P()))
        key = rng.stream(jax.random.key(config.seed), "probe")
        self._parts = {
            name: parts.part(name, networks.predict, config)
            for name in material.changed
        }
        self._counters = {
            name: parts.counter(one, self._mesh) for name, one in self._parts.items()
        }
        self._keys = {name: rng.stream(key, name) for name in self._parts}
        self._answerers: dict[bool, Callable] = {}

    @property
    def conditions(self) -> dict[str, tuple[str, ...]]:
        """Names of the conditions of each part."""
        return {name: one.conditions for name, one in self._parts.items()}

    def run(self, reporter: Reporter) -> Counts:
        """Show every image to every network."""
        pieces = [piece for one in self._material.sets for piece in self._pieces(one)]
        there = set(self._directory.chunk_names())
        kept: dict[str, Columns] = {}
        with reporter.progress("images") as progress:
            for name in (piece[0] for piece in pieces):
                found = self._directory.load_chunk(name) if name in there else None
                kept |= {} if found is None else {name: found}
            done = [piece for piece in pieces if piece[0] in kept]
            progress.start(
                sum(map(self._cost, pieces), 0.0),
                sum(stop - start for _, _, start, stop in done),
                sum(map(self._cost, done), 0.0),
            )
            kept |= self._shown([p for p in pieces if p[0] not in kept], progress)
        return self._joined(pieces, kept)

    def _pieces(self, images: ImageSet) -> list[tuple[str, ImageSet, int, int]]:
        """Name, set, and first and last image of each chunk."""
        count = len(images)
        if images.name == VALIDATION:
            asked = (self._config.clean_images or count, self._material.count)
            count = max(asked) if self._needs_clean else self._material.count
        starts = range(0, count, self._config.batch)
        stops = [min(start + self._config.batch, count) for start in starts]
        return [
            (f"{images.name}-{start:09d}-{stop:09d}", images, start, stop)
            for start, stop in zip(starts, stops, strict=True)
        ]

    @property
    def _needs_clean(self) -> bool:
        return "clean" in measured(self._config) or self._material.real is not None

    def _cost(self, piece: tuple[str, ImageSet, int, int]) -> float:
        _, images, start, stop = piece
        cost = float(stop - start)
        if images.name == VALIDATION:
            changed = max(0, min(stop, self._material.count) - start)
            cost += changed * sum(one.cost for one in self._parts.values())
        return cost

    def _shown(self, pieces: list, progress: Progress) -> dict[str, Columns]:
        """Chunks that are computed now: one is decoded while another is shown."""
        kept: dict[str, Columns] = {}
        pending: deque = deque()

        def collect() -> None:
            piece, arrays = pending.popleft()
            name, _, start, stop = piece
            host = {k: np.asarray(v) for k, v in arrays.items()}
            host["answers"] = host["answers"][: stop - start]
            # Devices counted their own images.
            host |= {k: v.sum(axis=0) for k, v in host.items() if k != "answers"}
            self._directory.save_chunk(name, host)
            kept[name] = host
            progress.advance(stop - start, self._cost(piece))

        for piece in pieces:
            pending.append((piece, self._dispatched(piece)))
            if len(pending) > 1:
                collect()
        while pending:
            collect()
        return kept

    def _dispatched(self, piece: tuple[str, ImageSet, int, int]) -> dict[str, Array]:
        _, images, start, stop = piece
        pixels, labels = images.pixels(start, stop), images.labels[start:stop]
        numbers = images.numbers[start:stop].astype(np.int32)
        size = -(-self._config.batch // self._mesh.size) * self._mesh.size
        spread = NamedSharding(self._mesh, P(NETWORKS))
        filled = parts.padded((pixels, numbers, labels), size)
        sent = [laid_out(part, spread) for part in filled]
        found = {"answers": self._answers(images, sent[0])}
        if images.name == VALIDATION and start < self._material.count:
            last = min(stop, self._material.count) - start
            real = laid_out(np.arange(size) < last, spread)
            for name, counter in self._counters.items():
                found[name] = counter(self._params, self._keys[name], *sent, real)
        return found

    def _answers(self, images: ImageSet, pixels: Array) -> Array:
        networks = self._material.networks
        by_class = images.allowed is not None
        if by_class not in self._answerers:
            decide = (
                parts.class_of
                if by_class
                else parts.category_of(self._material.classes, self._config)
            )
            step = parts.answerer(networks.predict, decide, self._mesh)
            self._answerers[by_class] = step
        allowed = images.allowed if by_class else np.ones(networks.classes, bool)
        return self._answerers[by_class](self._params, allowed, pixels)

    def _joined(self, pieces: list, kept: dict[str, Columns]) -> Counts:
        found: dict[str, list[Any]] = {}
        outcomes: dict[str, np.ndarray] = {}
        for name, images, _, _ in pieces:
            chunk = dict(kept[name])
            found.setdefault(images.name, []).append(chunk.pop("answers"))
            for part, counted in chunk.items():
                outcomes[part] = outcomes.get(part, 0) + counted.astype(np.int64)
        answers = {name: np.concatenate(of) for name, of in found.items()}
        return Counts(answers, outcomes)
