"""Dataset classification (Liu and He, ICLR 2025; Zeng et al., NeurIPS 2024): which data set
is an image from?"""

TITLE = "A Decade's Battle on Dataset Bias: which data set is an image from?"

_HERE = "jaxbias.studies.dataset_classification"

EXPERIMENTS = {
    "name-that-dataset": (
        f"{_HERE}.name_that_dataset",
        "tell the sources apart: accuracy, confusion, leak audit, negative control",
    ),
    "combinations": (f"{_HERE}.combinations", "every subset of the sources"),
    "architectures": (f"{_HERE}.architectures", "networks of every kind"),
    "model-size": (f"{_HERE}.model_size", "ConvNeXts from 7,000 weights up"),
    "samples-by-augmentation": (
        f"{_HERE}.samples_by_augmentation",
        "accuracy over training images, under four stacks of augmentation",
    ),
    "corruptions": (
        f"{_HERE}.corruptions",
        "every image jittered, noisy, blurred, small",
    ),
    "transforms": (
        f"{_HERE}.transforms",
        "what of an image tells: colour, pixels, patches, frequencies, contours",
    ),
    "pseudo-datasets": (
        f"{_HERE}.pseudo_datasets",
        "samples of one source: learned by heart, at chance on new images",
    ),
    "self-supervised": (
        f"{_HERE}.self_supervised",
        "the sources named from features of a masked autoencoder",
    ),
    "transfer": (
        f"{_HERE}.transfer",
        "frozen features of dataset classifiers, probed for other labels",
    ),
    "cross-dataset": (
        f"{_HERE}.cross_dataset",
        "classes learned on one source, tested on the others",
    ),
    "play": (f"{_HERE}.play", "a page on which people play against the network"),
    "two-way-shift": (
        f"{_HERE}.two_way_shift",
        "two sets that were made alike, as ImageNet and ImageNetV2",
    ),
}
"""Experiments by name: the module that has Config, PRESETS and run, and one line."""

DEFAULT = "name-that-dataset"
