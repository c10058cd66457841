"""Ridge regression whose penalty is chosen by leaving out, and what it predicts.

For few samples and columns that say nearly the same: predictions are of samples that
took no part in the fit or in the choice.
"""

import numpy as np

PENALTIES = np.logspace(-4, 2, 25)
"""Ridge penalties to choose from, per sample and unit of variance."""


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


def saved(y: np.ndarray, predicted: np.ndarray, plain: np.ndarray) -> float:
    """Share of the squared error of plain predictions that others save.

    1 is perfect, 0 no better; negative is worse. NaN where the plain ones are perfect.
    """
    least = float(np.sum((y - plain) ** 2))
    if not least:
        return float("nan")
    return 1 - float(np.sum((y - predicted) ** 2)) / least
