"""What a ledger's rules ask of a run on digits beside something else."""

from dataclasses import dataclass

import numpy as np

from jaxbias.ledger import MissingError
from jaxbias.studies.neural_redshift.shortcut.config import Trainings
from jaxbias.sweeps import Columns


@dataclass(frozen=True)
class Evidence:
    """A run's table and configuration."""

    columns: Columns
    config: Trainings

    def enough(self) -> None:
        """Raise `MissingError` where trainings are too short or prefactors too few."""
        steps, count = self.config.iterations[-1], len(self.config.prefactors)
        if steps < 1000 or count < 4:
            raise MissingError(
                f"{steps:,} steps and {count} prefactors, 1,000 and 4 are needed"
            )

    def curve(self, name: str, activation: str, steps: int | None = None) -> np.ndarray:
        """A column by prefactor (rising) and network, after all steps or some."""
        if activation not in self.config.activations:
            raise MissingError(f"{activation} was not trained")
        steps = self.config.iterations[-1] if steps is None else steps
        columns = self.columns
        chosen = (columns["activation"] == activation) & (columns["steps"] == steps)
        values = columns[name][chosen].reshape(len(self.config.prefactors), -1)
        return values[np.argsort(self.config.prefactors)]

    @property
    def prefactors(self) -> np.ndarray:
        """In rising order."""
        return np.sort(self.config.prefactors)
