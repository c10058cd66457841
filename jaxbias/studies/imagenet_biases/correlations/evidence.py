"""Everything that is computed of a table, and what the ledger and figures ask of it."""

from dataclasses import dataclass, field

import numpy as np

from jaxbias.ledger import MissingError
from jaxbias.studies.imagenet_biases.correlations import analysis, audit, prediction
from jaxbias.studies.imagenet_biases.correlations.config import Config
from jaxbias.studies.imagenet_biases.correlations.table import SUBSETS, Table
from jaxbias.sweeps import Columns

MODELS = {"Total": 48, "AT": 15, "Other": 33}
"""Published networks, by subset."""


@dataclass(frozen=True)
class Evidence:
    """A run's tables."""

    table: Table
    config: Config
    cells: Columns
    pairs: Columns
    predictions: Columns
    denominators: Columns = field(default_factory=dict)
    effects: Columns = field(default_factory=dict)

    def value(
        self, bias: str, target: str, subset: str = "Total"
    ) -> tuple[float, float]:
        """Correlation and p of one cell of the groups.

        Raises:
            MissingError: If the table has not what it needs.
        """
        columns = self.cells
        chosen = (columns["bias"] == bias) & (columns["target"] == target)
        chosen &= (columns["subset"] == subset) & (columns["kind"] == "group")
        if not chosen.any():
            raise MissingError(f"the table has no {bias}, {target} or {subset}")
        row = int(np.flatnonzero(chosen)[0])
        return float(columns["spearman"][row]), float(columns["p"][row])

    def shown(self, bias: str, target: str, subset: str = "Total") -> float:
        """As the paper prints it: 0 where it is not significant."""
        value, p = self.value(bias, target, subset)
        return value if p < self.config.significance else 0.0

    def published(self) -> None:
        """Raise `MissingError` unless these are as many models as the published ones."""
        counts = {name: int(self.table.subset(name).sum()) for name in SUBSETS}
        if counts != MODELS:
            raise MissingError(f"not the published models: {counts['Total']} of them")


def gathered(table: Table, config: Config, *, audited: bool = True) -> Evidence:
    """Compute every table of a run; the audit is of the published columns alone."""
    intervals = analysis.drawn(table, config)
    audits: dict[str, Columns] = {}
    if audited:
        audits["denominators"] = audit.denominators(table)
        audits["effects"] = audit.effects(table, config.significance)
    return Evidence(
        table=table,
        config=config,
        cells=analysis.cells(table, intervals),
        pairs=analysis.pairs(table, intervals),
        predictions=prediction.predictions(table),
        **audits,
    )
