"""Correlations between what networks are at random weights and what they become."""

import numpy as np

from jaxbias import tables
from jaxbias.numerics.statistics import bootstrap_correlation
from jaxbias.studies.neural_redshift.modulo.evidence import Evidence
from jaxbias.sweeps import Columns


def pairs(
    evidence: Evidence, measure: str, dimension: int, modulus: int, steps: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A measure before training and after some steps.

    Returns:
        Values before, values after, the networks' activations, and their groups: networks
        of one activation and number share their draw, whatever the prefactor. Networks
        that could not be measured are left out.
    """
    columns = evidence.columns
    chosen = (columns["dimension"] == dimension) & (columns["modulus"] == modulus)
    first = columns["train_fraction"] == evidence.config.train_fractions[0]
    chosen &= first & (columns["input_scale"] == evidence.config.input_scales[0])
    before = chosen & (columns["steps"] == 0)
    after = chosen & (columns["steps"] == steps)
    x, y = columns[measure][before], columns[measure][after]
    bad = columns["degenerate"][before] | columns["degenerate"][after]
    kept = np.isfinite(x) & np.isfinite(y) & ~bad
    names = columns["activation"][before]
    groups = np.char.add(
        np.char.add(names.astype(str), " "), columns["network"][before].astype(str)
    )
    return x[kept], y[kept], names[kept], groups[kept]


def table(evidence: Evidence) -> Columns:
    """A row for each dimension, target, measure and look: correlations with intervals."""
    config = evidence.config
    rows = []
    for dimension in config.dimensions:
        for modulus in config.moduli:
            for measure in ("path_variation", *config.measures):
                for steps in config.iterations:
                    x, y, _, groups = pairs(
                        evidence, measure, dimension, modulus, steps
                    )
                    row = {
                        "dimension": dimension,
                        "modulus": modulus,
                        "measure": measure,
                        "steps": steps,
                        "networks": len(x),
                    }
                    for name, ranks in (("pearson", False), ("spearman", True)):
                        value = low = high = float("nan")
                        if len(x) > 2:
                            found = bootstrap_correlation(x, y, groups, ranks=ranks)
                            value, low, high = found.value, found.low, found.high
                        row |= {
                            name: value,
                            f"{name}_low": low,
                            f"{name}_high": high,
                        }
                    rows.append(row)
    return tables.columns_of(rows)
