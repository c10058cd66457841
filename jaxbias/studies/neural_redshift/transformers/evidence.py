"""Questions that the ledger and the figures ask of the sequences' table."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from jaxbias.ledger import MissingError
from jaxbias.studies.neural_redshift.transformers.config import Config
from jaxbias.sweeps import Columns

FEW = 4
"""Draws of weights below which nothing is judged."""


class Spread(NamedTuple):
    """A mean, its error, and where its spread comes from."""

    mean: float
    se: float
    """Standard error, from the means of the draws; NaN for one draw."""
    between: float
    """Standard deviation over draws of weights of the mean over all first tokens."""
    within: float
    """Standard deviation over first tokens of one draw; NaN for one token."""


@dataclass(frozen=True)
class Evidence:
    """A run's table and configuration."""

    columns: Columns
    config: Config

    @cached_property
    def _shape(self) -> tuple[int, ...]:
        config = self.config
        lines = (len(config.depths), len(config.activations), len(config.gammas))
        return (*lines, config.draws, config.prompts)

    @cached_property
    def _order(self) -> np.ndarray:
        """Rows by depth, activation, gamma (as the configuration lists them), draw."""
        columns, config = self.columns, self.config
        place = {name: i for i, name in enumerate(config.activations)}
        activation = np.asarray([place[name] for name in columns["activation"]])
        keys = (columns["prompt"], columns["draw"], columns["gamma"])
        return np.lexsort((*keys, activation, columns["depth"]))

    @property
    def depths(self) -> list[int]:
        return sorted(self.config.depths)

    @property
    def gammas(self) -> list[float]:
        return sorted(self.config.gammas)

    def grid(self, measure: str = "lz78") -> np.ndarray:
        """A measure by depth, activation, gamma (rising), draw and first token."""
        if measure not in self.columns:
            raise MissingError(f"{measure} was not measured")
        return np.asarray(self.columns[measure])[self._order].reshape(self._shape)

    def sequences(
        self,
        activation: str,
        *,
        gamma: float = 1.0,
        depth: int | None = None,
        measure: str = "lz78",
    ) -> np.ndarray:
        """A measure by draw and first token; the deepest network if no depth is given.

        Raises:
            MissingError: If there are too few draws, or none of these.
        """
        if self.config.draws < FEW:
            raise MissingError(
                f"{self.config.draws} draws of weights, {FEW} are needed"
            )
        if activation not in self.config.activations:
            raise MissingError(f"{activation} was not run")
        close = [g for g in self.gammas if abs(g - gamma) <= 0.01 * gamma]
        if not close:
            raise MissingError(f"gamma {gamma:g} was not run")
        values = self.grid(measure)[
            self.depths.index(max(self.depths) if depth is None else depth),
            self.config.activations.index(activation),
            self.gammas.index(close[0]),
        ]
        if np.isnan(values).any():
            raise MissingError(
                f"{activation}: logits were not finite in some sequences"
            )
        return values

    def summary(self) -> Columns:
        """A row for each condition: means of all measures, and the spread of `lz78`."""
        depth, activation, gamma = (
            axis.ravel()
            for axis in np.meshgrid(
                self.depths,
                np.arange(len(self.config.activations)),
                self.gammas,
                indexing="ij",
            )
        )
        columns: Columns = {
            "depth": depth,
            "activation": np.asarray(self.config.activations, object)[activation],
            "gamma": gamma,
        }
        for measure in ("lz78", "lzw", "lz76", "distinct"):
            values = self.grid(measure).reshape(len(depth), *self._shape[3:])
            found = [spread(one) for one in values]
            columns[measure] = np.asarray([one.mean for one in found])
            columns[f"{measure}_se"] = np.asarray([one.se for one in found])
            columns[f"{measure}_sd_draws"] = np.asarray([one.between for one in found])
            columns[f"{measure}_sd_prompts"] = np.asarray([one.within for one in found])
        bad = self.grid("degenerate").reshape(len(depth), -1)
        columns["degenerate"] = bad.sum(axis=1)
        return columns


def spread(values: np.ndarray) -> Spread:
    """Mean and spread of values by draw and first token; NaN where one is NaN.

    The draws' own means vary by the draw and by the few first tokens that they are of: the
    latter part is taken off (and what is left is 0 at least).
    """
    draws, prompts = values.shape
    means = values.mean(axis=1)
    of_means = float(means.var(ddof=1)) if draws > 1 else np.nan
    within = float(values.var(axis=1, ddof=1).mean()) if prompts > 1 else np.nan
    noise = within / prompts if prompts > 1 else np.nan
    return Spread(
        mean=float(means.mean()),
        se=float(np.sqrt(of_means / draws)),
        between=float(np.sqrt(np.maximum(of_means - noise, 0))),
        within=float(np.sqrt(within)),
    )
