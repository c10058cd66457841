"""Questions that the ledger and the figures ask of a gaussian-mixture run's table."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from jaxbias.ledger import MissingError
from jaxbias.studies.generative_augmentation.mixture.config import Config, Sampler


class Series(NamedTuple):
    """A statistic along a list of points: means and their standard errors."""

    value: np.ndarray
    error: np.ndarray


@dataclass(frozen=True)
class Evidence:
    """A run's table and configuration."""

    columns: dict[str, np.ndarray]
    config: Config

    @property
    def sampler(self) -> Sampler:
        """The sampler to ask where either would do: the one with the exact law."""
        samplers = self.config.sampler
        return "sufficient" if "sufficient" in samplers else samplers[0]

    def needs(self, trials: int) -> None:
        """Raise `MissingError` where a claim would rest on too few trials."""
        if self.config.n_trials < trials:
            raise MissingError(f"{self.config.n_trials} trials, {trials} are needed")

    def series(
        self,
        name: str,
        *,
        m_real: Sequence[int] | int,
        dim: Sequence[int] | int,
        gamma: Sequence[float] | float,
        sampler: Sampler | None = None,
    ) -> Series:
        """A statistic at the given points, of which at most one label is a list.

        Raises:
            MissingError: If the run has not computed all of them.
        """
        chosen = self.columns["sampler"] == (sampler or self.sampler)
        wanted = zip(*np.broadcast_arrays(m_real, dim, gamma), strict=True)
        rows = []
        for m, d, g in wanted:
            row = np.flatnonzero(
                chosen
                & (self.columns["m_real"] == m)
                & (self.columns["dim"] == d)
                & (self.columns["gamma"] == g)
            )
            if not len(row):
                raise MissingError(f"no point with m {m}, dim {d}, gamma {g:g}")
            rows.append(row[0])
        value = self.columns[name][rows]
        if np.isnan(value).any():
            raise MissingError(f"the {sampler or self.sampler} sampler gives no {name}")
        errors = self.columns.get(f"{name}_se")
        error = np.zeros(len(rows)) if errors is None else errors[rows]
        return Series(value, error)

    def both(self, name: str) -> tuple[Series, Series]:
        """A statistic at every point by the sufficient and by the direct sampler.

        Raises:
            MissingError: If only one of them was run.
        """
        if set(self.config.sampler) != {"sufficient", "direct"}:
            raise MissingError("one sampler alone was run")
        found = []
        for sampler in ("sufficient", "direct"):
            rows = self.columns["sampler"] == sampler
            error = self.columns[f"{name}_se"][rows]
            found.append(Series(self.columns[name][rows], error))
        return found[0], found[1]
