"""The table of models: its columns, the models' categories, biases and benchmarks."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from jaxbias.files import UsageError
from jaxbias.probes.spectral_bias import AVERAGED, CUT_OFFS

BIASES: dict[str, tuple[str, ...]] = {
    "shape": ("shape-bias",),
    "low_frequency": tuple(
        f"metric/bandpass/LFC/{cut:g}" for cut in CUT_OFFS[AVERAGED]
    ),
    "high_frequency": tuple(
        f"metric/bandpass/HFC/{cut:g}" for cut in CUT_OFFS[AVERAGED]
    ),
    "bandwidth": ("metric/criticalband/bw_norm",),
    "centre": ("metric/criticalband/cf_norm",),
    "peak_sensitivity": ("metric/criticalband/pns_norm",),
}
"""Columns of which each bias is the mean."""

GROUPS: dict[str, tuple[str, ...]] = {
    "ID": ("imagenet", "imagenet-v2", "imagenet-real"),
    "Robustness": ("imagenet-a", "imagenet-c", "imagenet-cbar"),
    "Concepts": ("imagenet-r", "imagenet-sketch", "stylized"),
    "Adversarial": ("PGD-40/low",),
}
"""Benchmarks of which each group's score is the mean."""

SUBSETS = ("Total", "AT", "Other")


def column_of(benchmark: str) -> str:
    """The column of a benchmark's accuracy, in percent."""
    return f"top1_acc/{benchmark}"


def _read_csv(path: Path) -> dict[str, list[str]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--table: {path}: {error}") from error
    if len(rows) < 2 or "model" not in rows[0]:
        raise UsageError(f"--table: {path}: no header with a column model, or no rows")
    names = rows[0]
    for number, row in enumerate(rows[1:], 2):
        if len(row) != len(names):
            raise UsageError(
                f"--table: {path}, line {number}: {len(row)} values, "
                f"{len(names)} columns"
            )
    return {name: [row[i] for row in rows[1:]] for i, name in enumerate(names)}


def _read_categories(path: Path) -> dict[str, str]:
    """The category of each model."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"--categories: {path}: {error}") from error
    plain = isinstance(found, dict) and all(
        isinstance(models, list) and all(isinstance(name, str) for name in models)
        for models in found.values()
    )
    if not plain:
        raise UsageError(f"--categories: {path}: not lists of models by category")
    return {name: category for category, models in found.items() for name in models}


def _numbers(name: str, values: Sequence[str]) -> np.ndarray:
    """A column as numbers; NaN where nothing stands."""
    try:
        return np.asarray([float(v) if v.strip() else np.nan for v in values])
    except ValueError as error:
        raise UsageError(f"--table: column {name}: {error}") from error


@dataclass(frozen=True)
class Table:
    """Models with a category, and every column of them.

    Attributes:
        models: Their names, in the order of the categories' file.
        categories: Of each model.
        texts: Columns as they are written.
        adversarial: The category of the subset AT.
        members: Benchmarks of which each group's score is the mean.
    """

    models: tuple[str, ...]
    categories: np.ndarray
    texts: dict[str, list[str]]
    adversarial: str
    members: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: GROUPS)

    @classmethod
    def read(cls, table: str, categories: str, adversarial: str) -> "Table":
        """Read both files.

        Raises:
            UsageError: Naming the option, for what cannot be read or does not fit.
        """
        columns = _read_csv(Path(table))
        of = _read_categories(Path(categories))
        rows = {name: row for row, name in enumerate(columns["model"])}
        if len(rows) < len(columns["model"]):
            raise UsageError(f"--table: {table}: a model stands there twice")
        if missing := [name for name in of if name not in rows]:
            raise UsageError(f"--categories: {missing[0]} is no model of {table}")
        if len(of) < 3:
            raise UsageError(f"--categories: {len(of)} models, 3 are needed")
        chosen = [rows[name] for name in of]
        texts = {name: [v[row] for row in chosen] for name, v in columns.items()}
        return cls(tuple(of), np.asarray(list(of.values())), texts, adversarial)

    def column(self, name: str) -> np.ndarray | None:
        """A column of numbers; None where it is absent, or a model has none."""
        if name not in self.texts:
            return None
        found = _numbers(name, self.texts[name])
        return found if np.isfinite(found).all() else None

    def _means(self, wanted: dict[str, tuple[str, ...]]) -> dict[str, np.ndarray]:
        found = {}
        for name, columns in wanted.items():
            parts = [self.column(column) for column in columns]
            if all(part is not None for part in parts):
                found[name] = np.mean(np.stack(parts), axis=0)  # type: ignore[arg-type]
        return found

    @cached_property
    def biases(self) -> dict[str, np.ndarray]:
        """Those of `BIASES` whose columns are there for every model."""
        return self._means(BIASES)

    @cached_property
    def groups(self) -> dict[str, np.ndarray]:
        """Those that are there, in percent."""
        named = {g: tuple(map(column_of, parts)) for g, parts in self.members.items()}
        return self._means(named)

    @cached_property
    def benchmarks(self) -> dict[str, np.ndarray]:
        """The single benchmarks that are there, in percent."""
        names = (name for parts in self.members.values() for name in parts)
        return self._means({name: (column_of(name),) for name in names})

    def subset(self, name: str) -> np.ndarray:
        """Which models are in Total, AT or Other."""
        adversarial = self.categories == self.adversarial
        whole = np.ones(len(self.models), bool)
        return {"Total": whole, "AT": adversarial, "Other": ~adversarial}[name]
