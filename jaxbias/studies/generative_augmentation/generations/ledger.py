"""What is known of recursive fitting, as data."""

from dataclasses import dataclass

import numpy as np

from jaxbias.ledger import (
    Entry,
    Judgement,
    MissingError,
    held,
    judge_all,
    where_possible,
)
from jaxbias.studies.generative_augmentation.batches import Columns
from jaxbias.studies.generative_augmentation.generations.config import Config

FEW = 100
"""Chains below which nothing is judged."""


@dataclass(frozen=True)
class Evidence:
    """A run's table and configuration."""

    columns: Columns
    config: Config

    def rows(self, scheme: str, m: int | None = None, dim: int | None = None):
        """The rows of a scheme, by generation if m and dim are given.

        Raises:
            MissingError: If there are too few chains, or none.
        """
        if self.config.n_trials < FEW:
            raise MissingError(f"{self.config.n_trials} chains, {FEW} are needed")
        chosen = self.columns["scheme"] == scheme
        for name, value in (("m_real", m), ("dim", dim)):
            if value is not None:
                chosen &= self.columns[name] == value
        if not chosen.any():
            raise MissingError(f"the scheme {scheme} was not run")
        return np.flatnonzero(chosen)

    def final(self, name: str, scheme: str, m: int, dim: int) -> float:
        """A statistic of the last generation."""
        return float(self.columns[name][self.rows(scheme, m, dim)[-1]])


@where_possible
def is_a_martingale(evidence: Evidence) -> Judgement:
    """Under replacement the moments are the closed forms, generation by generation."""
    rows = evidence.rows("replace")
    columns, largest = evidence.columns, {}
    # Means of the variance rest on ever fewer chains: only while they are many.
    early = rows[columns["law_log_variance_sd"][rows] < 1]
    for name, where in (
        ("log_variance", rows),
        ("variance", early),
        ("displacement", early),
    ):
        off = columns[name][where] - columns[f"law_{name}"][where]
        z = np.abs(off) / columns[f"{name}_se"][where]
        largest[name] = float(z.max(initial=0.0))
    return held(
        # Generations of one chain are correlated: 5 for some hundreds of looks.
        max(largest.values()) <= 5,
        "largest differences in standard errors: "
        + ", ".join(f"{name} {z:.1f}" for name, z in largest.items()),
    )


@where_possible
def dies_out(evidence: Evidence) -> Judgement:
    """Under replacement the variance goes to zero at about 1 / (m - 2) a generation."""
    shown, fine = [], []
    for m in evidence.config.m_real:
        for dim in evidence.config.dims:
            rows = evidence.rows("replace", m, dim)
            logs = evidence.columns["log_variance"][rows]
            rate = -(logs[-1] - logs[0]) / evidence.config.generations * (m - 2)
            fine.append(0.75 <= rate <= 1.35)
            shown.append(f"m {m}, d {dim}: {rate:.2f}/(m-2)")
    return held(all(fine), "; ".join(shown))


def bounded(scheme: str):
    """The variance stays where it is under another scheme."""

    @where_possible
    def judge(evidence: Evidence) -> Judgement:
        shown, fine = [], []
        for m in evidence.config.m_real:
            for dim in evidence.config.dims:
                here = evidence.final("log_variance", scheme, m, dim)
                there = evidence.final("log_variance", "replace", m, dim)
                fine.append(abs(here) <= abs(there) / 3 and abs(here) < 0.5)
                shown.append(f"m {m}, d {dim}: {here:.2f} against {there:.2f}")
        return held(all(fine), "ln variance at the end: " + "; ".join(shown))

    return judge


@where_possible
def order_of_errors(evidence: Evidence) -> Judgement:
    """In the end the test error is highest when points are replaced."""
    shown, fine = [], []
    for m in evidence.config.m_real:
        for dim in evidence.config.dims:
            errors = {
                scheme: evidence.final("test_error", scheme, m, dim)
                for scheme in ("fresh", "accumulate", "replace")
            }
            fine.append(errors["fresh"] <= errors["accumulate"] <= errors["replace"])
            words = ", ".join(f"{name} {value:.3f}" for name, value in errors.items())
            shown.append(f"m {m}, d {dim}: {words}")
    return held(all(fine), "; ".join(shown))


ENTRIES: tuple[Entry, ...] = (
    Entry(
        id="replace-martingale",
        source="closed form",
        claim="replaced: variance a martingale, ln variance and displacement as the law",
        expected="every generation",
        tolerance="5 standard errors; all but ln variance while its spread is below 1",
        certainty="computed",
        judge=is_a_martingale,
    ),
    Entry(
        id="replace-dies",
        source="Shumailov et al., Nature 2024, and the closed form",
        claim="replaced: the variance dies out, ln variance falls by 1/(m-2) a generation",
        expected="0.75 to 1.35 times 1/(m-2)",
        tolerance="1.04 exactly at m 10, 1.00 at m 100",
        certainty="read",
        judge=dies_out,
    ),
    Entry(
        id="accumulate-bounded",
        source="Gerstgrasser et al. 2024, remembered",
        claim="accumulated with the real points, generated points do not collapse",
        expected="ln variance within 0.5 of 0, and a third of that under replacement",
        tolerance="a direction",
        certainty="remembered",
        judge=bounded("accumulate"),
    ),
    Entry(
        id="fresh-bounded",
        source="Alemohammad et al., ICLR 2024",
        claim="enough fresh real points in each generation keep the generator alive",
        expected="ln variance within 0.5 of 0, and a third of that under replacement",
        tolerance="a direction",
        certainty="read",
        judge=bounded("fresh"),
    ),
    Entry(
        id="order-of-errors",
        source="not in the papers",
        claim="test error in the end: fresh points <= accumulated <= replaced",
        expected="for every m and d",
        tolerance="means of the same chains' first points",
        certainty="computed",
        judge=order_of_errors,
    ),
)


def judge(columns: Columns, config: Config) -> list[dict[str, str]]:
    """Judge every entry."""
    return judge_all(ENTRIES, Evidence(columns, config))
