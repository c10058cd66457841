"""What is known of generators that are trained on what generators drew."""

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
from jaxbias.studies.generative_augmentation.image_generations.chains import FIRST
from jaxbias.studies.generative_augmentation.image_generations.config import Config
from jaxbias.sweeps import Columns

FEW = 3
"""Generations below which nothing is judged."""


@dataclass(frozen=True)
class Evidence:
    """What there is to judge.

    Attributes:
        config: What was asked.
        table: See `chains.table`.
    """

    config: Config
    table: Columns

    def last(self, scheme: str, name: str) -> dict[str, float]:
        """A measure of the last generation of a scheme, for each feature.

        Raises:
            MissingError: If the scheme was not run for long enough.
        """
        if scheme != FIRST and scheme not in self.config.schemes:
            raise MissingError(f"the scheme {scheme} was not run")
        if self.config.generations < FEW:
            raise MissingError(f"{self.config.generations} generations, {FEW} needed")
        own = self.table["scheme"] == scheme
        own &= self.table["generation"] == self.table["generation"][own].max()
        places = np.flatnonzero(own)
        return {
            str(self.table["feature"][place]): float(self.table[name][place])
            for place in places
        }


def _words(scheme: str, values: dict[str, float]) -> str:
    return f"{scheme} " + ", ".join(f"{f} {v:.3g}" for f, v in values.items())


@where_possible
def _collapses(evidence: Evidence) -> Judgement:
    words, worse = [], []
    for name in ("kid", "recall"):
        first, last = (evidence.last(scheme, name) for scheme in (FIRST, "replace"))
        sign = 1 if name == "kid" else -1
        worse += [sign * last[feature] > sign * first[feature] for feature in first]
        words.append(f"{name}: {_words('first', first)}; {_words('last', last)}")
    return held(all(worse), "; ".join(words))


@where_possible
def _real_ones_help(evidence: Evidence) -> Judgement:
    alone = evidence.last("replace", "kid")
    both = {scheme: evidence.last(scheme, "kid") for scheme in ("accumulate", "fresh")}
    fine = all(
        values[feature] < alone[feature]
        for values in both.values()
        for feature in alone
    )
    words = [_words(scheme, values) for scheme, values in both.items()]
    return held(fine, "kid at last: " + "; ".join([_words("replace", alone), *words]))


ENTRIES: tuple[Entry, ...] = (
    Entry(
        id="collapses",
        source="Alemohammad et al. (ICLR 2024), abstract; Shumailov et al. (Nature 2024)",
        claim="generators that see generated images alone get worse, or less diverse, with "
        "every generation",
        expected="a larger kernel distance and a smaller recall at the last generation "
        "than at the first, on every feature",
        tolerance="none; one chain",
        certainty="read",
        judge=_collapses,
    ),
    Entry(
        id="real-images-keep-it",
        source="Alemohammad et al. (ICLR 2024), abstract; Gerstgrasser et al. (2024)",
        claim="real images among the generated ones keep generators from collapse",
        expected="a smaller kernel distance at the last generation than where they are "
        "replaced, for both other schemes, on every feature",
        tolerance="none; one chain of each",
        certainty="remembered",
        judge=_real_ones_help,
    ),
)


def judge(evidence: Evidence) -> list[dict[str, str]]:
    """Rows for `verdicts.json`."""
    return judge_all(ENTRIES, evidence)
