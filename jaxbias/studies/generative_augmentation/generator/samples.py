"""Images that are drawn from a trained generator, and how they stand beside real ones."""

import io
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxbias import rng, tables
from jaxbias.files import UsageError, write_atomic
from jaxbias.models import inception
from jaxbias.models.torch_weights import WeightsError
from jaxbias.numerics import diversity, image_features
from jaxbias.numerics.statistics import evenly
from jaxbias.probes import features
from jaxbias.runs import RunDirectory
from jaxbias.studies.generative_augmentation.generator.config import Config
from jaxbias.studies.generative_augmentation.generator.networks import Draw
from jaxbias.sweeps import Columns
from jaxbias.terminal import Reporter
from jaxbias.training.checkpoints import kept_or_made

AT_ONCE = 500
"""Images that are drawn at once, as in the released code."""

FEATURES = ("hog-4", "random-pooled")
"""What distances are taken on: gradients, and an untrained network; nobody trained them."""

INCEPTION_AT_ONCE = 50
"""Images of 299 x 299 pixels that are on the device at once."""

FILE = "samples.npz"


def labels_of(config: Config, classes: int) -> np.ndarray:
    """As many of each class, one after the other; in blocks of one class if asked for."""
    numbers = np.arange(config.samples)
    if not config.one_class:
        return numbers % classes
    return numbers * classes // config.samples


def pieces(draw: Draw, config: Config, classes: int) -> Iterator[Callable[[], Columns]]:
    """What draws the samples, piece by piece: `image` and `label` of each."""
    labels = labels_of(config, classes)
    # No piece has two classes where each is to have statistics of its own.
    blocks = [labels]
    if config.one_class:
        blocks = np.split(labels, np.flatnonzero(np.diff(labels)) + 1)
    parts = [
        block[place : place + AT_ONCE]
        for block in blocks
        for place in range(0, len(block), AT_ONCE)
    ]
    # All are filled up to one number, so that one program draws them, and alike.
    most = max(len(part) for part in parts)

    def made(number: int, own: np.ndarray) -> Columns:
        key = rng.stream(jax.random.key(config.seed), "samples", str(number))
        images = draw(key, jnp.asarray(np.resize(own, most), jnp.int32))
        return {"image": np.asarray(images)[: len(own)], "label": own}

    for number, own in enumerate(parts):
        yield partial(made, number, own)


def drawn(
    draw: Draw,
    config: Config,
    classes: int,
    directory: RunDirectory,
    reporter: Reporter,
) -> dict[str, np.ndarray] | None:
    """Draw all samples, in pieces that are kept.

    Returns:
        `image` and `label`, as such files have them; None in a process that does not see
        what the writer has kept.
    """
    parts = []
    for number, made in enumerate(pieces(draw, config, classes)):
        if number % 10 == 0:
            reporter.say(f"drawing piece {number + 1:,}")
        found = kept_or_made(f"samples-{number}", directory, made)
        if found is not None:
            parts.append(found)
    return whole(parts) if parts else None


def whole(parts: Sequence[Columns]) -> Columns:
    """Pieces, one after the other."""
    return {name: np.concatenate([one[name] for one in parts]) for name in parts[0]}


def written(
    samples: dict[str, np.ndarray], directory: RunDirectory, *, seed: int
) -> None:
    """Write the samples as an npz file of `image`, `label` and the run's `seed`."""
    buffer = io.BytesIO()
    images, labels = samples["image"], samples["label"]
    np.savez(buffer, image=images, label=labels, seed=np.asarray(seed))
    write_atomic(directory.path / FILE, buffer.getvalue())


def quality(
    made: np.ndarray,
    held_out: np.ndarray,
    training: np.ndarray,
    *,
    most: int,
    seed: int,
    weights: str = "",
) -> Columns:
    """How samples, training images and noise stand beside images that were not trained on.

    Of each set at most `most` are taken, evenly; `seed` is that of noise and features, and
    `weights` a file of Inception's, whose features are then taken too, as they are: on
    these, `frechet` and `kid` are FID and KID (of `images_each` images, to held-out ones).

    A row for each of the three and each feature. Columns: `images` ("samples",
    "training", "noise"), `feature`, `images_each`; `kid` and `frechet` distance,
    `precision`, `recall`, `density`, `coverage`; `vendi`.
    """
    random = np.random.default_rng(seed)
    count = min(most, len(held_out), len(training), len(made))
    sets = {
        "held-out": held_out[evenly(len(held_out), count)],
        "samples": made[evenly(len(made), count)],
        "training": training[evenly(len(training), count)],
    }
    sets["noise"] = random.integers(0, 256, sets["samples"].shape).astype(np.uint8)
    key = rng.stream(jax.random.key(seed), "features")
    images = np.concatenate([*sets.values()])
    every = {
        name: image_features.z_scores(values)[0]
        for name, values in image_features.features(key, images, FEATURES).items()
    }
    if weights:
        batches = np.array_split(images, -(-len(images) // INCEPTION_AT_ONCE))
        every["inception"] = features.extract(
            inception.layers, _inception(weights), batches
        )
    rows = []
    for feature, values in every.items():
        parts = np.split(values, len(sets))
        real = parts[0]
        for name, own in zip(list(sets)[1:], parts[1:], strict=True):
            shares = diversity.feature_shares(jnp.asarray(own))
            rows.append(
                {
                    "images": name,
                    "feature": feature,
                    "images_each": count,
                    **diversity.distances(real, own),
                    "vendi": float(diversity.vendi(shares)),
                }
            )
    return tables.columns_of(rows)


@lru_cache(maxsize=1)
def _inception(path: str) -> Any:
    """Inception's weights on the device, read once for all sets that are measured."""
    return jax.device_put(inception.load(Path(path)))


def check_weights(path: str) -> None:
    """Raise `UsageError`, in one line, if a file does not hold Inception's weights."""
    try:
        if path:
            _inception(path)
    except WeightsError as error:
        raise UsageError(f"--inception: {error}") from error


def nearest(
    made: np.ndarray, held_out: np.ndarray, training: np.ndarray, config: Config
) -> Columns:
    """How far samples, and images that were not trained on, are from training images.

    A row for each: `images` ("samples" or "held-out") and `distance`, the root mean square
    over pixels to the nearest training image, on the scale 0 to 1.
    """
    count = min(config.measured, len(held_out), len(made))
    every = _flat(training)
    rows = []
    for name, images in (("samples", made), ("held-out", held_out)):
        own = _flat(images[evenly(len(images), count)])
        for first in range(0, count, 100):
            part = own[first : first + 100]
            squares = (part**2).sum(1)[:, None] + (every**2).sum(1)[None]
            apart = np.maximum(squares - 2 * part @ every.T, 0).min(1)
            rows += [
                {"images": name, "distance": float(np.sqrt(one / own.shape[1]))}
                for one in apart
            ]
    return tables.columns_of(rows)


def _flat(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1).astype(np.float32) / 255
