"""Harnessing synthetic datasets (Benarous et al. 2023): shape bias of made images."""

TITLE = "Synthetic data and shape bias"

_HERE = "jaxbias.studies.synthetic_shape_bias"

EXPERIMENTS = {
    "metric-calibration": (
        f"{_HERE}.calibration.experiment",
        "what the measures of shape bias read on features that nobody trained",
    ),
    "train": (
        f"{_HERE}.train.experiment",
        "a network learns from made images, and its shape bias is watched",
    ),
    "grid": (
        f"{_HERE}.grid.experiment",
        "networks by what they learn from, how they are built and what for",
    ),
    "diversity": (
        f"{_HERE}.diversity.experiment",
        "the same number of images from few programs, or from many",
    ),
    "naturalism": (
        f"{_HERE}.naturalism.experiment",
        "sets with more or fewer of the statistics of photographs",
    ),
    "augmentation": (
        f"{_HERE}.augmentation.experiment",
        "how much of an image two views show, and in what colours",
    ),
    "learnability": (
        f"{_HERE}.learnability.experiment",
        "the same images, learnt by shape or by texture",
    ),
    "metric-dispute": (
        f"{_HERE}.dispute.experiment",
        "the same networks, asked for their shape bias in five ways",
    ),
    "generate": (
        f"{_HERE}.generate.experiment",
        "images made from nothing, as folders or tar shards",
    ),
}
"""Experiments by name: the module that has Config, PRESETS and run, and one line."""

DEFAULT = "metric-calibration"
