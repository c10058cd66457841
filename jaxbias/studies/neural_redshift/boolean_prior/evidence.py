"""The tables of a run, and the questions that the ledger and the figures ask of them."""

import math
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np

from jaxbias.ledger import MissingError
from jaxbias.numerics.statistics import pearson
from jaxbias.studies.neural_redshift.boolean_prior.config import Config
from jaxbias.studies.neural_redshift.boolean_prior.functions import (
    Measured,
    Tally,
    hexadecimal,
)
from jaxbias.studies.neural_redshift.boolean_prior.networks import Condition
from jaxbias.sweeps import Columns

RARE = 10
"""Networks below which the frequency of a function is not read from a run."""

FEW = 10_000
"""Networks below which nothing is judged."""

MOST_RANKS = 200
"""Points of a rank-frequency curve that are kept."""


@dataclass(frozen=True, kw_only=True)
class Envelope:
    """How the most frequent function of each complexity falls off.

    Attributes:
        slope: a of log2 P = -(a K + c), by least squares; NaN for fewer than 3 levels.
        offset: b such that P <= 2^-(a K + b) for every function found so often.
        correlation: Pearson's, of K and log2 P.
        levels: Values of K whose most frequent function was found `RARE` times.
    """

    slope: float
    offset: float
    correlation: float
    levels: int


def envelope(complexity: np.ndarray, most: np.ndarray, networks: int) -> Envelope:
    """Fit the upper envelope of frequency against complexity.

    Args:
        complexity: Each value of K that was found.
        most: How often the most frequent function of it was.
        networks: Networks in all.
    """
    logs = np.log2(most / networks)
    sure = most >= RARE
    levels = int(sure.sum())
    if levels < 3:
        return Envelope(
            slope=math.nan, offset=math.nan, correlation=math.nan, levels=levels
        )
    slope = -float(np.polyfit(complexity[sure], logs[sure], 1)[0])
    return Envelope(
        slope=slope,
        offset=float((-logs - slope * complexity)[sure].min()),
        correlation=pearson(complexity[sure], logs[sure]),
        levels=levels,
    )


@dataclass(frozen=True)
class Found:
    """What one condition gave."""

    condition: Condition
    tally: Tally
    measured: Measured
    degenerate: int
    """Networks with an output that is not finite; they are not in the tally."""

    @property
    def networks(self) -> int:
        return int(self.tally.counts.sum())

    def mean(self, values: np.ndarray) -> float:
        """Over networks."""
        return float(self.tally.counts @ values / self.networks)

    @property
    def labels(self) -> dict[str, str | int | float]:
        return {
            field.name: getattr(self.condition, field.name)
            for field in fields(Condition)
        }

    def levels(self) -> Columns:
        """Each complexity: functions, networks, and the most frequent function's."""
        values, place = np.unique(self.measured.complexity, return_inverse=True)
        most = np.zeros(len(values), np.int64)
        np.maximum.at(most, place, self.tally.counts)
        return {
            "complexity": values,
            "functions": np.bincount(place),
            "networks": np.bincount(place, self.tally.counts).astype(np.int64),
            "most": most,
        }

    def ranks(self) -> Columns:
        """How often the functions of some ranks, evenly spaced in logarithm, were found."""
        last = len(self.tally.counts)
        rank = np.unique(np.geomspace(1, last, MOST_RANKS).round().astype(np.int64))
        return {"rank": rank, "networks": self.tally.counts[rank - 1]}

    def balance(self, points: int) -> Columns:
        """Networks by how many inputs have label 1."""
        networks = np.bincount(self.measured.ones, self.tally.counts, points + 1)
        return {"ones": np.arange(points + 1), "networks": networks.astype(np.int64)}

    def spectrum(self) -> Columns:
        """Mean Fourier weight at each degree; 1 in all."""
        weight = self.tally.counts @ self.measured.weights / self.networks
        return {"degree": np.arange(len(weight)), "weight": weight}

    def listed(self, most: int, bits: int) -> Columns:
        """The most frequent functions, of those that were found twice."""
        count = min(most, int((self.tally.counts > 1).sum()))
        kept = self.measured
        degrees = np.arange(kept.weights.shape[1])
        return {
            "rank": np.arange(1, count + 1),
            "function": np.asarray(
                hexadecimal(self.tally.functions[:count], bits), object
            ),
            "networks": self.tally.counts[:count],
            "complexity": kept.complexity[:count],
            "ones": kept.ones[:count],
            "sensitivity": kept.sensitivity[:count],
            "mean_degree": kept.weights[:count] @ degrees,
        }

    def summary(self, bits: int) -> dict[str, float | int]:
        """One row of the results table."""
        counts, kept, networks = self.tally.counts, self.measured, self.networks
        share = counts / networks
        mean = self.mean(kept.complexity)
        spread = math.sqrt(self.mean((kept.complexity - mean) ** 2))
        levels = self.levels()
        fit = envelope(levels["complexity"], levels["most"], networks)
        return {
            "networks": networks,
            "degenerate": self.degenerate,
            "functions": len(counts),
            "entropy_bits": float(-(share @ np.log2(share))),
            "most_frequent": float(share[0]),
            "constant": float(share[kept.constant].sum()),
            "repeated": float(share[counts > 1].sum()),
            "complexity": mean,
            "complexity_se": spread / math.sqrt(networks),
            "sensitivity": self.mean(kept.sensitivity),
            "mean_degree": self.mean(kept.weights @ np.arange(bits + 1)),
            "imbalance": self.mean(np.abs(2 * kept.ones / (1 << bits) - 1)),
            "envelope_slope": fit.slope,
            "envelope_offset": fit.offset,
            "envelope_correlation": fit.correlation,
            "envelope_levels": fit.levels,
        }


