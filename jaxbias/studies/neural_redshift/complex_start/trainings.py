"""Trainings on modulo addition from three kinds of weights."""

from dataclasses import dataclass, replace
from functools import partial

import jax.numpy as jnp
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


def _parts(config: Config) -> list[trainings.Part]:
    """One activation and start after the other."""
    found = []
    for activation in config.activations:
        for kind in config.starts:
            part = replace(config, activations=(activation,))
            make = partial(ComplexLearner, kind=kind, config=part)
            model = trainings.learner(part, Learner if kind == "random" else make)
            found.append(trainings.Part(part, model, {"start": kind}))
    return found


def blocks(config: Config, key: RandomKey, mesh: Mesh) -> list[sweeps.Block]:
    """The blocks of each activation and start; the starts share splits and draws."""
    return trainings.blocks_of(_parts(config), key, mesh)


def table(config: Config, swept: sweeps.Columns) -> sweeps.Columns:
    """The results: a row for each network and look, `start` saying where it began."""
    return trainings.table_of(_parts(config), swept)
