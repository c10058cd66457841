"""Claims of how readings go with a setting, and how a trend is judged by them."""

from collections.abc import Callable
from typing import Any

from jaxbias.ledger import Entry, Judgement, MissingError, held, where_possible
from jaxbias.studies.synthetic_shape_bias.cases import BIAS
from jaxbias.sweeps import Columns
from jaxbias.tables import rows_of

ABSTRACT = "Benarous et al. 2023, abstract"
"""All of the paper that could be read: directions, no numbers."""

LEVEL = 0.05
"""p below which something is taken for found."""

EACH = "Bonferroni's correction over kinds of stimuli"

FLIPS = "flips of the generators' signs, of all kinds of stimuli together"


def _rows(trends: Columns, *, biases: bool) -> list[dict[str, Any]]:
    """Rows of trends: those of shape biases, or that of transfer.

    Raises:
        MissingError: If there are none.
    """
    rows = [row for row in rows_of(trends) if row["reading"].endswith(BIAS) is biases]
    if not rows:
        raise MissingError("nothing was varied")
    return rows


def _words(row: dict[str, Any], scale: float | int = 1, unit: str = "") -> str:
    """A trend, with its interval."""
    low, high = (f"{scale * row[end]:+.3g}" for end in ("low", "high"))
    name = row["reading"].removesuffix(BIAS)
    return f"{name} {scale * row['slope']:+.3g}{unit} ({low} to {high})"


def judged_signs(trends: Columns, column: str) -> Judgement:
    """Whether any shape bias has a sign, by one of the columns `p_any`.

    Raises:
        MissingError: If nothing was varied.
    """
    rows = _rows(trends, biases=True)
    text = "; ".join(_words(row) for row in rows)
    return held(rows[0][column] <= LEVEL, f"{text}; p {rows[0][column]:.2g}")


def judged_transfer(trends: Columns) -> Judgement:
    """Whether transfer rises with the number of programs.

    Raises:
        MissingError: If nothing was varied.
    """
    (row,) = _rows(trends, biases=False)
    text = f"{_words(row, 100, ' points a doubling')}; p {row['p_rising']:.2g}"
    return held(row["p_rising"] <= LEVEL, text)


def of_diversity(trends: Callable[[Any], Columns]) -> tuple[Entry, ...]:
    """Shape bias and diversity, whose sign is not in the abstract: both are tested.

    Args:
        trends: From an experiment's evidence to its trends over doublings of programs.
    """

    def tracks(column: str) -> Callable[[Any], Judgement]:
        return where_possible(lambda found: judged_signs(trends(found), column))

    return (
        Entry(
            id="tracks-diversity",
            source=ABSTRACT,
            claim="shape bias tells how various the samples of a data set are (the sign "
            "is not in the abstract)",
            expected="it rises, or it falls, with the number of programs at all else "
            "alike: p 0.05, two-sided",
            tolerance=FLIPS,
            certainty="read",
            judge=tracks("p_any"),
        ),
        Entry(
            id="rises-with-diversity",
            source=f"{ABSTRACT}; one of its two possible signs",
            claim="shape bias is higher where samples are more various",
            expected="it rises with the number of programs: p 0.05, one-sided",
            tolerance=FLIPS,
            certainty="read",
            judge=tracks("p_any_rising"),
        ),
        Entry(
            id="falls-with-diversity",
            source=f"{ABSTRACT}; the other one",
            claim="shape bias is lower where samples are more various",
            expected="it falls with the number of programs: p 0.05, one-sided",
            tolerance=FLIPS,
            certainty="read",
            judge=tracks("p_any_falling"),
        ),
    )
