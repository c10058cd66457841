"""What must come out of the mixture variants: closed forms and directions."""

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
from jaxbias.studies.generative_augmentation.variants.config import Config

FEW = 50
"""Trials below which nothing is judged."""

LARGEST_Z = 4.5
"""Standard errors, for some hundred comparisons."""


def of_part(columns: Columns, name: str) -> np.ndarray:
    """Which rows of a table belong to a part."""
    return np.asarray([name in parts.split() for parts in columns["parts"]], bool)


@dataclass(frozen=True)
class Evidence:
    """A run's table and configuration."""

    columns: Columns
    config: Config

    def part(self, name: str) -> np.ndarray:
        """Rows of a part.

        Raises:
            MissingError: If it was not run, or with too few trials.
        """
        if self.config.n_trials < FEW:
            raise MissingError(f"{self.config.n_trials} trials, {FEW} are needed")
        rows = of_part(self.columns, name)
        if not rows.any():
            raise MissingError(f"the part {name!r} was not run")
        return rows

    def most(self) -> float:
        """The largest gamma, if there are at least two.

        Raises:
            MissingError: If there is nothing to compare.
        """
        if len(self.config.gammas) < 2 or min(self.config.gammas) > 0:
            raise MissingError("gammas must hold 0 and something else")
        return max(self.config.gammas)


def follows_law(part: str):
    """Test loss and gap are the closed forms."""

    @where_possible
    def judge(evidence: Evidence) -> Judgement:
        columns = evidence.columns
        rows = evidence.part(part) & ~np.isnan(columns["law_gap"])
        if not rows.any():
            raise MissingError("the law covers none of these variants")
        largest = {}
        for name in ("test_loss", "gap"):
            off = np.abs(columns[name] - columns[f"law_{name}"])[rows]
            largest[name] = float(np.max(off / columns[f"{name}_se"][rows]))
        return held(
            max(largest.values()) <= LARGEST_Z,
            f"{int(rows.sum())} points; largest differences in standard errors: "
            + ", ".join(f"{name} {z:.1f}" for name, z in largest.items()),
        )

    return judge


@where_possible
def more_hurts(evidence: Evidence) -> Judgement:
    """A generator that ignores the classes is worse than one that was fitted well.

    A little confusion may help: it shrinks theta towards 0, as the closed form has it.
    """
    columns, most = evidence.columns, evidence.most()
    rows = evidence.part("degradation") & (columns["gamma"] == most)
    order = np.argsort(columns["degradation"][rows])
    amounts, loss, error, tv = (
        columns[name][rows][order]
        for name in ("degradation", "test_loss", "test_loss_se", "tv")
    )
    if amounts[0] > 0 or amounts[-1] < 1:
        raise MissingError("degradations 0 and 1 are needed")
    least = int(np.argmin(loss))
    return held(
        bool(loss[-1] - loss[0] > 3 * np.hypot(error[-1], error[0]) and tv[-1] > tv[0]),
        f"at gamma {most:g}, as TV goes from {tv[0]:.2f} to {tv[-1]:.2f} the test loss "
        f"goes from {loss[0]:.2f} to {loss[-1]:.2f}; lowest at degradation "
        f"{amounts[least]:g} ({loss[least]:.2f})",
    )


@where_possible
def lighter_is_better(evidence: Evidence) -> Judgement:
    """At gamma 1 a smaller weight on generated points gives a smaller test loss."""
    columns = evidence.columns
    rows = evidence.part("weight") & (columns["gamma"] == 1)
    order = np.argsort(columns["weight"][rows])
    loss, error = (columns[n][rows][order] for n in ("test_loss", "test_loss_se"))
    if len(loss) < 2:
        raise MissingError("gamma 1 and two weights are needed")
    weights = columns["weight"][rows][order]
    # The same draws at every weight: differences are surer than the means.
    return held(
        bool(np.all(np.diff(loss) > 0)),
        f"weights {weights[0]:g} to {weights[-1]:g}: {loss[0]:.3f} to {loss[-1]:.3f} "
        f"(standard error of each {error.max():.3f})",
    )


