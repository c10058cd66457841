"""Tables of the sweep: each training, what it gains over real images alone, classes."""

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from jaxbias import tables
from jaxbias.numerics.bootstrap import interval
from jaxbias.numerics.statistics import calibration_error
from jaxbias.studies.generative_augmentation.images.config import Config
from jaxbias.studies.generative_augmentation.images.trainings import PARTS, Outcome
from jaxbias.sweeps import Columns

AT_ONCE = 100
"""Resamples that are taken at once."""


def trainings(outcomes: Sequence[Outcome], config: Config) -> Columns:
    """A row for each case and seed.

    Columns: those of a case; `seed`, `images`, `steps`; `test_accuracy`, `test_loss`,
    `validation_accuracy`; `real_*` and `generated_*` `accuracy` and `loss` on training
    images as they are; `train_accuracy` and `train_loss`, of both as they were trained on;
    `gap_accuracy` (training less test) and `gap_loss` (test less training); `calibration`,
    the expected calibration error; and `worst_class`, its accuracy.
    """
    rows = []
    for outcome in outcomes:
        found = outcome.found
        for number in range(config.n_seeds):
            right = _right(found)[number]
            row = asdict(outcome.case) | {
                "seed": config.seed + number,
                "images": int(found["images"]),
                "steps": int(found["steps"]),
                "test_accuracy": float(right.mean()),
                "test_loss": float(found["test_losses"][number].mean()),
                "validation_accuracy": float(found["validation_right"][number]),
                "calibration": calibration_error(
                    found["test_confidences"][number], right
                ),
                "worst_class": float(_of_classes(found)[number].min()),
            }
            row |= {name: float(found[name][number]) for name in PARTS}
            made = outcome.case.amount / int(found["images"])
            for name in ("accuracy", "loss"):
                real, generated = (
                    float(np.nan_to_num(row[f"{kind}_{name}"]))
                    for kind in ("real", "generated")
                )
                row[f"train_{name}"] = (1 - made) * real + made * generated
            row["gap_accuracy"] = row["train_accuracy"] - row["test_accuracy"]
            row["gap_loss"] = row["test_loss"] - row["train_loss"]
            rows.append(row)
    return tables.columns_of(rows)


def gains(outcomes: Sequence[Outcome], config: Config) -> Columns:
    """What generated images add to test accuracy, a row for each case that has them.

    Seeds are paired: both networks of a pair begin alike. Columns: those of a case;
    `gain`, the mean difference to real images alone under the same augmentation; `low`,
    `high`, its 95 % interval over resamples of seeds and of test images; `seeds_above`,
    how many seeds gain.
    """
    alone = {
        outcome.case.augmentation: _right(outcome.found)
        for outcome in outcomes
        if not outcome.case.generator
    }
    rows = []
    for outcome in outcomes:
        if not outcome.case.generator:
            continue
        own = _right(outcome.found).astype(np.float32)
        apart = own - alone[outcome.case.augmentation].astype(np.float32)
        drawn = resampled(apart, config.resamples, config.seed)
        low, high = interval(drawn)
        rows.append(
            asdict(outcome.case)
            | {
                "gain": float(apart.mean()),
                "low": float(low),
                "high": float(high),
                "seeds_above": int((apart.mean(1) > 0).sum()),
                "seeds": len(apart),
            }
        )
    return tables.columns_of(rows)


def resampled(values: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """Means of (seed, image) values over resampled seeds and images, (resample,)."""
    random = np.random.default_rng(seed)
    seeds, images = values.shape
    found = []
    for first in range(0, resamples, AT_ONCE):
        count = min(AT_ONCE, resamples - first)
        over_seeds = random.multinomial(seeds, np.full(seeds, 1 / seeds), count)
        over_images = random.multinomial(images, np.full(images, 1 / images), count)
        rows = over_images @ values.T / images
        found.append((rows * over_seeds).sum(1) / seeds)
    return np.concatenate(found)


def chosen(table: Columns, config: Config) -> Columns:
    """The amount that validation images choose, for each generator and augmentation.

    Columns: `augmentation`, `generator`; `amount`, that of the highest mean accuracy on
    images held out of the training set, 0 included; `validation_accuracy`,
    `test_accuracy`, and `test_without`, where nothing is added.
    """
    plain = usual(table, config) & ~table["alone"]
    rows = []
    for augmentation in config.augmentations:
        own = table["augmentation"] == augmentation
        for generator in _names(table):
            among = own & ((plain & (table["generator"] == generator)) | none(table))
            amounts = np.unique(table["amount"][among])
            means = {
                int(amount): [
                    float(table[name][among & (table["amount"] == amount)].mean())
                    for name in ("validation_accuracy", "test_accuracy")
                ]
                for amount in amounts
            }
            best = max(means, key=lambda amount: means[amount][0])
            rows.append(
                {
                    "augmentation": augmentation,
                    "generator": generator,
                    "amount": best,
                    "validation_accuracy": means[best][0],
                    "test_accuracy": means[best][1],
                    "test_without": means[0][1],
                }
            )
    return tables.columns_of(rows)


def classes(outcomes: Sequence[Outcome], names: Sequence[str]) -> Columns:
    """Test accuracy of each class, a mean over seeds: a row for each case and class."""
    rows = [
        asdict(outcome.case) | {"class": name, "test_accuracy": float(accuracy)}
        for outcome in outcomes
        for name, accuracy in zip(
            names, _of_classes(outcome.found).mean(0), strict=True
        )
    ]
    return tables.columns_of(rows)


def none(table: Columns) -> np.ndarray:
    """Which rows have no generated images."""
    return table["generator"] == ""


def usual(table: Columns, config: Config) -> np.ndarray:
    """Which rows have the first weight, share and choice of those that were asked for."""
    share = config.real_shares[0] if config.real_shares else 0.0
    return (
        (table["weight"] == float(config.weights[0]))
        & (table["real_share"] == share)
        & (table["keep"] == float(config.keeps[0]))
    )


def _names(table: Columns) -> list[str]:
    return [name for name in dict.fromkeys(table["generator"].tolist()) if name]


def _right(found: Columns) -> np.ndarray:
    """Whether each test image is right, (seed, image)."""
    return found["test_predicted"] == found["test_labels"][None]


def _of_classes(found: Columns) -> np.ndarray:
    """Test accuracy of each class, (seed, class)."""
    right, labels = _right(found), found["test_labels"]
    return np.stack(
        [right[:, labels == label].mean(1) for label in np.unique(labels)], axis=1
    )
