"""Trainings on modulo addition from three kinds of weights."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxbias import sweeps
from jaxbias.arrays import Array, Params, RandomKey
from jaxbias.models.priors import scale
from jaxbias.studies.neural_redshift.complex_start.config import Config, Start
from jaxbias.studies.neural_redshift.learners import Learner
from jaxbias.studies.neural_redshift.modulo import task, trainings


@dataclass(frozen=True, kw_only=True)
class ComplexLearner(Learner):
    """A perceptron of one activation that does not begin at the prior.

    Attributes:
        kind: See `Config.starts`.
        config: Of the run.
    """

    kind: Start
    config: Config

    def start(self, key: RandomKey, dimension: int) -> Params:
        """Draw weights, and make their function complex."""
        params = super().start(key, dimension)
        if self.kind == "large":
            return scale(params, self.config.large_scale, self.prior)
        config = self.config
        count = config.points(dimension)
        integers = task.digits(jnp.arange(count), config.integers, dimension)
        x = task.inputs(integers, config.integers, config.input_scales[0])
        y = task.labels(integers, config.hard_modulus).astype(jnp.float32)

        def predict(params: Params, x: Array) -> Array:
            return self.predict(params, x, prefactor=config.prefactors[0])

        before = replace(self, marks=(config.start_iterations,))
        return before.fit(predict, params, x, y, lambda params: 0.0)[0]


def _parts(config: Config) -> Iterator[tuple[Config, Start]]:
    """One activation and start after the other."""
    for activation in config.activations:
        for kind in config.starts:
            yield replace(config, activations=(activation,)), kind


def blocks(config: Config, key: RandomKey, mesh: Mesh) -> list[sweeps.Block]:
    """The blocks of each activation and start; the starts share splits and draws."""
    found = []
    for part, kind in _parts(config):
        model = trainings.learner(part)
        if kind != "random":
            same = {field.name: getattr(model, field.name) for field in fields(Learner)}
            model = ComplexLearner(**same, kind=kind, config=part)
        found += trainings.blocks(part, key, mesh, model)
    return found


def table(config: Config, swept: sweeps.Columns) -> sweeps.Columns:
    """The results: a row for each network and look, `start` saying where it began."""
    parts, first = [], 0
    for part, kind in _parts(config):
        count = len(list(trainings.cases(part))) * len(part.prefactors) * part.n_seeds
        columns = trainings.table(part, {"seen": swept["seen"][first : first + count]})
        first += count
        columns["start"] = np.full(len(columns["steps"]), kind)
        parts.append(columns)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
