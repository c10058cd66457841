"""What a network's features say at a step: shape, texture, transfer and distances."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxbias import rng
from jaxbias.data.cue_conflict import Stimuli
from jaxbias.numerics.bootstrap import interval
from jaxbias.probes import cues, linear, neighbours
from jaxbias.probes.features import extract
from jaxbias.probes.shape_bias import Sources
from jaxbias.studies.synthetic_shape_bias.calibration import stimuli
from jaxbias.studies.synthetic_shape_bias.calibration.config import Config as Asked
from jaxbias.studies.synthetic_shape_bias.calibration.stimuli import Set
from jaxbias.studies.synthetic_shape_bias.train.config import Config
from jaxbias.studies.synthetic_shape_bias.train.images import Transfer
from jaxbias.studies.synthetic_shape_bias.train.tasks import Features
from jaxbias.training.steps import Task, TrainState

PIECE = 200
"""Images whose features are computed at once."""

SPREAD = 64
"""Images of a batch whose spread is taken, as published."""

PENALTY = 1e-2
"""Of the linear classifier: one, so that looks are comparable."""

LAYER = "features"

WORDS = {
    "solid": "drawn, on a colour",
    "textured": "drawn, on a texture",
    "official": "official",
}
"""The sets of stimuli, for figures."""

LOG = ("kind", "case")
"""What is in a log's rows alone."""

INSTANCES = 5
"""Drawn images of each pair of a shape and another texture: 1,200 in all."""

AGREEING = 20
"""Drawn images of each class whose cues agree."""


def steps_of(total: int, count: int) -> tuple[int, ...]:
    """Steps after which a network is looked at: 0, the last, and some in between."""
    if count <= 2:
        return (0, total)[:count]
    between = np.geomspace(1, total, count - 1)
    return tuple(sorted({0, *np.rint(between).astype(int).tolist()}))


def shown(config: Config) -> list[Set]:
    """The stimuli, at the size of the training images unless another is asked for."""
    size = config.stimuli_size or config.size
    asked = Asked(
        cue_conflict=config.cue_conflict,
        drawn=("solid", "textured"),
        size=max(64, size),
        instances=INSTANCES,
        seed=config.seed,
    )
    return [_at(one, size) for one in stimuli.sets(asked, agreeing=AGREEING)]


def _at(one: Set, size: int) -> Set:
    both = one.agreeing
    if both is not None:
        both = replace(both, images=stimuli.brought(both.images, size))
    return replace(one, images=stimuli.brought(one.images, size), agreeing=both)


@dataclass(frozen=True)
class OneCue:
    """Images that have a shape alone.

    Attributes:
        name: "edges" or "silhouettes".
        images: uint8, NHWC.
        labels: Of the shapes.
    """

    name: str
    images: np.ndarray
    labels: np.ndarray


def of_one_cue(config: Config) -> list[OneCue]:
    """Official edges and silhouettes, as far as they are given.

    Raises:
        UsageError: If they cannot be read.
    """
    size, found = config.stimuli_size or config.size, []
    for name in ("edges", "silhouettes"):
        if folder := getattr(config, name):
            one = Stimuli.open(folder, conflict=False)
            labels = neighbours.released_labels(one.shapes)
            found.append(OneCue(name, stimuli.brought(one.images(), size), labels))
    return found


def _digest(features: Features, weights: Any) -> bytes:
    """Equal for equal networks with equal weights."""
    found = blake2b(repr(features).encode())
    for leaf in jax.tree.leaves(jax.device_get(weights)):
        found.update(np.ascontiguousarray(leaf).tobytes())
    return found.digest()


