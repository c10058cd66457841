"""Where measures agree: correlations with intervals, clusters, and who disagrees."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy import stats
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform

from jaxbias import tables
from jaxbias.ledger import MissingError
from jaxbias.numerics.statistics import Correlation, bootstrap_correlation
from jaxbias.studies.neural_redshift.measures.config import PROBES, Config
from jaxbias.sweeps import Columns

THEORY = ("chi",)

ORDERS_OF_MAGNITUDE = ("jacobian", "sharpness", "chi")
"""Measures whose logarithm is correlated and drawn: a few networks would be all of
Pearson's coefficient. Ranks do not change."""


@dataclass(frozen=True)
class Evidence:
    """A run's tables and configuration."""

    columns: Columns
    scores: Columns
    config: Config
    _pairs: dict[tuple[str, str, bool], Correlation] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """Every measure, the old ones first."""
        return (*self.config.measures, *PROBES, *THEORY)

    @cached_property
    def groups(self) -> np.ndarray:
        """Networks of one draw, which differ in weight scale alone, are one group."""
        labels = ("activation", "variant", "depth", "network")
        columns = (self.columns[name] for name in labels)
        return np.asarray(
            ["/".join(map(str, row)) for row in zip(*columns, strict=True)]
        )

    def values(self, name: str) -> np.ndarray:
        """A measure as it is correlated: the logarithm where it spans magnitudes.

        Raises:
            MissingError: If it was not taken.
        """
        if name not in self.columns:
            raise MissingError(f"{name} was not measured")
        found = self.columns[name].astype(np.float64)
        if name not in ORDERS_OF_MAGNITUDE:
            return found
        with np.errstate(divide="ignore", invalid="ignore"):
            logarithm = np.log10(found)
        return np.where(np.isfinite(logarithm), logarithm, np.nan)

    def both(self, first: str, second: str) -> np.ndarray:
        """Which networks have both measures."""
        shown = ~self.columns["degenerate"]
        return (
            shown & np.isfinite(self.values(first)) & np.isfinite(self.values(second))
        )

    def correlation(self, first: str, second: str, *, ranks: bool) -> Correlation:
        """Correlation of two measures with an interval over whole draws.

        Raises:
            MissingError: If fewer than 30 networks have both.
        """
        key = (min(first, second), max(first, second), ranks)
        if key not in self._pairs:
            chosen = self.both(first, second)
            if chosen.sum() < 30:
                raise MissingError(f"{chosen.sum()} networks with {first} and {second}")
            self._pairs[key] = bootstrap_correlation(
                self.values(first)[chosen],
                self.values(second)[chosen],
                self.groups[chosen],
                ranks=ranks,
                resamples=self.config.resamples,
            )
        return self._pairs[key]

    def matrix(self, *, ranks: bool) -> np.ndarray:
        """All correlations, in the order of `names`; NaN where there is none."""
        size = len(self.names)
        found = np.eye(size)
        for i in range(size):
            for j in range(i):
                try:
                    pair = self.names[i], self.names[j]
                    found[i, j] = self.correlation(*pair, ranks=ranks).value
                except MissingError:
                    found[i, j] = np.nan
                found[j, i] = found[i, j]
        return found

    def name_of(self, row: int) -> str:
        """A network in a few words."""
        label = {name: values[row] for name, values in self.columns.items()}
        variant = "" if label["variant"] == "plain" else f" {label['variant']}"
        words = f"{label['activation']}{variant}".replace("_", " ")
        return f"{words}, depth {label['depth']}, scale {label['weight_scale']:g}"


def table(evidence: Evidence) -> Columns:
    """A row for each pair: networks, Pearson's and Spearman's coefficient, intervals."""
    rows = []
    names = evidence.names
    for i in range(len(names)):
        for j in range(i + 1, len(names)):
            first, second = names[i], names[j]
            row: dict[str, object] = {"first": first, "second": second}
            row["networks"] = int(evidence.both(first, second).sum())
            for label, ranks in (("pearson", False), ("spearman", True)):
                try:
                    found = evidence.correlation(first, second, ranks=ranks)
                except MissingError:
                    nothing = float("nan")
                    found = Correlation(value=nothing, low=nothing, high=nothing)
                row |= {
                    label: found.value,
                    f"{label}_low": found.low,
                    f"{label}_high": found.high,
                }
            rows.append(row)
    return tables.columns_of(rows)


def clustered(evidence: Evidence) -> list[int]:
    """An order of the measures in which those that agree lie side by side."""
    distance = 1 - np.nan_to_num(np.abs(evidence.matrix(ranks=True)))
    np.fill_diagonal(distance, 0)
    joined = hierarchy.linkage(squareform(distance, checks=False), "average")
    return [int(i) for i in hierarchy.leaves_list(joined)]


def worst_pairs(evidence: Evidence, count: int) -> list[tuple[str, str]]:
    """The pairs of lowest rank correlation in size, no measure in more than two."""
    size = np.abs(evidence.matrix(ranks=True))
    pairs = [
        (size[i, j], evidence.names[j], evidence.names[i])
        for i in range(len(size))
        for j in range(i)
        if np.isfinite(size[i, j])
    ]
    found: list[tuple[str, str]] = []
    for _, first, second in sorted(pairs):
        used = [name for pair in found for name in pair]
        if max(used.count(first), used.count(second)) < 2 and len(found) < count:
            found.append((first, second))
    return found


def disagreements(evidence: Evidence, first: str, second: str, count: int) -> list[int]:
    """Rows of networks that the two measures rank most apart, each cell once.

    Half of them are those that `first` takes for more complex, half the others.
    """
    rows = np.flatnonzero(evidence.both(first, second))
    ranks = (stats.rankdata(evidence.values(name)[rows]) for name in (first, second))
    apart = np.subtract(*ranks)
    found: list[int] = []
    for order in (np.argsort(-apart), np.argsort(apart)):
        names: set[str] = set()
        for row in map(int, rows[order]):
            if evidence.name_of(row) not in names and len(names) < count // 2:
                names.add(evidence.name_of(row))
                found.append(row)
    return found
