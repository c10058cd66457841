"""What each feature reads on each set of stimuli, with chance and intervals."""

from collections.abc import Iterator
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from jaxbias import rng, tables
from jaxbias.numerics import image_features
from jaxbias.numerics.bootstrap import interval
from jaxbias.probes import neighbours
from jaxbias.studies.synthetic_shape_bias.calibration.config import Config
from jaxbias.studies.synthetic_shape_bias.calibration.stimuli import Set
from jaxbias.terminal import Reporter

NOISE = "noise"
NOISE_WIDTH = 32

PLAIN = (
    *("pixels", "pixels-64", "grey-pixels", "thumbnail", "mean-colour"),
    *("colour-histogram", "hog-1", "hog-2", "hog-4", "hog-8", "power-spectrum"),
)
RANDOM = ("random-map", "random-pooled", "random-pooled-64")
"""Of untrained networks, of which there are several."""

PADDED_TO = (512, 4_096, 16_384)
"""Widths that embeddings are filled up to with zeros, which change no cosine: features of
like width share a program."""

EXCLUSIONS: tuple[neighbours.Exclusion, ...] = ("none", "own", "either")


@dataclass(frozen=True)
class Evidence:
    """What there is to judge.

    Attributes:
        results: A row for each set, feature, network and exclusion; see `rows_of`.
    """

    results: dict[str, np.ndarray]

    def at(
        self, name: str, feature: str, exclusion: neighbours.Exclusion = "none"
    ) -> dict[str, np.ndarray] | None:
        """The rows of a feature on a set, one for each network; None if there are none."""
        columns = self.results
        chosen = (columns["stimuli"] == name) & (columns["feature"] == feature)
        chosen &= columns["excluded"] == exclusion
        if not chosen.any():
            return None
        return {key: values[chosen] for key, values in columns.items()}


def gathered(found: Iterator[Set], config: Config, reporter: Reporter) -> Evidence:
    """Read every feature on every set."""
    rows = []
    for one in found:
        reporter.say(
            f"{one.name}: {len(one.images):,} images of {one.classes} shapes and "
            f"textures, {one.images.shape[1]} x {one.images.shape[2]}"
        )
        for feature, network, values in embeddings(one, config):
            rows += rows_of(one, feature, network, values, config)
    return Evidence(tables.columns_of(rows))


def embeddings(one: Set, config: Config) -> Iterator[tuple[str, int, np.ndarray]]:
    """Features by name and number of the network, 0 where there is none."""
    key = rng.stream(jax.random.key(config.seed), "features")
    noise = np.random.default_rng(config.seed).normal(
        size=(len(one.images), NOISE_WIDTH)
    )
    yield NOISE, 0, noise.astype(np.float32)
    plain = image_features.features(jax.random.clone(key), one.images, PLAIN)
    colours = np.asarray(image_features.MEAN), np.asarray(image_features.DEVIATION)
    for name, values in plain.items():
        if name in ("pixels", "pixels-64", "mean-colour"):
            # As networks are shown them: cosines are of what is left.
            channels = values.reshape(len(values), -1, 3)
            values = ((channels - colours[0]) / colours[1]).reshape(len(values), -1)
        elif name == "power-spectrum":
            values = values - values.mean(axis=0)
        yield name, 0, values.astype(np.float32)
    for network in range(config.networks):
        own = jax.random.fold_in(jax.random.clone(key), network)
        found = image_features.features(own, one.images, RANDOM)
        yield from ((name, network, values) for name, values in found.items())


def rows_of(
    one: Set, feature: str, network: int, values: np.ndarray, config: Config
) -> list[dict[str, str | int | float]]:
    """A row for each exclusion that means something for the set.

    Columns: `stimuli`, `feature`, `network` (number of the untrained one), `excluded` (who
    does not vote); shares of images `shape`, `texture` and `decided`, means over k = 1 to
    5; `shape_bias`, as published, with `low` and `high` (bootstrap of source images, 95 %);
    `chance_shape` and `chance_texture`, of permuted labels; `above_chance`, the shape bias
    of what is above these.
    """
    labels = (jnp.asarray(one.shapes), jnp.asarray(one.textures), one.sources)
    options = {"classes": one.classes}
    key = rng.stream(jax.random.key(config.seed), one.name, feature, str(network))
    width = values.shape[1]
    fits = next((most for most in PADDED_TO if width <= most), width)
    padded = jnp.asarray(np.pad(values, ((0, 0), (0, fits - width))))
    rows = []
    for excluded in EXCLUSIONS if one.shared else EXCLUSIONS[:1]:
        read = neighbours.neighbour_bias(padded, *labels, exclusion=excluded, **options)
        first, second = jax.random.split(rng.stream(key, excluded))
        chance = neighbours.chance(
            first, read, *labels, permutations=config.permutations, **options
        )
        drawn = neighbours.resampled(
            second, read, *labels, resamples=config.resamples, **options
        )
        low, high = interval(np.asarray(drawn.mean))
        rows.append(
            {
                "stimuli": one.name,
                "feature": feature,
                "network": network,
                "excluded": excluded,
                "shape": float(read.shape_accuracy.mean()),
                "texture": float(read.texture_accuracy.mean()),
                "decided": float(read.decided.mean()),
                "shape_bias": float(read.mean),
                "low": float(low),
                "high": float(high),
                "chance_shape": float(chance[0].mean()),
                "chance_texture": float(chance[1].mean()),
                "above_chance": float(neighbours.above_chance(read, chance).mean()),
            }
        )
    return rows
