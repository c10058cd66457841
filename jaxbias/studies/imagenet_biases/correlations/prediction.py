"""How well biases predict a benchmark of networks that were left out."""

import numpy as np

from jaxbias import tables
from jaxbias.numerics.ridge import out_of_sample, saved
from jaxbias.numerics.statistics import spearman
from jaxbias.studies.imagenet_biases.correlations.table import Table
from jaxbias.sweeps import Columns

TOGETHER = "all together"


def predictions(table: Table) -> Columns:
    """A row for each target, kind of fold, and predictors: each bias and all together.

    Biases and targets are as they are, not ranks; the high-frequency bias, whose largest
    is 60 times its smallest, and the band's width and centre are taken as logarithms.
    `r2` is the share of the squared error of predicting the mean of the networks that
    were not left out that is saved: 0 or less says that nothing was predicted.
    """
    rows = []
    biases = {
        name: np.log(value)
        if name in ("high_frequency", "bandwidth", "centre") and (value > 0).all()
        else value
        for name, value in table.biases.items()
    }
    sets = {name: value[:, None] for name, value in biases.items()}
    sets[TOGETHER] = np.stack(list(biases.values()), axis=1)
    folds = {"model": np.arange(len(table.models)), "category": table.categories}
    kinds = {"group": table.groups, "benchmark": table.benchmarks}
    for kind, targets in kinds.items():
        for target, y in targets.items():
            for left_out, labels in folds.items():
                for name, x in sets.items():
                    found, plain = out_of_sample(x, y, labels)
                    rows.append(
                        {
                            "kind": kind,
                            "target": target,
                            "left_out": left_out,
                            "predictors": name,
                            "r2": saved(y, found, plain),
                            "spearman": spearman(found, y),
                            "error": float(np.mean(np.abs(y - found))),
                        }
                    )
    return tables.columns_of(rows)
