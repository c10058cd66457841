"""The published outcome: complexity before and after training correlate strongly."""

import numpy as np

from jaxbias.ledger import (
    Entry,
    Judgement,
    MissingError,
    held,
    judge_all,
    where_possible,
)
from jaxbias.sweeps import Columns

STRONG = 0.6
"""Rank correlation from which on it is called strong."""

FEW = 40
"""Networks below which nothing is judged."""


def _rows(table: Columns, names: tuple[str, ...]) -> list[dict]:
    last = table["steps"] == table["steps"].max()
    rows = []
    for i in np.flatnonzero(last & np.isin(table["measure"], names)):
        row = {name: values[i] for name, values in table.items()}
        if row["networks"] >= FEW and np.isfinite(row["spearman"]):
            rows.append(row)
    if not rows:
        raise MissingError(f"fewer than {FEW} networks, or none of these measures")
    return rows


def _strong(names: tuple[str, ...]):
    @where_possible
    def judge(table: Columns) -> Judgement:
        if table["steps"].max() < 1000:
            raise MissingError(f"{table['steps'].max()} steps, 1,000 are needed")
        rows = _rows(table, names)
        here = "; ".join(
            f"{row['measure']}, d = {row['dimension']}, M = {row['modulus']}: "
            f"{row['spearman']:.2f} ({row['spearman_low']:.2f} to "
            f"{row['spearman_high']:.2f})"
            for row in rows
        )
        met = all(r["spearman"] >= STRONG and r["spearman_low"] > 0 for r in rows)
        return held(met, here)

    return judge


def _entry(id: str, claim: str, names: tuple[str, ...]) -> Entry:
    return Entry(
        id=id,
        source="section 4, Appendix E",
        claim=claim,
        expected=f"rank correlation of at least {STRONG}, interval above 0, everywhere",
        tolerance="the paper's main text prints no coefficient; what is strong is ours",
        certainty="read",
        judge=_strong(names),
    )


GRID = ("fourier", "dct", "chebyshev", "lz76", "total_variation")

ENTRIES = (
    _entry(
        "init-trained-grid",
        "complexity at random weights correlates strongly with complexity after training",
        GRID,
    ),
    _entry(
        "init-trained-paths",
        "so it does along paths between data points",
        ("path_variation",),
    ),
)


def judge(table: Columns) -> list[dict[str, str]]:
    """Judge every entry."""
    return judge_all(ENTRIES, table)
