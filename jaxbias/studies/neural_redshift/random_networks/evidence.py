"""Questions that the ledger and the figures ask of a run's table."""

from dataclasses import dataclass, field
from functools import lru_cache

import jax.numpy as jnp
import numpy as np

from jaxbias.ledger import MissingError
from jaxbias.numerics import grids
from jaxbias.numerics.fourier import fourier
from jaxbias.studies.neural_redshift.random_networks.config import Config


class RoundingError(MissingError):
    """Most of a group's networks cannot be measured; the rest would be a biased choice."""


@dataclass(frozen=True)
class Sample:
    """Values of one measure over the networks of one group, degenerate ones left out."""

    values: np.ndarray

    @property
    def count(self) -> int:
        return len(self.values)

    @property
    def mean(self) -> float:
        return float(np.mean(self.values))

    @property
    def sd(self) -> float:
        return float(np.std(self.values, ddof=1)) if self.count > 1 else float("nan")

    @property
    def error(self) -> float:
        """Standard error of the mean."""
        return self.sd / np.sqrt(self.count)


@lru_cache(maxsize=8)
def fourier_range(
    resolution: int, binning: str, dimension: int = 2
) -> tuple[float, float]:
    """What a plane and white noise read on a grid: the measure's usable range."""
    plane = jnp.sum(grids.grid(resolution, dimension), axis=-1)
    noise = np.random.default_rng(0).normal(size=(8, *[resolution] * dimension))
    noisy = [float(fourier(jnp.asarray(n, jnp.float32), binning)) for n in noise]
    return float(fourier(plane, binning)), float(np.mean(noisy))


@dataclass(frozen=True)
class Evidence:
    """A run's table and configuration."""

    columns: dict[str, np.ndarray]
    config: Config
    _equal: dict[tuple[str, object], np.ndarray] = field(default_factory=dict)

    def rows(self, **where: object) -> np.ndarray:
        """Which rows have the given labels; prior, width, resolution and bias range are
        the configuration's own unless they are given."""
        base = {
            "prior": self.config.prior,
            "width": self.config.width,
            "resolution": self.config.resolution,
            "bias_range": 1.0,
            "variant": "plain",
        }
        chosen = np.ones(len(self.columns["network"]), bool)
        for name, value in (base | where).items():
            if value is None:
                continue
            # Thousands of questions are asked of a handful of labels.
            if (name, value) not in self._equal:
                self._equal[name, value] = self.columns[name] == value
            chosen &= self._equal[name, value]
        return chosen

    def sample(self, measure: str = "fourier", **where: object) -> Sample:
        """The networks with the given labels.

        Raises:
            RoundingError: If more than half of them are degenerate.
            MissingError: If there are none, or the measure was not taken.
        """
        chosen = self.rows(**where)
        label = ", ".join(f"{v}" for v in where.values())
        if not chosen.any():
            raise MissingError(f"no networks with {label}")
        values = self.columns[measure][chosen & ~self.columns["degenerate"]]
        if measure not in self.config.measures:
            raise MissingError(f"{measure} was not measured")
        if 2 * len(values) < chosen.sum():
            raise RoundingError(f"most networks with {label} are degenerate")
        return Sample(values.astype(np.float64))

    def grid(
        self, measure: str, activation: str, depths: tuple[int, ...]
    ) -> np.ndarray:
        """Mean of a measure by weight scale (rows) and depth (columns); NaN if none."""
        means = np.full((len(self.config.weight_scales), len(depths)), np.nan)
        for i, weight_scale in enumerate(self.config.weight_scales):
            for j, depth in enumerate(depths):
                try:
                    means[i, j] = self.sample(
                        measure,
                        activation=activation,
                        depth=depth,
                        weight_scale=weight_scale,
                    ).mean
                except MissingError:
                    continue
        return means

    def needs(self, least: int, part: str | None = None) -> None:
        """Raise `MissingError` where a claim would rest on too little."""
        if part is not None and part not in self.config.parts:
            raise MissingError(f"the part {part!r} was not run")
        if self.config.n_networks < least:
            raise MissingError(
                f"{self.config.n_networks} networks a cell, {least} are needed"
            )

    def plane_and_noise(self) -> tuple[float, float]:
        """The Fourier complexity of a plane and of white noise on the run's grid."""
        resolution = self.config.resolution
        dimension = self.config.grid_dimension(resolution)
        return fourier_range(resolution, self.config.fourier_binning, dimension)

    def share(self, value: float) -> float:
        """A Fourier complexity as a share of the way from a plane to white noise."""
        low, high = self.plane_and_noise()
        return (value - low) / (high - low)

    def width_of_range(self) -> float:
        low, high = self.plane_and_noise()
        return high - low

    def ends(self, measure: str = "fourier", **where: object) -> tuple[Sample, Sample]:
        """Complexity at the smallest weight scale that can be measured, and the largest.

        Deep networks with small weights may differ from a constant by rounding alone.
        """
        scales = sorted(self.config.weight_scales)
        largest = self.sample(measure, weight_scale=scales[-1], **where)
        for weight_scale in scales:
            if scales[-1] < 8 * weight_scale:
                raise MissingError("the weight scales span less than a factor of 8")
            try:
                smallest = self.sample(measure, weight_scale=weight_scale, **where)
            except MissingError:
                continue
            return smallest, largest
        raise MissingError("no weight scale could be measured")

    def rise(self, activation: str, variant: str, depth: int) -> float:
        """Fourier complexity at the largest minus the smallest scale, in shares."""
        small, large = self.ends(activation=activation, variant=variant, depth=depth)
        return (large.mean - small.mean) / self.width_of_range()
