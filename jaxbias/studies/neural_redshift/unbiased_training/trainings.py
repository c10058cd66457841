"""Trainings of the unbiased model and of perceptrons, on the same points."""

from dataclasses import replace
from functools import partial

import numpy as np
from jax.sharding import Mesh

from jaxbias import sweeps
from jaxbias.arrays import RandomKey
from jaxbias.studies.neural_redshift.learners import UnbiasedLearner
from jaxbias.studies.neural_redshift.modulo import trainings
from jaxbias.studies.neural_redshift.unbiased_training.config import Config


def _parts(config: Config) -> list[trainings.Part]:
    """The perceptrons, then each unbiased model."""
    perceptrons = {"model": "", "max_frequency": 0}
    found = [trainings.Part(config, trainings.learner(config), perceptrons)]
    # It has neither activation nor prefactor.
    part = replace(config, activations=("sine",), prefactors=(1.0,))
    for most in config.max_frequencies:
        make = partial(UnbiasedLearner, max_frequency=most)
        labels = {"model": f"unbiased {most}", "max_frequency": most}
        found.append(trainings.Part(part, trainings.learner(part, make), labels))
    return found


def blocks(config: Config, key: RandomKey, mesh: Mesh) -> list[sweeps.Block]:
    """The perceptrons' blocks, then those of each unbiased model."""
    return trainings.blocks_of(_parts(config), key, mesh)


def table(config: Config, swept: sweeps.Columns) -> sweeps.Columns:
    """The results: a row for each network and look, `model` saying what it is."""
    columns = trainings.table_of(_parts(config), swept)
    free = columns["max_frequency"] > 0
    columns["model"] = np.where(free, columns["model"], columns.pop("activation"))
    columns["prefactor"] = np.where(free, np.nan, columns["prefactor"])
    return columns
