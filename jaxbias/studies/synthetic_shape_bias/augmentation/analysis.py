"""Pairs trainings that differ in one setting of their views and in nothing else."""

import numpy as np

from jaxbias.studies.synthetic_shape_bias.augmentation.config import (
    CROP,
    JITTER,
    SMOOTHING,
    USUAL,
)
from jaxbias.studies.synthetic_shape_bias.cases import chosen
from jaxbias.sweeps import Columns


def along(rows: Columns, setting: str) -> tuple[Columns, np.ndarray]:
    """Rows in which one setting varies and all others are usual, and where each stands.

    A smoothing stands at 1, against none at 0.
    """
    usual = {
        CROP: USUAL.crop_area[0],
        JITTER: USUAL.jitter,
        SMOOTHING: USUAL.smoothing,
    }
    varied = setting if setting in usual else SMOOTHING
    own = np.ones(len(rows["step"]), bool)
    for name in usual.keys() - {varied}:
        own &= rows[name] == usual[name]
    if setting != varied:
        own &= np.isin(rows[SMOOTHING], [USUAL.smoothing, setting])
    kept = chosen(rows, own)
    position = kept[varied] if setting == varied else kept[SMOOTHING] == setting
    return kept, position.astype(np.float64)