def rows_of(looks: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows of a table from those of a log."""
    return [{k: v for k, v in row.items() if k not in LOG} for row in looks]


@jax.jit
def _pairs(
    key: Array, values: Array, shapes: Array, textures: Array, sources: Sources
) -> dict[str, Array]:
    """Of pairs that share a cue and no original."""
    apart, _ = neighbours.voters(sources, "either")
    drawn = cues.matches(key, shapes, textures, apart)
    return {
        "triplet": cues.triplets(values, drawn).shape,
        "shape_score": cues.pair_score(values, drawn.shape),
        "texture_score": cues.pair_score(values, drawn.texture),
    }


@dataclass
class Readouts:
    """Looks at states of one training; see `fit.Looks`.

    Attributes:
        sets: Stimuli of known cues.
        transfer: Labelled images.
        own: Some training images.
        config: Of the experiment.
        known: What was read of weights that were met before, by their digest; several
            trainings that start alike can share it.
        single: Stimuli of a shape alone.
    """

    sets: Sequence[Set]
    transfer: Transfer
    own: np.ndarray
    config: Config
    known: dict[bytes, dict[str, float]] = field(default_factory=dict)
    single: Sequence[OneCue] = ()

    def __post_init__(self) -> None:
        self._features: Features | None = None

    def __call__(self, task: Task, state: TrainState) -> dict[str, float]:
        """Numbers by name.

        For each set of stimuli NAME: shares of images whose shape and whose texture is
        found among neighbours (`NAME_shape`, `NAME_texture`), their shape bias
        (`NAME_bias`, `NAME_low`, `NAME_high`), how well a linear classifier tells shapes
        and textures (`NAME_shape_decoded`, `NAME_texture_decoded`), how one that was
        fitted on images whose cues agree decides (`NAME_decision_shape`, `..._texture`,
        `..._bias`), how often an image is nearer to one of its shape than to one of its
        texture (`NAME_triplet`), and how such pairs correlate (`NAME_shape_score`,
        `NAME_texture_score`); where images have siblings, the first three without these
        (`NAME_apart_...`), and the shape bias of what is above chance
        (`NAME_apart_bias`). `edges` and `silhouettes`: how often the shape of an image of
        one cue is found. `transfer`: accuracy of a linear classifier of the labelled
        images; `jigsaw_quarter`, `jigsaw_eighth`: of the same, with patches of a quarter
        and an eighth of the side shuffled. `spread`: mean cosine distance of two training
        images; `colour`, `mirror`: of one and its grey version or mirror image.
        """
        if self._features is None:
            self._features = Features.of(task, self.config)
        weights = self._features.weights(state)
        digest = _digest(self._features, weights)
        if digest not in self.known:
            found: dict[str, float] = {}
            for one in self.sets:
                values = self._of(weights, one.images)
                found |= self._cues(one, values) | self._pairs(one, values)
                if one.agreeing is not None:
                    both = self._of(weights, one.agreeing.images)
                    found |= self._decisions(one, values, both)
            for one in self.single:
                values = jnp.asarray(self._of(weights, one.images))
                read = neighbours.neighbour_accuracy(values, jnp.asarray(one.labels))
                found[one.name] = float(read.mean())
            self.known[digest] = found | self._transferred(weights)
        return self.known[digest] | self._distances(weights)

    def _of(self, weights, images: np.ndarray) -> np.ndarray:
        assert self._features is not None
        batches = (images[i : i + PIECE] for i in range(0, len(images), PIECE))
        return extract(self._features, weights, batches, layer=LAYER)

    def _cues(self, one: Set, values: np.ndarray) -> dict[str, float]:
        labels = (jnp.asarray(one.shapes), jnp.asarray(one.textures), one.sources)
        read = neighbours.neighbour_bias(jnp.asarray(values), *labels)
        key = rng.stream(jax.random.key(self.config.seed), "looks", one.name)
        first, second = jax.random.split(key)
        drawn = neighbours.resampled(
            first, read, *labels, resamples=self.config.resamples
        )
        low, high = interval(np.asarray(drawn.mean))
        found = {
            f"{one.name}_shape": read.shape_accuracy.mean(),
            f"{one.name}_texture": read.texture_accuracy.mean(),
            f"{one.name}_bias": read.mean,
            f"{one.name}_low": low,
            f"{one.name}_high": high,
        }
        if one.shared:
            apart = neighbours.neighbour_bias(
                jnp.asarray(values), *labels, exclusion="either"
            )
            chance = neighbours.chance(second, apart, *labels, permutations=100)
            found |= {
                f"{one.name}_apart_shape": apart.shape_accuracy.mean(),
                f"{one.name}_apart_texture": apart.texture_accuracy.mean(),
                f"{one.name}_apart_bias": neighbours.above_chance(apart, chance).mean(),
            }
        for cue, own, source in (
            ("shape", one.shapes, one.sources.shape),
            ("texture", one.textures, one.sources.texture),
        ):
            decoded = cues.decodability(
                values, own, np.asarray(source), penalties=(PENALTY,)
            )
            found[f"{one.name}_{cue}_decoded"] = decoded
        return {name: float(value) for name, value in found.items()}

    def _pairs(self, one: Set, values: np.ndarray) -> dict[str, float]:
        key = rng.stream(jax.random.key(self.config.seed), "pairs", one.name)
        found = _pairs(
            *(key, jnp.asarray(values), jnp.asarray(one.shapes)),
            *(jnp.asarray(one.textures), one.sources),
        )
        return {f"{one.name}_{what}": float(value) for what, value in found.items()}

    def _decisions(
        self, one: Set, values: np.ndarray, both: np.ndarray
    ) -> dict[str, float]:
        assert one.agreeing is not None
        found = cues.decisions(
            *(values, one.shapes, one.textures, both, one.agreeing.labels),
            penalty=PENALTY,
        )
        return {
            f"{one.name}_decision_shape": found.shape,
            f"{one.name}_decision_texture": found.texture,
            f"{one.name}_decision_bias": found.bias,
        }

    def _transferred(self, weights) -> dict[str, float]:
        given = self.transfer
        values = self._of(weights, given.images)
        fitted = linear.fit(
            values[: given.fitted],
            given.labels[: given.fitted],
            given.classes,
            penalties=(PENALTY,),
        )
        tested = {"transfer": values[given.fitted :]} | {
            name: self._of(weights, images) for name, images in given.shuffled.items()
        }
        wanted = given.labels[given.fitted :]
        return {
            name: float(np.mean(fitted.predict(own) == wanted))
            for name, own in tested.items()
        }

    def _distances(self, weights) -> dict[str, float]:
        own = self.own
        grey = np.round(own.mean(axis=-1, keepdims=True)).astype(np.uint8)
        plain, other, mirror = (
            jnp.asarray(self._of(weights, images))
            for images in (own, np.repeat(grey, 3, axis=-1), own[:, :, ::-1])
        )
        batch = min(SPREAD, len(own))
        return {
            "spread": float(cues.in_batch_spread(plain, batch)),
            "colour": float(cues.pair_distance(plain, other)),
            "mirror": float(cues.pair_distance(plain, mirror)),
        }
