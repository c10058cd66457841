"""Biases of ImageNet models (Gavrikov and Keuper, CVPR 2024): shape, spectrum, band."""

TITLE = "Can biases in ImageNet models explain generalization?"

_HERE = "jaxbias.studies.imagenet_biases"

EXPERIMENTS = {
    "correlations": (
        f"{_HERE}.correlations.experiment",
        "the published table's correlations, re-done and audited",
    ),
    "shape-bias-from-trials": (
        f"{_HERE}.trials.experiment",
        "shape bias and error consistency of people and networks, from their answers",
    ),
    "probe": (
        f"{_HERE}.probe.experiment",
        "shape bias, spectrum, critical band and robustness of your own models",
    ),
    "small-world": (
        f"{_HERE}.small_world.experiment",
        "the whole study on CIFAR-10, with networks that it trains; an analogue",
    ),
}
"""Experiments by name: the module that has Config, PRESETS and run, and one line."""

DEFAULT = "correlations"
