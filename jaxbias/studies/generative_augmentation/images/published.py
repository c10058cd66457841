"""What is published of generated images on CIFAR-10, and the rules that judge a sweep."""

from dataclasses import dataclass

import numpy as np

from jaxbias.ledger import (
    Entry,
    Judgement,
    MissingError,
    held,
    judge_all,
    not_judged,
    where_possible,
)
from jaxbias.studies.generative_augmentation.images.config import Config
from jaxbias.studies.generative_augmentation.images.results import none, usual
from jaxbias.sweeps import Columns

FEW = 3
"""Seeds below which nothing is judged."""

KINDS = ("cdcgan", "stylegan2", "edm")
"""How the names of generators begin that the paper speaks of."""


@dataclass(frozen=True)
class Evidence:
    """What there is to judge.

    Attributes:
        config: What was asked.
        table: See `results.trainings`.
        gains: See `results.gains`.
        real: Real training images.
    """

    config: Config
    table: Columns
    gains: Columns
    real: int

    def rows(self, kind: str, augmentation: str) -> np.ndarray:
        """Gains of a kind of generator, real images included.

        Raises:
            MissingError: If there are none, or too few seeds, or other images.
        """
        if not self.config.data.startswith("cifar10:"):
            raise MissingError("the paper's images are CIFAR-10")
        if self.config.n_seeds < FEW:
            raise MissingError(f"{self.config.n_seeds} seeds, {FEW} are needed")
        gains = self.gains
        named = np.char.startswith(np.char.lower(gains["generator"].astype(str)), kind)
        rows = named & (gains["augmentation"] == augmentation) & ~gains["alone"]
        rows &= usual(gains, self.config)
        if not rows.any():
            raise MissingError(f"no generator whose name begins with {kind}")
        return np.flatnonzero(rows)[np.argsort(gains["amount"][rows], kind="stable")]

    def words(self, rows: np.ndarray) -> str:
        """Gains in points, and under what conditions: the paper's networks over-fit."""
        table = self.table
        alone = none(table)
        alone &= table["augmentation"] == self.gains["augmentation"][rows[0]]
        learnt = float(table["train_accuracy"][alone].mean())
        parts = [
            f"{self.gains['amount'][row]:,}: {100 * self.gains['gain'][row]:+.1f} "
            f"({100 * self.gains['low'][row]:+.1f} to {100 * self.gains['high'][row]:+.1f})"
            for row in rows
        ]
        return (
            f"{self.config.recipe}, {self.real:,} real images, {learnt:.0%} of them right "
            "after these alone; points by amount: " + "; ".join(parts)
        )


@where_possible
def _poor_help(evidence: Evidence) -> Judgement:
    rows = evidence.rows("cdcgan", "none")
    helped = (evidence.gains["low"][rows] > 0).any()
    return held(bool(helped), evidence.words(rows))


@where_possible
def _strong_gans_do_not(evidence: Evidence) -> Judgement:
    rows = evidence.rows("stylegan2", "base")
    gains = evidence.gains
    # As many generated images as real ones, or twice as many: 50k and 100k there.
    few = rows[gains["amount"][rows] <= 2 * evidence.real]
    if not len(few):
        raise MissingError("no amount of up to twice the real images")
    clear = (gains["low"][rows] > 0).any()
    hurt = (gains["gain"][few] < 0).all()
    return held(bool(not clear and hurt), evidence.words(rows))


@where_possible
def _diffusion_helps(evidence: Evidence) -> Judgement:
    rows = evidence.rows("edm", "base")
    helped = (evidence.gains["low"][rows] > 0).any()
    return held(bool(helped), evidence.words(rows))


@where_possible
def _more_without(evidence: Evidence) -> Judgement:
    config, gains = evidence.config, evidence.gains
    if set(config.augmentations) != {"none", "base"} or config.n_seeds < FEW:
        raise MissingError(f"both augmentations and {FEW} seeds are needed")
    rows = usual(gains, config) & ~gains["alone"]
    words, fine = [], []
    for name in dict.fromkeys(gains["generator"][rows].tolist()):
        best = [
            float(
                gains["gain"][
                    rows & (gains["generator"] == name) & (gains["augmentation"] == own)
                ].max()
            )
            for own in ("none", "base")
        ]
        fine.append(best[0] > best[1])
        words.append(f"{name} {100 * best[0]:+.1f} and {100 * best[1]:+.1f}")
    return held(all(fine), "largest gain without and with, points: " + "; ".join(words))


@where_possible
def _gap_shrinks(evidence: Evidence) -> Judgement:
    table, config = evidence.table, evidence.config
    if "none" not in config.augmentations or config.n_seeds < FEW:
        raise MissingError(f"trainings without augmentation, and {FEW} seeds")
    own = (table["augmentation"] == "none") & ~table["alone"]
    bare = float(table["gap_accuracy"][own & none(table)].mean())
    rows, words, fine = own & usual(table, config) & ~none(table), [], []
    for name in dict.fromkeys(table["generator"][rows].tolist()):
        of_it = rows & (table["generator"] == name)
        most = of_it & (table["amount"] == table["amount"][of_it].max())
        gap = float(table["gap_accuracy"][most].mean())
        fine.append(gap < bare)
        words.append(f"{name} {gap:.3f}")
    return held(all(fine), f"{bare:.3f} without; at most images: " + ", ".join(words))


def _not_available(evidence: Evidence) -> Judgement:
    del evidence
    return not_judged("the paper's numbers are in a picture that nobody has typed")


_OUTCOME = "section 4.2, in words"

ENTRIES: tuple[Entry, ...] = (
    Entry(
        id="poor-images-help-without-augmentation",
        source=_OUTCOME,
        claim="without standard augmentation even cDCGAN's images improve the classifier",
        expected="a gain whose 95 % interval is above 0, at some amount",
        tolerance="of the best of the amounts, as the claim is",
        certainty="read",
        judge=_poor_help,
    ),
    Entry(
        id="stylegan2-hurts-with-augmentation",
        source=_OUTCOME,
        claim="with standard augmentation StyleGAN2-ADA's images bring no clear gain, and "
        "few of them hurt",
        expected="no interval above 0; a loss at all amounts up to twice the real images",
        tolerance="none",
        certainty="read",
        judge=_strong_gans_do_not,
    ),
    Entry(
        id="edm-helps-with-augmentation",
        source=_OUTCOME,
        claim="EDM's images improve the classifier even with standard augmentation",
        expected="a gain whose 95 % interval is above 0, at some amount",
        tolerance="of the best of the amounts, as the claim is",
        certainty="read",
        judge=_diffusion_helps,
    ),
    Entry(
        id="more-without-augmentation",
        source="the paper's reading of its experiments, of any data",
        claim="generated images help more where the classifier over-fits: without "
        "standard augmentation",
        expected="a larger best gain without than with it, for each generator",
        tolerance="none",
        certainty="read",
        judge=_more_without,
    ),
    Entry(
        id="gap-shrinks",
        source="Theorem 3.1's stability term, of any data",
        claim="generated images shrink the gap between training and test accuracy",
        expected="a smaller gap at the largest amount than without, for each generator",
        tolerance="none",
        certainty="read",
        judge=_gap_shrinks,
    ),
    Entry(
        id="accuracies",
        source="the table of test accuracies",
        claim="test accuracies of ResNets for each generator, amount and augmentation",
        expected="unknown",
        tolerance="none",
        certainty="remembered",
        judge=_not_available,
    ),
)


def judge(evidence: Evidence) -> list[dict[str, str]]:
    """Rows for `verdicts.json`."""
    return judge_all(ENTRIES, evidence)
