"""How various the images of a set are, and how far from those of a reference."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxbias import rng, tables
from jaxbias.numerics import diversity, image_features
from jaxbias.numerics.low_level import grey
from jaxbias.numerics.statistics import evenly
from jaxbias.runs import RunDirectory
from jaxbias.studies.synthetic_shape_bias.cases import Reading
from jaxbias.studies.synthetic_shape_bias.many_trainings import Common
from jaxbias.sweeps import Columns
from jaxbias.terminal import Reporter

FEATURES = ("pixels", "power-spectrum", "hog-4", "random-map", "random-pooled")
"""What Vendi scores are taken on; they disagree, so there is never one alone."""

MAIN = "hog-4"
"""Whose Vendi score is nearest to the order of published transfer accuracies."""

VARIETY = f"vendi_{MAIN}"


def written(
    found: Reading, config: Common, directory: RunDirectory, reporter: Reporter
) -> Columns:
    """Write what was read of all cases, measure their sets, and write that too."""
    directory.write_table(found.rows)
    with reporter.status("measuring the sets"):
        sets = measured(found.samples, found.reference, seed=config.seed)
    directory.write_table(sets, "sets.parquet")
    return sets


def measured(
    samples: Mapping[str, np.ndarray], reference: np.ndarray, *, seed: int
) -> Columns:
    """A row for each set of images.

    Columns: `set`; `vendi_FEATURE` (1 to the number of images); `kid`, `frechet`,
    `precision`, `recall`, `density` and `coverage` against the reference, on gradient
    histograms; `slope` and `slope_sd` of the power spectrum; `kurtosis` of gradients, its
    median. Features are z-scored over all sets and the reference together, of each of
    which as many images are taken as the smallest has: scores depend on that number.

    Args:
        samples: uint8 images by the set's name.
        reference: uint8 images, of which some are taken, evenly.
        seed: Of the random network.
    """
    count = min(len(images) for images in (*samples.values(), reference))
    sets = [images[:count] for images in samples.values()]
    sets.append(reference[evenly(len(reference), count)])
    key = rng.stream(jax.random.key(seed), "measures")
    whole = image_features.features(key, np.concatenate(sets), FEATURES)
    parts = {
        name: np.split(image_features.z_scores(values)[0], len(sets))
        for name, values in whole.items()
    }
    real = parts[MAIN][-1]
    rows = []
    for number, (name, images) in enumerate(samples.items()):
        row: dict[str, str | float] = {"set": name}
        for feature in FEATURES:
            shares = diversity.feature_shares(jnp.asarray(parts[feature][number]))
            row[f"vendi_{feature}"] = float(diversity.vendi(shares))
        row |= diversity.distances(real, parts[MAIN][number]) | _statistics(
            images[:count]
        )
        rows.append(row)
    return tables.columns_of(rows)


def _statistics(images: np.ndarray) -> dict[str, float]:
    planes = grey(jnp.asarray(images, jnp.float32) / 255)
    slopes = np.asarray(diversity.spectral_slope(planes))
    kurtosis = np.asarray(diversity.gradient_kurtosis(planes))
    return {
        "slope": _of_known(np.mean, slopes),
        "slope_sd": _of_known(np.std, slopes),
        "kurtosis": _of_known(np.median, kurtosis),
    }


def _of_known(reduce: Callable[[np.ndarray], Any], values: np.ndarray) -> float:
    """Of those that are finite; NaN if none is."""
    known = values[np.isfinite(values)]
    return float(reduce(known)) if len(known) else float("nan")


def at(sets: Columns, rows: Columns, name: str) -> np.ndarray:
    """A set's measure for each row of a table that has a column `set`."""
    by_set = dict(zip(sets["set"].tolist(), sets[name], strict=True))
    return np.asarray([by_set[one] for one in rows["set"].tolist()], np.float64)