@where_possible
def labels_do_not_matter(evidence: Evidence) -> Judgement:
    """Independent labels, as in the theory, give what balanced ones do, as in the code."""
    columns = evidence.columns
    rows = evidence.part("labels")
    sides = [rows & (columns["labels"] == k) for k in ("balanced", "bernoulli")]
    if not all(side.any() for side in sides):
        raise MissingError("both kinds of labels are needed")
    first, second = (columns["abs_gap"][side] for side in sides)
    errors = [columns["abs_gap_se"][side] for side in sides]
    width = 4 * np.hypot(*errors) + 0.05 * first
    off = np.abs(second / first - 1)
    return held(
        bool(np.all(np.abs(second - first) <= width)),
        f"mean |gap| differs by at most {100 * off.max():.0f} %",
    )


@where_possible
def linear_gains_nothing(evidence: Evidence) -> Judgement:
    """For the paper's classifier no amount lowers the test error, at any class number."""
    columns = evidence.columns
    rows = evidence.part("classes")
    shown, fine = [], []
    for k in evidence.config.classes:
        of_k = rows & (columns["classes"] == k)
        error, se = columns["test_error"][of_k], columns["test_error_se"][of_k]
        gammas = columns["gamma"][of_k]
        plain = error[gammas == 0]
        if not len(plain):
            raise MissingError("gamma 0 is needed")
        fine.append(bool(np.all(error >= plain - 3 * np.hypot(se, se[gammas == 0]))))
        shown.append(f"{k} classes: {plain[0]:.3f}, at best {error.min():.3f}")
    return held(all(fine), "; ".join(shown))


@where_possible
def structure_helps(evidence: Evidence) -> Judgement:
    """A generator that assumes the true covariance's form lowers the error of a classifier
    that does not know it."""
    columns, most = evidence.columns, evidence.most()
    rows = evidence.part("covariance") & (columns["covariance"] == "isotropic")
    rows &= columns["generator"] == "isotropic"
    before, after = (
        {
            n: columns[n][rows & (columns["gamma"] == g)]
            for n in ("test_error", "test_loss")
        }
        for g in (0.0, most)
    )
    if not len(before["test_error"]):
        raise MissingError("an isotropic generator of isotropic data is needed")
    lower = after["test_error"][0] < before["test_error"][0]
    return held(
        bool(lower),
        f"lda: test error {before['test_error'][0]:.3f} without, "
        f"{after['test_error'][0]:.3f} at gamma {most:g}; test loss "
        f"{before['test_loss'][0]:.3f} and {after['test_loss'][0]:.3f}",
    )


_OWN = "not in the paper"

ENTRIES: tuple[Entry, ...] = (
    *(
        Entry(
            id=f"{part}-law",
            source="closed form",
            claim=f"{words}: test loss and gap of the linear classifier",
            expected="d/2 (1 + excess) + bias, and the gap of the same derivation",
            tolerance=f"{LARGEST_Z} standard errors",
            certainty="computed",
            judge=follows_law(part),
        )
        for part, words in (
            ("classifier", "the paper's mixture"),
            ("weight", "any weight on the generated loss"),
            ("degradation", "any degradation of the generator"),
        )
    ),
    Entry(
        id="degradation-hurts",
        source="Theorem 3.1's divergence term",
        claim="a generator far from the data raises the test loss",
        expected="higher at degradation 1 than at 0, largest gamma",
        tolerance="3 standard errors; in between, shrinking theta may help",
        certainty="read",
        judge=more_hurts,
    ),
    Entry(
        id="weight-light",
        source=_OWN,
        claim="the less a generated point counts, the lower the test loss (gamma 1)",
        expected="test loss rises with the weight",
        tolerance="strictly; the draws are the same",
        certainty="computed",
        judge=lighter_is_better,
    ),
    Entry(
        id="labels-alike",
        source="theory against code",
        claim="independent labels (theory) and balanced ones (code) give the same gap",
        expected="mean |gap| at every gamma",
        tolerance="4 standard errors and 5 %",
        certainty="read",
        judge=labels_do_not_matter,
    ),
    Entry(
        id="linear-gains-nothing",
        source=_OWN,
        claim="linear classifier: no amount lowers the test error, at any class number",
        expected="none lower than without",
        tolerance="3 standard errors",
        certainty="computed",
        judge=linear_gains_nothing,
    ),
    Entry(
        id="structure-helps",
        source=_OWN,
        claim="a generator that knows the covariance's form helps one that does not: lda",
        expected="lower test error of lda, isotropic data and generator, largest gamma",
        tolerance="a direction; the draws are the same",
        certainty="computed",
        judge=structure_helps,
    ),
)


def judge(columns: Columns, config: Config) -> list[dict[str, str]]:
    """Judge every entry."""
    return judge_all(ENTRIES, Evidence(columns, config))
