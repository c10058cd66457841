"""How well biases predict a benchmark of networks that were left out."""

import numpy as np

from jaxbias import tables
from jaxbias.numerics.statistics import spearman
from jaxbias.studies.imagenet_biases.correlations.table import Table
from jaxbias.sweeps import Columns

PENALTIES = np.logspace(-4, 2, 25)
"""Ridge penalties to choose from, per sample and unit of variance."""

TOGETHER = "all together"


def left_out_errors(x: np.ndarray, y: np.ndarray, penalties: np.ndarray) -> np.ndarray:
    """Errors of ridge regression at each sample when it is left out, in closed form.

    The intercept is not penalised, and columns are centred with the sample in.

    Args:
        x: (sample, column).
        y: One number a sample.
        penalties: Per sample, any number of them.

    Returns:
        (penalty, sample).
    """
    count = len(x)
    x, y = x - x.mean(axis=0), y - y.mean()
    left, sizes, _ = np.linalg.svd(x, full_matrices=False)
    kept = sizes**2 / (sizes**2 + penalties[:, None] * count)
    residuals = y - (kept * (left.T @ y)) @ left.T
    # 1 / count is the intercept's.
    return residuals / (1 - 1 / count - kept @ (left**2).T)


def fitted(x: np.ndarray, y: np.ndarray, new: np.ndarray) -> np.ndarray:
    """What ridge regression says of new samples; its penalty is chosen within x and y."""
    mean, spread = x.mean(axis=0), x.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    x, new = (x - mean) / spread, (new - mean) / spread
    errors = np.sum(left_out_errors(x, y, PENALTIES) ** 2, axis=1)
    best = PENALTIES[int(np.argmin(errors))]
    gram = x.T @ x + best * len(x) * np.eye(x.shape[1])
    return y.mean() + new @ np.linalg.solve(gram, x.T @ (y - y.mean()))


def out_of_sample(
    x: np.ndarray, y: np.ndarray, folds: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Predictions for each fold from all others, and the mean of all others beside it."""
    predicted, plain = np.empty_like(y), np.empty_like(y)
    for fold in np.unique(folds):
        out = folds == fold
        predicted[out] = fitted(x[~out], y[~out], x[out])
        plain[out] = y[~out].mean()
    return predicted, plain


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
                    saved = np.sum((y - found) ** 2) / np.sum((y - plain) ** 2)
                    rows.append(
                        {
                            "kind": kind,
                            "target": target,
                            "left_out": left_out,
                            "predictors": name,
                            "r2": float(1 - saved),
                            "spearman": spearman(found, y),
                            "error": float(np.mean(np.abs(y - found))),
                        }
                    )
    return tables.columns_of(rows)