@dataclass(frozen=True)
class Evidence:
    """A run's conditions and configuration."""

    found: list[Found]
    config: Config

    def _table(self, parts: list[Columns]) -> Columns:
        """Tables of the conditions, one below the other, each with its labels."""
        kept = [one for one in self.found if one.networks]
        tables = []
        for one, part in zip(kept, parts, strict=True):
            count = len(next(iter(part.values())))
            labels = {name: np.repeat(v, count) for name, v in one.labels.items()}
            tables.append(labels | part)
        return {
            name: np.concatenate([table[name] for table in tables])
            for name in tables[0]
        }

    def tables(self) -> dict[str, Columns]:
        """All tables by name; "results" has a row for each condition."""
        kept, bits = [one for one in self.found if one.networks], self.config.bits
        return {
            name: self._table(parts)
            for name, parts in {
                "results": [
                    {k: np.asarray([v]) for k, v in one.summary(bits).items()}
                    for one in kept
                ],
                "functions": [one.listed(self.config.listed, bits) for one in kept],
                "complexities": [one.levels() for one in kept],
                "ranks": [one.ranks() for one in kept],
                "balance": [one.balance(1 << bits) for one in kept],
                "spectra": [one.spectrum() for one in kept],
            }.items()
        }

    @cached_property
    def _by_condition(self) -> dict[tuple, Found]:
        return {
            (c.source, c.activation, c.depth, c.sigma_w if c.activation else None): one
            for one in self.found
            for c in [one.condition]
        }

    def of(
        self,
        source: str,
        activation: str = "",
        depth: int = 0,
        sigma_w: float | None = None,
    ) -> Found:
        """One condition.

        Raises:
            MissingError: If it was not run, or with too few networks.
        """
        one = self._by_condition.get((source, activation, depth, sigma_w))
        if one is None:
            raise MissingError(f"{activation}, depth {depth} was not run")
        if one.networks < FEW:
            raise MissingError(f"{one.networks:,} networks, {FEW:,} are needed")
        return one

    def over_sigma(self, activation: str, depth: int) -> list[Found]:
        """The conditions of rising weight scale.

        Raises:
            MissingError: If the activation was not run.
        """
        if activation not in self.config.activations:
            raise MissingError(f"{activation} was not run")
        return [
            self.of("network", activation, depth, sigma)
            for sigma in sorted(self.config.sigma_ws)
        ]
