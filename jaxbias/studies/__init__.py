"""The five studies and the plain classifier that they stand on, one folder each.

An experiment is a module with a configuration, three presets of it, checks and a run;
what is published stands as data in its ledger, which judges the run.
"""

import importlib
from types import ModuleType

STUDIES = {
    "neural_redshift": "jaxbias.studies.neural_redshift",
    "generative_augmentation": "jaxbias.studies.generative_augmentation",
    "dataset_classification": "jaxbias.studies.dataset_classification",
    "imagenet_biases": "jaxbias.studies.imagenet_biases",
    "synthetic_shape_bias": "jaxbias.studies.synthetic_shape_bias",
    "train": "jaxbias.studies.train",
}
"""Studies by name; each module has TITLE, EXPERIMENTS and DEFAULT.

An experiment's module has Config, PRESETS (configurations by preset; where the module has
PRESETS_BY, a field of Config, by that field's value and preset), check_values, check, run,
and, if its result is more than verdicts, show."""


def described(study: str) -> ModuleType:
    """What a study says of itself, by its name in `STUDIES`."""
    return importlib.import_module(STUDIES[study])
