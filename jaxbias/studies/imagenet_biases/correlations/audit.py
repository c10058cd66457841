"""What the published columns are: how many images they count, and what that changes."""

import numpy as np

from jaxbias import tables
from jaxbias.probes.adversarial import true_accuracy
from jaxbias.studies.imagenet_biases.correlations.analysis import subsets, tested
from jaxbias.studies.imagenet_biases.correlations.table import Table, column_of
from jaxbias.sweeps import Columns

IMAGES = {
    "imagenet": 50_000,
    "imagenet-v2": 10_000,
    "imagenet-real": 50_000,
    "imagenet-a": 7_500,
    "imagenet-r": 30_000,
    "imagenet-sketch": 50_889,
    "stylized": 800,
    "PGD-40/low": 50_000,
}
"""Images of each benchmark."""

MOST_IMAGES = 60_000
"""Largest number of images that is looked for."""

COMMON = (
    *("gaussian_noise", "shot_noise", "impulse_noise", "defocus_blur", "glass_blur"),
    *("motion_blur", "zoom_blur", "snow", "frost", "fog", "brightness", "contrast"),
    *("elastic_transform", "pixelate", "jpeg_compression"),
)
"""The fifteen corruptions of ImageNet-C; the other four are its extra ones."""

EXTRA = ("speckle_noise", "gaussian_blur", "spatter", "saturate")


def images_counted(percent: np.ndarray) -> int:
    """The least number of images of which every value is a whole number; 0 if none is.

    Args:
        percent: Accuracies, at least one of them above 0.
    """
    counts = np.arange(1, MOST_IMAGES + 1)
    # Values are written with nine digits or more, of which the last may be rounded.
    tolerance = 2e-9 * counts * max(1.0, float(percent.max())) + 1e-6
    whole = np.ones(len(counts), bool)
    for value in percent:
        images = value / 100 * counts[whole]
        whole[whole] = np.abs(images - np.round(images)) <= tolerance[whole]
    return int(counts[whole][0]) if whole.any() else 0


def denominators(table: Table) -> Columns:
    """A row for each benchmark: the images that it has, and those that were counted."""
    rows = []
    for name, images in IMAGES.items():
        values = table.column(column_of(name))
        if values is not None and (values > 0).any():
            rows.append(
                {"benchmark": name, "images": images, "counted": images_counted(values)}
            )
    return tables.columns_of(rows) if rows else {}


def corruption_means(table: Table) -> dict[str, np.ndarray]:
    """The mean over severities of ImageNet-C, of all nineteen and of the fifteen."""

    def mean(names: tuple[str, ...]) -> np.ndarray | None:
        parts = [
            table.column(column_of(f"{name}_{severity}"))
            for name in names
            for severity in range(1, 6)
        ]
        if any(part is None for part in parts):
            return None
        return np.mean(np.stack(parts), axis=0)  # type: ignore[arg-type]

    found = {"nineteen": mean((*COMMON, *EXTRA)), "fifteen": mean(COMMON)}
    return {name: value for name, value in found.items() if value is not None}


def _parts(table: Table, *names: str) -> list[np.ndarray] | None:
    """Columns of benchmarks; None where one is not there."""
    found = [table.column(column_of(name)) for name in names]
    whole = [one for one in found if one is not None]
    return whole if len(whole) == len(names) else None


def repairs(table: Table) -> dict[str, tuple[str, np.ndarray]]:
    """By the name of each repair that can be made, the group and its scores after it."""
    found = {}
    if kept := _parts(table, "imagenet", "imagenet-v2"):
        found["ID without ReaL"] = "ID", np.mean(kept, axis=0)
    if "Adversarial" in table.groups:
        true = true_accuracy(table.groups["Adversarial"])
        found["PGD over 50,000 images"] = "Adversarial", true
    kept, means = _parts(table, "imagenet-a", "imagenet-cbar"), corruption_means(table)
    if kept and "fifteen" in means:
        scores = np.mean([*kept, means["fifteen"]], axis=0)
        found["fifteen corruptions"] = "Robustness", scores
    return {name: one for name, one in found.items() if one[0] in table.groups}


def effects(table: Table, significance: float) -> Columns:
    """A row for each repair, subset and bias: the group's correlation before and after."""
    rows = []
    for name, (group, scores) in repairs(table).items():
        for subset, chosen in subsets(table):
            for bias, values in table.biases.items():
                before, p_before = tested(values[chosen], table.groups[group][chosen])
                after, p_after = tested(values[chosen], scores[chosen])
                rows.append(
                    {
                        "repair": name,
                        "group": group,
                        "subset": subset,
                        "bias": bias,
                        "before": before,
                        "p_before": p_before,
                        "after": after,
                        "p_after": p_after,
                        "turned": (p_before < significance) != (p_after < significance),
                    }
                )
    return tables.columns_of(rows) if rows else {}
