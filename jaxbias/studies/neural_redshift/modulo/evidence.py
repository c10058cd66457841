"""Questions that the ledger and the figures ask of the trainings' table."""

from dataclasses import dataclass

import numpy as np

from jaxbias.ledger import MissingError
from jaxbias.studies.neural_redshift.modulo.config import Config, Setting
from jaxbias.sweeps import Columns


@dataclass(frozen=True)
class Evidence:
    """A run's table and configuration."""

    columns: Columns
    config: Config

    def has(self, *, activations: tuple[str, ...] = (), moduli: tuple = ()) -> None:
        """Raise `MissingError` unless the run trained on these."""
        for name in activations:
            if name not in self.config.activations:
                raise MissingError(f"{name} was not trained")
        for modulus in moduli:
            if modulus not in self.config.moduli:
                raise MissingError(f"M = {modulus} was not trained")

    def among(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Those of the named activations that were trained.

        Raises:
            MissingError: If none was.
        """
        found = tuple(name for name in names if name in self.config.activations)
        if not found:
            raise MissingError(f"none of {', '.join(names)} was trained")
        return found

    def curve(
        self,
        name: str,
        activation: str,
        modulus: int,
        *,
        setting: Setting | None = None,
        steps: int | None = None,
    ) -> np.ndarray:
        """A column by prefactor and network, after all steps or after some."""
        setting = setting or self.config.settings()[0]
        columns = self.columns
        chosen = (
            (columns["activation"] == activation)
            & (columns["modulus"] == modulus)
            & (
                columns["steps"]
                == (self.config.iterations[-1] if steps is None else steps)
            )
        )
        for field, value in setting._asdict().items():
            chosen &= columns[field] == value
        return columns[name][chosen].reshape(len(self.config.prefactors), -1)

    def means(self, activation: str, modulus: int, **where) -> np.ndarray:
        """Mean relative accuracy on held-out points, by prefactor."""
        return self.curve("relative_accuracy", activation, modulus, **where).mean(
            axis=1
        )

    def best(self, activation: str, modulus: int, **where) -> tuple[float, float]:
        """The best mean relative accuracy over prefactors, and the prefactor."""
        found = self.means(activation, modulus, **where)
        if np.isnan(found).all():
            raise MissingError("held-out points have one label alone")
        place = int(np.nanargmax(found))
        return float(found[place]), self.config.prefactors[place]

    def peak(self, activation: str, modulus: int) -> float:
        """Prefactor at the top of a quadratic in its logarithm fitted to accuracy.

        NaN where the fit has no top: it opens upwards.
        """
        x = np.log2(self.config.prefactors)
        if len(x) < 4:
            raise MissingError(f"{len(x)} prefactors, 4 are needed for a quadratic fit")
        second, first, _ = np.polyfit(x, self.means(activation, modulus), 2)
        return float(2 ** (-first / (2 * second))) if second < 0 else float("nan")
