"""Train a plain classifier on any source of images: the studies' engine by itself."""

TITLE = "Train an image classifier on any source of labelled images"

EXPERIMENTS = {
    "classifier": (
        "jaxbias.studies.train.experiment",
        "a network of the catalogue, on archives, folders, tar shards, arrays or TFDS",
    ),
}
"""Experiments by name: the module that has Config, PRESETS and run, and one line."""

DEFAULT = "classifier"
