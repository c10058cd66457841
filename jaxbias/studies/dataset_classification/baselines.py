"""Hand-made features beside every network: a linear classifier of colour, border, noise and
spectrum, on the very images that the network is shown."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from jaxbias.numerics import low_level
from jaxbias.numerics.statistics import evenly
from jaxbias.probes import linear
from jaxbias.studies.dataset_classification.audit import together
from jaxbias.studies.dataset_classification.cases import Case
from jaxbias.studies.dataset_classification.images import Pool
from jaxbias.studies.dataset_classification.views import shown
from jaxbias.training.build import WHOLE, Shown
from jaxbias.training.evaluation import Scores
from jaxbias.training.sets import Prepared
from jaxbias.training.steps import VIEW_SEED, as_floats, keys_of

MOST = 20_000
"""Training images from which the classifier is fitted, at most."""

PIECE = 500
"""Images that are shown at once."""


class Baselines:
    """Fits the features of each case; cases with the same images and view share a fit."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self._known: dict[tuple, Scores] = {}

    def __call__(
        self, case: Case, training: Prepared, validation: Prepared
    ) -> Scores | None:
        """Scores on the validation images; None where images are streamed."""
        if training.images is None or validation.images is None:
            return None
        key = case.split, case.view
        if key not in self._known:
            view = shown(case.view, self.pool.size, self.pool.stored)
            chosen = evenly(len(training.images), MOST)
            x = features(np.asarray(training.images.images)[chosen], view)
            fitted = linear.fit(
                x, training.images.labels[chosen], len(case.split.names)
            )
            y = features(np.asarray(validation.images.images), view)
            self._known[key] = _scores(fitted, y, validation.images.labels)
        return self._known[key]


def shown_pixels(pixels: np.ndarray, view: Shown) -> np.ndarray:
    """Images as a view shows them at evaluation, in 8 bits."""
    if view == WHOLE:
        return pixels
    run = jax.jit(partial(_viewed, view))
    pieces = []
    for start in range(0, len(pixels), PIECE):
        part = pixels[start : start + PIECE]
        index = np.arange(start, start + len(part))
        pieces.append(np.asarray(run(part, index)))
    return np.concatenate(pieces)


def features(pixels: np.ndarray, view: Shown) -> np.ndarray:
    """All groups of hand-made features, of images as a view shows them."""
    seen = shown_pixels(pixels, view)
    # Two transforms may lie on one another's channels.
    planes = np.split(seen, max(1, seen.shape[-1] // 3), axis=-1)
    return np.concatenate([together(low_level.features(p)) for p in planes], axis=1)


def _viewed(view: Shown, pixels: jax.Array, index: jax.Array) -> jax.Array:
    keys = keys_of(jax.random.key(VIEW_SEED), index)
    images = view.view()(keys, as_floats(pixels))
    return jnp.round(jnp.clip(images, 0, 1) * 255).astype(jnp.uint8)


def _scores(fitted: linear.Linear, x: np.ndarray, labels: np.ndarray) -> Scores:
    chances = fitted.probabilities(x)
    own = np.maximum(chances[np.arange(len(labels)), labels], np.finfo(np.float32).tiny)
    return Scores(-np.log(own).astype(np.float32), chances.argmax(axis=1), labels)
