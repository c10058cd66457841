"""Trainings of the unbiased model and of perceptrons, on the same points."""

from dataclasses import fields

import numpy as np
from jax.sharding import Mesh

from jaxbias import sweeps
from jaxbias.arrays import RandomKey
from jaxbias.studies.neural_redshift.learners import Learner, UnbiasedLearner
from jaxbias.studies.neural_redshift.modulo import trainings
from jaxbias.studies.neural_redshift.unbiased_training.config import Config, of_model


def _unbiased(config: Config, max_frequency: int) -> UnbiasedLearner:
    model = trainings.learner(of_model(config, unbiased=True))
    same = {field.name: getattr(model, field.name) for field in fields(Learner)}
    return UnbiasedLearner(**same, max_frequency=max_frequency)


def blocks(config: Config, key: RandomKey, mesh: Mesh) -> list[sweeps.Block]:
    """The perceptrons' blocks, then those of each unbiased model."""
    found = trainings.blocks(config, key, mesh)
    for most in config.max_frequencies:
        model = _unbiased(config, most)
        part = of_model(config, unbiased=True)
        found += trainings.blocks(part, key, mesh, model)
    return found


def table(config: Config, swept: sweeps.Columns) -> sweeps.Columns:
    """The results: a row for each network and look, `model` saying what it is."""
    parts, start = [], 0
    models = [("", 0), *((f"unbiased {most}", most) for most in config.max_frequencies)]
    for name, most in models:
        part = of_model(config, unbiased=bool(most))
        count = len(list(trainings.cases(part))) * len(part.prefactors) * part.n_seeds
        columns = trainings.table(part, {"seen": swept["seen"][start : start + count]})
        start += count
        activations = columns.pop("activation")
        if most:
            columns["prefactor"] = np.full(len(activations), np.nan)
        columns["model"] = np.full(len(activations), name) if most else activations
        columns["max_frequency"] = np.full(len(activations), most)
        parts.append(columns)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
