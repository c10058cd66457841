"""Modulo search: what it takes for the published outcome of modulo addition.

The paper leaves open how many of the points are trained on, the dimension and scale of
the inputs and, in its main text, the number of steps. All combinations are trained, and
the verdicts say for which of them ReLU fails at M = 7 and anything learns M = 4. smoke
takes half a minute and quick about three minutes on two cores; paper wants a GPU.
"""

from jaxbias.studies.neural_redshift.modulo.config import (
    SEARCH_PRESETS as PRESETS,
)
from jaxbias.studies.neural_redshift.modulo.config import Config, check_values
from jaxbias.studies.neural_redshift.modulo.experiment import check, run

__all__ = ["PRESETS", "Config", "check", "check_values", "run"]
